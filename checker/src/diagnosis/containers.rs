//! What a queue or stack did.

use super::{Diagnosis, Key, ended, returned};
use crate::engines::Stopped;
use crate::event::Function;
use crate::history::{Action, Response};
use crate::value::ValueId;
use crate::verdict::Anomaly;
use crate::words::{brief, capital};

pub(super) fn diagnose(
    key: &Key<'_>,
    proof: &[usize],
    engine: Anomaly,
) -> Result<Option<Diagnosis>, Stopped> {
    let (taken, took) = match key.model {
        crate::model::ModelKind::Queue => ("enqueued", "dequeued"),
        _ => ("pushed", "popped"),
    };
    for &take in proof {
        let Some(item) = taken_by(key, take).filter(|&item| item != ValueId::NULL) else {
            continue;
        };
        let mut put = None;
        for (place, operation) in key.operations.iter().enumerate() {
            key.cancellation.step()?;
            if put.is_none() && !operation.is_failed() && is_put(operation.action, item) {
                put = Some(place);
            }
        }
        let is_initial =
            matches!(key.initial, crate::Value::List(items) if items.contains(key.value(item)));
        if is_initial {
            continue;
        }
        let saw =
            format!("{} {took} {} from {}", key.who(take), brief(key.value(item)), key.object());
        let Some(put) = put else {
            let failed = key.failed(|action| is_put(action, item));
            let verb = if taken == "enqueued" { "enqueue" } else { "push" };
            return Ok(Some(key.read_from_nowhere(&saw, failed, taken, verb)));
        };
        if key.get(put).invoked.position > returned(key.get(take)) {
            let sentence = format!(
                "{} and was done at {}, before {} asked for it to be {taken} at {}: a value from \
                 the future.",
                capital(&saw),
                key.instant(ended(key.get(take))),
                key.who(put),
                key.instant(key.get(put).invoked.time),
            );
            let context = Some(put).filter(|put| !proof.contains(put));
            let found = Diagnosis::new(Anomaly::ReadFromTheFuture, sentence);
            return Ok(Some(Diagnosis { context, ..found }));
        }
    }
    match engine {
        Anomaly::NotLinearizable => given_out_too_often(key, proof, taken, took),
        Anomaly::LostElement => taken_after_all(key, proof, taken, took),
        Anomaly::OutOfOrderPop => never_popped(key, proof),
        _ => Ok(None),
    }
}

/// An item that the proof shows taken more often than it was put in at all.
fn given_out_too_often(
    key: &Key<'_>,
    proof: &[usize],
    taken: &str,
    took: &str,
) -> Result<Option<Diagnosis>, Stopped> {
    for &take in proof {
        let Some(item) = taken_by(key, take).filter(|&item| item != ValueId::NULL) else {
            continue;
        };
        let takes = proof.iter().filter(|&&it| taken_by(key, it) == Some(item)).count();
        let mut puts = match key.initial {
            crate::Value::List(items) => items.iter().filter(|it| *it == key.value(item)).count(),
            _ => 0,
        };
        for operation in &key.operations {
            key.cancellation.step()?;
            // One that is recorded as failed may be the one too many.
            puts += usize::from(is_put(operation.action, item));
        }
        if takes <= puts {
            continue;
        }
        let sentence = format!(
            "{} was {taken} {}, but {took} {} from {}, at last by {}: applied twice.",
            capital(&brief(key.value(item))),
            times(puts),
            times(takes),
            key.object(),
            key.who(take),
        );
        return Ok(Some(Diagnosis::new(Anomaly::DuplicateApply, sentence)));
    }
    Ok(None)
}

fn times(number: usize) -> String {
    match number {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}

/// An item that lay on top of one that was popped, and that was never popped.
fn never_popped(key: &Key<'_>, proof: &[usize]) -> Result<Option<Diagnosis>, Stopped> {
    let mut takes = proof.iter().filter_map(|&place| Some((place, taken_by(key, place)?)));
    let (Some((take, below)), None) = (takes.next(), takes.next()) else { return Ok(None) };
    let above = proof.iter().find_map(|&place| match key.get(place).action {
        Action::Other(Function::Push, item) if item != below => Some((place, item)),
        _ => None,
    });
    let Some((push, item)) = above else { return Ok(None) };
    for (place, operation) in key.operations.iter().enumerate() {
        key.cancellation.step()?;
        let is_pop = operation.action.function() == Function::Pop && !operation.is_failed();
        if is_pop && (!operation.is_ok() || taken_by(key, place) == Some(item)) {
            return Ok(None);
        }
    }
    let sentence = format!(
        "{} popped {} from {} at {}, while {}, pushed by {} at {}, still had to be on top of it, \
         and nobody ever took {} out: a lost element.",
        capital(&key.who(take)),
        brief(key.value(below)),
        key.object(),
        key.instant(ended(key.get(take))),
        brief(key.value(item)),
        key.who(push),
        key.instant(ended(key.get(push))),
        brief(key.value(item)),
    );
    Ok(Some(Diagnosis::new(Anomaly::LostElement, sentence)))
}

/// An item that the proof does not show taken, but some other operation did or may have.
fn taken_after_all(
    key: &Key<'_>,
    proof: &[usize],
    taken: &str,
    took: &str,
) -> Result<Option<Diagnosis>, Stopped> {
    let put_by = |place: usize| match key.get(place).action {
        Action::Other(Function::Enqueue | Function::Push, item) => Some(item),
        _ => None,
    };
    let is_taken = |item: ValueId| proof.iter().any(|&place| taken_by(key, place) == Some(item));
    let left = proof.iter().filter_map(|&place| Some((place, put_by(place)?)));
    let Some((put, item)) = left.into_iter().find(|&(_, item)| !is_taken(item)) else {
        return Ok(None);
    };
    for place in 0..key.operations.len() {
        key.cancellation.step()?;
        if taken_by(key, place) != Some(item) {
            continue;
        }
        let empty = proof.iter().find(|&&it| taken_by(key, it) == Some(ValueId::NULL));
        let anomaly = match (empty, taken) {
            (Some(_), _) => Anomaly::FalseEmpty,
            (None, "enqueued") => Anomaly::OutOfOrderDequeue,
            (None, _) => Anomaly::OutOfOrderPop,
        };
        let what = empty.map_or_else(
            || "was passed over".to_owned(),
            |&empty| format!("was missed by {}", key.who(empty)),
        );
        let sentence = format!(
            "{}, which {} had {taken}, {what}, and {} {took} it only later.",
            brief(key.value(item)),
            key.who(put),
            key.who(place),
        );
        let found = Diagnosis { context: Some(place), ..Diagnosis::new(anomaly, sentence) };
        return Ok(Some(found));
    }
    Ok(None)
}

fn is_put(action: Action, item: ValueId) -> bool {
    matches!(action, Action::Other(Function::Enqueue | Function::Push, it) if it == item)
}

/// What the operation took out, if it is known; null if nothing was there.
fn taken_by(key: &Key<'_>, place: usize) -> Option<ValueId> {
    let operation = key.get(place);
    match (operation.action, operation.response()) {
        (Action::Other(Function::Dequeue | Function::Pop, _), Some(Response::Value(item))) => {
            Some(item)
        }
        _ => None,
    }
}
