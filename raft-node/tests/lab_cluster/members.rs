//! Servers that join and leave while clients go on.

use super::cluster::{Client, Cluster, eventually};
use super::load::Load;

/// Asks any server for a change until it is done; being asked again finds it done already.
fn change(cluster: &Cluster, servers: &[usize], words: &[&str]) {
    let mut turn = 0;
    let mut last = String::new();
    eventually("change of the members", || {
        turn += 1;
        let server = servers[turn % servers.len()];
        let Some(mut client) = Client::connect(cluster.client_address(server)) else {
            return false;
        };
        last = client.call(words).unwrap_or_default();
        // Done by an attempt before, of which nothing was heard.
        last == "+OK" || (turn > 1 && last.starts_with("-NOTPOSSIBLE"))
    });
}

fn add(cluster: &Cluster, servers: &[usize], new: usize) {
    let id = (new + 1).to_string();
    let peers = cluster.peer_address(new).to_string();
    let clients = cluster.client_address(new).to_string();
    change(cluster, servers, &["RAFT", "ADD", &id, &peers, &clients]);
}

#[test]
fn members_come_and_go_under_load() {
    let mut cluster = Cluster::start(3);
    cluster.leader();
    let load = Load::start(4, &cluster.client_addresses());
    eventually("load", || load.acknowledged() > 100);
    let fourth = cluster.join();
    add(&cluster, &[0, 1, 2], fourth);
    let fifth = cluster.join();
    add(&cluster, &[0, 1, 2], fifth);
    eventually("five voters", || cluster.info(0, "members") == "voters=[1, 2, 3, 4, 5]");

    // The leader removes itself, and another founder goes as well.
    let leader = cluster.leader();
    let rest: Vec<usize> = (0..5).filter(|server| *server != leader).collect();
    change(&cluster, &rest, &["RAFT", "REMOVE", &(leader + 1).to_string()]);
    let second = (0..3).find(|server| *server != leader).expect("two founders are left");
    let rest: Vec<usize> = rest.into_iter().filter(|server| *server != second).collect();
    change(&cluster, &rest, &["RAFT", "REMOVE", &(second + 1).to_string()]);
    cluster.kill(leader);
    cluster.kill(second);

    let before = load.acknowledged();
    eventually("writes among those who are left", || load.acknowledged() > before + 100);
    let written = load.stop();
    for server in rest {
        written.iter().for_each(|written| written.check(&cluster, server));
    }
}

#[test]
fn new_member_catches_up_through_a_snapshot() {
    let more = ["--snapshot-every", "64KiB", "--snapshot-keeps", "10"];
    let mut cluster = Cluster::start_with(3, &more);
    let leader = cluster.leader();
    let mut client = Client::connect(cluster.client_address(leader)).expect("it listens");
    let value = "v".repeat(1000);
    for key in 0..1000 {
        let reply = client.call(&["SET", &format!("key{key}"), &value]);
        assert_eq!(reply.as_deref(), Some("+OK"));
    }
    eventually("trimmed log", || {
        let first = cluster.info(leader, "first_index");
        first.parse::<u64>().is_ok_and(|first| first > 1)
    });
    let new = cluster.join();
    add(&cluster, &[0, 1, 2], new);
    let mut client = Client::connect(cluster.client_address(new)).expect("it listens");
    eventually("all keys", || client.call(&["DBSIZE"]).as_deref() == Some(":1000"));
    assert_eq!(client.call(&["GET", "key0"]), Some(value.clone()));
    assert_eq!(cluster.metric(new, "raft_node_snapshots_installed_total"), Some(1.0));

    // What it got is durable: it knows it after a restart, and the others are not asked again.
    cluster.kill(new);
    cluster.restart(new);
    eventually("all keys again", || {
        let client = Client::connect(cluster.client_address(new));
        client.and_then(|mut client| client.call(&["DBSIZE"])).as_deref() == Some(":1000")
    });
    assert_eq!(cluster.metric(new, "raft_node_snapshots_installed_total"), Some(0.0));
}

#[test]
fn leadership_goes_where_the_operator_says() {
    let cluster = Cluster::start(3);
    let leader = cluster.leader();
    let next = (leader + 1) % 3;
    change(&cluster, &[0, 1, 2], &["RAFT", "TRANSFER", &(next + 1).to_string()]);
    eventually("the new leader", || cluster.info(next, "role") == "leader");
    assert_ne!(cluster.info(leader, "role"), "leader");
}

#[test]
fn a_leader_that_removes_itself_hears_that_the_others_agree() {
    let cluster = Cluster::start(4);
    let leader = cluster.leader();
    let mut client = Client::connect(cluster.client_address(leader)).expect("it listens");
    let id = (leader + 1).to_string();
    assert_eq!(client.call(&["RAFT", "REMOVE", &id]).as_deref(), Some("+OK"));
    let rest = (1..=4).filter(|id| *id != leader + 1).map(|id| id.to_string());
    let voters = format!("voters=[{}]", rest.collect::<Vec<_>>().join(", "));
    for server in 0..4 {
        eventually("the members on every server", || cluster.info(server, "members") == voters);
    }
    eventually("the old leader's place", || cluster.info(leader, "role") != "leader");
}
