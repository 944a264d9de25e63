//! Runs played again and shrunk, from the command line to the files they leave.

use std::fs;
use std::process::{Command, Output};

use partita_nemesis::FaultRecord;
use tempfile::TempDir;

/// A folder with a schedule in it, where commands run.
struct Ground(TempDir);

impl Ground {
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
    let ground = Ground::new(TWO_FAULTS);
    let run = ground.partita("run --schedule mine.toml --time 4s --seed 5 --pcap");
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    let before = ground.faults("partita-runs/latest");
    assert_eq!(before.len(), 2);
    assert!(ground.text("partita-runs/latest/links.jsonl").contains("\"forwarded\":"));
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
fn what_is_no_run_cannot_be_played_again() {
    let ground = Ground::new(TWO_FAULTS);
    for command in ["replay nowhere", "shrink nowhere", "replay ."] {
        let output = ground.partita(command);
        assert_eq!(output.status.code(), Some(2), "{command}: {}", said(&output));
        let missing = if command.ends_with('.') { "plan.json" } else { "nowhere" };
        assert!(said(&output).contains(missing), "{}", said(&output));
    }
}

#[test]
fn a_schedule_with_a_mistake_is_refused_with_its_line() {
    let ground = Ground::new("faults = [\n  { at = \"1s\", fault = \"pauze\" },\n]\n");
    let output = ground.partita("run --schedule mine.toml");
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("mine.toml:2: \"pauze\""), "{}", said(&output));
    let output = ground.partita("run --schedule leader-rotatoin");
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("leader-rotation"), "{}", said(&output));
}

#[test]
fn shrinking_leaves_the_fault_that_matters() {
    let ground = Ground::new(
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
