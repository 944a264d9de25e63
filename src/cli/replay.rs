//! `partita replay`: an earlier run once more, with the faults it had.

use std::path::PathBuf;

use clap::Args;
use partita_reports::FindingKind;
use partita_reports::spec::OnFinding;

use super::pace::Pace;
use super::run_folder;
use super::trial::{self, Original, Outcome};
use crate::exit::{Exit, Failure, FailureContext};
use crate::outln;

/// Plays an earlier run again: the same store, clients, seed and schedule. Processes race as they do
/// in life, so that a replay need not end as the run did: `--times` says how often it does.
///
/// Reads `spec.json` and `schedule.toml` in the run's folder, also of a run that was killed; writes
/// each replay's own folder into `replays/` there. Exits with 1 if any replay found something of
/// the store, else as the worst of them did.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  partita replay partita-runs/latest\n  \
                        partita replay partita-runs/latest --times 5 --exact")]
pub struct Arguments {
    /// The run's folder.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// How many times to play it.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    times: u32,
    /// Hit the very nodes that were hit, whatever role they have this time, at the times at which they were
    /// hit; otherwise the current leader is hit where the leader was, and what a fault waited for is waited for.
    #[arg(long)]
    exact: bool,
    /// End each replay at its first finding.
    #[arg(long)]
    stop_on_finding: bool,
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if there is no such run, or a replay cannot be started.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut original = Original::read(&arguments.run)?;
    let out = original.folder.join("replays");
    let file = if arguments.exact { "schedule-exact.toml" } else { "schedule.toml" };
    let file = original.folder.join(file);
    if arguments.exact {
        let faults = run_folder::faults(&original.folder)?;
        let waited = faults.iter().filter_map(|fault| Some((fault.id, fault.waited()?))).collect();
        let victims = faults.into_iter().map(|fault| (fault.id, fault.nodes)).collect();
        original.script.name_victims(&victims, &waited);
        let text = original.written(&original.schedule()?, &original.command());
        std::fs::write(&file, text).or_harness(|| file.display().to_string())?;
    }
    let text = std::fs::read_to_string(&file).or_harness(|| file.display().to_string())?;
    let mut spec = original.with_schedule(&file, text);
    if arguments.stop_on_finding {
        spec.on_finding = OnFinding::Stop;
    }
    outln!("replaying: {}", original.command());
    let mut worst = Exit::Valid;
    let mut violations = 0;
    let mut pace = Pace::new(original.expected_time());
    for time in 1..=arguments.times {
        let what = format!("{time} of {} is played", arguments.times);
        let rounds = arguments.times - time + 1;
        let outcome = pace.play(&what, rounds, || trial::play(&spec, &out))?;
        outln!("{time} of {}: {}", arguments.times, describe(&outcome));
        violations += u32::from(outcome.has(FindingKind::Violation));
        worst = worst.worse(outcome.exit);
    }
    if arguments.times > 1 {
        outln!("violations in {violations} of {} replays", arguments.times);
    }
    Ok(worst)
}

fn describe(outcome: &Outcome) -> String {
    let report = outcome.folder.as_ref().map(|folder| folder.join("report.html"));
    let report = report.filter(|report| report.exists());
    let report = report.map_or_else(String::new, |report| format!("  {}", report.display()));
    format!("{}{report}", outcome.in_words())
}
