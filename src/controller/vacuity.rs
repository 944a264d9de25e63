//! Whether a run tested anything.
//!
//! A history can be linearizable because nothing happened. A run that proved nothing is *unknown*,
//! with the reasons found here; a violation, on the other hand, is one whatever else went wrong.

use partita_checker::{Function, History, Operation, Outcome};
use partita_nemesis::FaultRecord;
use partita_reports::{Counts, Outcomes, Phase};

use super::evidence::came_back_during;

/// What became of the operations of `history`.
pub fn count(history: &History, faults: &[FaultRecord]) -> Counts {
    let mut counts = Counts::default();
    for operation in &history.operations {
        counts.invoked += 1;
        match operation.outcome {
            Outcome::Ok(..) => {
                counts.ok += 1;
                counts.ok_during_faults +=
                    u64::from(faults.iter().any(|fault| came_back_during(operation, fault)));
            }
            Outcome::Fail(_) => counts.fail += 1,
            Outcome::Info(_) => counts.info += 1,
        }
    }
    counts
}

/// The phases during which clients are at work.
const UNDER_LOAD: [&str; 3] = ["lead-in", "faults", "heal"];

/// How many operations clients sent in a second, while they were at work; `None` if they never were.
pub fn rate(history: &History, phases: &[Phase]) -> Option<f64> {
    let under_load = || phases.iter().filter(|phase| UNDER_LOAD.contains(&phase.name.as_str()));
    let (began, ended) = (under_load().next()?.began_ns, under_load().next_back()?.ended_ns);
    let at_work = |operation: &&Operation| (began..=ended).contains(&operation.invoked.time);
    let sent = history.operations.iter().filter(at_work).count();
    let seconds = ended.since(began).as_seconds();
    (seconds > 0.0).then(|| sent as f64 / seconds)
}

/// Why the operations prove nothing, one sentence each; empty if they do. What faults come to is
/// weighed in [`super::evidence`].
pub fn reasons(history: &History, outcomes: &Outcomes) -> Vec<String> {
    let mut reasons = Vec::new();
    for (wanted, what) in [(true, "read"), (false, "update")] {
        let is_read = |operation: &Operation| operation.action.function() == Function::Read;
        let came_back = |operation: &&Operation| {
            matches!(operation.outcome, Outcome::Ok(..)) && is_read(operation) == wanted
        };
        // A kind that was sent often and never came back is named on its own.
        let is_told = outcomes.has_unproved(|kind| (kind == "read") == wanted);
        if !is_told && !history.operations.iter().any(|operation| came_back(&operation)) {
            reasons.push(format!("no {what} ever came back"));
        }
    }
    reasons
}
