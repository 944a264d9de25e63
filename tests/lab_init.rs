//! `partita init`: what it writes passes `partita target check` where the store that it begins from is on the path, and
//! it never waits for somebody who is not there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use needs::Need;

#[path = "support/needs.rs"]
mod needs;

const PARTITA: &str = env!("CARGO_BIN_EXE_partita");

/// The folder of the documentation's store.
fn slate() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/slate")
}

/// What a command prints in `folder`, and its exit code; nobody sits at its standard input.
fn partita(folder: &Path, words: &str) -> (String, Option<i32>) {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(PARTITA)
        .args(words.split_whitespace())
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", slate().display()))
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .output()
        .expect("partita runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout) + &text(&output.stderr), output.status.code())
}

/// That what `init` writes with these words passes the check as it is.
fn assert_passes(words: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (said, code) = partita(folder.path(), &format!("init {words} -o my-store.toml"));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("partita target check my-store.toml"), "{said}");
    let (said, code) = partita(folder.path(), "target check my-store.toml");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("nothing contradicts itself"), "{said}");
}

#[test]
fn http_as_etcd_has_it_passes_the_check() {
    if Need::Etcd.met_by_program("etcd") {
        assert_passes("--protocol http --program etcd");
    }
}

#[test]
fn resp_as_redis_has_it_passes_the_check() {
    if Need::Redis.met_by_program("redis-server") {
        assert_passes("--store redis --yes");
    }
}

#[test]
fn a_plug_in_with_its_client_passes_the_check() {
    if Need::Python.met_by_program("python3") {
        assert_passes("--protocol program --program slate");
    }
}

#[test]
fn resp_as_raft_node_has_it_passes_the_check() {
    assert_passes("--store raft-node");
}

#[test]
fn nobody_is_asked_who_is_not_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (said, code) = partita(folder.path(), "init");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--protocol http, resp, program or maelstrom"), "{said}");
    let (said, code) = partita(folder.path(), "init --store redis --protocol http");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("redis speaks resp"), "{said}");
    let (said, code) = partita(folder.path(), "init --store redsi");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("did you mean `redis`?"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn what_is_there_stays_as_it_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("my_store_client.py");
    let client = folder.path().join("my-store_client.py");
    std::fs::write(&file, "mine").expect("written");
    let (said, code) = partita(folder.path(), "init --protocol program -o my-store.toml");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("my_store_client.py is there already"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).expect("read"), "mine");
    assert!(!folder.path().join("my-store.toml").exists() && !client.exists());
}
