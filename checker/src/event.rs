//! One line of a recorded history: an operation was invoked, or came back.
//!
//! The vocabulary is Jepsen's: a *process* invokes one operation at a time; the operation comes
//! back `ok`, `fail` (it certainly did not happen) or `info` (it may happen, now or ever).

mod level;

pub use level::{Level, Staleness, UnknownLevel};

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::value::{Datum, Value};

/// Nanoseconds since the run began, from one monotonic clock.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Nanoseconds(pub u64);

impl Nanoseconds {
    /// This time in milliseconds, with fraction.
    pub fn as_milliseconds(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// This time in seconds, with fraction.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

/// A logical client that invokes one operation at a time. Retired by its first
/// [`EventKind::Info`]: the request may still be in flight, so reusing the number would claim an
/// order that was never observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProcessId(pub u32);

impl fmt::Display for ProcessId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}

/// What an event says of its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// The client is about to send the request.
    Invoke,
    /// The reply came: the operation happened between its invocation and now.
    Ok,
    /// The operation certainly did not happen and never will.
    Fail,
    /// Nobody knows: it may have happened, may happen later, or never.
    Info,
}

impl EventKind {
    /// The name that stands in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invoke => "invoke",
            Self::Ok => "ok",
            Self::Fail => "fail",
            Self::Info => "info",
        }
    }
}

/// What an operation does, by the name that stands in files as `f`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Function {
    /// Read the register.
    Read,
    /// Overwrite the register.
    Write,
    /// Compare and set: value `[expected, new]`.
    Cas,
    /// Append to a string or list.
    Append,
    /// Put the register back to its initial state.
    Delete,
    /// Add to a counter or a set.
    Add,
    /// Remove from a set.
    Remove,
    /// Ask whether a set holds a value.
    Contains,
    /// Put at the tail of a queue.
    Enqueue,
    /// Take from the head of a queue.
    Dequeue,
    /// Put on top of a stack.
    Push,
    /// Take from the top of a stack.
    Pop,
    /// Take a lock.
    Acquire,
    /// Give a lock back.
    Release,
    /// A transaction over several registers.
    Txn,
    /// Ask for the next id or number.
    Next,
    /// Put a record at the end of a log.
    Send,
    /// Read records of a log, each with its offset.
    Poll,
    /// Take all that a queue holds.
    Drain,
    /// Follow the changes of a register.
    Watch,
    /// Move money from one account to another.
    Transfer,
    /// An operation on an object of [one's own](crate::Spec), which stands as text in the value. No
    /// format of files is read with it: what it means is known to the program that recorded it.
    Apply,
}

impl Function {
    /// All that the models of [`MODELS`](crate::MODELS) know.
    pub const ALL: [Self; 21] = [
        Self::Read,
        Self::Write,
        Self::Cas,
        Self::Append,
        Self::Delete,
        Self::Add,
        Self::Remove,
        Self::Contains,
        Self::Enqueue,
        Self::Dequeue,
        Self::Push,
        Self::Pop,
        Self::Acquire,
        Self::Release,
        Self::Txn,
        Self::Next,
        Self::Send,
        Self::Poll,
        Self::Drain,
        Self::Watch,
        Self::Transfer,
    ];

    /// The function that bears this name in files.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|function| function.name() == name)
    }

    /// The name that stands in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Cas => "cas",
            Self::Append => "append",
            Self::Delete => "delete",
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Contains => "contains",
            Self::Enqueue => "enqueue",
            Self::Dequeue => "dequeue",
            Self::Push => "push",
            Self::Pop => "pop",
            Self::Acquire => "acquire",
            Self::Release => "release",
            Self::Txn => "txn",
            Self::Next => "next",
            Self::Send => "send",
            Self::Poll => "poll",
            Self::Drain => "drain",
            Self::Watch => "watch",
            Self::Transfer => "transfer",
            Self::Apply => "apply",
        }
    }
}

impl Function {
    /// Whether an invocation or an answer has to say a value.
    pub(crate) const fn needs_value(self, kind: EventKind) -> bool {
        match kind {
            EventKind::Invoke => !matches!(
                self,
                Self::Read
                    | Self::Delete
                    | Self::Dequeue
                    | Self::Pop
                    | Self::Acquire
                    | Self::Release
                    | Self::Next
                    | Self::Poll
                    | Self::Drain
                    | Self::Watch
            ),
            EventKind::Ok => {
                matches!(
                    self,
                    Self::Read
                        | Self::Dequeue
                        | Self::Pop
                        | Self::Contains
                        | Self::Txn
                        | Self::Next
                        | Self::Poll
                        | Self::Drain
                        | Self::Watch
                )
            }
            EventKind::Fail | EventKind::Info => false,
        }
    }
}

impl fmt::Display for Function {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// One line of a history file.
///
/// Made by a recorder, in real-time order; the reader of files makes the same. Fields that a line
/// does not need are left out of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The event's position in the history, from 0.
    pub index: u64,
    /// When it happened.
    pub time: Nanoseconds,
    /// Who did it.
    pub process: ProcessId,
    /// Invocation or the kind of completion.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// What the operation does.
    #[serde(rename = "f")]
    pub function: Function,
    /// What it does it to; null where a history has one object only.
    #[serde(default)]
    pub key: Value,
    /// The argument, or in a completed read the value read; `[expected, new]` for a
    /// compare-and-set.
    #[serde(default)]
    pub value: Value,
    /// In a completed compare-and-set: whether it matched. Absent means it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swapped: Option<bool>,
    /// In a completed compare-and-set that did not match: the value found instead, where the store
    /// tells. `Some(Value::Null)` is a store that told that there was none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub saw: Option<Value>,
    /// The node that the request went to, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Arc<str>>,
    /// Why a completion is `fail` or `info`, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Arc<str>>,
    /// What the operation was asked for with, where that is not what its history is checked for. The
    /// invocation or the completion says so; of both, the invocation counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// The number that the store gave to the state that it answered from: of every change a higher
    /// one. Stands in completions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// Keeps `"saw":null` apart from no `saw` at all, which `Option` alone would not.
pub(crate) fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// An event whose texts and values still stand in the file it is read from; see [`Event`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Record<'a> {
    pub(crate) index: u64,
    pub(crate) time: Nanoseconds,
    pub(crate) process: ProcessId,
    pub(crate) kind: EventKind,
    pub(crate) function: Function,
    pub(crate) key: Datum<'a>,
    pub(crate) value: Datum<'a>,
    pub(crate) swapped: Option<bool>,
    pub(crate) saw: Option<Datum<'a>>,
    pub(crate) node: Option<&'a str>,
    pub(crate) error: Option<&'a str>,
    pub(crate) level: Option<Level>,
    pub(crate) revision: Option<u64>,
}

impl<'a> From<&'a Event> for Record<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            index: event.index,
            time: event.time,
            process: event.process,
            kind: event.kind,
            function: event.function,
            key: Datum::from(&event.key),
            value: Datum::from(&event.value),
            swapped: event.swapped,
            saw: event.saw.as_ref().map(Datum::from),
            node: event.node.as_deref(),
            error: event.error.as_deref(),
            level: event.level,
            revision: event.revision,
        }
    }
}

impl From<Record<'_>> for Event {
    fn from(record: Record<'_>) -> Self {
        Self {
            index: record.index,
            time: record.time,
            process: record.process,
            kind: record.kind,
            function: record.function,
            key: record.key.to_value(),
            value: record.value.to_value(),
            swapped: record.swapped,
            saw: record.saw.map(Datum::to_value),
            node: record.node.map(Arc::from),
            error: record.error.map(Arc::from),
            level: record.level,
            revision: record.revision,
        }
    }
}
