//! A history in the form that engines work on: operations, each an invocation with its completion.
//!
//! Compact on purpose: values, keys and node names are interned, so that an operation is some 64
//! bytes and a million of them fit a cache-friendly vector.

use crate::event::{Function, Nanoseconds, ProcessId};
use crate::value::{Value, ValueId, Values};

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

/// A validated history: every completion has its invocation, every process does one thing at a
/// time, and no process goes on after an `info`.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The operations, by the position of their invocation.
    pub operations: Vec<Operation>,
    /// All values named by operations.
    pub values: Values,
    /// All keys, in order of first appearance; [`KeyId`] indexes it.
    pub keys: Vec<Value>,
    /// All node names, in order of first appearance; [`NodeId`] indexes it.
    pub nodes: Vec<std::sync::Arc<str>>,
}
