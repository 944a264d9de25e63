//! Makes every small history of some kinds of operations.
//!
//! Of histories that differ only in the order of neighbouring invocations, or of neighbouring
//! completions, it makes one: which operation came before which is the same in all of them.

use crate::{
    Action, History, KeyId, Moment, Nanoseconds, Operation, Outcome, ProcessId, Response, Value,
    ValueId,
};

/// What is asked and answered; no answer for an unknown outcome.
pub(crate) type Kind = (Action, Option<Response>);

/// Makes every history of `size` operations of these kinds, whatever their overlaps.
pub(crate) struct Maker<'a> {
    pub kinds: &'a [Kind],
    pub size: usize,
    /// All values, by number from 1 on.
    pub values: &'a [Value],
    /// Whether an operation may be added to a history.
    pub may_follow: fn(&History, Action) -> bool,
    /// Takes each history that is whole.
    pub examine: &'a mut dyn FnMut(&History),
}

/// The last event of a history that is being made.
#[derive(Clone, Copy)]
enum Last {
    Nothing,
    /// Of an operation of the kind of this number.
    Invoked(usize),
    /// Of the operation at this place.
    Returned(usize),
}

impl Maker<'_> {
    pub(crate) fn make(&mut self) {
        let mut history = History { keys: vec![Value::Null], ..History::default() };
        for (value, number) in self.values.iter().zip(1..) {
            assert_eq!(history.values.intern(value), ValueId(number));
        }
        self.extend(&mut history, 0, Last::Nothing);
    }

    /// Extends the history by one event in every possible way.
    fn extend(&mut self, history: &mut History, position: u64, last: Last) {
        let moment = Moment { position, time: Nanoseconds(position) };
        for place in 0..history.operations.len() {
            let is_twin = matches!(last, Last::Returned(other) if other > place);
            if is_twin || !is_waiting(&history.operations[place]) {
                continue;
            }
            let waiting = history.operations[place].outcome;
            let response = self.response_of(&history.operations[place]);
            history.operations[place].outcome = Outcome::Ok(moment, response);
            self.extend(history, position + 1, Last::Returned(place));
            history.operations[place].outcome = waiting;
        }
        if history.operations.len() < self.size {
            for (number, &(action, response)) in self.kinds.iter().enumerate() {
                if !(self.may_follow)(history, action) || self.is_twin(history, number, last) {
                    continue;
                }
                // While it has yet to come back, an operation keeps its kind in place of a moment.
                let note = Moment { position: number as u64, time: Nanoseconds(0) };
                let outcome = Outcome::Info(response.map(|_| note));
                let process = ProcessId(history.operations.len() as u32);
                let operation = Operation {
                    process,
                    key: KeyId(0),
                    node: None,
                    action,
                    invoked: moment,
                    outcome,
                };
                history.operations.push(operation);
                self.extend(history, position + 1, Last::Invoked(number));
                history.operations.pop();
            }
        } else if !history.operations.iter().any(is_waiting) {
            (self.examine)(history);
        }
    }

    /// Whether the history that has this invocation and the last one the other way round is made.
    fn is_twin(&self, history: &mut History, number: usize, last: Last) -> bool {
        let Last::Invoked(other) = last else { return false };
        if other <= number {
            return false;
        }
        let before = history.operations.pop().expect("the last invocation");
        let action = self.kinds[number].0;
        let mut is_made = (self.may_follow)(history, action);
        history.operations.push(Operation { action, ..before });
        is_made &= (self.may_follow)(history, before.action);
        history.operations.pop();
        history.operations.push(before);
        is_made
    }

    fn response_of(&self, operation: &Operation) -> Response {
        let Outcome::Info(Some(note)) = operation.outcome else {
            panic!("it has come back already")
        };
        self.kinds[note.position as usize].1.expect("a kind that comes back")
    }
}

const fn is_waiting(operation: &Operation) -> bool {
    matches!(operation.outcome, Outcome::Info(Some(_)))
}
