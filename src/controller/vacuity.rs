//! Whether a run tested anything.
//!
//! A history can be linearizable because nothing happened. A run that proved nothing is *unknown*,
//! with the reasons found here; a violation, on the other hand, is one whatever else went wrong.

use partita_checker::{Function, History, Operation, Outcome};
use partita_nemesis::FaultRecord;
use partita_reports::Counts;

/// Operations that must have come back while faults were in force, for each fault.
const OK_PER_FAULT: u64 = 5;

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

/// Why the run proved nothing, one sentence each; empty if it did. `wants_faults` says whether any
/// were asked for.
pub fn reasons(
    history: &History,
    faults: &[FaultRecord],
    counts: &Counts,
    wants_faults: bool,
) -> Vec<String> {
    let mut reasons = Vec::new();
    if wants_faults && faults.is_empty() {
        reasons.push("no fault happened: the run was too short for any".to_owned());
    }
    for (wanted, what) in [(true, "read"), (false, "update")] {
        let is_read = |operation: &Operation| function(operation) == Function::Read;
        let came_back = |operation: &&Operation| {
            matches!(operation.outcome, Outcome::Ok(..)) && is_read(operation) == wanted
        };
        if !history.operations.iter().any(|operation| came_back(&operation)) {
            reasons.push(format!("no {what} ever came back"));
        }
    }
    for fault in faults {
        if let Some(error) = &fault.error {
            reasons.push(format!("fault {} ({}) went wrong: {error}", fault.id, fault.fault));
        } else if !fault.had_effect() {
            let nodes = fault.nodes.join(", ");
            reasons.push(format!("fault {} ({} of {nodes}) had no effect", fault.id, fault.fault));
        }
    }
    let wanted = OK_PER_FAULT * faults.len() as u64;
    if counts.ok_during_faults < wanted {
        reasons.push(format!(
            "only {} operations came back while faults were in force; {wanted} are needed",
            counts.ok_during_faults
        ));
    }
    reasons
}

fn function(operation: &Operation) -> Function {
    use partita_checker::Action;
    match operation.action {
        Action::Read => Function::Read,
        Action::Write(_) => Function::Write,
        Action::Cas { .. } => Function::Cas,
        Action::Delete => Function::Delete,
        Action::Other(function, _) => function,
    }
}

fn came_back_during(operation: &Operation, fault: &FaultRecord) -> bool {
    let Outcome::Ok(returned, _) = operation.outcome else { return false };
    let time = returned.time.0;
    time >= fault.began_ns && fault.ended_ns.is_none_or(|ended| time <= ended)
}
