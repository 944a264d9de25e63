//! The store of `examples/openraft-kv`, which is a workspace of its own. The tests build it, for which cargo must be able to
//! fetch openraft.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use needs::Need;

#[path = "support/needs.rs"]
mod needs;

/// The example's folder.
fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/openraft-kv")
}

/// The folder of the store's program; `None` where its dependencies cannot be had.
fn built() -> Option<PathBuf> {
    // That of this program, `target/debug/deps`, two further up: what was built before is not built again.
    let program = std::env::current_exe().expect("a program");
    let target = program.ancestors().nth(3).expect("a target folder").to_owned();
    let cargo = |command: &str| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([command, "--locked", "--quiet"]).current_dir(example()).stdin(Stdio::null());
        cargo
    };
    let fetched = cargo("fetch").env("CARGO_NET_RETRY", "1").status().expect("cargo runs");
    if !Need::Openraft.met(fetched.success()) {
        return None;
    }
    let status = cargo("build").arg("--offline").arg("--target-dir").arg(&target).status();
    assert!(status.expect("cargo runs").success(), "the example is built");
    Some(target.join("debug"))
}

/// What `partita` prints as JSON, and its exit code.
fn partita(programs: &Path, folder: &Path, words: &[&str]) -> (Value, Option<i32>) {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(env!("CARGO_BIN_EXE_partita"))
        .args(words)
        .arg("--json")
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .output()
        .expect("partita runs");
    let problem = String::from_utf8_lossy(&output.stderr);
    let document = serde_json::from_slice(&output.stdout);
    (document.unwrap_or_else(|_| panic!("one document: {problem}")), output.status.code())
}

#[test]
fn a_store_of_openraft_is_checked_and_is_linearizable_under_power_losses_and_cuts() {
    let Some(programs) = built() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let description = example().join("openraft-kv.toml").display().to_string();

    let (report, code) = partita(&programs, folder.path(), &["target", "check", &description]);
    assert_eq!(code, Some(0), "{report:#}");

    let words =
        "--time 10s --seed 1 --rate 200 --nemesis power-loss,kill,isolate --workload register";
    let words: Vec<&str> = words.split(' ').collect();
    let run = [&["run", "--target", &description, "--out", "runs"], &words[..]].concat();
    let (result, code) = partita(&programs, folder.path(), &run);
    assert_eq!(result["verdict"], "valid", "{result:#}");
    assert_eq!(code, Some(0));
}
