//! `partita score`: which bugs the default campaign finds blind, and how soon.

use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use partita_raft_node::mutations::{self, Shows};
use partita_raft_node::sim::recipes;
use partita_reports::RunSpec;
use partita_reports::campaign::record::RunResult;
use partita_reports::campaign::score::{self, Attempt, Found, Part, Score};
use partita_reports::spec::{Milliseconds, OnFinding, TargetSpec, defaults};

use super::campaign::{Strategy, stop_at_signals};
use crate::campaign::file::HONEST;
use crate::campaign::outcome::Outcome;
use crate::campaign::{GuidedRunner, ProcessRunner, Runner};
use crate::exit::{Exit, Failure, FailureContext};
use crate::names;
use crate::run::profile::Profile;
use crate::targets::{Target, with_program};
use crate::{errln, outln, terminal};

/// Measures which bugs default runs find, blind: every subject gets the same runs, with seeds that derive
/// from a commit's hash, until something is found or the budget is used up.
///
/// Subjects are the planted bugs of `raft-node`, or programs of your own, whose bugs need not be known. Beside them run a control that has no bug and a canary that has one which every campaign finds.
/// Writes `score.json`, `score.html` and `score.md` into `--out`; attempts that are there already, of the same
/// measurement, are not made again. Exits with 1 if something was found of the control, with 4 if the
/// canary was not found.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  partita score --budget 10m --series 3 --jobs 2\n  \
                        partita score --mutation no-log-check --budget 2m\n  \
                        partita score --binaries honest=./good,bug1=./a,bug2=./b --budget 5m")]
pub struct Arguments {
    /// The system under test: a built-in name or a TOML file.
    #[arg(long, default_value = defaults::TARGET)]
    target: String,
    /// A planted bug to look for; may be repeated. All that a run can show if none is given.
    #[arg(long, value_name = "NAME", conflicts_with = "binaries")]
    mutation: Vec<String>,
    /// Programs to look for bugs in, each in the place of the first word of the target's command, by names:
    /// `honest` is the control and `canary` the canary, all others have a bug.
    #[arg(long, value_name = "NAME=PATH", value_delimiter = ',', value_parser = super::binary)]
    binaries: Vec<(String, PathBuf)>,
    /// Which faults are drawn: `default`, or `hunt` for the same without recipes.
    #[arg(long, value_name = "FAULTS", default_value = defaults::FAULTS)]
    nemesis: String,
    /// Where the faults of a series' runs come from: the seed of each, or what its earlier runs came to.
    #[arg(long, value_name = "STRATEGY", default_value = "random")]
    strategy: Strategy,
    /// What the seeds derive from: the hash of the commit that is checked out, if not given.
    #[arg(long, value_name = "TEXT")]
    from: Option<String>,
    /// How many rows of seeds each subject gets.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    series: u32,
    /// How long runs on one subject may take together, in each series.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = super::positive_duration)]
    budget: Duration,
    /// How long a run is.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = super::run::milliseconds)]
    time: Milliseconds,
    /// How many runs are made at a time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    jobs: u32,
    /// The folder that the score and the runs with findings go into.
    #[arg(long, value_name = "FOLDER", default_value = "partita-runs/score")]
    out: PathBuf,
    /// Print what `score.json` holds, as a line of JSON, instead of text.
    #[arg(long)]
    json: bool,
    /// The program that does the runs, for tests: `PROGRAM run --json --spec - --out FOLDER`.
    #[arg(long, value_name = "PROGRAM", hide = true)]
    run_program: Option<PathBuf>,
}

/// What runs are made on.
#[derive(Debug, Clone)]
struct Subject {
    name: String,
    part: Part,
    target: TargetSpec,
    mutations: Vec<String>,
}

/// What every run of the measurement has in common.
struct Campaign<'a> {
    arguments: &'a Arguments,
    from: String,
    runner: ProcessRunner,
    /// Set from outside to end it in order.
    stop: &'a AtomicBool,
    /// Where attempts are noted, one a line.
    notes: Mutex<std::fs::File>,
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] for bad arguments, or if a file cannot be written or a run not be started.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    names::faults(&arguments.nemesis)?;
    let subjects = subjects(arguments)?;
    let from = arguments.from.clone().map_or_else(commit, Ok)?;
    std::fs::create_dir_all(&arguments.out).or_harness(|| arguments.out.display().to_string())?;
    let name = arguments.out.join(format!("attempts-{}.jsonl", mark(arguments, &from)));
    let done = read(&name)?;
    let notes = std::fs::OpenOptions::new().append(true).create(true).open(&name);
    let notes = Mutex::new(notes.or_harness(|| name.display().to_string())?);
    let program = match &arguments.run_program {
        Some(program) => program.clone(),
        None => std::env::current_exe().or_harness(|| "finding this program".to_owned())?,
    };
    let (runner, stop) = (ProcessRunner { program }, stop_at_signals()?);
    let campaign = Campaign { arguments, from, runner, stop: &stop, notes };
    let attempts = campaign.carry_out(&subjects, done)?;
    let score = Score {
        format: score::FORMAT,
        from: campaign.from,
        target: arguments.target.clone(),
        faults: faults(arguments),
        run_ms: arguments.time.0,
        budget_ms: u64::try_from(arguments.budget.as_millis()).unwrap_or(u64::MAX),
        series: arguments.series,
        attempts,
    };
    if stop.load(Ordering::Relaxed) {
        errln!("interrupted; the same command goes on");
    }
    told(&score, arguments)
}

/// The fault set, and the strategy if it is not the usual one.
fn faults(arguments: &Arguments) -> String {
    match arguments.strategy {
        Strategy::Random => arguments.nemesis.clone(),
        Strategy::Guided => format!("{}, guided", arguments.nemesis),
    }
}

/// What tells the attempts of one measurement from those of another.
fn mark(arguments: &Arguments, from: &str) -> String {
    let Arguments { target, budget, time, .. } = arguments;
    let faults = faults(arguments);
    format!("{:x}", score::seed(&format!("{from} {target} {faults} {budget:?} {time}"), 0, 0))
}

/// The attempts that an earlier call made.
fn read(path: &Path) -> Result<Vec<Attempt>, Failure> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        text => text.or_harness(|| path.display().to_string())?,
    };
    // A line that is not whole is of a call that was ended.
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn told(score: &Score, arguments: &Arguments) -> Result<Exit, Failure> {
    let write = |name: &str, text: String| {
        let path = arguments.out.join(name);
        std::fs::write(&path, text).or_harness(|| path.display().to_string())
    };
    write("score.json", serde_json::to_string(score).or_harness(|| "score.json".to_owned())?)?;
    write("score.html", score.html())?;
    write("score.md", score.markdown())?;
    if arguments.json {
        terminal::document(score)?;
    } else {
        outln!("{}", score.sentence());
        outln!("  page: {}", arguments.out.join("score.html").display());
    }
    for problem in score.problems() {
        terminal::stderr_line(&problem);
    }
    Ok(match (score.false_alarms().is_empty(), score.silent_canaries().is_empty()) {
        (false, _) => Exit::Finding,
        (true, false) => Exit::Harness,
        (true, true) => Exit::Valid,
    })
}

/// The hash of the commit that is checked out.
fn commit() -> Result<String, Failure> {
    let output = Command::new("git").args(["rev-parse", "HEAD"]).output();
    let hash = output.ok().filter(|output| output.status.success());
    let hash = hash.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    hash.filter(|hash| !hash.is_empty()).ok_or_else(|| {
        let problem = "no commit is checked out here: say with --from what seeds derive from";
        Failure::usage(miette::miette!("{problem}"))
    })
}

fn subjects(arguments: &Arguments) -> Result<Vec<Subject>, Failure> {
    let target = Target::spec(&arguments.target).or_usage(|| "--target".to_owned())?;
    if !arguments.binaries.is_empty() {
        let with = |(name, path): &(String, PathBuf)| {
            let part = match name.as_str() {
                HONEST => Part::Control,
                "canary" => Part::Canary,
                _ => Part::Bug,
            };
            let target = with_program(&target, path).or_usage(|| path.display().to_string())?;
            Ok(Subject { name: name.clone(), part, target, mutations: Vec::new() })
        };
        return arguments.binaries.iter().map(with).collect();
    }
    let described = Target::of(&target).or_usage(|| "--target".to_owned())?;
    if described.each_mutation.is_empty() {
        let problem = format!("target `{}` has no planted bugs: give --binaries", described.name);
        return Err(Failure::usage(miette::miette!("{problem}")));
    }
    let subject = |name: &str, part, mutations| Subject {
        name: name.to_owned(),
        part,
        target: target.clone(),
        mutations,
    };
    let wanted: Vec<String> = if arguments.mutation.is_empty() {
        shown().into_iter().map(str::to_owned).collect()
    } else {
        arguments.mutation.clone()
    };
    let mut all = vec![
        subject(HONEST, Part::Control, Vec::new()),
        subject(CANARY, Part::Canary, vec![CANARY.to_owned()]),
    ];
    for name in wanted {
        names::mutation(&name).or_usage(|| "--mutation".to_owned())?;
        all.push(subject(&name, Part::Bug, vec![name.clone()]));
    }
    Ok(all)
}

/// The planted bug that every campaign finds.
const CANARY: &str = "leader-local-read";

/// The planted bugs that a run can show: by what clients see, by a crash, by what it costs or by a cluster
/// that stops.
fn shown() -> Vec<&'static str> {
    let hidden = |info: &&mutations::MutationInfo| {
        info.shows.iter().all(|shows| *shows == Shows::WhiteBox)
            || recipes::equivalence(info.mutation).is_some()
    };
    mutations::table().iter().filter(|info| !hidden(info)).map(|info| info.name).collect()
}

impl Campaign<'_> {
    /// Makes the attempts that are not `done`, several at a time; the control and the canary come first in
    /// each series.
    fn carry_out(&self, subjects: &[Subject], done: Vec<Attempt>) -> Result<Vec<Attempt>, Failure> {
        let is_done = |subject: &Subject, series| {
            done.iter().any(|it| it.subject == subject.name && it.series == series)
        };
        let all = (0..self.arguments.series)
            .flat_map(|series| subjects.iter().map(move |it| (it, series)));
        let left: VecDeque<(&Subject, u32)> =
            all.filter(|(it, series)| !is_done(it, *series)).collect();
        let kept: Vec<Attempt> = done
            .into_iter()
            .filter(|it| {
                it.series < self.arguments.series && subjects.iter().any(|s| s.name == it.subject)
            })
            .collect();
        outln!("{} attempts to make, {} are there", left.len(), kept.len());
        let (left, made) = (Mutex::new(left), Mutex::new(kept));
        let worker = || -> Result<(), Failure> {
            loop {
                let next = left.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some((subject, series)) = next else { return Ok(()) };
                let Some(attempt) = self.attempt(subject, series)? else { return Ok(()) };
                made.lock().unwrap_or_else(PoisonError::into_inner).push(attempt);
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.arguments.jobs).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().try_for_each(|worker| {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        })?;
        let mut made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
        let place = |attempt: &Attempt| subjects.iter().position(|it| it.name == attempt.subject);
        made.sort_by_key(|attempt| (place(attempt), attempt.series));
        Ok(made)
    }

    /// Runs on one subject until something is found, or the budget is used up; nothing if it was interrupted.
    fn attempt(&self, subject: &Subject, series: u32) -> Result<Option<Attempt>, Failure> {
        let began = Instant::now();
        let mut attempt = Attempt {
            subject: subject.name.clone(),
            part: subject.part,
            series,
            runs: 0,
            inconclusive: 0,
            wall_ms: 0,
            found: None,
        };
        let guided = GuidedRunner::new(&self.runner, score::seed(&self.from, series, u32::MAX));
        let runner: &dyn Runner = match self.arguments.strategy {
            Strategy::Random => &self.runner,
            Strategy::Guided => &guided,
        };
        // The last run may begin late and end late, as for every subject.
        while attempt.found.is_none() && began.elapsed() < self.arguments.budget {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let seed = score::seed(&self.from, series, attempt.runs);
            let (spec, home) = (self.spec(subject, seed)?, self.home(&attempt)?);
            let played = runner.play(&spec, &home, self.stop);
            if played.is_interrupted {
                let _ = std::fs::remove_dir_all(&home);
                return Ok(None);
            }
            let outcome = Outcome::of(&self.arguments.target, &spec, &played);
            if played.code == Some(Exit::Usage.code().into()) {
                let why = outcome.reason.unwrap_or_default();
                return Err(Failure::usage(miette::miette!("{}: {why}", subject.name)));
            }
            let is_proof = matches!(outcome.result, RunResult::Valid | RunResult::Finding);
            attempt.runs += 1;
            attempt.inconclusive += u32::from(!is_proof);
            let of_store = outcome.sightings.iter().find(|it| !it.signature.is_harness());
            attempt.found = of_store.map(|sighting| Found {
                kind: sighting.signature.kind.clone(),
                title: sighting.signature.what.clone(),
                seed,
            });
            if attempt.found.is_none() {
                // Hundreds of runs without a finding would fill the disk.
                let _ = std::fs::remove_dir_all(&home);
            }
        }
        attempt.wall_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.note(&attempt)?;
        Ok(Some(attempt))
    }

    /// An empty folder for the next run of an attempt.
    fn home(&self, attempt: &Attempt) -> Result<PathBuf, Failure> {
        let name = format!("{}-{}", attempt.series, attempt.runs);
        let home = self.arguments.out.join("runs").join(&attempt.subject).join(name);
        let context = || home.display().to_string();
        if home.exists() {
            std::fs::remove_dir_all(&home).or_harness(context)?;
        }
        std::fs::create_dir_all(&home).or_harness(context)?;
        home.canonicalize().or_harness(context)
    }

    fn spec(&self, subject: &Subject, seed: u64) -> Result<RunSpec, Failure> {
        let target = Target::of(&subject.target).or_usage(|| subject.name.clone())?;
        let faults = self.arguments.nemesis.clone();
        Ok(RunSpec {
            mutations: subject.mutations.clone(),
            time: self.arguments.time,
            on_finding: OnFinding::Stop,
            ..Profile::draw(&target, seed).spec(subject.target.clone(), faults, seed)
        })
    }

    /// Tells of an attempt, and writes it down.
    fn note(&self, attempt: &Attempt) -> Result<(), Failure> {
        let line = serde_json::to_string(attempt).or_harness(|| "an attempt".to_owned())?;
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(notes, "{line}").or_harness(|| "attempts".to_owned())?;
        let found = attempt.found.as_ref();
        let what = found.map_or_else(
            || "nothing".to_owned(),
            |found| format!("{}: {} with seed {}", found.kind, found.title, found.seed),
        );
        let (seconds, runs) = (attempt.wall_ms / 1_000, attempt.runs);
        outln!("{}, series {}: {what} ({seconds} s, {runs} runs)", attempt.subject, attempt.series);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_planted_bug_that_a_run_can_show_is_a_subject() {
        let all = shown();
        assert!(all.contains(&"no-log-check") && all.contains(&"boots-not-counted"));
        assert!(!all.contains(&"lease-not-rechecked") && !all.contains(&"term-not-persisted"));
    }
}
