//! A store that others wrote, and rely on: it keeps what it acknowledged when all power is lost, and
//! its members are told one address of each, so that relays must find out who dials.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use partita_nemesis::disk::{NameModel, UnsyncedSurvival};
use partita_nemesis::lab::Link;
use partita_nemesis::{Cluster, Lab, Program};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use tempfile::TempDir;

use crate::harness::{Scenario, eventually};
use crate::needs::Need;

/// What is tested inside a lab.
pub(crate) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "etcd_keeps_what_it_acknowledged_when_all_nodes_lose_power_at_once",
    run: power_loss,
}];

/// What is tested where there are no namespaces.
pub(crate) const LOOPBACK: &[Scenario] = &[
    Scenario { name: "etcd_elects_another_leader_when_relays_isolate_one", run: isolation },
    Scenario { name: "etcd_writes_wait_for_a_delay_between_its_members", run: delay },
    Scenario { name: "etcd_survives_resets_between_its_members", run: reset },
];

const PORTS: [u16; 2] = [2379, 2380];

/// How often all power is lost.
const LOSSES: u64 = 3;

fn etcd(lab: Lab, directory: &TempDir) -> Cluster {
    let ports = lab.ports(&PORTS);
    let (clients, port) = (ports[0], ports[1]);
    let home = |node: &str| directory.path().join(node);
    let peers: Vec<String> = lab
        .nodes()
        .iter()
        .map(|host| format!("{}=http://{}:{port}", host.name(), host.advertised()))
        .collect();
    for host in lab.nodes() {
        fs::create_dir_all(home(host.name()).join("data")).expect("made");
    }
    Cluster::new(lab, |host| {
        let url = |address: Ipv4Addr, port: u16| format!("http://{address}:{port}");
        let client = url(host.address(), clients);
        let options = [
            ("--name", host.name().to_owned()),
            ("--data-dir", "data".to_owned()),
            ("--listen-peer-urls", url(host.address(), port)),
            ("--initial-advertise-peer-urls", url(host.advertised(), port)),
            ("--listen-client-urls", client.clone()),
            ("--advertise-client-urls", client),
            ("--initial-cluster", peers.join(",")),
            ("--log-level", "error".to_owned()),
        ];
        Program {
            user: None,
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
    })
}

/// Asks a node; the answer, if there is one and it says that all is well.
fn ask(cluster: &Cluster, address: Ipv4Addr, path: &str, body: &str) -> Option<String> {
    let limit = Duration::from_secs(1);
    let address = SocketAddr::from((address, cluster.lab().ports(&PORTS)[0]));
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

fn is_there() -> bool {
    Need::Etcd.met_by_program("etcd")
}

fn power_loss() {
    if !is_there() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let lab = Lab::build(&["n1", "n2", "n3"]).expect("a lab");
    let mut cluster = etcd(lab, &directory);
    let data = |node: &str| directory.path().join(node).join("data");
    cluster.watch_disks(data).expect("watched");
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
                .lose_power(NameModel::Journal, UnsyncedSurvival::Byte, &mut rng)
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

/// Members on loopback that all answer.
fn relayed(directory: &TempDir) -> Cluster {
    let lab = Lab::on_loopback(&["n1", "n2", "n3"], &PORTS, true, 1).expect("a lab");
    let cluster = etcd(lab, directory);
    for node in cluster.nodes() {
        node.start().expect("starts");
    }
    await_ready(&cluster, directory);
    cluster
}

/// A number after a name in JSON as etcd writes it.
fn number(answer: &str, name: &str) -> Option<u64> {
    let (_, rest) = answer.split_once(&format!("\"{name}\":\""))?;
    rest.split('"').next()?.parse().ok()
}

/// The place of the leader, as a member has it that hears a majority: it says so in a read's header
/// only if it does.
fn leader(cluster: &Cluster, among: &[usize]) -> Option<usize> {
    let leads = |place: &usize| {
        let address = cluster.lab().nodes()[*place].address();
        let status = ask(cluster, address, "/v3/maintenance/status", "{}")?;
        (number(&status, "leader")? == number(&status, "member_id")?).then_some(())
    };
    among.iter().copied().find(|place| leads(place).is_some())
}

fn writes(cluster: &Cluster, place: usize, number: u64) -> bool {
    let (key, value) = pair(number);
    let body = format!(r#"{{"key":"{key}","value":"{value}"}}"#);
    ask(cluster, cluster.lab().nodes()[place].address(), "/v3/kv/put", &body).is_some()
}

/// Both directions between a member and the others.
fn links(place: usize) -> Vec<Link> {
    let name = |place: usize| format!("n{}", place + 1);
    let others = (0..3).filter(|other| *other != place);
    others
        .flat_map(|other| {
            [Link::new(name(place), name(other)), Link::new(name(other), name(place))]
        })
        .collect()
}

fn isolation() {
    if !is_there() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = relayed(&directory);
    let old = eventually(|| leader(&cluster, &[0, 1, 2])).expect("a leader");
    let others: Vec<usize> = (0..3).filter(|place| *place != old).collect();
    let network = cluster.lab().network();
    network.change(&links(old), |policy| policy.block = true).expect("links");
    let new = eventually(|| leader(&cluster, &others)).expect("another leader");
    assert!(!writes(&cluster, old, 1), "an isolated member committed a write");
    assert!(eventually(|| writes(&cluster, new, 2).then_some(())).is_some());
    for Link { from, to } in links(old) {
        let blocked = network.counters(&from, &to).expect("a link").blocked;
        assert!(blocked > 0, "nothing was withheld from {from} to {to}");
    }
    network.change(&links(old), |policy| policy.block = false).expect("links");
    assert!(eventually(|| writes(&cluster, old, 3).then_some(())).is_some(), "it is back");
    assert!(holds(&cluster, 2));
}

fn delay() {
    if !is_there() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = relayed(&directory);
    let place = eventually(|| leader(&cluster, &[0, 1, 2])).expect("a leader");
    let took = |number| {
        let begun = Instant::now();
        writes(&cluster, place, number).then(|| begun.elapsed())
    };
    assert!(eventually(|| took(1)).is_some());
    let delay = Duration::from_millis(60);
    let network = cluster.lab().network();
    network.change(&links(place), |policy| policy.delay = delay).expect("links");
    let delayed = eventually(|| took(2)).expect("a write");
    assert!(delayed >= delay * 2, "there and back: {delayed:?}");
    network.change(&links(place), |policy| policy.delay = Duration::ZERO).expect("links");
    assert!(eventually(|| took(3).filter(|it| *it < delay)).is_some(), "the delay is over");
}

fn reset() {
    if !is_there() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = relayed(&directory);
    let network = cluster.lab().network();
    let link = Link::new("n1", "n2");
    for number in 0..3 {
        let hit = eventually(|| {
            let hit = network.reset(std::slice::from_ref(&link)).expect("a link");
            (hit > 0).then_some(hit)
        });
        assert!(hit.is_some(), "no connection between two members");
        assert!(eventually(|| writes(&cluster, 0, number).then_some(())).is_some());
        assert!(holds(&cluster, number));
    }
    assert!(network.counters("n1", "n2").expect("a link").reset >= 3);
    assert_eq!(network.counters("n1", "n3").expect("a link").reset, 0, "nobody else's");
}
