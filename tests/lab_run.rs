//! Whole runs with real processes, from the command line to the files they leave.

#[path = "support/needs.rs"]
mod needs;
#[path = "support/nobody.rs"]
mod nobody;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nobody::Nobody;
use serde_json::Value;
use tempfile::TempDir;

const PARTITA: &str = env!("CARGO_BIN_EXE_partita");

/// A finished run in a folder of its own.
struct Run {
    _out: TempDir,
    folder: PathBuf,
    output: Output,
}

impl Run {
    fn new(arguments: &[&str]) -> Self {
        let out = tempfile::tempdir().expect("a temporary folder");
        let output = Command::new(PARTITA)
            .arg("run")
            .args(["--out".as_ref(), out.path().as_os_str()])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("partita starts");
        let folder = out.path().join("latest");
        Self { _out: out, folder, output }
    }

    fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    fn said(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        format!("{}{}", text(&self.output.stdout), text(&self.output.stderr))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).expect("JSON")
    }

    fn text(&self, name: &str) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The faults as they ended: the last line of each.
    fn faults(&self) -> Vec<Value> {
        let mut faults = std::collections::BTreeMap::new();
        for line in self.text("schedule.jsonl").lines() {
            let fault: Value = serde_json::from_str(line).expect("a line of JSON");
            faults.insert(fault["id"].as_u64().expect("an id"), fault);
        }
        faults.into_values().collect()
    }
}

fn partita(arguments: &[&Path]) -> Output {
    Command::new(PARTITA).args(arguments).output().expect("partita starts")
}

#[test]
fn an_honest_store_under_every_fault_is_proved_valid() {
    // By name: a set of several families leaves some of them out, seed by seed.
    let faults = "isolate,halves,one-way,pause,kill";
    let run = Run::new(&["--time", "16s", "--seed", "1", "--nemesis", faults]);
    assert_eq!(run.code(), Some(0), "{}", run.said());
    assert_eq!(run.json("run.json")["verdict"], "valid");
    assert_eq!(run.json("verdict.json")["verdict"], "valid");

    let faults = run.faults();
    for family in ["partition", "process"] {
        assert!(faults.iter().any(|fault| fault["family"] == family), "{faults:#?}");
    }
    for fault in &faults {
        assert!(fault["ended_ns"].is_u64(), "every fault is healed: {fault:#}");
        assert!(fault["error"].is_null(), "{fault:#}");
    }

    for name in ["report.html", "junit.xml", "summary.md"] {
        assert!(!run.text(name).is_empty(), "{name}");
    }
    assert!(run.path("nodes/n1/stderr.log").exists());
    assert!(!run.path("nodes/n1/data").exists(), "a valid run needs no data");
}

#[test]
fn an_honest_store_whose_clocks_are_wrong_is_proved_valid() {
    let run = Run::new(&["--time", "16s", "--nemesis", "clock", "--seed", "3"]);
    assert_eq!(run.code(), Some(0), "{}", run.said());
    let faults = run.faults();
    for name in ["clock-step", "clock-strobe", "clock-rate"] {
        let Some(fault) = faults.iter().find(|fault| fault["fault"] == name) else {
            panic!("no {name}: {faults:#?}");
        };
        assert_eq!(fault["family"], "clock");
        assert!(fault["error"].is_null(), "{fault:#}");
        let moved = &fault["effects"][0];
        assert!(moved["amount"].as_f64() > Some(0.0) && moved["unit"] == "ms", "{fault:#}");
    }
    let rate = faults.iter().find(|fault| fault["fault"] == "clock-rate").expect("found above");
    let readings = rate["effects"].as_array().and_then(|effects| effects.last());
    // raft-node lives by its monotonic clock.
    assert!(readings.expect("effects")["amount"].as_f64() > Some(0.0), "{rate:#}");
}

#[test]
fn an_honest_store_loses_nothing_it_acknowledged_when_all_nodes_lose_power() {
    let run = Run::new(&["--nemesis", "power-loss-all", "--time", "8s", "--seed", "3"]);
    assert_eq!(run.code(), Some(0), "{}", run.said());
    let faults = run.faults();
    assert!(!faults.is_empty());
    for fault in faults {
        assert_eq!(fault["nodes"].as_array().map(Vec::len), Some(3), "{fault:#}");
        let effects = fault["effects"].as_array().expect("effects");
        assert_eq!(effects[0]["what"], "lost power");
        assert_eq!(effects[0]["amount"], 3.0, "{fault:#}");
    }
}

#[test]
fn an_honest_store_refuses_damaged_files_and_loses_nothing() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let schedule = place.path().join("damage.toml");
    let text = r#"
        workload = "append"
        faults = [
          { at = "1s", for = "1500ms", fault = "bit-flip", place = "4KiB", target = "n1" },
          { at = "4s", for = "1500ms", fault = "truncate", target = "n1" },
        ]
    "#;
    fs::write(&schedule, text).expect("written");
    let schedule = schedule.to_str().expect("a plain path");
    let run = Run::new(&["--schedule", schedule, "--time", "7s", "--seed", "1"]);
    assert_eq!(run.code(), Some(0), "{}", run.said());
    let faults = run.faults();
    assert_eq!(faults.len(), 2, "{}", run.said());
    for fault in faults {
        let effects = fault["effects"].as_array().expect("effects");
        let damaged = effects.iter().find(|effect| effect["what"] == "bytes damaged");
        let amount = damaged.and_then(|effect| effect["amount"].as_f64());
        assert!(amount.is_some_and(|amount| amount >= 1.0), "{fault:#}");
    }
}

#[test]
fn check_and_verify_agree_with_the_run_that_wrote_the_files() {
    let run = Run::new(&["--time", "5s", "--nemesis", "isolate", "--seed", "2"]);
    assert_eq!(run.code(), Some(0), "{}", run.said());
    let history = run.path("history.jsonl");
    let certificate = run.path("certificate.json");

    let check = partita(&["check".as_ref(), &history]);
    assert_eq!(check.status.code(), Some(0), "{check:?}");
    let verify = partita(&["verify".as_ref(), &history, &certificate]);
    assert_eq!(verify.status.code(), Some(0), "{verify:?}");

    // A certificate that leaves out its first operation proves nothing.
    let mut tampered = run.json("certificate.json");
    tampered["keys"][0]["order"].as_array_mut().expect("an order").remove(0);
    let forged = run.path("forged.json");
    fs::write(&forged, tampered.to_string()).expect("written");
    let verify = partita(&["verify".as_ref(), &history, &forged]);
    assert_eq!(verify.status.code(), Some(3), "{verify:?}");
}

#[test]
fn a_leader_that_reads_locally_is_caught_and_the_history_convicts_it_again() {
    let run = Run::new(&[
        "--mutation",
        "leader-local-read",
        "--nemesis",
        "partition",
        "--time",
        "12s",
        "--seed",
        "1",
    ]);
    assert_eq!(run.code(), Some(1), "{}", run.said());
    let verdict = run.json("verdict.json");
    assert_eq!(verdict["counterexample"]["anomaly"], "stale-read", "{verdict:#}");
    let sentence = verdict["counterexample"]["sentence"].as_str().expect("a sentence");
    assert!(run.said().contains(sentence), "the sentence is printed");
    assert!(run.path("nodes/n1/data").exists(), "a failed run keeps the data");
    assert!(!run.path("certificate.json").exists());

    let check = partita(&["check".as_ref(), &run.path("history.jsonl")]);
    assert_eq!(check.status.code(), Some(1), "{check:?}");
}

#[test]
fn a_run_told_to_stop_at_a_violation_does_not_wait_for_its_end() {
    let run = Run::new(&[
        "--mutation",
        "leader-local-read",
        "--nemesis",
        "partition",
        "--time",
        "60s",
        "--seed",
        "1",
        "--stop-on-finding",
    ]);
    assert_eq!(run.code(), Some(1), "{}", run.said());
    let phases = run.json("run.json")["phases"].to_string();
    assert!(!phases.contains("final reads"), "it went on to the end: {phases}");
    assert!(run.said().contains("stopped at the first violation"), "{}", run.said());
}

#[test]
fn a_run_without_faults_is_valid_and_as_fast_as_asked() {
    let run = Run::new(&["--nemesis", "none", "--time", "3s", "--rate", "200"]);
    assert_eq!(run.code(), Some(0), "{}", run.said());
    let ok = run.json("run.json")["counts"]["ok"].as_u64().expect("a count");
    assert!(ok >= 100, "{ok} operations");
}

#[test]
fn a_seed_that_was_drawn_is_the_same_in_everything_that_a_run_leaves() {
    let run = Run::new(&["--nemesis", "pause", "--time", "3s"]);
    let seed = run.json("run.json")["seed"].as_u64().expect("a seed");
    let name = fs::canonicalize(&run.folder).expect("a folder");
    assert!(name.to_string_lossy().ends_with(&format!("-register-{seed}")), "{}", name.display());
    assert_eq!(run.json("spec.json")["seed"], seed);
    let command = run.json("run.json")["command"].as_str().expect("a command").to_owned();
    assert!(command.contains(&format!("--seed {seed}")), "{command}");
    assert!(run.text("schedule.toml").contains(&format!("seed = {seed}")), "of what was played");
}

#[test]
fn a_node_that_never_starts_is_the_harness_failing() {
    let out = tempfile::tempdir().expect("a temporary folder");
    let target = out.path().join("broken.toml");
    fs::write(
        &target,
        "name = \"broken\"\nabout = \"exits at once\"\nprotocol = \"resp\"\nports = { client = 6379 }\n\
         command = [\"/bin/sh\", \"-c\", \"echo no such disk >&2; exit 7\"]\n",
    )
    .expect("written");
    let run = Run::new(&["--target", target.to_str().expect("a plain path"), "--time", "3s"]);
    assert_eq!(run.code(), Some(4), "{}", run.said());
    assert!(run.said().contains("no such disk"), "the node's own words: {}", run.said());
}

/// Starts a long run and waits until clients are at work.
fn begin_long_run(out: &Path) -> Child {
    let child = Command::new(PARTITA)
        .args(["run", "--time", "60s", "--out"])
        .arg(out)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("partita starts");
    let history = out.join("latest/history.jsonl");
    let begun = Instant::now();
    while fs::metadata(&history).map_or(0, |file| file.len()) < 100_000 {
        assert!(begun.elapsed() < Duration::from_secs(60), "no operations were recorded");
        std::thread::sleep(Duration::from_millis(100));
    }
    child
}

/// The processes whose command line names `folder`.
fn processes_of(folder: &Path) -> Vec<String> {
    let name = folder.to_str().expect("a plain path");
    let entries = fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    entries
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(name))
        .collect()
}

#[test]
fn a_run_killed_with_sigkill_leaves_no_process_and_no_mount() {
    let out = tempfile::tempdir().expect("a temporary folder");
    let mounts = fs::read_to_string("/proc/mounts").expect("mounts");
    let mut child = begin_long_run(out.path());
    assert!(processes_of(out.path()).len() >= 5, "outer, init, controller and three nodes");
    child.kill().expect("killed");
    child.wait().expect("ended");
    let begun = Instant::now();
    while !processes_of(out.path()).is_empty() {
        let left = processes_of(out.path());
        assert!(begun.elapsed() < Duration::from_secs(30), "still there: {left:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(fs::read_to_string("/proc/mounts").expect("mounts"), mounts);
}

#[test]
fn a_run_needs_no_root() {
    let Some(nobody) = Nobody::new() else { return };
    let output = nobody.run(&["--time", "6s", "--seed", "3"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let run = nobody.latest("run.json");
    assert!(run.contains("\"lab\": \"user namespaces\""), "{run}");
}

#[test]
fn an_interrupted_run_heals_tears_down_and_is_unknown() {
    let out = tempfile::tempdir().expect("a temporary folder");
    let child = begin_long_run(out.path());
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("signalled");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("interrupted"), "{said}");
    let run = fs::read_to_string(out.path().join("latest/run.json")).expect("run.json");
    assert!(run.contains("\"verdict\": \"unknown\""), "{run}");
    assert!(out.path().join("latest/report.html").exists());
}

#[test]
fn a_recipe_brings_its_workload_and_finds_what_it_is_for() {
    let run = Run::new(&[
        "--schedule",
        "retries",
        "--mutation",
        "no-dedup",
        "--time",
        "40s",
        "--seed",
        "1",
        "--stop-on-finding",
    ]);
    assert_eq!(run.code(), Some(1), "{}", run.said());
    let record = run.json("run.json");
    assert_eq!((&record["workload"], &record["nemesis"]), (&"retry".into(), &"retries".into()));
    let command = record["command"].as_str().expect("a command");
    assert!(!command.contains("--workload"), "the recipe says it: {command}");
}

#[test]
fn an_honest_store_whose_members_change_under_faults_is_proved_valid() {
    let run = Run::new(&["--schedule", "changing-members", "--time", "9s", "--seed", "2"]);
    assert_eq!(run.code(), Some(0), "{}", run.said());
    let answers = run.text("commands.jsonl");
    assert!(answers.lines().count() >= 10, "{answers}");
    assert!(answers.contains("RAFT REMOVE 1") && answers.contains("OK"), "{answers}");
}
