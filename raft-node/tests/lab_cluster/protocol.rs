//! What clients and scrapers may rely on, and what they cannot do to a server.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use super::cluster::{Client, Cluster, eventually, http_get};
use super::insist;

#[test]
fn hello_3_switches_to_resp3() {
    let cluster = Cluster::start(1);
    insist(&cluster, 0, &["SET", "x", "1"]);
    let mut client = Client::connect(cluster.client_address(0)).expect("it listens");
    assert_eq!(client.call(&["GET", "missing"]).as_deref(), Some("nil"), "RESP2 at first");
    client.send(b"HELLO 3\r\nGET missing\r\nHELLO 2\r\nGET missing\r\n");
    assert_eq!(client.reply().as_deref(), Some("%7"));
    let mut last = String::new();
    for reply in std::iter::from_fn(|| client.reply()) {
        let ends = reply == "nil";
        if reply == "_" {
            last = reply;
        } else if ends {
            break;
        }
    }
    assert_eq!(last, "_", "null has a type of its own in RESP3");
}

#[test]
fn info_and_status_tell_where_a_server_stands() {
    let cluster = Cluster::start(1);
    for key in ["a", "b"] {
        insist(&cluster, 0, &["SET", key, "1"]);
    }
    let mut client = Client::connect(cluster.client_address(0)).expect("it listens");
    let raft = client.call(&["INFO", "raft"]).expect("an answer");
    assert!(raft.starts_with("# Raft\r\n") && raft.contains("\r\nrole:leader\r\n"), "{raft}");
    let all = client.call(&["INFO"]).expect("an answer");
    for line in ["# Server", "connected_clients:1", "db0:keys=2", "members:voters=[1]"] {
        assert!(all.contains(line), "{all}");
    }
    assert_eq!(client.call(&["DBSIZE"]).as_deref(), Some(":2"));
    assert_eq!(client.call(&["EXISTS", "a"]).as_deref(), Some(":1"));
    assert_eq!(client.call(&["TYPE", "missing"]).as_deref(), Some("+none"));
    assert_eq!(client.call(&["RAFT", "SNAPSHOT"]).as_deref(), Some("+OK"));
    eventually("the snapshot", || cluster.info(0, "snapshot_index") != "0");
}

#[test]
fn metrics_are_served_to_scrapers() {
    let cluster = Cluster::start(1);
    insist(&cluster, 0, &["SET", "x", "1"]);
    insist(&cluster, 0, &["GET", "x"]);
    let text = http_get(cluster.metrics_address(0), "/metrics").expect("a reply");
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    for line in [
        "raft_node_role{role=\"leader\"} 1",
        "raft_node_keys 1",
        "raft_node_request_seconds_count{kind=\"read\"} 1",
        "# TYPE raft_node_sync_seconds histogram",
    ] {
        assert!(text.contains(line), "no {line} in {text}");
    }
    let other = http_get(cluster.metrics_address(0), "/").expect("a reply");
    assert!(other.starts_with("HTTP/1.1 404 "), "{other}");
}

#[test]
fn client_beyond_the_limit_is_told_so() {
    let cluster = Cluster::start_with(1, &["--max-clients", "2"]);
    cluster.leader();
    let mut clients = Vec::new();
    eventually("two places", || {
        clients.clear();
        clients.extend((0..2).filter_map(|_| Client::connect(cluster.client_address(0))));
        clients.iter_mut().all(|client| client.call(&["PING"]).as_deref() == Some("+PONG"))
    });
    let mut third = Client::connect(cluster.client_address(0)).expect("the kernel accepts");
    assert_eq!(third.reply().as_deref(), Some("-ERR max number of clients reached"));
    assert_eq!(third.reply(), None);
    clients.pop();
    eventually("a place", || {
        let client = Client::connect(cluster.client_address(0));
        client.and_then(|mut client| client.call(&["PING"])).as_deref() == Some("+PONG")
    });
}

#[test]
fn client_that_floods_and_never_reads_is_held_back() {
    let cluster = Cluster::start(1);
    insist(&cluster, 0, &["SET", "x", &"v".repeat(10_000)]);
    let mut bystander = Client::connect(cluster.client_address(0)).expect("it listens");
    let before = cluster.resident_bytes(0);
    let mut floods = Vec::new();
    for requests in ["GET x\r\n".repeat(1000), format!("ECHO {}\r\n", "e".repeat(10_000))] {
        let stream = TcpStream::connect(cluster.client_address(0)).expect("it listens");
        stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a socket");
        let mut flood = stream;
        let mut taken = 0;
        while let Ok(bytes) = flood.write(requests.as_bytes()) {
            taken += bytes;
            assert!(taken < 64 << 20, "the server takes whatever it is sent");
        }
        floods.push(flood);
        assert_eq!(bystander.call(&["SET", "y", "1"]).as_deref(), Some("+OK"));
    }
    let grown = cluster.resident_bytes(0).saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
}

#[test]
fn level_of_the_log_decides_what_is_written() {
    for (level, has, has_not) in [
        ("warn", None, Some("started")),
        ("info", Some("started"), Some(" from ")),
        ("debug", Some("from 2: "), None),
    ] {
        let cluster = Cluster::start_with(2, &["--log", level]);
        cluster.leader();
        insist(&cluster, 0, &["SET", "x", "1"]);
        if let Some(line) = has {
            eventually("a line", || cluster.log(0).contains(line));
        }
        let log = cluster.log(0);
        assert!(has_not.is_none_or(|line| !log.contains(line)), "{level}: {log}");
    }
}

#[test]
fn slow_requests_are_logged_with_where_the_server_stands() {
    let cluster = Cluster::start_with(1, &["--slow-request", "0ms"]);
    insist(&cluster, 0, &["SET", "x", "1"]);
    eventually("a line", || cluster.log(0).contains("slow request: SET x took"));
    let log = cluster.log(0);
    let line = log.lines().find(|line| line.contains("slow request")).expect("just seen");
    let (time, rest) = line.split_once(' ').expect("a time");
    assert!(time.len() == 24 && time.ends_with('Z'), "{line}");
    assert!(rest.starts_with("[server 1, term="), "{line}");
    assert!(rest.contains(", commit index="), "{line}");
}
