//! The ways of finding an order, or showing that there is none.
//!
//! Every engine works on the [`Span`]s of one key: linearizability is local (Herlihy & Wing 1990,
//! §3.3), so a history is linearizable exactly if every key's part of it is.

mod append;
pub(crate) mod auto;
mod cancellation;
mod choice;
mod containers;
mod counterexample;
pub(crate) mod frontier;
mod memory_estimate;
pub(crate) mod monitor;
mod named;
pub(crate) mod parts;
mod phrases;
pub(crate) mod reduction;
mod sets;
mod slots;
mod sorting;
pub(crate) mod wgl;
pub(crate) mod zones;

pub(crate) use cancellation::{Cancellation, Stopped};
pub use choice::{ENGINES, EngineChoice, EngineEntry, UnknownEngine};
pub(crate) use monitor::{Decision, Monitored};
pub(crate) use slots::Slots;

use crate::event::Function;
use crate::history::{Action, History, Outcome};
use crate::model::{Call, Model};
use crate::verdict::CounterexampleOperation;

/// The end of a span whose operation may take effect at any later time, or never.
pub(crate) const NEVER: u64 = u64::MAX;

/// An operation and the stretch of the history in which it must take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// What was asked and answered.
    pub call: Call,
    /// The position of the invocation, counted from 1: 0 is before the history.
    pub invoked: u64,
    /// The position of the completion, counted from 1; [`NEVER`] if the outcome is unknown.
    pub returned: u64,
    /// The operation's place in [`History::operations`].
    pub operation: u32,
}

impl Span {
    /// Whether the operation is known to have happened.
    pub(crate) const fn is_completed(&self) -> bool {
        self.returned != NEVER
    }
}

/// The spans of the operations at `places` of the history, by invocation. Leaves out the failed
/// ones, and those of unknown outcome that change nothing: whether they happened cannot be seen.
pub(crate) fn spans<M: Model>(history: &History, places: &[u32], model: &M) -> Vec<Span> {
    spans_until(history, places, model, &Cancellation::never()).expect("nothing tells it to stop")
}

/// As [`spans`].
///
/// # Errors
///
/// [`Stopped`] if the time is up.
pub(crate) fn spans_until<M: Model>(
    history: &History,
    places: &[u32],
    model: &M,
    cancellation: &Cancellation<'_>,
) -> Result<Vec<Span>, Stopped> {
    let mut spans = Vec::with_capacity(places.len());
    for &place in places {
        cancellation.step()?;
        let operation = &history.operations[place as usize];
        let (response, returned) = match operation.outcome {
            Outcome::Ok(moment, response) => (Some(response), moment.position + 1),
            Outcome::Info(_) => (None, NEVER),
            Outcome::Fail(_) => continue,
        };
        let call = Call { action: operation.action, response };
        if response.is_some() || !model.is_pure(call) {
            let invoked = operation.invoked.position + 1;
            spans.push(Span { call, invoked, returned, operation: place });
        }
    }
    Ok(spans)
}

/// The operation of `span` as a counterexample shows it: a compare-and-set of which only what it
/// wrote matters, by its span or by `as_write`, as a write.
pub(crate) fn witness(history: &History, span: &Span, as_write: bool) -> CounterexampleOperation {
    let operation = &history.operations[span.operation as usize];
    let mut witness = history.witness(operation);
    let as_write = as_write || matches!(span.call.action, Action::Write(_));
    if let (true, Action::Cas { new, .. }) = (as_write, operation.action) {
        witness.function = Function::Write;
        witness.value = history.values.get(new).clone();
        witness.swapped = None;
    }
    witness
}
