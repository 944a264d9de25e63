//! What a run prints and how it ends, whoever listens. Every test is a run with real processes.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const PARTITA: &str = env!("CARGO_BIN_EXE_partita");

/// Runs a script of the shell in `folder`, in which `$P` is the program.
fn shell(folder: &Path, script: &str) -> Output {
    let mut command = Command::new("bash");
    command.args(["-c", script]).env("P", PARTITA).current_dir(folder).stdin(Stdio::null());
    command.output().expect("a shell")
}

fn json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).expect("JSON")
}

fn code_of(verdict: &Value) -> i32 {
    match verdict.as_str() {
        Some("valid") => 0,
        Some("violation") => 1,
        Some("unknown") => 3,
        other => panic!("{other:?}"),
    }
}

const RUN: &str = "$P run --time 5s --seed 2 --nemesis partition --mutation leader-local-read";

#[test]
fn a_run_goes_on_when_nobody_listens() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, listener) in [
        ("pipe", "2>&1 | head -n 1 > /dev/null; exit ${PIPESTATUS[0]}"),
        ("full", "> /dev/full 2> /dev/full"),
        ("closed", ">&- 2>&-"),
    ] {
        let output = shell(folder.path(), &format!("{RUN} --out {name} {listener}"));
        let run = folder.path().join(name).join("latest");
        let verdict = json(&run.join("run.json"))["verdict"].clone();
        assert_eq!(output.status.code(), Some(code_of(&verdict)), "{name}");
        for file in ["verdict.json", "report.html", "junit.xml", "summary.md"] {
            assert!(run.join(file).exists(), "{name}: {file}");
        }
    }
}

#[test]
fn a_run_is_told_as_json_and_judged_again_from_its_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = shell(folder.path(), &format!("{RUN} --json --out runs"));
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("nodes are up"), "what happens is told elsewhere: {stderr}");
    assert_eq!(document["format"], 1);
    assert_eq!(output.status.code(), Some(code_of(&document["verdict"])));
    let run = folder.path().join(document["folder"].as_str().expect("a folder"));
    let record = json(&run.join("run.json"));
    for (name, value) in record.as_object().expect("an object") {
        assert_eq!(&document[name], value, "{name}");
    }
    let name = run.join("history.jsonl");
    let again = shell(folder.path(), &format!("$P check --json {}", name.display()));
    let again: Value = serde_json::from_slice(&again.stdout).expect("one JSON document");
    assert_eq!(again["verdict"], json(&run.join("verdict.json"))["verdict"]);
    if again["verdict"] == "violation" {
        let groups = again["violations"]["groups"].as_array().expect("groups");
        let counted: usize =
            groups.iter().map(|it| it["keys"].as_array().map_or(0, Vec::len)).sum();
        let keys = again["keys"].as_array().expect("keys");
        let violating = keys.iter().filter(|key| key["verdict"] == "violation").count();
        assert_eq!(counted, violating, "{groups:?}");
        let page = std::fs::read_to_string(run.join("report.html")).expect("a page");
        let sentence = format!("{violating} of {} keys: ", keys.len());
        assert!(page.contains(&sentence), "{sentence}");
    }
}

#[test]
fn a_valid_run_is_verified_by_its_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    shell(folder.path(), "$P run --time 4s --seed 3 --nemesis none --out runs");
    let output = shell(folder.path(), "$P verify runs/latest");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!((output.status.code(), said.starts_with("accepted: ")), (Some(0), true), "{said}");
}
