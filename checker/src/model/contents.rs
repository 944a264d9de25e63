//! What the containers among the models share: how they begin, and which calls go together.

use thiserror::Error;

use super::Call;
use crate::event::Function;
use crate::history::{Action, Response};
use crate::value::{Value, ValueId, Values};

/// Why an object cannot begin as asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected the initial value of a {model} to be {expected}, found {found}")]
pub struct BadInitial {
    /// The model.
    pub model: &'static str,
    /// What its initial value may be.
    pub expected: &'static str,
    /// What it was to be.
    pub found: Value,
}

/// The items of `initial`, a list or null, by their numbers. One that the history never names gets
/// a number after all others: no operation has it.
pub(super) fn items(
    model: &'static str,
    initial: &Value,
    values: &Values,
) -> Result<Vec<ValueId>, BadInitial> {
    let items: &[Value] = match initial {
        Value::Null => &[],
        Value::List(items) => items,
        found => {
            let (expected, found) = ("null or a list of its items", found.clone());
            return Err(BadInitial { model, expected, found });
        }
    };
    let number = |(item, unnamed)| values.find(item).unwrap_or(ValueId(unnamed));
    Ok(items.iter().zip(values.len() as u32..).map(number).collect())
}

/// How many items of a state errors show.
const SHOWN: usize = 16;

/// The first few of the items, for people.
pub(super) fn shown(values: &Values, items: impl IntoIterator<Item = u32>) -> Value {
    let mut items = items.into_iter();
    let show = |item: u32| {
        if (item as usize) < values.len() {
            values.get(ValueId(item)).clone()
        } else {
            Value::text("an item that no operation names")
        }
    };
    let mut shown: Vec<Value> = items.by_ref().take(SHOWN).map(show).collect();
    if items.next().is_some() {
        shown.push(Value::text("…"));
    }
    Value::list(shown)
}

/// The functions by which a container is filled and emptied.
#[derive(Clone, Copy)]
pub(super) struct PutAndTake {
    pub put: Function,
    pub take: Function,
}

impl PutAndTake {
    /// The item that the call put in or took out, as far as is known; null if nothing was there.
    fn item(self, call: Call) -> Option<ValueId> {
        match (call.action, call.response) {
            (Action::Other(function, item), _) if function == self.put => Some(item),
            (Action::Other(function, _), Some(Response::Value(item))) if function == self.take => {
                Some(item)
            }
            _ => None,
        }
    }

    /// Whether the call found nothing to take.
    pub(super) fn found_nothing(self, call: Call) -> bool {
        matches!(call.action, Action::Other(function, _) if function == self.take)
            && call.response == Some(Response::Value(ValueId::NULL))
    }

    /// Whether `observer` may be wrong without `writer`, for a container that gives every item back
    /// once and begins empty: leaving out all calls on an item changes nothing for the others, and
    /// what was empty still is. A take of unknown outcome that took the item need not have happened.
    pub(super) fn relies_on(self, observer: Call, writer: Call) -> bool {
        match (self.item(observer), self.item(writer)) {
            (_, Some(ValueId::NULL)) | (None, _) => false,
            (Some(one), Some(other)) => one == other,
            // It may have taken any item, which without it could be in the way of others.
            (Some(_), None) => {
                matches!(observer.action, Action::Other(function, _) if function == self.put)
            }
        }
    }
}
