//! `partita target check` on descriptions that are right, and on those with a mistake each. The tests need a
//! `python3` on the path.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use needs::Need;

#[path = "support/needs.rs"]
mod needs;

const PARTITA: &str = env!("CARGO_BIN_EXE_partita");

/// The folder of the documentation's example.
fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/slate")
}

/// What the check of `target` prints as JSON, and its exit code.
fn check(folder: &Path, target: &str) -> (Value, Option<i32>) {
    check_with(folder, target, &[])
}

/// The same with more words.
fn check_with(folder: &Path, target: &str, more: &[&str]) -> (Value, Option<i32>) {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(PARTITA)
        .args(["target", "check", target, "--json"])
        .args(more)
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", example().display()))
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .output()
        .expect("partita runs");
    let problem = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout);
    (report.unwrap_or_else(|_| panic!("one document: {problem}")), output.status.code())
}

/// What the check says of slate's description after each `replaced` text in it or in its plug-in.
fn mistaken(replaced: [&str; 2]) -> (Value, Option<i32>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut count = 0;
    for file in ["slate.toml", "slate_client.py"] {
        let text = std::fs::read_to_string(example().join(file)).expect("the example");
        count += text.matches(replaced[0]).count();
        let text = text.replace(replaced[0], replaced[1]);
        std::fs::write(folder.path().join(file), text).expect("written");
    }
    assert_eq!(count, 1, "{replaced:?}");
    check(folder.path(), "slate.toml")
}

/// That the check ends with 1 and names what `expected` says.
fn assert_named(replaced: [&str; 2], expected: &str) {
    let (report, code) = mistaken(replaced);
    let contradictions = report["contradictions"].to_string();
    assert!(contradictions.contains(expected), "{expected}: {report:#}");
    assert_eq!(code, Some(1), "{report:#}");
}

fn has_python() -> bool {
    Need::Python.met_by_program("python3")
}

#[test]
fn a_description_that_is_right_contradicts_nothing() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let target = example().join("slate.toml").display().to_string();
    let (report, code) = check(folder.path(), &target);
    assert_eq!(code, Some(0), "{report:#}");
    let operations = report["operations"].as_array().expect("operations");
    let shown = |operation: &str, reply: &str, read_as: &str| {
        operations.iter().any(|it| {
            let is_it = it["operation"].as_str().is_some_and(|text| text.contains(operation));
            let replied = it["reply"].as_str().is_some_and(|text| text.contains(reply));
            is_it && replied && it["read_as"] == read_as && it["nodes"] == 3
        })
    };
    assert!(shown("cas partita-check-3-register 7 → 9", "\"swapped\": true", "swapped"));
    assert!(shown("cas partita-check-3-register 7 → 8", "\"saw\": \"9\"", "mismatch, saw 9"));
    let errors = report["errors"].as_array().expect("errors");
    let taken = |while_: &str, read_as: &str| {
        errors.iter().any(|it| {
            it["while"].as_str().is_some_and(|text| text.contains(while_))
                && it["read_as"].as_str().is_some_and(|text| text.contains(read_as))
        })
    };
    assert!(taken("n1, which leads, is down", "fail, not connected"), "{errors:#?}");
    assert!(taken("n1, which leads, is paused", "unknown, no answer: timed out"), "{errors:#?}");
    let left = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 0, "nothing is left behind");
}

#[test]
fn so_many_nodes_are_started_as_are_asked_for_and_named() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    for file in ["slate.toml", "slate_client.py"] {
        let text = std::fs::read_to_string(example().join(file)).expect("the example");
        // A word that is empty where there is no second node could not be filled.
        let text = text.replace("\"--data\", \"{data}\"", "\"--data\", \"{data}/{n2.ip}\"");
        let text = text.replace(
            "[client]\ncommand",
            "prepare = [[\"mkdir\", \"{data}/{n2.ip}\"]]\n[client]\ncommand",
        );
        std::fs::write(folder.path().join(file), text).expect("written");
    }
    let (report, code) = check_with(folder.path(), "slate.toml", &["--nodes", "2"]);
    assert_eq!(code, Some(0), "{report:#}");
    assert!(report["notes"].to_string().contains("not checked with one node"), "{report:#}");
    let operations = report["operations"].as_array().expect("operations");
    assert!(operations.iter().all(|it| it["nodes"] == 2), "{report:#}");
    assert!(operations.iter().any(|it| it["node"] == "n2"), "{report:#}");
    let (report, code) = check_with(folder.path(), "slate.toml", &["--nodes", "1"]);
    assert_eq!(code, Some(2), "{report:#}");
    assert!(
        report["error"].as_str().is_some_and(|it| it.contains("needs a node n2")),
        "{report:#}"
    );
}

#[test]
fn a_mismatch_that_is_read_as_swapped_is_named() {
    if has_python() {
        let replaced = ["{\"swapped\": False, \"saw\": rest or None}", "{\"swapped\": True}"];
        assert_named(replaced, "7 → 8: a mismatch is read as swapped: 9 stands there");
    }
}

#[test]
fn an_error_that_is_not_definite_is_named() {
    if has_python() {
        let replaced =
            ["{\"unknown\": f\"no answer: {error}\"}", "{\"fail\": f\"no answer: {error}\"}"];
        assert_named(replaced, "an error that is not definite: write partita-check-");
    }
}

#[test]
fn a_value_that_is_decoded_wrongly_is_named() {
    if has_python() {
        let replaced = ["\"VALUE\": {\"value\": rest}", "\"VALUE\": {\"value\": rest + \".0\"}"];
        assert_named(replaced, "read as \\\"7.0\\\", and 7 stands there: decoded wrongly?");
    }
}

#[test]
fn a_wrong_port_is_named() {
    if has_python() {
        let replaced = ["\"--listen\", \"{ip}:{port.client}\"", "\"--listen\", \"{ip}:4017\""];
        let expected = "wrong port: n1 runs and does not listen on 4000, where clients go; it listens on 4001, 4017";
        assert_named(replaced, expected);
    }
}

#[test]
fn a_role_that_is_never_leader_is_named() {
    if has_python() {
        let replaced = ["{\"role\": \"leader\"}", "{\"role\": \"primary\"}"];
        assert_named(
            replaced,
            "no node is ever the leader, as [status] or the plug-in tells it: n1 primary",
        );
    }
}

#[test]
fn a_program_that_is_missing_is_named() {
    if !has_python() {
        return;
    }
    let (report, code) = mistaken(["    \"slate\",", "    \"slatte\","]);
    let error = report["error"].as_str().unwrap_or_default();
    assert!(error.contains("running slatte") && error.contains("is it installed"), "{report:#}");
    assert_eq!(code, Some(4));
    let (report, code) = mistaken(["[\"python3\", ", "[\"python33\", "]);
    let contradictions = report["contradictions"].to_string();
    assert!(contradictions.contains("starting python33"), "{report:#}");
    assert_eq!(code, Some(1));
}

#[test]
fn a_description_with_a_mistake_is_refused_before_anything_is_started() {
    let (report, code) = mistaken(["protocol = \"program\"", "protocol = \"programme\""]);
    assert!(report["error"].as_str().is_some_and(|it| it.contains("did you mean `program`")));
    assert_eq!(code, Some(2));
}

#[test]
fn the_built_in_server_is_read_rightly() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (report, code) = check(folder.path(), "raft-node");
    assert_eq!(code, Some(0), "{report:#}");
}
