//! A server whose disk is full.

use std::fs;
use std::process::Command;

use super::cluster::{Cluster, eventually};
use super::load::Load;
use super::needs::Need;

/// Mounts a small file system of its own at `$1`, then becomes the rest of its arguments.
const ON_A_SMALL_DISK: &str = "mount -t tmpfs -o size=3m small \"$1\" && shift && exec \"$@\"";

/// A command that runs in a namespace where it may mount.
fn on_a_small_disk(place: &str, words: &[String]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", ON_A_SMALL_DISK, "sh"]);
    command.arg(place).args(words);
    command
}

#[test]
fn server_with_a_full_disk_stops_with_an_error_and_the_others_go_on() {
    let mut cluster = Cluster::prepare(3, &[]);
    let place = cluster.data(0);
    fs::create_dir(&place).expect("a directory");
    let place = place.display().to_string();
    let possible = on_a_small_disk(&place, &["true".to_owned()]).status();
    if !Need::Mount.met(possible.is_ok_and(|status| status.success())) {
        return;
    }
    let command = on_a_small_disk(&place, &cluster.words(0));
    cluster.spawn(0, command);
    cluster.restart(1);
    cluster.restart(2);
    cluster.leader();
    let load = Load::start(8, &cluster.client_addresses());
    eventually("end of the server with the full disk", || !cluster.runs(0));
    assert_eq!(cluster.wait(0).code(), Some(1));
    let log = cluster.log(0);
    assert!(log.contains("No space left on device"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    let before = load.acknowledged();
    eventually("writes without it", || load.acknowledged() > before + 100);
    let written = load.stop();
    for server in 1..3 {
        written.iter().for_each(|written| written.check(&cluster, server));
    }
}
