//! A campaign as an array of Slurm: one controller and one node daemon, which the test starts and ends.
//!
//! Needs Debian's packages slurmctld, slurmd and slurm-client, installed or unpacked into the folder that
//! `PARTITA_SLURM` names, with the libraries that they need.

#[path = "support/campaign.rs"]
#[expect(dead_code, reason = "it needs some of it")]
mod campaign;
#[path = "support/needs.rs"]
mod needs;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::unistd::{User, geteuid};
use tempfile::TempDir;

use campaign::{TestBed, said};
use needs::Need;

/// How long a daemon may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// Slurm's programs.
struct Programs {
    root: PathBuf,
    /// Where its plug-ins are.
    plugins: PathBuf,
}

impl Programs {
    fn find() -> Option<Self> {
        let root = std::env::var_os("PARTITA_SLURM").map_or_else(|| "/".into(), PathBuf::from);
        let libraries = fs::read_dir(root.join("usr/lib")).into_iter().flatten().flatten();
        let plugins = libraries.map(|it| it.path().join("slurm-wlm")).find(|it| it.is_dir());
        let found = Self { plugins: plugins?, root };
        ["sbin/slurmctld-wlm", "sbin/slurmd-wlm", "bin/sbatch"]
            .iter()
            .all(|name| found.program(name).is_file())
            .then_some(found)
    }

    fn program(&self, name: &str) -> PathBuf {
        self.root.join("usr").join(name)
    }
}

/// A cluster of one node that has room for all tasks at once.
struct Cluster {
    programs: Programs,
    folder: TempDir,
    daemons: Vec<Child>,
}

impl Cluster {
    fn start(programs: Programs) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let user = User::from_uid(geteuid()).expect("users").expect("this one").name;
        let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
        let host = host.trim().split('.').next().expect("a name");
        let (here, plugins) = (folder.path().display(), programs.plugins.display());
        let [controller, node] = [(); 2].map(|()| free_port());
        let text = format!(
            "ClusterName=partita\nSlurmctldHost=localhost(127.0.0.1)\nSlurmUser={user}\nSlurmdUser={user}\n\
             AuthType=auth/none\nCredType=cred/none\nMpiDefault=none\nProctrackType=proctrack/linuxproc\n\
             TaskPlugin=task/none\nJobAcctGatherType=jobacct_gather/none\nSelectType=select/linear\n\
             SlurmctldPort={controller}\nSlurmdPort={node}\nCommunicationParameters=NoInAddrAny\n\
             StateSaveLocation={here}/state\nSlurmdSpoolDir={here}/spool\n\
             SlurmctldPidFile={here}/controller.pid\nSlurmdPidFile={here}/node.pid\n\
             SlurmctldLogFile={here}/controller.log\nSlurmdLogFile={here}/node.log\nPluginDir={plugins}\n\
             SchedulerParameters=batch_sched_delay=0,sched_interval=1\nSlurmdParameters=config_overrides\n\
             NodeName=localhost NodeAddr=127.0.0.1 NodeHostname={host} CPUs=8 RealMemory=70000\n\
             PartitionName=all Nodes=ALL Default=YES State=UP OverSubscribe=FORCE:8\n"
        );
        fs::write(folder.path().join("slurm.conf"), text).expect("written");
        for name in ["state", "spool"] {
            fs::create_dir(folder.path().join(name)).expect("made");
        }
        let mut cluster = Self { programs, folder, daemons: Vec::new() };
        cluster.daemon("sbin/slurmctld-wlm", &[]);
        let step = cluster.programs.program("sbin/slurmstepd-wlm").display().to_string();
        cluster.daemon("sbin/slurmd-wlm", &["-N", "localhost", "-d", &step]);
        let began = Instant::now();
        while !said(&cluster.command("bin/sinfo").arg("-h").output().expect("sinfo"))
            .contains("idle")
        {
            assert!(began.elapsed() < PATIENCE, "no node is idle: {}", cluster.logs());
            sleep(Duration::from_millis(200));
        }
        cluster
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.program(name));
        let libraries = self.programs.plugins.parent().expect("libraries");
        let path = format!("{}:{}", libraries.display(), self.programs.plugins.display());
        command.env("LD_LIBRARY_PATH", path);
        command.env("SLURM_CONF", self.folder.path().join("slurm.conf"));
        command
    }

    fn daemon(&mut self, name: &str, arguments: &[&str]) {
        let mut command = self.command(name);
        command.arg("-D").args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        self.daemons.push(command.spawn().expect("a daemon"));
    }

    fn logs(&self) -> String {
        let log =
            |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        ["controller.log", "node.log"].map(log).concat()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Tasks are no children of the daemons. Nothing is left of a test that passed.
        let all = ["PENDING", "RUNNING"].map(|state| format!("--state={state}"));
        for state in all {
            let _ = self.command("bin/scancel").arg(state).output();
        }
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

#[test]
fn an_array_of_eight_shards_has_the_runs_of_one_machines_campaign() {
    let programs = Programs::find();
    if !Need::Slurm.met(programs.is_some()) {
        return;
    }
    let cluster = Cluster::start(programs.expect("found"));
    let ground = TestBed::new(&["bug"]);
    let plan = ground.partita("campaign plan c.toml --night 7 --runs 41 -o plan.json");
    assert_eq!(plan.status.code(), Some(0), "{}", said(&plan));
    // As `partita` is found on a node, with a program that plays the runs.
    fs::create_dir(ground.path("bin")).expect("made");
    let program = ground.path("bin/partita");
    let (partita, run) = (env!("CARGO_BIN_EXE_partita"), ground.path("run.sh"));
    let text = format!("#!/bin/sh\nexec '{partita}' \"$@\" --run-program '{}'\n", run.display());
    fs::write(&program, text).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ci/campaign.sbatch");
    let path = format!("{}:/usr/bin:/bin", ground.path("bin").display());
    let mut sbatch = cluster.command("bin/sbatch");
    sbatch.arg("--wait").arg(script).current_dir(ground.path(""));
    // A task has the library path of whoever submits it otherwise, which is not the program's.
    sbatch.arg("--export=PATH,PARTITA_JOBS").env("PATH", path).env("PARTITA_JOBS", "1");
    let output = sbatch.output().expect("sbatch runs");
    let log = |shard: u32| {
        let text = fs::read_to_string(ground.path(&format!("shard-{shard}.log")));
        text.unwrap_or_else(|error| format!("shard {shard}: {error}\n"))
    };
    let logs: String = (0..8).map(log).collect();
    assert!(output.status.success(), "{}{logs}{}", said(&output), cluster.logs());
    let shards: Vec<String> = (0..8).map(|shard| format!("shard-{shard}")).collect();
    let merged = ground.partita(&format!("campaign merge {} -o night", shards.join(" ")));
    assert_eq!(merged.status.code(), Some(1), "{}{logs}", said(&merged));
    ground.campaign("c.toml --night 7 --runs 41 --out whole", 1);
    assert_eq!(ground.runs("night"), ground.planned("whole", 41));
    assert_eq!(ground.runs("night"), ground.runs("whole"));
}
