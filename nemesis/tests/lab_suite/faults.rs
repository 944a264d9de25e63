//! What faults of links and processes look like to their victims, in force and healed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use partita_nemesis::fault::clock::ClockStep;
use partita_nemesis::fault::disk::DiskSlow;
use partita_nemesis::fault::link::{
    BurstLoss, Corrupt, Delay, Duplicate, Hold, Loss, Rate, Reorder, Reset,
};
use partita_nemesis::fault::partition::{
    Bridge, ClientsFromLeader, Cut, Flapping, Halves, Isolate, LeaderFromFollowers, MajoritiesRing,
    MajorityMinority, OneWay,
};
use partita_nemesis::fault::process::{
    Kill, KillAll, Pause, PauseLoop, RestartVoters, RollingRestart, Terminate,
};
use partita_nemesis::lab::{CLIENTS, Host};
use partita_nemesis::{
    Cluster, Ending, Family, FaultKind, FaultRecord, Lab, Moment, Nemesis, PlannedFault, Policy,
    Program, Roles, Schedule, Stop,
};
use tempfile::TempDir;

use crate::disk::block_on;
use crate::harness::{Account, Scenario, Test, eventually};
use crate::lifetime::{Started, say};
use crate::probe::{Heard, Notes, PROBE, chat, now_ns};

/// What is tested inside a lab.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "a_bad_link_is_what_its_victim_hears", run: bad_links },
    Scenario { name: "a_link_fault_hits_the_links_that_are_named", run: named_links },
    Scenario { name: "a_partition_is_what_its_victims_do_not_hear", run: partitions },
    Scenario { name: "a_cluster_of_five_is_split_as_asked", run: five },
    Scenario { name: "a_process_fault_is_what_peers_do_not_hear", run: processes },
    Scenario { name: "restarts_give_every_node_new_processes", run: restarts },
    Scenario { name: "a_heal_in_the_middle_of_a_restart_leaves_all_running", run: mid_restart },
];

/// What the tests start.
pub(crate) const HELPERS: &[Scenario] = &[
    Scenario { name: "linger_in_flapping", run: || linger(Flapping::KIND, &[]) },
    Scenario { name: "linger_in_hold", run: || linger(Hold::KIND, &[("clients", "too")]) },
    Scenario { name: "linger_in_pause", run: || linger(Pause::KIND, &[]) },
    Scenario {
        name: "linger_in_pause_loop",
        run: || linger(PauseLoop::KIND, &[("period", "20ms")]),
    },
    Scenario { name: "linger_in_step", run: || linger(ClockStep::KIND, &[("by", "1h")]) },
    Scenario { name: "linger_in_slow_syncs", run: || linger(DiskSlow::KIND, &[]) },
];

/// What is tested from outside.
pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "killing_the_controller_in_a_partition_leaves_nothing",
        run: |account| killed("linger_in_flapping", account),
    },
    Test {
        name: "killing_the_controller_while_links_hold_leaves_nothing",
        run: |account| killed("linger_in_hold", account),
    },
    Test {
        name: "killing_the_controller_while_nodes_are_stopped_leaves_nothing",
        run: |account| killed("linger_in_pause", account),
    },
    Test {
        name: "killing_the_controller_while_nodes_pause_and_go_leaves_nothing",
        run: |account| killed("linger_in_pause_loop", account),
    },
    Test {
        name: "killing_the_controller_while_clocks_are_wrong_leaves_nothing",
        run: |account| killed("linger_in_step", account),
    },
    Test {
        name: "killing_the_controller_while_disks_are_slow_leaves_nothing",
        run: |account| killed("linger_in_slow_syncs", account),
    },
];

struct LedBy(&'static str);

impl Roles for LedBy {
    async fn leader(&self) -> Option<String> {
        Some(self.0.to_owned())
    }
}

/// A cluster of probes, and one among the clients.
struct TestBed {
    cluster: Cluster,
    directory: TempDir,
    clients: Arc<Mutex<String>>,
}

/// A fault that was played: its record, and a time in which it surely was in force.
struct Played {
    record: FaultRecord,
    from_ns: u64,
    until_ns: u64,
    healed_ns: u64,
    /// How many processes n1 and n2 had had before.
    lives: [usize; 2],
}

impl Played {
    fn effect(&self, what: &str) -> f64 {
        let mut effects = self.record.effects.iter().filter(|effect| effect.what == what);
        effects.next().map_or(0.0, |effect| effect.amount)
    }

    fn may_stop(&self) -> bool {
        self.record.family == Family::Process
    }

    fn holds(&self, ns: u64) -> bool {
        (self.from_ns..=self.until_ns).contains(&ns)
    }
}

impl TestBed {
    fn new(nodes: usize) -> TestBed {
        let directory = tempfile::tempdir().expect("a directory");
        let names: Vec<String> = (1..=nodes).map(|number| format!("n{number}")).collect();
        let lab = Lab::build_with_seed(&names, 3).expect("a lab");
        let all: Vec<Ipv4Addr> =
            lab.nodes().iter().chain([lab.clients()]).map(Host::address).collect();
        let out = |node: &str| directory.path().join(node);
        let cluster = Cluster::new(lab, |host| {
            let others = all.iter().filter(|address| **address != host.address());
            let addresses: Vec<String> =
                [&host.address()].into_iter().chain(others).map(ToString::to_string).collect();
            Program {
                user: None,
                path: "/proc/self/exe".into(),
                arguments: Vec::new(),
                environment: vec![(PROBE.into(), addresses.join(",").into())],
                directory: "/".into(),
                stdout: out(host.name()),
                stderr: out(&format!("{}.err", host.name())),
            }
        });
        let host = cluster.lab().clients();
        let socket = host.enter(|| UdpSocket::bind((host.address(), 9000))).expect("inside");
        let (socket, peers) = (socket.expect("binds"), all.clone());
        let clients = Arc::new(Mutex::new(String::new()));
        let noted = Arc::clone(&clients);
        thread::spawn(move || {
            chat(&socket, &peers, |lines| noted.lock().expect("whole").push_str(&lines))
        });
        for node in cluster.nodes() {
            node.start().expect("starts");
        }
        let ground = TestBed { cluster, directory, clients };
        ground.await_all(0);
        ground
    }

    fn address(&self, host: &str) -> Ipv4Addr {
        self.cluster.lab().host(host).expect("a host").address()
    }

    fn hosts(&self) -> Vec<String> {
        self.cluster.names().iter().cloned().chain([CLIENTS.to_owned()]).collect()
    }

    fn notes(&self, host: &str) -> Notes {
        if host == CLIENTS {
            return Notes::read(&self.clients.lock().expect("whole"));
        }
        let path: PathBuf = self.directory.path().join(host);
        Notes::read(&fs::read_to_string(path).unwrap_or_default())
    }

    /// What `to` heard of `from` that was sent while a fault was in force.
    fn heard(&self, from: &str, to: &str, played: &Played) -> Vec<Heard> {
        let mut heard = self.notes(to).heard.remove(&self.address(from)).unwrap_or_default();
        heard.retain(|it| played.holds(it.sent_ns));
        heard
    }

    /// Whether `to` heard anything of `from` before the heal that was sent while the fault was in
    /// force. What waited for an address to be resolved comes later.
    fn hears(&self, from: &str, to: &str, played: &Played) -> bool {
        self.heard(from, to, played).iter().any(|it| played.holds(it.heard_ns))
    }

    /// Waits until everybody has heard everybody say something after that time.
    fn await_all(&self, after_ns: u64) {
        let hosts = self.hosts();
        let all = || {
            let hears = |to: &String| {
                let notes = self.notes(to);
                let from = hosts.iter().filter(|from| *from != to);
                from.map(|from| self.address(from)).all(|from| {
                    let heard = notes.heard.get(&from);
                    heard.is_some_and(|all| all.iter().any(|it| it.sent_ns > after_ns))
                })
            };
            hosts.iter().all(hears).then_some(())
        };
        assert!(eventually(all).is_some(), "somebody does not hear somebody");
    }

    /// Plays one fault, waits until it is healed and everybody hears everybody again.
    fn play(&self, fault: FaultKind, target: &str, words: &[(&str, &str)], ms: u64) -> Played {
        loop {
            let played = self.play_once(fault, target, words, ms);
            assert_eq!(played.record.error, None, "{:?}", played.record);
            self.assert_whole();
            self.await_all(played.healed_ns);
            // A fault is healed on time however late it began, and a probe that gets no processor is
            // silent without any fault: on a machine that is busy with other things, play it again.
            if played.from_ns + ms * 700_000 <= played.until_ns && self.were_awake(&played, ms) {
                assert!(played.record.had_effect(), "{:?}", played.record);
                return played;
            }
        }
    }

    /// Whether all probes that should have run had a processor while the fault was in force.
    fn were_awake(&self, played: &Played, ms: u64) -> bool {
        let hosts = self.hosts();
        let is_spared = |host: &&String| !played.may_stop() || !played.record.nodes.contains(*host);
        hosts.iter().filter(is_spared).all(|host| {
            let own = self.heard(host, host, played);
            // It says something every 10 ms, and shall not have been silent for long.
            let pauses = own.windows(2).map(|pair| pair[1].sent_ns - pair[0].sent_ns);
            own.len() as u64 * 30 >= ms && pauses.max().is_none_or(|longest| longest < 250_000_000)
        })
    }

    fn play_once(&self, fault: FaultKind, target: &str, words: &[(&str, &str)], ms: u64) -> Played {
        let parameters: BTreeMap<String, String> =
            words.iter().map(|(name, word)| ((*name).to_owned(), (*word).to_owned())).collect();
        let target = target.parse().expect("a target");
        let fault = fault.with_parameters(&parameters).expect("parameters");
        let planned =
            PlannedFault { id: 0, at_ms: 50, trigger: None, duration_ms: ms, fault, target };
        let schedule = Schedule { seed: 5, faults: vec![planned], read_only: Vec::new() };
        let nemesis = Nemesis::new(&self.cluster, &LedBy("n2"), now_ns);
        let lives = self.lives_of_both();
        // Never healed before that.
        let until_ns = now_ns() + (50 + ms) * 1_000_000;
        let (mut from_ns, mut latest) = (u64::MAX / 2, None);
        let never = std::future::pending::<Stop>();
        let played = nemesis.play(&schedule, never, |moment, record| {
            if moment == Moment::Begun {
                from_ns = now_ns();
            }
            latest = Some(record.clone());
        });
        assert_eq!(block_on(played).expect("fits"), Ending::Played);
        let record: FaultRecord = latest.expect("a record");
        let healed_ns = record.ended_ns.expect("healed");
        Played { record, from_ns, until_ns, healed_ns, lives }
    }

    fn assert_whole(&self) {
        let hosts = self.hosts();
        for (from, to) in hosts.iter().flat_map(|from| hosts.iter().map(move |to| (from, to))) {
            if from != to {
                let policy = self.cluster.lab().network().policy(from, to).expect("a link");
                assert_eq!(policy, Policy::OPEN, "{from} to {to}");
            }
        }
        assert!(self.cluster.nodes().iter().all(partita_nemesis::NodeProcess::is_running));
    }

    /// The pairs, as `n1>n2`, of which the second heard nothing of the first.
    fn silent(&self, played: &Played) -> BTreeSet<String> {
        let hosts = self.hosts();
        let pairs = hosts.iter().flat_map(|from| hosts.iter().map(move |to| (from, to)));
        pairs
            .filter(|(from, to)| from != to && !self.hears(from, to, played))
            .map(|(from, to)| format!("{from}>{to}"))
            .collect()
    }

    fn lives_of_both(&self) -> [usize; 2] {
        ["n1", "n2"].map(|node| self.lives(node, "n3").len())
    }

    /// The processes that a node has had, in order, as its peer knows them, with the times at which
    /// each was first and last heard of.
    fn lives(&self, node: &str, peer: &str) -> Vec<(u64, u64, u64)> {
        let mut lives: Vec<(u64, u64, u64)> = Vec::new();
        for it in self.notes(peer).heard.remove(&self.address(node)).unwrap_or_default() {
            match lives.last_mut().filter(|(process, ..)| *process == it.process) {
                Some((.., last_ns)) => *last_ns = it.sent_ns,
                None => lives.push((it.process, it.sent_ns, it.sent_ns)),
            }
        }
        lives
    }
}

fn pairs(text: &str) -> BTreeSet<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// How many numbers are missing in the longest row of them.
fn longest_gap(heard: &[Heard]) -> u64 {
    let numbers: BTreeSet<u64> = heard.iter().map(|it| it.number).collect();
    let numbers: Vec<u64> = numbers.into_iter().collect();
    numbers.windows(2).map(|pair| pair[1] - pair[0] - 1).max().unwrap_or(0)
}

fn missing(heard: &[Heard]) -> u64 {
    let numbers: BTreeSet<u64> = heard.iter().map(|it| it.number).collect();
    let (first, last) = (numbers.first().expect("some"), numbers.last().expect("some"));
    last - first + 1 - numbers.len() as u64
}

/// Whether no more are missing than a receiver that gets no processor may drop.
fn is_whole(heard: &[Heard]) -> bool {
    missing(heard) * 10 <= heard.len() as u64
}

/// Whether all that were sent long enough before the heal took so long.
fn are_late(heard: &[Heard], by_ms: u64, played: &Played) -> bool {
    let by_ns = by_ms * 1_000_000;
    let mut bound = heard.iter().filter(|it| it.sent_ns + by_ns <= played.until_ns);
    bound.all(|it| it.heard_ns - it.sent_ns >= by_ns)
}

fn latency_ms(it: &Heard) -> u64 {
    it.heard_ns.saturating_sub(it.sent_ns) / 1_000_000
}

fn bad_links() {
    let ground = TestBed::new(3);
    let hit = |fault, words: &[(&str, &str)]| {
        let played = ground.play(fault, "n2", words, 1_200);
        let spared = ground.heard("n1", "n3", &played);
        assert!(is_whole(&spared), "{fault}: n2's links only");
        let heard = ground.heard("n1", "n2", &played);
        assert!(!heard.is_empty(), "{fault}");
        (played, heard)
    };
    let (played, heard) = hit(Delay::KIND, &[("delay", "80ms"), ("jitter", "0")]);
    assert!(are_late(&heard, 80, &played));

    let (_, heard) = hit(Loss::KIND, &[("share", "50%")]);
    assert!(missing(&heard) > 0, "some are lost");

    let (_, heard) = hit(BurstLoss::KIND, &[("share", "50%"), ("length", "5")]);
    assert!(longest_gap(&heard) >= 3, "several are lost in a row");

    let (_, heard) = hit(Duplicate::KIND, &[("share", "50%")]);
    let distinct: BTreeSet<u64> = heard.iter().map(|it| it.number).collect();
    assert!(distinct.len() < heard.len() && is_whole(&heard), "some came twice");

    let (_, heard) = hit(Reorder::KIND, &[("share", "30%"), ("by", "50ms")]);
    assert!(heard.windows(2).any(|pair| pair[1].number < pair[0].number), "some came late");
    assert!(is_whole(&heard), "but they came");

    let (played, heard) = hit(Corrupt::KIND, &[("share", "50%")]);
    let damaged = |played: &Played| {
        let notes = ground.notes("n2").damaged.remove(&ground.address("n1")).unwrap_or_default();
        notes.into_iter().filter(|ns| played.holds(*ns)).count()
    };
    assert!(missing(&heard) > 0 && damaged(&played) == 0, "the kernel drops them");
    let (played, heard) = hit(Corrupt::KIND, &[("share", "50%"), ("mend", "yes")]);
    assert!(damaged(&played) > 0 && missing(&heard) > 0, "the program gets them");

    let (_, heard) = hit(Rate::KIND, &[("rate", "4KiB/s"), ("burst", "1KiB")]);
    assert!(heard.iter().any(|it| latency_ms(it) >= 100), "they wait");

    let (played, heard) = hit(Hold::KIND, &[]);
    assert!(heard.iter().all(|it| it.heard_ns >= played.until_ns), "nothing until the heal");
    assert!(is_whole(&heard) && heard.is_sorted_by_key(|it| it.number), "then all in order");

    let played = ground.play(Reset::KIND, "n2", &[("every", "100ms")], 700);
    let resets = |host: &str| {
        let notes = ground.notes(host).resets.remove(&ground.address("n2")).unwrap_or_default();
        notes.into_iter().filter(|ns| *ns <= played.healed_ns).count()
    };
    assert!(eventually(|| (resets("n1") > 1 && resets("n3") > 1).then_some(())).is_some());
    assert!(played.effect("connections reset") > 2.0, "a storm: {:?}", played.record);
}

fn named_links() {
    let ground = TestBed::new(3);
    let delay = [("delay", "80ms"), ("jitter", "0")];
    let by = |more: &[(&str, &str)]| {
        let words: Vec<_> = delay.iter().chain(more).copied().collect();
        let played = ground.play(Delay::KIND, "n2", &words, 600);
        let hosts = ground.hosts();
        let all = hosts.iter().flat_map(|from| hosts.iter().map(move |to| (from, to)));
        let all = all.filter(|(from, to)| from != to);
        let slow: BTreeSet<String> = all
            .filter(|(from, to)| are_late(&ground.heard(from, to, &played), 80, &played))
            .map(|(from, to)| format!("{from}>{to}"))
            .collect();
        (slow, played)
    };
    assert_eq!(by(&[("direction", "in")]).0, pairs("n1>n2 n3>n2"));
    assert_eq!(by(&[("direction", "out")]).0, pairs("n2>n1 n2>n3"));
    let (slow, _) = by(&[("clients", "too")]);
    assert_eq!(slow, pairs("n1>n2 n3>n2 n2>n1 n2>n3 clients>n2 n2>clients"));
    assert_eq!(by(&[("clients", "only")]).0, pairs("clients>n2 n2>clients"));
    let (slow, played) = by(&[("links", "n1>n3,clients<>n3")]);
    assert_eq!(slow, pairs("n1>n3 clients>n3 n3>clients"));
    assert_eq!(played.record.nodes, ["n1", "n3"]);
}

fn partitions() {
    let ground = TestBed::new(3);
    let cut = |fault, target, words: &[(&str, &str)]| {
        let played = ground.play(fault, target, words, 700);
        (ground.silent(&played), played)
    };
    let (silent, played) = cut(Isolate::KIND, "leader", &[]);
    assert_eq!(silent, pairs("n2>n1 n2>n3 n1>n2 n3>n2"));
    assert!(played.effect("frames dropped") > 0.0);
    let (silent, _) = cut(Isolate::KIND, "n1", &[("clients", "too")]);
    assert_eq!(silent, pairs("n1>n2 n1>n3 n2>n1 n3>n1 clients>n1 n1>clients"));
    let (silent, _) = cut(OneWay::KIND, "n1", &[]);
    assert_eq!(silent, pairs("n1>n2 n1>n3"));
    let (silent, _) = cut(OneWay::KIND, "n1", &[("direction", "in")]);
    assert_eq!(silent, pairs("n2>n1 n3>n1"));
    let (silent, _) = cut(LeaderFromFollowers::KIND, "all", &[]);
    assert_eq!(silent, pairs("n2>n1 n2>n3 n1>n2 n3>n2"));
    let (silent, _) = cut(ClientsFromLeader::KIND, "all", &[]);
    assert_eq!(silent, pairs("clients>n2 n2>clients"));
    let (silent, _) = cut(ClientsFromLeader::KIND, "all", &[("direction", "out")]);
    assert_eq!(silent, pairs("n2>clients"));
    let (silent, played) = cut(Cut::KIND, "all", &[("links", "n1>n3,n3<>n2")]);
    assert_eq!(silent, pairs("n1>n3 n3>n2 n2>n3"));
    assert_eq!(played.record.nodes, ["n1", "n2", "n3"]);
    let (silent, played) = cut(Bridge::KIND, "n2", &[]);
    assert_eq!(silent, pairs("n1>n3 n3>n1"), "{:?}", played.record);

    let words = [("down", "100ms"), ("up", "200ms")];
    let played = ground.play(Flapping::KIND, "n1", &words, 2_500);
    let heard = ground.heard("n1", "n2", &played);
    let numbers: Vec<u64> = heard.iter().map(|it| it.number).collect();
    let gaps = numbers.windows(2).filter(|pair| pair[1] - pair[0] > 3).count();
    assert!(gaps >= 2, "it comes and goes: {gaps}");
    assert!(played.effect("cut off") >= 3.0, "{:?}", played.record);
}

fn five() {
    let ground = TestBed::new(5);
    let heard_by = |played: &Played, node: &str| -> BTreeSet<String> {
        let names = ground.cluster.names().iter().filter(|name| *name != node);
        names.filter(|from| ground.hears(from, node, played)).cloned().collect()
    };
    let played = ground.play(MajoritiesRing::KIND, "all", &[], 700);
    let mut majorities = BTreeSet::new();
    for node in ground.cluster.names() {
        let mut majority = heard_by(&played, node);
        assert_eq!(majority.len(), 2, "with itself, three of five");
        majority.insert(node.clone());
        majorities.insert(majority);
    }
    assert_eq!(majorities.len(), 5, "each hears another one");

    let played = ground.play(Halves::KIND, "n3", &[], 700);
    assert_eq!(heard_by(&played, "n3").len(), 1);
    let sizes: Vec<usize> =
        ground.cluster.names().iter().map(|node| heard_by(&played, node).len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 2 + 3 * 2, "{sizes:?}");

    let played = ground.play(MajorityMinority::KIND, "n3", &[("size", "1")], 700);
    assert_eq!(heard_by(&played, "n3").len(), 0);
    assert_eq!(heard_by(&played, "n1").len(), 3);

    let played = ground.play(Bridge::KIND, "n4", &[], 700);
    assert_eq!(heard_by(&played, "n4").len(), 4);
    assert_eq!(heard_by(&played, "n1").len(), 2, "the bridge and one of its half");
}

fn processes() {
    let ground = TestBed::new(3);
    for (fault, words) in
        [(Kill::KIND, &[][..]), (Terminate::KIND, &[("limit", "5s")]), (Pause::KIND, &[])]
    {
        let played = ground.play(fault, "n1", words, 700);
        assert!(ground.heard("n1", "n3", &played).is_empty(), "{fault}: it says nothing");
        assert!(!ground.heard("n2", "n3", &played).is_empty(), "{fault}: others do");
        let [before, other] = played.lives;
        let after = [before + usize::from(fault != Pause::KIND), other];
        assert_eq!(ground.lives_of_both(), after, "{fault}");
    }
    let played = ground.play(Kill::KIND, "n1,n2", &[], 700);
    assert_eq!(played.effect("killed by signal 9"), 2.0);
    let silent = ground.silent(&played);
    assert!(silent.contains("n1>n3") && silent.contains("n2>n3"), "{silent:?}");
    assert_eq!(ground.lives_of_both(), played.lives.map(|count| count + 1));

    let words = [("period", "200ms"), ("share", "60%")];
    let played = ground.play(PauseLoop::KIND, "n1", &words, 2_500);
    let heard = ground.heard("n1", "n3", &played);
    let stops = |pair: &&[Heard]| pair[1].sent_ns - pair[0].sent_ns >= 100_000_000;
    let gaps = heard.windows(2).filter(stops).count();
    assert!(gaps >= 2, "it stops and goes on: {gaps}");
    assert!(played.effect("stopped") >= 3.0 && played.effect("time stopped") >= 300.0);
}

fn restarts() {
    let ground = TestBed::new(3);
    let played = ground.play(KillAll::KIND, "all", &[("down", "200ms")], 600);
    assert_eq!(played.effect("started again"), 3.0);
    assert_eq!(ground.lives_of_both(), played.lives.map(|count| count + 1));

    let played = ground.play(RollingRestart::KIND, "all", &[("between", "100ms")], 6_000);
    assert_eq!(played.effect("ended when asked"), 3.0, "{:?}", played.record);
    assert_eq!(ground.lives_of_both(), played.lives.map(|count| count + 1));
    let back_ns = ground.lives("n1", "n3").last().expect("a life").1;
    let ended_ns = ground.lives("n2", "n3").iter().rev().nth(1).expect("the life before").2;
    assert!(back_ns < ended_ns, "n1 is back before n2 ends");

    let before = ground.cluster.nodes()[0].start().expect_err("it runs").to_string();
    let words = [("within", "300ms"), ("times", "2")];
    let played = ground.play(RestartVoters::KIND, "followers", &words, 2_500);
    assert_eq!(played.effect("started again"), 4.0, "two of each: {:?}", played.record);
    assert_eq!(played.record.nodes, ["n1", "n3"]);
    let after = ground.cluster.nodes()[0].start().expect_err("it runs").to_string();
    assert_ne!(before, after, "as another process");
}

fn mid_restart() {
    let ground = TestBed::new(3);
    // Whatever moment the heal comes at.
    for ms in [200, 310, 420] {
        ground.play(RollingRestart::KIND, "all", &[("between", "0s")], ms);
        let words = [("within", "50ms"), ("times", "1000")];
        ground.play(RestartVoters::KIND, "all", &words, ms);
    }
    let played = ground.play(KillAll::KIND, "all", &[("down", "60s")], 200);
    assert_eq!(played.effect("started again"), 3.0);
}

/// A cluster in the middle of a fault that outlasts every test. Says where its files are.
fn linger(fault: FaultKind, words: &[(&str, &str)]) {
    let home = tempfile::tempdir().expect("a directory").keep();
    let lab = Lab::build(&["n1", "n2", "n3"]).expect("a lab");
    for host in lab.nodes() {
        fs::create_dir(home.join(host.name())).expect("made");
    }
    let script = "while :; do date >> log; sync log; sleep 0.01; done";
    let mut cluster = Cluster::new(lab, |host| Program {
        user: None,
        path: "sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: Vec::new(),
        directory: home.join(host.name()),
        stdout: "/dev/null".into(),
        stderr: "/dev/null".into(),
    });
    cluster.give_clocks().expect("clocks");
    cluster.watch_disks(|node| home.join(node)).expect("watched");
    for node in cluster.nodes() {
        node.start().expect("starts");
    }
    let parameters: BTreeMap<String, String> =
        words.iter().map(|(name, word)| ((*name).to_owned(), (*word).to_owned())).collect();
    let fault = fault.with_parameters(&parameters).expect("parameters");
    let target = "n2".parse().expect("a target");
    let planned =
        PlannedFault { id: 0, at_ms: 100, trigger: None, duration_ms: 600_000, fault, target };
    let schedule = Schedule { seed: 5, faults: vec![planned], read_only: Vec::new() };
    let nemesis = Nemesis::new(&cluster, &LedBy("n2"), now_ns);
    let never = std::future::pending::<Stop>();
    let played = nemesis.play(&schedule, never, |moment, record| {
        assert_eq!(record.error, None);
        if moment == Moment::Begun {
            say("ready");
            say(home.to_str().expect("text"));
        }
    });
    let ending = block_on(played);
    unreachable!("{ending:?} is after the test's end");
}

/// How far the machine's time of day is from its other clock, in seconds.
fn time_of_day() -> u64 {
    let since_1970 = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
    since_1970.as_secs() - now_ns() / 1_000_000_000
}

fn killed(scenario: &str, account: Account) {
    let before = time_of_day();
    let mut started = Started::new(scenario, account);
    let home = started.line();
    // In the middle of whatever it does again and again.
    thread::sleep(std::time::Duration::from_millis(70));
    nix::sys::signal::kill(started.controller(), nix::sys::signal::Signal::SIGKILL)
        .expect("killed");
    started.assert_gone();
    assert!(time_of_day().abs_diff(before) < 60, "the machine's clock was moved");
    fs::remove_dir_all(home).expect("removed");
}
