//! A stack: push on top, pop from the top.

use super::contents::{BadInitial, PutAndTake, items, shown};
use super::persistent::List;
use super::{Call, Model, is_acknowledgement};
use crate::event::Function;
use crate::history::{Action, Response};
use crate::value::{Value, ValueId, Values};

const TOP: PutAndTake = PutAndTake { put: Function::Push, take: Function::Pop };

/// What [`ModelKind::Stack`](super::ModelKind::Stack) does.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    initial: StackState,
}

/// The content of a [`Stack`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct StackState(List);

impl Stack {
    /// The name that stands in certificates.
    pub(crate) const NAME: &'static str = "stack";

    /// A stack that, before the first operation of a history with these `values`, holds the items
    /// of the list `initial`, the top last; none if that is null.
    ///
    /// # Errors
    ///
    /// If `initial` is neither null nor a list.
    pub(crate) fn new(initial: &Value, values: &Values) -> Result<Self, BadInitial> {
        let items = items(Self::NAME, initial, values)?;
        let list = items.into_iter().fold(List::default(), |list, item| list.with(item.0));
        Ok(Self { initial: StackState(list) })
    }

    /// Whether nothing is on the stack before the first operation.
    pub(crate) fn begins_empty(&self) -> bool {
        self.initial.0.top().is_none()
    }
}

impl Model for Stack {
    type State = StackState;

    fn heap_bytes(&self, _: &StackState) -> usize {
        List::BYTES_PER_CHANGE
    }

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn initial(&self) -> StackState {
        self.initial.clone()
    }

    fn knows(&self, call: Call) -> bool {
        match call.action {
            Action::Other(Function::Push, item) => {
                item != ValueId::NULL && is_acknowledgement(item, call.response)
            }
            Action::Other(Function::Pop, _) => {
                matches!(call.response, None | Some(Response::Value(_)))
            }
            _ => false,
        }
    }

    fn step(&self, state: &StackState, call: Call) -> Option<StackState> {
        let below = || state.0.top().map_or_else(|| state.clone(), |(_, below)| below.into());
        match (call.action, call.response) {
            (Action::Other(Function::Push, item), _) => Some(StackState(state.0.with(item.0))),
            (Action::Other(Function::Pop, _), None) => Some(below()),
            (Action::Other(Function::Pop, _), Some(Response::Value(answer))) => {
                let top = state.0.top().map_or(ValueId::NULL, |(item, _)| ValueId(item));
                (answer == top).then(below)
            }
            _ => None,
        }
    }

    fn is_pure(&self, call: Call) -> bool {
        TOP.found_nothing(call)
    }

    fn relies_on(&self, observer: Call, writer: Call) -> bool {
        if self.begins_empty() { TOP.relies_on(observer, writer) } else { !self.is_pure(writer) }
    }

    fn shown(&self, state: &StackState, values: &Values) -> Value {
        shown(values, state.0.iter())
    }
}

impl From<&List> for StackState {
    fn from(list: &List) -> Self {
        Self(list.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::{call, run};

    #[test]
    fn last_in_is_first_out() {
        let mut values = Values::default();
        let [a, b] = [1, 2].map(|number| values.intern(&Value::Integer(number)));
        let stack = Stack::new(&Value::Null, &values).unwrap();
        let push = |item| call(Function::Push, item, Some(item));
        let pop = |item| call(Function::Pop, ValueId::NULL, Some(item));
        assert!(run(&stack, [push(a), push(b), pop(b), pop(a), pop(ValueId::NULL)]).is_some());
        assert!(run(&stack, [push(a), push(b), pop(a)]).is_none());
        assert!(run(&stack, [push(a), pop(ValueId::NULL)]).is_none());
    }
}
