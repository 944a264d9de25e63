//! Three real servers on loopback: killed, paused, stopped, and fed garbage.

mod cluster;
mod disk;
mod libraries;
mod load;
mod members;
#[path = "../../../tests/support/needs.rs"]
mod needs;
mod protocol;
mod redis_server;
mod restarts;
mod transactions;
mod types;

use std::fs;
use std::net::TcpListener;

use cluster::{Client, Cluster, eventually};

/// Calls until the answer is no refusal; only for what may be carried out twice.
pub(crate) fn insist(cluster: &Cluster, server: usize, words: &[&str]) -> String {
    let mut answer = String::new();
    eventually("answer", || {
        let Some(mut client) = Client::connect(cluster.client_address(server)) else {
            return false;
        };
        answer = client.call(words).unwrap_or_default();
        !answer.is_empty() && !answer.starts_with('-')
    });
    answer
}

#[test]
fn no_acknowledged_write_is_lost_when_leaders_are_killed() {
    let mut cluster = Cluster::start(3);
    cluster.leader();
    let (mut acknowledged, mut refused) = (Vec::new(), Vec::new());
    let mut token = 0;
    for round in 0..4 {
        for _ in 0..60 {
            token += 1;
            let text = format!("{token},");
            let server = token % cluster.size();
            let client = Client::connect(cluster.client_address(server));
            match client.and_then(|mut client| client.call(&["APPEND", "list", &text])) {
                Some(reply) if reply.starts_with(':') => acknowledged.push(token),
                Some(reply) if !reply.starts_with("-UNCERTAIN") => refused.push(token),
                _ => {}
            }
        }
        if round < 3 {
            let leader = cluster.leader();
            cluster.kill(leader);
            cluster.restart(leader);
        }
    }
    assert!(acknowledged.len() > 100, "only {} writes succeeded", acknowledged.len());
    for server in 0..cluster.size() {
        let list = insist(&cluster, server, &["GET", "list"]);
        let list: Vec<usize> =
            list.split_terminator(',').map(|token| token.parse().expect("a token")).collect();
        let lost = acknowledged.iter().find(|token| !list.contains(token));
        assert_eq!(lost, None, "acknowledged, but not in {list:?}");
        let risen = refused.iter().find(|token| list.contains(token));
        assert_eq!(risen, None, "certainly refused, but in {list:?}");
        // One client, one write after another: their order is theirs.
        assert!(list.is_sorted_by(|a, b| a < b), "{list:?}");
    }
}

#[test]
fn paused_leader_serves_no_stale_read_when_it_goes_on() {
    let cluster = Cluster::start(3);
    let old = cluster.leader();
    assert_eq!(insist(&cluster, old, &["SET", "x", "old"]), "+OK");
    cluster.signal(old, "STOP");
    let other = (old + 1) % cluster.size();
    eventually("new leader", || {
        let leader = cluster.info(other, "leader_id");
        !leader.is_empty() && leader != (old + 1).to_string()
    });
    assert_eq!(insist(&cluster, other, &["SET", "x", "new"]), "+OK");
    // The request waits in the paused server's socket.
    let mut client = Client::connect(cluster.client_address(old)).expect("the kernel accepts");
    client.send(b"GET x\r\n").expect("the kernel takes it");
    cluster.signal(old, "CONT");
    let answer = client.reply().expect("an answer");
    assert!(answer == "new" || answer.starts_with('-'), "{answer}");
    assert_eq!(insist(&cluster, old, &["GET", "x"]), "new");
}

#[test]
fn commands_answer_as_documented_on_every_server() {
    let cluster = Cluster::start(3);
    cluster.leader();
    let session = insist(&cluster, 0, &["SESSION"]);
    let session = session.strip_prefix(':').expect("a number");
    for server in 0..cluster.size() {
        let key = format!("k{server}");
        insist(&cluster, server, &["GET", &key]);
        let mut client = Client::connect(cluster.client_address(server)).expect("it listens");
        let number = (server + 1).to_string();
        let exchanges: &[(&[&str], &str)] = &[
            (&["PING"], "+PONG"),
            (&["GET", &key], "nil"),
            (&["SET", &key, "b", "IFEQ", "a", "GET"], "nil"),
            (&["SET", &key, "a"], "+OK"),
            (&["SET", &key, "b", "IFEQ", "a", "GET"], "a"),
            (&["SET", &key, "c", "IFEQ", "a", "GET"], "b"),
            (&["SET", &key, "c", "IFEQ", "a"], "nil"),
            (&["APPEND", &key, "cd"], ":3"),
            (&["GET", &key], "bcd"),
            (&["DEL", &key, "missing"], ":1"),
            (&["INCR", &key], ":1"),
            (&["ONCE", session, &number, "INCR", &key], ":2"),
            (&["ONCE", session, &number, "INCR", &key], ":2"),
            (&["GET", &key], "2"),
        ];
        for (words, expected) in exchanges {
            assert_eq!(client.call(words).as_deref(), Some(*expected), "{words:?}");
        }
        let refused = client.call(&["SET", &key, "v", "EXAT", "1"]).expect("an answer");
        assert!(refused.starts_with("-ERR "), "{refused}");
        let unknown = client.call(&["ONCE", "999999", "1", "INCR", &key]).expect("an answer");
        assert!(unknown.starts_with("-NOSESSION "), "{unknown}");
    }
}

#[test]
fn pipelined_requests_take_effect_in_order() {
    let cluster = Cluster::start(3);
    cluster.leader();
    for server in 0..cluster.size() {
        insist(&cluster, server, &["SET", "n", "0"]);
        let mut client = Client::connect(cluster.client_address(server)).expect("it listens");
        client.send("INCR n\r\nINCR n\r\nGET n\r\nINCR n\r\nGET n\r\n".repeat(20).as_bytes());
        for round in 0..20 {
            let number = round * 3;
            for expected in [
                format!(":{}", number + 1),
                format!(":{}", number + 2),
                format!("{}", number + 2),
                format!(":{}", number + 3),
                format!("{}", number + 3),
            ] {
                assert_eq!(client.reply(), Some(expected));
            }
        }
    }
}

#[test]
fn garbage_costs_its_own_connection_only() {
    let cluster = Cluster::start(3);
    let leader = cluster.leader();
    assert_eq!(insist(&cluster, leader, &["SET", "x", "1"]), "+OK");
    let term = cluster.info(leader, "term");
    let mut bystander = Client::connect(cluster.client_address(leader)).expect("it listens");
    let garbage: [&[u8]; 4] =
        [b"GET / HTTP/1.1\r\n\r\n", &[0xff; 4096], b"*1\r\n$99999999999\r\n", &[0; 64]];
    for server in 0..cluster.size() {
        let ports = [
            cluster.client_address(server),
            cluster.peer_address(server),
            cluster.metrics_address(server),
        ];
        for address in ports {
            for bytes in garbage {
                let mut client = Client::connect(address).expect("it listens");
                client.send(bytes);
            }
        }
    }
    // A length beyond the limit is told, and closes the connection.
    let mut client = Client::connect(cluster.client_address(leader)).expect("it listens");
    client.send(b"*1\r\n$99999999999\r\n");
    assert!(client.reply().is_some_and(|reply| reply.starts_with("-ERR Protocol error")));
    assert_eq!(client.reply(), None);
    assert_eq!(bystander.call(&["GET", "x"]).as_deref(), Some("1"));
    assert_eq!(cluster.info(leader, "term"), term);
    eventually("count of garbage", || {
        let count = |name| cluster.metric(leader, name).unwrap_or_default();
        count("raft_node_client_garbage_total") > 0.0 && count("raft_node_peer_garbage_total") > 0.0
    });
}

#[test]
fn without_a_quorum_info_answers_and_requests_are_refused() {
    let mut cluster = Cluster::start(3);
    let leader = cluster.leader();
    let survivor = (leader + 1) % cluster.size();
    cluster.kill(leader);
    cluster.kill((leader + 2) % cluster.size());
    eventually("candidate", || cluster.info(survivor, "role") == "candidate");
    assert_eq!(cluster.info(survivor, "leader_id"), "");
    let mut client = Client::connect(cluster.client_address(survivor)).expect("it listens");
    let refused = client.call(&["SET", "x", "1"]).expect("an answer");
    assert!(refused.starts_with("-NOLEADER "), "{refused}");
}

#[test]
fn address_in_use_is_named() {
    let cluster = Cluster::start(1);
    cluster.leader();
    let output = cluster.command(0).output().expect("it ends at once");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(text.contains(&cluster.peer_address(0).to_string()), "{text}");

    let elsewhere = cluster::address();
    let _taken = TcpListener::bind(elsewhere).expect("free");
    let mut command = cluster.command(0);
    let output = command.args(["--peer", &format!("1={elsewhere}")]).output().expect("it ends");
    assert_eq!(output.status.code(), Some(2), "a server named twice is a bad command line");
}

#[test]
fn damaged_log_is_refused_with_its_place() {
    let mut cluster = Cluster::start(1);
    for key in ["mark", "x", "y"] {
        assert_eq!(insist(&cluster, 0, &["SET", key, "1"]), "+OK");
    }
    cluster.kill(0);
    let mut files: Vec<_> = fs::read_dir(cluster.data(0)).expect("its data").flatten().collect();
    files.retain(|file| file.file_name().to_string_lossy().ends_with(".wal"));
    let path = files.first().expect("a segment").path();
    let mut bytes = fs::read(&path).expect("the log");
    // Well inside the first batches, with others after them.
    let at = bytes.windows(4).position(|key| key == b"mark").expect("the key is in the log");
    bytes[at] ^= 0x20;
    fs::write(&path, &bytes).expect("writable");
    let output = cluster.command(0).output().expect("it ends at once");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(text.contains(": damaged at byte"), "{text}");
    assert!(text.contains(&path.display().to_string()), "{text}");
    assert_eq!(fs::read(&path).expect("the log"), bytes, "left as it is");
}
