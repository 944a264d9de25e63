//! Clocks of nodes, as the nodes' own programs see them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::future::pending;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use partita_nemesis::clock::Clocks;
use partita_nemesis::fault::clock::{ClockRate, ClockStep, ClockStrobe};
use partita_nemesis::{
    Cluster, FaultKind, FaultRecord, Lab, Moment, Nemesis, NodeClock, NodeProcess, PlannedFault,
    Program, Roles, Schedule,
};
use tempfile::TempDir;

use crate::harness::{Account, Scenario, Test, command, eventually, wait};
use crate::lifetime::{Started, say};
use crate::needs::Need;

/// Makes this program a reader of clocks instead of a test.
pub(crate) const READER: &str = "PARTITA_TEST_CLOCK_READER";
/// Where a scenario finds a program that was built for it.
const PROGRAM: &str = "PARTITA_TEST_PROGRAM";

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * SECOND;

/// What is tested inside a lab.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "a_step_is_seen_by_the_victim_alone_and_healed", run: step },
    Scenario { name: "a_rate_moves_both_clocks_and_monotonic_never_goes_back", run: rate },
    Scenario { name: "a_node_started_again_has_the_same_clock", run: restart },
    Scenario { name: "wrappers_and_their_children_have_the_nodes_clock", run: wrappers },
    Scenario { name: "an_exec_by_a_thread_that_is_not_the_first_is_followed", run: exec_by_thread },
    Scenario { name: "an_exec_that_fails_leaves_no_trace", run: failed_exec },
    Scenario { name: "a_node_can_be_traced_by_others_afterwards", run: traceable },
    Scenario { name: "a_program_traced_by_another_is_reported", run: traced },
    Scenario { name: "a_program_that_begins_without_a_clock_meanwhile_is_reported", run: escaped },
    Scenario { name: "a_node_can_be_killed_and_paused_at_any_moment", run: harassed },
    Scenario { name: "every_clock_fault_has_an_effect_and_is_healed", run: every_fault },
    Scenario { name: "a_dropped_play_leaves_no_clock_wrong", run: dropped },
    Scenario { name: "a_clock_fault_without_a_clock_is_an_error", run: no_clock },
    Scenario { name: "etcd_sees_its_nodes_clock", run: etcd },
];

/// What the tests start.
pub(crate) const HELPERS: &[Scenario] = &[
    Scenario { name: "move_the_clock_of_a_given_program", run: given_program },
    Scenario { name: "linger_with_wrong_clocks", run: linger },
];

/// What is tested from outside.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "a_static_program_sees_its_nodes_clock", run: static_program },
    Test { name: "killing_the_controller_leaves_no_clock_wrong", run: kill_controller },
];

/// A lab of one node with a clock, and a directory of its own.
struct TestBed {
    lab: Lab,
    clock: Arc<NodeClock>,
    directory: TempDir,
}

/// What a reader said last: how far its clocks were ahead, from and to, and how often monotonic
/// time went back.
#[derive(Debug, Clone, Copy)]
struct Reading {
    realtime: (i64, i64),
    monotonic: (i64, i64),
    back: i64,
}

impl TestBed {
    fn new() -> TestBed {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = Arc::new(NodeClock::new("n1").expect("a clock"));
        TestBed { lab: Lab::build(&["n1"]).expect("a lab"), clock, directory }
    }

    fn program(&self, path: &str, arguments: &[&str]) -> NodeProcess {
        let program = program(self.directory.path(), path, arguments);
        let mut node = NodeProcess::new(&self.lab.nodes()[0], program);
        node.give_clock(Arc::clone(&self.clock));
        node
    }

    fn reader(&self) -> NodeProcess {
        // In the child this is the same program, whatever its path is called.
        self.program("/proc/self/exe", &[])
    }

    fn shell(&self, script: &str) -> NodeProcess {
        self.program("sh", &["-c", script])
    }

    fn output(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name)).unwrap_or_default()
    }

    /// Waits for a reading from now on that is as wanted.
    fn await_reading(&self, wanted: impl Fn(&Reading) -> bool) -> Reading {
        await_reading(self.directory.path(), wanted)
    }
}

fn program(directory: &Path, path: &str, arguments: &[&str]) -> Program {
    Program {
        user: None,
        path: path.into(),
        arguments: arguments.iter().map(Into::into).collect(),
        environment: vec![(READER.into(), "1".into()), ("TZ".into(), "UTC".into())],
        directory: directory.into(),
        stdout: directory.join("stdout.log"),
        stderr: directory.join("stderr.log"),
    }
}

fn await_reading(directory: &Path, wanted: impl Fn(&Reading) -> bool) -> Reading {
    let path = directory.join("stdout.log");
    let from = fs::metadata(&path).map_or(0, |file| file.len()) as usize;
    let mut latest = None;
    let seen = eventually(|| {
        let text = fs::read_to_string(&path).ok()?;
        let (whole, _) = text.get(from..)?.rsplit_once('\n')?;
        // The first may have been begun before.
        let readings = whole.lines().skip(1).filter_map(reading);
        readings.inspect(|reading| latest = Some(*reading)).find(&wanted)
    });
    seen.unwrap_or_else(|| panic!("no such reading; the latest is {latest:?}"))
}

fn reading(line: &str) -> Option<Reading> {
    let numbers: Option<Vec<i64>> = line.split(' ').map(|word| word.parse().ok()).collect();
    let [a, b, c, d, back] = numbers?[..] else { return None };
    Some(Reading { realtime: (a, b), monotonic: (c, d), back })
}

/// Whether a clock that is said to be `ahead`, from and to, may be ahead by exactly `by`.
fn is_at((low, high): (i64, i64), by: i64) -> bool {
    (low..=high).contains(&by)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// How far the machine's time of day is ahead of the time since it was booted: what nobody may
/// move.
fn machine_ns() -> i64 {
    let read = |clock| {
        let time = nix::time::clock_gettime(clock).expect("a clock");
        time.tv_sec() * SECOND + time.tv_nsec()
    };
    read(nix::time::ClockId::CLOCK_REALTIME) - read(nix::time::ClockId::CLOCK_MONOTONIC)
}

fn assert_steps(ground: &TestBed, node: &NodeProcess) {
    let machine = machine_ns();
    node.start().expect("starts");
    ground.await_reading(|reading| is_at(reading.realtime, 0) && is_at(reading.monotonic, 0));
    for offset in [HOUR, -6 * HOUR, 1_000_000] {
        ground.clock.set_realtime(offset);
        let reading = ground.await_reading(|reading| is_at(reading.realtime, offset));
        assert!(is_at(reading.monotonic, 0), "{reading:?}");
        assert!((machine_ns() - machine).abs() < SECOND, "the machine's clock moved");
    }
    ground.clock.heal();
    ground.await_reading(|reading| is_at(reading.realtime, 0));
    let [realtime, monotonic] = ground.clock.seen();
    assert!(realtime.readings > 0 && monotonic.readings > 0);
}

fn step() {
    let ground = TestBed::new();
    let node = ground.reader();
    assert_steps(&ground, &node);
    assert_eq!(ground.clock.installed(), 1);
    assert_eq!(ground.clock.latest_miss(), None);
}

fn given_program() {
    let path = std::env::var(PROGRAM).expect("a program");
    let ground = TestBed::new();
    assert_steps(&ground, &ground.program(&path, &[]));
    // In a shell, too.
    assert_steps(&ground, &ground.shell(&format!("{path}; true")));
}

fn rate() {
    let ground = TestBed::new();
    let node = ground.reader();
    node.start().expect("starts");
    ground.await_reading(|reading| is_at(reading.monotonic, 0));
    let moved = 100_000_000;
    for (factor, sign) in [(2.0, 1), (0.5, -1)] {
        ground.clock.run_at(factor, Clocks::Both);
        let is_moved =
            |(low, high): (i64, i64)| low.min(high) * sign > moved || high * sign > moved;
        ground.await_reading(|reading| is_moved(reading.realtime) && is_moved(reading.monotonic));
        ground.clock.heal();
        // Realtime is set right at once, monotonic in its time.
        let reading = ground.await_reading(|reading| is_at(reading.realtime, 0));
        assert!(!is_at(reading.monotonic, 0), "{reading:?}");
        ground.await_reading(|reading| is_at(reading.monotonic, 0));
    }
    for factor in [0.5, 2.0].repeat(10) {
        ground.clock.run_at(factor, Clocks::Both);
        ground.clock.set_realtime(-HOUR);
        ground.clock.heal();
    }
    let reading = ground.await_reading(|reading| is_at(reading.monotonic, 0));
    assert_eq!(reading.back, 0);
}

fn restart() {
    let ground = TestBed::new();
    let node = ground.reader();
    ground.clock.set_realtime(-HOUR);
    for number in 1..=3 {
        node.start().expect("starts");
        ground.await_reading(|reading| is_at(reading.realtime, -HOUR));
        block_on(node.kill()).expect("dies");
        assert_eq!(ground.clock.installed(), number);
    }
}

/// Lines of seconds of the day, each about an hour ahead.
fn assert_ahead(text: &str, lines: usize) {
    assert_eq!(text.lines().count(), lines, "{text}");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    for line in text.lines() {
        let said: i64 = line.parse().expect("seconds");
        let ahead = said - now.as_secs() as i64;
        assert!((3_500..=3_600).contains(&ahead), "{ahead} s ahead");
    }
}

fn wrappers() {
    let ground = TestBed::new();
    ground.clock.set_realtime(HOUR);
    // Searched in PATH, forked, in a subshell, behind another program, execed; left behind by its
    // parent in a session of its own.
    let node = ground.shell(
        "date +%s; (date +%s); env date +%s; sh -c 'date +%s; true'; \
         setsid sh -c 'date +%s' & wait; \
         exec sh -c 'exec date +%s'",
    );
    node.start().expect("starts");
    let status = block_on(node.ended()).expect("ends");
    assert!(status.success(), "{}", ground.output("stderr.log"));
    assert_ahead(&ground.output("stdout.log"), 6);
    assert_eq!(ground.clock.latest_miss(), None);
}

fn exec_by_thread() {
    let ground = TestBed::new();
    ground.clock.set_realtime(HOUR);
    for lines in 1..=20 {
        let node = ground.program("/proc/self/exe", &["become-date"]);
        node.start().expect("starts");
        assert!(block_on(node.ended()).expect("ends").success(), "{}", ground.output("stderr.log"));
        assert_ahead(&ground.output("stdout.log"), lines);
    }
    assert_eq!((ground.clock.installed(), ground.clock.latest_miss()), (40, None));
}

fn failed_exec() {
    let ground = TestBed::new();
    let node = ground.shell(
        "PATH=/nowhere:/nor/here:$PATH; /no/such/program; env /no/such/program; \
         ls -l /proc/$$/fd /proc/self/fd; exec date +%s",
    );
    node.start().expect("starts");
    assert!(block_on(node.ended()).expect("ends").success());
    let (said, errors) = (ground.output("stdout.log"), ground.output("stderr.log"));
    assert!(said.contains("stdout.log") && !said.contains("memfd"), "{said}");
    assert_eq!(errors.matches("/no/such/program").count(), 2, "{errors}");
    let missing = ground.program("/no/such/program", &[]);
    let error = missing.start().expect_err("there is none").to_string();
    assert!(error.contains("No such file"), "{error}");
    assert_eq!(ground.clock.latest_miss(), None);
}

fn traceable() {
    let ground = TestBed::new();
    let node = ground.reader();
    let pid = node.start().expect("starts");
    ground.await_reading(|_| true);
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    assert!(status.contains("TracerPid:\t0\n"), "{status}");
    assert_eq!(ground.clock.covers(pid), Some(true));
    assert_eq!(ground.clock.covers(1), Some(false));
}

fn traced() {
    if !Need::Strace.met_by_program("strace") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let mut cluster = cluster(directory.path(), "strace", &["-f", "-o", "/dev/null", "sleep", "9"]);
    cluster.give_clocks().expect("clocks");
    let pid = cluster.nodes()[0].start().expect("starts");
    let child = || fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok();
    let is_asleep = || {
        let line = fs::read(format!("/proc/{}/cmdline", child()?.trim())).ok()?;
        line.starts_with(b"sleep").then_some(())
    };
    assert!(eventually(is_asleep).is_some(), "strace starts nothing");
    let records = play(&cluster, &[(ClockStep::KIND, 50, &[])]);
    let error = records[0].error.as_deref().expect("strace has hold of it");
    assert!(error.contains("does not see the node's clocks: seizing it"), "{error}");
}

fn escaped() {
    if !Need::Strace.met_by_program("strace") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let script = "sleep 0.5; strace -f -o /dev/null true; sleep 9";
    let mut cluster = cluster(directory.path(), "sh", &["-c", script]);
    cluster.give_clocks().expect("clocks");
    cluster.nodes()[0].start().expect("starts");
    let records = play(&cluster, &[(ClockStep::KIND, 2_000, &[])]);
    assert_eq!(records[0].error, None);
    let error = records[1].error.as_deref().expect("strace had hold of one");
    assert!(error.contains("began without the node's clocks: seizing it"), "{error}");
}

fn harassed() {
    let ground = TestBed::new();
    let node = ground.shell("while :; do date +%s >/dev/null; done");
    block_on(async {
        for step in 0..60 {
            node.start().expect("starts");
            tokio::time::sleep(Duration::from_micros(500 * (step % 20))).await;
            if step % 3 == 0 {
                node.pause().await.expect("pauses");
                node.resume().expect("goes on");
            }
            if step % 2 == 0 {
                node.kill().await.expect("dies");
            } else {
                node.stop(Duration::from_secs(10)).await.expect("stops");
            }
        }
    });
    assert_eq!(ground.clock.latest_miss(), None);
}

struct NoRoles;

impl Roles for NoRoles {
    async fn leader(&self) -> Option<String> {
        None
    }
}

/// Two nodes, each in a directory below `directory`.
fn cluster(directory: &Path, path: &str, arguments: &[&str]) -> Cluster {
    let lab = Lab::build(&["n1", "n2"]).expect("a lab");
    Cluster::new(lab, |host| {
        let home = directory.join(host.name());
        fs::create_dir_all(&home).expect("a directory");
        program(&home, path, arguments)
    })
}

type Planned<'a> = (FaultKind, u64, &'a [(&'a str, &'a str)]);

fn schedule(faults: &[Planned<'_>]) -> Schedule {
    let mut at_ms = 10;
    let planned = (0..).zip(faults).map(|(id, (fault, duration_ms, given))| {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let parameters: BTreeMap<String, String> = given.iter().map(owned).collect();
        let (fault, duration_ms, target) = (*fault, *duration_ms, "n1".parse().expect("a target"));
        let fault = fault.with_parameters(&parameters).expect("parameters");
        let planned = PlannedFault { id, at_ms, trigger: None, duration_ms, fault, target };
        at_ms += duration_ms + 1_000;
        planned
    });
    Schedule { seed: 1, faults: planned.collect(), read_only: Vec::new() }
}

fn play(cluster: &Cluster, faults: &[Planned<'_>]) -> Vec<FaultRecord> {
    let records = RefCell::new(Vec::new());
    let start = Instant::now();
    let nemesis = Nemesis::new(cluster, &NoRoles, || start.elapsed().as_nanos() as u64);
    let schedule = schedule(faults);
    let played = nemesis.play(&schedule, pending(), |moment, record| {
        if moment != Moment::Coming {
            records.borrow_mut().push(record.clone());
        }
    });
    block_on(played).expect("the schedule fits");
    records.into_inner()
}

fn every_fault() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut cluster = cluster(directory.path(), "/proc/self/exe", &[]);
    cluster.give_clocks().expect("clocks");
    for node in cluster.nodes() {
        node.start().expect("starts");
    }
    let faults: [Planned<'_>; 5] = [
        (ClockStep::KIND, 300, &[("by", "-2h")]),
        (ClockStep::KIND, 300, &[]),
        (ClockStrobe::KIND, 300, &[("by", "7s"), ("period", "20ms")]),
        (ClockRate::KIND, 400, &[("rate", "0.5")]),
        (ClockRate::KIND, 400, &[("rate", "2"), ("clocks", "monotonic")]),
    ];
    let records = play(&cluster, &faults);
    let healed: Vec<&FaultRecord> = records.iter().skip(1).step_by(2).collect();
    assert_eq!(healed.len(), faults.len());
    let amount = |number: usize, what: &str| {
        let record: &FaultRecord = healed[number];
        assert_eq!((record.error.as_deref(), record.nodes.len()), (None, 1));
        let effect = record.effects.iter().find(|effect| effect.what == what);
        effect.unwrap_or_else(|| panic!("no {what} in {record:?}")).amount
    };
    // A step is exact to the nanosecond; an amount has more digits than a double.
    assert!((amount(0, "realtime moved") - 7_200_000.0).abs() < 0.001);
    assert!((amount(1, "realtime moved") - 3_600_000.0).abs() < 0.001);
    assert!((amount(2, "realtime moved") - 7_000.0).abs() < 0.001);
    assert!(amount(2, "jumps of realtime") >= 2.0);
    for number in 0..5 {
        assert!(amount(number, "readings of moved clocks") > 0.0);
    }
    assert!(amount(3, "realtime moved") > 100.0 && amount(3, "monotonic moved") > 100.0);
    assert!(amount(4, "monotonic moved") > 100.0);
    assert!(healed[4].effects.iter().all(|effect| effect.what != "realtime moved"));
    assert_eq!(healed[1].parameters["by"], "1h", "defaults are recorded");

    let home = |name: &str| directory.path().join(name);
    let whole = |reading: &Reading| is_at(reading.realtime, 0) && is_at(reading.monotonic, 0);
    assert_eq!(await_reading(&home("n1"), whole).back, 0);
    // What befell one node was never seen by another.
    let others = fs::read_to_string(home("n2").join("stdout.log")).expect("readings");
    assert!(others.lines().filter_map(reading).all(|reading| whole(&reading)));
}

fn dropped() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut cluster = cluster(directory.path(), "/proc/self/exe", &[]);
    cluster.give_clocks().expect("clocks");
    cluster.nodes()[0].start().expect("starts");
    let clock = cluster.nodes()[0].clock().expect("a clock");
    for fault in [ClockStep::KIND, ClockStrobe::KIND, ClockRate::KIND] {
        let schedule = schedule(&[(fault, 600_000, &[])]);
        block_on(async {
            let nemesis = Nemesis::new(&cluster, &NoRoles, || 0);
            // The play's clock stands still, so it goes on until it is given up.
            let playing = nemesis.play(&schedule, pending(), |_, _| {});
            let limit = Duration::from_millis(300);
            assert!(tokio::time::timeout(limit, playing).await.is_err());
        });
        assert_eq!(clock.shift().realtime_ns, 0, "{fault}");
        let is_right = || (clock.shift().monotonic_ns == 0).then_some(());
        assert!(eventually(is_right).is_some(), "{fault}");
    }
}

fn no_clock() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut cluster = cluster(directory.path(), "sleep", &["9"]);
    cluster.nodes()[0].start().expect("starts");
    let records = play(&cluster, &[(ClockStep::KIND, 50, &[])]);
    let error = records[0].error.as_deref().expect("there is no clock");
    assert_eq!(error, "n1 was started without clocks of its own");
    block_on(cluster.nodes()[0].kill()).expect("dies");
    cluster.give_clocks().expect("clocks");
    let records = play(&cluster, &[(ClockRate::KIND, 50, &[])]);
    assert_eq!(records[0].error.as_deref(), Some("n1 is not running"));
}

/// A Go program: it finds the vDSO by itself, without a C library.
fn etcd() {
    if !Need::Etcd.met_by_program("etcd") {
        return;
    }
    let ground = TestBed::new();
    let node = ground.program("etcd", &["--data-dir", "etcd"]);
    ground.clock.set_realtime(24 * HOUR);
    let today = || {
        let output = Command::new("date").args(["-u", "+%F", "-d", "1 day"]).output();
        String::from_utf8(output.expect("a date").stdout).expect("text").trim().to_owned()
    };
    let before = today();
    node.start().expect("starts");
    let ready = || ground.output("stderr.log").contains("ready to serve").then_some(());
    assert!(eventually(ready).is_some(), "{}", ground.output("stderr.log"));
    let log = ground.output("stderr.log");
    let is_tomorrow = log.contains(&before) || log.contains(&today());
    assert!(is_tomorrow, "{log}");
    ground.clock.forget();
    ground.clock.set_realtime(-HOUR);
    let is_seen = || (ground.clock.seen()[0].furthest_ns == -HOUR).then_some(());
    assert!(eventually(is_seen).is_some(), "{:?}", ground.clock.seen());
    assert!(node.is_running());
}

/// A program without shared libraries, built here since a scenario's user may not be able to.
fn static_program(account: Account) {
    let directory = tempfile::tempdir().expect("a directory");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(directory.path(), mode).expect("may be entered");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab_suite/clock_reader.rs");
    let program: PathBuf = directory.path().join("reader");
    let built = Command::new("rustc")
        .args(["--edition", "2024", "-C", "target-feature=+crt-static", "-o"])
        .args([&program, &source])
        .output();
    let is_built = built.as_ref().is_ok_and(|built| built.status.success());
    if !is_built {
        println!("{built:?}");
    }
    if !Need::StaticLibrary.met(is_built) {
        return;
    }
    let mut scenario = command("move_the_clock_of_a_given_program", account);
    let status = wait(&mut scenario.env(PROGRAM, &program).spawn().expect("starts"));
    assert!(status.success(), "{status}");
}

/// A lab in which a clock is wrong, and everything that could be left of it.
fn linger() {
    let ground = TestBed::new();
    let readers = [ground.reader(), ground.shell("while :; do date >/dev/null; done")];
    for node in &readers {
        node.start().expect("starts");
    }
    ground.clock.set_realtime(HOUR);
    ground.clock.run_at(2.0, Clocks::Monotonic);
    ground.await_reading(|reading| is_at(reading.realtime, HOUR));
    say("ready");
    std::thread::sleep(crate::harness::LIMIT);
}

fn kill_controller(account: Account) {
    let machine = machine_ns();
    let started = Started::new("linger_with_wrong_clocks", account);
    kill(started.controller(), Signal::SIGKILL).expect("killed");
    started.assert_gone();
    assert!((machine_ns() - machine).abs() < SECOND, "the machine's clock moved");
}
