//! What an object does when it is used by one client at a time: the meaning of *correct*.
//!
//! An engine looks for an order of the operations that a [`Model`] accepts one after another. A
//! model is a pure function of a state and a call; it knows nothing of time, clients or files.

mod append;
mod contents;
mod counter;
mod kind;
mod lock;
pub(crate) mod micro_operation;
mod multi_register;
mod persistent;
mod queue;
mod register;
mod set;
mod stack;

pub(crate) use append::Append;
pub use contents::BadInitial;
pub(crate) use counter::Counter;
pub(crate) use kind::with_model;
pub use kind::{MODELS, ModelEntry, ModelKind, UnknownModel};
pub(crate) use lock::Lock;
pub(crate) use multi_register::MultiRegister;
pub(crate) use multi_register::{INITIAL, Step};
pub(crate) use queue::Queue;
pub(crate) use register::Register;
pub(crate) use set::Set;
pub(crate) use stack::Stack;

use std::fmt::Debug;
use std::hash::Hash;

use crate::history::{Action, Response};
use crate::value::{Value, ValueId, Values};

/// An operation as a model sees it: what was asked, and what was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Call {
    /// What was asked.
    pub action: Action,
    /// What was answered; absent where that is unknown.
    pub response: Option<Response>,
}

/// A sequential object: its states, and what every operation answers and does in each.
///
/// Values are the history's [interned](crate::value::Values) ones: a model that must look inside
/// them keeps a reference to the table.
pub(crate) trait Model {
    /// What the object holds. Engines intern states, so they should be cheap to clone and hash.
    /// They own what they hold: a search that was told to stop leaves it to another thread to free
    /// them.
    type State: Clone + Eq + Hash + Debug + Send + 'static;

    /// The name that stands in certificates.
    fn name(&self) -> &'static str;

    /// The state before the first operation.
    fn initial(&self) -> Self::State;

    /// Whether the model gives `call` a meaning. Engines ask it of every call before the search: a
    /// call without a meaning makes the verdict unknown, never a violation.
    fn knows(&self, call: Call) -> bool;

    /// The state after `call`, or nothing if the object would never have answered so in `state`.
    ///
    /// A call without a response may have had any; accept it and do what it does. Whatever state a
    /// call with a response leads to, the same call without must lead to as well.
    fn step(&self, state: &Self::State, call: Call) -> Option<Self::State>;

    /// Whether `call` never changes any state. True must be certain: engines leave such calls out
    /// where their response is unknown, and never try a legal one at two places.
    fn is_pure(&self, _call: Call) -> bool {
        false
    }

    /// Whether `observer` may owe its response to `writer` having happened. False must be certain:
    /// a history without `writer` and without all calls that rely on it must still be linearizable
    /// if the whole was. Counterexamples are minimised along this.
    fn relies_on(&self, _observer: Call, writer: Call) -> bool {
        !self.is_pure(writer)
    }

    /// A call that could stand wherever `call` can, leads to the same state and relies on less, if
    /// there is one: a compare-and-set that matched is also a write. Counterexamples may show it
    /// instead, where that is enough to contradict the rest.
    fn relaxed(&self, _call: Call) -> Option<Call> {
        None
    }

    /// The state that `call` leaves whatever state it finds, if there is one and `call` is legal in
    /// every state: the mark of a *blind write*. Nobody can tell a blind write that another one
    /// follows at once from one that never was, and engines leave such orders out.
    fn overwrites(&self, _call: Call) -> Option<Self::State> {
        None
    }

    /// The only state in which `call` is legal or, without a response, does something; nothing if
    /// there may be several. Engines ask it to tell which states will never be observed again.
    fn demands(&self, _call: Call) -> Option<Self::State> {
        None
    }

    /// About how many bytes a state and a copy of it take beyond their own sizes, and beyond what
    /// they share with the states they came from. Searches count it to keep within their memory.
    fn heap_bytes(&self, _state: &Self::State) -> usize {
        0
    }

    /// What the object holds in `state`, for people. `values` are those of the history.
    fn shown(&self, state: &Self::State, _values: &Values) -> Value {
        Value::text(format!("{state:?}"))
    }
}

/// Whether a response to a call with this argument says no more than that it happened: clients
/// answer changes with nothing, or with the argument again.
fn is_acknowledgement(argument: ValueId, response: Option<Response>) -> bool {
    match response {
        None | Some(Response::Done | Response::Value(ValueId::NULL)) => true,
        Some(Response::Value(answer)) => answer == argument,
        Some(_) => false,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::event::Function;

    pub(crate) fn call(function: Function, argument: ValueId, answer: Option<ValueId>) -> Call {
        Call { action: Action::Other(function, argument), response: answer.map(Response::Value) }
    }

    /// The state after all of the calls in a row, if the model accepts them.
    pub(crate) fn run<M: Model>(
        model: &M,
        calls: impl IntoIterator<Item = Call>,
    ) -> Option<M::State> {
        let step = |state: M::State, call: Call| {
            assert!(model.knows(call), "{call:?}");
            model.step(&state, call)
        };
        calls.into_iter().try_fold(model.initial(), step)
    }
}
