//! Makes every small history of some kinds of operations.

use partita_checker::{
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

impl Maker<'_> {
    pub(crate) fn make(&mut self) {
        let mut history = History { keys: vec![Value::Null], ..History::default() };
        for (value, number) in self.values.iter().zip(1..) {
            assert_eq!(history.values.intern(value), ValueId(number));
        }
        self.extend(&mut history, 0);
    }

    /// Extends the history by one event in every possible way.
    fn extend(&mut self, history: &mut History, position: u64) {
        let moment = Moment { position, time: Nanoseconds(position) };
        for place in 0..history.operations.len() {
            if !is_waiting(&history.operations[place]) {
                continue;
            }
            let waiting = history.operations[place].outcome;
            let response = self.response_of(&history.operations[place]);
            history.operations[place].outcome = Outcome::Ok(moment, response);
            self.extend(history, position + 1);
            history.operations[place].outcome = waiting;
        }
        if history.operations.len() < self.size {
            for (number, &(action, response)) in self.kinds.iter().enumerate() {
                if !(self.may_follow)(history, action) {
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
                self.extend(history, position + 1);
                history.operations.pop();
            }
        } else if !history.operations.iter().any(is_waiting) {
            (self.examine)(history);
        }
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
