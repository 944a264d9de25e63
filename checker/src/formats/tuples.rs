//! Tells whether values are the `[key value]` of Jepsen's `independent`, by all values of a file,
//! and splits them.
//!
//! A read has no argument, so that a read that is invoked with `[k nil]` names its key: that is the
//! evidence. If every invocation is such a pair and every answer repeats the key of its invocation,
//! values are tuples. If none of the reads is invoked so, they are not: a register may well hold
//! pairs, of which a warning tells. Anything between is refused.
//!
//! Source: `independent/tuple` in Jepsen (<https://github.com/jepsen-io/jepsen>,
//! `jepsen/src/jepsen/independent.clj`).

use rustc_hash::FxHashMap;

use super::edn::syntax::Place;
use super::error::ReadProblem;
use super::reading::{Reading, Severity};
use super::vocabulary::{Entry, quote_value};
use crate::event::{EventKind, Function, ProcessId, Record};
use crate::value::{Datum, Scalar, Value};

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
pub(super) fn tell(entries: &[Entry], reading: &mut Reading) -> Result<bool, (Place, ReadProblem)> {
    let invocations = || entries.iter().filter(|entry| entry.event.kind == EventKind::Invoke);
    if !invocations().any(is_evidence) {
        return suspect(entries, reading).map(|()| false);
    }
    let refused = |entry: &Entry| {
        let found = quote_value(&entry.event.value);
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

/// What tells nothing for certain: by the shapes alone, tuples are refused or not.
fn suspect(entries: &[Entry], reading: &mut Reading) -> Result<(), (Place, ReadProblem)> {
    let mut shapes = Shapes::default();
    for entry in entries {
        shapes.see(&Record::from(&entry.event), entry.place);
    }
    shapes.refuse()?;
    if let Some((count, place)) = shapes.pairs() {
        reading.note_many(Severity::Warning, PAIRS, count, place.line);
    }
    Ok(())
}

/// What a note says of a register that holds pairs.
pub(super) const PAIRS: &str = "pairs [a b] written, taken as values of one register and not as \
                                [key value] tuples (--independent)";

/// What the values of a file look like, where no option says whether they are tuples. Places are
/// those of a reader.
#[derive(Debug)]
pub(super) struct Shapes<P> {
    /// The first invocation that names a key and asks nothing of it.
    asked: Option<P>,
    /// The first transaction that is `[key operations]`.
    transaction: Option<P>,
    /// The first write of a pair, and how many there are.
    written: Option<P>,
    writes: u64,
    /// The first compare-and-set of `[key [expected new]]`.
    nested: Option<P>,
    /// The first answer of `[key nil]`.
    nothing: Option<P>,
    /// Whether a value of the register was no pair.
    flat: bool,
}

impl<P> Default for Shapes<P> {
    fn default() -> Self {
        let (asked, transaction, written, nested, nothing) = (None, None, None, None, None);
        Self { asked, transaction, written, writes: 0, nested, nothing, flat: false }
    }
}

impl<P: Copy> Shapes<P> {
    /// Looks at an event, which is at this place.
    #[inline]
    pub(super) fn see(&mut self, record: &Record<'_>, at: P) {
        let value = record.value;
        match (record.kind, record.function) {
            (EventKind::Invoke, Function::Write) if !self.flat => match parts(value) {
                Some(_) => {
                    self.written.get_or_insert(at);
                    self.writes += 1;
                }
                None => self.flat = true,
            },
            (EventKind::Invoke, Function::Cas) if !self.flat => match parts(value) {
                Some(Parts { key_is_pair: false, value_is_pair: true, .. }) => {
                    self.nested.get_or_insert(at);
                }
                _ => self.flat = true,
            },
            (EventKind::Ok, Function::Read) if !self.flat && !value.is_null() => {
                match parts(value) {
                    Some(Parts { value_is_null: true, .. }) => {
                        self.nothing.get_or_insert(at);
                    }
                    Some(_) => {}
                    None => self.flat = true,
                }
            }
            (EventKind::Invoke, Function::Txn) if is_transaction_of_key(value) => {
                self.transaction.get_or_insert(at);
            }
            (EventKind::Invoke, function) if asks(function) && !value.is_null() => {
                let names_key = |it: &Parts| !it.key_is_null && it.asks_nothing;
                if parts(value).as_ref().is_some_and(names_key) {
                    self.asked.get_or_insert(at);
                }
            }
            _ => {}
        }
    }

    /// # Errors
    ///
    /// Where values may be tuples as well as not, with the place.
    pub(super) fn refuse(&self) -> Result<(), (P, ReadProblem)> {
        let refused = |at, why: &str| {
            let expected = format!("--independent, or --independent=no, since {why}");
            Err((at, ReadProblem::unexpected(expected, "neither")))
        };
        if let Some(at) = self.transaction {
            let expected = "transactions of one object; those of each [key operations] tuple are \
                            a history of their own";
            return Err((at, ReadProblem::unexpected(expected, "a key beside the operations")));
        }
        if let Some(at) = self.asked {
            return refused(
                at,
                "operations are invoked with [key null] as in the tuples of Jepsen's independent",
            );
        }
        match (self.nested, self.nothing) {
            (Some(at), _) if !self.flat => refused(
                at,
                "these may be [key value] tuples of Jepsen's independent or values of one register",
            ),
            (_, Some(at)) if !self.flat && self.written.is_some() => refused(
                at,
                "an answer of [key null] may be a tuple of Jepsen's independent or the value of a \
                 register",
            ),
            _ => Ok(()),
        }
    }

    /// How many values of a register are pairs, if all are, and where the first is written.
    pub(super) fn pairs(&self) -> Option<(u64, P)> {
        self.written.filter(|_| !self.flat).map(|at| (self.writes, at))
    }
}

/// What is said of the two parts of a pair.
struct Parts {
    key_is_null: bool,
    key_is_pair: bool,
    value_is_null: bool,
    value_is_pair: bool,
    /// Whether the value is no argument.
    asks_nothing: bool,
}

fn parts(value: Datum<'_>) -> Option<Parts> {
    match value {
        Datum::Pair([key, value]) => {
            let value_is_null = value == Scalar::Null;
            Some(Parts {
                key_is_null: key == Scalar::Null,
                key_is_pair: false,
                value_is_null,
                value_is_pair: false,
                asks_nothing: value_is_null,
            })
        }
        Datum::Value(value) => tuple(value).map(|[key, value]| Parts {
            key_is_null: key.is_null(),
            key_is_pair: tuple(key).is_some(),
            value_is_null: value.is_null(),
            value_is_pair: tuple(value).is_some(),
            asks_nothing: says_nothing(value),
        }),
        Datum::Scalar(_) => None,
    }
}

/// Whether a key stands before the operations of a transaction.
fn is_transaction_of_key(value: Datum<'_>) -> bool {
    let is_operation = |item: &Value| matches!(item, Value::List(parts) if matches!(parts.first(), Some(Value::Text(_))));
    match value {
        Datum::Value(value) => match tuple(value) {
            Some([key, Value::List(operations)]) => {
                !matches!(key, Value::List(_))
                    && !operations.is_empty()
                    && operations.iter().all(is_operation)
            }
            _ => false,
        },
        _ => false,
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
                let found = quote_value(&event.value);
                return Err((entry.place, ReadProblem::unexpected(expected, found)));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
