//! Phrases about operations of a history, for the explanations of monitors.

use super::Span;
use crate::event::Nanoseconds;
use crate::history::{History, Operation, Outcome, Response};
use crate::value::Value;
use crate::words::{brief, instant};

/// The operations of one object, in words.
pub(super) struct Phrases<'a> {
    pub history: &'a History,
    pub spans: &'a [Span],
    /// The object's key.
    pub key: &'a Value,
}

impl<'a> Phrases<'a> {
    /// Of the object that the spans, of which there is at least one, belong to.
    pub(super) fn new(history: &'a History, spans: &'a [Span]) -> Self {
        let key = history.key(history.operations[spans[0].operation as usize].key);
        Self { history, spans, key }
    }

    pub(super) fn operation(&self, span: u32) -> &'a Operation {
        &self.history.operations[self.spans[span as usize].operation as usize]
    }

    /// "process 3 (via n1)"
    pub(super) fn who(&self, span: u32) -> String {
        let operation = self.operation(span);
        match operation.node {
            Some(node) => {
                let name = &self.history.nodes[usize::from(node.0)];
                format!("process {} (via {name})", operation.process)
            }
            None => format!("process {}", operation.process),
        }
    }

    /// "k1", or the words for the only object.
    pub(super) fn object(&self, kind: &str) -> String {
        match self.key {
            Value::Null => format!("the {kind}"),
            key => format!("{kind} {key}"),
        }
    }

    /// The argument of the operation, in words.
    pub(super) fn asked(&self, span: u32) -> String {
        brief(&self.argument(span))
    }

    /// What the operation answered, in words.
    pub(super) fn answered(&self, span: u32) -> String {
        brief(&self.answer(span))
    }

    /// The argument of the operation.
    pub(super) fn argument(&self, span: u32) -> Value {
        self.history.argument(self.operation(span).action)
    }

    /// What the operation answered.
    pub(super) fn answer(&self, span: u32) -> Value {
        match self.operation(span).response() {
            Some(Response::Value(answer)) => self.history.values.get(answer).clone(),
            _ => Value::Null,
        }
    }

    /// When the operation was invoked: "12.345 s", "event 84".
    pub(super) fn from(&self, span: u32) -> String {
        instant(self.began(span), self.history.has_clock())
    }

    /// When the operation came back: "12.345 s", "event 84".
    pub(super) fn until(&self, span: u32) -> String {
        instant(self.ended(span), self.history.has_clock())
    }

    pub(super) fn began(&self, span: u32) -> Nanoseconds {
        self.operation(span).invoked.time
    }

    pub(super) fn ended(&self, span: u32) -> Nanoseconds {
        match self.operation(span).outcome {
            Outcome::Ok(moment, _) | Outcome::Fail(moment) | Outcome::Info(Some(moment)) => {
                moment.time
            }
            Outcome::Info(None) => self.operation(span).invoked.time,
        }
    }
}
