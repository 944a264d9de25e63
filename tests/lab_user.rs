//! Programs of a description that run as another user.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use needs::Need;
use nix::unistd::{User, geteuid};
use nobody::Nobody;
use serde_json::Value;
use tempfile::TempDir;

#[path = "support/needs.rs"]
mod needs;
#[path = "support/nobody.rs"]
#[expect(dead_code, reason = "no run of these tests leaves a file to look at")]
mod nobody;

/// A folder that everybody may look into, with `mine.toml`: raft-node as `user`.
fn folder(user: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("opened");
    let described = include_str!("../src/targets/raft-node.toml");
    let named = format!("user = \"{user}\"\nname = ");
    let described = described.replacen("name = ", &named, 1);
    fs::write(folder.path().join("mine.toml"), described).expect("written");
    folder
}

/// The users as whom the nodes of runs below `folder` run right now, as the kernel says.
fn users_of_nodes(folder: &Path) -> Vec<String> {
    let runs = format!("{}/", folder.join("runs").display());
    let entries = fs::read_dir("/proc").expect("processes").filter_map(Result::ok);
    let user = |place: &Path| {
        let words = fs::read_to_string(place.join("cmdline")).ok()?;
        let mut words = words.split('\0');
        let is_node = words.nth(1) == Some("node") && words.any(|word| word.starts_with(&runs));
        let status = is_node.then(|| fs::read_to_string(place.join("status")).ok())??;
        let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        Some(users.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    entries.filter_map(|entry| user(&entry.path())).collect()
}

#[test]
fn nodes_run_as_the_user_of_the_description() {
    if !Need::Root.met(geteuid().is_root()) {
        return;
    }
    let folder = folder("nobody");
    // The build may lie where nobody may look.
    let program = folder.path().join("partita");
    fs::copy(env!("CARGO_BIN_EXE_partita"), &program).expect("copied");
    let mut run = Command::new(&program)
        .args(["run", "--json", "--target", "mine.toml", "--out", "runs", "--seed", "1"])
        .args(["--time", "4s", "--nemesis", "power-loss", "--rate", "100"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(fs::File::create(folder.path().join("result")).expect("created"))
        .spawn()
        .expect("partita runs");
    let mut seen = BTreeSet::new();
    while run.try_wait().expect("a child").is_none() {
        seen.extend(users_of_nodes(folder.path()));
        sleep(Duration::from_millis(20));
    }
    let result = fs::read(folder.path().join("result")).expect("a result");
    let result: Value = serde_json::from_slice(&result).expect("JSON");
    assert_eq!(result["verdict"], "valid", "{result:#}");
    let nobody = User::from_name("nobody").expect("users").expect("a user nobody").uid.as_raw();
    // A child is still root between fork and exec, but then it has its parent's command line. That they write to their
    // data, before and after a power loss, is that it is theirs.
    assert_eq!(seen, BTreeSet::from([format!("{nobody} {nobody} {nobody} {nobody}")]));
}

#[test]
fn an_unknown_user_is_an_error_with_its_line() {
    let folder = folder("no-such-user");
    let output = Command::new(env!("CARGO_BIN_EXE_partita"))
        .args(["run", "--target", "mine.toml", "--time", "1s", "--out", "runs"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("partita runs");
    let problem = String::from_utf8_lossy(&output.stderr);
    let words = problem.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(2), "{words}");
    let toml = include_str!("../src/targets/raft-node.toml");
    let before = toml.lines().position(|line| line.starts_with("name = ")).expect("a name");
    let expected = format!("mine.toml:{}: `user`: this machine has no user", before + 1);
    assert!(words.contains(&expected) && words.contains("`no-such-user`"), "{words}");
    assert!(!folder.path().join("runs").exists(), "something began");
}

#[test]
fn a_run_without_root_refuses_to_be_another_user() {
    let Some(nobody) = Nobody::new() else { return };
    let folder = folder("daemon");
    let target = folder.path().join("mine.toml").display().to_string();
    let output = nobody.run(&["--target", &target, "--time", "1s"]);
    let problem = String::from_utf8_lossy(&output.stderr);
    let words = problem.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains("`user`: running as `daemon` needs root"), "{words}");
}
