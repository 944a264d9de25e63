//! Runs that end before their time, whatever the reason: what was recorded is judged, and nothing of
//! them is left.

#[path = "support/needs.rs"]
mod needs;
#[path = "support/remains.rs"]
mod remains;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};

use needs::Need;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

const PARTITA: &str = env!("CARGO_BIN_EXE_partita");

/// A run that is under way.
struct Run {
    out: TempDir,
    outer: Child,
    said: BufReader<ChildStderr>,
}

impl Run {
    fn begin(arguments: &[&str]) -> Run {
        let out = tempfile::tempdir().expect("a temporary folder");
        let mut outer = Command::new(PARTITA)
            .arg("run")
            .args(["--out".as_ref(), out.path().as_os_str()])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("partita starts");
        let said = BufReader::new(outer.stderr.take().expect("a pipe"));
        Run { out, outer, said }
    }

    fn folder(&self) -> PathBuf {
        self.out.path().join("latest")
    }

    fn json(&self, name: &str) -> Value {
        let text =
            fs::read(self.folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        serde_json::from_slice(&text).expect("JSON")
    }

    /// Waits until it has said something with these words; whether it did before its end.
    fn await_words(&mut self, words: &str) -> bool {
        let mut line = String::new();
        while self.said.read_line(&mut line).is_ok_and(|read| read > 0) {
            if line.contains(words) {
                return true;
            }
            line.clear();
        }
        false
    }

    /// The process that carries the run out: the child of the lab's first one.
    fn controller(&self) -> Pid {
        let child = |parent: u32| -> u32 {
            let path = format!("/proc/{parent}/task/{parent}/children");
            let children = fs::read_to_string(path).expect("children");
            children.split_whitespace().next().expect("a child").parse().expect("a number")
        };
        let controller = child(child(self.outer.id()));
        Pid::from_raw(i32::try_from(controller).expect("a process"))
    }

    /// Its exit code and what it said on standard output.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        let _ = self.said.read_to_string(&mut said);
        let mut stdout = String::new();
        let mut pipe = self.outer.stdout.take().expect("a pipe");
        pipe.read_to_string(&mut stdout).expect("text");
        (self.outer.wait().expect("ended").code(), stdout)
    }

    /// All files that say what became of the run, which all say this.
    fn assert_told(&self, words: &str) {
        for name in ["run.json", "junit.xml", "summary.md", "report.html"] {
            let text = fs::read_to_string(self.folder().join(name)).expect(name);
            assert!(text.contains(words), "{name} does not say {words:?}: {text}");
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Of a failed test; with it goes everything it started.
        let _ = self.outer.kill();
        let _ = self.outer.wait();
    }
}

/// A moment of a run, by what has happened.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// It has said this.
    Said(&'static str),
    /// Its folder has this.
    Has(&'static str),
    /// So many events are recorded.
    Events(usize),
}

/// Fifty moments between the first word and the last file.
fn moments() -> Vec<Moment> {
    use Moment::{Events, Has, Said};
    let mut moments = vec![Said("run "), Has("spec.json"), Has("nodes"), Said("nodes are up")];
    moments.push(Has("history.jsonl"));
    moments.extend((0..36).map(|number| Events(1 + 40 * number)));
    moments.extend([Said(" begins"), Said(" healed;"), Said("all faults are healed")]);
    moments.extend([Said("reading "), Has("links.jsonl"), Has("verdict.json")]);
    moments.extend([Has("report.html"), Has("junit.xml"), Has("certificate.json")]);
    moments
}

fn events(folder: &Path) -> usize {
    let text = fs::read(folder.join("history.jsonl")).unwrap_or_default();
    text.iter().filter(|byte| **byte == b'\n').count()
}

fn check(folder: &Path) -> Output {
    Command::new(PARTITA).arg("check").arg(folder).output().expect("partita starts")
}

/// Kills a short run with SIGKILL at this moment: nothing of it is left, and what was recorded is
/// judged.
fn kill_at(moment: Moment) {
    let faults = ["--time", "3s", "--rate", "300", "--seed", "7", "--nemesis", "isolate,kill"];
    let mut run = Run::begin(&faults);
    match moment {
        Moment::Said(words) => {
            run.await_words(words);
        }
        Moment::Has(name) => await_or_end(&mut run, |folder| folder.join(name).exists()),
        Moment::Events(count) => await_or_end(&mut run, |folder| events(folder) >= count),
    }
    run.outer.kill().expect("killed");
    run.outer.wait().expect("ended");
    remains::assert_none(run.out.path());

    let folder = run.folder();
    let is_concluded = folder.join("run.json").exists();
    let recorded = events(&folder);
    let output = check(&folder);
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let code = output.status.code();
    // The store is honest, and a run that was not concluded proves nothing.
    let wanted: &[Option<i32>] = if is_concluded { &[Some(0), Some(3)] } else { &[Some(3)] };
    assert!(wanted.contains(&code), "{moment:?}: {code:?} after {recorded} events: {said}");
    if !is_concluded {
        assert!(said.contains("cut off at event"), "{moment:?}: {said}");
    }
}

/// Waits until the run's folder is as wanted, or the run has ended first.
fn await_or_end(run: &mut Run, is_so: impl Fn(&Path) -> bool) {
    let begun = Instant::now();
    while !is_so(&run.folder()) && run.outer.try_wait().expect("a child").is_none() {
        assert!(begun.elapsed() < remains::LIMIT, "the moment does not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Six moments every day; `scripts/soak` has all fifty.
#[test]
fn a_run_that_is_killed_leaves_a_verdict_and_nothing_else() {
    let moments = moments();
    assert_eq!(moments.len(), 50);
    let all = std::env::var_os("PARTITA_SOAK").is_some();
    let few = [3, 5, 17, 41, 44, 45];
    for (number, moment) in moments.into_iter().enumerate() {
        if all || few.contains(&number) {
            kill_at(moment);
        }
    }
}

#[test]
fn a_run_whose_controller_is_killed_is_judged_by_the_process_that_started_it() {
    let mut run = Run::begin(&["--time", "30s", "--seed", "7", "--nemesis", "isolate"]);
    assert!(run.await_words(" begins"));
    kill(run.controller(), Signal::SIGKILL).expect("killed");
    let (code, stdout) = run.end();
    assert_eq!(code, Some(4), "{stdout}");
    assert!(stdout.contains("cut off at event"), "{stdout}");
    let record = run.json("run.json");
    assert_eq!(record["verdict"], "unknown");
    assert!(record["counts"]["ok"].as_u64() > Some(0), "{record:#}");
    run.assert_told("ended by signal 9");
    let told = events_told(&run.folder());
    assert!(
        told.contains(&"fault-injected".to_owned()),
        "of the process that was killed: {told:?}"
    );
    remains::assert_none(run.out.path());
}

#[test]
fn a_violation_stands_although_the_controller_is_killed() {
    let bug =
        ["--mutation", "leader-local-read", "--nemesis", "leader-from-followers", "--seed", "2"];
    let mut run = Run::begin(&[&bug[..], &["--time", "60s"]].concat());
    // By then a leader that was cut off has answered reads of what was replaced meanwhile.
    for _ in 0..4 {
        assert!(run.await_words(" healed;"));
    }
    kill(run.controller(), Signal::SIGKILL).expect("killed");
    let (code, stdout) = run.end();
    assert_eq!(code, Some(1), "{stdout}");
    assert_eq!(run.json("run.json")["verdict"], "violation");
    run.assert_told("ended by signal 9");
    let log = fs::read_to_string(run.folder().join("harness.log")).expect("a log");
    let (before, after) = log.split_once("the controller has ended before").expect("its end");
    assert!(before.contains("fault{id=0 ") && after.contains("the checker says"), "{log}");
    let logs = Command::new(PARTITA).arg("logs").arg(run.folder()).output().expect("starts");
    assert!(logs.status.success());
    let lines = String::from_utf8(logs.stdout).expect("text");
    assert!(lines.contains(" n1 err ") && lines.contains(" fault "), "{lines}");
}

/// A target whose nodes run `script` with bash before or instead of raft-node, which is `"$@"`.
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
fn a_node_that_panics_ends_the_run_and_its_own_line_says_why() {
    let place = tempfile::tempdir().expect("a folder");
    let script = "\
        \"$@\" & node=$!; trap 'kill $node' TERM; \
        if [[ $PWD == */n2 ]]; then sleep 3; \
        (echo \"thread 'engine' panicked at src/log.rs:31:9:\"; echo 'the log has a hole'; \
          echo 'stack backtrace:'; for i in $(seq 40); do echo \"  $i: core::ops::call\"; done) >&2; \
        kill -9 $node; exit 101; fi; wait $node";
    let target = target(place.path(), script);
    let target = target.to_str().expect("a path");
    let mut run =
        Run::begin(&["--target", target, "--nemesis", "none", "--time", "30s", "--seed", "1"]);
    let (code, stdout) = run.end();
    assert_eq!(code, Some(1), "{stdout}");
    assert!(stdout.starts_with("crash: panic at src/log.rs:31\n"), "{stdout}");
    assert!(stdout.contains("n2 ended on its own"), "{stdout}");
    assert!(stdout.contains("the log has a hole"), "{stdout}");
    run.assert_told("the log has a hole");
    let record = run.json("run.json");
    assert_eq!((&record["verdict"], &record["failure"]), (&"unknown".into(), &Value::Null));
    let finding = &record["findings"][0];
    assert_eq!((&finding["kind"], &finding["node"]), (&"crash".into(), &"n2".into()));
    assert_eq!(finding["place"], serde_json::json!({ "file": "src/log.rs", "line": 31 }));
    let junit = fs::read_to_string(run.folder().join("junit.xml")).expect("a report");
    assert!(junit.contains("<failure") && junit.contains("type=\"crash\""), "{junit}");
    let told = events_told(&run.folder());
    assert!(told.contains(&"node-ended".to_owned()) && told.contains(&"stopping".to_owned()));
}

#[test]
fn a_node_that_ends_as_its_description_expects_is_no_finding() {
    let place = tempfile::tempdir().expect("a folder");
    let script = "\
        \"$@\" & node=$!; trap 'kill $node' TERM; \
        if [[ $PWD == */n3 ]]; then sleep 2; kill -9 $node; exit 9; fi; wait $node";
    let path = target(place.path(), script);
    let text = fs::read_to_string(&path).expect("a target");
    fs::write(&path, format!("expected-exits = [9]\n{text}")).expect("written");
    let path = path.to_str().expect("a path");
    let mut run =
        Run::begin(&["--target", path, "--nemesis", "none", "--time", "4s", "--seed", "1"]);
    let (code, stdout) = run.end();
    assert_eq!(code, Some(3), "two of three nodes answer the final reads: {stdout}");
    assert_eq!(run.json("run.json")["findings"], serde_json::json!([]));
    let text = fs::read_to_string(run.folder().join("events.jsonl")).expect("events");
    let ended = text.lines().find(|line| line.contains("\"node-ended\"")).expect("told");
    assert!(ended.contains("\"expected\":true"), "{ended}");
}

/// The types of the events in a run's folder, which are whole, in order of time, and one run's.
fn events_told(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("events.jsonl")).expect("events");
    let events: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("whole")).collect();
    let times: Vec<u64> = events.iter().map(|it| it["at_ns"].as_u64().expect("a time")).collect();
    assert!(times.is_sorted(), "{text}");
    let types: Vec<String> =
        events.iter().map(|it| it["type"].as_str().expect("a type").to_owned()).collect();
    assert_eq!(types.first().map(String::as_str), Some("started"), "{text}");
    assert_eq!(types.last().map(String::as_str), Some("finished"), "{text}");
    assert_eq!(types.iter().filter(|it| *it == "finished").count(), 1, "{text}");
    types
}

#[test]
fn nodes_that_never_come_up_leave_all_files_and_what_they_said() {
    let place = tempfile::tempdir().expect("a folder");
    let script = "echo 'ready soon'; echo 'fatal error: no such volume: /dev/none' >&2; exit 7";
    let target = target(place.path(), script);
    let target = target.to_str().expect("a path");
    let mut run =
        Run::begin(&["--target", target, "--nemesis", "none", "--time", "5s", "--seed", "1"]);
    let (code, stdout) = run.end();
    assert_eq!(code, Some(4), "{stdout}");
    run.assert_told("no such volume");
    assert_eq!(run.json("run.json")["counts"]["invoked"], 0);
}

#[test]
fn a_node_that_floods_its_output_is_capped_and_the_run_says_so() {
    let place = tempfile::tempdir().expect("a folder");
    let script = "\
        if [[ $PWD == */n1 ]]; then (echo first; yes 'one more line of noise' | head -c 60000000; \
        echo last) >&2 & fi; exec \"$@\"";
    let target = target(place.path(), script);
    let target = target.to_str().expect("a path");
    let limit = ["--node-log-limit", "1MiB", "--nemesis", "none", "--time", "6s", "--seed", "1"];
    let mut run = Run::begin(&[&["--target", target], &limit[..]].concat());
    let (code, stdout) = run.end();
    assert_eq!(code, Some(0), "{stdout}");
    assert!(stdout.contains("n1/stderr.log has its beginning and its end"), "{stdout}");
    let kept = fs::read_to_string(run.folder().join("nodes/n1/stderr.log")).expect("text");
    assert!(kept.len() <= 1 << 20, "{} bytes", kept.len());
    assert!(kept.contains("first\n") && kept.contains("bytes are left out here"));
    assert!(run.json("run.json")["notes"].to_string().contains("left out"));
}

#[test]
fn a_controller_that_was_suspended_is_noted_and_held_against_nobody() {
    let arguments = ["--nemesis", "isolate", "--time", "8s", "--seed", "3", "--rate", "200"];
    let mut run = Run::begin(&arguments);
    assert!(run.await_words(" begins"));
    let controller = run.controller();
    kill(controller, Signal::SIGSTOP).expect("suspended");
    std::thread::sleep(Duration::from_millis(1_500));
    kill(controller, Signal::SIGCONT).expect("continued");
    let (code, stdout) = run.end();
    assert_eq!(code, Some(0), "{stdout}");
    assert!(stdout.contains("the controller itself stood still"), "{stdout}");
    let record = run.json("run.json");
    let stalls = record["stalls"].as_array().expect("stalls");
    let longest = stalls.iter().filter_map(|stall| stall["length_ns"].as_u64()).max();
    assert!(longest > Some(1_300_000_000), "{record:#}");
}

/// Where a disk of a few megabytes can be had without asking anybody: in namespaces of one's own.
#[test]
fn a_disk_that_fills_up_ends_the_run_and_what_was_recorded_is_judged() {
    let place = tempfile::tempdir().expect("a folder");
    let (disk, kept) = (place.path().join("disk"), place.path().join("kept"));
    fs::create_dir(&disk).expect("made");
    let script = format!(
        "mount -t tmpfs -o size=14m none {disk} || exit 77; \
         {PARTITA} run --rate 3000 --clients 60 --nemesis none --time 60s --seed 1 --out {disk}; \
         code=$?; cp -rL {disk}/latest {kept}; exit $code",
        disk = disk.display(),
        kept = kept.display()
    );
    let output = Command::new("unshare").args(["-rm", "bash", "-c", &script]).output();
    let output = output.expect("unshare runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let refused = output.status.code() == Some(77) || said.contains("unshare failed");
    if !Need::Mount.met(!refused) {
        return;
    }
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("cut off at event"), "{said}");
    let record: Value =
        serde_json::from_slice(&fs::read(kept.join("run.json")).expect("run.json")).expect("JSON");
    assert_eq!(record["verdict"], "unknown");
    assert!(record["counts"]["ok"].as_u64() > Some(100), "{record:#}");
    for name in ["junit.xml", "summary.md", "report.html"] {
        assert!(fs::metadata(kept.join(name)).is_ok_and(|it| it.len() > 0), "{name}");
    }
}
