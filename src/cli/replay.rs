//! `partita replay`: an earlier run once more, with the faults it had.

use std::path::PathBuf;

use clap::Args;

use super::pace::Pace;
use super::run_folder;
use super::trial::{Original, Outcome};
use crate::exit::{Exit, Failure, OrFail};
use crate::say;

/// Plays an earlier run again: the same store, clients, seed and schedule. Processes race as they do
/// in life, so that a replay need not end as the run did: `--times` says how often it does.
///
/// Reads `plan.json` and `schedule.toml` in the run's folder, also of a run that was killed; writes
/// each replay's own folder into `replays/` there. Exits with 1 if any replay found a violation,
/// else as the worst of them did.
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
    /// Hit the very nodes that were hit, whatever role they have this time; otherwise whoever leads
    /// is hit where the leader was.
    #[arg(long)]
    exact: bool,
    /// End each replay at its first violation.
    #[arg(long)]
    stop_on_violation: bool,
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if there is no such run, or a replay cannot be started.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut original = Original::read(&arguments.run)?;
    let mut schedule = original.folder.join("schedule.toml");
    let out = original.folder.join("replays");
    if arguments.exact {
        let faults = run_folder::faults(&original.folder)?.into_iter();
        let victims = faults.map(|fault| (fault.id, fault.nodes)).collect();
        original.script.name_victims(&victims);
        schedule = original.folder.join("schedule-exact.toml");
        let text = original.written(&original.schedule()?, &original.plan.command);
        std::fs::write(&schedule, text).or_harness(|| schedule.display().to_string())?;
    }
    say!("replaying: {}", original.plan.command);
    let more: &[&str] = if arguments.stop_on_violation { &["--stop-on-violation"] } else { &[] };
    let mut worst = Exit::Valid;
    let mut violations = 0;
    let mut pace = Pace::new(original.expected_time());
    for time in 1..=arguments.times {
        let what = format!("{time} of {} is played", arguments.times);
        let rounds = arguments.times - time + 1;
        let outcome = pace.play(&what, rounds, || original.play(&schedule, &out, more))?;
        say!("{time} of {}: {}", arguments.times, describe(&outcome));
        violations += u32::from(outcome.exit == Exit::Violation);
        worst = worst.worse(outcome.exit);
    }
    if arguments.times > 1 {
        say!("violations in {violations} of {} replays", arguments.times);
    }
    Ok(worst)
}

fn describe(outcome: &Outcome) -> String {
    let report = outcome.folder.as_ref().map(|folder| folder.join("report.html"));
    let report = report.filter(|report| report.exists());
    let report = report.map_or_else(String::new, |report| format!("  {}", report.display()));
    format!("{}{report}", outcome.in_words())
}
