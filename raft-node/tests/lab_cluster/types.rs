//! Strings, lists and sets on real servers: how they answer, and that they last.

use super::cluster::{Client, Cluster, eventually};
use super::insist;

#[test]
fn lists_sets_and_locks_answer_as_documented_on_every_server() {
    let cluster = Cluster::start(3);
    cluster.leader();
    for server in 0..cluster.size() {
        insist(&cluster, server, &["GET", "x"]);
        let mut client = Client::connect(cluster.client_address(server)).expect("it listens");
        let [list, set, lock] = ["list", "set", "lock"].map(|name| format!("{name}{server}"));
        let exchanges: &[(&[&str], &str)] = &[
            (&["RPUSH", &list, "a", "b"], ":2"),
            (&["LPUSH", &list, "z"], ":3"),
            (&["LRANGE", &list, "0", "-1"], "[z, a, b]"),
            (&["LLEN", &list], ":3"),
            (&["TYPE", &list], "+list"),
            (&["LPOP", &list], "z"),
            (&["RPOP", &list, "9"], "[b, a]"),
            (&["RPOP", &list], "nil"),
            (&["RPOP", &list, "9"], "nil"),
            (&["EXISTS", &list], ":0"),
            (&["SADD", &set, "a", "b", "a"], ":2"),
            (&["SREM", &set, "a", "x"], ":1"),
            (&["SISMEMBER", &set, "b"], ":1"),
            (&["SMEMBERS", &set], "[b]"),
            (&["SCARD", &set], ":1"),
            (&["TYPE", &set], "+set"),
            (&["SET", &lock, "me", "NX"], "+OK"),
            (&["SET", &lock, "you", "NX"], "nil"),
            (&["DELIFEQ", &lock, "you"], ":0"),
            (&["DELEX", &lock, "IFEQ", "you"], ":0"),
            (&["DELEX", &lock, "IFEQ", "me"], ":1"),
            (&["SET", &lock, "you", "NX"], "+OK"),
            (&["DELIFEQ", &lock, "you"], ":1"),
            (&["GET", &lock], "nil"),
        ];
        for (words, expected) in exchanges {
            assert_eq!(client.ask(words).as_deref(), Some(*expected), "{words:?}");
        }
        for words in [&["GET", &set][..], &["INCR", &set], &["RPUSH", &set, "x"], &["LLEN", &set]] {
            let refused = client.ask(words).expect("an answer");
            let expected = "-WRONGTYPE Operation against a key holding the wrong kind of value";
            assert_eq!(refused, expected, "{words:?}");
        }
    }
}

/// Fills keys of all types; says what reads of them then answer.
fn fill(client: &mut Client) -> Vec<(Vec<&'static str>, String)> {
    let session = client.ask(&["SESSION"]).expect("an answer");
    let session = session.strip_prefix(':').expect("a number").to_owned();
    for number in 0..300 {
        let number = number.to_string();
        for words in
            [&["RPUSH", "list", &number][..], &["SADD", "set", &number], &["INCR", "count"]]
        {
            assert!(client.ask(words).is_some_and(|reply| reply.starts_with(':')), "{words:?}");
        }
    }
    assert_eq!(client.ask(&["ONCE", &session, "1", "RPOP", "list"]).as_deref(), Some("299"));
    assert_eq!(client.ask(&["SET", "lock", "me", "NX"]).as_deref(), Some("+OK"));
    assert_eq!(client.ask(&["PEXPIRE", "set", "100000000"]).as_deref(), Some(":1"));
    let reads = [
        vec!["LRANGE", "list", "0", "-1"],
        vec!["SMEMBERS", "set"],
        vec!["MGET", "count", "lock", "list"],
        vec!["TYPE", "list"],
        vec!["TYPE", "set"],
    ];
    reads.map(|words| (words.clone(), client.ask(&words).expect("an answer"))).into()
}

#[test]
fn values_of_all_types_survive_snapshots_and_restarts() {
    let more = ["--snapshot-every", "16KiB", "--snapshot-keeps", "5"];
    let mut cluster = Cluster::start_with(3, &more);
    let leader = cluster.leader();
    let mut client = Client::connect(cluster.client_address(leader)).expect("it listens");
    let expected = fill(&mut client);
    assert!(expected[0].1.starts_with("[0, 1, 2"), "{expected:?}");
    eventually("a trimmed log", || {
        cluster.info(leader, "first_index").parse::<u64>().is_ok_and(|first| first > 1)
    });
    for server in 0..3 {
        cluster.kill(server);
    }
    for server in 0..3 {
        cluster.restart(server);
    }
    let joined = cluster.join();
    let (id, peers) = ((joined + 1).to_string(), cluster.peer_address(joined).to_string());
    let clients = cluster.client_address(joined).to_string();
    eventually("the fourth server", || {
        let Some(mut client) = Client::connect(cluster.client_address(0)) else { return false };
        let reply = client.call(&["RAFT", "ADD", &id, &peers, &clients]);
        reply.is_some_and(|reply| reply == "+OK" || reply.starts_with("-NOTPOSSIBLE"))
    });
    assert_eq!(cluster.metric(joined, "raft_node_snapshots_installed_total"), Some(1.0));
    for server in 0..cluster.size() {
        insist(&cluster, server, &["GET", "count"]);
        let mut client = Client::connect(cluster.client_address(server)).expect("it listens");
        for (words, expected) in &expected {
            assert_eq!(client.ask(words).as_ref(), Some(expected), "{words:?} at {server}");
        }
        let left = client.ask(&["PTTL", "set"]).expect("an answer");
        let left: i64 = left.trim_start_matches(':').parse().expect("a number");
        assert!((1..=100_000_000).contains(&left), "{left}");
    }
}
