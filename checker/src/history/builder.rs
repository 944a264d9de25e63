//! Turns a stream of events into a [`History`], or says which event is out of order and why.
//!
//! One pass, one map lookup per event, no event is kept. A recorder that breaks these rules would
//! make every verdict on its history meaningless, so nothing here is forgiven.

use rustc_hash::FxHashMap;
use thiserror::Error;

use super::{Action, History, KeyId, Moment, NodeId, Operation, Outcome, Response};
use crate::event::{Event, EventKind, Function, Nanoseconds, ProcessId, Record};
use crate::value::{Datum, Value, ValueId, Values};

/// Why events are no history. Every variant names the event by its index.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("event {index}: {problem}")]
pub struct HistoryError {
    /// The index that the offending event bears.
    pub index: u64,
    /// What is wrong with it.
    pub problem: HistoryProblem,
}

/// What is wrong with an event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HistoryProblem {
    /// Indexes must grow from event to event.
    #[error("expected an index above {previous}, the event before")]
    IndexNotIncreasing {
        /// The index of the event before.
        previous: u64,
    },
    /// Positions are computed with, so the greatest numbers are not available.
    #[error("expected an index below 2^63")]
    IndexTooGreat,
    /// Not every format of files has room for greater numbers.
    #[error("expected a time below 2^63 ns")]
    TimeTooGreat,
    /// Times must not go back.
    #[error(
        "expected a time of at least {previous} ns, that of the event before, found {found} ns"
    )]
    TimeGoesBack {
        /// The time of the event before, in nanoseconds.
        previous: u64,
        /// The time of this event, in nanoseconds.
        found: u64,
    },
    /// A process does one thing at a time.
    #[error(
        "expected the completion of process {process}'s operation of event {open}, \
         found another invocation"
    )]
    StillOpen {
        /// Who.
        process: ProcessId,
        /// The index of the open operation's invocation.
        open: u64,
    },
    /// A completion needs an invocation.
    #[error("expected an invocation by process {process} before its completion `{kind}`")]
    NothingOpen {
        /// Who.
        process: ProcessId,
        /// The completion's kind.
        kind: &'static str,
    },
    /// The request behind an `info` may still be in flight.
    #[error(
        "expected nothing by process {process} after its `info` of event {retired}: \
         go on under a new process number"
    )]
    Retired {
        /// Who.
        process: ProcessId,
        /// The index of the `info`.
        retired: u64,
    },
    /// A completion must repeat what its invocation said.
    #[error("expected {field} {expected} as in the invocation, event {invocation}; found {found}")]
    CompletionDiffers {
        /// `f`, `key` or `value`.
        field: &'static str,
        /// What the invocation said.
        expected: String,
        /// What the completion says.
        found: String,
        /// The index of the invocation.
        invocation: u64,
    },
    /// The operands of a compare-and-set.
    #[error("expected the value of a cas to be [expected, new], found {found}")]
    NotAPair {
        /// What stands there.
        found: String,
    },
    /// `swapped` and `saw` have a meaning in one place only.
    #[error("expected `{field}` only in the `ok` of a cas")]
    Misplaced {
        /// `swapped` or `saw`.
        field: &'static str,
    },
    /// A compare-and-set that matched saw what it expected.
    #[error("expected `saw` only where `swapped` is false, or equal to {expected}; found {found}")]
    SawAnother {
        /// What the compare-and-set expected.
        expected: String,
        /// What it says it saw.
        found: String,
    },
    /// Node names are numbered with 16 bits.
    #[error("expected at most 65536 node names")]
    TooManyNodes,
}

/// Something in an event that the history has no place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuilderNote {
    /// What a delete answered.
    AnswerOfDelete,
    /// What a read was invoked with.
    ArgumentOfRead,
}

/// What a process is doing.
#[derive(Debug, Clone, Copy)]
enum Process {
    Idle,
    /// The place of its open operation in the history.
    Open(usize),
    /// The index of its `info`.
    Retired(u64),
}

/// Collects events one by one; see [`History`] for what comes out.
#[derive(Debug, Default)]
pub struct HistoryBuilder {
    history: History,
    processes: FxHashMap<ProcessId, Process>,
    /// Numbers the keys, with a hole where null is none of them.
    keys: Values,
    key_ids: Vec<Option<KeyId>>,
    nodes: FxHashMap<std::sync::Arc<str>, NodeId>,
    last: Option<(u64, Nanoseconds)>,
    remark: Option<BuilderNote>,
}

impl HistoryBuilder {
    /// An empty history.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event.
    ///
    /// # Errors
    ///
    /// If the event cannot follow those before it. The builder is then of no further use.
    pub fn push(&mut self, event: &Event) -> Result<(), HistoryError> {
        self.push_record(&Record::from(event))
    }

    /// Takes the next event, from where it stands.
    pub(crate) fn push_record(&mut self, event: &Record<'_>) -> Result<(), HistoryError> {
        self.accept(event).map_err(|problem| HistoryError { index: event.index, problem })
    }

    /// How many operations there are so far.
    pub(crate) const fn operations(&self) -> usize {
        self.history.operations.len()
    }

    /// What was left out of the last event.
    pub(crate) const fn remark(&mut self) -> Option<BuilderNote> {
        self.remark.take()
    }

    /// The history so far. Operations that are still open have an unknown outcome.
    pub fn finish(self) -> History {
        let mut history = self.history;
        history.levels.sort_by_key(|&(place, _)| place);
        // What the invocation said was first.
        history.levels.dedup_by_key(|(place, _)| *place);
        history.revisions.sort_unstable();
        history
    }

    /// The key of what `process` is doing.
    pub(crate) fn open_key(&self, process: ProcessId) -> Option<&Value> {
        match self.processes.get(&process)? {
            Process::Open(place) => Some(self.history.key(self.history.operations[*place].key)),
            _ => None,
        }
    }

    fn accept(&mut self, event: &Record<'_>) -> Result<(), HistoryProblem> {
        self.advance(event)?;
        let process = event.process;
        let state = self.processes.entry(process).or_insert(Process::Idle);
        let moment = Moment { position: event.index, time: event.time };
        match (*state, event.kind) {
            (Process::Retired(retired), _) => Err(HistoryProblem::Retired { process, retired }),
            (Process::Open(place), EventKind::Invoke) => {
                let open = self.history.operations[place].invoked.position;
                Err(HistoryProblem::StillOpen { process, open })
            }
            (Process::Idle, EventKind::Invoke) => {
                *state = Process::Open(self.history.operations.len());
                self.invoke(event, moment)
            }
            (Process::Idle, kind) => {
                Err(HistoryProblem::NothingOpen { process, kind: kind.name() })
            }
            (Process::Open(place), kind) => {
                *state = match kind {
                    EventKind::Info => Process::Retired(event.index),
                    _ => Process::Idle,
                };
                self.complete(place, event, moment)
            }
        }
    }

    fn advance(&mut self, event: &Record<'_>) -> Result<(), HistoryProblem> {
        if event.index >= 1 << 63 {
            return Err(HistoryProblem::IndexTooGreat);
        }
        if event.time.0 >= 1 << 63 {
            return Err(HistoryProblem::TimeTooGreat);
        }
        if let Some((previous, time)) = self.last {
            if event.index <= previous {
                return Err(HistoryProblem::IndexNotIncreasing { previous });
            }
            if event.time < time {
                let (previous, found) = (time.0, event.time.0);
                return Err(HistoryProblem::TimeGoesBack { previous, found });
            }
        }
        self.last = Some((event.index, event.time));
        Ok(())
    }

    fn invoke(&mut self, event: &Record<'_>, invoked: Moment) -> Result<(), HistoryProblem> {
        self.refuse_answer(event)?;
        if event.function == Function::Read && !event.value.is_null() {
            self.remark = Some(BuilderNote::ArgumentOfRead);
        }
        let operation = Operation {
            process: event.process,
            key: self.key(event.key),
            node: event.node.map(|node| self.node(node)).transpose()?,
            action: self.action(event)?,
            invoked,
            outcome: Outcome::Info(None),
        };
        if let Some(level) = event.level {
            self.history.levels.push((place_number(self.history.operations.len()), level));
        }
        self.history.operations.push(operation);
        Ok(())
    }

    fn complete(
        &mut self,
        place: usize,
        event: &Record<'_>,
        moment: Moment,
    ) -> Result<(), HistoryProblem> {
        let operation = self.history.operations[place];
        self.compare(&operation, event)?;
        let outcome = match event.kind {
            EventKind::Ok => Outcome::Ok(moment, self.response(operation.action, event)?),
            kind => {
                self.refuse_answer(event)?;
                match kind {
                    EventKind::Fail => Outcome::Fail(moment),
                    _ => Outcome::Info(Some(moment)),
                }
            }
        };
        // Some clients learn only from the reply which node served them.
        let node = match (event.node, operation.node) {
            (Some(node), None) => Some(self.node(node)?),
            (_, node) => node,
        };
        if let Some(level) = event.level {
            self.history.levels.push((place_number(place), level));
        }
        if let (EventKind::Ok, Some(revision)) = (event.kind, event.revision) {
            self.history.revisions.push((place_number(place), revision));
        }
        let operation = &mut self.history.operations[place];
        operation.outcome = outcome;
        operation.node = node;
        Ok(())
    }

    /// That a completion speaks of the operation that its process invoked.
    fn compare(&self, operation: &Operation, event: &Record<'_>) -> Result<(), HistoryProblem> {
        let differs = |field, expected: String, found: String| {
            let invocation = operation.invoked.position;
            Err(HistoryProblem::CompletionDiffers { field, expected, found, invocation })
        };
        let function = operation.action.function();
        if event.function != function {
            return differs("f", function.to_string(), event.function.to_string());
        }
        let key = &self.history.keys[operation.key.0 as usize];
        if event.key != Datum::from(key) {
            return differs("key", json(key), json(&event.key.to_value()));
        }
        if event.value.is_null() {
            return Ok(());
        }
        let value = |id| Datum::from(self.history.values.get(id));
        let repeats = match (operation.action, event.value) {
            (Action::Write(written), found) => value(written) == found,
            (Action::Cas { expected, new }, Datum::Pair(found)) => {
                [expected, new].map(value) == found.map(Datum::Scalar)
            }
            (Action::Cas { .. }, found) => {
                self.history.argument(operation.action) == found.to_value()
            }
            _ => true,
        };
        if !repeats {
            let argument = self.history.argument(operation.action);
            return differs("value", json(&argument), json(&event.value.to_value()));
        }
        Ok(())
    }

    fn action(&mut self, event: &Record<'_>) -> Result<Action, HistoryProblem> {
        let values = &mut self.history.values;
        Ok(match event.function {
            Function::Read => Action::Read,
            Function::Write => Action::Write(values.intern_datum(event.value)),
            Function::Delete => Action::Delete,
            Function::Cas => {
                let [expected, new] = operands(event.value).ok_or_else(|| {
                    HistoryProblem::NotAPair { found: json(&event.value.to_value()) }
                })?;
                let expected = values.intern_datum(expected);
                Action::Cas { expected, new: values.intern_datum(new) }
            }
            function => Action::Other(function, values.intern_datum(event.value)),
        })
    }

    fn response(&mut self, action: Action, event: &Record<'_>) -> Result<Response, HistoryProblem> {
        let Action::Cas { expected, .. } = action else {
            self.refuse_answer(event)?;
            if action == Action::Delete && !event.value.is_null() {
                self.remark = Some(BuilderNote::AnswerOfDelete);
            }
            return Ok(match action {
                Action::Write(_) | Action::Delete => Response::Done,
                _ => Response::Value(self.history.values.intern_datum(event.value)),
            });
        };
        let saw = event.saw.map(|saw| self.history.values.intern_datum(saw));
        if event.swapped == Some(false) {
            return Ok(Response::Mismatch(saw));
        }
        match saw {
            Some(saw) if saw != expected => Err(HistoryProblem::SawAnother {
                expected: self.json_of(expected),
                found: self.json_of(saw),
            }),
            _ => Ok(Response::Swapped),
        }
    }

    fn refuse_answer(&self, event: &Record<'_>) -> Result<(), HistoryProblem> {
        if event.swapped.is_some() {
            return Err(HistoryProblem::Misplaced { field: "swapped" });
        }
        if event.saw.is_some() {
            return Err(HistoryProblem::Misplaced { field: "saw" });
        }
        Ok(())
    }

    fn key(&mut self, key: Datum<'_>) -> KeyId {
        let number = self.keys.intern_datum(key).index();
        if let Some(&Some(known)) = self.key_ids.get(number) {
            return known;
        }
        let new = KeyId(u32::try_from(self.history.keys.len()).expect("at most 2^32 keys"));
        self.history.keys.push(key.to_value());
        self.key_ids.resize(self.key_ids.len().max(number + 1), None);
        self.key_ids[number] = Some(new);
        new
    }

    fn node(&mut self, name: &str) -> Result<NodeId, HistoryProblem> {
        if let Some(&known) = self.nodes.get(name) {
            return Ok(known);
        }
        let place = u16::try_from(self.history.nodes.len());
        let new = NodeId(place.map_err(|_| HistoryProblem::TooManyNodes)?);
        let name: std::sync::Arc<str> = name.into();
        self.history.nodes.push(name.clone());
        self.nodes.insert(name, new);
        Ok(new)
    }

    fn json_of(&self, value: ValueId) -> String {
        json(self.history.values.get(value))
    }
}

fn place_number(place: usize) -> u32 {
    u32::try_from(place).expect("at most 2^32 operations")
}

/// The two operands of a compare-and-set.
fn operands(value: Datum<'_>) -> Option<[Datum<'_>; 2]> {
    match value {
        Datum::Pair(operands) => Some(operands.map(Datum::Scalar)),
        Datum::Value(Value::List(items)) => match &**items {
            [expected, new] => Some([expected.into(), new.into()]),
            _ => None,
        },
        _ => None,
    }
}

/// The value as it stands in a file, which is where the reader of an error will look for it.
fn json(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| value.to_string())
}

#[cfg(test)]
mod tests;
