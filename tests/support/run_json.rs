//! Starts `partita run --json` and reads its one document.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The result of `partita run` with these words in `folder`, where its runs are kept in `runs`.
///
/// # Panics
///
/// If there is none, or the harness failed.
pub(crate) fn run_json(folder: &Path, words: &str) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_partita"))
        .args(["run", "--json", "--out"])
        .arg(folder.join("runs"))
        .args(words.split(' '))
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("partita runs");
    let problem = String::from_utf8_lossy(&output.stderr);
    let result: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert!(result["failure"].is_null(), "{result:#} {problem}");
    result
}
