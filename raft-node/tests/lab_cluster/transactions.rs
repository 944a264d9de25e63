//! Transactions on real servers: all or nothing, at one moment, at most once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::cluster::{Client, Cluster, eventually};
use super::insist;

fn client(cluster: &Cluster, server: usize) -> Client {
    insist(cluster, server, &["GET", "x"]);
    Client::connect(cluster.client_address(server)).expect("it listens")
}

#[test]
fn transaction_answers_as_one_on_every_server() {
    let cluster = Cluster::start(3);
    cluster.leader();
    for server in 0..cluster.size() {
        let mut client = client(&cluster, server);
        let [n, l, s] = ["n", "l", "s"].map(|name| format!("{name}{server}"));
        for words in [
            &["MULTI"][..],
            &["INCRBY", &n, "5"],
            &["RPUSH", &l, "a", "b"],
            &["INCR", &l],
            &["SADD", &s, "m"],
            &["SMEMBERS", &s],
            &["LPOP", &l, "1"],
            &["GET", &n],
            &["GET", "missing"],
        ] {
            let expected = if words == ["MULTI"] { "+OK" } else { "+QUEUED" };
            assert_eq!(client.ask(words).as_deref(), Some(expected), "{words:?}");
        }
        let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
        let expected = format!("[:5, :2, {wrong}, :1, [m], [a], 5, nil]");
        assert_eq!(client.ask(&["EXEC"]), Some(expected));
        assert_eq!(client.ask(&["MGET", &n, &l]).as_deref(), Some("[5, nil]"));
    }
}

#[test]
fn pipelined_transaction_keeps_its_place_among_reads_and_writes() {
    let cluster = Cluster::start(3);
    cluster.leader();
    for server in 0..cluster.size() {
        let mut client = client(&cluster, server);
        insist(&cluster, server, &["SET", "n", "0"]);
        let lines = ["GET n", "MULTI", "INCR n", "GET n", "EXEC", "GET n", "INCR n", "GET n"];
        client.send(format!("{}\r\n", lines.join("\r\n")).repeat(20).as_bytes());
        for round in 0..20 {
            let n = 2 * round;
            for expected in [
                format!("{n}"),
                "+OK".to_owned(),
                "+QUEUED".to_owned(),
                "+QUEUED".to_owned(),
                format!("[:{}, {}]", n + 1, n + 1),
                format!("{}", n + 1),
                format!(":{}", n + 2),
                format!("{}", n + 2),
            ] {
                assert_eq!(client.answer(), Some(expected), "round {round}");
            }
        }
    }
}

#[test]
fn transaction_that_was_refused_in_part_does_nothing() {
    let cluster = Cluster::start(1);
    let mut client = client(&cluster, 0);
    for end in ["EXEC", "DISCARD"] {
        assert_eq!(client.ask(&["MULTI"]).as_deref(), Some("+OK"));
        assert_eq!(client.ask(&["SET", "k", "v"]).as_deref(), Some("+QUEUED"));
        let refused = client.ask(&["GET"]).expect("an answer");
        assert_eq!(refused, "-ERR wrong number of arguments for 'get' command");
        let expected = match end {
            "EXEC" => "-EXECABORT Transaction discarded because of previous errors.",
            _ => "+OK",
        };
        assert_eq!(client.ask(&[end]).as_deref(), Some(expected));
        assert_eq!(client.ask(&["GET", "k"]).as_deref(), Some("nil"));
    }
    // A connection that closes takes what it queued with it.
    client.ask(&["MULTI"]);
    client.ask(&["SET", "k", "v"]);
    drop(client);
    assert_eq!(insist(&cluster, 0, &["EXISTS", "k"]), ":0");
}

#[test]
fn transaction_of_a_session_is_carried_out_once_whoever_is_asked_again() {
    let mut cluster = Cluster::start(3);
    let first = cluster.leader();
    let session = insist(&cluster, first, &["SESSION"]);
    let session = session.strip_prefix(':').expect("a number");
    let attempt = |cluster: &Cluster, server: usize| {
        let mut client = Client::connect(cluster.client_address(server))?;
        client.ask(&["MULTI"])?;
        client.ask(&["INCR", "a"])?;
        client.ask(&["RPUSH", "l", "x"])?;
        client.ask(&["ONCE", session, "1", "EXEC"])
    };
    assert_eq!(attempt(&cluster, first).as_deref(), Some("[:1, :1]"));
    for server in 0..cluster.size() {
        insist(&cluster, server, &["GET", "a"]);
        assert_eq!(attempt(&cluster, server).as_deref(), Some("[:1, :1]"), "{server}");
    }
    cluster.kill(first);
    let other = (first + 1) % cluster.size();
    eventually("an answer of the next leader", || {
        attempt(&cluster, other).as_deref() == Some("[:1, :1]")
    });
    assert_eq!(insist(&cluster, other, &["GET", "a"]), "1");
    assert_eq!(insist(&cluster, other, &["LLEN", "l"]), ":1");
}

#[test]
fn nobody_sees_half_a_transaction_while_leaders_are_killed() {
    let mut cluster = Cluster::start(3);
    cluster.leader();
    insist(&cluster, 0, &["MSET", "a", "0", "b", "0"]);
    let addresses = cluster.client_addresses();
    let (done, written, reads) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let write = |server: usize| {
        while !done.load(Ordering::Relaxed) {
            let Some(mut client) = Client::connect(addresses[server]) else { continue };
            while !done.load(Ordering::Relaxed) {
                for words in [&["MULTI"][..], &["INCRBY", "a", "-1"], &["INCRBY", "b", "1"]] {
                    if client.ask(words).is_none() {
                        break;
                    }
                }
                let Some(reply) = client.ask(&["EXEC"]) else { break };
                written.fetch_add(u64::from(reply.starts_with('[')), Ordering::Relaxed);
            }
        }
    };
    let read = |server: usize| {
        while !done.load(Ordering::Relaxed) {
            let Some(mut client) = Client::connect(addresses[server]) else { continue };
            while let Some(reply) = client.ask(&["MGET", "a", "b"]) {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let Some(pair) = reply.strip_prefix('[') else { continue };
                let pair = pair.trim_end_matches(']').split(", ");
                let pair: Vec<i64> = pair.map(|part| part.parse().expect("a number")).collect();
                assert_eq!(pair[0] + pair[1], 0, "half a transaction: {reply}");
                reads.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        for server in 0..3 {
            scope.spawn(move || write(server));
            scope.spawn(move || read(server));
        }
        for _ in 0..2 {
            let goal = written.load(Ordering::Relaxed) + 50;
            eventually("transactions", || written.load(Ordering::Relaxed) > goal);
            let leader = cluster.leader();
            cluster.kill(leader);
            cluster.restart(leader);
        }
        let goal = reads.load(Ordering::Relaxed) + 50;
        eventually("reads", || reads.load(Ordering::Relaxed) > goal);
        done.store(true, Ordering::Relaxed);
    });
    let pair = insist(&cluster, 1, &["GET", "b"]);
    let least = written.load(Ordering::Relaxed);
    assert!(pair.parse::<u64>().is_ok_and(|b| b >= least), "{pair}, {least} acknowledged");
}
