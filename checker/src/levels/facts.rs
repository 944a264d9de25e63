//! What operations on single keys say of one another: who read what, who wrote what.

use rustc_hash::FxHashMap;

use crate::engines::{Cancellation, Stopped};
use crate::event::{Function, ProcessId};
use crate::history::{Action, History, Operation, Outcome, Response};
use crate::initial::KeyInitials;
use crate::model::ModelKind;
use crate::value::{Value, ValueId};

/// What is known of one operation that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fact {
    /// Its place in the history.
    pub place: u32,
    /// The session that it belongs to.
    pub session: u32,
    pub key: u32,
    pub observed: Observed,
    /// The value that it leaves, or of an append the token.
    pub written: Option<ValueId>,
    pub completed: bool,
}

/// What an operation saw before its own effect, if it had one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Observed {
    Nothing,
    Is(ValueId),
    /// Any value but this one.
    Not(ValueId),
}

/// The operations of a history, without the failed ones and those of unknown outcome that change
/// nothing.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub history: &'a History,
    pub all: Vec<Fact>,
    /// How many sessions there are. A session is a process.
    pub sessions: u32,
    /// Whether keys are lists that are appended to.
    pub is_list: bool,
    /// What each key holds before the first operation; possibly a number past the last value.
    pub initial: Vec<ValueId>,
}

/// What cannot be understood as an operation of the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoMeaning(pub u32);

/// A number that no value of the history has.
const UNNAMED: u32 = u32::MAX;

impl<'a> Facts<'a> {
    /// The facts of the operations of a register or an append object; of the first operation that is
    /// none of these its place.
    pub(super) fn of(
        history: &'a History,
        (model, initial, by_key): (ModelKind, &Value, &KeyInitials),
        cancellation: &Cancellation<'_>,
    ) -> Result<Result<Self, NoMeaning>, Stopped> {
        let unnamed = ValueId(UNNAMED);
        let number = |value: &Value| history.values.find(value).unwrap_or(unnamed);
        let deleted = number(initial);
        let of_key = |key: &Value| match by_key {
            KeyInitials::Listed(values) => values.get(key).map_or(deleted, number),
            _ => deleted,
        };
        let initial = history.keys.iter().map(of_key).collect();
        let mut sessions: FxHashMap<ProcessId, u32> = FxHashMap::default();
        let mut all = Vec::with_capacity(history.operations.len());
        for (place, operation) in history.operations.iter().enumerate() {
            cancellation.step()?;
            let place = place as u32;
            let completed = match operation.outcome {
                Outcome::Fail(_) => continue,
                Outcome::Ok(..) => true,
                Outcome::Info(_) => false,
            };
            let meaning = match model {
                ModelKind::Append => of_append(operation),
                _ => of_register(operation, deleted),
            };
            let Some((observed, written)) = meaning else { return Ok(Err(NoMeaning(place))) };
            let next = sessions.len() as u32;
            let session = *sessions.entry(operation.process).or_insert(next);
            if completed || written.is_some() {
                let key = operation.key.0;
                all.push(Fact { place, session, key, observed, written, completed });
            }
        }
        let sessions = sessions.len() as u32;
        let is_list = model == ModelKind::Append;
        Ok(Ok(Self { history, all, sessions, is_list, initial }))
    }

    /// The operation that a fact is about.
    pub(super) fn operation(&self, fact: u32) -> &'a Operation {
        &self.history.operations[self.all[fact as usize].place as usize]
    }
}

type Meaning = (Observed, Option<ValueId>);

fn of_register(operation: &Operation, deleted: ValueId) -> Option<Meaning> {
    let response = operation.response();
    Some(match (operation.action, response) {
        (Action::Read, Some(Response::Value(value))) => (Observed::Is(value), None),
        (Action::Read, None) => (Observed::Nothing, None),
        (Action::Write(value), None | Some(Response::Done)) => (Observed::Nothing, Some(value)),
        (Action::Delete, None | Some(Response::Done)) => (Observed::Nothing, Some(deleted)),
        (Action::Cas { expected, new }, None | Some(Response::Swapped)) => {
            (Observed::Is(expected), Some(new))
        }
        (Action::Cas { expected, .. }, Some(Response::Mismatch(None))) => {
            (Observed::Not(expected), None)
        }
        (Action::Cas { expected, .. }, Some(Response::Mismatch(Some(saw)))) if saw != expected => {
            (Observed::Is(saw), None)
        }
        _ => return None,
    })
}

fn of_append(operation: &Operation) -> Option<Meaning> {
    Some(match (operation.action, operation.response()) {
        (Action::Read, Some(Response::Value(value))) => (Observed::Is(value), None),
        (Action::Read, None) => (Observed::Nothing, None),
        (Action::Other(Function::Append, token), None | Some(Response::Done)) => {
            (Observed::Nothing, Some(token))
        }
        (Action::Other(Function::Append, token), Some(Response::Value(answer)))
            if answer == token || answer == ValueId::NULL =>
        {
            (Observed::Nothing, Some(token))
        }
        _ => return None,
    })
}
