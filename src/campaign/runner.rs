//! Starts the processes of a campaign: a run is one, with a lab of its own.
//!
//! Nothing of one run reaches the next, and all of them end with this process, however that ends: each dies
//! with the thread that started it, which waits for it, and takes its lab along.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, SysconfVar, sysconf};
use partita_nemesis::FaultRecord;
use partita_reports::{Exit, RunSpec};
use serde::de::DeserializeOwned;

use super::outcome::{RunOutcome, RunSummary};

/// Time between two looks at a process.
const STEP: Duration = Duration::from_millis(20);

/// How long a process may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(20);

/// How long a run may take besides its own time and that of its check: to start, settle and report.
const AROUND: Duration = Duration::from_secs(180);

/// What plays runs. A campaign has processes for it; tests have what they like.
pub trait Runner: Sync {
    /// Does a run, whose files go into `home`, an empty folder. Returns early, with
    /// [`RunOutcome::is_interrupted`], once `stop` is set.
    fn play(&self, spec: &RunSpec, home: &Path, stop: &AtomicBool) -> RunOutcome;

    /// Shrinks the faults of the run in `folder` to those that still give a finding of a kind, by its
    /// [name](partita_reports::FindingKind::name), for at most `limit`; gives the shrunk schedule and in how many
    /// of how many replays it gave one.
    ///
    /// # Errors
    ///
    /// Why there is no result.
    fn shrink(
        &self,
        folder: &Path,
        kind: &str,
        limit: Duration,
        stop: &AtomicBool,
    ) -> Result<Shrunk, String>;
}

/// What shrinking came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunk {
    /// The schedule's file.
    pub schedule: PathBuf,
    /// In how many of how many replays it gave the finding; nothing if there was no time to find out.
    pub reproduced: Option<(u32, u32)>,
}

/// Runs as processes of this program.
#[derive(Debug, Clone)]
pub struct ProcessRunner {
    /// The program: `partita`.
    pub program: PathBuf,
}

impl Runner for ProcessRunner {
    fn play(&self, spec: &RunSpec, home: &Path, stop: &AtomicBool) -> RunOutcome {
        let began = Instant::now();
        let played = self.try_play(spec, home, stop);
        let wall_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match played {
            Ok(played) => RunOutcome { wall_ms, ..played },
            Err(error) => {
                RunOutcome { failure: Some(error.to_string()), wall_ms, ..RunOutcome::default() }
            }
        }
    }

    fn shrink(
        &self,
        folder: &Path,
        kind: &str,
        limit: Duration,
        stop: &AtomicBool,
    ) -> Result<Shrunk, String> {
        let said = folder.join("shrink.txt");
        let told = |error: std::io::Error| error.to_string();
        let mut command = Command::new(&self.program);
        command.arg("shrink").arg(folder).args(["--search", "1/2", "--jobs", "1"]);
        command.args(["--finding", kind]);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command.stdout(File::create(&said).map_err(told)?);
        let ended = wait(spawn(&mut command).map_err(told)?, limit, stop).map_err(told)?;
        let schedule = folder.join("shrunk.toml");
        let text = std::fs::read_to_string(&said).unwrap_or_default();
        if schedule.is_file() {
            return Ok(Shrunk { schedule, reproduced: reproduced(&text) });
        }
        Err(match (ended.why, text.lines().last()) {
            (Some(why), _) => why,
            (None, Some(last)) => last.to_owned(),
            (None, None) => format!("partita shrink: {}", ended.status),
        })
    }
}

/// `shrunk: 1 fault, 250 ms in all; a violation in 4 of 5 replays`.
fn reproduced(said: &str) -> Option<(u32, u32)> {
    let line = said.lines().find(|line| line.starts_with("shrunk: "))?;
    let (_, counts) = line.rsplit_once(" in ")?;
    let mut words = counts.split(' ');
    let k = words.next()?.parse().ok()?;
    let n = words.nth(1)?.parse().ok()?;
    Some((k, n))
}

impl ProcessRunner {
    fn try_play(
        &self,
        spec: &RunSpec,
        home: &Path,
        stop: &AtomicBool,
    ) -> std::io::Result<RunOutcome> {
        let (asked, answer) = (home.join("asked.json"), home.join("answer.json"));
        std::fs::write(&asked, serde_json::to_vec(spec)?)?;
        let mut command = Command::new(&self.program);
        command.args(["run", "--json", "--spec", "-", "--out"]).arg(home);
        command.stdin(File::open(&asked)?).stdout(File::create(&answer)?);
        command.stderr(File::create(home.join("said.txt"))?);
        let limit = spec.time.duration() + spec.check_timeout.duration() + AROUND;
        let ended = wait(spawn(&mut command)?, limit, stop)?;
        let told: Option<RunSummary> = read(&answer);
        let folder = told.as_ref().and_then(|told| told.folder.clone()).map(PathBuf::from);
        let file = |name: &str| folder.as_ref().map(|folder| folder.join(name));
        let failure = match (&told, ended.why) {
            (_, Some(why)) => Some(why),
            (Some(_), None) => None,
            (None, None) => Some(said(home, ended.status)),
        };
        Ok(RunOutcome {
            code: ended.status.code(),
            failure,
            wall_ms: 0,
            cpu_ms: ended.cpu_ms,
            faults: file("schedule.jsonl").map(|path| faults(&path)).unwrap_or_default(),
            analysis: file("verdict.json").and_then(|path| read(&path)),
            told,
            spec: None,
            is_interrupted: ended.is_interrupted,
        })
    }
}

/// Why a process ended that told nothing: the last line that it printed, and how it ended.
fn said(home: &Path, status: ExitStatus) -> String {
    let text = std::fs::read(home.join("said.txt")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    last.map_or_else(|| status.to_string(), |line| format!("{status}: {}", line.trim()))
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// What came of a run, as far as its folder says; nothing if it has no `run.json`.
pub fn recorded(folder: &Path) -> Option<RunOutcome> {
    let told: RunSummary = read(&folder.join("run.json"))?;
    let exit = Exit::of_run(&told.findings, told.failure.is_some(), told.verdict?);
    Some(RunOutcome {
        code: Some(exit.code().into()),
        faults: faults(&folder.join("schedule.jsonl")),
        analysis: read(&folder.join("verdict.json")),
        told: Some(told),
        ..RunOutcome::default()
    })
}

/// The faults of a run by number, of each the last line.
fn faults(path: &Path) -> Vec<FaultRecord> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut faults = std::collections::BTreeMap::new();
    for fault in text.lines().filter_map(|line| serde_json::from_str::<FaultRecord>(line).ok()) {
        faults.insert(fault.id, fault);
    }
    faults.into_values().collect()
}

/// Starts a process that ends with this thread, and hears nothing of this terminal's Ctrl-C.
#[expect(unsafe_code, reason = "what happens between fork and exec has no safe interface")]
fn spawn(command: &mut Command) -> std::io::Result<Child> {
    command.process_group(0);
    // SAFETY: one system call, which may be made between fork and exec.
    unsafe {
        command.pre_exec(|| set_pdeathsig(Signal::SIGKILL).map_err(std::io::Error::from));
    }
    // Another thread that is just making such a program's file has it open for writing in its own child.
    loop {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::sleep(STEP),
            other => return other,
        }
    }
}

/// How a process ended.
struct Ended {
    status: ExitStatus,
    cpu_ms: u64,
    /// Why it was ended, if it did not end by itself.
    why: Option<String>,
    is_interrupted: bool,
}

/// Waits for a process; ends it when its time is up or `stop` is set.
fn wait(mut child: Child, limit: Duration, stop: &AtomicBool) -> std::io::Result<Ended> {
    let pid = Pid::from_raw(child.id().cast_signed());
    let began = Instant::now();
    let mut asked: Option<Instant> = None;
    let mut why = None;
    // It stays a zombie until its times are read.
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while matches!(waitid(Id::Pid(pid), look), Ok(WaitStatus::StillAlive)) {
        let is_late = began.elapsed() > limit;
        if why.is_none() && is_late {
            why = Some(format!("it did not end within {} s", limit.as_secs()));
        }
        let is_to_end = is_late || stop.load(Ordering::Relaxed);
        match asked {
            None if is_to_end => {
                // In order, so that nothing is left behind.
                let _ = kill(pid, Signal::SIGTERM);
                asked = Some(Instant::now());
            }
            Some(since) if since.elapsed() > GRACE => {
                let _ = kill(pid, Signal::SIGKILL);
            }
            _ => {}
        }
        std::thread::sleep(STEP);
    }
    let cpu_ms = cpu_ms(pid);
    let is_interrupted = asked.is_some() && why.is_none();
    Ok(Ended { status: child.wait()?, cpu_ms, why, is_interrupted })
}

/// The CPU time of a process that has ended and of those that it waited for.
fn cpu_ms(pid: Pid) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The program's name is in brackets and may hold anything; utime is the twelfth word after it.
    let after = text.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks: u64 = after
        .split_whitespace()
        .skip(11)
        .take(4)
        .filter_map(|number| number.parse::<u64>().ok())
        .sum();
    let a_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    ticks * 1_000 / u64::try_from(a_second).unwrap_or(100).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn run(script: &str, limit: Duration, stop: bool) -> Ended {
        let child = spawn(&mut shell(script)).expect("a shell");
        wait(child, limit, &AtomicBool::new(stop)).expect("waited for")
    }

    #[test]
    fn a_process_ends_by_itself_or_by_its_limit_or_by_the_campaigns_end() {
        const LONG: Duration = Duration::from_secs(60);
        let ended = run("exit 3", LONG, false);
        assert_eq!((ended.status.code(), ended.why, ended.is_interrupted), (Some(3), None, false));
        let late = run("exec sleep 60", Duration::from_millis(50), false);
        assert_eq!(late.why.as_deref(), Some("it did not end within 0 s"));
        assert!(!late.is_interrupted, "it counts");
        let stopped = run("exec sleep 60", LONG, true);
        assert!(stopped.is_interrupted && stopped.why.is_none());
    }

    #[test]
    fn cpu_time_is_that_of_a_process_and_its_children() {
        let busy = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
        let ended = run(&format!("sh -c '{busy}'; {busy}"), Duration::from_secs(60), false);
        assert!(ended.cpu_ms > 0, "{}", ended.cpu_ms);
    }

    #[test]
    fn what_shrinking_came_to_is_read_from_what_it_says() {
        let said =
            "trial 1\nshrunk: 2 faults, 250 ms in all; a violation in 4 of 5 replays\n  {…}\n";
        assert_eq!(reproduced(said), Some((4, 5)));
        assert_eq!(reproduced("unknown: nothing\n"), None);
    }
}
