//! A slow, obviously correct oracle for all objects, and one examination of a history by everything
//! that can judge it.

use crate::engines::wgl::{self, Limits, Search};
use crate::engines::{Cancellation, Decision, Monitored, Span, auto, frontier, spans};
use crate::{
    Certificate, Counterexample, Expected, Function, History, KeyOrder, ModelKind, Operation,
    Outcome, Relation, Response, Value, verify,
};

/// What can be asked about an object without its type.
pub(crate) struct Object<'a, M> {
    pub kind: ModelKind,
    pub model: M,
    pub history: &'a History,
}

/// Tries all orders of all subsets that hold every completed operation. Knows nothing of models and
/// engines.
pub(crate) fn linearizable(kind: ModelKind, history: &History, initial: &Value) -> bool {
    let operations: Vec<&Operation> =
        history.operations.iter().filter(|operation| !operation.is_failed()).collect();
    assert!(operations.len() <= 16, "an oracle for small histories");
    let state = match initial {
        Value::Null => Vec::new(),
        Value::List(items) => items.to_vec(),
        single => vec![single.clone()],
    };
    let oracle = Oracle { kind, history, operations };
    oracle.extend((1 << oracle.operations.len()) - 1, &state)
}

struct Oracle<'a> {
    kind: ModelKind,
    history: &'a History,
    operations: Vec<&'a Operation>,
}

impl Oracle<'_> {
    /// Whether the operations whose bits are in `left` can follow in this state.
    fn extend(&self, left: u32, state: &[Value]) -> bool {
        let is_left = |place: usize| left & 1 << place != 0;
        let places = 0..self.operations.len();
        if places.clone().all(|place| !is_left(place) || !self.operations[place].is_ok()) {
            return true;
        }
        places.clone().filter(|&place| is_left(place)).any(|place| {
            let invoked = self.operations[place].invoked.position;
            let waits = places
                .clone()
                .any(|other| is_left(other) && returned(self.operations[other]) < invoked);
            !waits
                && self
                    .apply(self.operations[place], state)
                    .is_some_and(|state| self.extend(left & !(1 << place), &state))
        })
    }

    /// The state after the operation; nothing if it cannot have answered so.
    fn apply(&self, operation: &Operation, state: &[Value]) -> Option<Vec<Value>> {
        let argument = self.history.argument(operation.action);
        let answer = match operation.response() {
            Some(Response::Value(answer)) => Some(self.history.values.get(answer).clone()),
            Some(_) => Some(Value::Null),
            None => None,
        };
        let function = operation.action.function();
        match self.kind {
            ModelKind::Queue | ModelKind::Stack => line(function, argument, answer, state),
            ModelKind::Set => set(function, argument, answer, state),
            ModelKind::Counter => counter(function, &argument, answer, state),
            ModelKind::Lock => lock(function, argument, answer, state),
            ModelKind::Append => append(function, argument, answer, state),
            ModelKind::MultiRegister => transaction(&argument, answer.as_ref(), state),
            kind => panic!("no {function} of {kind} here"),
        }
    }
}

/// A queue or a stack.
fn line(
    function: Function,
    argument: Value,
    answer: Option<Value>,
    state: &[Value],
) -> Option<Vec<Value>> {
    let mut after = state.to_vec();
    let taken = match function {
        Function::Enqueue | Function::Push => {
            after.push(argument);
            return Some(after);
        }
        Function::Dequeue if after.is_empty() => Value::Null,
        Function::Dequeue => after.remove(0),
        Function::Pop => after.pop().unwrap_or_default(),
        _ => panic!("no {function} here"),
    };
    answer.is_none_or(|answer| answer == taken).then_some(after)
}

fn set(
    function: Function,
    argument: Value,
    answer: Option<Value>,
    state: &[Value],
) -> Option<Vec<Value>> {
    let mut after = state.to_vec();
    if function == Function::Read {
        let Some(answer) = answer else { return Some(after) };
        let mut items = match answer {
            Value::List(items) => items.to_vec(),
            _ => Vec::new(),
        };
        items.sort();
        return (items == state).then_some(after);
    }
    let there = state.contains(&argument);
    let told = if function == Function::Add { !there } else { there };
    if matches!(answer, Some(Value::Bool(answer)) if answer != told) {
        return None;
    }
    after.retain(|item| *item != argument || function == Function::Contains);
    if function == Function::Add {
        after.push(argument);
        after.sort();
    }
    Some(after)
}

fn counter(
    function: Function,
    argument: &Value,
    answer: Option<Value>,
    state: &[Value],
) -> Option<Vec<Value>> {
    let sum = integer(state.first());
    match (function, answer) {
        (Function::Add, _) => Some(vec![Value::Integer(sum + integer(Some(argument)))]),
        (_, Some(answer)) if integer(Some(&answer)) != sum => None,
        _ => Some(state.to_vec()),
    }
}

fn lock(
    function: Function,
    argument: Value,
    answer: Option<Value>,
    state: &[Value],
) -> Option<Vec<Value>> {
    let owner = state.first();
    let fits = match function {
        Function::Acquire => owner.is_none(),
        _ => owner.is_some_and(|owner| *owner == argument || owner.is_null() || argument.is_null()),
    };
    match (fits, answer) {
        (true, _) if function == Function::Acquire => Some(vec![argument]),
        (true, _) => Some(Vec::new()),
        (false, None) => Some(state.to_vec()),
        (false, Some(_)) => None,
    }
}

fn append(
    function: Function,
    argument: Value,
    answer: Option<Value>,
    state: &[Value],
) -> Option<Vec<Value>> {
    match function {
        Function::Append => Some([state, &[argument]].concat()),
        Function::Write => Some(vec![argument]),
        Function::Delete => Some(Vec::new()),
        _ => {
            let content: String =
                state.iter().filter(|it| !it.is_null()).map(ToString::to_string).collect();
            let fits = answer.is_none_or(|read| match read {
                Value::Null => content.is_empty(),
                read => read.to_string() == content,
            });
            fits.then(|| state.to_vec())
        }
    }
}

/// Registers, as pairs of their names and what they hold.
fn transaction(asked: &Value, answer: Option<&Value>, state: &[Value]) -> Option<Vec<Value>> {
    let mut after = state.to_vec();
    let told = answer.filter(|answer| !answer.is_null());
    for (place, step) in items(asked).iter().enumerate() {
        let [function, register, value] = items(step) else { panic!("no step: {step}") };
        let held = after.iter().position(|entry| items(entry)[0] == *register);
        if *function == Value::from("w") {
            held.map(|held| after.remove(held));
            after.push(Value::list([register.clone(), value.clone()]));
        } else if let Some(told) = told {
            let holds = held.map_or(Value::Null, |held| items(&after[held])[1].clone());
            if items(&items(told)[place])[2] != holds {
                return None;
            }
        }
    }
    Some(after)
}

fn items(value: &Value) -> &[Value] {
    match value {
        Value::List(items) => items,
        _ => &[],
    }
}

fn integer(value: Option<&Value>) -> i64 {
    match value {
        Some(Value::Integer(number)) => *number,
        _ => 0,
    }
}

fn returned(operation: &Operation) -> u64 {
    match operation.outcome {
        Outcome::Ok(moment, _) => moment.position,
        _ => u64::MAX,
    }
}

const UNLIMITED: Limits<'_> = Limits { memory: usize::MAX, stop: &|| false };

impl<M: Monitored> Object<'_, M> {
    fn spans(&self) -> Vec<Span> {
        let places: Vec<u32> = (0..self.history.operations.len() as u32).collect();
        spans(self.history, &places, &self.model)
    }

    /// Has the search and the monitor judge the history, which has one key. Demands that they agree
    /// with `truth`, that an order found satisfies the verifier, and that a counterexample is a
    /// violation of its own. Returns whether the monitor decided.
    pub(crate) fn examine(&self, truth: bool) -> bool {
        let (history, spans) = (self.history, self.spans());
        for search in [wgl::search, auto::search, frontier::search] {
            match search(&self.model, &spans, &UNLIMITED) {
                Search::Valid(order) => {
                    assert!(truth, "a search finds an order for {history:#?}");
                    self.certify(&spans, &order);
                }
                Search::Violation { .. } => assert!(!truth, "a search is wrong: {history:#?}"),
                Search::Unknown { cause, .. } => panic!("nothing limits this search: {cause:?}"),
            }
        }
        self.examine_by_monitor(truth)
    }

    /// As [`Self::examine`], without the search.
    pub(crate) fn examine_by_monitor(&self, truth: bool) -> bool {
        let (history, spans) = (self.history, self.spans());
        let mut scratch = self.model.scratch(history);
        match self.model.monitor(history, &spans, &mut scratch, &Cancellation::never()) {
            Decision::Inexact(_) => return false,
            Decision::Stopped => panic!("nothing stops it"),
            Decision::Valid(order) => {
                assert!(truth, "the monitor finds an order for {history:#?}");
                self.certify(&spans, &order);
            }
            Decision::Violation(found) => {
                assert!(!truth, "the monitor finds no order, {}: {history:#?}", found.sentence);
                self.refute(&found);
            }
        }
        true
    }

    /// Leaves out of a history that is linearizable each operation, with all that may rely on it,
    /// and demands that the rest still is.
    pub(crate) fn leave_out(&self) {
        let spans = self.spans();
        for left_out in 0..spans.len() {
            let mut kept = vec![true; spans.len()];
            let mut pending = vec![left_out];
            while let Some(writer) = pending.pop() {
                if !std::mem::replace(&mut kept[writer], false) {
                    continue;
                }
                let writer = spans[writer].call;
                if self.model.is_pure(writer) {
                    continue;
                }
                pending.extend((0..spans.len()).filter(|&observer| {
                    kept[observer] && self.model.relies_on(spans[observer].call, writer)
                }));
            }
            let mut rest = self.history.clone();
            let mut places = kept.iter().zip(&spans);
            let gone: Vec<usize> = places
                .by_ref()
                .filter(|(kept, _)| !**kept)
                .map(|(_, span)| span.operation as usize)
                .collect();
            let mut place = 0;
            rest.operations.retain(|_| {
                place += 1;
                !gone.contains(&(place - 1))
            });
            assert!(
                linearizable(self.kind, &rest, &Value::Null),
                "without operation {left_out} of {:#?}",
                self.history
            );
        }
    }

    fn certify(&self, spans: &[Span], order: &[u32]) {
        let index = |&span: &u32| {
            let operation = spans[span as usize].operation as usize;
            self.history.operations[operation].invoked.position
        };
        let order: Vec<u64> = order.iter().map(index).collect();
        let keys = vec![KeyOrder { key: Value::Null, order, initial: None }];
        let initial = Value::Null;
        let certificate = Certificate {
            model: self.kind.name().to_owned(),
            level: None,
            initial: initial.clone(),
            consistency: None,
            keys,
            saw: Vec::new(),
        };
        let expected = Expected { model: self.kind, initial, ..Expected::default() };
        if let Err(error) = verify(self.history, &certificate, &expected) {
            panic!("{error}: {certificate:?} for {:#?}", self.history);
        }
    }

    /// Demands that the counterexample is a part of the history and a violation of its own.
    pub(crate) fn refute(&self, counterexample: &Counterexample) {
        let context = || format!("{counterexample:#?}\nof {:#?}", self.history);
        for witness in counterexample.proof() {
            let same = |operation: &&Operation| operation.invoked.position == witness.index;
            let operation = self.history.operations.iter().find(same).expect("in the history");
            let original = self.history.witness(operation);
            let cut_off = witness.function != original.function;
            assert!(cut_off || *witness == original, "{}", context());
        }
        let alone = History::from_events(counterexample.events()).expect("a history of its own");
        if alone.operations.len() <= 10 {
            assert!(!linearizable(self.kind, &alone, &Value::Null), "{}", context());
        }
        let cycle = &counterexample.cycle;
        for (place, edge) in cycle.iter().enumerate() {
            let following = &cycle[(place + 1) % cycle.len()];
            assert_eq!(edge.to, following.from, "no cycle: {}", context());
            let (from, to) =
                (&counterexample.operations[edge.from], &counterexample.operations[edge.to]);
            if edge.relation == Relation::RealTime {
                assert!(from.completed_index.unwrap() < to.index, "{}", context());
            }
        }
    }
}
