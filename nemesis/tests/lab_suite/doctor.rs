//! What the doctor finds on a machine that can have labs, and on one that cannot.

use std::fs;
use std::path::PathBuf;

use partita_nemesis::doctor::{
    CLOCKS, DISKS, Outcome, PROXIES, Probe, SIGNALS, best_backend, probe,
};
use partita_nemesis::{Entered, LabBackend, LabKind, enter};

use crate::harness::Scenario;

/// What is tested inside a lab.
pub(crate) const SCENARIOS: &[Scenario] =
    &[Scenario { name: "a_machine_that_runs_labs_is_found_able_to", run: able }];

/// What is tested only where a limit belongs to the lab's user namespace, not to the machine.
pub(crate) const UNPRIVILEGED: &[Scenario] =
    &[Scenario { name: "a_refusal_comes_with_the_command_that_lifts_it", run: refused }];

/// Where this process is, and what it sees.
fn surroundings() -> (Vec<PathBuf>, String, Vec<String>) {
    let spaces = ["user", "mnt", "net", "pid", "pid_for_children"];
    let links = spaces.map(|space| fs::read_link(format!("/proc/self/ns/{space}")));
    let read = |path| fs::read_to_string(path).expect("readable");
    let links = links.into_iter().map(|link| link.expect("a namespace")).collect();
    // Their names: that loopback was used is no change.
    let named = |line: &str| line.split_once(':').map(|(name, _)| name.trim().to_owned());
    let interfaces = read("/proc/self/net/dev").lines().filter_map(named).collect();
    (links, read("/proc/self/mounts"), interfaces)
}

fn able() {
    let before = surroundings();
    let probes = probe();
    assert_eq!(probes.len(), 9);
    assert_eq!(best_backend(), (LabBackend::Namespaces, Vec::new()));
    for Probe { name, outcome, remedy, .. } in &probes {
        assert_eq!((outcome, remedy), (&Outcome::Works, &None), "{name}");
    }
    assert_eq!(surroundings(), before, "probing changed something");
}

fn refused() {
    assert_eq!(enter().expect("inside"), Entered::Inside(LabKind::UserNamespaces));
    fs::write("/proc/sys/user/max_net_namespaces", "0").expect("root in here");
    for Probe { name, outcome, remedy, .. } in probe() {
        if [PROXIES, SIGNALS, CLOCKS, DISKS].contains(&name) {
            assert_eq!((outcome, remedy), (Outcome::Works, None), "{name} needs no namespaces");
            continue;
        }
        let Outcome::Refused(why) = outcome else { panic!("{name} works without a network") };
        assert!(why.starts_with("making a network namespace: "), "{name}: {why}");
        let expected = "sudo sysctl -w user.max_net_namespaces=65536";
        assert_eq!(remedy.as_deref(), Some(expected), "{name}");
    }
    let (backend, refused) = best_backend();
    assert_eq!(backend, LabBackend::Proxies, "the next best");
    assert!(refused[0].1.starts_with("making a network namespace: "), "{refused:?}");
}
