//! What a counterexample of a level is called, and its sentence.

use super::check::Task;
use super::{Level, Staleness};
use crate::event::{EventKind, Function, Nanoseconds};
use crate::history::Outcome;
use crate::value::Value;
use crate::verdict::{Anomaly, Counterexample, CounterexampleOperation};
use crate::words;

/// Names the counterexample and tells it in a sentence.
pub(super) fn name(task: &Task<'_>, found: &mut Counterexample) {
    let told = nowhere(task, found)
        .or_else(|| future(found))
        .or_else(|| match task.level {
            Level::Linearizable | Level::Stale(_) => late(task, found),
            Level::ReadYourWrites => own_write(found),
            Level::MonotonicReads => went_back(found),
            Level::MonotonicWrites | Level::WritesFollowReads => missed(task.level, found),
            Level::Session => {
                own_write(found).or_else(|| went_back(found)).or_else(|| missed(task.level, found))
            }
            Level::Sequential => own_write(found).or_else(|| went_back(found)),
        })
        .unwrap_or_else(|| (anomaly(task.level), unexplained(task.level, found)));
    (found.anomaly, found.sentence) = told;
}

const fn anomaly(level: Level) -> Anomaly {
    match level {
        Level::Linearizable | Level::Stale(Staleness::Any) => Anomaly::NotLinearizable,
        Level::Stale(_) => Anomaly::TooStale,
        Level::Sequential => Anomaly::NotSequential,
        Level::Session => Anomaly::NotCausal,
        Level::ReadYourWrites => Anomaly::OwnWriteMissed,
        Level::MonotonicReads => Anomaly::NonMonotonicRead,
        Level::MonotonicWrites => Anomaly::NonMonotonicWrite,
        Level::WritesFollowReads => Anomaly::WriteBeforeItsRead,
    }
}

fn unexplained(level: Level, found: &Counterexample) -> String {
    let count = found.operations.len();
    match level {
        Level::Sequential => format!(
            "No order of these {count} operations that keeps each process's own explains what they \
             saw."
        ),
        Level::Linearizable | Level::Stale(_) => {
            format!("No order of these {count} operations explains what they saw.")
        }
        Level::Session => format!(
            "No order of the writes among these {count} operations, after all that their processes \
             had seen before, explains what was read."
        ),
        level => format!(
            "No order of the writes among these {count} operations explains what was read with \
             {level}."
        ),
    }
}

type Told = (Anomaly, String);

fn key<'a>(found: &'a Counterexample, witness: &'a CounterexampleOperation) -> &'a Value {
    witness.key.as_ref().unwrap_or(&found.key)
}

fn wrote(witness: &CounterexampleOperation) -> Option<Value> {
    match (witness.function, &witness.value) {
        (Function::Write | Function::Append, value) => Some(value.clone()),
        (Function::Cas, Value::List(pair)) if witness.swapped != Some(false) => {
            pair.get(1).cloned()
        }
        _ => None,
    }
}

/// What an operation saw.
fn saw(witness: &CounterexampleOperation) -> Option<Value> {
    match (witness.function, &witness.value) {
        (Function::Read, value) if witness.outcome == EventKind::Ok => Some(value.clone()),
        (Function::Cas, _) if witness.swapped == Some(false) => witness.saw.clone(),
        (Function::Cas, Value::List(pair)) => pair.first().cloned(),
        _ => None,
    }
}

/// The writer of what `reader` saw, of a list the last item.
fn source<'a>(
    found: &'a Counterexample,
    reader: &CounterexampleOperation,
) -> Option<&'a CounterexampleOperation> {
    let seen = saw(reader)?;
    let own = key(found, reader);
    let newest = match &seen {
        Value::List(items) => items.last().cloned(),
        _ => None,
    };
    found.operations.iter().find(|it| {
        it.index != reader.index
            && key(found, it) == own
            && wrote(it).is_some_and(|written| written == seen || Some(&written) == newest.as_ref())
    })
}

fn at(found: &Counterexample, time: Nanoseconds) -> String {
    let has_clock = found.operations.iter().any(CounterexampleOperation::has_clock);
    words::instant(time, has_clock)
}

fn named(found: &Counterexample, witness: &CounterexampleOperation) -> String {
    words::key(key(found, witness))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        value => words::brief(value),
    }
}

/// A single operation saw what nobody wrote.
fn nowhere(task: &Task<'_>, found: &Counterexample) -> Option<Told> {
    let [one] = &found.operations[..] else { return None };
    let seen = saw(one)?;
    let failed = task.history.operations.iter().any(|operation| {
        matches!(operation.outcome, Outcome::Fail(_))
            && task.history.key(operation.key) == key(found, one)
            && !seen.is_null()
            && task.history.argument(operation.action) == seen
    });
    let (process, key) = (one.process, named(found, one));
    let time = at(found, one.completed.unwrap_or(one.invoked));
    Some(if failed {
        let sentence = format!(
            "Process {process} read {} from {key} at {time}, whose write is recorded as failed.",
            shown(&seen)
        );
        (Anomaly::AbortedRead, sentence)
    } else {
        let sentence = format!(
            "Process {process} read {} from {key} at {time}, a value that nobody wrote.",
            shown(&seen)
        );
        (Anomaly::ValueFromNowhere, sentence)
    })
}

/// Two operations of which the first saw what the second wrote only later.
fn future(found: &Counterexample) -> Option<Told> {
    let [one, other] = &found.operations[..] else { return None };
    let (read, write) = [(one, other), (other, one)].into_iter().find(|(read, write)| {
        source(found, read).is_some_and(|it| it.index == write.index)
            && read.completed_index.is_some_and(|completed| completed < write.index)
    })?;
    let sentence = format!(
        "Process {} read {} from {} at {}, before process {} began to write it at {}.",
        read.process,
        shown(&saw(read)?),
        named(found, read),
        at(found, read.completed.unwrap_or(read.invoked)),
        write.process,
        at(found, write.invoked)
    );
    Some((Anomaly::ReadFromTheFuture, sentence))
}

/// A process saw something older than what it had written itself.
fn own_write(found: &Counterexample) -> Option<Told> {
    let (write, read) = pairs(found).find(|(write, read)| {
        wrote(write).is_some()
            && saw(read).is_some()
            && found.operations.len() <= 3
            && source(found, read).is_none_or(|it| it.index != write.index)
    })?;
    let sentence = format!(
        "Process {} wrote {} to {} at {} and then read {} at {}, which does not show its own write.",
        write.process,
        shown(&wrote(write)?),
        named(found, write),
        at(found, write.completed.unwrap_or(write.invoked)),
        shown(&saw(read)?),
        at(found, read.completed.unwrap_or(read.invoked)),
    );
    Some((Anomaly::OwnWriteMissed, sentence))
}

/// Operations of one process on one key, each with those that come later.
fn pairs(
    found: &Counterexample,
) -> impl Iterator<Item = (&CounterexampleOperation, &CounterexampleOperation)> {
    let all = || found.operations.iter();
    all().flat_map(move |one| {
        let later = all().filter(move |other| {
            other.process == one.process
                && other.index > one.index
                && key(found, other) == key(found, one)
        });
        later.map(move |other| (one, other))
    })
}

/// A process read something and then something older.
fn went_back(found: &Counterexample) -> Option<Told> {
    let backward = |(one, other): &(&CounterexampleOperation, &CounterexampleOperation)| {
        let (first, second) = (saw(one), saw(other));
        first.is_some() && second.is_some() && first != second && one.function == Function::Read
    };
    let mut reads = pairs(found).filter(backward);
    let (first, second) = reads.next()?;
    let key = named(found, first);
    let mut sentence = format!(
        "Process {} read {} from {key} and then, at {}, {}",
        first.process,
        shown(&saw(first)?),
        at(found, second.completed.unwrap_or(second.invoked)),
        shown(&saw(second)?),
    );
    let other = reads.find(|(one, _)| one.process != first.process);
    match other {
        Some((one, _)) => {
            sentence += &format!("; process {} read them the other way round.", one.process);
        }
        None => sentence += ", which had been replaced by then.",
    }
    (found.operations.len() <= 6).then_some((Anomaly::NonMonotonicRead, sentence))
}

/// A process saw a write and missed what came before it.
fn missed(level: Level, found: &Counterexample) -> Option<Told> {
    let last = found.operations.iter().filter(|it| saw(it).is_some()).max_by_key(|it| it.index)?;
    let before = found
        .operations
        .iter()
        .filter(|it| it.process == last.process && it.index < last.index && saw(it).is_some());
    let seer = before.max_by_key(|it| it.index)?;
    let source = source(found, seer)?;
    if found.operations.len() > 6 || source.process == last.process {
        return None;
    }
    let (what, anomaly) = match level {
        Level::MonotonicWrites => ("had written", Anomaly::NonMonotonicWrite),
        Level::WritesFollowReads => ("had read", Anomaly::WriteBeforeItsRead),
        _ => ("had written or read", Anomaly::NotCausal),
    };
    let sentence = format!(
        "Process {} read {} from {}, which process {} wrote, and then {} from {} at {}: it missed \
         what that process {what} before.",
        last.process,
        shown(&saw(seer)?),
        named(found, seer),
        source.process,
        shown(&saw(last)?),
        named(found, last),
        at(found, last.completed.unwrap_or(last.invoked)),
    );
    Some((anomaly, sentence))
}

/// A read that was later than it may be.
fn late(task: &Task<'_>, found: &mut Counterexample) -> Option<Told> {
    let level = |witness: &CounterexampleOperation| witness.level.unwrap_or(task.level);
    let mut reads = found.operations.iter().filter(|it| it.function == Function::Read);
    let read = reads
        .clone()
        .find(|it| matches!(level(it), Level::Stale(Staleness::Time(_) | Staleness::Versions(_))));
    if let Some(read) = read {
        return too_stale(level(read), found, read.index);
    }
    let read =
        reads.find(|it| matches!(level(it), Level::MonotonicReads | Level::ReadYourWrites))?;
    match level(read) {
        Level::ReadYourWrites => own_write(found),
        _ => went_back(found),
    }
}

fn too_stale(level: Level, found: &mut Counterexample, index: u64) -> Option<Told> {
    let read = found.operations.iter().find(|it| it.index == index)?;
    let seen = saw(read)?;
    let source = source(found, read).map(|it| it.index);
    let newer = found.operations.iter().filter(|it| {
        wrote(it).is_some()
            && Some(it.index) != source
            && it.completed_index.is_some_and(|at| at < read.index)
    });
    let newest = newer.clone().min_by_key(|it| it.completed)?;
    let replaced = newest.completed?;
    let stale_for = read.invoked.since(replaced);
    let versions = newer.count() as u64;
    let bound = level.to_string();
    let bound = bound.split_once(':').map_or("", |(_, bound)| bound).replace('-', " ");
    let sentence = format!(
        "Process {} read {} from {} at {}, {} after the write of {} by process {} had completed and \
         replaced it; at most {bound} are promised.",
        read.process,
        shown(&seen),
        named(found, read),
        at(found, read.invoked),
        words::duration(stale_for, true),
        shown(&wrote(newest)?),
        newest.process,
    );
    found.stale_for = Some(stale_for);
    found.stale_by_versions = Some(versions);
    Some((Anomaly::TooStale, sentence))
}
