//! Real processes on hosts: starting, pausing, killing, stopping, and starting again.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use crate::harness::{Scenario, eventually};
use partita_nemesis::lab::process::{SignalError, StartError};
use partita_nemesis::{Lab, NodeProcess, Program};
use tempfile::TempDir;

/// What is tested inside a lab.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "a_node_runs_on_its_host_where_it_was_told", run: surroundings },
    Scenario { name: "a_paused_node_stands_still_until_it_is_continued", run: pause },
    Scenario { name: "a_killed_node_is_gone_with_all_it_started", run: kill },
    Scenario { name: "a_node_that_ends_takes_its_children_along", run: end },
    Scenario { name: "a_killed_node_can_be_started_again", run: restart },
    Scenario { name: "a_node_is_asked_before_it_is_killed", run: stop },
    Scenario { name: "a_paused_node_can_be_killed_and_stopped", run: paused_end },
    Scenario { name: "a_node_outlives_the_thread_that_asked_for_it", run: outlive },
    Scenario { name: "an_ended_node_leaves_no_zombie", run: reap },
    Scenario { name: "a_node_that_cannot_start_says_why", run: fail },
];

/// A lab of one node, with a directory of its own.
struct TestBed {
    lab: Lab,
    directory: TempDir,
}

impl TestBed {
    fn new() -> TestBed {
        let directory = tempfile::tempdir().expect("a directory");
        TestBed { lab: Lab::build(&["n1"]).expect("a lab"), directory }
    }

    fn shell(&self, script: &str) -> NodeProcess {
        self.program("sh", &["-c", script])
    }

    fn program(&self, path: &str, arguments: &[&str]) -> NodeProcess {
        let directory = self.directory.path();
        let program = Program {
            user: None,
            path: path.into(),
            arguments: arguments.iter().map(Into::into).collect(),
            environment: vec![("GREETING".into(), "hello".into())],
            directory: directory.into(),
            stdout: directory.join("stdout.log"),
            stderr: directory.join("stderr.log"),
        };
        NodeProcess::new(&self.lab.nodes()[0], program)
    }

    fn stdout(&self) -> String {
        fs::read_to_string(self.directory.path().join("stdout.log")).unwrap_or_default()
    }

    fn await_stdout(&self, text: &str) {
        let seen = eventually(|| self.stdout().contains(text).then_some(()));
        assert!(seen.is_some(), "{text:?} is not in {:?}", self.stdout());
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// How many processes run `sleep` for so many seconds, zombies left out.
fn sleepers(seconds: &str) -> usize {
    let wanted = format!("sleep\0{seconds}\0");
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| line == wanted.as_bytes()).count()
}

fn surroundings() {
    let ground = TestBed::new();
    let node =
        ground.shell("readlink /proc/self/ns/net; pwd; echo $GREETING $PARTITA_LAB; echo no >&2");
    node.start().expect("starts");
    let status = block_on(node.ended()).expect("ends");
    assert!(status.success());
    let host = &ground.lab.nodes()[0];
    let namespace = host.enter(|| fs::read_link("/proc/thread-self/ns/net")).expect("inside");
    let namespace = namespace.expect("a namespace");
    let directory = ground.directory.path().canonicalize().expect("a path");
    let expected = format!("{}\n{}\nhello\n", namespace.display(), directory.display());
    assert_eq!(ground.stdout(), expected);
    let stderr = fs::read_to_string(ground.directory.path().join("stderr.log"));
    assert_eq!(stderr.expect("a file"), "no\n");
}

fn pause() {
    let ground = TestBed::new();
    let node = ground.shell("while :; do echo tick; sleep 0.01; done");
    node.start().expect("starts");
    ground.await_stdout("tick");
    block_on(node.pause()).expect("pauses");
    let before = ground.stdout().len();
    let still = Duration::from_millis(150);
    std::thread::sleep(still);
    assert_eq!(ground.stdout().len(), before);
    let stopped = node.resume().expect("was paused");
    assert!(stopped >= still, "{stopped:?}");
    assert!(eventually(|| (ground.stdout().len() > before).then_some(())).is_some());
    assert!(matches!(node.resume(), Err(SignalError::NotPaused { .. })));
}

fn kill() {
    let ground = TestBed::new();
    let node = ground.shell("sleep 987654 & sleep 987654 & echo up; wait");
    node.start().expect("starts");
    ground.await_stdout("up");
    assert!(eventually(|| (sleepers("987654") == 2).then_some(())).is_some());
    let status = block_on(node.kill()).expect("dies");
    assert_eq!(status.signal(), Some(9));
    assert!(eventually(|| (sleepers("987654") == 0).then_some(())).is_some());
    assert!(!node.is_running());
    assert!(matches!(block_on(node.kill()), Err(SignalError::NotRunning { .. })));
    assert!(matches!(block_on(node.pause()), Err(SignalError::NotRunning { .. })));
}

fn end() {
    let ground = TestBed::new();
    let node = ground.shell("sleep 987653 & exit 3");
    node.start().expect("starts");
    assert_eq!(block_on(node.ended()).and_then(|status| status.code()), Some(3));
    assert!(eventually(|| (sleepers("987653") == 0).then_some(())).is_some());
}

fn restart() {
    let ground = TestBed::new();
    let node = ground.shell("echo started; exec sleep 987652");
    let first = node.start().expect("starts");
    ground.await_stdout("started");
    let running = node.start().expect_err("one at a time").to_string();
    assert!(running.contains(&first.to_string()), "{running}");
    block_on(node.kill()).expect("dies");
    let second = node.start().expect("starts again");
    assert_ne!(first, second);
    ground.await_stdout("started\nstarted\n");
    assert!(node.is_running());
}

fn stop() {
    let ground = TestBed::new();
    let polite =
        ground.shell("trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.01; done");
    polite.start().expect("starts");
    ground.await_stdout("up");
    let status = block_on(polite.stop(crate::harness::LIMIT)).expect("stops");
    assert_eq!(status.code(), Some(5));
    ground.await_stdout("bye");

    let deaf = ground.shell("trap '' TERM; echo deaf; while :; do sleep 0.01; done");
    deaf.start().expect("starts");
    ground.await_stdout("deaf");
    let status = block_on(deaf.stop(Duration::from_millis(100))).expect("stops");
    assert_eq!(status.signal(), Some(9));
}

fn paused_end() {
    let ground = TestBed::new();
    let node = ground.program("sleep", &["987651"]);
    for signal in [9, 15] {
        node.start().expect("starts");
        block_on(node.pause()).expect("pauses");
        let status = match signal {
            9 => block_on(node.kill()),
            _ => block_on(node.stop(crate::harness::LIMIT)),
        };
        assert_eq!(status.expect("ends").signal(), Some(signal));
        assert!(matches!(node.resume(), Err(SignalError::NotRunning { .. })));
    }
}

fn outlive() {
    let ground = TestBed::new();
    let node = ground.program("sleep", &["987650"]);
    std::thread::scope(|scope| {
        scope.spawn(|| node.start().expect("starts"));
    });
    let killed = Duration::from_millis(200);
    let ended = block_on(async { tokio::time::timeout(killed, node.ended()).await.ok() });
    assert_eq!(ended, None, "killed together with the thread");
    drop(node);
    assert!(eventually(|| (sleepers("987650") == 0).then_some(())).is_some());
}

fn reap() {
    let ground = TestBed::new();
    let node = ground.shell("exit 0");
    let pid = node.start().expect("starts");
    block_on(node.ended()).expect("ends");
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

fn fail() {
    let ground = TestBed::new();
    let missing = ground.program("/no/such/program", &[]);
    let error = missing.start().expect_err("there is none");
    assert!(matches!(error, StartError::Program { .. }), "{error}");
    assert!(error.to_string().contains("/no/such/program"), "{error}");
    assert!(!missing.is_running());
    let path = ground.directory.path().to_owned();
    let node = ground.program("sleep", &["1"]);
    drop(ground);
    let error = node.start().expect_err("its directory is gone");
    assert!(matches!(error, StartError::Output { .. }), "{error} without {path:?}");
}
