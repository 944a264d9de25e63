//! What objects hold before the first operation, where that is not one value for all.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use crate::engines::Span;
use crate::history::{Action, Response};
use crate::model::{Append, BadInitial, Counter, Lock, MultiRegister, Queue, Register, Set, Stack};
use crate::value::{Value, ValueId, Values};

/// What the objects of single keys hold before the first operation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum KeyInitials {
    /// What all objects hold.
    #[default]
    Same,
    /// A value for each of these keys; all others hold what all objects hold.
    Listed(BTreeMap<Value, Value>),
    /// Any one value: a register is linearizable if there is a value with which it is. For registers
    /// only.
    Unknown,
}

/// A model whose objects can begin with one value or another.
pub(crate) trait Begins<'a>: Sized {
    /// The object that holds `initial` before the first operation of a history with these `values`.
    /// A delete leaves `deleted`.
    fn begin(initial: &Value, deleted: &Value, values: &'a Values) -> Result<Self, BadInitial>;
}

macro_rules! begins {
    ($($model:ty),*) => {$(
        impl<'a> Begins<'a> for $model {
            fn begin(initial: &Value, _: &Value, values: &'a Values) -> Result<Self, BadInitial> {
                Self::new(initial, values)
            }
        }
    )*};
}

begins!(Append<'a>, Counter<'a>, Set<'a>, Queue, Stack, Lock<'a>);

impl<'a> Begins<'a> for Register {
    fn begin(initial: &Value, deleted: &Value, values: &'a Values) -> Result<Self, BadInitial> {
        Ok(Self::begun(initial, deleted, values))
    }
}

impl<'a> Begins<'a> for MultiRegister {
    fn begin(initial: &Value, _: &Value, values: &'a Values) -> Result<Self, BadInitial> {
        Ok(Self::new(initial, values))
    }
}

/// The values with which a register can have begun, among them one with which `spans`, its
/// operations by invocation, are linearizable if they are with any.
///
/// What was observed and never written must be the initial value; of two of those, one is enough
/// to show the contradiction. Without any, the initial value is either never observed, and then
/// any value will do that none of the operations name, or by an operation that comes before all
/// writes, and then was invoked before the first of them came back.
pub(crate) fn candidates(spans: &[Span], values: &Values) -> Vec<Value> {
    let written: FxHashSet<ValueId> = spans.iter().filter_map(written).collect();
    if let Some(first) = spans.iter().filter_map(seen).find(|value| !written.contains(value)) {
        return vec![values.get(first).clone()];
    }
    let first_return = spans
        .iter()
        .filter(|span| written_surely(span))
        .map(|span| span.returned)
        .min()
        .unwrap_or(u64::MAX);
    let mut found: Vec<ValueId> = Vec::new();
    for span in spans.iter().filter(|span| span.invoked < first_return) {
        if let Some(value) = seen(span).or_else(|| expected(span))
            && !found.contains(&value)
        {
            found.push(value);
        }
    }
    let mut all = vec![fresh(values)];
    all.extend(found.into_iter().map(|value| values.get(value).clone()));
    all
}

/// A value that the history does not name.
fn fresh(values: &Values) -> Value {
    let named = |text: &String| values.find(&Value::text(text.as_str())).is_none();
    let names = (0..).map(|number| match number {
        0 => "any value".to_owned(),
        number => format!("any value {number}"),
    });
    Value::text(names.into_iter().find(named).unwrap_or_default())
}

/// What the operation writes, if it takes effect.
fn written(span: &Span) -> Option<ValueId> {
    match (span.call.action, span.call.response) {
        (Action::Write(value), _) => Some(value),
        (Action::Cas { new, .. }, None | Some(Response::Swapped)) => Some(new),
        (Action::Delete, _) => Some(ValueId::NULL),
        _ => None,
    }
}

/// Whether the operation changed the register for certain.
fn written_surely(span: &Span) -> bool {
    span.call.response.is_some() && written(span).is_some()
}

/// What the operation found in the register for certain.
fn seen(span: &Span) -> Option<ValueId> {
    match (span.call.action, span.call.response) {
        (Action::Read, Some(Response::Value(value))) => Some(value),
        (Action::Cas { expected, .. }, Some(Response::Swapped)) => Some(expected),
        (Action::Cas { .. }, Some(Response::Mismatch(saw))) => saw,
        _ => None,
    }
}

/// What a compare-and-set of unknown outcome found if it swapped.
fn expected(span: &Span) -> Option<ValueId> {
    match (span.call.action, span.call.response) {
        (Action::Cas { expected, .. }, None) => Some(expected),
        _ => None,
    }
}
