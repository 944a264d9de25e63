//! Real nodes on loopback addresses: without namespaces, without rights.

#[path = "support/needs.rs"]
mod needs;
#[path = "support/nobody.rs"]
mod nobody;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use needs::Need;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nobody::Nobody;
use partita_nemesis::lab::Link;
use partita_nemesis::{Cluster, Lab, Network, Program};
use partita_workloads::client::{BoxStream, Dial, Endpoint, Protocol, Status, Tables, resp};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};

const PARTITA: &str = env!("CARGO_BIN_EXE_partita");
/// Longer than anything should take.
const LIMIT: Duration = Duration::from_secs(30);
const PORTS: [u16; 2] = [6379, 7000];

/// The protocol of the nodes.
fn protocol() -> Arc<dyn Protocol> {
    (resp::ENTRY.open)(&mut Tables::default()).expect("needs no table")
}

/// Three nodes with relays before them, in this very process.
struct TestBed {
    cluster: Arc<Cluster>,
    folder: TempDir,
}

impl TestBed {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let lab = Lab::on_loopback(&["n1", "n2", "n3"], &PORTS, true, 1).expect("a lab");
        let ports = lab.ports(&PORTS);
        let (clients, peers) = (ports[0], ports[1]);
        let mut others = Vec::new();
        for (id, host) in (1..).zip(lab.nodes()) {
            others.push(format!("--peer={id}={}:{peers}", host.advertised()));
            fs::create_dir_all(folder.path().join(host.name())).expect("made");
        }
        let cluster = Cluster::new(lab, |host| {
            let home = folder.path().join(host.name());
            let mut arguments = vec![
                "node".to_owned(),
                format!("--id={}", &host.name()[1..]),
                format!("--data={}", home.join("data").display()),
                format!("--listen={}:{clients}", host.address()),
                format!("--peer-listen={}:{peers}", host.address()),
            ];
            arguments.extend(others.clone());
            Program {
                path: PARTITA.into(),
                arguments: arguments.into_iter().map(Into::into).collect(),
                environment: Vec::new(),
                user: None,
                stdout: home.join("stdout.log"),
                stderr: home.join("stderr.log"),
                directory: home,
            }
        });
        for node in cluster.nodes() {
            node.start().expect("starts");
        }
        Self { cluster: Arc::new(cluster), folder }
    }

    fn network(&self) -> &Network {
        self.cluster.lab().network()
    }

    /// What a node answers to a command, by a client's way through its relay; none if it refuses.
    async fn say(&self, node: &str, words: &[&str]) -> Option<String> {
        let lab = self.cluster.lab();
        let host = lab.host(node).expect("a node");
        let source = lab.clients().source().expect("an address to dial from");
        let dial: Dial = Arc::new(move |to: Endpoint| {
            Box::pin(async move {
                let socket = TcpSocket::new_v4()?;
                socket.bind((source, 0).into())?;
                Ok(Box::new(socket.connect(to.address).await?) as BoxStream)
            })
        });
        let address = SocketAddr::from((host.advertised(), lab.ports(&PORTS)[0]));
        let endpoint = Endpoint { node: node.into(), address };
        let admin = protocol().admin(&endpoint, &dial).expect("RESP has commands");
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        admin.command(&words, Duration::from_secs(1)).await.answer.ok()
    }

    /// What a node says of itself, past all relays.
    async fn status(&self, node: &str) -> Option<Status> {
        let address = self.cluster.lab().host(node).expect("a node").address();
        let address = SocketAddr::from((address, self.cluster.lab().ports(&PORTS)[0]));
        let dial: Dial = Arc::new(|to: Endpoint| {
            Box::pin(
                async move { Ok(Box::new(TcpStream::connect(to.address).await?) as BoxStream) },
            )
        });
        let endpoint = Endpoint { node: node.into(), address };
        let limit = Duration::from_millis(300);
        let mut probe = protocol().probe(&endpoint, &dial, limit).expect("RESP tells a status");
        probe.status().await.ok()
    }

    /// Who leads in the highest term, of these.
    async fn leader_of(&self, nodes: &[&str]) -> Option<(u64, String)> {
        let mut leaders = Vec::new();
        for node in nodes {
            let status = self.status(node).await.filter(Status::leads);
            leaders.extend(status.and_then(|it| Some((it.term?, (*node).to_owned()))));
        }
        leaders.into_iter().max()
    }

    /// Waits until one of these leads.
    async fn await_leader(&self, nodes: &[&str]) -> (u64, String) {
        let begun = Instant::now();
        loop {
            if let Some(leader) = self.leader_of(nodes).await {
                return leader;
            }
            assert!(begun.elapsed() < LIMIT, "nobody leads: {}", self.words());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Both directions between a node and each of others.
    fn links(node: &str, others: &[&str]) -> Vec<Link> {
        let both = |other: &&str| [Link::new(node, *other), Link::new(*other, node)];
        others.iter().flat_map(both).collect()
    }

    fn words(&self) -> String {
        let words = |node: &str| {
            fs::read_to_string(self.folder.path().join(node).join("stderr.log")).unwrap_or_default()
        };
        ["n1", "n2", "n3"].map(words).join("\n")
    }

    fn others(of: &str) -> Vec<&'static str> {
        ["n1", "n2", "n3"].into_iter().filter(|node| *node != of).collect()
    }
}

#[tokio::test]
async fn an_isolated_leader_commits_nothing_and_the_others_elect_another() {
    let ground = TestBed::new();
    let (term, old) = ground.await_leader(&["n1", "n2", "n3"]).await;
    let set = ["SET", "k", "before"];
    assert!(ground.say(&old, &set).await.is_some_and(|it| it.contains("OK")));
    let others = TestBed::others(&old);
    let links = TestBed::links(&old, &others);
    ground.network().change(&links, |policy| policy.block = true).expect("links");

    let (new_term, new) = ground.await_leader(&others).await;
    assert!(new_term > term && new != old);
    let lost = ground.say(&old, &["SET", "k", "lost"]).await;
    assert!(!lost.as_deref().is_some_and(|it| it.contains("OK")), "{lost:?}");
    let kept = ground.say(&new, &["SET", "k", "kept"]).await;
    assert!(kept.is_some_and(|it| it.contains("OK")));
    let blocked = links.iter().map(|it| ground.network().counters(&it.from, &it.to));
    assert!(blocked.map(|counters| counters.expect("a link").blocked).all(|count| count > 0));

    ground.network().change(&links, |policy| policy.block = false).expect("links");
    let begun = Instant::now();
    loop {
        let read = ground.say(&old, &["GET", "k"]).await.unwrap_or_default();
        if read.contains("kept") {
            break;
        }
        assert!(begun.elapsed() < LIMIT, "{read}: {}", ground.words());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_delay_between_peers_is_in_every_write_and_in_no_clients_way() {
    let ground = TestBed::new();
    let (_, leader) = ground.await_leader(&["n1", "n2", "n3"]).await;
    let write = |value: &'static str| {
        let (ground, leader) = (&ground, leader.clone());
        async move {
            let begun = Instant::now();
            let answer = ground.say(&leader, &["SET", "k", value]).await;
            assert!(answer.is_some_and(|it| it.contains("OK")));
            begun.elapsed()
        }
    };
    write("undelayed").await;
    let delay = Duration::from_millis(60);
    let links = TestBed::links(&leader, &TestBed::others(&leader));
    ground.network().change(&links, |policy| policy.delay = delay).expect("links");
    let took = write("delayed").await;
    assert!(took >= delay * 2, "there and back: {took:?}");
    let begun = Instant::now();
    ground.say(&leader, &["PING"]).await.expect("an answer");
    assert!(begun.elapsed() < delay * 2, "clients are not concerned");
    ground.network().change(&links, |policy| policy.delay = Duration::ZERO).expect("links");
    let begun = Instant::now();
    while write("undelayed again").await >= delay {
        assert!(begun.elapsed() < LIMIT, "the delay is over");
    }
}

#[tokio::test]
async fn a_reset_is_seen_by_both_ends_and_by_nobody_else() {
    let ground = TestBed::new();
    ground.await_leader(&["n1", "n2", "n3"]).await;
    let lost = |node: &str, peer: u8| {
        let log = ground.folder.path().join(node).join("stderr.log");
        let text = fs::read_to_string(log).expect("a log");
        text.matches(&format!("lost the connection to server {peer}")).count()
    };
    // Each has dialled the other by then.
    let begun = Instant::now();
    let link = Link::new("n1", "n2");
    while ground.network().reset(std::slice::from_ref(&link)).expect("a link") < 2 {
        assert!(begun.elapsed() < LIMIT, "two connections: {}", ground.words());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    while lost("n1", 2) == 0 || lost("n2", 1) == 0 {
        assert!(begun.elapsed() < LIMIT, "{}", ground.words());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((lost("n3", 1), lost("n3", 2), lost("n1", 3), lost("n2", 3)), (0, 0, 0, 0));
    assert!(ground.network().counters("n1", "n2").expect("a link").reset >= 2);
}

#[tokio::test]
async fn a_node_that_is_down_refuses_through_its_relay_and_is_reached_when_it_is_back() {
    let ground = TestBed::new();
    ground.await_leader(&["n1", "n2", "n3"]).await;
    let node = ground.cluster.node("n3").expect("a node");
    assert!(ground.say("n3", &["PING"]).await.is_some());
    node.kill().await.expect("dies");
    let lab = ground.cluster.lab();
    let relay = SocketAddr::from((lab.nodes()[2].advertised(), lab.ports(&PORTS)[0]));
    let begun = Instant::now();
    loop {
        let dialled = tokio::net::TcpStream::connect(relay).await;
        if dialled.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused) {
            break;
        }
        assert!(begun.elapsed() < LIMIT, "still accepted");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    node.start().expect("starts");
    while ground.say("n3", &["PING"]).await.is_none() {
        assert!(begun.elapsed() < LIMIT, "not reached again: {}", ground.words());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A finished run in a folder of its own.
struct Run {
    _out: TempDir,
    folder: PathBuf,
    output: Output,
}

impl Run {
    fn new(line: &str) -> Self {
        let out = tempfile::tempdir().expect("a folder");
        let output = Command::new(PARTITA)
            .arg("run")
            .args(line.split(' '))
            .args(["--out".as_ref(), out.path().as_os_str()])
            .stdin(Stdio::null())
            .output()
            .expect("partita starts");
        let folder = out.path().join("latest");
        Self { _out: out, folder, output }
    }

    fn said(&self) -> String {
        said(&self.output)
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).expect("JSON")
    }

    fn text(&self, name: &str) -> String {
        let path = self.folder.join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn an_honest_store_under_every_fault_that_relays_have_is_proved_valid() {
    let run =
        Run::new("--lab proxies --time 30s --seed 4 --nemesis isolate,delay,hold,reset,rate,kill");
    assert_eq!(run.output.status.code(), Some(0), "{}", run.said());
    assert_eq!(run.json("run.json")["host"]["lab"], "loopback proxies");
    let faults = run.text("schedule.jsonl");
    for name in ["isolate", "delay", "hold", "reset", "rate", "kill"] {
        assert!(faults.contains(&format!("\"fault\":\"{name}\"")), "{name}: {faults}");
    }
    assert!(faults.contains("chunks withheld") && faults.contains("connections reset"));
    let links = run.text("links.jsonl");
    assert!(links.contains("\"forwarded_bytes\":") && links.contains("\"blocked\":"), "{links}");
    assert_eq!(run.json("spec.json")["lab"], "proxies");
}

#[test]
fn a_planted_bug_is_found_through_relays_and_the_replay_has_them_too() {
    let line = "--lab proxies --time 20s --seed 1 --mutation leader-local-read --nemesis partition \
                --stop-on-finding";
    let run = Run::new(line);
    assert_eq!(run.output.status.code(), Some(1), "{}", run.said());
    assert_eq!(run.json("verdict.json")["counterexample"]["anomaly"], "stale-read");
    let replay = Command::new(PARTITA)
        .arg("replay")
        .arg(fs::canonicalize(&run.folder).expect("a folder"))
        .output()
        .expect("partita starts");
    let lab = run.json("replays/latest/run.json")["host"]["lab"].clone();
    assert_eq!(lab, "loopback proxies", "{}", said(&replay));
}

#[test]
fn a_lab_of_signals_alone_stops_and_kills_what_it_cannot_cut_off() {
    let run = Run::new("--lab signals --time 9s --seed 2");
    assert_eq!(run.output.status.code(), Some(0), "{}", run.said());
    assert_eq!(run.json("run.json")["host"]["lab"], "signals only");
    let faults = run.text("schedule.jsonl");
    assert!(faults.contains("\"family\":\"process\""), "{faults}");
    assert!(!faults.contains("\"family\":\"partition\""), "{faults}");
}

#[test]
fn what_a_lesser_lab_cannot_do_is_refused_before_anything_is_started() {
    for (line, expected) in [
        ("--lab proxies --nemesis loss", "loss needs a lab of namespaces"),
        ("--lab signals --nemesis partition", "isolate needs a lab of proxies"),
        ("--lab signals --schedule figure-8", "needs a lab of proxies"),
        ("--lab proxies --pcap", "pcap: only a lab of namespaces"),
    ] {
        let run = Run::new(line);
        assert_eq!(run.output.status.code(), Some(2), "{line}: {}", run.said());
        assert!(run.said().contains(expected), "{line}: {}", run.said());
        assert!(!run.folder.exists(), "{line}");
    }
    let place = tempfile::tempdir().expect("a folder");
    let mine = place.path().join("mine.toml");
    let text = include_str!("../src/targets/raft-node.toml").replace("{advertised-ip}", "{ip}");
    fs::write(&mine, text).expect("written");
    let run = Run::new(&format!("--lab proxies --target {}", mine.display()));
    assert_eq!(run.output.status.code(), Some(2), "{}", run.said());
    assert!(run.said().contains("{advertised-ip}"), "{}", run.said());
}

/// A shell line in which `partita` may have no network namespaces.
fn forbidden(line: &str) -> Option<Command> {
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "sh", "-c"])
        .arg(format!("echo 0 > /proc/sys/user/max_net_namespaces && exec {line}"))
        .stdin(Stdio::null());
    let works = Command::new("unshare").args(["--user", "true"]).output();
    works.is_ok_and(|output| output.status.success()).then_some(command)
}

#[test]
fn where_namespaces_are_forbidden_a_run_has_relays_and_the_doctor_says_how_to_get_more() {
    let out = tempfile::tempdir().expect("a folder");
    let run = format!("{PARTITA} run --time 6s --seed 3 --out {}", out.path().display());
    let Some(mut run) = forbidden(&run) else {
        Need::UserNamespaces.met(false);
        return;
    };
    let output = run.output().expect("starts");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let record = fs::read_to_string(out.path().join("latest/run.json")).expect("a record");
    assert!(record.contains("\"lab\": \"loopback proxies\""), "{record}");

    let doctor = forbidden(&format!("{PARTITA} doctor")).expect("as before").output();
    let doctor = doctor.expect("starts");
    let text = said(&doctor);
    assert_eq!(doctor.status.code(), Some(0), "{text}");
    for expected in [
        "✗ user namespaces: making a network namespace",
        "✓ loopback proxies",
        "`partita run` has a lab of loopback proxies here",
        "To have one of user namespaces: sudo sysctl -w user.max_net_namespaces=65536",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn a_lab_of_proxies_needs_no_rights_at_all() {
    let Some(nobody) = Nobody::new() else { return };
    let faults = "isolate,kill,clock-step,power-loss";
    let arguments = ["--lab", "proxies", "--time", "16s", "--seed", "3", "--nemesis", faults];
    let output = nobody.run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let faults = nobody.latest("schedule.jsonl");
    for family in ["partition", "process", "clock", "disk"] {
        assert!(faults.contains(&format!("\"family\":\"{family}\"")), "{family}: {faults}");
    }
}

/// The processes whose command line names `folder`, by number, with their parents.
fn processes_of(folder: &Path) -> Vec<(i32, i32, String)> {
    let name = folder.to_str().expect("a plain path");
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let named = pids.filter_map(|pid: i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        line.contains(name).then_some((pid, parent, line))
    });
    named.collect()
}

fn begin_long_run(out: &Path) -> Child {
    let child = Command::new(PARTITA)
        .args(["run", "--lab", "proxies", "--time", "10m", "--nemesis", "pause,hold,disk-slow"])
        .arg("--out")
        .arg(out)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("partita starts");
    let faults = out.join("latest/schedule.jsonl");
    let begun = Instant::now();
    // The first fault is in force.
    while fs::read_to_string(&faults).map_or(0, |text| text.lines().count()) < 2 {
        assert!(begun.elapsed() < LIMIT, "no fault began");
        std::thread::sleep(Duration::from_millis(50));
    }
    child
}

#[test]
fn whichever_process_of_a_run_is_killed_nothing_is_left_of_it() {
    for generation in ["outer", "guardian", "controller"] {
        let out = tempfile::tempdir().expect("a folder");
        let mut child = begin_long_run(out.path());
        let outer = child.id().cast_signed();
        let processes = processes_of(out.path());
        let child_of = |parent| {
            let is_run = |it: &&(i32, i32, String)| it.1 == parent && it.2.contains(" run ");
            processes.iter().find(is_run).expect("a child").0
        };
        let victim = match generation {
            "outer" => outer,
            "guardian" => child_of(outer),
            _ => child_of(child_of(outer)),
        };
        assert!(processes.len() >= 6, "{processes:#?}");
        kill(Pid::from_raw(victim), Signal::SIGKILL).expect("killed");
        child.wait().expect("ended");
        let begun = Instant::now();
        while !processes_of(out.path()).is_empty() {
            let left = processes_of(out.path());
            assert!(begun.elapsed() < LIMIT, "{generation}: still there: {left:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn an_interrupted_run_on_loopback_heals_tears_down_and_is_unknown() {
    let out = tempfile::tempdir().expect("a folder");
    let child = begin_long_run(out.path());
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("signalled");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("interrupted"), "{}", said(&output));
    assert!(processes_of(out.path()).is_empty());
}
