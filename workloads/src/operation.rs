//! One operation as a client sees it: what it asks for, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use partita_checker::{Event, EventKind, Function, Nanoseconds, ProcessId, Value};

/// What a client is about to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// What to do.
    pub function: Function,
    /// What to do it to.
    pub key: Value,
    /// The argument; null for a read, `[expected, new]` for a compare-and-set.
    pub value: Value,
    /// For a delete: it is to happen once this much time has passed, not now. When it does, if it
    /// does, nobody is told; so such a delete is one whose outcome stays open.
    pub after: Option<Duration>,
}

impl Invocation {
    /// A read of `key`.
    pub fn read(key: Value) -> Self {
        Self::of(Function::Read, key, Value::Null)
    }

    /// A write of `value` to `key`.
    pub fn write(key: Value, value: Value) -> Self {
        Self::of(Function::Write, key, value)
    }

    /// A compare-and-set of `key` from `expected` to `new`.
    pub fn cas(key: Value, expected: Value, new: Value) -> Self {
        Self::of(Function::Cas, key, Value::list([expected, new]))
    }

    /// An append of `token` to `key`.
    pub fn append(key: Value, token: Value) -> Self {
        Self::of(Function::Append, key, token)
    }

    /// A delete of `key`.
    pub fn delete(key: Value) -> Self {
        Self::of(Function::Delete, key, Value::Null)
    }

    /// Lets `key` expire `after` so long.
    pub fn expire(key: Value, after: Duration) -> Self {
        Self { after: Some(after), ..Self::delete(key) }
    }

    const fn of(function: Function, key: Value, value: Value) -> Self {
        Self { function, key, value, after: None }
    }

    /// What kind of operation it is, in a word.
    pub const fn kind(&self) -> &'static str {
        match (self.function, self.after) {
            (Function::Delete, Some(_)) => "expiration",
            (Function::Cas, _) => "compare-and-set",
            (function, _) => function.name(),
        }
    }

    /// The event that records this invocation.
    pub fn event(&self, index: u64, time: Nanoseconds, process: ProcessId) -> Event {
        Event {
            index,
            time,
            process,
            kind: EventKind::Invoke,
            function: self.function,
            key: self.key.clone(),
            value: self.value.clone(),
            swapped: None,
            saw: None,
            node: None,
            error: None,
        }
    }
}

/// What came of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    /// A read returned this.
    Read(Value),
    /// It was done.
    Done,
    /// A compare-and-set matched.
    Swapped,
    /// A compare-and-set found this value instead of the expected one.
    Mismatch(Value),
    /// It was accepted and happens later, when nobody tells; recorded as `info`.
    Scheduled,
    /// It certainly did not happen and never will; why.
    Fail(Arc<str>),
    /// It may have happened, may happen later, or never; why.
    Info(Arc<str>),
}

impl Completion {
    /// What kind of event records this completion.
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Fail(_) => EventKind::Fail,
            Self::Info(_) | Self::Scheduled => EventKind::Info,
            _ => EventKind::Ok,
        }
    }

    /// The event that records this completion of `invocation`.
    pub fn event(
        &self,
        invocation: &Invocation,
        index: u64,
        time: Nanoseconds,
        process: ProcessId,
    ) -> Event {
        let mut event = invocation.event(index, time, process);
        event.kind = self.kind();
        match self {
            Self::Read(value) => event.value = value.clone(),
            Self::Done => {}
            Self::Swapped => event.swapped = Some(true),
            Self::Mismatch(saw) => {
                event.swapped = Some(false);
                event.saw = Some(saw.clone());
            }
            Self::Scheduled => event.error = Some("the key expires in a while".into()),
            Self::Fail(why) | Self::Info(why) => event.error = Some(Arc::clone(why)),
        }
        event
    }

    /// The value that the key held when the operation happened, as far as the completion tells.
    pub fn observed<'a>(&'a self, invocation: &'a Invocation) -> Option<&'a Value> {
        match (self, &invocation.value) {
            (Self::Read(value) | Self::Mismatch(value), _) => Some(value),
            (Self::Done, value) if !matches!(invocation.function, Function::Append) => Some(value),
            (Self::Swapped, Value::List(operands)) => operands.get(1),
            _ => None,
        }
    }
}
