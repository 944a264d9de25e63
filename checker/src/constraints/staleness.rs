//! How stale a read is: how long what it shows had been out of date, and by how many changes.
//!
//! A read is stale if its counterexample's cycle says that it came back too late: something newer
//! was over before the read was invoked. Changes are counted over the whole history, not the few
//! operations of the counterexample, and only those that are surely newer: they were invoked after
//! what the read shows had been made, and came back before the read was invoked.

use crate::event::{Function, Nanoseconds};
use crate::history::{Action, History, Outcome, Response};
use crate::sentences;
use crate::value::Value;
use crate::verdict::{Counterexample, CounterexampleOperation, Relation};
use crate::words;

/// What is stale in a counterexample.
#[derive(Debug)]
pub(crate) struct Stale {
    /// How long before the read was invoked something newer was over, if there was a clock.
    pub duration: Option<Nanoseconds>,
    /// How many changes were surely newer; nothing where that cannot be told.
    pub versions: Option<u64>,
    /// What happened, in a sentence.
    pub sentence: String,
}

/// The stale read of the counterexample, if it is about one. `history` is the whole one.
pub(crate) fn stale(history: &History, found: &Counterexample) -> Option<Stale> {
    let cycle = &found.cycle;
    let following = cycle.iter().cycle().skip(1);
    let (newer, reader) = cycle.iter().zip(following).find_map(|(first, then)| {
        let is_late = first.relation == Relation::RealTime
            && then.relation == Relation::OverwrittenBefore
            && is_read(&found.operations[first.to]);
        is_late.then_some((first.from, first.to))
    })?;
    let [newer, reader] = [newer, reader].map(|place| &found.operations[place]);
    let duration = reader.invoked.since(newer.completed?);
    let versions = versions(history, &found.key, reader);
    let sentence = sentence(&found.key, reader, newer, duration);
    let duration = history.has_clock().then_some(duration);
    Some(Stale { duration, versions, sentence })
}

fn is_read(witness: &CounterexampleOperation) -> bool {
    matches!(witness.function, Function::Read | Function::Contains)
        // One that does not tell what it found may have found anything, not just something old.
        || witness.swapped == Some(false) && witness.saw.is_some()
        || witness.function == Function::Txn && reads_only(&witness.value)
}

fn reads_only(steps: &Value) -> bool {
    let Value::List(steps) = steps else { return false };
    steps.iter().all(|step| match step {
        Value::List(parts) => matches!(parts.first(), Some(Value::Text(f)) if f.starts_with('r')),
        _ => false,
    })
}

fn sentence(
    key: &Value,
    reader: &CounterexampleOperation,
    newer: &CounterexampleOperation,
    duration: Nanoseconds,
) -> String {
    let place = if key.is_null() { String::new() } else { format!(" on {}", words::key(key)) };
    let newer = if is_read(newer) {
        format!("{} had {}, which is newer", sentences::who(newer), sentences::did(newer))
    } else {
        format!("{} had {}", sentences::who(newer), sentences::did(newer))
    };
    words::capital(&format!(
        "{} {}{place} at {}, {} after {newer}: a stale read.",
        sentences::who(reader),
        sentences::did(reader),
        words::instant(reader.invoked, reader.has_clock()),
        words::duration(duration, reader.has_clock()),
    ))
}

/// How many changes on the key were surely newer than what the reader shows.
fn versions(history: &History, key: &Value, reader: &CounterexampleOperation) -> Option<u64> {
    let key = history.keys.iter().position(|other| other == key)?;
    let operations = || history.operations.iter().filter(move |it| it.key.0 as usize == key);
    let seen = match reader.swapped {
        Some(false) => reader.saw.as_ref()?,
        _ => &reader.value,
    };
    // The latest moment at which what it shows may have been made.
    let mut made = 0;
    let mut newer = Vec::new();
    for operation in operations() {
        let written = match (operation.action, operation.response()) {
            (Action::Write(value), _)
            | (Action::Cas { new: value, .. }, None | Some(Response::Swapped)) => {
                history.values.get(value)
            }
            (Action::Read | Action::Cas { .. }, _) => continue,
            // What others do to an object does not simply replace what it held.
            (Action::Delete | Action::Other(..), _) => return None,
        };
        let returned = match operation.outcome {
            Outcome::Ok(moment, _) => moment.position,
            Outcome::Info(_) => u64::MAX,
            Outcome::Fail(_) => continue,
        };
        let invoked = operation.invoked.position;
        if written == seen && invoked < reader.completed_index? {
            made = made.max(returned);
        } else if returned < reader.index {
            newer.push(invoked);
        }
    }
    Some(newer.into_iter().filter(|&invoked| invoked > made).count() as u64).filter(|&it| it > 0)
}
