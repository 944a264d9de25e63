//! Nodes that have clocks of their own and a disk that is watched, both at once.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use partita_nemesis::disk::{DiskFault, NameModel, UnsyncedSurvival};
use partita_nemesis::{
    Cluster, Disk, Ending, FAULTS, Family, FaultKind, Lab, Moment, Nemesis, NodeClock, NodeProcess,
    PlannedFault, Program, Roles, Schedule, Stop, Target,
};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use tempfile::TempDir;

use crate::disk::block_on;
use crate::harness::{Scenario, eventually};

const HOUR_S: u64 = 3_600;
const HOUR_NS: i64 = 3_600_000_000_000;

/// What is tested inside a lab.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "a_node_whose_clock_is_wrong_can_lose_power", run: step_and_power },
    Scenario { name: "programs_get_their_clocks_while_syncs_are_slow", run: slow_execs },
    Scenario { name: "a_watched_node_can_be_killed_at_any_moment", run: harassed },
    Scenario { name: "every_fault_of_clocks_and_disks_hits_one_cluster", run: every_fault },
];

struct LedByFirst;

impl Roles for LedByFirst {
    async fn leader(&self) -> Option<String> {
        Some("n1".to_owned())
    }
}

/// A node that runs a shell script, with a clock and a watched disk.
struct TestBed {
    node: NodeProcess,
    clock: Arc<NodeClock>,
    disk: Disk,
    directory: TempDir,
    _lab: Lab,
}

impl TestBed {
    fn new(script: &str) -> TestBed {
        let directory = tempfile::tempdir().expect("a directory");
        let data = directory.path().join("data");
        fs::create_dir(&data).expect("made");
        let lab = Lab::build(&["n1"]).expect("a lab");
        let out = |name| directory.path().join(name);
        let program = shell(script, data.clone(), out("stdout.log"), out("stderr.log"));
        let mut node = NodeProcess::new(&lab.nodes()[0], program);
        let clock = Arc::new(NodeClock::new("n1").expect("a clock"));
        let disk = Disk::new(&data).expect("a disk");
        node.give_clock(Arc::clone(&clock));
        node.watch_disk(disk.clone());
        TestBed { node, clock, disk, directory, _lab: lab }
    }

    /// Waits until the script has said so.
    fn await_word(&self, word: &str) {
        let path = self.directory.path().join("stdout.log");
        let said = || fs::read_to_string(&path).ok().filter(|text| text.contains(word));
        let stderr = || fs::read_to_string(self.directory.path().join("stderr.log"));
        assert!(eventually(said).is_some(), "{:?}", stderr());
    }
}

fn shell(script: &str, directory: PathBuf, stdout: PathBuf, stderr: PathBuf) -> Program {
    Program {
        user: None,
        path: "sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: Vec::new(),
        directory,
        stdout,
        stderr,
    }
}

fn step_and_power() {
    let ground =
        TestBed::new("date +%s > log; sync log .; date +%s >> log; echo written; sleep 999");
    ground.clock.set_realtime(HOUR_NS);
    ground.node.start().expect("starts");
    ground.await_word("written");
    block_on(ground.node.kill()).expect("dies");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let loss = ground.disk.lose_power(NameModel::Posix, UnsyncedSurvival::Nothing, &mut rng);
    let left = fs::read_to_string(ground.disk.directory().join("log")).expect("synced");
    let lines: Vec<u64> = left.lines().map(|line| line.parse().expect("seconds")).collect();
    assert_eq!(lines.len(), 1, "only the first was synced: {left:?}");
    assert_eq!(loss.expect("known what is lost").bytes as usize, left.len());
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let truth = since_epoch.expect("after 1970").as_secs();
    assert!(lines[0].abs_diff(truth + HOUR_S) < HOUR_S / 2, "{} at {truth}", lines[0]);
    assert_eq!(ground.clock.latest_miss(), None);
    // The shell, date twice, sync.
    assert!(ground.clock.installed() >= 4, "{}", ground.clock.installed());
}

fn slow_execs() {
    let ground = TestBed::new(
        "echo x > log; sync log & while [ ! -e stop ]; do date +%s > now; echo turn; done; \
         sleep 999",
    );
    let delay = crate::harness::LIMIT * 10;
    let troubled = ground.disk.trouble(DiskFault::Slow { delay }, ChaCha8Rng::seed_from_u64(1));
    ground.node.start().expect("starts");
    assert!(eventually(|| (troubled.tally().delayed > 0).then_some(())).is_some());
    let installed = ground.clock.installed();
    let goes_on = || (ground.clock.installed() > installed + 5).then_some(());
    assert!(eventually(goes_on).is_some(), "one slow sync keeps programs from starting");
    assert_eq!((troubled.tally().delayed, ground.clock.latest_miss()), (1, None));
}

fn harassed() {
    let ground = TestBed::new("while :; do date +%s > log; sync log; done");
    for turn in 0..60 {
        ground.node.start().expect("starts");
        std::thread::sleep(Duration::from_micros(700 * turn));
        if turn % 3 == 0 {
            block_on(ground.node.pause()).expect("stops");
            ground.node.resume().expect("goes on");
        }
        block_on(ground.node.kill()).expect("dies");
        let mut rng = ChaCha8Rng::seed_from_u64(turn);
        let loss = ground.disk.lose_power(NameModel::Journal, UnsyncedSurvival::Byte, &mut rng);
        assert!(loss.is_ok(), "{loss:?}");
    }
    assert_eq!(ground.clock.latest_miss(), None);
    assert!(ground.clock.installed() > 60);
}

fn every_fault() {
    let directory = tempfile::tempdir().expect("a directory");
    let home = |node: &str| directory.path().join(node);
    let lab = Lab::build(&["n1", "n2", "n3"]).expect("a lab");
    for host in lab.nodes() {
        fs::create_dir_all(home(host.name()).join("data")).expect("made");
    }
    // Appends without a sync between, so that there is always something to lose.
    let script = "while :; do date +%s >> log && sync log || exit 7; date +%s >> log; done";
    let mut cluster = Cluster::new(lab, |host| {
        let out = |name| home(host.name()).join(name);
        shell(script, out("data"), out("stdout.log"), out("stderr.log"))
    });
    cluster.give_clocks().expect("clocks");
    cluster.watch_disks(|node| home(node).join("data")).expect("watched");
    for node in cluster.nodes() {
        node.start().expect("starts");
    }
    let of = |family| FAULTS.into_iter().filter(move |fault| fault.family() == family);
    let mut faults: Vec<FaultKind> = Vec::new();
    for disk in of(Family::Disk) {
        faults.push(disk);
        faults.extend(of(Family::Clock).nth(faults.len() % 3));
    }
    let planned = |(id, fault): (u32, FaultKind)| PlannedFault {
        id,
        at_ms: 500 + u64::from(id) * 1_200,
        trigger: None,
        duration_ms: 500,
        fault: fault.with_defaults(),
        target: Target::Nodes(vec!["n1".to_owned()]),
    };
    let faults = (0..).zip(faults).map(planned).collect();
    let schedule = Schedule { seed: 5, faults, read_only: Vec::new() };
    let begun = Instant::now();
    let clock = || u64::try_from(begun.elapsed().as_nanos()).expect("not that late");
    let nemesis = Nemesis::new(&cluster, &LedByFirst, clock);
    let mut records = Vec::new();
    let never = std::future::pending::<Stop>();
    let playing = nemesis.play(&schedule, never, |moment, record| {
        if moment != Moment::Coming {
            records.push(record.clone());
        }
    });
    assert_eq!(block_on(playing).expect("fits"), Ending::Played);
    assert_eq!(records.len(), 2 * schedule.faults.len());
    for healed in records.iter().filter(|record| record.ended_ns.is_some()) {
        assert_eq!(healed.error, None, "{healed:?}");
        assert!(healed.had_effect(), "{healed:?}");
    }
    for node in cluster.nodes() {
        let clock = node.clock().expect("a clock");
        assert!(node.is_running(), "{}", node.node());
        assert_eq!((clock.misses(), clock.shift().realtime_ns), (0, 0), "{}", node.node());
    }
}
