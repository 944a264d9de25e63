//! Puts what clients told in their own forms where the models look for it.

use std::borrow::Cow;

use super::guide;
use super::kind::{ObjectKind, entry, fence, versioned_map};
use crate::event::Function;
use crate::history::{Action, History, KeyId, Operation, Outcome, Response};
use crate::value::{Value, ValueId};

/// What an operation on a register with versions begins with.
pub(super) const READ: &str = "read";
pub(super) const WRITE: &str = "write";
pub(super) const CAS: &str = "cas";

/// The history as the object's model reads it.
pub(super) fn prepare(history: &History, kind: ObjectKind) -> Cow<'_, History> {
    match kind {
        ObjectKind::ReentrantLock => Cow::Owned(rewritten(history, owned)),
        ObjectKind::FencedLock => Cow::Owned(rewritten(history, fenced)),
        ObjectKind::VersionedRegister => Cow::Owned(rewritten(history, versioned)),
        ObjectKind::Log => Cow::Owned(rewritten(history, logged)),
        ObjectKind::Timestamps => Cow::Owned(changed(history, guide::chain_numbers)),
        ObjectKind::WatchedRegister => Cow::Owned(changed(history, guide::drop_unseen)),
        _ => Cow::Borrowed(history),
    }
}

fn changed(history: &History, change: impl Fn(&mut History)) -> History {
    let mut new = history.clone();
    change(&mut new);
    new
}

/// The history with every operation rewritten.
fn rewritten(history: &History, each: impl Fn(&mut History, usize)) -> History {
    let mut new = history.clone();
    for place in 0..new.operations.len() {
        each(&mut new, place);
    }
    new
}

fn answer(operation: &Operation, history: &History) -> Option<Value> {
    match operation.response() {
        Some(Response::Value(value)) => Some(history.values.get(value).clone()),
        _ => None,
    }
}

fn respond(history: &mut History, place: usize, value: &Value) {
    let value = history.values.intern(value);
    if let Outcome::Ok(_, response) = &mut history.operations[place].outcome {
        *response = Response::Value(value);
    }
}

/// Who takes and gives back a lock, where nobody is named, is the process.
fn owned(history: &mut History, place: usize) {
    let operation = history.operations[place];
    let Action::Other(function @ (Function::Acquire | Function::Release), owner) = operation.action
    else {
        return;
    };
    let told = history.values.get(owner).clone();
    let named = match entry(&told, &["client", "owner", "holder"]) {
        Some(owner) => owner.clone(),
        None if told.is_null() => Value::text(format!("process {}", operation.process)),
        None => told,
    };
    let owner = history.values.intern(&named);
    history.operations[place].action = Action::Other(function, owner);
    if operation.is_ok() {
        respond(history, place, &Value::Null);
    }
}

/// As [`owned`], with the fencing token as the answer.
fn fenced(history: &mut History, place: usize) {
    let told = answer(&history.operations[place], history);
    let number = history.revision_of(place).and_then(|number| i64::try_from(number).ok());
    owned(history, place);
    let plain = match &told {
        Some(Value::Integer(fence))
            if history.operations[place].action.function() == Function::Acquire =>
        {
            Some(*fence)
        }
        Some(told) => fence(told),
        None => None,
    };
    if let Some(fence) = plain.or(number) {
        respond(history, place, &Value::Integer(fence));
    }
}

/// A value and a version are told as a map, or the version stands beside the value. Either way, what
/// is asked becomes a list that begins with a word, and what is answered one that tells the version.
fn versioned(history: &mut History, place: usize) {
    let operation = history.operations[place];
    let number = match history.revision_of(place).and_then(|number| i64::try_from(number).ok()) {
        Some(number) => Value::Integer(number),
        None => Value::Null,
    };
    let value = |history: &History, id: ValueId| history.values.get(id).clone();
    let (asked, answered) = match (operation.action, operation.response()) {
        (Action::Read, response) => {
            let told = match response {
                Some(Response::Value(seen)) => value(history, seen),
                _ => Value::Null,
            };
            let pair = match versioned_map(&told) {
                Some((value, version)) => vec![Value::Integer(version), value.clone()],
                None => vec![number, told],
            };
            (vec![Value::text(READ)], pair)
        }
        (Action::Write(written), _) => {
            let told = value(history, written);
            let asked = match versioned_map(&told) {
                Some((value, version)) => {
                    vec![Value::text(WRITE), Value::Integer(version), value.clone()]
                }
                None => vec![Value::text(WRITE), told],
            };
            (asked, vec![number])
        }
        (Action::Cas { expected, new }, response) => {
            let asked = vec![Value::text(CAS), value(history, expected), value(history, new)];
            let answered = match response {
                Some(Response::Mismatch(saw)) => {
                    let saw: Vec<Value> = saw.map(|saw| value(history, saw)).into_iter().collect();
                    vec![Value::Bool(false), number, Value::list(saw)]
                }
                _ => vec![Value::Bool(true), number],
            };
            (asked, answered)
        }
        _ => return,
    };
    let asked = history.values.intern(&Value::list(asked));
    history.operations[place].action = Action::Other(Function::Apply, asked);
    respond(history, place, &Value::list(answered));
}

/// Records and offsets as Kafka's clients tell them, `[[:send key value]]` answered with
/// `[[:send key [offset value]]]` and `[[:poll {key [[offset value]]}]]`, become appends and polls of
/// one key; so do appends that answer an offset.
fn logged(history: &mut History, place: usize) {
    let operation = history.operations[place];
    let told = answer(&operation, history);
    let argument = history.argument(operation.action);
    let number = history.revision_of(place).and_then(|number| i64::try_from(number).ok());
    match operation.action {
        Action::Other(Function::Send, _) => {
            let Some((key, item)) = sent(&argument) else { return };
            let offset = told.as_ref().and_then(sent).and_then(|(_, pair)| match pair {
                Value::List(pair) => pair.first().cloned(),
                _ => None,
            });
            append(history, place, &item);
            respond(history, place, &offset.unwrap_or_default());
            rekey(history, place, &key);
        }
        Action::Other(Function::Append, _) => {
            append(history, place, &argument);
            let offset = match told {
                Some(told @ Value::Integer(_)) if told != argument => told,
                _ => number.map_or(Value::Null, Value::Integer),
            };
            respond(history, place, &offset);
        }
        Action::Other(Function::Poll, _) => {
            let Some((key, records)) = told.as_ref().and_then(polled) else { return };
            respond(history, place, &records);
            if let Some(key) = key {
                rekey(history, place, &key);
            }
        }
        _ => {}
    }
}

fn append(history: &mut History, place: usize, item: &Value) {
    let item = history.values.intern(item);
    history.operations[place].action = Action::Other(Function::Append, item);
}

fn rekey(history: &mut History, place: usize, key: &Value) {
    let known = history.keys.iter().position(|known| known == key);
    let number = known.unwrap_or_else(|| {
        history.keys.push(key.clone());
        history.keys.len() - 1
    });
    history.operations[place].key = KeyId(number as u32);
}

/// Key and value of `[[:send key value]]`.
fn sent(value: &Value) -> Option<(Value, Value)> {
    let Value::List(operations) = value else { return None };
    let [Value::List(parts)] = &**operations else { return None };
    match &**parts {
        [_, key, value] => Some((key.clone(), value.clone())),
        _ => None,
    }
}

/// Key and records of `[[:poll {key records}]]`; or records alone.
fn polled(value: &Value) -> Option<(Option<Value>, Value)> {
    let Value::List(operations) = value else { return None };
    let [Value::List(parts)] = &**operations else { return Some((None, value.clone())) };
    match &**parts {
        [Value::Text(_), Value::List(keys)] => match &**keys {
            [Value::List(pair)] => match &**pair {
                [key, records] => Some((Some(key.clone()), records.clone())),
                _ => None,
            },
            [] => Some((None, Value::list(Vec::new()))),
            _ => None,
        },
        _ => Some((None, value.clone())),
    }
}
