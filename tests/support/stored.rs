//! Folders of runs that nobody ran.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// A run as an older version left it: nothing in `run.json` but what was there from the beginning.
pub(crate) fn write_run(folder: &Path, seen: i64, leader: &str) {
    fs::create_dir_all(folder).expect("a folder");
    let event = |index: u64, kind: &str, f: &str, value: Value| {
        json!({"index": index, "time": (index + 1) * 1_000_000, "process": 0, "type": kind, "f": f,
               "key": "k", "value": value, "node": "n1"})
    };
    let history = [
        event(0, "invoke", "write", json!(1)),
        event(1, "ok", "write", json!(1)),
        event(2, "invoke", "read", json!(null)),
        event(3, "ok", "read", json!(seen)),
    ];
    let verdict = if seen == 1 { "valid" } else { "violation" };
    let key =
        json!({"key": "k", "verdict": verdict, "engine": "zones", "operations": 2, "reason": null});
    let analysis =
        json!({"verdict": verdict, "keys": [key], "counterexample": null, "reasons": []});
    let fault = json!({"id": 0, "fault": "isolate", "family": "partition", "target": "leader",
        "nodes": [leader], "parameters": {}, "began_ns": 500_000, "ended_ns": 2_500_000,
        "effects": [{"what": "frames dropped", "amount": 3.0, "unit": "frames"}], "error": null});
    let record = json!({
        "version": "0.0.1", "name": format!("run-{seen}"), "folder": "elsewhere/run",
        "started_at": "2026-03-01T09:30:00Z", "command": "partita run --seed 7", "seed": 7,
        "target": "raft-node", "workload": "register", "nemesis": "default", "mutation": null,
        "clients": 1, "rate": 10.0, "duration_s": 1.0,
        "host": {"kernel": "6.8", "cores": 2, "lab": "user namespaces"},
        "nodes": [{"name": "n1", "address": "10.0.0.1"}], "phases": [],
        "counts": {"invoked": 2, "ok": 2, "fail": 0, "info": 0, "ok_during_faults": 1},
        "roles": [{"at_ns": 100_000, "node": leader, "role": "leader", "term": 1}],
        "verdict": verdict, "remarks": [],
    });
    let write = |name: &str, text: String| fs::write(folder.join(name), text).expect("written");
    write("history.jsonl", history.map(|event| format!("{event}\n")).concat());
    write("verdict.json", analysis.to_string());
    write("schedule.jsonl", format!("{fault}\n"));
    write("run.json", record.to_string());
}
