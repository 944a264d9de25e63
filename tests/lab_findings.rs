//! What runs find besides violations, on real processes: each kind by a planted bug that shows it, and
//! nothing of the honest store.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

const PARTITA: &str = env!("CARGO_BIN_EXE_partita");

/// A finished run in a folder of its own.
struct Run {
    place: TempDir,
    output: Output,
}

impl Run {
    fn new(words: &str) -> Self {
        let words: Vec<&str> = words.split(' ').collect();
        Self::of(&words, &[])
    }

    /// A run with a schedule of these faults.
    fn scheduled(faults: &str, words: &str) -> Self {
        let place = tempfile::tempdir().expect("a folder");
        let schedule = place.path().join("schedule.toml");
        fs::write(&schedule, format!("faults = [{faults}]\n")).expect("written");
        let schedule = schedule.to_str().expect("a plain path");
        let words: Vec<&str> = words.split(' ').collect();
        Self::of(&words, &["--schedule", schedule])
    }

    fn of(words: &[&str], more: &[&str]) -> Self {
        let place = tempfile::tempdir().expect("a folder");
        let out = place.path().to_str().expect("a plain path").to_owned();
        let mut command = Command::new(PARTITA);
        command.args(["run", "--out", &out]).args(words).args(more).stdin(Stdio::null());
        let output = command.output().expect("partita starts");
        Self { place, output }
    }

    fn folder(&self) -> PathBuf {
        self.place.path().join("latest")
    }

    fn said(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        format!("{}{}", text(&self.output.stdout), text(&self.output.stderr))
    }

    fn record(&self) -> Value {
        let text = fs::read_to_string(self.folder().join("run.json")).expect("run.json");
        serde_json::from_str(&text).expect("JSON")
    }

    /// The kinds of what was found; that the run says so in every place.
    fn kinds(&self) -> Vec<String> {
        let record = self.record();
        let findings = record["findings"].as_array().expect("findings");
        let exit = i32::from(!findings.is_empty());
        assert_eq!(self.output.status.code(), Some(exit), "{}", self.said());
        for finding in findings {
            let kind = finding["kind"].as_str().expect("a kind");
            assert!(finding["at_ns"].is_u64(), "a place in time: {finding:#}");
            let junit = fs::read_to_string(self.folder().join("junit.xml")).expect("a report");
            assert!(junit.contains(&format!("type=\"{kind}\"")), "{junit}");
            let events = fs::read_to_string(self.folder().join("events.jsonl")).expect("events");
            assert!(kind == "violation" || events.contains("\"type\":\"found\""), "{events}");
            assert!(self.said().contains(kind), "{}", self.said());
        }
        let mut kinds: Vec<String> =
            findings.iter().map(|it| it["kind"].as_str().expect("a kind").to_owned()).collect();
        kinds.dedup();
        kinds
    }
}

const ISOLATED: &str =
    "{ at = \"1s\", for = \"2500ms\", fault = \"isolate\", target = \"leader\" }";
const LEADING_NOBODY: &str = "{ at = \"1s\", for = \"2500ms\", fault = \"leader-from-followers\" }";

#[test]
fn a_cluster_that_stops_for_good_is_found_within_its_limit_and_says_what_nodes_were() {
    let words = "--time 5s --seed 1 --mutation leader-remembered --stop-on-finding \
                 --limit recovery<3s";
    let run = Run::scheduled(ISOLATED, words);
    assert_eq!(run.kinds(), ["no-recovery"], "{}", run.said());
    let finding = &run.record()["findings"][0];
    let sentence = finding["sentence"].as_str().expect("a sentence");
    for part in ["were up", "the limit is 3.0 s", "n1 ", "n2 ", "n3 ", " in term "] {
        assert!(sentence.contains(part), "{part}: {sentence}");
    }
    let stacks = fs::read_to_string(run.folder().join("nodes/n1/stacks.txt")).expect("stacks");
    assert!(stacks.contains("  comm: "), "{stacks}");
}

#[test]
fn a_node_that_panics_on_a_conflict_names_its_line_and_is_started_again_where_that_is_asked() {
    let place = tempfile::tempdir().expect("a folder");
    let target = place.path().join("restarted.toml");
    let text = include_str!("../src/targets/raft-node.toml");
    fs::write(&target, format!("restart = \"always\"\n{text}")).expect("written");
    let target = target.to_str().expect("a plain path");
    let words =
        format!("--time 5s --seed 1 --clients 60 --mutation panic-on-conflict --target {target}");
    let run = Run::scheduled(LEADING_NOBODY, &words);
    assert_eq!(run.kinds(), ["crash"], "{}", run.said());
    let record = run.record();
    let finding = &record["findings"][0];
    let place = finding["place"]["file"].as_str().expect("a place");
    assert!(place.ends_with("core/follower.rs"), "{finding:#}");
    let sentence = finding["sentence"].as_str().expect("a sentence");
    assert!(sentence.contains("conflicts with the leader's"), "{sentence}");
    let nodes = record["nodes"].as_array().expect("nodes");
    assert!(nodes.iter().any(|node| node["restarts"].as_u64() > Some(0)), "{nodes:#?}");
    let phases = record["phases"].to_string();
    assert!(phases.contains("settle"), "the run went on: {phases}");
    // What it conflicts with is still there when it comes back.
    assert!(finding["times"].as_u64() > Some(1), "{finding:#}");
}

#[test]
fn two_nodes_that_were_elected_in_one_term_are_found_with_both_lines() {
    let words = "--time 5s --seed 1 --mutation elected-without-votes --stop-on-finding";
    let run = Run::scheduled(ISOLATED, words);
    assert_eq!(run.kinds(), ["two-leaders"], "{}", run.said());
    let record = run.record();
    let sentence = record["findings"][0]["sentence"].as_str().expect("a sentence");
    assert_eq!(sentence.matches("became leader, votes=").count(), 2, "{sentence}");
}

#[test]
fn followers_that_never_apply_hold_other_data_than_the_leader() {
    let run = Run::new("--nemesis none --time 4s --seed 1 --mutation followers-skip-apply");
    assert_eq!(run.kinds(), ["replicas-differ"], "{}", run.said());
    assert_eq!(run.record()["verdict"], "valid", "clients see the leader's state alone");
}

#[test]
fn a_leak_and_an_unavailable_leader_break_their_limits() {
    let words = "--nemesis none --time 6s --seed 1 --mutation applied-kept --limit memory<60MiB \
                 --stop-on-finding";
    let run = Run::new(words);
    assert_eq!(run.kinds(), ["limit-broken"], "{}", run.said());
    let finding = &run.record()["findings"][0];
    assert_eq!(finding["title"], "memory < 60MiB");
    let words = "--time 5s --seed 1 --limit unavailable<100ms --limit latency<1ms";
    let run = Run::scheduled(ISOLATED, words);
    assert_eq!(run.kinds(), ["limit-broken"], "{}", run.said());
    assert_eq!(run.record()["verdict"], "valid", "{}", run.said());
}

/// A target whose nodes run `script` with bash before or instead of raft-node, which is `"$@"`.
fn target(place: &Path, script: &str) -> PathBuf {
    let mut table: toml::Table =
        include_str!("../src/targets/raft-node.toml").parse().expect("TOML");
    let command = table["command"].as_array_mut().expect("a command");
    let words = ["bash", "-c", script, "bash"].map(|word| toml::Value::String(word.to_owned()));
    command.splice(0..0, words);
    table.insert("alarm".to_owned(), vec!["BUG:"].into());
    let path = place.join("target.toml");
    fs::write(&path, toml::to_string(&table).expect("TOML")).expect("written");
    path
}

#[test]
fn a_line_that_its_description_calls_an_alarm_is_found_with_time_and_fault() {
    let place = tempfile::tempdir().expect("a folder");
    let script = "if [[ $PWD == */n2 ]]; then (sleep 3; echo 'src/wal.c:7: BUG: no such index') & \
                  fi; exec \"$@\"";
    let target = target(place.path(), script);
    let words = format!("--time 5s --seed 1 --target {}", target.display());
    let fault = "{ at = \"500ms\", for = \"4s\", fault = \"isolate\", target = \"n3\" }";
    let run = Run::scheduled(fault, &words);
    assert_eq!(run.kinds(), ["crash"], "{}", run.said());
    let finding = &run.record()["findings"][0];
    assert_eq!((&finding["node"], &finding["place"]["line"]), (&"n2".into(), &7.into()));
    let sentence = finding["sentence"].as_str().expect("a sentence");
    assert!(sentence.contains("in force: isolate n3"), "{sentence}");
    assert_eq!(run.record()["verdict"], "valid", "the run goes on: {}", run.said());
}

#[test]
fn a_run_that_holds_keeps_its_nodes_and_says_how_they_are_reached_until_it_is_interrupted() {
    let place = tempfile::tempdir().expect("a folder");
    let out = place.path().to_str().expect("a plain path");
    let words = "run --nemesis none --time 60s --seed 1 --limit open-files<2 --on-finding hold";
    let mut run = Command::new(PARTITA)
        .args(words.split(' '))
        .args(["--out", out])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("partita starts");
    let said = BufReader::new(run.stderr.take().expect("piped"));
    let mut lines = said.lines().map_while(Result::ok).fuse();
    let held = lines.by_ref().find(|line| line.contains("held as it is until Ctrl-C"));
    assert!(held.is_some(), "it holds");
    let reached: Vec<String> = lines.by_ref().take(3).collect();
    for (node, line) in ["n1", "n2", "n3"].iter().zip(&reached) {
        assert!(line.contains(&format!("{node} (")) && line.contains("gdb -p "), "{line}");
    }
    let pid = Pid::from_raw(i32::try_from(run.id()).expect("a process id"));
    assert!(run.try_wait().expect("asked").is_none(), "it still holds");
    kill(pid, Signal::SIGINT).expect("signalled");
    lines.for_each(drop);
    assert_eq!(run.wait().expect("ended").code(), Some(1));
    let events = fs::read_to_string(place.path().join("latest/events.jsonl")).expect("events");
    let place_of = |kind: &str| events.find(&format!("\"type\":\"{kind}\"")).expect("told");
    assert!(place_of("holding") < place_of("stopping"), "{events}");
}

#[test]
fn a_node_that_ends_of_a_disk_error_after_it_was_healed_is_no_crash_and_is_started_again() {
    let place = tempfile::tempdir().expect("a folder");
    let slow_to_end = target(place.path(), "\"$@\"; code=$?; sleep 0.8; exit $code");
    let words = format!("--time 5s --seed 1 --target {}", slow_to_end.display());
    let fault = "{ at = \"1s\", for = \"500ms\", fault = \"disk-error\", target = \"leader\" }";
    let run = Run::scheduled(fault, &words);
    assert_eq!(run.kinds(), [""; 0], "{}", run.said());
    let faults = fs::read_to_string(run.folder().join("schedule.jsonl")).expect("faults");
    assert!(faults.contains("\"what\":\"ended by itself\",\"amount\":1.0"), "{faults}");
    assert_eq!(run.record()["verdict"], "valid", "{}", run.said());
}
