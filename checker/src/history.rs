//! A history in the form that engines work on: operations, each an invocation with its completion.
//!
//! Compact on purpose: values, keys and node names are interned, so that an operation is some 64
//! bytes and a million of them fit a cache-friendly vector.

mod builder;

pub(crate) use builder::BuilderNote;
pub use builder::{HistoryBuilder, HistoryError, HistoryProblem};

use crate::event::Level;
use crate::event::{Event, EventKind, Function, Nanoseconds, ProcessId};
use crate::value::{Value, ValueId, Values};
use crate::verdict::CounterexampleOperation;

/// A key's place in [`History::keys`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub u32);

/// A node's place in [`History::nodes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u16);

/// A point in a history. Engines compare positions only: two events can share a time, never a
/// position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moment {
    /// The index of the event, distinct for every event and in real-time order.
    pub position: u64,
    /// When the event happened.
    pub time: Nanoseconds,
}

/// What an operation asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read the register.
    Read,
    /// Overwrite the register.
    Write(ValueId),
    /// Overwrite the register with `new` if it holds `expected`.
    Cas {
        /// What the register must hold.
        expected: ValueId,
        /// What it holds then.
        new: ValueId,
    },
    /// Put the register back to its initial state.
    Delete,
    /// Any other function with its argument, for models that know it.
    Other(Function, ValueId),
}

impl Action {
    /// The name that stands in files as `f`.
    pub const fn function(self) -> Function {
        match self {
            Self::Read => Function::Read,
            Self::Write(_) => Function::Write,
            Self::Cas { .. } => Function::Cas,
            Self::Delete => Function::Delete,
            Self::Other(function, _) => function,
        }
    }
}

/// What an `ok` completion said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Response {
    /// Nothing but that it happened.
    Done,
    /// A value.
    Value(ValueId),
    /// A compare-and-set that matched.
    Swapped,
    /// A compare-and-set that did not match, and the value it saw, where the store tells.
    Mismatch(Option<ValueId>),
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It happened between [`Operation::invoked`] and this moment.
    Ok(Moment, Response),
    /// It certainly did not happen. Engines drop it.
    Fail(Moment),
    /// It may have happened any time after its invocation, or never. The moment is when its client
    /// gave up, if it did before the history ended; it bounds nothing.
    Info(Option<Moment>),
}

/// One operation of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Who invoked it.
    pub process: ProcessId,
    /// What it works on.
    pub key: KeyId,
    /// The node that it was sent to, where known.
    pub node: Option<NodeId>,
    /// What it asks for.
    pub action: Action,
    /// When it was invoked.
    pub invoked: Moment,
    /// How it ended.
    pub outcome: Outcome,
}

impl Operation {
    /// How and when it came back, if it did before the history ended.
    pub const fn completion(&self) -> Option<(EventKind, Moment)> {
        match self.outcome {
            Outcome::Ok(moment, _) => Some((EventKind::Ok, moment)),
            Outcome::Fail(moment) => Some((EventKind::Fail, moment)),
            Outcome::Info(Some(moment)) => Some((EventKind::Info, moment)),
            Outcome::Info(None) => None,
        }
    }

    /// When it came back, or its client gave up on it, if either is in the history.
    pub fn completed(&self) -> Option<Moment> {
        self.completion().map(|(_, moment)| moment)
    }

    /// What it answered, if it is known to have happened.
    pub const fn response(&self) -> Option<Response> {
        match self.outcome {
            Outcome::Ok(_, response) => Some(response),
            Outcome::Fail(_) | Outcome::Info(_) => None,
        }
    }

    /// Whether it is known to have happened.
    pub const fn is_ok(&self) -> bool {
        matches!(self.outcome, Outcome::Ok(..))
    }

    /// Whether one of its events bears another time than its number.
    pub(crate) fn has_clock(&self) -> bool {
        let is_number = |moment: Moment| moment.time.0 == moment.position;
        let completed = self.completed();
        !is_number(self.invoked) || completed.is_some_and(|moment| !is_number(moment))
    }

    /// Whether it certainly did not happen.
    pub const fn is_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Fail(_))
    }
}

/// How many operations ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OperationCounts {
    /// All of them.
    pub invoked: usize,
    /// Known to have happened.
    pub ok: usize,
    /// Known not to have happened.
    pub fail: usize,
    /// Unknown, those still open at the end included.
    pub info: usize,
}

impl OperationCounts {
    /// Counts one more.
    pub(crate) const fn add(&mut self, operation: &Operation) {
        self.invoked += 1;
        *match operation.outcome {
            Outcome::Ok(..) => &mut self.ok,
            Outcome::Fail(_) => &mut self.fail,
            Outcome::Info(_) => &mut self.info,
        } += 1;
    }
}

/// A validated history: every completion has its invocation, every process does one thing at a
/// time, and no process goes on after an `info`.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub(crate) operations: Vec<Operation>,
    pub(crate) values: Values,
    pub(crate) keys: Vec<Value>,
    pub(crate) nodes: Vec<std::sync::Arc<str>>,
    /// The operations that were asked for with a level of their own, by their places.
    pub(crate) levels: Vec<(u32, Level)>,
    /// The numbers of the states that answers came from, by the places of their operations.
    pub(crate) revisions: Vec<(u32, u64)>,
}

impl History {
    /// Builds a history from its events, in order.
    ///
    /// # Errors
    ///
    /// If an event cannot follow those before it; see [`HistoryProblem`] for the rules.
    pub fn from_events(events: impl IntoIterator<Item = Event>) -> Result<Self, HistoryError> {
        let mut builder = HistoryBuilder::new();
        for event in events {
            builder.push(&event)?;
        }
        Ok(builder.finish())
    }

    /// The operations, by the position of their invocation.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// All values named by operations; [`ValueId`] indexes them.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// All keys, in order of first appearance; [`KeyId`] indexes them.
    pub fn keys(&self) -> &[Value] {
        &self.keys
    }

    /// The names of all nodes, in order of first appearance; [`NodeId`] indexes them.
    pub fn nodes(&self) -> &[std::sync::Arc<str>] {
        &self.nodes
    }

    /// Whether events carry the time of a clock. Where a format has none, events are numbered
    /// instead, and their times are those numbers.
    pub fn has_clock(&self) -> bool {
        self.operations.iter().any(Operation::has_clock)
    }

    /// The key that `key` names.
    ///
    /// # Panics
    ///
    /// If `key` comes from another history.
    pub fn key(&self, key: KeyId) -> &Value {
        &self.keys[key.0 as usize]
    }

    /// The events that this history was built from, in order. What they said for people only, why
    /// an operation failed, is not kept.
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        let mut places: Vec<(u64, usize, bool)> = Vec::with_capacity(self.operations.len() * 2);
        for (place, operation) in self.operations.iter().enumerate() {
            places.push((operation.invoked.position, place, true));
            if let Some((_, completed)) = operation.completion() {
                places.push((completed.position, place, false));
            }
        }
        places.sort_unstable();
        places.into_iter().map(|(_, place, invoked)| self.event(place, invoked))
    }

    /// Whether some operation was asked for with a level of its own.
    pub const fn has_levels(&self) -> bool {
        !self.levels.is_empty()
    }

    /// The level that the operation at `place` was asked for with, where that was said.
    pub fn level_of(&self, place: usize) -> Option<Level> {
        let found = self.levels.binary_search_by_key(&place, |&(marked, _)| marked as usize);
        found.ok().map(|at| self.levels[at].1)
    }

    /// The number of the state that the operation at `place` answered from, where that was said.
    pub fn revision_of(&self, place: usize) -> Option<u64> {
        let found = self.revisions.binary_search_by_key(&place, |&(numbered, _)| numbered as usize);
        found.ok().map(|at| self.revisions[at].1)
    }

    /// The place of an operation of this history, by where it was invoked.
    fn place_of(&self, operation: &Operation) -> usize {
        let position = operation.invoked.position;
        self.operations.partition_point(|other| other.invoked.position < position)
    }

    fn event(&self, place: usize, invoked: bool) -> Event {
        let operation = &self.operations[place];
        let value = |id| self.values.get(id).clone();
        let (kind, moment) = match operation.completion() {
            Some((kind, moment)) if !invoked => (kind, moment),
            _ => (EventKind::Invoke, operation.invoked),
        };
        let response = operation.response().filter(|_| !invoked);
        let (swapped, saw) = match response {
            Some(Response::Swapped) => (Some(true), None),
            Some(Response::Mismatch(saw)) => (Some(false), saw.map(value)),
            _ => (None, None),
        };
        Event {
            index: moment.position,
            time: moment.time,
            process: operation.process,
            kind,
            function: operation.action.function(),
            key: self.key(operation.key).clone(),
            value: match response {
                Some(Response::Value(answer)) => value(answer),
                _ => self.argument(operation.action),
            },
            swapped,
            saw,
            node: operation.node.map(|node| self.nodes[usize::from(node.0)].clone()),
            error: None,
            level: self.level_of(place),
            revision: self.revision_of(place).filter(|_| !invoked),
        }
    }

    /// How the operations ended.
    pub fn counts(&self) -> OperationCounts {
        let mut counts = OperationCounts::default();
        for operation in &self.operations {
            counts.add(operation);
        }
        counts
    }

    /// The argument of an action as it stands in files; null where it has none.
    pub fn argument(&self, action: Action) -> Value {
        let value = |id| self.values.get(id).clone();
        match action {
            Action::Read | Action::Delete => Value::Null,
            Action::Write(written) => value(written),
            Action::Cas { expected, new } => Value::list([value(expected), value(new)]),
            Action::Other(_, argument) => value(argument),
        }
    }

    /// The operation with everything that is known of it, for people and files.
    pub fn witness(&self, operation: &Operation) -> CounterexampleOperation {
        let value = |id| self.values.get(id).clone();
        let asked = self.argument(operation.action);
        let (shown, argument) = match (operation.action, operation.response()) {
            (Action::Read, Some(Response::Value(read))) => (value(read), None),
            (Action::Other(function, _), Some(Response::Value(answer))) => {
                let answer = value(answer);
                let takes = matches!(function, Function::Dequeue | Function::Pop);
                if answer == asked || takes && asked.is_null() {
                    (answer, None)
                } else if answer.is_null() && !takes && function != Function::Txn {
                    // No answer but an acknowledgement.
                    (asked, None)
                } else {
                    (answer, Some(asked))
                }
            }
            _ => (asked, None),
        };
        let (swapped, saw) = match operation.response() {
            Some(Response::Swapped) => (Some(true), None),
            Some(Response::Mismatch(saw)) => (Some(false), saw.map(value)),
            _ => (None, None),
        };
        let (outcome, completed) = match operation.outcome {
            Outcome::Ok(moment, _) => (EventKind::Ok, Some(moment)),
            Outcome::Fail(moment) => (EventKind::Fail, Some(moment)),
            Outcome::Info(moment) => (EventKind::Info, moment),
        };
        CounterexampleOperation {
            index: operation.invoked.position,
            process: operation.process,
            node: operation.node.map(|node| self.nodes[usize::from(node.0)].to_string()),
            function: operation.action.function(),
            value: shown,
            argument,
            swapped,
            saw,
            invoked: operation.invoked.time,
            completed: completed.map(|moment| moment.time),
            completed_index: completed.map(|moment| moment.position),
            outcome,
            context: false,
            key: None,
            level: self.levels.first().and_then(|_| self.level_of(self.place_of(operation))),
            revision: self
                .revisions
                .first()
                .and_then(|_| self.revision_of(self.place_of(operation))),
        }
    }
}
