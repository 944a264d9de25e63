//! Faults of membership in whole runs, as the nodes' own words and the run's files show them.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use partita_nemesis::{Family, FaultRecord};
use serde_json::Value;
use tempfile::TempDir;

/// A finished run of four nodes under one fault.
struct Run {
    out: TempDir,
    said: String,
}

impl Run {
    /// Plays `fault` after a second; the run must be proved valid.
    fn under(fault: &str) -> Run {
        let out = tempfile::tempdir().expect("a temporary folder");
        let schedule = out.path().join("one.toml");
        let text = format!("nodes = 4\nfaults = [{{ at = \"1s\", {fault} }}]\n");
        fs::write(&schedule, text).expect("written");
        let output = Command::new(env!("CARGO_BIN_EXE_partita"))
            .args(["run", "--time", "5s", "--seed", "4", "--schedule"])
            .arg(&schedule)
            .args(["--out".as_ref(), out.path().as_os_str()])
            .stdin(Stdio::null())
            .output()
            .expect("partita starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{said}");
        Run { out, said }
    }

    fn text(&self, name: &str) -> String {
        let path: PathBuf = self.out.path().join("latest").join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The fault as it ended.
    fn fault(&self) -> FaultRecord {
        let last = self.text("schedule.jsonl").lines().last().map(serde_json::from_str);
        let record: FaultRecord = last.expect("a fault").expect("a record");
        assert_eq!((record.family, record.error.as_deref()), (Family::Membership, None));
        assert!(record.had_effect() && record.ended_ns.is_some(), "{record:?}");
        record
    }

    /// The members that a node says there are, one after the other, changes under way left out.
    fn members_said_by(&self, node: u32) -> Vec<String> {
        let log = self.text(&format!("nodes/n{node}/stderr.log"));
        let told = log.lines().filter_map(|line| line.split_once("members are "));
        let settled = told.filter(|(_, it)| !it.contains("outgoing") && !it.contains("learners"));
        settled.map(|(_, members)| members.to_owned()).collect()
    }

    /// How often a node was started.
    fn lives_of(&self, node: u32) -> usize {
        self.text(&format!("nodes/n{node}/stderr.log")).matches(" started, life ").count()
    }

    fn effects(&self) -> String {
        let fault = self.fault();
        let whats: Vec<&str> = fault.effects.iter().map(|effect| effect.what.as_str()).collect();
        whats.join("; ")
    }
}

const FEW: &str = "voters=[1, 2, 3]";
const ALL: &str = "voters=[1, 2, 3, 4]";

#[test]
fn leadership_goes_to_another_node_which_says_so_itself() {
    let run = Run::under("for = \"1s\", fault = \"transfer-leadership\"");
    let fault = run.fault();
    let successor = &fault.nodes[0];
    let effect = &fault.effects[0];
    assert!(effect.what.ends_with(&format!(" to {successor}")) && effect.unit == "ms", "{fault:?}");
    let from = effect.what.split(' ').nth(3).expect("who led before");
    assert_ne!(from, successor);
    let log = run.text(&format!("nodes/{successor}/stderr.log"));
    assert!(log.contains("became leader"), "{log}");
    let log = run.text(&format!("nodes/{from}/stderr.log"));
    assert!(log.contains("became leader") && log.contains("follows leader"), "{log}");
    let record: Value = serde_json::from_str(&run.text("run.json")).expect("JSON");
    let roles = record["roles"].as_array().expect("roles");
    let leads = |role: &&Value| role["role"] == "leader";
    let last = roles.iter().rev().find(leads).expect("a leader");
    assert_eq!(last["node"].as_str(), Some(successor.as_str()), "{roles:#?}");
}

#[test]
fn a_removed_node_is_no_member_for_a_while_and_runs_on() {
    let run = Run::under("for = \"2s\", fault = \"remove-node\", target = \"n4\"");
    for node in [1, 2, 3] {
        assert_eq!(run.members_said_by(node), [FEW, ALL], "n{node}");
    }
    assert_eq!(run.lives_of(4), 1);
    let expected = "voters n1 n2 n3 n4 became n1 n2 n3; voters n1 n2 n3 became n1 n2 n3 n4";
    assert_eq!(run.effects(), expected);
    assert!(run.said.contains(&expected.replace(';', "")[..30]), "{}", run.said);
    assert!(run.text("report.html").contains("became n1 n2 n3"));
    let commands = run.text("commands.jsonl");
    assert!(commands.contains("RAFT REMOVE 4") && commands.contains("RAFT ADD 4 "), "{commands}");
}

#[test]
fn a_leader_can_be_removed_and_another_leads() {
    let run = Run::under("for = \"2s\", fault = \"remove-node\", target = \"leader\"");
    let fault = run.fault();
    let old: u32 = fault.nodes[0].trim_start_matches('n').parse().expect("a number");
    let log = run.text(&format!("nodes/n{old}/stderr.log"));
    assert!(log.contains("became leader"), "{log}");
    let others = (1..=4).filter(|node| *node != old);
    let led = others
        .filter(|node| run.text(&format!("nodes/n{node}/stderr.log")).contains("became leader"));
    assert!(led.count() >= 1, "somebody else led while it was out");
    assert_eq!(run.members_said_by(old % 4 + 1).last().map(String::as_str), Some(ALL));
}

#[test]
fn a_replaced_node_is_no_member_and_dead_for_a_while() {
    let run = Run::under("for = \"2s\", fault = \"replace-node\", target = \"n4\"");
    for node in [1, 2, 3] {
        assert_eq!(run.members_said_by(node), [FEW, ALL], "n{node}");
    }
    assert_eq!(run.lives_of(4), 2);
    let last = run.members_said_by(4).pop();
    assert_eq!(last.as_deref(), Some(ALL), "it learns that it is back");
    let expected = "voters n1 n2 n3 n4 became n1 n2 n3; killed by signal 9; \
                    voters n1 n2 n3 became n1 n2 n3 n4";
    assert_eq!(run.effects(), expected);
}

#[test]
fn an_added_node_joins_while_the_fault_is_in_force() {
    let run = Run::under("for = \"2s\", fault = \"add-node\", target = \"n4\", out = \"300ms\"");
    for node in [1, 2, 3] {
        assert_eq!(run.members_said_by(node), [FEW, ALL], "n{node}");
    }
    let commands = run.text("commands.jsonl");
    let asked = commands.lines().find(|line| line.contains("RAFT ADD 4 ")).expect("it was added");
    let asked: Value = serde_json::from_str(asked).expect("JSON");
    let at_ms = asked["at_ms"].as_u64().expect("a time");
    assert!((1_300..3_000).contains(&at_ms), "removed at 1 s, added 300 ms later: {commands}");
}
