//! Every small history over small domains, by every engine and by the oracle.

mod support;

use partita_checker::{
    Action, History, KeyId, Moment, Nanoseconds, Operation, Outcome, ProcessId, Response, Value,
    ValueId, Verdict,
};
use support::{examine, linearizable};

type Kind = (Action, Option<Response>);

/// The initial value and two others, by their numbers in every history made here.
const NIL: ValueId = ValueId::NULL;
const ONE: ValueId = ValueId(1);
const TWO: ValueId = ValueId(2);

const fn read(value: ValueId) -> Kind {
    (Action::Read, Some(Response::Value(value)))
}

const fn write(value: ValueId) -> Kind {
    (Action::Write(value), Some(Response::Done))
}

const fn unknown(kind: Kind) -> Kind {
    (kind.0, None)
}

const fn swap(expected: ValueId, new: ValueId) -> Kind {
    (Action::Cas { expected, new }, Some(Response::Swapped))
}

const fn mismatch(expected: ValueId, saw: Option<ValueId>) -> Kind {
    (Action::Cas { expected, new: TWO }, Some(Response::Mismatch(saw)))
}

const DELETE: Kind = (Action::Delete, Some(Response::Done));

/// Makes every history of `size` operations of these kinds, whatever their overlaps.
struct Maker<'a> {
    kinds: &'a [Kind],
    size: usize,
    history: History,
    /// Leaves out histories that write a value twice.
    distinct: bool,
    seen: [usize; 3],
}

impl<'a> Maker<'a> {
    fn new(kinds: &'a [Kind], size: usize) -> Self {
        let mut history = History { keys: vec![Value::Null], ..History::default() };
        assert_eq!(history.values.intern(&Value::Integer(1)), ONE);
        assert_eq!(history.values.intern(&Value::Integer(2)), TWO);
        Self { kinds, size, history, distinct: false, seen: [0; 3] }
    }

    fn make(&mut self) {
        self.extend(0);
        let [valid, violations, _] = self.seen;
        assert!(valid > 1_000 && violations > 1_000, "{valid} valid, {violations} violations");
    }

    /// Extends the history by one event in every possible way; examines it where it is whole.
    fn extend(&mut self, position: u64) {
        let moment = Moment { position, time: Nanoseconds(position) };
        for place in 0..self.history.operations.len() {
            if !is_waiting(&self.history.operations[place]) {
                continue;
            }
            let waiting = self.history.operations[place].outcome;
            let response = self.response_of(place);
            self.history.operations[place].outcome = Outcome::Ok(moment, response);
            self.extend(position + 1);
            self.history.operations[place].outcome = waiting;
        }
        if self.history.operations.len() < self.size {
            for (number, &(action, response)) in self.kinds.iter().enumerate() {
                if self.distinct && self.is_written(action) {
                    continue;
                }
                // While it has yet to come back, an operation keeps its kind in place of a moment.
                let note = Moment { position: number as u64, time: Nanoseconds(0) };
                let outcome = Outcome::Info(response.map(|_| note));
                let process = ProcessId(self.history.operations.len() as u32);
                let operation = Operation {
                    process,
                    key: KeyId(0),
                    node: None,
                    action,
                    invoked: moment,
                    outcome,
                };
                self.history.operations.push(operation);
                self.extend(position + 1);
                self.history.operations.pop();
            }
        } else if !self.history.operations.iter().any(is_waiting) {
            self.examine();
        }
    }

    fn is_written(&self, action: Action) -> bool {
        let value = |action| match action {
            Action::Write(value) | Action::Cas { new: value, .. } => Some(value),
            _ => None,
        };
        let new = value(action);
        new.is_some() && self.history.operations.iter().any(|o| value(o.action) == new)
    }

    fn response_of(&self, place: usize) -> Response {
        let Outcome::Info(Some(note)) = self.history.operations[place].outcome else {
            panic!("it has come back already")
        };
        self.kinds[note.position as usize].1.expect("a kind that comes back")
    }

    fn examine(&mut self) {
        let truth = linearizable(&self.history, &Value::Null);
        let verdict = examine(&self.history, &Value::Null, Some(truth));
        self.seen[match verdict {
            Verdict::Valid => 0,
            Verdict::Violation => 1,
            Verdict::Unknown => 2,
        }] += 1;
    }
}

const fn is_waiting(operation: &Operation) -> bool {
    matches!(operation.outcome, Outcome::Info(Some(_)))
}

fn all_agree(kinds: &[Kind], size: usize) {
    Maker::new(kinds, size).make();
}

#[test]
fn engines_agree_on_three_operations_of_every_kind() {
    let kinds = [
        read(NIL),
        read(ONE),
        read(TWO),
        write(ONE),
        write(TWO),
        write(NIL),
        unknown(write(ONE)),
        unknown(write(TWO)),
        unknown(read(NIL)),
        swap(NIL, ONE),
        swap(NIL, TWO),
        swap(ONE, TWO),
        swap(TWO, ONE),
        swap(ONE, ONE),
        unknown(swap(NIL, ONE)),
        unknown(swap(ONE, TWO)),
        unknown(swap(TWO, ONE)),
        unknown(swap(ONE, ONE)),
        mismatch(NIL, Some(ONE)),
        mismatch(ONE, Some(ONE)),
        mismatch(ONE, Some(NIL)),
        mismatch(ONE, None),
        DELETE,
        unknown(DELETE),
    ];
    all_agree(&kinds, 3);
}

#[test]
fn engines_agree_on_four_operations_with_unknown_swaps() {
    let kinds = [
        read(ONE),
        read(TWO),
        unknown(write(ONE)),
        unknown(swap(NIL, ONE)),
        unknown(swap(ONE, TWO)),
        swap(ONE, TWO),
        write(TWO),
        mismatch(NIL, Some(ONE)),
    ];
    all_agree(&kinds, 4);
}

#[test]
fn engines_agree_on_five_reads_and_writes() {
    all_agree(&[read(ONE), read(TWO), write(ONE), write(TWO)], 5);
}

#[test]
fn engines_agree_on_five_operations_with_distinct_values() {
    let kinds = [
        read(ONE),
        read(TWO),
        write(ONE),
        unknown(swap(NIL, ONE)),
        swap(ONE, TWO),
        unknown(write(TWO)),
    ];
    let mut maker = Maker::new(&kinds, 5);
    maker.distinct = true;
    maker.make();
}
