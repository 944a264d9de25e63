//! One register: read, write, compare-and-set, delete.

use super::{Call, Model};
use crate::history::{Action, Response};
use crate::value::{Value, ValueId, Values};

/// What [`ModelKind::Register`](super::ModelKind::Register) does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Register {
    initial: ValueId,
    /// What a delete leaves.
    deleted: ValueId,
}

impl Register {
    /// The name that stands in certificates.
    pub(crate) const NAME: &'static str = "register";

    /// A register that holds `initial` before the first operation of a history with these `values`.
    pub(crate) fn new(initial: &Value, values: &Values) -> Self {
        Self::begun(initial, initial, values)
    }

    /// As [`Self::new`], where a delete leaves `deleted`.
    pub(crate) fn begun(initial: &Value, deleted: &Value, values: &Values) -> Self {
        // A value that the history never names gets a number after the last: no operation has it.
        let unnamed = |place: u32| {
            move || ValueId(u32::try_from(values.len()).expect("at most 2^32 values") + place)
        };
        let first = values.find(initial).unwrap_or_else(unnamed(0));
        let deleted = match deleted == initial {
            true => first,
            false => values.find(deleted).unwrap_or_else(unnamed(1)),
        };
        Self { initial: first, deleted }
    }

    /// The value before the first operation; possibly one past the end of the table.
    pub(crate) const fn initial_value(self) -> ValueId {
        self.initial
    }

    /// The value that `call` leaves in the register if it takes effect.
    pub(crate) const fn written(self, call: Call) -> Option<ValueId> {
        match (call.action, call.response) {
            (Action::Write(value), _) => Some(value),
            (Action::Cas { new, .. }, Some(Response::Swapped) | None) => Some(new),
            (Action::Delete, _) => Some(self.deleted),
            _ => None,
        }
    }

    /// The value that the register must have held when `call` took effect.
    pub(crate) const fn observed(self, call: Call) -> Option<ValueId> {
        match (call.action, call.response) {
            (Action::Read, Some(Response::Value(value))) => Some(value),
            (Action::Cas { expected, .. }, Some(Response::Swapped) | None) => Some(expected),
            (Action::Cas { .. }, Some(Response::Mismatch(saw))) => saw,
            _ => None,
        }
    }
}

impl Model for Register {
    type State = ValueId;

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn initial(&self) -> ValueId {
        self.initial
    }

    fn knows(&self, call: Call) -> bool {
        match call.action {
            Action::Read => matches!(call.response, None | Some(Response::Value(_))),
            Action::Write(_) | Action::Delete => {
                matches!(call.response, None | Some(Response::Done))
            }
            Action::Cas { .. } => {
                matches!(call.response, None | Some(Response::Swapped | Response::Mismatch(_)))
            }
            Action::Other(..) => false,
        }
    }

    fn step(&self, &state: &ValueId, call: Call) -> Option<ValueId> {
        match (call.action, call.response) {
            (Action::Read, Some(Response::Value(value))) => (value == state).then_some(state),
            (Action::Read, None) => Some(state),
            (Action::Write(value), Some(Response::Done) | None) => Some(value),
            (Action::Delete, Some(Response::Done) | None) => Some(self.deleted),
            (Action::Cas { expected, new }, Some(Response::Swapped)) => {
                (state == expected).then_some(new)
            }
            (Action::Cas { expected, .. }, Some(Response::Mismatch(saw))) => {
                (state != expected && saw.is_none_or(|saw| saw == state)).then_some(state)
            }
            (Action::Cas { expected, new }, None) => {
                Some(if state == expected { new } else { state })
            }
            _ => None,
        }
    }

    fn is_pure(&self, call: Call) -> bool {
        matches!(
            (call.action, call.response),
            (Action::Read, _) | (Action::Cas { .. }, Some(Response::Mismatch(_)))
        )
    }

    fn relies_on(&self, observer: Call, writer: Call) -> bool {
        let Some(written) = self.written(writer) else { return false };
        match (observer.action, observer.response) {
            // It only says what was not there, so any other value may be why.
            (Action::Cas { expected, .. }, Some(Response::Mismatch(None))) => written != expected,
            _ => self.observed(observer) == Some(written),
        }
    }

    fn relaxed(&self, call: Call) -> Option<Call> {
        let Action::Cas { .. } = call.action else { return None };
        let response = call.response.map(|_| Response::Done);
        self.written(call).map(|new| Call { action: Action::Write(new), response })
    }

    fn shown(&self, &state: &ValueId, values: &Values) -> Value {
        if state.index() < values.len() {
            values.get(state).clone()
        } else {
            Value::text("a value that no operation names")
        }
    }

    fn overwrites(&self, call: Call) -> Option<ValueId> {
        match (call.action, call.response) {
            (Action::Write(_) | Action::Delete, Some(Response::Done) | None) => self.written(call),
            _ => None,
        }
    }

    fn demands(&self, call: Call) -> Option<ValueId> {
        self.observed(call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cas(expected: u32, new: u32, response: Option<Response>) -> Call {
        let action = Action::Cas { expected: ValueId(expected), new: ValueId(new) };
        Call { action, response }
    }

    #[test]
    fn mismatch_needs_another_value_than_expected() {
        let register = Register { initial: ValueId::NULL, deleted: ValueId::NULL };
        let silent = Some(Response::Mismatch(None));
        let told = Some(Response::Mismatch(Some(ValueId(3))));
        assert_eq!(register.step(&ValueId(1), cas(1, 2, silent)), None);
        assert_eq!(register.step(&ValueId(3), cas(1, 2, silent)), Some(ValueId(3)));
        assert_eq!(register.step(&ValueId(3), cas(1, 2, told)), Some(ValueId(3)));
        assert_eq!(register.step(&ValueId(4), cas(1, 2, told)), None);
        assert_eq!(register.step(&ValueId(3), cas(3, 2, told)), None);
    }

    #[test]
    fn unknown_compare_and_set_swaps_exactly_if_it_matches() {
        let register = Register { initial: ValueId::NULL, deleted: ValueId::NULL };
        assert_eq!(register.step(&ValueId(1), cas(1, 2, None)), Some(ValueId(2)));
        assert_eq!(register.step(&ValueId(3), cas(1, 2, None)), Some(ValueId(3)));
    }

    #[test]
    fn delete_puts_the_initial_value_back() {
        let mut values = Values::default();
        let five = values.intern(&Value::Integer(5));
        let register = Register::new(&Value::Integer(5), &values);
        let delete = Call { action: Action::Delete, response: Some(Response::Done) };
        assert_eq!(register.step(&ValueId::NULL, delete), Some(five));
    }

    #[test]
    fn initial_value_that_no_operation_names_is_seen_by_none() {
        let values = Values::default();
        let register = Register::new(&Value::Integer(5), &values);
        let read = |value| Call { action: Action::Read, response: Some(Response::Value(value)) };
        assert_eq!(register.step(&register.initial(), read(ValueId::NULL)), None);
    }
}
