//! A lock: acquire it, release it.

use super::contents::BadInitial;
use super::{Call, Model};
use crate::event::Function;
use crate::history::{Action, Response};
use crate::value::{Value, ValueId, Values};

/// What [`ModelKind::Lock`](super::ModelKind::Lock) does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lock<'a> {
    initial: Option<ValueId>,
    values: &'a Values,
}

impl<'a> Lock<'a> {
    /// The name that stands in certificates.
    pub(crate) const NAME: &'static str = "lock";

    /// A lock that, before the first operation of a history with these `values`, is free if
    /// `initial` is null or false, and held by an unnamed owner if it is true.
    ///
    /// # Errors
    ///
    /// If `initial` is neither null nor a truth.
    pub(crate) fn new(initial: &Value, values: &'a Values) -> Result<Self, BadInitial> {
        match *initial {
            Value::Null | Value::Bool(false) => Ok(Self { initial: None, values }),
            Value::Bool(true) => Ok(Self { initial: Some(ValueId::NULL), values }),
            ref found => {
                let expected = "null or false for a free one, true for one that is held";
                Err(BadInitial { model: Self::NAME, expected, found: found.clone() })
            }
        }
    }

    /// Whose operation it is, if it is one on locks; null where none is named.
    pub(crate) const fn owner(call: Call) -> Option<ValueId> {
        match call.action {
            Action::Other(Function::Acquire | Function::Release, owner) => Some(owner),
            _ => None,
        }
    }

    fn is_success(&self, owner: ValueId, response: Option<Response>) -> bool {
        match response {
            None | Some(Response::Done) => true,
            Some(Response::Value(answer)) => {
                answer == ValueId::NULL
                    || answer == owner
                    || *self.values.get(answer) == Value::Bool(true)
            }
            Some(_) => false,
        }
    }
}

impl Model for Lock<'_> {
    /// The owner of a lock that is held.
    type State = Option<ValueId>;

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn initial(&self) -> Option<ValueId> {
        self.initial
    }

    fn knows(&self, call: Call) -> bool {
        Self::owner(call).is_some_and(|owner| self.is_success(owner, call.response))
    }

    fn step(&self, holder: &Option<ValueId>, call: Call) -> Option<Option<ValueId>> {
        let after = match (call.action, *holder) {
            (Action::Other(Function::Acquire, owner), None) => Some(Some(owner)),
            (Action::Other(Function::Release, owner), Some(holder)) => {
                let may = owner == holder || [owner, holder].contains(&ValueId::NULL);
                may.then_some(None)
            }
            _ => None,
        };
        // Of unknown outcome, it waits or is refused.
        if call.response.is_none() { after.or(Some(*holder)) } else { after }
    }

    /// Without all that one owner did, the others still follow each other as they did. Where names
    /// are missing, who holds the lock is anybody's guess.
    fn relies_on(&self, observer: Call, writer: Call) -> bool {
        let one = Self::owner(observer);
        let nameless = self.initial.is_some() || one == Some(ValueId::NULL);
        nameless || Self::owner(writer) == Some(ValueId::NULL) || one == Self::owner(writer)
    }

    fn shown(&self, holder: &Option<ValueId>, values: &Values) -> Value {
        match *holder {
            None => Value::text("nobody, for it was free"),
            Some(ValueId::NULL) => Value::text("somebody"),
            Some(owner) => values.get(owner).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::{call, run};

    #[test]
    fn lock_without_names_is_acquired_and_released_in_turn() {
        let values = Values::default();
        let lock = Lock::new(&Value::Null, &values).unwrap();
        let [acquire, release] = [Function::Acquire, Function::Release]
            .map(|function| call(function, ValueId::NULL, Some(ValueId::NULL)));
        assert!(run(&lock, [acquire, release, acquire]).is_some());
        assert!(run(&lock, [acquire, acquire]).is_none());
        assert!(run(&lock, [release]).is_none());
        let held = Lock::new(&Value::Bool(true), &values).unwrap();
        assert!(run(&held, [release, acquire]).is_some());
    }

    #[test]
    fn owner_alone_gives_the_lock_back() {
        let mut values = Values::default();
        let [one, other] = ["n1", "n2"].map(|name| values.intern(&Value::from(name)));
        let lock = Lock::new(&Value::Null, &values).unwrap();
        let acquire = |owner| call(Function::Acquire, owner, Some(owner));
        let release = |owner| call(Function::Release, owner, Some(owner));
        assert!(run(&lock, [acquire(one), release(one), acquire(other)]).is_some());
        assert!(run(&lock, [acquire(one), release(other)]).is_none());
        assert!(run(&lock, [acquire(one), release(ValueId::NULL)]).is_some());
    }
}
