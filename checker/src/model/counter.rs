//! A counter: add to it, read it.

use super::contents::BadInitial;
use super::{Call, Model, is_acknowledgement};
use crate::event::Function;
use crate::history::{Action, Response};
use crate::value::{Value, ValueId, Values};

/// What [`ModelKind::Counter`](super::ModelKind::Counter) does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counter<'a> {
    initial: i64,
    values: &'a Values,
}

impl<'a> Counter<'a> {
    /// The name that stands in certificates.
    pub(crate) const NAME: &'static str = "counter";

    /// A counter at `initial` before the first operation of a history with these `values`; at 0 if
    /// that is null.
    ///
    /// # Errors
    ///
    /// If `initial` is neither null nor an integer.
    pub(crate) fn new(initial: &Value, values: &'a Values) -> Result<Self, BadInitial> {
        match *initial {
            Value::Null => Ok(Self { initial: 0, values }),
            Value::Integer(initial) => Ok(Self { initial, values }),
            ref found => {
                let (expected, found) = ("null or an integer", found.clone());
                Err(BadInitial { model: Self::NAME, expected, found })
            }
        }
    }

    /// The amount that the call adds, if it is an addition.
    pub(crate) fn added(&self, call: Call) -> Option<i64> {
        match call.action {
            Action::Other(Function::Add, amount) => self.integer(amount),
            _ => None,
        }
    }

    /// The sum that the call answered, if it is a read.
    pub(crate) fn observed(&self, call: Call) -> Option<i64> {
        match (call.action, call.response) {
            (Action::Read, Some(Response::Value(ValueId::NULL))) => Some(0),
            (Action::Read, Some(Response::Value(sum))) => self.integer(sum),
            _ => None,
        }
    }

    fn integer(&self, value: ValueId) -> Option<i64> {
        match self.values.get(value) {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }
}

impl Model for Counter<'_> {
    /// Wider than any amount, so that it cannot overflow.
    type State = i128;

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn initial(&self) -> i128 {
        self.initial.into()
    }

    fn knows(&self, call: Call) -> bool {
        match call.action {
            Action::Read => call.response.is_none() || self.observed(call).is_some(),
            Action::Other(Function::Add, amount) => {
                self.integer(amount).is_some() && is_acknowledgement(amount, call.response)
            }
            _ => false,
        }
    }

    fn step(&self, &sum: &i128, call: Call) -> Option<i128> {
        match (call.action, call.response) {
            (Action::Read, None) => Some(sum),
            (Action::Read, _) => (self.observed(call)? == i64::try_from(sum).ok()?).then_some(sum),
            _ => Some(sum + i128::from(self.added(call)?)),
        }
    }

    fn is_pure(&self, call: Call) -> bool {
        matches!(call.action, Action::Read) || self.added(call) == Some(0)
    }

    fn relies_on(&self, observer: Call, writer: Call) -> bool {
        !self.is_pure(writer) && matches!(observer.action, Action::Read)
    }

    fn shown(&self, &sum: &i128, _values: &Values) -> Value {
        i64::try_from(sum).map_or_else(|_| Value::text(sum.to_string()), Value::Integer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::{call, run};

    #[test]
    fn read_answers_the_sum_of_all_before_it() {
        let mut values = Values::default();
        let [two, minus, one] = [2, -1, 1].map(|number| values.intern(&Value::Integer(number)));
        let counter = Counter::new(&Value::Null, &values).unwrap();
        let add = |amount| call(Function::Add, amount, None);
        let read = |sum| Call { action: Action::Read, response: Some(Response::Value(sum)) };
        assert!(run(&counter, [read(ValueId::NULL), add(two), add(minus), read(one)]).is_some());
        assert!(run(&counter, [add(two), read(one)]).is_none());
        let from_one = Counter::new(&Value::Integer(1), &values).unwrap();
        assert!(run(&from_one, [read(one), add(one), read(two)]).is_some());
    }
}
