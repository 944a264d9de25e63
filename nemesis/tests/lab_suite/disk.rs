//! Disks that lose power, fail, fill up, slow down and rot, as the node on them sees it.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use partita_nemesis::disk::{
    AllocationMode, DiskFault, FailingCalls, Loss, NameModel, UnsyncedSurvival,
};
use partita_nemesis::fault::disk::{DiskError, DiskFull, PowerLoss, PowerLossAll};
use partita_nemesis::{
    Cluster, Disk, Ending, FAULTS, Family, FaultKind, FaultRecord, Lab, Moment, Nemesis,
    NodeProcess, PlannedFault, Program, Roles, Schedule, Stop, Target,
};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use tempfile::TempDir;

use crate::harness::{Scenario, eventually};
use crate::victim::{SCRIPT, Seen, found};

/// What is tested inside a lab.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "bytes_that_were_not_synced_are_gone", run: bytes },
    Scenario { name: "names_that_were_not_synced_are_gone", run: names },
    Scenario { name: "a_journal_holds_the_names_made_before_the_latest_sync", run: journal },
    Scenario { name: "a_move_between_directories_is_whole", run: moves },
    Scenario { name: "what_is_written_through_is_kept", run: written_through },
    Scenario { name: "what_is_mapped_is_kept_once_it_is_synced", run: mapped },
    Scenario { name: "a_deleted_files_number_is_not_mistaken_for_the_file", run: reused },
    Scenario { name: "the_last_write_is_torn_anywhere", run: torn },
    Scenario { name: "an_overwritten_place_is_torn_between_sectors", run: torn_sectors },
    Scenario { name: "a_killed_node_loses_nothing_until_the_power_is_gone", run: killed },
    Scenario { name: "a_second_loss_takes_what_came_after_the_first", run: twice },
    Scenario { name: "a_disk_error_reaches_the_calls_it_is_meant_for", run: errors },
    Scenario { name: "a_full_disk_takes_no_more", run: full },
    Scenario { name: "a_full_disk_that_copies_on_write_overwrites_nothing", run: copied },
    Scenario { name: "a_slow_disk_makes_a_sync_wait", run: slow },
    Scenario { name: "what_would_get_past_the_supervisor_is_denied", run: denied },
    Scenario { name: "every_disk_fault_has_an_effect_and_is_healed", run: every_fault },
    Scenario { name: "a_node_that_was_not_watched_cannot_have_disk_faults", run: unwatched },
    Scenario { name: "a_busy_disk_loses_only_what_came_after_its_last_sync", run: busy },
];

struct LedBy(&'static str);

impl Roles for LedBy {
    async fn leader(&self) -> Option<String> {
        Some(self.0.to_owned())
    }
}

/// A node with a disk that is watched.
struct TestBed {
    node: NodeProcess,
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
        let program = Program {
            user: None,
            path: "/proc/self/exe".into(),
            arguments: Vec::new(),
            environment: vec![(SCRIPT.into(), script.into())],
            directory: data.clone(),
            stdout: directory.path().join("stdout.log"),
            stderr: directory.path().join("stderr.log"),
        };
        let disk = Disk::new(&data).expect("a disk");
        let mut node = NodeProcess::new(&lab.nodes()[0], program);
        node.watch_disk(disk.clone());
        TestBed { node, disk, directory, _lab: lab }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.directory.path().join("stdout.log")).unwrap_or_default()
    }

    /// Starts the victim and waits until it has carried its script out.
    fn start(&self) {
        let before = self.said().matches("done\n").count();
        self.node.start().expect("starts");
        let done = || (self.said().matches("done\n").count() > before).then_some(());
        let stderr = || fs::read_to_string(self.directory.path().join("stderr.log"));
        assert!(eventually(done).is_some(), "{:?} {:?}", self.said(), stderr());
    }

    fn kill(&self) {
        block_on(self.node.kill()).expect("dies");
    }

    fn lose_power(&self, tear: UnsyncedSurvival, seed: u64) -> Loss {
        self.lose_power_by(NameModel::Posix, tear, seed)
    }

    fn lose_power_by(&self, model: NameModel, tear: UnsyncedSurvival, seed: u64) -> Loss {
        self.kill();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        self.disk.lose_power(model, tear, &mut rng).expect("known what is lost")
    }

    /// What the victim finds when it is started again.
    fn look(&self) -> Seen {
        self.start();
        found(&self.said())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.disk.directory().join(name)
    }

    /// What lies beside the disk.
    fn beside(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).expect("readable").flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// What is left of a script's work after the power is lost, in words: `a=text d/= d/b=text`.
fn left(script: &str) -> (String, Loss) {
    left_by(NameModel::Posix, script)
}

fn left_by(model: NameModel, script: &str) -> (String, Loss) {
    let ground = TestBed::new(script);
    ground.start();
    assert!(!ground.said().contains("os error"), "{}", ground.said());
    let loss = ground.lose_power_by(model, UnsyncedSurvival::Nothing, 1);
    let seen = ground.look();
    assert_eq!(ground.beside(), ["data", "ran", "stderr.log", "stdout.log"]);
    let words: Vec<String> =
        seen.into_iter().map(|(path, contents)| format!("{path}={contents}")).collect();
    (words.join(" "), loss)
}

/// Each script with what is left of it.
fn check(cases: &[(&str, &str)]) {
    for (script, expected) in cases {
        let (left, loss) = left(script);
        assert_eq!(left, *expected, "{script} ({loss:?})");
    }
}

/// A file of six letters, durable with its name.
const LETTERS: &str = "append a abcdef; fsync a; fsync .";

fn bytes() {
    let after = |orders: &str| format!("{LETTERS}; {orders}");
    let cases = [
        ("append a ghi", "a=abcdef"),
        ("append a ghi; fsync a", "a=abcdefghi"),
        ("append a ghi; fdatasync a", "a=abcdefghi"),
        ("append a ghi; fsync .", "a=abcdef"),
        ("append a ghi; sync", "a=abcdefghi"),
        ("append a ghi; fsync a; append a jkl", "a=abcdefghi"),
        ("put a 2 XY", "a=abcdef"),
        ("put a 2 XY; fsync a", "a=abXYef"),
        ("put a 2 XY; fsync a; put a 3 Z", "a=abXYef"),
        ("put a 1 WX; put a 2 YZ", "a=abcdef"),
        ("put a 4 XYZ", "a=abcdef"),
        ("over a 2 XY", "a=abcdef"),
        ("over a 2 XY; fsync a", "a=abXYef"),
        ("truncate a 2", "a=abcdef"),
        ("truncate a 2; append a XYZW", "a=abcdef"),
        ("truncate a 2; fsync a", "a=ab"),
        ("truncate a 2; fsync a; append a XYZW", "a=ab"),
        ("truncate a 9; fsync a; put a 6 XYZ", "a=abcdef+3"),
        ("rewrite a XY", "a=abcdef"),
        ("rewrite a XY; fsync a", "a=XY"),
        ("reserve a 4096; fsync a; over a 6 XY", "a=abcdef+4090"),
        ("reserve a 4096; fsync a; over a 6 XY; fdatasync a", "a=abcdefXY+4088"),
        ("reserve a 4096; over a 6 XY", "a=abcdef"),
    ];
    for (orders, expected) in cases {
        check(&[(&after(orders), expected)]);
    }
    assert_eq!(left(&after("append a ghi; put a 2 XY")).1.bytes, 5);
}

fn names() {
    check(&[
        ("append a x; fsync a", ""),
        ("append a x; fsync .", "a="),
        ("append a x; fsync a; fsync .; unlink a", "a=x"),
        ("append a x; fsync a; fsync .; unlink a; fsync .", ""),
        ("append a x; fsync a; fsync .; unlink a; append a y; fsync a", "a=x"),
        ("append a x; fsync a; fsync .; append a yz; unlink a", "a=x"),
        ("append a x; fsync a; fsync .; rename a b", "a=x"),
        ("append a x; fsync a; fsync .; rename a b; fsync .", "b=x"),
        ("append a x; fsync a; fsync .; append t y; fsync t; rename t a", "a=x"),
        ("append a x; fsync a; fsync .; append t y; fsync t; rename t a; fsync .", "a=y"),
        ("append a x; append b y; sync; rename a t; rename b a; rename t b", "a=x b=y"),
        ("append a x; fsync a; link a b; fsync .; append a y; fsync b", "a=xy b=xy"),
        ("mkdir d; append d/x 1; fsync d/x; fsync d", ""),
        ("mkdir d; append d/x 1; fsync d/x; fsync .", "d/="),
        ("mkdir d; append d/x 1; fsync d/x; fsync d; fsync .", "d/= d/x=1"),
        ("mkdir d; append d/x 1; sync; rename d e; append e/y 2", "d/= d/x=1"),
        ("mkdir d; append d/x 1; sync; rename d e; fsync .", "e/= e/x=1"),
        ("append a x; mkdir d; append d/y z; sync", "a=x d/= d/y=z"),
    ]);
    assert_eq!(left("append a x; mkdir d").1.names, 2);
}

fn journal() {
    for (script, expected) in [
        ("append a x", ""),
        ("append a x; fsync a", "a=x"),
        ("append a x; append b y; fsync a", "a=x b="),
        ("append a x; append b y; fsync b; append c z; rename b d", "a= b=y"),
        ("append a x; fsync a; unlink a", "a=x"),
        ("append a x; fsync a; unlink a; append b y; fsync b", "b=y"),
        ("append a x; fsync a; append t y; rename t a", "a=x"),
        ("append a x; fsync a; append t y; fsync t; rename t a", "a=x t=y"),
        ("append a x; fsync a; append t y; fsync t; rename t a; append b z; fsync b", "a=y b=z"),
        ("mkdir d; append d/x 1; fsync d/x; mkdir e", "d/= d/x=1"),
        ("mkdir d; mkdir e; append d/x 1; fsync d/x; rename d/x e/y", "d/= d/x=1 e/="),
        ("mkdir d; mkdir e; append d/x 1; fsync d/x; rename d/x e/y; fsync d", "d/= e/= e/y=1"),
        ("mkdir d; dsync d/x 1; mkdir e", "d/= d/x=1"),
    ] {
        let (left, loss) = left_by(NameModel::Journal, script);
        assert_eq!(left, expected, "{script} ({loss:?})");
    }
}

fn moves() {
    let moved = "mkdir d; mkdir e; append d/x 1; sync; rename d/x e/y";
    check(&[
        (moved, "d/= d/x=1 e/="),
        (&format!("{moved}; fsync d"), "d/= e/= e/y=1"),
        (&format!("{moved}; fsync e"), "d/= e/= e/y=1"),
    ]);
}

fn written_through() {
    check(&[
        ("dsync a x; fsync .", "a=x"),
        ("append a x; fsync a; fsync .; dsync a y", "a=y"),
        ("dsync a x", ""),
    ]);
}

fn mapped() {
    let after = |orders: &str| format!("{LETTERS}; {orders}");
    check(&[
        (&after("map a 1 XY"), "a=abcdef"),
        (&after("mapsync a 1 XY"), "a=aXYdef"),
        (&after("mapsync a 1 XY; map a 2 Z"), "a=aXYdef"),
        (&after("map a 1 XY; fsync a"), "a=aXYdef"),
        (&after("append a ghi; map a 1 XY"), "a=abcdef"),
        (&after("map a 1 XY; append a ghi"), "a=abcdef"),
    ]);
}

fn reused() {
    check(&[
        ("append a old; fsync a; unlink a; append b new; fsync .", "b="),
        ("append a old; sync; unlink a; append b new; fsync b", "a=old"),
        ("append a old; sync; unlink a; fsync .; append b newer; fsync b; fsync .", "b=newer"),
    ]);
}

fn torn() {
    let mut lengths = Vec::new();
    let ground = TestBed::new("append a abcdef; fsync a; fsync .; fill a 3000");
    ground.start();
    for seed in 0..8 {
        let loss = ground.lose_power(UnsyncedSurvival::Byte, seed);
        let contents = fs::read(ground.file("a")).expect("readable");
        assert_eq!(&contents[..6], b"abcdef");
        assert!(contents[6..].iter().all(|byte| *byte == b'x'), "only what was written");
        if seed == 0 {
            assert_eq!(loss.bytes + loss.survived, 3_000);
        }
        lengths.push(contents.len());
        // As if the power had not been lost: the next seed tears the same write.
        fs::write(ground.file("a"), "abcdef").expect("written");
        fs::remove_file(ground.directory.path().join("ran")).expect("removed");
        fs::remove_file(ground.file("a")).expect("removed");
        ground.start();
    }
    lengths.sort_unstable();
    lengths.dedup();
    assert!(lengths.len() > 4, "always torn at the same bytes: {lengths:?}");
    assert!(lengths.iter().any(|length| (length - 6) % 512 != 0));
}

fn torn_sectors() {
    for seed in 0..4 {
        let ground = TestBed::new("fill a 5000; fsync a; fsync .; paint a 4100");
        ground.start();
        let loss = ground.lose_power(UnsyncedSurvival::Byte, seed);
        let contents = fs::read(ground.file("a")).expect("readable");
        let new = contents.iter().take_while(|byte| **byte == b'y').count();
        assert_eq!(contents.len(), 5_000);
        assert!(contents[new..].iter().all(|byte| *byte == b'x'));
        assert!(new % 512 == 0 || new == 4_100, "torn within a sector, at {new}");
        assert_eq!((loss.survived, loss.bytes), (new as u64, 4_100 - new as u64));
    }
}

fn killed() {
    let ground = TestBed::new("append a abc; fsync a; fsync .; append a def; append b x");
    ground.start();
    ground.kill();
    let seen = ground.look();
    assert_eq!((seen["a"].as_str(), seen["b"].as_str()), ("abcdef", "x"));
    ground.lose_power(UnsyncedSurvival::Nothing, 1);
    let seen = ground.look();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [("a".to_owned(), "abc".to_owned())]);
}

fn twice() {
    let ground = TestBed::new("append a abc; fsync a; fsync .; append a def; append b x");
    ground.start();
    assert_eq!(
        ground.lose_power(UnsyncedSurvival::Nothing, 1),
        Loss { bytes: 3, survived: 0, names: 1 }
    );
    fs::remove_file(ground.directory.path().join("ran")).expect("removed");
    ground.start();
    assert_eq!(
        ground.lose_power(UnsyncedSurvival::Nothing, 1),
        Loss { bytes: 3, survived: 0, names: 1 }
    );
    assert_eq!(ground.look()["a"], "abcabc");
}

fn errors() {
    let orders = "append a x; fsync a; put a 0 y; fdatasync a";
    for (on, expected) in [
        (FailingCalls::Sync, vec!["fsync a: os error 5", "fdatasync a: os error 5"]),
        (FailingCalls::Write, vec!["append a x: os error 5", "put a 0 y: os error 5"]),
    ] {
        let ground = TestBed::new(orders);
        let rng = ChaCha8Rng::seed_from_u64(1);
        let troubled = ground.disk.trouble(DiskFault::Error { on, share_percent: 100 }, rng);
        ground.start();
        let said = ground.said();
        let errors: Vec<&str> = said.lines().filter(|line| line.contains("os error")).collect();
        assert_eq!(errors, expected);
        assert_eq!(troubled.tally().failed, 2);
        drop(troubled);
        fs::remove_file(ground.directory.path().join("ran")).expect("removed");
        ground.kill();
        ground.start();
        assert_eq!(ground.said().matches("os error").count(), 2, "mended");
    }
}

fn full() {
    let ground = TestBed::new(
        "append a 12345; put a 0 abc; append a 6; fsync a; mkdir d; append b x; reserve a 64",
    );
    let rng = ChaCha8Rng::seed_from_u64(1);
    fs::write(ground.file("a"), "").expect("written");
    let troubled =
        ground.disk.trouble(DiskFault::Full { room: 5, writes: AllocationMode::InPlace }, rng);
    ground.start();
    let said = ground.said();
    let errors: Vec<&str> =
        said.lines().filter_map(|line| line.strip_suffix(": os error 28")).collect();
    assert_eq!(errors, ["append a 6", "mkdir d", "append b x", "reserve a 64"]);
    assert_eq!(fs::read_to_string(ground.file("a")).expect("readable"), "abc45");
    assert_eq!(troubled.tally().failed, 4);
}

fn copied() {
    let ground = TestBed::new("append a 12345; put a 0 abc; fsync a; put a 3 xy; append a 6");
    let rng = ChaCha8Rng::seed_from_u64(1);
    fs::write(ground.file("a"), "").expect("written");
    let full = DiskFault::Full { room: 7, writes: AllocationMode::CopyOnWrite };
    let troubled = ground.disk.trouble(full, rng);
    ground.start();
    let said = ground.said();
    let errors: Vec<&str> =
        said.lines().filter_map(|line| line.strip_suffix(": os error 28")).collect();
    assert_eq!(errors, ["put a 0 abc", "append a 6"]);
    assert_eq!(fs::read_to_string(ground.file("a")).expect("readable"), "123xy");
    assert_eq!(troubled.tally().failed, 2);
    drop(troubled);
    fs::remove_file(ground.directory.path().join("ran")).expect("removed");
    ground.kill();
    ground.start();
    assert_eq!(ground.said().matches("os error").count(), 2, "there is room again");
}

fn slow() {
    let ground = TestBed::new("append a x; fsync a; fsync a");
    let delay = Duration::from_millis(150);
    let rng = ChaCha8Rng::seed_from_u64(1);
    let troubled = ground.disk.trouble(DiskFault::Slow { delay }, rng);
    let begun = Instant::now();
    ground.start();
    assert!(begun.elapsed() >= delay * 2);
    assert_eq!((troubled.tally().delayed, troubled.tally().added), (2, delay * 2));
    assert_eq!((ground.disk.syncs().calls, ground.disk.syncs().added), (2, delay * 2));
    drop(troubled);
    ground.lose_power(UnsyncedSurvival::Nothing, 1);
    assert!(ground.look().is_empty(), "a delayed sync of a file does not sync its name");
}

fn denied() {
    let ground = TestBed::new("uring");
    ground.start();
    assert!(ground.said().contains(&format!("uring: os error {}", libc::ENOSYS)));
}

fn busy() {
    let ground = TestBed::new("append log x; fsync .; forever log");
    ground.node.start().expect("starts");
    for seed in 0..3 {
        let grown = || fs::metadata(ground.file("log")).ok().filter(|log| log.len() > 2_000);
        assert!(eventually(grown).is_some());
        ground.lose_power(UnsyncedSurvival::Nothing, seed);
        let log = fs::read_to_string(ground.file("log")).expect("whole lines");
        assert!(log.ends_with("synced\n"), "{:?}", &log[log.len() - 40..]);
        fs::remove_file(ground.directory.path().join("ran")).expect("removed");
        fs::write(ground.file("log"), "").expect("written");
        ground.node.start().expect("starts");
    }
}

/// Three nodes that append and sync, and end when they cannot.
fn cluster(directory: &TempDir) -> Cluster {
    let lab = Lab::build(&["n1", "n2", "n3"]).expect("a lab");
    let home = |node: &str| directory.path().join(node);
    let data = |node: &str| home(node).join("data");
    for host in lab.nodes() {
        fs::create_dir_all(data(host.name())).expect("made");
    }
    Cluster::new(lab, |host| Program {
        user: None,
        path: "/proc/self/exe".into(),
        arguments: Vec::new(),
        environment: vec![(SCRIPT.into(), "append log x; fsync .; or-end log".into())],
        directory: data(host.name()),
        stdout: home(host.name()).join("stdout.log"),
        stderr: home(host.name()).join("stderr.log"),
    })
}

fn play(cluster: &Cluster, faults: &[FaultKind]) -> (Ending, Vec<FaultRecord>) {
    let mut at_ms = 300;
    let planned = (0..).zip(faults).map(|(id, fault)| {
        let planned = PlannedFault {
            id,
            at_ms,
            trigger: None,
            duration_ms: 400,
            fault: fault.with_defaults(),
            target: Target::Leader,
        };
        at_ms += 1_500;
        planned
    });
    let schedule = Schedule { seed: 3, faults: planned.collect(), read_only: Vec::new() };
    let begun = Instant::now();
    let clock = || u64::try_from(begun.elapsed().as_nanos()).expect("not that late");
    let mut records = Vec::new();
    let nemesis = Nemesis::new(cluster, &LedBy("n2"), clock);
    let never = std::future::pending::<Stop>();
    let playing = nemesis.play(&schedule, never, |moment, record| {
        if moment != Moment::Coming {
            records.push(record.clone());
        }
    });
    let ending = block_on(playing).expect("fits");
    (ending, records)
}

fn every_fault() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = |node: &str| directory.path().join(node).join("data");
    let mut cluster = cluster(&directory);
    cluster.watch_disks(data).expect("watched");
    for node in cluster.nodes() {
        node.start().expect("starts");
    }
    for fault in FAULTS.into_iter().filter(|fault| fault.family() == Family::Disk) {
        for node in cluster.nodes() {
            let log = data(node.node()).join("log");
            assert!(eventually(|| fs::metadata(&log).ok().filter(|it| it.len() > 0)).is_some());
        }
        let (ending, records) = play(&cluster, &[fault]);
        assert_eq!((ending, records.len()), (Ending::Played, 2), "{fault}");
        let healed = &records[1];
        assert_eq!(healed.error, None, "{fault}");
        assert!(healed.had_effect(), "{healed:?}");
        let ended = healed.effects.iter().find(|effect| effect.what == "ended by itself");
        let fatal = [DiskError::KIND, DiskFull::KIND].contains(&fault);
        assert_eq!(ended.is_some_and(|effect| effect.amount > 0.0), fatal, "{healed:?}");
        for parameter in fault.parameters().iter().filter(|it| it.name != "target") {
            assert_eq!(healed.parameters[parameter.name], parameter.default, "{fault}");
        }
        let nodes = if fault == PowerLossAll::KIND { 3 } else { 1 };
        assert_eq!(healed.nodes.len(), nodes, "{fault}");
        assert!(cluster.nodes().iter().all(NodeProcess::is_running), "{fault}");
    }
}

fn unwatched() {
    let directory = tempfile::tempdir().expect("a directory");
    let cluster = cluster(&directory);
    for node in cluster.nodes() {
        node.start().expect("starts");
    }
    let (_, records) = play(&cluster, &[PowerLoss::KIND]);
    let error = records[0].error.as_deref().expect("nothing is known of its disk");
    assert!(error.contains("n2 is not watched"), "{error}");
    assert!(cluster.nodes().iter().all(NodeProcess::is_running));
}
