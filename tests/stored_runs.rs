//! What can be made of a run's folder after the run: reports, traces, a comparison.

#[path = "support/stored.rs"]
mod stored;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use stored::write_run;

fn partita(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_partita"));
    command.args(arguments).current_dir(folder).output().expect("partita runs")
}

fn printed(output: &Output) -> String {
    [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat()
}

#[test]
fn reports_are_made_again_from_a_folder_that_has_moved() {
    let folder = tempfile::tempdir().expect("a folder");
    write_run(&folder.path().join("moved"), 2, "n1");
    let output = partita(&["report", "moved"], folder.path());
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let read =
        |name: &str| fs::read_to_string(folder.path().join("moved").join(name)).expect("a report");
    let page = read("report.html");
    for wanted in ["Violation", "isolate", "partita shrink moved", "id=\"fault=0\""] {
        assert!(page.contains(wanted), "{wanted}");
    }
    // What an older version did not write is worked out from what it did.
    let summary = read("summary.md");
    assert!(summary.contains("isolate n1 (leader)  without ok: cluster"), "{summary}");
    assert!(read("junit.xml").contains("testsuite"));

    let output = partita(&["report", "moved", "--out", "pages/here"], folder.path());
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert!(folder.path().join("pages/here/report.html").is_file());
}

#[test]
fn what_is_no_finished_run_is_said_to_be_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    fs::create_dir(&run).expect("a folder");
    let output = partita(&["report", "run"], folder.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(printed(&output).contains("run.json"), "{}", printed(&output));
    fs::write(run.join("plan.json"), "{}").expect("written");
    let output = partita(&["compare", "run", "run"], folder.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(printed(&output).contains("has not come to its verdict"), "{}", printed(&output));
}

#[test]
fn two_runs_are_put_side_by_side() {
    let folder = tempfile::tempdir().expect("a folder");
    write_run(&folder.path().join("good"), 1, "n1");
    write_run(&folder.path().join("bad"), 2, "n3");
    let output = partita(&["compare", "good", "bad"], folder.path());
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let told = printed(&output);
    for wanted in ["A     Linearizable", "B     Violation", "both  7", "n3 leader of term 1"] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
}

#[test]
fn a_run_is_exported_with_its_faults_and_a_history_without() {
    let folder = tempfile::tempdir().expect("a folder");
    write_run(&folder.path().join("run"), 1, "n1");
    let exported = |to: &str, what: &str| -> Value {
        let output = partita(&["export", "--to", to, what], folder.path());
        assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let categories = |trace: &Value| -> Vec<String> {
        let events = trace["traceEvents"].as_array().expect("events");
        let spans = events.iter().filter(|event| event["ph"] == "X");
        spans.map(|event| event["cat"].as_str().expect("a category").to_owned()).collect()
    };
    let run = exported("perfetto", "run");
    assert_eq!(categories(&run), ["clients", "clients", "nodes", "faults"]);
    let history = exported("perfetto", "run/history.jsonl");
    assert_eq!(categories(&history), ["clients", "clients"]);
    let spans = exported("otlp-json", "run");
    let root = &spans["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    // 2026-03-01T09:30:00Z.
    assert_eq!(root["startTimeUnixNano"], "1772357400000000000");
    let output = partita(&["export", "run/history.jsonl"], folder.path());
    assert!(printed(&output).contains(":type :invoke"), "{}", printed(&output));
}
