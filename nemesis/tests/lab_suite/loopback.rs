//! Labs without namespaces: who is who among processes that share a machine, and what is left of them.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::time::Duration;

use partita_nemesis::lab::Link;
use partita_nemesis::{Lab, NodeProcess, Program};
use tempfile::TempDir;

use crate::harness::{Account, LIMIT, Scenario, Test, eventually};
use crate::lifetime::{Started, say};

/// What is tested inside a lab.
pub(crate) const SCENARIOS: &[Scenario] =
    &[Scenario { name: "a_node_is_recognised_by_any_process_of_its_group", run: recognised }];

/// What is tested from outside.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "killing_the_outer_process_leaves_nothing_on_loopback", run: kill_outer },
    Test { name: "killing_the_guardian_leaves_nothing_on_loopback", run: kill_guardian },
    Test { name: "killing_the_controller_leaves_nothing_on_loopback", run: kill_controller },
    Test { name: "killing_outer_and_guardian_at_once_leaves_nothing_on_loopback", run: kill_both },
];

/// Scenarios that only the tests start.
pub(crate) const HELPERS: &[Scenario] = &[Scenario { name: "linger_on_loopback", run: linger }];

const PORTS: [u16; 2] = [6379, 7000];

fn script(lab: &Lab, place: usize, directory: &TempDir, text: &str) -> NodeProcess {
    let program = Program {
        user: None,
        path: "bash".into(),
        arguments: vec!["-c".into(), text.into()],
        environment: Vec::new(),
        directory: directory.path().into(),
        stdout: directory.path().join("stdout.log"),
        stderr: directory.path().join("stderr.log"),
    };
    NodeProcess::new(&lab.nodes()[place], program)
}

/// A node whose child dials another node, by bash's own means.
fn recognised() {
    let directory = tempfile::tempdir().expect("a directory");
    let lab = Lab::on_loopback(&["n1", "n2"], &PORTS, true, 1).expect("a lab");
    let port = lab.ports(&PORTS)[1];
    let listener = TcpListener::bind(SocketAddrV4::new(lab.nodes()[1].address(), port));
    let listener = listener.expect("listens");
    let relay: Ipv4Addr = lab.nodes()[1].advertised();
    let dial = format!("exec 3<>/dev/tcp/{relay}/{port} && echo word >&3 && read -r <&3");
    let text = format!("while ! ({dial}); do sleep 0.02; done 2>/dev/null & wait");
    let node = script(&lab, 0, &directory, &text);
    node.start().expect("starts");
    let (_stream, _) = listener.accept().expect("comes");
    let carried = || {
        let counters = lab.network().counters("n1", "n2").expect("a link");
        (counters.forwarded_bytes == 5).then_some(())
    };
    assert!(eventually(carried).is_some(), "not by the link of who dialled");
    assert_eq!(lab.network().reset(&[Link::new("n2", "n1")]).expect("a link"), 1);
}

/// Nodes, one of which left its group and its parent.
fn linger() {
    let lab = Lab::on_loopback(&["n1", "n2"], &PORTS, true, 1).expect("a lab");
    let directory = tempfile::tempdir().expect("a directory");
    let node = script(&lab, 0, &directory, "(setsid sleep 1000 &) ; exec sleep 1000");
    node.start().expect("starts");
    let other = script(&lab, 1, &directory, "trap '' TERM HUP INT; while :; do sleep 1; done");
    other.start().expect("starts");
    fs::remove_dir_all(directory.path()).expect("removed");
    // Until the one that leaves has left.
    std::thread::sleep(Duration::from_millis(300));
    say("ready");
    std::thread::sleep(LIMIT);
}

fn kill_outer(account: Account) {
    let started = Started::new("linger_on_loopback", account);
    started.kill_generation(0);
}

fn kill_guardian(account: Account) {
    let started = Started::new("linger_on_loopback", account);
    started.kill_generation(1);
}

fn kill_controller(account: Account) {
    let started = Started::new("linger_on_loopback", account);
    started.kill_generation(2);
}

/// Where the kernel allows a PID namespace, as it does for those who can have hosts of namespaces.
fn kill_both(account: Account) {
    let started = Started::new("linger_on_loopback", account);
    started.kill_both();
}
