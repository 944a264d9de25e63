//! Tells whether values are the `[key value]` of Jepsen's `independent`, by all values of a file,
//! and splits them.
//!
//! A read has no argument, so that a read that is invoked with `[k nil]` names its key: that is the
//! evidence. If every invocation is such a pair and every answer repeats the key of its invocation,
//! values are tuples. If none of the reads is invoked so, they are not: a register may well hold
//! pairs. Anything between is refused.
//!
//! Source: `independent/tuple` in Jepsen (<https://github.com/jepsen-io/jepsen>,
//! `jepsen/src/jepsen/independent.clj`).

use rustc_hash::FxHashMap;

use super::edn::syntax::{Place, quote};
use super::error::ReadProblem;
use super::vocabulary::Entry;
use crate::event::{EventKind, Function, ProcessId};
use crate::value::Value;

/// What stands where tuples are expected and there is none.
const EXPECTED: &str = "[key value] as in the other operations, or --independent=no if they are no tuples of Jepsen's independent";

/// The two parts of a tuple.
fn tuple(value: &Value) -> Option<&[Value; 2]> {
    match value {
        Value::List(items) => <&[Value; 2]>::try_from(&**items).ok(),
        _ => None,
    }
}

/// Whether nothing of the value but a key says something, so that it is no argument.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::List(items) => items.iter().all(says_nothing),
        _ => false,
    }
}

/// Whether the operation is asked without an argument, as reads are.
const fn asks(function: Function) -> bool {
    matches!(
        function,
        Function::Read
            | Function::Dequeue
            | Function::Pop
            | Function::Delete
            | Function::Acquire
            | Function::Release
    )
}

/// Whether the invocation names a key and asks nothing of it.
fn is_evidence(entry: &Entry) -> bool {
    asks(entry.event.function)
        && tuple(&entry.event.value)
            .is_some_and(|[key, argument]| !matches!(key, Value::Null) && says_nothing(argument))
}

/// Whether the values of `entries` are tuples.
///
/// # Errors
///
/// Where it cannot be told: the operation that contradicts the others.
pub(super) fn tell(entries: &[Entry]) -> Result<bool, (Place, ReadProblem)> {
    let invocations = || entries.iter().filter(|entry| entry.event.kind == EventKind::Invoke);
    if !invocations().any(is_evidence) {
        return suspect(entries);
    }
    let refused = |entry: &Entry| {
        let found = quote(&entry.event.value.to_string());
        Err((entry.place, ReadProblem::unexpected(EXPECTED, found)))
    };
    let mut keys: FxHashMap<ProcessId, &Value> = FxHashMap::default();
    for entry in entries {
        let event = &entry.event;
        match (event.kind, tuple(&event.value)) {
            (EventKind::Fail | EventKind::Info, _) => {}
            (EventKind::Invoke, Some([key, _])) if !asks(event.function) || is_evidence(entry) => {
                keys.insert(event.process, key);
            }
            (EventKind::Ok, Some([key, _]))
                if keys.get(&event.process).is_none_or(|k| *k == key) => {}
            _ => return refused(entry),
        }
    }
    Ok(true)
}

/// Whether there is a shape that only tuples have, although nothing is asked with a key: all
/// compare-and-sets have `[key [expected new]]` beside writes of `[key value]`.
fn suspect(entries: &[Entry]) -> Result<bool, (Place, ReadProblem)> {
    let of = |function| {
        entries.iter().filter(move |entry| {
            entry.event.kind == EventKind::Invoke && entry.event.function == function
        })
    };
    let nested = |entry: &Entry| {
        tuple(&entry.event.value)
            .is_some_and(|[key, operands]| tuple(key).is_none() && tuple(operands).is_some())
    };
    let pairs = of(Function::Write).all(|entry| tuple(&entry.event.value).is_some());
    match of(Function::Cas).next() {
        Some(first) if pairs && of(Function::Cas).all(nested) => {
            let expected = "--independent, or --independent=no, since these may be [key value] \
                            tuples of Jepsen's independent or values of one register";
            let found = quote(&first.event.value.to_string());
            Err((first.place, ReadProblem::unexpected(expected, found)))
        }
        _ => Ok(false),
    }
}

/// Makes keys and values of tuples.
///
/// # Errors
///
/// At the first value that is none.
pub(super) fn split(entries: &mut [Entry]) -> Result<(), (Place, ReadProblem)> {
    let mut keys: FxHashMap<ProcessId, Value> = FxHashMap::default();
    for entry in entries {
        let event = &mut entry.event;
        let parts = tuple(&event.value).cloned();
        match (event.kind, parts) {
            // The client may have left anything there; the invocation has the key.
            (EventKind::Fail | EventKind::Info, _) if event.swapped.is_none() => {
                event.key = keys.remove(&event.process).unwrap_or_default();
                event.value = Value::Null;
            }
            (_, Some([key, value])) => {
                if event.kind == EventKind::Invoke {
                    keys.insert(event.process, key.clone());
                } else {
                    keys.remove(&event.process);
                }
                (event.key, event.value) = (key, value);
            }
            (_, None) => {
                let expected = ":value to be [key value], as `independent` has it";
                let found = quote(&event.value.to_string());
                return Err((entry.place, ReadProblem::unexpected(expected, found)));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
