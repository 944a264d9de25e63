//! Every workload on real nodes, for a moment: an honest store is proved valid under each.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{fs, thread};

use partita_workloads::WorkloadInfo;
use partita_workloads::catalogue::WORKLOADS;

/// A follower that is cut off for a moment, while the others go on.
const SCHEDULE: &str =
    "faults = [{ at = \"1s\", for = \"1500ms\", fault = \"isolate\", target = \"follower\" }]\n";

/// How many runs are under way at once: they wait most of the time.
const AT_ONCE: usize = 3;

#[test]
fn an_honest_store_is_valid_under_every_workload() {
    let out = tempfile::tempdir().expect("a temporary folder");
    let schedule = out.path().join("isolate.toml");
    fs::write(&schedule, SCHEDULE).expect("written");
    for some in WORKLOADS.chunks(AT_ONCE) {
        thread::scope(|scope| {
            for workload in some {
                let (schedule, out) = (&schedule, out.path().join(workload.name));
                scope.spawn(move || run(workload, schedule, &out));
            }
        });
    }
}

/// Runs a workload, and expects that the store is valid and all was asked for.
fn run(workload: &WorkloadInfo, schedule: &Path, out: &Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_partita"))
        .args(["run", "--time", "4s", "--seed", "4", "--workload", workload.name])
        .args(["--schedule".as_ref(), schedule.as_os_str()])
        .args(["--out".as_ref(), out.as_os_str()])
        .stdin(Stdio::null())
        .output()
        .expect("partita starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{}: {said}", workload.name);
    // All that it asks for came back, or the run would not be valid; and all of it was asked for.
    let record = fs::read_to_string(out.join("latest/run.json")).expect("a record");
    let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    let kinds = record["outcomes"]["kinds"].as_array().expect("a list");
    let mut asked: Vec<&str> = kinds.iter().filter_map(|it| it["kind"].as_str()).collect();
    let mut needed: Vec<&str> = workload.needs.iter().map(|kind| kind.name()).collect();
    asked.sort_unstable();
    needed.sort_unstable();
    assert_eq!(asked, needed, "{}", workload.name);
}
