//! `partita shrink`: the fewest and shortest faults that still give what a run found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use partita_nemesis::Schedule;
use partita_nemesis::shrink::shrink;
use partita_reports::spec::{Milliseconds, OnFinding, defaults};
use partita_reports::{FindingKind, RunSpec};

use super::command;
use super::pace::Pace;
use super::show::counted;
use super::trial::{self, Original, Outcome};
use crate::exit::{Exit, Failure, FailureContext};
use crate::outln;

/// How long clients go on without faults in a trial: as long as a run needs to see its last fault
/// through.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// The same where what is looked for is that something did not happen within a limit.
const AFTERWARDS_OF_LIMITS: Duration = Duration::from_secs(20);

/// Finds the fewest and shortest faults that still give what an earlier run found.
///
/// Plays ever smaller schedules as runs of their own: a candidate counts if `--search` of its
/// trials give a finding of the same kind: a violation, if the run found one, or else its first finding.
/// Real processes race, so the result is played five times more, and how
/// often it gives the finding is said; if that is too seldom, the next larger one is tried. Writes
/// `shrunk.toml` into the run's folder after each success, and the trials into `shrink/` there.
/// Exits with 1 if the result still gives the violation often enough, with 3 if nothing does.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  partita shrink partita-runs/latest\n  \
                        partita shrink partita-runs/latest --search 1/2 --confirm 3/5")]
pub struct Arguments {
    /// The run's folder.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// In how many of how many trials a candidate must give the finding to be kept.
    #[arg(long, default_value = "2/3", value_name = "K/N", value_parser = quota)]
    search: Quota,
    /// In how many of how many trials the result must.
    #[arg(long, default_value = "4/5", value_name = "K/N", value_parser = quota)]
    confirm: Quota,
    /// The kind of finding that is looked for, such as `crash`; the gravest of the run if not given.
    #[arg(long, value_name = "KIND", value_parser = kind)]
    finding: Option<FindingKind>,
    /// How many trials of a candidate are played at a time; as many as there are cores if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    jobs: Option<u32>,
}

/// At least `wanted` of `trials`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quota {
    wanted: u32,
    trials: u32,
}

fn kind(text: &str) -> Result<FindingKind, String> {
    let found = FindingKind::ALL.into_iter().find(|kind| kind.name() == text);
    let names = || FindingKind::ALL.map(FindingKind::name).join(", ");
    found.ok_or_else(|| format!("expected one of {}", names()))
}

/// A finding of a kind, as it stands in a sentence.
const fn in_a_sentence(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Violation => "a violation",
        FindingKind::Crash => "a crash",
        FindingKind::NoRecovery => "no recovery",
        FindingKind::ReplicasDiffer => "replicas that differ",
        FindingKind::TwoLeaders => "two leaders",
        FindingKind::LimitBroken => "a broken limit",
        FindingKind::Unrecognized => "a finding",
    }
}

fn quota(text: &str) -> Result<Quota, String> {
    let expected = "expected two numbers such as 2/3, the first not the greater";
    let (wanted, trials) = text.split_once('/').ok_or(expected)?;
    match (wanted.trim().parse(), trials.trim().parse()) {
        (Ok(wanted), Ok(trials)) if (1..=trials).contains(&wanted) && trials <= 100 => {
            Ok(Quota { wanted, trials })
        }
        _ => Err(expected.to_owned()),
    }
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if there is no such run, or a trial cannot be started.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let original = Original::read(&arguments.run)?;
    let schedule = original.schedule()?;
    if schedule.faults.is_empty() {
        let problem = format!("{}: the run had no faults", original.folder.display());
        return Err(Failure::usage(miette::miette!("{problem}")));
    }
    let count = schedule.faults.len();
    outln!("shrinking {} of: {}", counted(count, "fault"), original.command());
    let mut trials = Trials::new(&original, arguments)?;
    if !trials.gives_finding(&schedule, arguments.search, "all of them")? {
        outln!("unknown: the run's own schedule does not give {} often enough", trials.wanted());
        return Ok(Exit::Unknown);
    }
    let shrunk = shrink(&schedule, original.found_ms(trials.kind), |candidate, what| {
        let reproduces = trials.gives_finding(candidate, arguments.search, what)?;
        if reproduces {
            trials.keep(candidate)?;
        }
        Ok::<bool, Failure>(reproduces)
    })?;
    for candidate in shrunk.steps.iter().rev() {
        let what = format!("the result, {}", counted(candidate.faults.len(), "fault"));
        let (seen, outcomes) = trials.count(candidate, arguments.confirm.trials, &what)?;
        if seen >= arguments.confirm.wanted {
            let path = trials.keep(candidate)?;
            tell(&trials, candidate, &path, seen, &outcomes);
            outln!("  {} candidates, {} trials", shrunk.asked, trials.played);
            return Ok(Exit::Finding);
        }
        outln!("too seldom: in {seen} of {}; back to a larger one", arguments.confirm.trials);
    }
    outln!("unknown: no schedule gives {} often enough", trials.wanted());
    Ok(Exit::Unknown)
}

fn tell(trials: &Trials<'_>, result: &Schedule, path: &Path, seen: u32, outcomes: &[Outcome]) {
    let total_ms: u64 = result.faults.iter().map(|planned| planned.duration_ms).sum();
    outln!(
        "shrunk: {}, {total_ms} ms in all; {} in {seen} of {} replays",
        counted(result.faults.len(), "fault"),
        trials.wanted(),
        outcomes.len()
    );
    for line in result.written("").lines().filter(|line| line.starts_with("  {")) {
        outln!("{line}");
    }
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    for outcome in outcomes {
        *kinds.entry(outcome.in_words()).or_default() += 1;
    }
    for (kind, times) in kinds {
        outln!("  {times} × {kind}");
    }
    if let Some(folder) = outcomes
        .iter()
        .rev()
        .find_map(|outcome| outcome.folder.as_ref().filter(|_| outcome.has(trials.kind)))
    {
        outln!("  report: {}", folder.join("report.html").display());
    }
    // What it takes to see the last fault through, as a run has it that is told no time.
    let mut again =
        trials.original.with_schedule(path, std::fs::read_to_string(path).unwrap_or_default());
    again.time = end(result, trials.kind).max(defaults::TIME);
    outln!("  again:  {}", command::of(&again));
}

/// How long clients are at work in a run that sees a schedule through, and then such a finding.
fn end(schedule: &Schedule, kind: FindingKind) -> Milliseconds {
    let afterwards = match kind {
        FindingKind::NoRecovery | FindingKind::LimitBroken => AFTERWARDS_OF_LIMITS,
        _ => AFTERWARDS,
    };
    let needed = (schedule.end() + afterwards).as_nanos().div_ceil(1_000_000);
    Milliseconds(u64::try_from(needed).unwrap_or(u64::MAX))
}

/// Plays candidates, and keeps what is worth keeping.
struct Trials<'a> {
    original: &'a Original,
    /// What is looked for.
    kind: FindingKind,
    folder: PathBuf,
    /// How many are played at a time.
    jobs: u32,
    played: u32,
    pace: Pace,
    /// How many trials at most decide about a candidate.
    trials: u32,
    /// How many trials the result must stand.
    confirming: u32,
}

impl<'a> Trials<'a> {
    fn new(original: &'a Original, arguments: &Arguments) -> Result<Self, Failure> {
        let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        let folder = original.folder.join("shrink");
        // What an earlier search left behind.
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).or_harness(|| folder.display().to_string());
            }
            _ => {}
        }
        std::fs::create_dir(&folder).or_usage(|| folder.display().to_string())?;
        Ok(Self {
            original,
            kind: arguments.finding.unwrap_or_else(|| original.gravest()),
            folder,
            jobs: arguments.jobs.unwrap_or_else(cores),
            played: 0,
            pace: Pace::new(original.expected_time()),
            trials: arguments.search.trials,
            confirming: arguments.confirm.trials,
        })
    }

    fn wanted(&self) -> &'static str {
        in_a_sentence(self.kind)
    }

    /// Whether a candidate gives the finding in as many trials as are wanted; stops when that is
    /// decided.
    fn gives_finding(
        &mut self,
        candidate: &Schedule,
        quota: Quota,
        what: &str,
    ) -> Result<bool, Failure> {
        let (mut seen, mut missed) = (0, 0);
        let what = format!("{}, {what}", counted(candidate.faults.len(), "fault"));
        while seen < quota.wanted && missed <= quota.trials - quota.wanted {
            // No more at a time than could decide it.
            let open = (quota.wanted - seen).max(quota.trials - quota.wanted + 1 - missed);
            let rounds = self.rounds_left(candidate.faults.len());
            for outcome in self.play(candidate, open.min(self.jobs), &what, rounds)? {
                *(if outcome.has(self.kind) { &mut seen } else { &mut missed }) += 1;
            }
        }
        let decided = if seen >= quota.wanted { "still" } else { "not" };
        outln!("{what}: {decided} ({seen} of {})", seen + missed);
        Ok(seen >= quota.wanted)
    }

    /// In how many of so many trials a candidate gives the finding, and what came of each.
    fn count(
        &mut self,
        candidate: &Schedule,
        trials: u32,
        what: &str,
    ) -> Result<(u32, Vec<Outcome>), Failure> {
        let mut outcomes = Vec::new();
        while outcomes.len() < trials as usize {
            let open = trials - u32::try_from(outcomes.len()).unwrap_or(trials);
            let rounds = open.div_ceil(self.jobs);
            outcomes.extend(self.play(candidate, open.min(self.jobs), what, rounds)?);
        }
        let seen = outcomes.iter().filter(|outcome| outcome.has(self.kind)).count();
        outln!("{what}: {} in {seen} of {trials}", self.wanted());
        Ok((u32::try_from(seen).unwrap_or(u32::MAX), outcomes))
    }

    /// How often something is still to be played, roughly, when so many faults are left: each must
    /// be tried without, and at half its length, and the result must be confirmed.
    fn rounds_left(&self, faults: usize) -> u32 {
        let candidates = u32::try_from(2 * faults).unwrap_or(u32::MAX);
        let search = candidates.saturating_mul(self.trials.div_ceil(self.jobs));
        search.saturating_add(self.confirming.div_ceil(self.jobs))
    }

    /// Plays a candidate so many times at once; `rounds` says how often something is still to be
    /// played.
    fn play(
        &mut self,
        candidate: &Schedule,
        times: u32,
        what: &str,
        rounds: u32,
    ) -> Result<Vec<Outcome>, Failure> {
        let first = self.played + 1;
        self.played += times;
        let what = match times {
            1 => format!("trial {first}: {what}"),
            _ => format!("trials {first} to {}: {what}", self.played),
        };
        let mut pace = std::mem::replace(&mut self.pace, Pace::new(Duration::ZERO));
        let outcomes = pace.play(&what, rounds, || self.play_at_once(candidate, first, times));
        self.pace = pace;
        outcomes
    }

    fn play_at_once(
        &self,
        candidate: &Schedule,
        first: u32,
        times: u32,
    ) -> Result<Vec<Outcome>, Failure> {
        let trials = self;
        std::thread::scope(|scope| {
            let one = |number| scope.spawn(move || trials.play_once(candidate, number));
            let running: Vec<_> = (first..first + times).map(one).collect();
            let finish = |trial: std::thread::ScopedJoinHandle<'_, _>| {
                trial.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            running.into_iter().map(finish).collect()
        })
    }

    fn play_once(&self, candidate: &Schedule, number: u32) -> Result<Outcome, Failure> {
        let home = self.folder.join(format!("{number:03}"));
        std::fs::create_dir(&home).or_harness(|| home.display().to_string())?;
        let path = home.join("schedule.toml");
        let about = format!("a trial of: {}", self.original.command());
        let text = self.original.written(candidate, &about);
        std::fs::write(&path, &text).or_harness(|| path.display().to_string())?;
        let spec = RunSpec {
            time: end(candidate, self.kind),
            on_finding: OnFinding::Stop,
            ..self.original.with_schedule(&path, text)
        };
        let outcome = trial::play(&spec, &home)?;
        // What proves nothing is not worth its space; a failure is.
        if matches!(outcome.exit, Exit::Valid | Exit::Unknown) {
            std::fs::remove_dir_all(&home).or_harness(|| home.display().to_string())?;
        }
        Ok(outcome)
    }

    /// Writes the best schedule so far.
    fn keep(&self, schedule: &Schedule) -> Result<PathBuf, Failure> {
        let path = self.original.folder.join("shrunk.toml");
        let about = format!("shrunk from: {}", self.original.command());
        std::fs::write(&path, self.original.written(schedule, &about))
            .or_harness(|| path.display().to_string())?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_finding_can_be_looked_for() {
        for known in FindingKind::ALL {
            assert_eq!(kind(known.name()), Ok(known));
        }
        assert!(kind("crashes").expect_err("none").contains("no-recovery"));
    }

    #[test]
    fn what_shows_by_a_limit_has_time_for_it() {
        let none = Schedule { seed: 0, faults: Vec::new(), read_only: Vec::new() };
        assert!(end(&none, FindingKind::NoRecovery).0 >= 10_000 + end(&none, FindingKind::Crash).0);
    }

    #[test]
    fn a_quota_is_some_of_some() {
        assert_eq!(quota("2/3"), Ok(Quota { wanted: 2, trials: 3 }));
        for wrong in ["", "2", "3/2", "0/3", "a/b", "1/1000"] {
            assert!(quota(wrong).is_err(), "{wrong}");
        }
    }
}
