//! What violations of objects are called, in a sentence.

use super::bank::balances;
use super::kind::{ObjectKind, fence};
use crate::event::{EventKind, Function};
use crate::value::Value;
use crate::verdict::{Analysis, Anomaly, Counterexample, CounterexampleOperation};
use crate::words;

/// Names the violations of an analysis.
pub(super) fn name(analysis: &mut Analysis, kind: ObjectKind) {
    let own = analysis.keys.iter_mut().filter_map(|key| key.counterexample.as_deref_mut());
    for found in own.chain(&mut analysis.counterexample) {
        if let Some((anomaly, sentence)) = told(found, kind) {
            (found.anomaly, found.sentence) = (anomaly, sentence);
        }
    }
}

type Told = (Anomaly, String);

fn told(found: &Counterexample, kind: ObjectKind) -> Option<Told> {
    match kind {
        ObjectKind::Ids | ObjectKind::Timestamps => numbers(found),
        ObjectKind::FencedLock => fences(found),
        ObjectKind::Semaphore => permits(found),
        ObjectKind::VersionedRegister => versions(found),
        ObjectKind::Log => offsets(found),
        ObjectKind::ReentrantLock => owners(found),
        ObjectKind::WatchedRegister => watched(found),
        ObjectKind::DrainedQueue | ObjectKind::Bag | ObjectKind::EtcdStore | ObjectKind::Stream => {
            None
        }
        ObjectKind::Bank | ObjectKind::OverdraftBank => totals(found, kind),
    }
}

fn at(found: &Counterexample, witness: &CounterexampleOperation) -> String {
    let has_clock = found.operations.iter().any(CounterexampleOperation::has_clock);
    words::instant(witness.completed.unwrap_or(witness.invoked), has_clock)
}

/// Every two operations that came back, the earlier invoked first.
fn pairs(
    found: &Counterexample,
) -> impl Iterator<Item = (&CounterexampleOperation, &CounterexampleOperation)> {
    let answered = || found.proof().filter(|it| it.outcome == EventKind::Ok);
    let later = move |one: &CounterexampleOperation| {
        let index = one.index;
        answered().filter(move |other| other.index > index)
    };
    answered().flat_map(move |one| later(one).map(move |other| (one, other)))
}

fn came_back_before(one: &CounterexampleOperation, other: &CounterexampleOperation) -> bool {
    one.completed_index.is_some_and(|index| index < other.index)
}

fn numbers(found: &Counterexample) -> Option<Told> {
    let key = words::key(&found.key);
    if let Some((one, other)) = pairs(found).find(|(one, other)| one.value == other.value) {
        let sentence = format!(
            "{} of {key} was given out twice: to process {} at {} and to process {} at {}.",
            words::brief(&one.value),
            one.process,
            at(found, one),
            other.process,
            at(found, other)
        );
        return Some((Anomaly::DuplicateId, words::capital(&sentence)));
    }
    let (one, other) = pairs(found).find(|(one, other)| {
        came_back_before(one, other) && integer(&one.value) > integer(&other.value)
    })?;
    let sentence = format!(
        "Process {} got {} from {key} at {}, although process {} had got {} before, at {}.",
        other.process,
        words::brief(&other.value),
        at(found, other),
        one.process,
        words::brief(&one.value),
        at(found, one)
    );
    Some((Anomaly::FallingNumber, sentence))
}

const fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        _ => None,
    }
}

fn fences(found: &Counterexample) -> Option<Told> {
    let token = |witness: &CounterexampleOperation| {
        integer(&witness.value).or_else(|| fence(&witness.value))
    };
    let acquires = |witness: &CounterexampleOperation| witness.function == Function::Acquire;
    let fell = pairs(found).find(|(one, other)| {
        let both = acquires(one) && acquires(other) && came_back_before(one, other);
        both && token(one).zip(token(other)).is_some_and(|(one, other)| other <= one)
    });
    let Some((one, other)) = fell else { return owners(found) };
    let sentence = format!(
        "Process {} got {} with fencing token {} at {}, after process {} had got it with fencing \
         token {} at {}: fencing tokens must rise.",
        other.process,
        words::key(&found.key),
        token(other)?,
        at(found, other),
        one.process,
        token(one)?,
        at(found, one)
    );
    Some((Anomaly::FallingFence, sentence))
}

/// Somebody got a lock before somebody else had given it back.
fn owners(found: &Counterexample) -> Option<Told> {
    let acquires: Vec<&CounterexampleOperation> = found
        .proof()
        .filter(|it| it.function == Function::Acquire && it.outcome == EventKind::Ok)
        .collect();
    let [one, other, ..] = acquires[..] else { return None };
    let sentence = format!(
        "Process {} got {} at {}, while process {} had held it since {} and had not given it back.",
        other.process,
        words::key(&found.key),
        at(found, other),
        one.process,
        at(found, one)
    );
    (one.process != other.process && acquires.len() == 2).then_some((Anomaly::TwoOwners, sentence))
}

fn permits(found: &Counterexample) -> Option<Told> {
    let took = found.proof().filter(|it| it.function == Function::Acquire);
    let all: Vec<&CounterexampleOperation> = took.collect();
    if all.len() < found.proof().count() || all.is_empty() {
        return None;
    }
    let who: Vec<String> = all.iter().map(|it| it.process.to_string()).collect();
    let sentence = format!(
        "Processes {} held permits of {} at the same time, more than there are.",
        who.join(", "),
        words::key(&found.key)
    );
    Some((Anomaly::TooManyHolders, sentence))
}

fn versions(found: &Counterexample) -> Option<Told> {
    let key = words::key(&found.key);
    let sentence = format!(
        "No order of these {} operations on {key} explains their answers with versions that rise with \
         every change.",
        found.proof().count()
    );
    Some((Anomaly::VersionConflict, sentence))
}

/// What a watch saw contradicts the changes.
fn watched(found: &Counterexample) -> Option<Told> {
    let watch = found.proof().find(|it| it.function == Function::Watch)?;
    let Value::List(seen) = &watch.value else { return None };
    let changes: Vec<&CounterexampleOperation> = found
        .proof()
        .filter(|it| matches!(it.function, Function::Write | Function::Cas | Function::Delete))
        .collect();
    let sentence = format!(
        "Process {} watched {} until {} and saw {} changes, {}; no order of the {} changes has them \
         one after another.",
        watch.process,
        words::key(&found.key),
        at(found, watch),
        seen.len(),
        words::brief(&watch.value),
        changes.len()
    );
    Some((Anomaly::WatchConflict, sentence))
}

fn offsets(found: &Counterexample) -> Option<Told> {
    let offset = |witness: &CounterexampleOperation| {
        integer(&witness.value).filter(|_| witness.argument.is_some())
    };
    let appended = |witness: &CounterexampleOperation| witness.function == Function::Append;
    let twice = pairs(found).find(|(one, other)| {
        appended(one) && appended(other) && offset(one).is_some() && offset(one) == offset(other)
    });
    let key = words::key(&found.key);
    let sentence = match twice {
        Some((one, other)) => format!(
            "Offset {} of {key} was given to two appends: by process {} at {} and by process {} at {}.",
            offset(one)?,
            one.process,
            at(found, one),
            other.process,
            at(found, other)
        ),
        None => format!(
            "No order of these {} operations on {key} explains what stands at their offsets.",
            found.proof().count()
        ),
    };
    Some((Anomaly::OffsetConflict, sentence))
}

/// Reads of a bank show another sum than before, or a negative balance.
fn totals(found: &Counterexample, kind: ObjectKind) -> Option<Told> {
    let reads: Vec<(&CounterexampleOperation, Vec<(Value, i128)>)> = found
        .proof()
        .filter(|it| it.function == Function::Read && it.outcome == EventKind::Ok)
        .filter_map(|it| Some((it, balances(&it.value)?)))
        .collect();
    for (witness, shown) in &reads {
        let negative = shown.iter().find(|(_, balance)| *balance < 0);
        if let Some((account, balance)) = negative.filter(|_| kind == ObjectKind::Bank) {
            let sentence = format!(
                "Process {} saw {balance} on account {} at {}.",
                witness.process,
                words::brief(account),
                at(found, witness)
            );
            return Some((Anomaly::NegativeBalance, sentence));
        }
    }
    let sum = |shown: &[(Value, i128)]| shown.iter().map(|one| one.1).sum::<i128>();
    let (first, before) = reads.first()?;
    let (other, now) = reads.iter().find(|(_, shown)| sum(shown) != sum(before))?;
    let sentence = format!(
        "Process {} saw accounts that hold {} at {}, and process {} accounts that hold {} at {}: \
         transfers neither make money nor lose it.",
        first.process,
        sum(before),
        at(found, first),
        other.process,
        sum(now),
        at(found, other)
    );
    Some((Anomaly::WrongTotal, sentence))
}
