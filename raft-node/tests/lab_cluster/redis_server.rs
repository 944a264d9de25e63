//! The same commands, drawn at random, get the same answers from a real `redis-server`.
//!
//! Its program is the one that `PARTITA_REDIS_SERVER` names, or `redis-server` on the path; without
//! one the test is skipped, unless `PARTITA_REQUIRE` has `redis` in its list. Redis 7.0 is enough:
//! commands that came later (`IFEQ`, `DELIFEQ`, `DELEX`) have tests of their own.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use super::cluster::{Client, Cluster, address, eventually};
use super::insist;
use super::needs::Need;

/// A running `redis-server`, killed when dropped.
struct Redis {
    child: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl Redis {
    /// Starts one, if the program is there.
    fn start() -> Option<Self> {
        let (directory, address) = (TempDir::new().expect("a directory"), address());
        let program = std::env::var("PARTITA_REDIS_SERVER").unwrap_or("redis-server".to_owned());
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        let mut command = Command::new(program);
        command.args(["--bind", &ip, "--port", &port, "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(directory.path()).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.spawn().ok()?;
        let mut there = false;
        eventually("redis-server, or its end", || {
            there = Client::connect(address).is_some();
            there || child.try_wait().is_ok_and(|status| status.is_some())
        });
        // One that ends at once, for want of a library, is none.
        there.then(|| Self { child, address, _directory: directory })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Forms of commands: `K` stands for a key, `V` for a value, `N` for a number, `C` for a count.
const FORMS: &[&str] = &[
    "SET K V",
    "SET K V NX",
    "SET K V XX",
    "SET K V GET",
    "SET K V XX GET",
    "SET K V NX GET",
    "SET K N KEEPTTL",
    "SETNX K V",
    "GETSET K V",
    "GETDEL K",
    "GET K",
    "STRLEN K",
    "APPEND K V",
    "TYPE K",
    "DEL K",
    "DEL K K",
    "UNLINK K",
    "EXISTS K K K",
    "MGET K K K",
    "MSET K V K N",
    "INCR K",
    "DECR K",
    "INCRBY K N",
    "DECRBY K N",
    "PERSIST K",
    "EXPIRE K 1000",
    "EXPIRE K -1",
    "RPUSH K V",
    "RPUSH K V V N",
    "LPUSH K V",
    "LPUSH K N V",
    "LPOP K",
    "RPOP K",
    "LPOP K C",
    "RPOP K C",
    "LRANGE K 0 -1",
    "LRANGE K N N",
    "LLEN K",
    "SADD K V",
    "SADD K V V N",
    "SREM K V",
    "SREM K V N V",
    "SISMEMBER K V",
    "SMEMBERS K",
    "SCARD K",
    "GET",
    "LPOP K 1 1",
    "RPUSH K",
    "INCRBY K V",
    "LRANGE K V 1",
    "SADD K",
];

fn draw(random: &mut ChaCha8Rng) -> Vec<String> {
    let form = FORMS.choose(random).expect("some");
    let fill = |word: &str, random: &mut ChaCha8Rng| match word {
        "K" => format!("k{}", random.random_range(0..4)),
        "V" => (*["a", "b", "c", "", "7"].choose(random).expect("some")).to_owned(),
        "N" => random.random_range(-5..=5).to_string(),
        "C" => random.random_range(-1..=3).to_string(),
        word => word.to_owned(),
    };
    form.split(' ').map(|word| fill(word, random)).collect()
}

/// Both answers to a command, which are compared; an array in no order is put in one.
fn compare(clients: &mut [Client; 2], words: &[String]) -> String {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [ours, theirs] = clients.each_mut().map(|client| {
        let answer = client.ask(&words).unwrap_or_else(|| panic!("no answer to {words:?}"));
        if words[0] != "SMEMBERS" || !answer.starts_with('[') {
            return answer;
        }
        let mut members: Vec<&str> = answer.trim_matches(['[', ']']).split(", ").collect();
        members.sort_unstable();
        members.join(", ")
    });
    assert_eq!(ours, theirs, "{words:?}");
    ours
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn transact(clients: &mut [Client; 2], random: &mut ChaCha8Rng) {
    compare(clients, &strings(&["MULTI"]));
    for _ in 0..random.random_range(0..6) {
        let words = draw(random);
        // One malformed command spoils all; members have an order of their own in each store.
        let rare = words[0] == "SMEMBERS" || random.random_bool(0.9) && words.len() < 2;
        if !rare {
            compare(clients, &words);
        }
    }
    if random.random_bool(0.1) {
        compare(clients, &strings(&["MULTI"]));
    }
    let end = if random.random_bool(0.9) { "EXEC" } else { "DISCARD" };
    compare(clients, &strings(&[end]));
}

#[test]
fn redis_gives_the_same_answers_to_the_same_commands() {
    let Some(redis) = Redis::start() else {
        Need::Redis.met(false);
        return;
    };
    let cluster = Cluster::start(1);
    insist(&cluster, 0, &["GET", "x"]);
    for seed in 0..6 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let connect = |address| Client::connect(address).expect("it listens");
        let mut clients = [cluster.client_address(0), redis.address].map(connect);
        if seed % 2 == 1 {
            for client in &mut clients {
                client.send(b"HELLO 3\r\nECHO ready\r\n");
                while client.reply().expect("an answer") != "ready" {}
            }
        }
        compare(&mut clients, &strings(&["DEL", "k0", "k1", "k2", "k3"]));
        let (mut refused, mut answered) = (0, 0);
        for _ in 0..400 {
            if random.random_bool(0.1) {
                transact(&mut clients, &mut random);
                continue;
            }
            let answer = compare(&mut clients, &draw(&mut random));
            *(if answer.starts_with("-") { &mut refused } else { &mut answered }) += 1;
        }
        assert!(refused > 30 && answered > 100, "{refused} refused, {answered} answered");
    }
}
