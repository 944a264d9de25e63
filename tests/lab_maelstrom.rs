//! A program that was written for Maelstrom, by the adapter that runs it as a node, and NATS by a plug-in: the examples
//! of the documentation. The tests need a `python3` on the path, and a `nats-server`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use needs::Need;

#[path = "support/needs.rs"]
mod needs;

const PARTITA: &str = env!("CARGO_BIN_EXE_partita");

/// A folder of the documentation's examples.
fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples").join(name)
}

/// The result of `partita run` with these words, with the programs of Maelstrom's example in its path.
fn run(folder: &Path, words: &str) -> Value {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(PARTITA)
        .args(["run", "--json", "--out", "runs"])
        .args(words.split(' '))
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", example("maelstrom").display()))
        .stdin(Stdio::null())
        .output()
        .expect("partita runs");
    let problem = String::from_utf8_lossy(&output.stderr);
    let result: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("one document: {problem}"));
    assert!(result["failure"].is_null(), "{result:#} {problem}");
    result
}

#[test]
fn a_lin_kv_of_maelstrom_is_valid_under_partitions_and_pauses() {
    if !Need::Python.met_by_program("python3") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let target = example("maelstrom").join("lin-kv.toml");
    let words = format!(
        "--target {} --time 6s --seed 2 --nemesis isolate,pause-loop --rate 150",
        target.display()
    );
    let result = run(folder.path(), &words);
    assert_eq!(result["verdict"], "valid", "{result:#}");
    let kinds = result["outcomes"]["kinds"].as_array().expect("kinds").clone();
    assert!(kinds.iter().all(|kind| kind["effective"].as_u64() > Some(0)), "{kinds:#?}");
}

#[test]
fn a_lin_kv_that_answers_from_a_cache_is_convicted() {
    if !Need::Python.met_by_program("python3") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let described = std::fs::read_to_string(example("maelstrom").join("lin-kv.toml"));
    let described = described.expect("described");
    let stale = described.replace("\"lin_kv.py\"", "\"lin_kv.py\", \"--cache\"");
    assert_ne!(stale, described);
    std::fs::write(folder.path().join("stale.toml"), stale).expect("written");
    let result =
        run(folder.path(), "--target stale.toml --time 4s --seed 1 --nemesis none --rate 150");
    assert_eq!(result["verdict"], "violation", "{result:#}");
}

/// Version 2.9 applies a conditional publish that it has acknowledged to two clients: the run is a violation then.
#[test]
fn nats_is_asked_by_a_plug_in_of_less_than_a_hundred_lines() {
    let plug_in = std::fs::read_to_string(example("nats").join("nats_client.py"));
    assert!(plug_in.expect("the plug-in").lines().count() < 100);
    let has_both =
        Need::Python.met_by_program("python3") && Need::Nats.met_by_program("nats-server");
    if !has_both {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let target = example("nats").join("nats.toml");
    let words = format!("--target {} --time 8s --seed 1 --nemesis none", target.display());
    let result = run(folder.path(), &words);
    let kinds = result["outcomes"]["kinds"].as_array().expect("kinds").clone();
    assert!(kinds.iter().all(|kind| kind["effective"].as_u64() > Some(0)), "{kinds:#?}");
    let violations = result["outcomes"]["protocol_violations"].as_array().expect("a list");
    assert!(violations.is_empty(), "{violations:#?}");
    let version = Command::new("nats-server").arg("--version").output().expect("a version");
    if String::from_utf8_lossy(&version.stdout).contains("v2.9.") {
        assert_eq!(result["verdict"], "violation", "{result:#}");
    } else {
        assert_eq!(result["verdict"], "valid", "{result:#}");
    }
}
