//! Runs played again and shrunk, from the command line to the files they leave.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use partita_nemesis::FaultRecord;
use tempfile::TempDir;

/// A folder with a schedule in it, where commands run.
struct TestBed(TempDir);

impl TestBed {
    fn new(schedule: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("mine.toml"), schedule).expect("written");
        Self(folder)
    }

    fn partita(&self, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_partita"));
        command.args(line.split(' ')).current_dir(self.0.path());
        command.output().expect("partita starts")
    }

    fn text(&self, path: &str) -> String {
        let path = self.0.path().join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The faults of a run as they ended, by number.
    fn faults(&self, run: &str) -> Vec<FaultRecord> {
        let text = self.text(&format!("{run}/schedule.jsonl"));
        let records = text.lines().map(|line| serde_json::from_str(line).expect("a record"));
        records.filter(|record: &FaultRecord| record.ended_ns.is_some()).collect()
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

const TWO_FAULTS: &str = "about = \"two\"\nfaults = [\n  \
    { at = \"500ms\", for = \"1s\", fault = \"pause\", target = \"leader\" },\n  \
    { at = \"1s..2s\", for = \"1s\", fault = \"one-way\", target = \"random\", direction = \"in\" },\n]\n";

#[test]
fn replay_repeats_a_run_by_its_plan_or_on_the_very_same_nodes() {
    let ground = TestBed::new(TWO_FAULTS);
    let run = ground.partita("run --schedule mine.toml --time 4s --seed 5 --pcap");
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    let before = ground.faults("partita-runs/latest");
    assert_eq!(before.len(), 2);
    assert!(ground.text("partita-runs/latest/links.jsonl").contains("\"forwarded\":"));
    let nodes = partita_reports::samples::samples(&ground.text("partita-runs/latest/nodes.jsonl"));
    let of_n2 = || nodes.iter().filter(|sample| sample.node == "n2");
    assert!(of_n2().count() > 20, "ten a second: {}", of_n2().count());
    assert!(of_n2().any(|it| it.memory.is_some_and(|bytes| bytes > 1 << 20)), "{nodes:?}");
    assert!(of_n2().any(|it| it.applied > Some(10)) && of_n2().any(|it| it.cpu_ns > Some(0)));
    assert!(nodes.iter().all(|it| it.syncs.is_none()), "no fault of disks: nobody hears of syncs");
    let captured = fs::read(ground.0.path().join("partita-runs/latest/pcap/n1-to-n2.pcap"));
    assert!(captured.expect("a capture").len() > 1_000);

    let replay = ground.partita("replay partita-runs/latest --exact");
    assert_eq!(replay.status.code(), Some(0), "{}", said(&replay));
    let after = ground.faults("partita-runs/latest/replays/latest");
    let told = |faults: &[FaultRecord]| {
        let told = |it: &FaultRecord| (it.id, it.fault.clone(), it.nodes.clone());
        let mut told: Vec<_> = faults.iter().map(told).collect();
        told.sort();
        told
    };
    assert_eq!(told(&after), told(&before), "the very same nodes");

    let replay = ground.partita("replay partita-runs/latest");
    assert_eq!(replay.status.code(), Some(0), "{}", said(&replay));
    let after = ground.faults("partita-runs/latest/replays/latest");
    assert_eq!(after[0].target, "leader", "whoever leads this time");
    assert_eq!(
        ground
            .text("partita-runs/latest/replays/latest/schedule.toml")
            .lines()
            .skip(1)
            .collect::<Vec<_>>(),
        ground.text("partita-runs/latest/schedule.toml").lines().skip(1).collect::<Vec<_>>()
    );
}

#[test]
fn a_run_is_the_same_whether_it_is_asked_for_by_arguments_or_by_its_specification() {
    let ground = TestBed::new(TWO_FAULTS);
    let arguments = "--schedule mine.toml --time 3s --seed 5 --rate 200 --nodes 3";
    let printed = ground.partita(&format!("run {arguments} --print-spec"));
    assert_eq!(printed.status.code(), Some(0), "{}", said(&printed));
    let spec = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert_eq!(spec.lines().count(), 1, "{spec}");
    assert!(!ground.0.path().join("partita-runs").exists(), "nothing was run");

    let first = ground.partita(&format!("run {arguments} --out first"));
    assert_eq!(first.status.code(), Some(0), "{}", said(&first));
    // The specification is all it takes.
    fs::remove_file(ground.0.path().join("mine.toml")).expect("removed");
    let mut second = Command::new(env!("CARGO_BIN_EXE_partita"));
    second.args(["run", "--spec", "-", "--out", "second"]).current_dir(ground.0.path());
    second.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut second = second.spawn().expect("partita starts");
    second.stdin.take().expect("a pipe").write_all(spec.as_bytes()).expect("read");
    let second = second.wait_with_output().expect("ended");
    assert_eq!(second.status.code(), Some(0), "{}", said(&second));
    for name in ["spec.json", "schedule.toml"] {
        let texts = ["first", "second"].map(|out| ground.text(&format!("{out}/latest/{name}")));
        assert_eq!(texts[0], texts[1], "{name}");
    }
    let spec = ground.text("first/latest/spec.json");
    assert!(spec.contains("one-way"), "the schedule stands in it: {spec}");
}

#[test]
fn a_specification_that_is_not_understood_is_refused() {
    let ground = TestBed::new(TWO_FAULTS);
    let spec = ground.partita("run --seed 1 --print-spec");
    let spec = String::from_utf8_lossy(&spec.stdout).into_owned();
    let refused = |text: &str, words: &str| {
        fs::write(ground.0.path().join("spec.json"), text).expect("written");
        let output = ground.partita("run --spec spec.json");
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(words), "{words}: {}", said(&output));
    };
    refused(&spec.replace("\"format\":1", "\"format\":9"), "format 9");
    refused(&spec.replace("\"seed\"", "\"sead\""), "`sead`");
    refused(&spec.replace("\"raft-node\"", "\"rafft-node\""), "did you mean `raft-node`");
    refused(&spec.replace("\"nodes\":3", "\"nodes\":0"), "expected 1 to 9");
    fs::write(ground.0.path().join("spec.json"), &spec).expect("written");
    let both = ground.partita("run --spec spec.json --seed 3");
    assert_eq!(both.status.code(), Some(2), "{}", said(&both));
    assert!(said(&both).contains("cannot be used with"), "{}", said(&both));
}

#[test]
fn a_folder_that_was_copied_is_played_again_without_the_original_and_the_target_file() {
    let ground = TestBed::new(TWO_FAULTS);
    let built_in = concat!(env!("CARGO_MANIFEST_DIR"), "/src/targets/raft-node.toml");
    let target = fs::read_to_string(built_in).expect("the built-in target");
    let target = target.replace("name = \"raft-node\"", "name = \"my-store\"");
    fs::write(ground.0.path().join("store.toml"), target).expect("written");
    let run = ground.partita("run --target store.toml --schedule mine.toml --time 3s --seed 5");
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));

    let elsewhere = TestBed::new("");
    let original = fs::canonicalize(ground.0.path().join("partita-runs/latest")).expect("a run");
    let copy = elsewhere.0.path().join("copy");
    let copied = Command::new("cp").arg("-r").arg(&original).arg(&copy).status();
    assert!(copied.expect("cp runs").success());
    drop(ground);
    assert!(!original.exists());

    let replay = elsewhere.partita("replay copy");
    assert_eq!(replay.status.code(), Some(0), "{}", said(&replay));
    assert!(said(&replay).contains("1 of 1: valid"), "{}", said(&replay));
    assert_eq!(elsewhere.faults("copy/replays/latest").len(), 2);
    let replayed = elsewhere.text("copy/replays/latest/run.json");
    assert!(replayed.contains("\"target\": \"my-store\""), "{replayed}");
}

#[test]
fn what_is_no_run_cannot_be_played_again() {
    let ground = TestBed::new(TWO_FAULTS);
    for command in ["replay nowhere", "shrink nowhere", "replay ."] {
        let output = ground.partita(command);
        assert_eq!(output.status.code(), Some(2), "{command}: {}", said(&output));
        let missing = if command.ends_with('.') { "spec.json" } else { "nowhere" };
        assert!(said(&output).contains(missing), "{}", said(&output));
    }
}

#[test]
fn a_schedule_with_a_mistake_is_refused_with_its_line() {
    let ground = TestBed::new("faults = [\n  { at = \"1s\", fault = \"pauze\" },\n]\n");
    let output = ground.partita("run --schedule mine.toml");
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("mine.toml:2: unknown fault `pauze`"), "{}", said(&output));
    let output = ground.partita("run --schedule leader-rotatoin");
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("leader-rotation"), "{}", said(&output));
}

#[test]
fn shrinking_leaves_the_fault_that_matters() {
    let ground = TestBed::new(
        "about = \"one that matters among four\"\nfaults = [\n  \
         { at = \"500ms\", for = \"200ms\", fault = \"pause\", target = \"follower\" },\n  \
         { at = \"1s\", for = \"2500ms\", fault = \"isolate\", target = \"leader\" },\n  \
         { at = \"4s\", for = \"200ms\", fault = \"pause\", target = \"follower\" },\n  \
         { at = \"5s\", for = \"200ms\", fault = \"one-way\", target = \"follower\" },\n]\n",
    );
    let run =
        ground.partita("run --schedule mine.toml --time 6s --seed 5 --mutation leader-local-read");
    assert_eq!(run.status.code(), Some(1), "{}", said(&run));
    let shrunk = ground.partita("shrink partita-runs/latest --search 1/2 --confirm 1/2");
    assert_eq!(shrunk.status.code(), Some(1), "{}", said(&shrunk));
    let left = ground.text("partita-runs/latest/shrunk.toml");
    let faults = left.lines().filter(|line| line.contains("fault = ")).count();
    assert!(faults == 1 && left.contains("isolate"), "{left}{}", said(&shrunk));
    assert!(said(&shrunk).contains("a violation in"), "{}", said(&shrunk));
}
