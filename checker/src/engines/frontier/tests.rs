//! Random small histories against an oracle, with every rule on and with every rule off; and what
//! cut frontiers may say.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::rules::Rules;
use super::{Part, Plan, locate, search};
use crate::engines::wgl::{Cause, Limits, Search};
use crate::engines::{NEVER, Span};
use crate::event::Function;
use crate::history::{Action, Response};
use crate::model::{Call, Model, Register};
use crate::value::{Value, ValueId, Values};

const UNLIMITED: Limits<'_> = Limits { memory: usize::MAX, stop: &|| false };

/// A register whose initial value is 0; values are their own numbers.
fn register() -> Register {
    let mut values = Values::default();
    values.intern(&Value::Null);
    Register::new(&Value::Null, &values)
}

/// Whether the spans whose bits are in `left` have an order that begins in `state`: tries all.
fn has_order<M: Model>(model: &M, spans: &[Span], left: u32, state: &M::State) -> bool {
    let is_left = |place: usize| left & 1 << place != 0;
    if (0..spans.len()).all(|place| !is_left(place) || !spans[place].is_completed()) {
        return true;
    }
    (0..spans.len()).filter(|&place| is_left(place)).any(|place| {
        (0..spans.len()).all(|it| !is_left(it) || spans[it].returned > spans[place].invoked)
            && model
                .step(state, spans[place].call)
                .is_some_and(|state| has_order(model, spans, left & !(1 << place), &state))
    })
}

fn has_order_from(spans: &[Span], state: ValueId) -> bool {
    has_order(&register(), spans, (1 << spans.len()) - 1, &state)
}

/// Whether some of what was invoked before the part begins can be left out such that the rest has
/// an order.
fn has_order_in(part: &Part, state: ValueId) -> bool {
    let early: Vec<usize> =
        (0..part.spans.len()).filter(|&place| part.spans[place].invoked < part.begins_at).collect();
    (0..1_u32 << early.len()).any(|choice| {
        let out = |place: usize| {
            early.iter().position(|&it| it == place).is_some_and(|bit| choice & 1 << bit != 0)
        };
        let left: Vec<Span> =
            (0..part.spans.len()).filter(|&it| !out(it)).map(|it| part.spans[it]).collect();
        has_order_from(&left, state)
    })
}

fn linearizable(spans: &[Span]) -> bool {
    has_order_from(spans, register().initial())
}

fn call(random: &mut ChaCha8Rng, values: u32) -> (Action, Response) {
    let mut value = || ValueId(random.random_range(0..values));
    let (one, two, three) = (value(), value(), value());
    match random.random_range(0..12) {
        0..5 => (Action::Read, Response::Value(one)),
        5..8 => (Action::Write(one), Response::Done),
        8..10 => (Action::Cas { expected: one, new: two }, Response::Swapped),
        10 => {
            let saw = random.random_bool(0.5).then_some(three);
            (Action::Cas { expected: one, new: two }, Response::Mismatch(saw))
        }
        _ => (Action::Delete, Response::Done),
    }
}

/// Spans with random overlaps, of the calls that `call` makes with so many values.
fn random_spans_of(
    seed: u64,
    most: usize,
    call: fn(&mut ChaCha8Rng, u32) -> (Action, Response),
    is_pure: fn(Call) -> bool,
) -> Vec<Span> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let count = random.random_range(2..=most);
    let clients = random.random_range(1..=5);
    let values = random.random_range(2..=4);
    let unknown = if random.random_bool(0.5) { 0.25 } else { 0.0 };
    let (mut spans, mut open, mut position) = (Vec::<Span>::new(), Vec::<usize>::new(), 0);
    while spans.len() < count || !open.is_empty() {
        position += 1;
        let invokes = open.is_empty() || (open.len() < clients && random.random_bool(0.5));
        if spans.len() < count && invokes {
            let (action, response) = call(&mut random, values);
            let known =
                is_pure(Call { action, response: Some(response) }) || !random.random_bool(unknown);
            if known {
                open.push(spans.len());
            }
            let call = Call { action, response: known.then_some(response) };
            let operation = spans.len() as u32;
            spans.push(Span { call, invoked: position, returned: NEVER, operation });
        } else {
            let place = open.swap_remove(random.random_range(0..open.len()));
            spans[place].returned = position;
        }
    }
    spans
}

fn random_spans(seed: u64, most: usize) -> Vec<Span> {
    random_spans_of(seed, most, call, |call| register().is_pure(call))
}

/// Demands that `order` is an order of the spans that begins in the initial state.
fn certify(spans: &[Span], order: &[u32]) {
    let context = || format!("{order:?} of {spans:#?}");
    let mut state = register().initial();
    let mut seen = vec![false; spans.len()];
    let mut latest = 0;
    for &place in order {
        let span = &spans[place as usize];
        assert!(!std::mem::replace(&mut seen[place as usize], true), "twice: {}", context());
        assert!(span.returned > latest, "against real time: {}", context());
        latest = latest.max(span.invoked);
        state = register().step(&state, span.call).unwrap_or_else(|| panic!("{}", context()));
    }
    let all = spans.iter().zip(&seen).all(|(span, seen)| *seen || !span.is_completed());
    assert!(all, "incomplete: {}", context());
}

/// The spans as known up to `position`: what is open then may have happened.
fn until(spans: &[Span], position: u64) -> Vec<Span> {
    let begun = spans.iter().filter(|span| span.invoked <= position);
    let known = begun.filter_map(|span| {
        let mut span = *span;
        if span.returned > position {
            if register().is_pure(span.call) {
                return None;
            }
            (span.returned, span.call.response) = (NEVER, None);
        }
        Some(span)
    });
    known.collect()
}

fn search_with(spans: &[Span], rules: Rules, narrow: usize) -> Search {
    let model = register();
    let Ok(plan) = Plan::with_rules(&model, spans, rules, narrow, &UNLIMITED) else {
        panic!("registers know all of these calls")
    };
    let mut engine = plan.engine();
    engine.easy(&UNLIMITED).unwrap_or_else(|| engine.hard(&UNLIMITED))
}

fn agrees(spans: &[Span], truth: bool, rules: Rules, narrow: usize) {
    match search_with(spans, rules, narrow) {
        Search::Valid(order) => {
            assert!(truth, "{rules:?} finds an order of {spans:#?}");
            certify(spans, &order);
        }
        Search::Violation { proven_at } => {
            assert!(!truth, "{rules:?} finds no order of {spans:#?}");
            assert!(!linearizable(&until(spans, proven_at)), "{proven_at} {spans:#?}");
            assert!(linearizable(&until(spans, proven_at - 1)), "{proven_at} {spans:#?}");
        }
        Search::Unknown { .. } => panic!("nothing limits this search"),
    }
}

/// Every choice of rules.
fn all_rules() -> impl Iterator<Item = Rules> {
    (0..64_u8).map(|bits| Rules {
        silent: bits & 1 != 0,
        burial: bits & 2 != 0,
        useful: bits & 4 != 0,
        interchange: bits & 8 != 0,
        dominance: bits & 16 != 0,
        forget: bits & 32 != 0,
    })
}

#[test]
fn every_choice_of_rules_decides_as_the_oracle_does() {
    let mut seen = [0; 2];
    for seed in 0..4_000 {
        let spans = random_spans(seed, 7);
        let truth = linearizable(&spans);
        seen[usize::from(truth)] += 1;
        for rules in all_rules() {
            agrees(&spans, truth, rules, 1 + seed as usize % 20);
        }
    }
    assert!(seen.iter().all(|&count| count > 500), "{seen:?}");
}

#[test]
fn all_rules_together_decide_as_the_oracle_does() {
    let mut seen = [0; 2];
    for seed in 0..100_000 {
        let spans = random_spans(1_000_000 + seed, 10);
        let truth = linearizable(&spans);
        seen[usize::from(truth)] += 1;
        agrees(&spans, truth, Rules::ALL, 1 + seed as usize % 3);
    }
    assert!(seen.iter().all(|&count| count > 10_000), "{seen:?}");
}

#[test]
fn stretch_without_an_order_from_any_state_refutes_the_whole() {
    let mut found = 0;
    for seed in 0..20_000 {
        let spans = random_spans(2_000_000 + seed, 10);
        let Search::Violation { proven_at } = search(&register(), &spans, &UNLIMITED) else {
            continue;
        };
        let states: Vec<ValueId> = (0..4).map(ValueId).collect();
        let layout = super::Layout::new(
            &register(),
            &spans,
            0,
            true,
            &crate::engines::Cancellation::never(),
        )
        .unwrap();
        let part = locate::find(&register(), &spans, &layout, &states, proven_at, &UNLIMITED);
        if let Some(part) = part {
            found += 1;
            for state in states {
                assert!(!has_order_in(&part, state), "{part:#?} of {spans:#?}");
            }
        }
    }
    assert!(found > 1_000, "{found}");
}

#[test]
fn stretch_is_refuted_only_where_no_state_begins_an_order() {
    let states: Vec<ValueId> = (0..4).map(ValueId).collect();
    let mut refuted = 0;
    for seed in 0..50_000 {
        let spans = random_spans(3_000_000 + seed, 9);
        let part = Part { spans, begins_at: seed % 8 };
        let none = locate::has_no_order(&register(), &part, &states, 1_000, &UNLIMITED);
        let truth = states.iter().all(|&state| !has_order_in(&part, state));
        assert_eq!(none, truth, "{part:#?}");
        refuted += usize::from(none);
    }
    assert!((5_000..45_000).contains(&refuted), "{refuted}");
}

/// First in, first out; says nothing that helps to prune.
struct Queue;

impl Model for Queue {
    type State = Vec<ValueId>;

    fn name(&self) -> &'static str {
        "queue"
    }

    fn initial(&self) -> Self::State {
        Vec::new()
    }

    fn knows(&self, _call: Call) -> bool {
        true
    }

    fn step(&self, items: &Self::State, call: Call) -> Option<Self::State> {
        let mut items = items.clone();
        if let Action::Other(Function::Enqueue, item) = call.action {
            items.push(item);
        } else {
            let head = if items.is_empty() { ValueId::NULL } else { items.remove(0) };
            if call.response.is_some_and(|answer| answer != Response::Value(head)) {
                return None;
            }
        }
        Some(items)
    }
}

fn queue_call(random: &mut ChaCha8Rng, values: u32) -> (Action, Response) {
    let value = ValueId(random.random_range(0..values));
    if value != ValueId::NULL && random.random_bool(0.5) {
        (Action::Other(Function::Enqueue, value), Response::Done)
    } else {
        (Action::Other(Function::Dequeue, ValueId::NULL), Response::Value(value))
    }
}

#[test]
fn model_without_hints_is_decided_as_the_oracle_does() {
    let mut seen = [0; 2];
    for seed in 0..30_000 {
        let spans = random_spans_of(4_000_000 + seed, 8, queue_call, |_| false);
        let truth = has_order(&Queue, &spans, (1 << spans.len()) - 1, &Vec::new());
        let found = search(&Queue, &spans, &UNLIMITED);
        assert_eq!(matches!(found, Search::Valid(_)), truth, "{spans:#?}");
        assert_eq!(matches!(found, Search::Violation { .. }), !truth, "{spans:#?}");
        let found = crate::engines::auto::search(&Queue, &spans, &UNLIMITED);
        assert_eq!(matches!(found, Search::Valid(_)), truth, "{spans:#?}");
        seen[usize::from(truth)] += 1;
    }
    assert!(seen.iter().all(|&count| count > 3_000), "{seen:?}");
}

#[test]
fn search_that_may_use_no_memory_does_not_know() {
    let spans = random_spans(1, 10);
    let limits = Limits { memory: 0, stop: &|| false };
    let found = search(&register(), &spans, &limits);
    assert!(matches!(found, Search::Unknown { cause: Cause::Memory, .. }), "{found:?}");
}

#[test]
fn search_told_to_stop_does_not_know() {
    let spans = random_spans(1, 10);
    let limits = Limits { memory: usize::MAX, stop: &|| true };
    let found = search(&register(), &spans, &limits);
    assert!(matches!(found, Search::Unknown { cause: Cause::Stopped, .. }), "{found:?}");
}
