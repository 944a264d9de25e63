//! A store that others wrote, and rely on, keeps what it acknowledged when all power is lost.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use partita_nemesis::disk::{NameModel, Tear};
use partita_nemesis::{Cluster, Lab, Program};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use tempfile::TempDir;

use crate::harness::{Scenario, eventually};

/// What is tested inside a lab.
pub(crate) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "etcd_keeps_what_it_acknowledged_when_all_nodes_lose_power_at_once",
    run: power_loss,
}];

/// How often all power is lost.
const LOSSES: u64 = 3;

fn etcd(directory: &TempDir) -> Cluster {
    let lab = Lab::build(&["n1", "n2", "n3"]).expect("a lab");
    let home = |node: &str| directory.path().join(node);
    let peers: Vec<String> = lab
        .nodes()
        .iter()
        .map(|host| format!("{}=http://{}:2380", host.name(), host.address()))
        .collect();
    for host in lab.nodes() {
        fs::create_dir_all(home(host.name()).join("data")).expect("made");
    }
    let mut cluster = Cluster::new(lab, |host| {
        let peer = format!("http://{}:2380", host.address());
        let client = format!("http://{}:2379", host.address());
        let options = [
            ("--name", host.name().to_owned()),
            ("--data-dir", "data".to_owned()),
            ("--listen-peer-urls", peer.clone()),
            ("--initial-advertise-peer-urls", peer),
            ("--listen-client-urls", client.clone()),
            ("--advertise-client-urls", client),
            ("--initial-cluster", peers.join(",")),
            ("--log-level", "error".to_owned()),
        ];
        Program {
            path: "etcd".into(),
            arguments: options
                .into_iter()
                .flat_map(|(name, value)| [name.into(), value.into()])
                .collect(),
            environment: vec![("ETCD_UNSUPPORTED_ARCH".into(), std::env::consts::ARCH.into())],
            directory: home(host.name()),
            stdout: home(host.name()).join("stdout.log"),
            stderr: home(host.name()).join("stderr.log"),
        }
    });
    cluster.watch_disks(|node| home(node).join("data")).expect("watched");
    cluster
}

/// Asks a node; the answer, if there is one and it says that all is well.
fn ask(cluster: &Cluster, address: Ipv4Addr, path: &str, body: &str) -> Option<String> {
    let limit = Duration::from_secs(1);
    let address = SocketAddr::from((address, 2379));
    // A cut-off node's silence is bounded by the limits, and the thread is back on its own network.
    let connected = cluster.lab().clients().enter(|| TcpStream::connect_timeout(&address, limit));
    let mut stream = connected.expect("inside").ok()?;
    stream.set_read_timeout(Some(limit)).expect("a limit");
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: etcd\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all((request + body).as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200").then_some(answer)
}

/// Base64 (RFC 4648) of a text whose length is a multiple of three.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.as_bytes().chunks_exact(3).flat_map(|chunk| {
        let bits = chunk.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]))
    });
    digits.collect()
}

/// The key and the value of one write.
fn pair(number: u64) -> (String, String) {
    (base64(&format!("k{number:05}")), base64(&format!("v{number:05}")))
}

/// Writes one key after another, through the nodes in turn, until told to stop; what was
/// acknowledged.
fn load(cluster: &Cluster, from: u64, stop: &AtomicBool) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    for number in from.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let host = &cluster.lab().nodes()[number as usize % 3];
        let (key, value) = pair(number);
        let body = format!(r#"{{"key":"{key}","value":"{value}"}}"#);
        if ask(cluster, host.address(), "/v3/kv/put", &body).is_some() {
            acknowledged.push(number);
        }
    }
    acknowledged
}

/// Waits until every node answers linearizable reads.
fn await_ready(cluster: &Cluster, directory: &TempDir) {
    for host in cluster.lab().nodes() {
        let read = || ask(cluster, host.address(), "/v3/kv/range", r#"{"key":"aw=="}"#).map(drop);
        let words = directory.path().join(host.name()).join("stderr.log");
        assert!(
            eventually(read).is_some(),
            "{} does not answer: {}",
            host.name(),
            fs::read_to_string(words).unwrap_or_default()
        );
    }
}

fn power_loss() {
    let found = Command::new("etcd").arg("--version").stdout(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no etcd here; `apt-get install etcd-server` brings it");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = etcd(&directory);
    let mut acknowledged = Vec::new();
    for seed in 0..LOSSES {
        for node in cluster.nodes() {
            node.start().expect("starts");
        }
        await_ready(&cluster, &directory);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let stop = &stop;
            let cluster = &cluster;
            let loads: Vec<_> = (0..3)
                .map(|client| scope.spawn(move || load(cluster, (seed * 3 + client) * 9_000, stop)))
                .collect();
            std::thread::sleep(Duration::from_millis(1_500));
            for node in cluster.nodes() {
                crate::disk::block_on(node.kill()).expect("dies");
            }
            stop.store(true, Ordering::Relaxed);
            acknowledged.extend(loads.into_iter().flat_map(|load| load.join().expect("writes")));
        });
        for (place, node) in (0..).zip(cluster.nodes()) {
            let disk = node.disk().expect("watched");
            let mut rng = ChaCha8Rng::seed_from_u64(seed * 3 + place);
            let loss = disk
                .lose_power(NameModel::Journal, Tear::Byte, &mut rng)
                .expect("known what is lost");
            eprintln!("{}: {loss:?}", node.node());
        }
    }
    for node in cluster.nodes() {
        node.start().expect("starts again");
    }
    await_ready(&cluster, &directory);
    assert!(acknowledged.len() > 100, "only {} writes were acknowledged", acknowledged.len());
    let lost: Vec<u64> = acknowledged.iter().copied().filter(|it| !holds(&cluster, *it)).collect();
    assert!(lost.is_empty(), "of {} acknowledged writes, lost: {lost:?}", acknowledged.len());
}

/// Whether a linearizable read finds the write.
fn holds(cluster: &Cluster, number: u64) -> bool {
    let (key, value) = pair(number);
    let host = &cluster.lab().nodes()[0];
    let body = format!(r#"{{"key":"{key}"}}"#);
    ask(cluster, host.address(), "/v3/kv/range", &body)
        .is_some_and(|answer| answer.contains(&format!(r#""value":"{value}""#)))
}
