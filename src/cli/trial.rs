//! Plays a schedule again, as a run of its own, and tells what came of it.
//!
//! Each trial is a process of its own, `partita run`, in a lab of its own: nothing of one reaches
//! the next, and all of it ends with this process, however that ends.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use partita_nemesis::{Schedule, Script};
use partita_reports::spec::{Document, FaultsSpec};
use partita_reports::{Finding, FindingKind, RunRecord, RunSpec};
use serde::Deserialize;

use super::command;
use crate::exit::{Exit, Failure, FailureContext};
use crate::run::folder::RunFolder;

/// A run that is to be played again.
#[derive(Debug)]
pub struct Original {
    /// Its folder.
    pub folder: PathBuf,
    /// What was asked.
    pub spec: RunSpec,
    /// Its schedule, with every time settled.
    pub script: Script,
}

/// What came of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub exit: Exit,
    /// What was found of the system under test.
    pub findings: Vec<Finding>,
    /// Its folder, if it came so far as to have one.
    pub folder: Option<PathBuf>,
    /// Why it came to no result, if it did not.
    pub failure: Option<String>,
}

impl Original {
    /// Reads what a run left in its folder.
    ///
    /// # Errors
    ///
    /// [`Failure`] if this is no run's folder; the message names the file that is missing or wrong.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let folder = folder.canonicalize().or_usage(|| folder.display().to_string())?;
        let spec = RunFolder::made(folder.clone()).spec()?;
        let schedule_file = folder.join("schedule.toml");
        let text = std::fs::read_to_string(&schedule_file)
            .or_usage(|| schedule_file.display().to_string())?;
        let script = Script::parse(&schedule_file.display().to_string(), &text)
            .or_usage(|| "the run's schedule".to_owned())?;
        Ok(Self { folder, spec, script })
    }

    /// The command that does the run again, as one would type it.
    pub fn command(&self) -> String {
        command::of(&self.spec)
    }

    /// How long it takes to play it, roughly: start, schedule, settling and verdict.
    pub fn expected_time(&self) -> Duration {
        const AROUND: Duration = Duration::from_secs(5);
        self.spec.time.duration() + AROUND
    }

    /// The same run with the schedule in a file, of which this is the text. What takes room and
    /// changes nothing is left out.
    pub fn with_schedule(&self, file: &Path, text: String) -> RunSpec {
        let document = Document { name: file.display().to_string(), toml: text };
        RunSpec {
            faults: FaultsSpec::Schedule(document),
            pcap: false,
            keep_data: false,
            ..self.spec.clone()
        }
    }

    /// The run's schedule in numbers.
    ///
    /// # Errors
    ///
    /// [`Failure`] if it does not fit into itself, as after an edit.
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

    fn record(&self) -> Option<RunRecord> {
        let text = std::fs::read(self.folder.join("run.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// The kind of what the run found: a violation if there is one, or if nothing else is known.
    pub fn gravest(&self) -> FindingKind {
        let findings = self.record().map(|record| record.findings).unwrap_or_default();
        let is_violation = |finding: &Finding| finding.kind == FindingKind::Violation;
        match findings.first() {
            Some(first) if !findings.iter().any(is_violation) => first.kind,
            _ => FindingKind::Violation,
        }
    }

    /// When the first finding of a kind was seen, in milliseconds after the schedule began; of a violation,
    /// when its operations were over. Nothing if the run did not leave behind when.
    pub fn found_ms(&self, kind: FindingKind) -> Option<u64> {
        let record = self.record()?;
        let lead_in = record.phases.iter().find(|phase| phase.name == "lead-in")?;
        let seen = record.findings.iter().find(|finding| finding.kind == kind)?.at_ns?;
        Some(seen.0.saturating_sub(lead_in.began_ns.0) / 1_000_000)
    }
}

/// Does the run of `spec` in a process of its own. The trial's folder goes into `out`.
///
/// # Errors
///
/// [`Failure`] if the trial cannot be started.
pub fn play(spec: &RunSpec, out: &Path) -> Result<Outcome, Failure> {
    let starting = || "starting a trial".to_owned();
    let this = std::env::current_exe().or_harness(|| "finding this program".to_owned())?;
    std::fs::create_dir_all(out).or_harness(|| out.display().to_string())?;
    let document = serde_json::to_vec(spec).or_harness(starting)?;
    let mut command = Command::new(this);
    command.args(["run", "--json", "--spec", "-", "--out"]).arg(out);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    die_with_this_process(&mut command);
    let mut trial = command.spawn().or_harness(starting)?;
    // It reads all of it before it says anything.
    let written = trial.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(&document));
    let output = trial.wait_with_output().or_harness(starting)?;
    let exit = output.status.code().map_or(Exit::Harness, Exit::of_code);
    Ok(match serde_json::from_slice(&output.stdout) {
        Ok(RunOutput::Result(record)) => Outcome {
            exit,
            findings: record.findings,
            folder: Some(record.folder.into()),
            failure: record.failure,
        },
        Ok(RunOutput::Error { error }) => {
            Outcome { exit, findings: Vec::new(), folder: None, failure: Some(error) }
        }
        Err(_) => {
            let how = written.err().map_or_else(|| output.status.to_string(), |it| it.to_string());
            Outcome { exit, findings: Vec::new(), folder: None, failure: Some(how) }
        }
    })
}

/// What `partita run --json` prints.
#[derive(Deserialize)]
#[serde(untagged)]
enum RunOutput {
    /// Why it came to no result.
    Error { error: String },
    /// What `run.json` holds.
    Result(Box<RunRecord>),
}

impl Outcome {
    /// Whether something of a kind was found.
    pub fn has(&self, kind: FindingKind) -> bool {
        self.findings.iter().any(|finding| finding.kind == kind)
    }

    /// The outcome in a few words.
    pub fn in_words(&self) -> String {
        match (self.exit, self.findings.first()) {
            (_, Some(finding)) => finding.in_words(),
            (Exit::Finding, None) => "finding".to_owned(),
            (Exit::Valid, None) => "valid".to_owned(),
            (Exit::Unknown, None) => "unknown".to_owned(),
            _ => format!("failed: {}", self.failure.as_deref().unwrap_or("it is not known why")),
        }
    }
}

#[expect(unsafe_code, reason = "what happens between fork and exec has no safe interface")]
fn die_with_this_process(command: &mut Command) {
    // SAFETY: one system call, which may be made between fork and exec.
    unsafe {
        command.pre_exec(|| set_pdeathsig(Signal::SIGKILL).map_err(std::io::Error::from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_of_a_trial_is_its_first_finding_or_its_result() {
        let outcome = |exit, findings: &[Finding], failure: Option<&str>| Outcome {
            exit,
            findings: findings.to_vec(),
            folder: None,
            failure: failure.map(str::to_owned),
        };
        let stale = Finding::new(FindingKind::Violation, "stale read", "a sentence");
        let crash = Finding::new(FindingKind::Crash, "panic at a.rs:3", "a sentence");
        let both = outcome(Exit::Finding, &[stale, crash.clone()], Some("no lab"));
        assert_eq!(
            (both.in_words().as_str(), both.has(FindingKind::Violation)),
            ("violation: stale read", true)
        );
        let crashed = outcome(Exit::Finding, &[crash], None);
        assert_eq!(crashed.in_words(), "crash: panic at a.rs:3");
        assert!(!crashed.has(FindingKind::Violation), "a crash is another finding");
        assert!(crashed.has(FindingKind::Crash));
        let failed = outcome(Exit::Harness, &[], Some("no lab"));
        assert_eq!(failed.in_words(), "failed: no lab");
        assert_eq!(outcome(Exit::Unknown, &[], None).in_words(), "unknown");
    }
}
