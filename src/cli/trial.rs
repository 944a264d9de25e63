//! Plays a schedule again, as a run of its own, and tells what came of it.
//!
//! Each trial is a process of its own, `partita run`, in a lab of its own: nothing of one reaches
//! the next, and all of it ends with this process, however that ends.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use partita_nemesis::{Schedule, Script};
use serde_json::Value;

use crate::exit::{Exit, Failure, OrFail};
use crate::run::plan::PlanRecord;

/// A run that is to be played again.
#[derive(Debug)]
pub struct Original {
    /// Its folder.
    pub folder: PathBuf,
    /// What was asked.
    pub plan: PlanRecord,
    /// Its schedule, with every time settled.
    pub script: Script,
}

/// What came of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub exit: Exit,
    /// What was violated, if anything was: `stale-read`.
    pub anomaly: Option<String>,
    /// Its folder, if it came so far as to have one.
    pub folder: Option<PathBuf>,
    /// The last thing it said.
    pub last_words: String,
}

impl Original {
    /// Reads what a run left in its folder.
    ///
    /// # Errors
    ///
    /// [`Failure`] if this is no run's folder; the message names the file that is missing or wrong.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let folder = folder.canonicalize().or_usage(|| folder.display().to_string())?;
        let (plan_file, schedule_file) = (folder.join("plan.json"), folder.join("schedule.toml"));
        let plan = std::fs::read(&plan_file).or_usage(|| plan_file.display().to_string())?;
        let plan = serde_json::from_slice(&plan).or_usage(|| plan_file.display().to_string())?;
        let text = std::fs::read_to_string(&schedule_file)
            .or_usage(|| schedule_file.display().to_string())?;
        let script = Script::parse(&schedule_file.display().to_string(), &text)
            .or_usage(|| "the run's schedule".to_owned())?;
        Ok(Self { folder, plan, script })
    }

    /// How long it takes to play it, roughly: start, schedule, settling and verdict.
    pub fn expected_time(&self) -> Duration {
        const AROUND: Duration = Duration::from_secs(5);
        let time = self.argument("--time").and_then(|time| super::duration(time).ok());
        time.unwrap_or_else(|| self.script.needs()) + AROUND
    }

    /// The value of one of the run's arguments.
    pub fn argument(&self, name: &str) -> Option<&str> {
        let mut words = self.plan.arguments.iter();
        words.find(|word| *word == name)?;
        words.next().map(String::as_str)
    }

    /// The run's schedule in numbers.
    ///
    /// # Errors
    ///
    /// [`Failure`] if it does not fit into itself: somebody edited it.
    pub fn schedule(&self) -> Result<Schedule, Failure> {
        // Longer than any fault, so that none is left out.
        let seed = self.script.seed.unwrap_or_default();
        let time = self.script.needs();
        self.script.for_run(time, seed).or_usage(|| "the run's schedule".to_owned())
    }

    /// Another schedule for the run, with the commands that an operator gave in it.
    pub fn written(&self, schedule: &Schedule, about: &str) -> String {
        let commands = self.script.commands.keys().map(|target| {
            // Past any run, so that none is left out.
            let all = self.script.commands_for_run(target, Duration::from_secs(1 << 24), 0);
            Script::commands_written(target, &all)
        });
        commands.fold(schedule.written(about), |text, commands| text + &commands)
    }

    /// When the operations of the violation were over, in milliseconds after the schedule began; if
    /// the run found one and left behind when.
    pub fn violation_ms(&self) -> Option<u64> {
        let run = json(&self.folder.join("run.json"))?;
        let verdict = json(&self.folder.join("verdict.json"))?;
        let phases = run["phases"].as_array()?;
        let lead_in = phases.iter().find(|phase| phase["name"] == "lead-in")?;
        let began_ns = lead_in["began_ns"].as_u64()?;
        let operations = verdict["counterexample"]["operations"].as_array()?;
        let last_ns = operations.iter().filter_map(|it| it["completed"].as_u64()).max()?;
        Some(last_ns.saturating_sub(began_ns) / 1_000_000)
    }

    /// Plays a schedule as the run was played. The trial's folder goes into `out`.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the trial cannot be started.
    pub fn play(&self, schedule: &Path, out: &Path, more: &[&str]) -> Result<Outcome, Failure> {
        let this = std::env::current_exe().or_harness(|| "finding this program".to_owned())?;
        std::fs::create_dir_all(out).or_harness(|| out.display().to_string())?;
        let mut command = Command::new(this);
        command
            .arg("run")
            .args(without(&self.plan.arguments, more))
            .arg("--schedule")
            .arg(schedule)
            .arg("--out")
            .arg(out)
            .args(more)
            .stdin(Stdio::null());
        die_with_this_process(&mut command);
        let output = command.output().or_harness(|| "starting a trial".to_owned())?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (said(&output.stdout), said(&output.stderr));
        let mut last_words =
            stdout.lines().chain(stderr.lines()).filter(|line| !line.trim().is_empty());
        let folder = std::fs::canonicalize(out.join("latest")).ok();
        let anomaly = folder.as_ref().and_then(|folder| {
            let verdict = json(&folder.join("verdict.json"))?;
            Some(verdict["counterexample"]["anomaly"].as_str()?.to_owned())
        });
        Ok(Outcome {
            exit: output.status.code().map_or(Exit::Harness, Exit::of_code),
            anomaly,
            folder,
            last_words: last_words.next_back().unwrap_or_default().trim().to_owned(),
        })
    }
}

impl Outcome {
    /// The outcome in a few words.
    pub fn in_words(&self) -> String {
        match (self.exit, &self.anomaly) {
            (Exit::Violation, Some(anomaly)) => format!("violation: {}", anomaly.replace('-', " ")),
            (Exit::Violation, None) => "violation".to_owned(),
            (Exit::Valid, _) => "valid".to_owned(),
            (Exit::Unknown, _) => "unknown".to_owned(),
            _ => format!("failed: {}", self.last_words),
        }
    }
}

/// `arguments` without the options that `more` gives anew.
fn without(arguments: &[String], more: &[&str]) -> Vec<String> {
    let mut left = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if more.contains(&word.as_str()) {
            // Options that stand alone have no value to leave out.
            if word != "--stop-on-violation" {
                words.next();
            }
        } else {
            left.push(word.clone());
        }
    }
    left
}

#[expect(unsafe_code, reason = "what happens between fork and exec has no safe interface")]
fn die_with_this_process(command: &mut Command) {
    // SAFETY: one system call, which may be made between fork and exec.
    unsafe {
        command.pre_exec(|| set_pdeathsig(Signal::SIGKILL).map_err(std::io::Error::from));
    }
}

fn json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_anew_is_given_once() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let arguments = words("--time 60s --stop-on-violation --seed 3");
        let left = without(&arguments, &["--time", "5s", "--stop-on-violation"]);
        assert_eq!(left, words("--seed 3"));
    }
}
