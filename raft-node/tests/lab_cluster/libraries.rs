//! What the `redis` library's ordinary calls find, over both protocols and at every server.

use redis::{Commands, Connection, ExistenceCheck, SetExpiry, SetOptions};

use super::cluster::Cluster;
use super::insist;

const PROTOCOLS: [&str; 2] = ["resp2", "resp3"];

/// Three servers that lead and follow, and a connection of the library to each, over each protocol,
/// with a prefix for its keys.
fn connections() -> (Cluster, Vec<(String, Connection)>) {
    let cluster = Cluster::start(3);
    let mut connections = Vec::new();
    for server in 0..cluster.size() {
        insist(&cluster, server, &["GET", "x"]);
        for protocol in PROTOCOLS {
            let address = cluster.client_address(server);
            let client = redis::Client::open(format!("redis://{address}/?protocol={protocol}"));
            let connection = client.and_then(|client| client.get_connection());
            let connection = connection.expect("it shakes hands");
            connections.push((format!("{protocol}-{server}"), connection));
        }
    }
    (cluster, connections)
}

#[test]
fn library_sets_reads_and_removes_keys() {
    let (_cluster, connections) = connections();
    for (name, mut it) in connections {
        let [a, b, missing] = ["a", "b", "missing"].map(|key| format!("{name}-{key}"));
        assert_eq!(it.get(&a), Ok(None::<String>), "{name}");
        assert_eq!(it.set(&a, "text"), Ok(()), "{name}");
        assert_eq!(it.get(&a), Ok(Some("text".to_owned())), "{name}");
        assert_eq!(it.mset(&[(&a, 1), (&b, 2)]), Ok(()), "{name}");
        let values = Ok(vec![Some(1), None, Some(2)]);
        assert_eq!(it.mget(&[&a, &missing, &b]), values, "{name}");
        assert_eq!(it.exists(&[&a, &missing, &b]), Ok(2), "{name}");
        assert_eq!(it.set_nx(&a, "new"), Ok(false), "{name}");
        assert_eq!(it.set_nx(&missing, "new"), Ok(true), "{name}");
        assert_eq!(it.getset(&missing, "newer"), Ok("new".to_owned()), "{name}");
        assert_eq!(it.get_del(&missing), Ok(Some("newer".to_owned())), "{name}");
        assert_eq!(it.append(&a, "00"), Ok(3), "{name}");
        assert_eq!(it.strlen(&a), Ok(3), "{name}");
        assert_eq!(it.incr(&a, 11), Ok(111), "{name}");
        assert_eq!(it.decr(&a, 112), Ok(-1), "{name}");
        assert_eq!(it.del(&[&a, &b, &missing]), Ok(2), "{name}");
    }
}

#[test]
fn library_sets_keys_on_conditions_and_for_a_while() {
    let (_cluster, connections) = connections();
    for (name, mut it) in connections {
        let key = format!("{name}-key");
        let options = || SetOptions::default();
        let brief =
            options().conditional_set(ExistenceCheck::NX).with_expiration(SetExpiry::EX(1_000));
        assert_eq!(it.set_options(&key, 1, brief.clone()), Ok(true), "{name}");
        assert_eq!(it.set_options(&key, 2, brief), Ok(None::<bool>), "{name}");
        let left: i64 = it.ttl(&key).expect(&name);
        assert!((900..=1_000).contains(&left), "{name}: {left}");
        let kept = options().get(true).with_expiration(SetExpiry::KEEPTTL);
        assert_eq!(it.set_options(&key, 3, kept), Ok(1), "{name}");
        let left: i64 = it.pttl(&key).expect(&name);
        assert!((900_000..=1_000_000).contains(&left), "{name}: {left}");
        assert_eq!(it.persist(&key), Ok(true), "{name}");
        assert_eq!(it.ttl(&key), Ok(-1), "{name}");
        assert_eq!(it.expire(&key, 100), Ok(true), "{name}");
        assert_eq!(it.pset_ex(&key, 4, 1_000_000), Ok(()), "{name}");
        assert_eq!(it.expire(&key, -1), Ok(true), "{name}");
        assert_eq!(it.ttl(&key), Ok(-2), "{name}");
        let existing = options().conditional_set(ExistenceCheck::XX);
        assert_eq!(it.set_options(&key, 5, existing), Ok(None::<bool>), "{name}");
        // A moment later no entry need say that the key is gone: the leader sees to it.
        assert_eq!(it.pset_ex(&key, 6, 1), Ok(()), "{name}");
        super::eventually("expiry", || it.exists(&key) == Ok(false));
    }
}

#[test]
fn library_keeps_queues_stacks_and_sets() {
    let (_cluster, connections) = connections();
    for (name, mut it) in connections {
        let [list, set] = ["list", "set"].map(|key| format!("{name}-{key}"));
        assert_eq!(it.rpush(&list, &[1, 2, 3]), Ok(3), "{name}");
        assert_eq!(it.lpush(&list, 0), Ok(4), "{name}");
        assert_eq!(it.lrange(&list, 0, -1), Ok(vec![0, 1, 2, 3]), "{name}");
        assert_eq!(it.lpop(&list, None), Ok(Some(0)), "{name}");
        assert_eq!(it.rpop(&list, None), Ok(Some(3)), "{name}");
        let two = std::num::NonZero::new(2);
        assert_eq!(it.lpop(&list, two), Ok(Some(vec![1, 2])), "{name}");
        assert_eq!(it.lpop(&list, two), Ok(None::<Vec<i64>>), "{name}");
        assert_eq!(it.llen(&list), Ok(0), "{name}");
        assert_eq!(it.sadd(&set, &["a", "b"]), Ok(2), "{name}");
        assert_eq!(it.srem(&set, "a"), Ok(1), "{name}");
        assert_eq!(it.sismember(&set, "b"), Ok(true), "{name}");
        assert_eq!(
            it.smembers(&set),
            Ok(std::collections::HashSet::from(["b".to_owned()])),
            "{name}"
        );
        assert_eq!(it.scard(&set), Ok(1), "{name}");
        let wrong: redis::RedisResult<i64> = it.llen(&set);
        assert_eq!(wrong.expect_err("a set").code(), Some("WRONGTYPE"), "{name}");
    }
}

#[test]
fn library_pipelines_and_is_told_what_there_is_not() {
    let (_cluster, connections) = connections();
    for (name, mut it) in connections {
        let key = format!("{name}-key");
        let mut pipeline = redis::pipe();
        pipeline.set(&key, 40).ignore().incr(&key, 2).get(&key).del(&key);
        assert_eq!(pipeline.query(&mut it), Ok((42, 42, 1)), "{name}");
        let mut transaction = redis::pipe();
        transaction.atomic().set(&key, 1).ignore().incr(&key, 2).get(&key);
        assert_eq!(transaction.query(&mut it), Ok((3, 3)), "{name}");
        let watched: redis::RedisResult<()> = redis::cmd("WATCH").arg(&key).query(&mut it);
        let text = watched.expect_err("there is none").to_string();
        assert!(text.contains("nothing can be watched"), "{name}: {text}");
        let refused: redis::RedisResult<f64> = it.incr(&key, 0.5);
        let text = refused.expect_err("numbers are whole").to_string();
        assert!(text.contains("unknown command"), "{name}: {text}");
    }
}

#[test]
fn library_speaks_the_protocol_it_was_told_to() {
    let (_cluster, connections) = connections();
    for (name, mut it) in connections {
        let map: redis::Value = redis::cmd("RAFT").arg("STATUS").query(&mut it).expect(&name);
        // RESP2 has no maps.
        assert_eq!(matches!(map, redis::Value::Map(_)), name.starts_with("resp3"), "{name}");
    }
}
