//! A run that is killed with SIGKILL while a fault is in force: nothing of it is left, whatever the
//! fault was doing to the nodes, and the machine's clock has never moved.

#[path = "support/remains.rs"]
mod remains;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

const PARTITA: &str = env!("CARGO_BIN_EXE_partita");

/// Which process of a run is killed.
#[derive(Debug, Clone, Copy)]
enum Killed {
    /// The one that was started, outside of the namespaces.
    Outer,
    /// The one that injects the faults.
    Controller,
}

/// A run whose faults have all begun.
struct Run {
    place: TempDir,
    outer: Child,
    /// What it says, kept open.
    said: BufReader<ChildStderr>,
}

impl Run {
    /// Starts a run under `faults`, each a fault of a schedule without its times.
    fn under(faults: &[&str]) -> Run {
        let place = tempfile::tempdir().expect("a temporary folder");
        let listed: Vec<String> = faults
            .iter()
            .map(|fault| format!("{{ at = \"300ms\", for = \"40s\", {fault} }}"))
            .collect();
        let schedule = place.path().join("schedule.toml");
        let text = format!("nodes = 3\nfaults = [\n{},\n]\n", listed.join(",\n"));
        fs::write(&schedule, text).expect("written");
        let temporary = place.path().join("tmp");
        fs::create_dir(&temporary).expect("made");
        let mut outer = Command::new(PARTITA)
            .args(["run", "--time", "50s", "--out"])
            .arg(place.path().join("runs"))
            .arg("--schedule")
            .arg(&schedule)
            .env("TMPDIR", &temporary)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("partita starts");
        let said = BufReader::new(outer.stderr.take().expect("a pipe"));
        let mut run = Run { place, outer, said };
        let mut begun = 0;
        let mut all = String::new();
        for line in run.said.by_ref().lines().map_while(Result::ok) {
            begun += usize::from(line.ends_with(" begins"));
            all = all + &line + "\n";
            if begun == faults.len() {
                run.wait_until_in_force(faults.len());
                return run;
            }
        }
        panic!("the run ended with {begun} of {} faults begun:\n{all}", faults.len());
    }

    /// Waits until the records say that `count` faults are in force: they are written before a fault
    /// is injected, and again when it is.
    fn wait_until_in_force(&self, count: usize) {
        let records = self.place.path().join("runs/latest/schedule.jsonl");
        let begun = Instant::now();
        while fs::read_to_string(&records).map_or(0, |text| text.lines().count()) < 2 * count {
            assert!(begun.elapsed() < remains::LIMIT, "the faults are not in force");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The processes of this run.
    fn processes(&self) -> BTreeSet<i32> {
        remains::processes(self.place.path())
    }

    /// The child of init that runs this program's `run`, not a node of it.
    fn controller(&self) -> Pid {
        let outer = i32::try_from(self.outer.id()).expect("a process id");
        let children = |parent: i32| {
            self.processes().into_iter().filter(move |pid| parent_of(*pid) == Some(parent))
        };
        let runs = |pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(b"run")
        };
        let init = children(outer).next().expect("an init");
        Pid::from_raw(children(init).find(runs).expect("a controller"))
    }

    fn kill(&mut self, killed: Killed) {
        match killed {
            Killed::Outer => self.outer.kill().expect("killed"),
            Killed::Controller => kill(self.controller(), Signal::SIGKILL).expect("killed"),
        }
        self.outer.wait().expect("ended");
    }

    /// Waits until no process is left and looks for everything else that could be.
    fn assert_nothing_is_left(&self) {
        remains::assert_none(self.place.path());
        assert_eq!(names(&self.place.path().join("tmp")), BTreeSet::new());
        let expected = ["runs", "schedule.toml", "tmp"].map(str::to_owned);
        assert_eq!(names(self.place.path()), expected.into());
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Of a failed test; with it goes everything it started.
        let _ = self.outer.kill();
        let _ = self.outer.wait();
    }
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// How far the machine's calendar is ahead of a clock that nobody can set.
struct Calendar(SystemTime, Instant);

impl Calendar {
    fn now() -> Calendar {
        Calendar(SystemTime::now(), Instant::now())
    }

    /// A time daemon may correct a clock by fractions of a second; faults here move it by minutes.
    fn assert_unmoved(&self) {
        let passed = self.1.elapsed();
        let told = self.0.elapsed().expect("the machine's clock went back");
        let moved = told.abs_diff(passed);
        assert!(moved < Duration::from_secs(2), "the machine's clock moved by {moved:?}");
    }
}

fn leaves_nothing(faults: &[&str]) {
    for killed in [Killed::Controller, Killed::Outer] {
        let calendar = Calendar::now();
        let mut run = Run::under(faults);
        run.kill(killed);
        run.assert_nothing_is_left();
        calendar.assert_unmoved();
    }
}

#[test]
fn killed_while_the_network_is_parted() {
    leaves_nothing(&[r#"fault = "isolate", target = "leader", clients = "too""#]);
}

#[test]
fn killed_while_links_are_bad() {
    leaves_nothing(&[
        r#"fault = "delay", target = "n1""#,
        r#"fault = "hold", target = "n2", direction = "in""#,
        r#"fault = "reset", target = "n3""#,
    ]);
}

#[test]
fn killed_while_processes_are_stopped_and_gone() {
    leaves_nothing(&[
        r#"fault = "pause", target = "n1""#,
        r#"fault = "pause-loop", target = "n2""#,
        r#"fault = "kill", target = "n3""#,
    ]);
}

#[test]
fn killed_while_clocks_are_wrong() {
    leaves_nothing(&[
        r#"fault = "clock-step", by = "-10m", target = "n1""#,
        r#"fault = "clock-strobe", by = "5m", target = "n2""#,
        r#"fault = "clock-rate", rate = 2, target = "n3""#,
    ]);
}

#[test]
fn killed_while_disks_fail() {
    leaves_nothing(&[
        r#"fault = "disk-slow", delay = "5s", target = "n1""#,
        r#"fault = "disk-full", target = "n2""#,
        r#"fault = "power-loss", target = "n3""#,
    ]);
}

#[test]
fn killed_while_members_change() {
    leaves_nothing(&[
        r#"fault = "replace-node", target = "n3""#,
        r#"fault = "transfer-leadership", target = "n2""#,
    ]);
}
