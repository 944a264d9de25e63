//! `partita bisect`: the first version of a store that gives what a run found.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clap::Args;
use partita_reports::RunSpec;
use partita_reports::campaign::record::Replayed;
use partita_reports::campaign::statistics::Ratio;
use partita_reports::spec::{Document, FaultsSpec, TargetSpec};

use crate::campaign::folder::entries;
use crate::campaign::outcome::Outcome;
use crate::campaign::runner::{ProcessRunner, Runner, recorded};
use crate::campaign::work::replay_of;
use crate::exit::{Exit, Failure, FailureContext};
use crate::outln;
use crate::targets::{Target, with_program};

/// The most clean replays that are asked of a version before it counts as good.
const MOST_CLEAN: u64 = 30;

/// Finds the first of several versions of a store that gives what a run found.
///
/// Plays the run again, with the faults that it had, on the newest version, the oldest, and then on those
/// between, halving what is left. A version is bad at its first replay that falls into the run's bucket. It is
/// good after as many clean ones as show at 95 % that it gives it less often than the newest does. Exits with 1 if
/// the first bad version was found, with 3 if the ends are not as they should be.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  partita bisect night/failing/BUCKET --good store-1.0.toml \
                        --bad store-1.9.toml store-1.3.toml store-1.6.toml\n  \
                        partita bisect night/failing/BUCKET --good bin/1.0 --bad bin/1.9 bin/1.?")]
pub struct Arguments {
    /// The bucket's folder in a campaign, or a run's folder.
    #[arg(value_name = "BUCKET|RUN")]
    run: PathBuf,
    /// A version without the finding: a target's TOML file, or a program to take the place of the first
    /// word of the target's command.
    #[arg(long, value_name = "VERSION")]
    good: String,
    /// A later version with the finding.
    #[arg(long, value_name = "VERSION")]
    bad: String,
    /// The versions between, the oldest first.
    #[arg(value_name = "VERSION")]
    between: Vec<String>,
    /// Replays of the newest version, to estimate its failure rate.
    #[arg(long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    times: u32,
    /// The program that does the runs, for tests.
    #[arg(long, value_name = "PROGRAM", hide = true)]
    run_program: Option<PathBuf>,
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if the folder is no run's, a version is none, or a run cannot be started.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let bisection = Bisection::new(arguments)?;
    let versions: Vec<&String> = std::iter::once(&arguments.good)
        .chain(&arguments.between)
        .chain(std::iter::once(&arguments.bad))
        .collect();
    outln!("looking for: {}", bisection.bucket);
    let newest = bisection.play(&arguments.bad, arguments.times, false)?;
    outln!("{}: {newest}", arguments.bad);
    if newest.k == 0 {
        outln!("unknown: the newest version does not give it");
        return Ok(Exit::Unknown);
    }
    let clean = newest.clean_trials_to_close().unwrap_or(MOST_CLEAN).min(MOST_CLEAN);
    let clean = u32::try_from(clean).unwrap_or(u32::MAX);
    let is_bad = |place: usize| {
        let seen = bisection.play(versions[place], clean, true)?;
        let word = if seen.k > 0 { "bad" } else { "good" };
        outln!("{}: {word}, {seen}", versions[place]);
        Ok::<bool, Failure>(seen.k > 0)
    };
    if is_bad(0)? {
        outln!("unknown: the oldest version gives it as well");
        return Ok(Exit::Unknown);
    }
    let first = first_bad(versions.len(), is_bad)?;
    outln!("first bad: {}; the last good one is {}", versions[first], versions[first - 1]);
    Ok(Exit::Finding)
}

/// The first bad one of several, of which the first is good and the last is bad.
///
/// # Errors
///
/// What `is_bad` fails with.
fn first_bad<E>(
    count: usize,
    mut is_bad: impl FnMut(usize) -> Result<bool, E>,
) -> Result<usize, E> {
    let (mut good, mut bad) = (0, count - 1);
    while bad - good > 1 {
        let middle = good.midpoint(bad);
        *(if is_bad(middle)? { &mut bad } else { &mut good }) = middle;
    }
    Ok(bad)
}

/// What is looked for, and how.
struct Bisection {
    bucket: String,
    target: String,
    spec: RunSpec,
    runner: ProcessRunner,
    work: PathBuf,
}

impl Bisection {
    fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let run = kept_run(&arguments.run)?;
        let mut spec = replay_of(&run)?;
        let target = Target::of(&spec.target).or_usage(|| "the run's target".to_owned())?.name;
        let found = recorded(&run).map(|played| Outcome::of(&target, &spec, &played));
        let sighting = found.and_then(|outcome| outcome.sightings.into_iter().next());
        let sighting = sighting.filter(|it| !it.signature.is_harness()).ok_or_else(|| {
            let problem = format!("{}: the run found nothing of the store", run.display());
            Failure::usage(miette::miette!("{problem}"))
        })?;
        let shrunk = run.join("shrunk.toml");
        if let Ok(toml) = std::fs::read_to_string(&shrunk) {
            let name = shrunk.display().to_string();
            spec.faults = FaultsSpec::Schedule(Document { name, toml });
        }
        let program = match &arguments.run_program {
            Some(program) => program.clone(),
            None => std::env::current_exe().or_harness(|| "finding this program".to_owned())?,
        };
        let work = run.join("bisect");
        Ok(Self { bucket: sighting.bucket, target, spec, runner: ProcessRunner { program }, work })
    }

    /// Plays a version at most so many times, or only until it gives what is looked for.
    fn play(&self, version: &str, times: u32, until_seen: bool) -> Result<Ratio, Failure> {
        let target = version_of(&self.spec.target, version)?;
        let spec = RunSpec { target, ..self.spec.clone() };
        let mut outcomes = Vec::new();
        let mut failures = 0;
        while outcomes.len() < times as usize {
            let context = || self.work.display().to_string();
            let _ = std::fs::remove_dir_all(&self.work);
            std::fs::create_dir_all(&self.work).or_harness(context)?;
            let home = self.work.canonicalize().or_harness(context)?;
            let played = self.runner.play(&spec, &home, &AtomicBool::new(false));
            let seen = Outcome::of(&self.target, &spec, &played).reproduces(&self.bucket);
            let _ = std::fs::remove_dir_all(&self.work);
            match seen {
                Replayed::Failed(why) => {
                    failures += 1;
                    if failures > times {
                        return Err(Failure::harness(miette::miette!("{version}: {why}")));
                    }
                }
                seen => {
                    let is_seen = seen.counts();
                    outcomes.push(is_seen);
                    if until_seen && is_seen == Some(true) {
                        break;
                    }
                }
            }
        }
        Ok(Ratio::of(outcomes))
    }
}

/// The run of a bucket's folder, or the folder itself if it is a run's.
fn kept_run(path: &Path) -> Result<PathBuf, Failure> {
    if path.join("spec.json").is_file() {
        return Ok(path.to_owned());
    }
    let inside = entries(path).or_usage(|| path.display().to_string())?;
    let mut runs = inside.into_iter().filter(|it| it.join("spec.json").is_file());
    runs.next().ok_or_else(|| {
        let problem = format!("{}: expected a bucket's folder, or a run's", path.display());
        Failure::usage(miette::miette!("{problem}"))
    })
}

/// The target in another version: another description, or the same with another program.
fn version_of(target: &TargetSpec, version: &str) -> Result<TargetSpec, Failure> {
    let is_description = Path::new(version).extension().is_some_and(|it| it == "toml");
    let is_built_in = Target::built_in().iter().any(|it| it.name == version);
    if is_description || is_built_in {
        return Target::spec(version).or_usage(|| version.to_owned());
    }
    with_program(target, Path::new(version)).or_usage(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bad_version_is_found_in_few_steps() {
        for count in 2..40 {
            for first in 1..count {
                let mut asked = 0;
                let found = first_bad(count, |place| {
                    asked += 1;
                    Ok::<bool, ()>(place >= first)
                });
                assert_eq!(found, Ok(first), "{count}");
                assert!(asked <= 6, "{asked} questions for {count}");
            }
        }
    }
}
