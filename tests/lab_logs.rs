//! What runs log: what the harness did, and when nodes wrote what.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use partita_checker::Nanoseconds;
use partita_reports::lines_between;
use partita_reports::logs::HarnessLines;
use tempfile::TempDir;

const PARTITA: &str = env!("CARGO_BIN_EXE_partita");

struct Run {
    out: TempDir,
    output: Output,
}

impl Run {
    fn new(before: &[&str], arguments: &[&str]) -> Self {
        let out = tempfile::tempdir().expect("a temporary folder");
        let output = Command::new(PARTITA)
            .args(before)
            .arg("run")
            .args(["--out".as_ref(), out.path().as_os_str()])
            .args(arguments)
            .env_remove("PARTITA_LOG")
            .stdin(Stdio::null())
            .output()
            .expect("partita starts");
        Self { out, output }
    }

    fn folder(&self) -> PathBuf {
        self.out.path().join("latest")
    }

    fn told(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    fn harness(&self) -> String {
        harness(&self.folder())
    }
}

fn harness(folder: &Path) -> String {
    fs::read_to_string(folder.join("harness.log")).expect("harness.log")
}

/// What `partita logs` prints of a run: times, sources and texts.
fn logs(folder: &Path, arguments: &[&str]) -> Vec<(f64, String, String)> {
    let output = Command::new(PARTITA).arg("logs").arg(folder).args(arguments).output();
    let output = output.expect("partita starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = |line: &str| {
        let (time, rest) = line.trim_start().split_once(' ').expect("a time");
        let (source, text) = rest.split_at(8);
        (time.parse().expect("seconds"), source.trim().to_owned(), text.trim().to_owned())
    };
    String::from_utf8(output.stdout).expect("text").lines().map(line).collect()
}

/// A target whose nodes run `script` with bash.
fn target(place: &Path, script: &str) -> PathBuf {
    let built_in = concat!(env!("CARGO_MANIFEST_DIR"), "/src/targets/raft-node.toml");
    let text = fs::read_to_string(built_in).expect("the built-in target");
    let mut table: toml::Table = text.parse().expect("TOML");
    let command = table["command"].as_array_mut().expect("a command");
    let words = ["bash", "-c", script, "bash"].map(|word| toml::Value::String(word.to_owned()));
    command.splice(0..0, words);
    let path = place.join("target.toml");
    fs::write(&path, toml::to_string(&table).expect("TOML")).expect("written");
    path
}

#[test]
fn a_run_logs_its_lab_its_nodes_its_faults_and_its_connections() {
    let faults = ["--nemesis", "kill,isolate", "--time", "8s", "--seed", "4"];
    let run = Run::new(&[], &faults);
    assert_eq!(run.output.status.code(), Some(0), "{}", run.told());
    assert!(!run.told().contains("INFO"), "by default nothing more is told: {}", run.told());
    let log = run.harness();
    for part in [
        "entering the lab",
        "making a PID namespace",
        "mounting a fresh /proc",
        "building a lab of namespaces",
        "has a host host=\"n1\"",
        "the lab is built",
        "started node=\"n1\"",
        "phase begins",
        "connection opened",
        "connection closed",
        "is now leader",
        "fault{id=0 name=",
        "performed the closing operations",
        "the run's verdict: Valid",
        "the lab has ended",
    ] {
        assert!(log.contains(part), "no {part:?} in\n{log}");
    }
    // Every fault has its lines, and each node that was killed its end.
    let schedule = fs::read_to_string(run.folder().join("schedule.jsonl")).expect("faults");
    let ids: BTreeSet<u64> = schedule
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|fault| fault["id"].as_u64().expect("an id"))
        .collect();
    assert!(!ids.is_empty());
    for id in ids {
        for what in ["injecting", "injected", "healed"] {
            let is_it = |line: &&str| {
                line.contains(&format!("fault{{id={id} ")) && line.contains(&format!(": {what}"))
            };
            assert!(log.lines().any(|line| is_it(&line)), "fault {id} is not {what} in\n{log}");
        }
    }
    assert!(log.lines().count() < 20_000, "debug is by connection: {}", log.lines().count());
    let infos = log.lines().filter(|line| line.contains(" INFO ")).count();
    assert!((20..400).contains(&infos), "info is some dozens of lines: {infos}");
}

#[test]
fn lines_of_nodes_are_stamped_when_they_are_written() {
    let run = Run::new(&[], &["--nemesis", "isolate", "--time", "6s", "--seed", "2"]);
    assert_eq!(run.output.status.code(), Some(0), "{}", run.told());
    let folder = run.folder();
    // What the machine's clock says when the run's begins: a line of the harness has both.
    let log = run.harness();
    let both = log.lines().find_map(|line| {
        let mut parts = line.split(' ');
        let (wall, clock) = (parts.next()?, parts.next()?);
        Some((wall.parse::<jiff::Timestamp>().ok()?, clock.parse::<f64>().ok()?))
    });
    let (wall, clock) = both.expect("a line with both times");
    let began = wall.as_microsecond() as f64 / 1e6 - clock;
    let mut late = Vec::new();
    for node in ["n1", "n2", "n3"] {
        let lines = lines_between(&folder, node, Nanoseconds(0), Nanoseconds(u64::MAX));
        let lines = lines.expect("readable");
        let raw = fs::read_to_string(folder.join("nodes").join(node).join("stderr.log"));
        let raw = raw.expect("there");
        let told: Vec<&str> = lines.iter().map(|line| &*line.text).collect();
        assert_eq!(told, raw.lines().collect::<Vec<_>>(), "every line, as it was written");
        for line in &lines {
            let Some(own) = line.text.split(' ').next().and_then(|it| it.parse().ok()) else {
                continue;
            };
            let own: jiff::Timestamp = own;
            late.push(line.at.as_seconds() - (own.as_microsecond() as f64 / 1e6 - began));
        }
    }
    assert!(late.len() > 10, "{late:?}");
    late.sort_by(f64::total_cmp);
    // A millisecond for what both clocks cut off.
    assert!(late[0] > -0.001, "stamped {} s before it was written", -late[0]);
    let median = late[late.len() / 2];
    assert!(median < 0.5, "stamped {median} s after it was written");
}

#[test]
fn logs_are_printed_in_the_order_of_the_runs_clock() {
    let run = Run::new(&[], &["--nemesis", "kill", "--time", "6s", "--seed", "5"]);
    assert_eq!(run.output.status.code(), Some(0), "{}", run.told());
    let folder = run.folder();
    let all = logs(&folder, &[]);
    let sources: BTreeSet<&str> = all.iter().map(|line| &*line.1).collect();
    assert_eq!(sources, BTreeSet::from(["fault", "harness", "n1 err", "n2 err", "n3 err"]));
    // Lines of the harness that are written at once by several threads may change places.
    for pair in all.windows(2) {
        let are_harness = pair[0].1 == "harness" && pair[1].1 == "harness";
        assert!(pair[0].0 <= pair[1].0 || are_harness, "{pair:?}");
    }
    // A node's end stands between the fault that killed it and the fault's heal.
    let place = |source: &str, part: &str| {
        let found = all.iter().position(|line| line.1 == source && line.2.contains(part));
        found.unwrap_or_else(|| panic!("no {part} of {source} in {all:#?}"))
    };
    let (begun, healed) = (place("fault", "begins"), place("fault", "healed"));
    let ended = place("harness", "ended node=");
    assert!(begun < healed && ended < healed, "{begun} {ended} {healed}");

    let (from, to) = (2.0, 4.0);
    let some = logs(&folder, &["--node", "n2", "--from", "2s", "--to", "4s", "--harness", "info"]);
    assert!(some.iter().all(|line| (from..=to).contains(&line.0)), "{some:#?}");
    assert!(some.iter().all(|line| !line.1.starts_with("n1") && !line.2.starts_with("DEBUG")));
    let expected = all.iter().filter(|line| {
        (from..=to).contains(&line.0) && ["n2 err", "n2 out", "fault"].contains(&&*line.1)
    });
    let selected = some.iter().filter(|line| line.1 != "harness");
    assert!(selected.eq(expected), "{some:#?}");

    let unknown = Command::new(PARTITA).arg("logs").arg(&folder).args(["--node", "n9"]).output();
    let unknown = unknown.expect("partita starts");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("n1, n2, n3"));
}

#[test]
fn flags_and_the_variable_choose_what_is_told() {
    let short = ["--nemesis", "none", "--time", "2s", "--seed", "1"];
    let told = Run::new(&["-v"], &short);
    assert!(told.told().contains("INFO the lab is built"), "{}", told.told());
    assert!(!told.told().contains("DEBUG"), "{}", told.told());
    let quiet = Run::new(&["-q"], &short);
    assert_eq!(quiet.told(), "");
    assert!(String::from_utf8_lossy(&quiet.output.stdout).starts_with("valid"));
    assert!(quiet.harness().contains("nodes are up"), "what is not told is logged");

    let doctor = Command::new(PARTITA).args(["doctor", "-vv"]).output().expect("partita starts");
    let steps = String::from_utf8_lossy(&doctor.stderr).into_owned();
    assert!(steps.contains("DEBUG probe{name=\"user namespaces\"}: making a user"), "{steps}");

    let wrong = Command::new(PARTITA).args(["list"]).env("PARTITA_LOG", "partita=loud").output();
    let wrong = wrong.expect("partita starts");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("PARTITA_LOG"));
}

#[test]
fn relays_log_each_connection() {
    let run = Run::new(&[], &["--lab", "proxies", "--nemesis", "none", "--time", "2s"]);
    assert_eq!(run.output.status.code(), Some(0), "{}", run.told());
    let log = run.harness();
    for part in
        ["claimed a network", "a relay listens", "accepted connection=0", "connected to the node"]
    {
        assert!(log.contains(part), "no {part:?} in\n{log}");
    }
}

#[test]
fn a_run_whose_nodes_never_come_up_has_a_log_and_their_words_have_times() {
    let place = tempfile::tempdir().expect("a folder");
    let target = target(place.path(), "echo 'ready soon'; echo 'no such volume' >&2; exit 7");
    let target = target.to_str().expect("a path");
    let run = Run::new(&[], &["--target", target, "--nemesis", "none", "--time", "2s"]);
    assert_eq!(run.output.status.code(), Some(4), "{}", run.told());
    let log = run.harness();
    assert!(log.contains("status=exit status: 7"), "{log}");
    assert!(log.lines().any(|line| line.contains(" ERROR ")), "{log}");
    let lines = logs(&run.folder(), &["--harness", "none"]);
    for (source, text) in [("n1 out", "ready soon"), ("n1 err", "no such volume")] {
        assert!(lines.iter().any(|line| line.1 == source && line.2 == text), "{lines:#?}");
    }
}

#[test]
fn a_run_that_could_have_no_lab_has_a_log_of_what_was_refused() {
    let place = tempfile::tempdir().expect("a folder");
    let script = format!(
        "for kind in mnt user; do echo 0 > /proc/sys/user/max_${{kind}}_namespaces || exit 77; done; \
         exec {PARTITA} run --lab namespaces --time 2s --out {}",
        place.path().display()
    );
    let output = Command::new("unshare").args(["-r", "bash", "-c", &script]).output();
    let output = output.expect("unshare runs");
    let told = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) || told.contains("unshare failed") {
        eprintln!("skipped: no user namespace can be had here");
        return;
    }
    assert_eq!(output.status.code(), Some(4), "{told}");
    let folder = place.path().join("latest");
    let log = harness(&folder);
    for part in ["root may make no mount namespace", "making a user namespace: refused", "ERROR"] {
        assert!(log.contains(part), "no {part:?} in\n{log}");
    }
    assert!(HarnessLines::open(&folder).expect("there").all(|line| line.is_ok()));
    assert!(!logs(&folder, &[]).is_empty());
}
