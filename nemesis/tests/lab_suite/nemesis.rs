//! Schedules played on real processes and a real network.

use std::cell::RefCell;
use std::fs;
use std::future::pending;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::harness::{Scenario, eventually};
use partita_nemesis::fault::partition::{Halves, Isolate, OneDirection, OneWay};
use partita_nemesis::fault::process::{Kill, Pause};
use partita_nemesis::{
    Cluster, Ending, FaultKind, FaultRecord, Lab, Moment, Nemesis, NodeSeen, PlannedFault, Policy,
    Program, Roles, Schedule, Stop, Trigger, When,
};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

/// What is tested inside a lab.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "every_fault_has_an_effect_and_is_healed", run: every_fault },
    Scenario { name: "a_fault_waits_for_its_moment_or_for_as_long_as_it_may", run: moments },
    Scenario { name: "a_stopped_play_leaves_a_whole_cluster", run: stopped },
    Scenario { name: "a_shut_down_play_leaves_killed_nodes_dead", run: shut_down },
    Scenario { name: "a_dropped_play_leaves_no_partition_and_no_pause", run: dropped },
    Scenario { name: "a_node_that_does_not_start_again_is_an_error", run: no_restart },
    Scenario { name: "a_fault_on_a_dead_node_is_an_error", run: dead_node },
    Scenario { name: "a_schedule_that_does_not_fit_does_nothing", run: misfit },
];

struct LedBy(&'static str);

impl Roles for LedBy {
    async fn leader(&self) -> Option<String> {
        Some(self.0.to_owned())
    }
}

/// Leads in a new term once somebody else is isolated.
struct Succeeds<'a>(&'a Cluster);

impl Roles for Succeeds<'_> {
    async fn leader(&self) -> Option<String> {
        Some("n2".to_owned())
    }

    fn seen(&self) -> Vec<NodeSeen> {
        let policy = self.0.lab().network().policy("n1", "n2").expect("a link");
        let term = if policy == Policy::default() { 3 } else { 4 };
        let node = |leads| NodeSeen { is_up: true, leads, term: Some(term), ..NodeSeen::default() };
        vec![node(false), node(true), node(false)]
    }
}

/// A cluster of three sleepers whose program is a file that can be taken away.
struct TestBed {
    cluster: Cluster,
    program: PathBuf,
    _directory: TempDir,
}

impl TestBed {
    fn new() -> TestBed {
        let directory = tempfile::tempdir().expect("a directory");
        let program = directory.path().join("sleeper");
        fs::write(&program, "#!/bin/sh\nexec sleep 1000\n").expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&program, mode).expect("may be run");
        let lab = Lab::build(&["n1", "n2", "n3"]).expect("a lab");
        let cluster = Cluster::new(lab, |_| Program {
            user: None,
            path: program.clone(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: Path::new("/").into(),
            stdout: "/dev/null".into(),
            stderr: "/dev/null".into(),
        });
        for node in cluster.nodes() {
            node.start().expect("starts");
        }
        // The shells have read their file and are what they shall be.
        assert!(eventually(|| (sleepers() == 3).then_some(())).is_some());
        TestBed { cluster, program, _directory: directory }
    }

    /// Everything is as it was before any fault.
    fn assert_whole(&self) {
        self.assert_healed();
        for node in self.cluster.nodes() {
            assert!(node.is_running(), "{} is down", node.node());
        }
    }

    /// No link is cut and no process is stopped.
    fn assert_healed(&self) {
        for from in self.cluster.names() {
            for to in self.cluster.names().iter().filter(|to| *to != from) {
                let policy = self.cluster.lab().network().policy(from, to).expect("a link");
                assert_eq!(policy, Policy::default(), "{from} to {to}");
            }
        }
        assert_eq!(stopped_processes(), 0);
    }

    /// Sends datagrams between all nodes, for ever.
    async fn chatter(&self) {
        let sockets: Vec<UdpSocket> = self
            .cluster
            .lab()
            .nodes()
            .iter()
            .map(|host| host.enter(|| UdpSocket::bind((host.address(), 9000))))
            .map(|socket| socket.expect("inside").expect("binds"))
            .collect();
        loop {
            for socket in &sockets {
                for host in self.cluster.lab().nodes() {
                    socket.send_to(b"hello", (host.address(), 9000)).expect("sends");
                }
            }
            sleep(Duration::from_millis(2)).await;
        }
    }
}

fn sleepers() -> usize {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.starts_with(b"sleep\0")).count()
}

fn stopped_processes() -> usize {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    stats.filter(|stat| stat.contains(") T ")).count()
}

fn schedule(faults: &[(FaultKind, &str, u64)]) -> Schedule {
    let mut at_ms = 20;
    let planned = (0..).zip(faults).map(|(id, (fault, target, duration_ms))| {
        let planned = PlannedFault {
            id,
            at_ms,
            trigger: None,
            duration_ms: *duration_ms,
            fault: fault.with_defaults(),
            target: target.parse().expect("a target"),
        };
        at_ms += duration_ms + 400;
        planned
    });
    Schedule { seed: 5, faults: planned.collect(), read_only: Vec::new() }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

fn clock() -> impl Fn() -> u64 {
    let start = Instant::now();
    move || start.elapsed().as_nanos() as u64
}

/// Plays until `stop`; the ending and all records in order.
async fn play(
    ground: &TestBed,
    schedule: &Schedule,
    stop: impl Future<Output = Stop>,
) -> (Ending, Vec<FaultRecord>) {
    let records = RefCell::new(Vec::new());
    let roles = LedBy("n2");
    let nemesis = Nemesis::new(&ground.cluster, &roles, clock());
    let played = nemesis.play(schedule, stop, |moment, record| {
        if moment != Moment::Coming {
            records.borrow_mut().push(record.clone());
        }
    });
    let ending = played.await.expect("the schedule fits");
    (ending, records.into_inner())
}

fn moments() {
    let ground = TestBed::new();
    let mut schedule = schedule(&[
        (Isolate::KIND, "n1", 600),
        (Pause::KIND, "leader", 100),
        (Kill::KIND, "n3", 100),
    ]);
    let trigger = |when| Some(Trigger { when, wait_ms: 60_000 });
    schedule.faults[0].at_ms = 300;
    schedule.faults[1].at_ms = 0;
    schedule.faults[1].trigger = trigger(When::NewLeader);
    schedule.faults[2].at_ms = 0;
    schedule.faults[2].trigger = Some(Trigger { when: When::CatchingUp, wait_ms: 50 });
    let records = RefCell::new(Vec::new());
    let roles = Succeeds(&ground.cluster);
    let nemesis = Nemesis::new(&ground.cluster, &roles, clock());
    let ending = block_on(nemesis.play(&schedule, pending(), |moment, record| {
        if moment == Moment::Over {
            records.borrow_mut().push(record.clone());
        }
    }));
    assert_eq!(ending.expect("the schedule fits"), Ending::Played);
    let records = records.into_inner();
    let of = |id| records.iter().find(|record| record.id == id).expect("it was played");
    let (isolated, paused, killed) = (of(0), of(1), of(2));
    assert_eq!((&isolated.waited(), isolated.parameters.get("when")), (&None, None));
    assert_eq!(paused.parameters["when"], "new-leader (came)");
    assert!(paused.began_ns >= isolated.began_ns && Some(paused.began_ns) < isolated.ended_ns);
    assert!(paused.waited().expect("it waited") >= Duration::from_millis(290));
    assert_eq!(paused.nodes, ["n2"]);
    // It begins all the same.
    assert_eq!(killed.parameters["when"], "catching-up (did not come)");
    assert!(killed.waited().expect("it waited") >= Duration::from_millis(50));
    let lasted = killed.ended_ns.expect("healed") - killed.began_ns;
    assert!(lasted >= 100_000_000, "its time counts from its beginning: {lasted}");
    ground.assert_whole();
}

fn every_fault() {
    let ground = TestBed::new();
    let mut schedule = schedule(&[
        (Isolate::KIND, "leader", 200),
        (Halves::KIND, "random", 200),
        (OneWay::KIND, "n3", 200),
        (OneWay::KIND, "follower", 200),
        (Pause::KIND, "leader", 200),
        (Kill::KIND, "random", 200),
    ]);
    schedule.faults[3].fault = OneWay { direction: OneDirection::In, ..OneWay::default() }.into();
    let (ending, records) = block_on(async {
        tokio::select! {
            () = ground.chatter() => unreachable!("it goes on for ever"),
            played = play(&ground, &schedule, pending()) => played,
        }
    });
    assert_eq!(ending, Ending::Played);
    assert_eq!(records.len(), 2 * schedule.faults.len());
    for (pair, planned) in records.chunks(2).zip(&schedule.faults) {
        let [injected, healed] = pair else { panic!("a pair each") };
        assert_eq!((injected.id, healed.id), (planned.id, planned.id));
        assert_eq!((&injected.error, &healed.error), (&None, &None));
        assert_eq!((injected.ended_ns, injected.began_ns), (None, healed.began_ns));
        let ended_ns = healed.ended_ns.expect("healed");
        assert!(healed.began_ns >= planned.at_ms * 1_000_000);
        assert!(ended_ns >= (planned.at_ms + planned.duration_ms) * 1_000_000);
        assert!(healed.had_effect(), "{healed:?}");
        assert_eq!(healed.nodes.len(), 1);
    }
    let healed = |id: usize| &records[2 * id + 1];
    assert_eq!((healed(0).target.as_str(), healed(0).nodes[0].as_str()), ("leader", "n2"));
    assert_eq!(healed(3).parameters["direction"], "in");
    assert_ne!(healed(3).nodes[0], "n2");
    assert_eq!(healed(5).effects[0].unit, "processes");
    assert!(healed(5).effects.iter().any(|effect| effect.what == "time down"));
    ground.assert_whole();
}

fn stopped() {
    for fault in [Isolate::KIND, Pause::KIND, Kill::KIND] {
        let ground = TestBed::new();
        let schedule = schedule(&[(fault, "leader", 600_000), (fault, "leader", 1)]);
        let stop = async {
            sleep(Duration::from_millis(200)).await;
            Stop::Heal
        };
        let (ending, records) = block_on(play(&ground, &schedule, stop));
        assert_eq!(ending, Ending::Stopped);
        assert_eq!(records.len(), 2, "the second fault never came");
        assert!(records[1].ended_ns.is_some());
        assert_eq!(records[1].error, None);
        ground.assert_whole();
    }
}

fn shut_down() {
    for fault in [Isolate::KIND, Pause::KIND, Kill::KIND] {
        let ground = TestBed::new();
        let schedule = schedule(&[(fault, "leader", 600_000)]);
        let stop = async {
            sleep(Duration::from_millis(200)).await;
            Stop::ShutDown
        };
        let (ending, records) = block_on(play(&ground, &schedule, stop));
        assert_eq!(ending, Ending::ShutDown);
        assert!(records[1].ended_ns.is_some());
        ground.assert_healed();
        let node = ground.cluster.node("n2").expect("a node");
        assert_eq!(node.is_running(), fault != Kill::KIND);
    }
}

fn dropped() {
    for fault in [Halves::KIND, Pause::KIND] {
        let ground = TestBed::new();
        let schedule = schedule(&[(fault, "leader", 600_000)]);
        block_on(async {
            let given_up = timeout(Duration::from_millis(200), play(&ground, &schedule, pending()));
            assert!(given_up.await.is_err());
        });
        ground.assert_whole();
    }
}

fn no_restart() {
    let ground = TestBed::new();
    let schedule = schedule(&[(Kill::KIND, "leader", 100)]);
    fs::remove_file(&ground.program).expect("removed");
    let (_, records) = block_on(play(&ground, &schedule, pending()));
    assert_eq!(records[0].error, None);
    let error = records[1].error.as_deref().expect("there is no program");
    assert!(error.contains("n2") && error.contains("sleeper"), "{error}");

    fs::write(&ground.program, "#!/bin/sh\nexit 3\n").expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&ground.program, mode).expect("may be run");
    let schedule = self::schedule(&[(Kill::KIND, "n1", 100)]);
    let (_, records) = block_on(play(&ground, &schedule, pending()));
    let error = records[1].error.as_deref().expect("it ends at once");
    assert!(error.contains("exit status: 3"), "{error}");
}

fn dead_node() {
    let ground = TestBed::new();
    block_on(ground.cluster.node("n2").expect("a node").kill()).expect("dies");
    let schedule = schedule(&[(Pause::KIND, "leader", 10), (Kill::KIND, "leader", 10)]);
    let (ending, records) = block_on(play(&ground, &schedule, pending()));
    assert_eq!((ending, records.len()), (Ending::Played, 2));
    for record in &records {
        assert_eq!(record.error.as_deref(), Some("n2 is not running"));
        assert!(record.ended_ns.is_some() && !record.had_effect());
    }
}

fn misfit() {
    let ground = TestBed::new();
    let schedule = schedule(&[(Kill::KIND, "n9", 10)]);
    let nemesis = Nemesis::new(&ground.cluster, &LedBy("n2"), clock());
    let playing = nemesis.play(&schedule, pending(), |_, _| panic!("nothing happens"));
    let played = block_on(movable(playing));
    assert!(played.expect_err("no such node").to_string().contains("n1, n2, n3"));
    ground.assert_whole();
}

/// A play may move between a runtime's threads.
fn movable<T>(playing: impl Future<Output = T> + Send) -> impl Future<Output = T> + Send {
    playing
}
