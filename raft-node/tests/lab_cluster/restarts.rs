//! Servers that are killed, stopped and started again under load.

use std::thread::sleep;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::cluster::{Cluster, eventually, soak};
use super::insist;
use super::load::Load;

/// How often servers are killed on an ordinary day.
const KILLS: usize = 20;

#[test]
fn no_acknowledged_write_is_lost_when_servers_are_killed_at_any_moment() {
    let mut cluster =
        Cluster::start_with(3, &["--snapshot-every", "64KiB", "--snapshot-keeps", "50"]);
    cluster.leader();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let load = Load::start(4, &cluster.client_addresses());
    for kill in 0..KILLS * soak() {
        sleep(Duration::from_millis(random.random_range(1..300)));
        // Now and then all at once: what counts then is on the disks alone.
        let victims = if kill % 10 == 9 { 0..3 } else { kill % 3..kill % 3 + 1 };
        victims.clone().for_each(|server| cluster.kill(server));
        sleep(Duration::from_millis(random.random_range(1..200)));
        victims.for_each(|server| cluster.restart(server));
    }
    let before = load.acknowledged();
    eventually("further writes", || load.acknowledged() > before + 100);
    let written = load.stop();
    for server in 0..cluster.size() {
        written.iter().for_each(|written| written.check(&cluster, server));
    }
    let snapshots = (0..3).any(|server| cluster.info(server, "snapshot_index") != "0");
    assert!(snapshots, "restarts from snapshots are part of this");
}

#[test]
fn sigterm_hands_the_leadership_over_and_loses_nothing() {
    let mut cluster = Cluster::start(3);
    let leader = cluster.leader();
    let load = Load::start(4, &cluster.client_addresses());
    eventually("load", || load.acknowledged() > 100);
    cluster.signal(leader, "TERM");
    assert!(cluster.wait(leader).success());
    let log = cluster.log(leader);
    assert!(log.contains("transfers leadership to"), "{log}");
    let before = load.acknowledged();
    eventually("writes under another leader", || load.acknowledged() > before + 100);
    cluster.restart(leader);
    let written = load.stop();
    for server in 0..cluster.size() {
        written.iter().for_each(|written| written.check(&cluster, server));
    }
}

#[test]
fn sigterm_ends_a_lone_server_cleanly_and_it_remembers() {
    let mut cluster = Cluster::start(1);
    assert_eq!(insist(&cluster, 0, &["SET", "x", "1"]), "+OK");
    cluster.signal(0, "TERM");
    assert!(cluster.wait(0).success());
    cluster.restart(0);
    assert_eq!(insist(&cluster, 0, &["GET", "x"]), "1");
}
