//! A store that nothing here knows of, by a plug-in of a few lines: the example of the documentation, which must
//! need none but Python's standard library, and plug-ins that misbehave. The tests need a `python3` on the path.

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

fn has_python() -> bool {
    Need::Python.met_by_program("python3")
}

/// `partita` in `folder`, with the store in its path.
fn partita(folder: &Path, words: &[&str]) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(PARTITA);
    command
        .args(words)
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", example().display()))
        .stdin(Stdio::null());
    command
}

/// The result of `partita run` with these words.
fn run(folder: &Path, words: &str) -> Value {
    let words: Vec<&str> = words.split(' ').collect();
    let all = [&["run", "--json", "--out", "runs"], &words[..]].concat();
    let output = partita(folder, &all).output().expect("partita runs");
    let problem = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("one document: {problem}"))
}

/// A folder with the example's description and plug-in, in which the plug-in misbehaves.
fn misbehaving(mode: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plug_in/misbehaves.py");
    std::fs::copy(own, folder.path().join("misbehaves.py")).expect("copied");
    std::fs::copy(example().join("slate_client.py"), folder.path().join("slate_client.py"))
        .expect("copied");
    let described = std::fs::read_to_string(example().join("slate.toml")).expect("described");
    let described = described
        .replace("\"slate_client.py\", ", &format!("\"misbehaves.py\", \"{mode}\", "))
        .replace("files = [", "files = [\"misbehaves.py\", ");
    assert!(described.contains(mode), "{described}");
    std::fs::write(folder.path().join("slate.toml"), described).expect("written");
    folder
}

/// Without namespaces its connections have no address of the clients' own; they are known by their process.
#[test]
fn a_plug_in_is_a_client_of_relays_as_well() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    for file in ["slate.toml", "slate_client.py"] {
        std::fs::copy(example().join(file), folder.path().join(file)).expect("copied");
    }
    let words = "--target slate.toml --lab proxies --time 4s --seed 5 --nemesis isolate --rate 100";
    let result = run(folder.path(), words);
    assert_eq!(result["verdict"], "valid", "{result:#}");
}

/// Copies the example, runs it, and plays the run again after the files of its plug-in are gone.
#[test]
fn a_store_is_tested_by_a_plug_in_that_stands_in_the_run_s_folder() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    for file in ["slate.toml", "slate_client.py"] {
        std::fs::copy(example().join(file), folder.path().join(file)).expect("copied");
    }
    let words = "--target slate.toml --time 6s --seed 3 --nemesis isolate,pause --rate 150";
    let result = run(folder.path(), words);
    assert_eq!(result["verdict"], "valid", "{result:#}");
    let kinds = result["outcomes"]["kinds"].as_array().expect("kinds").clone();
    assert!(kinds.iter().all(|kind| kind["effective"].as_u64() > Some(0)), "{kinds:#?}");

    std::fs::remove_file(folder.path().join("slate_client.py")).expect("removed");
    std::fs::remove_file(folder.path().join("slate.toml")).expect("removed");
    let again = partita(folder.path(), &["replay", "runs/latest"]).output().expect("partita runs");
    let said = String::from_utf8_lossy(&again.stdout);
    assert_eq!(again.status.code(), Some(0), "{said} {}", String::from_utf8_lossy(&again.stderr));
}

/// What becomes of a run whose plug-in misbehaves.
#[test]
fn plug_ins_that_misbehave_end_in_a_clear_verdict() {
    if !has_python() {
        return;
    }
    let modes = [
        ("honest", "valid"),
        ("chatty", "valid"),
        ("dies", "valid"),
        ("hangs", "valid"),
        ("lies", "violation"),
        ("no-json", "unknown"),
        ("wrong-id", "unknown"),
        ("wrong-type", "unknown"),
        ("endless-line", "unknown"),
        ("twice", "unknown"),
        ("unasked", "unknown"),
    ];
    for (mode, expected) in modes {
        let folder = misbehaving(mode);
        let words = "--target slate.toml --time 3s --seed 1 --nemesis none --rate 100 \
                     --clients 3 --reply-timeout 300ms";
        let result = run(folder.path(), words);
        assert_eq!(result["verdict"], expected, "{mode} {result:#}");
        assert!(result["failure"].is_null(), "{mode} {result:#}");
        let violations = result["outcomes"]["protocol_violations"].as_array().cloned();
        let is_violated = violations.is_some_and(|violations| !violations.is_empty());
        assert_eq!(is_violated, expected == "unknown", "{mode} {result:#}");
    }
}

#[test]
fn a_plug_in_that_does_not_start_is_named_with_what_it_lacks() {
    if !has_python() {
        return;
    }
    let folder = misbehaving("fewer-operations");
    let result = run(folder.path(), "--target slate.toml --time 1s --nemesis none");
    let failure = result["failure"].as_str().unwrap_or_default();
    let expected = "a greeting without `cas`, which the description has";
    assert!(failure.contains(expected), "{result:#}");
    let log = std::fs::read_to_string(folder.path().join("runs/latest/plug-in/n1.log"));
    assert!(log.expect("a log").contains("nothing to add"));
}

#[test]
fn a_description_whose_plug_in_is_not_there_is_refused_with_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(example().join("slate.toml"), folder.path().join("slate.toml")).expect("copied");
    let words = ["run", "--target", "slate.toml", "--time", "1s"];
    let output = partita(folder.path(), &words).output().expect("partita runs");
    assert_eq!(output.status.code(), Some(2));
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(problem.contains("slate_client.py"), "{problem}");
}

/// The page that teaches plug-ins shows the files as they are tested.
#[test]
fn the_documentation_shows_the_example_as_it_is() {
    let page = include_str!("../docs/plugins.md");
    for file in ["slate.toml", "slate_client.py"] {
        let text = std::fs::read_to_string(example().join(file)).expect("the example");
        assert!(page.contains(text.trim()), "{file}");
        assert!(file != "slate_client.py" || text.lines().count() < 60, "too long for the promise");
    }
}
