//! Several registers that small transactions read and write at once.

use rustc_hash::FxHashMap;

use super::persistent::Trie;
use super::{Call, Model};
use crate::event::Function;
use crate::history::{Action, Response};
use crate::value::{Value, ValueId, Values};

/// What [`ModelKind::MultiRegister`](super::ModelKind::MultiRegister) does.
#[derive(Debug, Clone)]
pub(crate) struct MultiRegister {
    transactions: FxHashMap<ValueId, Transaction>,
    /// Registers and values inside the transactions, by the numbers that the steps name them with;
    /// the initial value is number 0.
    names: Vec<Value>,
}

type Transaction = Box<[Step]>;

/// A step of a transaction; registers and values by numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) writes: bool,
    pub(crate) register: u32,
    pub(crate) value: u32,
}

/// What registers hold that do not hold the initial value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct MultiRegisterState(Trie);

/// The number of the value that registers begin with.
pub(crate) const INITIAL: u32 = 0;

impl MultiRegister {
    /// The name that stands in certificates.
    pub(crate) const NAME: &'static str = "multi-register";

    /// Registers that all hold `initial` before the first operation of a history with these
    /// `values`.
    pub(crate) fn new(initial: &Value, values: &Values) -> Self {
        let mut numbers = FxHashMap::default();
        numbers.insert(initial.clone(), INITIAL);
        let mut names = vec![initial.clone()];
        let mut number = |name: &Value| {
            *numbers.entry(name.clone()).or_insert_with(|| {
                names.push(name.clone());
                names.len() as u32 - 1
            })
        };
        let parsed = (0..values.len() as u32).map(ValueId).filter_map(|id| {
            let Value::List(steps) = values.get(id) else { return None };
            let steps = steps.iter().map(|step| parse(step, &mut number));
            Some((id, steps.collect::<Option<Transaction>>()?))
        });
        let transactions = parsed.collect();
        Self { transactions, names }
    }

    /// The register or value of that number.
    pub(crate) fn named(&self, number: u32) -> &Value {
        &self.names[number as usize]
    }

    /// The registers that the call reads or writes.
    pub(crate) fn registers(&self, call: Call) -> impl Iterator<Item = u32> {
        let steps = self.steps(call).map_or(&[][..], |(steps, _)| steps);
        steps.iter().map(|step| step.register)
    }

    /// What the call asks for, and what it answered where that is known.
    pub(crate) fn steps(&self, call: Call) -> Option<(&[Step], bool)> {
        let Action::Other(Function::Txn, asked) = call.action else { return None };
        let asked = self.transactions.get(&asked)?;
        match call.response {
            None | Some(Response::Done | Response::Value(ValueId::NULL)) => Some((asked, false)),
            Some(Response::Value(answer)) => {
                let answer = self.transactions.get(&answer)?;
                let same = |(asked, answer): (&Step, &Step)| {
                    asked.writes == answer.writes
                        && asked.register == answer.register
                        && (asked.value == answer.value || !asked.writes)
                };
                let fits = asked.len() == answer.len() && asked.iter().zip(answer).all(same);
                fits.then_some((answer, true))
            }
            Some(_) => None,
        }
    }
}

fn parse(step: &Value, number: &mut impl FnMut(&Value) -> u32) -> Option<Step> {
    let Value::List(parts) = step else { return None };
    let [Value::Text(function), register, value] = &**parts else { return None };
    let writes = match &**function {
        "r" | "read" => false,
        "w" | "write" => true,
        _ => return None,
    };
    Some(Step { writes, register: number(register), value: number(value) })
}

impl Model for MultiRegister {
    type State = MultiRegisterState;

    fn heap_bytes(&self, state: &MultiRegisterState) -> usize {
        state.0.bytes_per_change()
    }

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn initial(&self) -> MultiRegisterState {
        MultiRegisterState(Trie::new(self.names.len()))
    }

    fn knows(&self, call: Call) -> bool {
        self.steps(call).is_some()
    }

    fn step(
        &self,
        MultiRegisterState(state): &MultiRegisterState,
        call: Call,
    ) -> Option<Self::State> {
        let (steps, answered) = self.steps(call)?;
        let mut state = state.clone();
        for step in steps {
            if step.writes {
                state = match step.value {
                    INITIAL => state.without(step.register),
                    value => state.with(step.register, value),
                };
            } else if answered && state.get(step.register).unwrap_or(INITIAL) != step.value {
                return None;
            }
        }
        Some(MultiRegisterState(state))
    }

    fn is_pure(&self, call: Call) -> bool {
        self.steps(call).is_some_and(|(steps, _)| steps.iter().all(|step| !step.writes))
    }

    fn relies_on(&self, observer: Call, writer: Call) -> bool {
        let (Some((seen, answered)), Some((written, _))) =
            (self.steps(observer), self.steps(writer))
        else {
            return true;
        };
        answered
            && seen.iter().filter(|step| !step.writes).any(|read| {
                let same =
                    |write: &&Step| (write.register, write.value) == (read.register, read.value);
                written.iter().filter(|step| step.writes).any(|write| same(&write))
            })
    }

    fn shown(&self, MultiRegisterState(state): &MultiRegisterState, _values: &Values) -> Value {
        let name = |number: u32| self.names[number as usize].clone();
        let entries = state.entries().into_iter();
        let shown = entries.map(|(register, value)| Value::list([name(register), name(value)]));
        Value::list(shown.collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::{call, run};

    fn transaction(values: &mut Values, steps: &[(&str, &str, Option<i64>)]) -> ValueId {
        let step = |&(function, register, value): &(&str, &str, Option<i64>)| {
            let value = value.map_or(Value::Null, Value::Integer);
            Value::list([Value::from(function), Value::from(register), value])
        };
        values.intern(&Value::list(steps.iter().map(step).collect::<Vec<_>>()))
    }

    #[test]
    fn transaction_sees_all_registers_at_one_moment() {
        let mut values = Values::default();
        let write = transaction(&mut values, &[("w", "x", Some(1)), ("w", "y", Some(1))]);
        let read = transaction(&mut values, &[("r", "x", None), ("r", "y", None)]);
        let old = read;
        let new = transaction(&mut values, &[("r", "x", Some(1)), ("r", "y", Some(1))]);
        let torn = transaction(&mut values, &[("r", "x", Some(1)), ("r", "y", None)]);
        let registers = MultiRegister::new(&Value::Null, &values);
        let write = call(Function::Txn, write, Some(write));
        let read = |answer| call(Function::Txn, read, Some(answer));
        assert!(run(&registers, [read(old), write, read(new)]).is_some());
        assert!(run(&registers, [write, read(torn)]).is_none());
        assert!(run(&registers, [write, read(ValueId::NULL)]).is_some(), "an answer not told");
        assert!(registers.is_pure(read(new)) && !registers.is_pure(write));
        assert!(registers.relies_on(read(torn), write));
        assert!(!registers.relies_on(read(old), write));
    }

    #[test]
    fn transaction_sees_its_own_writes() {
        let mut values = Values::default();
        let asked = transaction(&mut values, &[("write", "x", Some(2)), ("read", "x", None)]);
        let right = transaction(&mut values, &[("write", "x", Some(2)), ("read", "x", Some(2))]);
        let other = transaction(&mut values, &[("write", "x", Some(3)), ("read", "x", Some(2))]);
        let registers = MultiRegister::new(&Value::Null, &values);
        let answered = |answer| call(Function::Txn, asked, Some(answer));
        assert!(run(&registers, [answered(right)]).is_some());
        assert!(run(&registers, [answered(asked)]).is_none());
        assert!(!registers.knows(answered(other)), "the answer repeats what was written");
    }
}
