//! Runs without clients, judged by what the nodes' status tells of elections, and sidecars that end.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const RAFT_NODE: &str = include_str!("../src/targets/raft-node.toml");

/// A finished run of a target that this text describes.
struct Run {
    place: TempDir,
    output: Output,
}

impl Run {
    fn of(description: &str, words: &str) -> Self {
        let place = tempfile::tempdir().expect("a folder");
        let target = place.path().join("mine.toml");
        fs::write(&target, description).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_partita"));
        command.arg("run").arg("--target").arg(&target).arg("--out").arg(place.path());
        command.args(words.split(' ')).stdin(Stdio::null());
        let output = command.output().expect("partita starts");
        Self { place, output }
    }

    fn file(&self, name: &str) -> String {
        let path: &Path = &self.place.path().join("latest").join(name);
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}: {}", self.said()))
    }

    fn said(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        format!("{}{}", text(&self.output.stdout), text(&self.output.stderr))
    }

    /// What it ended with, and what it found: kinds and titles.
    fn result(&self) -> (Option<i32>, Value, Vec<String>) {
        let record: Value = serde_json::from_str(&self.file("run.json")).expect("JSON");
        let title = |it: &Value| format!("{}: {}", it["kind"], it["title"]).replace('"', "");
        let findings = record["findings"].as_array().expect("findings").iter().map(title).collect();
        (self.output.status.code(), record, findings)
    }
}

#[test]
fn elections_under_partitions_are_counted_and_the_verdict_says_what_was_judged() {
    let run = Run::of(RAFT_NODE, "--workload none --nemesis isolate --time 12s --seed 1");
    let (code, record, findings) = run.result();
    assert_eq!((code, findings), (Some(0), vec![]), "{}", run.said());
    let elections = &record["elections"];
    assert!(elections["under_load"].as_u64() > Some(0), "{elections:#}");
    assert_eq!(record["counts"]["invoked"], 0);
    let observed = elections["observed"].as_u64().expect("a count");
    let valid = format!("valid: {observed} election");
    assert!(run.said().contains(&valid), "{}", run.said());
    for name in ["report.html", "summary.md"] {
        assert!(run.file(name).contains("No client asked for anything."), "{name}");
    }
    let certificate = run.place.path().join("latest/certificate.json");
    assert!(!certificate.exists(), "nothing is certified");
}

#[test]
fn without_a_status_nothing_is_proved() {
    let silent = format!("{RAFT_NODE}\n[status]\nterm = \"epoch\"\n");
    let run = Run::of(&silent, "--workload none --nemesis none --time 2s --seed 1");
    let (code, record, findings) = run.result();
    assert_eq!((code, findings), (Some(3), vec![]), "{}", run.said());
    let remarks = record["remarks"].to_string();
    assert!(remarks.contains("no node told a role and a term"), "{remarks}");
}

#[test]
fn a_sidecar_that_ends_on_its_own_is_found_and_ends_the_run_unless_it_is_started_again() {
    let sidecar = "\n[[sidecar]]\nname = \"proxy\"\n\
                   command = [\"sh\", \"-c\", \"sleep 2.5; echo out of luck >&2; exit 7\"]\n";
    let words = "--nemesis none --workload register --time 5s --seed 1";
    let run = Run::of(&format!("{RAFT_NODE}{sidecar}"), words);
    let (code, record, findings) = run.result();
    assert_eq!(code, Some(1), "{}", run.said());
    assert_eq!(findings[0], "crash: proxy ended (exit status: 7)", "{}", run.said());
    assert!(record["remarks"].to_string().contains("by this finding"), "{}", run.said());
    let sentence = record["findings"][0]["sentence"].as_str().expect("a sentence");
    assert!(sentence.contains("out of luck"), "{sentence}");

    let run = Run::of(&format!("restart = \"always\"\n{RAFT_NODE}{sidecar}"), words);
    let (code, record, findings) = run.result();
    assert_eq!((code, findings.len()), (Some(1), 3), "one a node: {}", run.said());
    assert_eq!(record["verdict"], "valid", "the run went on: {}", run.said());
    assert!(record["findings"][0]["times"].as_u64() >= Some(2), "{:#}", record["findings"]);

    let run = Run::of(&format!("expected-exits = [7]\n{RAFT_NODE}{sidecar}"), words);
    assert_eq!(run.result().0, Some(0), "{}", run.said());
}
