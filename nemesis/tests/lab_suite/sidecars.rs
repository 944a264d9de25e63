//! What runs beside a node on its host, and what asks a node to end.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::harness::{Scenario, eventually};
use partita_nemesis::{Cluster, Lab, NodeProcess, Program, Sidecar};
use tempfile::TempDir;

/// What is tested inside a lab.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "a_sidecar_goes_on_when_its_node_is_killed", run: apart },
    Scenario {
        name: "a_sidecar_that_shares_faults_is_paused_and_killed_with_its_node",
        run: shared,
    },
    Scenario { name: "a_power_cut_ends_everything_on_a_host", run: power },
    Scenario { name: "a_power_cut_takes_what_a_sidecar_had_not_synced", run: unsynced },
    Scenario { name: "a_sidecar_that_ends_on_its_own_is_told_of", run: ended },
    Scenario { name: "a_stop_command_takes_the_place_of_sigterm", run: stop_command },
];

/// A lab of one node that runs a script, with a sidecar that says `tick` every 10 ms.
struct TestBed {
    cluster: Cluster,
    directory: TempDir,
}

const TICKER: &str = "while :; do echo tick; sleep 0.01; done";

impl TestBed {
    fn new(script: &str, sidecar: &str, shares_faults: bool) -> TestBed {
        let directory = tempfile::tempdir().expect("a directory");
        let lab = Lab::build(&["n1"]).expect("a lab");
        let mut cluster = Cluster::new(lab, |_| shell(&directory, "node", script));
        let program = shell(&directory, "sidecar", sidecar);
        cluster.add_sidecars(|_| {
            vec![Sidecar { name: "ticker".into(), program: program.clone(), shares_faults }]
        });
        TestBed { cluster, directory }
    }

    fn node(&self) -> &NodeProcess {
        &self.cluster.nodes()[0]
    }

    fn ticks(&self) -> usize {
        fs::read(self.path("sidecar.log")).map_or(0, |text| text.len())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Whether the sidecar says something within a while.
    fn is_ticking(&self) -> bool {
        let before = self.ticks();
        eventually(|| (self.ticks() > before).then_some(())).is_some()
    }

    /// That it says nothing any more.
    fn assert_still(&self) {
        // What it wrote before it was stopped is there.
        let before = self.ticks();
        std::thread::sleep(Duration::from_millis(150));
        assert_eq!(self.ticks(), before);
    }
}

fn shell(directory: &TempDir, name: &str, script: &str) -> Program {
    let output = directory.path().join(format!("{name}.log"));
    Program {
        user: None,
        path: "sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: Vec::new(),
        directory: directory.path().into(),
        stdout: output.clone(),
        stderr: output,
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

fn apart() {
    let ground = TestBed::new("sleep 100", TICKER, false);
    ground.node().start().expect("starts");
    assert!(ground.is_ticking());
    block_on(ground.node().pause()).expect("pauses");
    assert!(ground.is_ticking());
    ground.node().resume().expect("was paused");
    block_on(ground.node().kill()).expect("dies");
    assert!(ground.is_ticking() && !ground.node().is_running());
    ground.node().start().expect("starts, with the sidecar that runs already");
    block_on(ground.node().shut_down(Duration::from_secs(5))).expect("ends");
    ground.assert_still();
}

fn shared() {
    let ground = TestBed::new("sleep 100", TICKER, true);
    ground.node().start().expect("starts");
    assert!(ground.is_ticking());
    block_on(ground.node().pause()).expect("pauses");
    ground.assert_still();
    ground.node().resume().expect("was paused");
    assert!(ground.is_ticking());
    block_on(ground.node().kill()).expect("dies");
    ground.assert_still();
    ground.node().start().expect("starts");
    assert!(ground.is_ticking());
    block_on(ground.node().stop(Duration::from_secs(5))).expect("ends");
    ground.assert_still();
}

fn power() {
    let ground = TestBed::new("sleep 100", TICKER, false);
    ground.node().start().expect("starts");
    assert!(ground.is_ticking());
    block_on(ground.node().cut_power()).expect("dies");
    ground.assert_still();
    assert!(!ground.node().is_running());
    ground.node().start().expect("starts");
    assert!(ground.is_ticking());
}

fn unsynced() {
    use partita_nemesis::disk::{NameModel, UnsyncedSurvival};
    use rand::SeedableRng;
    let script = "echo text > data/f; echo done; sleep 100";
    let mut ground = TestBed::new("sleep 100", script, false);
    fs::create_dir(ground.path("data")).expect("made");
    let data = ground.path("data");
    ground.cluster.watch_disks(|_| data.clone()).expect("watched");
    ground.node().start().expect("starts");
    assert!(eventually(|| (ground.ticks() >= 5).then_some(())).is_some());
    assert_eq!(fs::read_to_string(data.join("f")).expect("written"), "text\n");
    block_on(ground.node().cut_power()).expect("dies");
    let mut rng = rand::rngs::ChaCha8Rng::seed_from_u64(1);
    let watched = ground.node().disk().expect("watched");
    let loss =
        watched.lose_power(NameModel::Posix, UnsyncedSurvival::Nothing, &mut rng).expect("known");
    assert!(loss.names == 1 && !data.join("f").exists(), "{loss:?}");
}

fn ended() {
    let ground = TestBed::new("sleep 100", "exit 3", false);
    ground.node().start().expect("starts");
    let ended = eventually(|| ground.node().ended_sidecars().first().map(|it| it.1.code()));
    assert_eq!(ended, Some(Some(3)));
    assert!(ground.node().is_running());
}

fn stop_command() {
    let node = "trap 'echo term' TERM; while ! [ -e asked ]; do sleep 0.01; done; exit 7";
    let mut ground = TestBed::new(node, TICKER, true);
    let command = shell(&ground.directory, "stop", "echo > asked");
    ground.cluster.stop_by(|_| command.clone());
    ground.node().start().expect("starts");
    let status = block_on(ground.node().stop(Duration::from_secs(10))).expect("ends");
    assert_eq!(status.code(), Some(7));
    assert_eq!(fs::read_to_string(ground.path("node.log")).expect("there"), "");
}
