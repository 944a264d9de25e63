//! A queue: enqueue at the tail, dequeue from the head.

use super::contents::{BadInitial, PutAndTake, items, shown};
use super::persistent::Trie;
use super::{Call, Model, is_acknowledgement};
use crate::event::Function;
use crate::history::{Action, Response};
use crate::value::{Value, ValueId, Values};

const ENDS: PutAndTake = PutAndTake { put: Function::Enqueue, take: Function::Dequeue };

/// What [`ModelKind::Queue`](super::ModelKind::Queue) does.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    initial: QueueState,
}

/// The content of a [`Queue`]: the items by how many were put in before them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct QueueState {
    items: Trie,
    head: u32,
    tail: u32,
}

impl QueueState {
    fn with(&self, item: ValueId) -> Self {
        Self { items: self.items.with(self.tail, item.0), tail: self.tail + 1, head: self.head }
    }

    fn head(&self) -> Option<ValueId> {
        self.items.get(self.head).map(ValueId)
    }

    fn without_head(&self) -> Self {
        if self.head == self.tail {
            return self.clone();
        }
        Self { items: self.items.without(self.head), head: self.head + 1, tail: self.tail }
    }
}

impl Queue {
    /// The name that stands in certificates.
    pub(crate) const NAME: &'static str = "queue";

    /// A queue that, before the first operation of a history with these `values`, holds the items
    /// of the list `initial`, the head first; none if that is null.
    ///
    /// # Errors
    ///
    /// If `initial` is neither null nor a list.
    pub(crate) fn new(initial: &Value, values: &Values) -> Result<Self, BadInitial> {
        let empty = QueueState { items: Trie::new(0), head: 0, tail: 0 };
        let items = items(Self::NAME, initial, values)?;
        Ok(Self { initial: items.into_iter().fold(empty, |state, item| state.with(item)) })
    }

    /// Whether nothing is in the queue before the first operation.
    pub(crate) const fn begins_empty(&self) -> bool {
        self.initial.tail == 0
    }
}

impl Model for Queue {
    type State = QueueState;

    fn heap_bytes(&self, state: &QueueState) -> usize {
        state.items.bytes_per_change()
    }

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn initial(&self) -> QueueState {
        self.initial.clone()
    }

    fn knows(&self, call: Call) -> bool {
        match call.action {
            Action::Other(Function::Enqueue, item) => {
                item != ValueId::NULL && is_acknowledgement(item, call.response)
            }
            Action::Other(Function::Dequeue, _) => {
                matches!(call.response, None | Some(Response::Value(_)))
            }
            _ => false,
        }
    }

    fn step(&self, state: &QueueState, call: Call) -> Option<QueueState> {
        match (call.action, call.response) {
            (Action::Other(Function::Enqueue, item), _) => Some(state.with(item)),
            (Action::Other(Function::Dequeue, _), None) => Some(state.without_head()),
            (Action::Other(Function::Dequeue, _), Some(Response::Value(answer))) => {
                let head = state.head().unwrap_or(ValueId::NULL);
                (answer == head).then(|| state.without_head())
            }
            _ => None,
        }
    }

    fn is_pure(&self, call: Call) -> bool {
        ENDS.found_nothing(call)
    }

    fn relies_on(&self, observer: Call, writer: Call) -> bool {
        if self.begins_empty() { ENDS.relies_on(observer, writer) } else { !self.is_pure(writer) }
    }

    fn shown(&self, state: &QueueState, values: &Values) -> Value {
        shown(values, state.items.entries().into_iter().map(|(_, item)| item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::{call, run};

    #[test]
    fn first_in_is_first_out() {
        let mut values = Values::default();
        let [a, b] = [1, 2].map(|number| values.intern(&Value::Integer(number)));
        let queue = Queue::new(&Value::Null, &values).unwrap();
        let enqueue = |item| call(Function::Enqueue, item, Some(ValueId::NULL));
        let dequeue = |item| call(Function::Dequeue, ValueId::NULL, Some(item));
        assert!(run(&queue, [enqueue(a), enqueue(b), dequeue(a), dequeue(b)]).is_some());
        assert!(run(&queue, [enqueue(a), enqueue(b), dequeue(b)]).is_none());
        assert!(run(&queue, [enqueue(a), dequeue(ValueId::NULL)]).is_none());
        assert!(run(&queue, [dequeue(ValueId::NULL), enqueue(a), dequeue(a)]).is_some());
    }

    #[test]
    fn unknown_dequeue_takes_the_head_or_nothing() {
        let mut values = Values::default();
        let [a, b] = [1, 2].map(|number| values.intern(&Value::Integer(number)));
        let initial = Value::list([Value::Integer(1), Value::Integer(2)]);
        let queue = Queue::new(&initial, &values).unwrap();
        let unknown = call(Function::Dequeue, ValueId::NULL, None);
        let dequeue = |item| call(Function::Dequeue, ValueId::NULL, Some(item));
        assert!(run(&queue, [unknown, dequeue(b), unknown, dequeue(ValueId::NULL)]).is_some());
        assert!(run(&queue, [unknown, dequeue(a)]).is_none());
    }
}
