//! Random small histories against an oracle, with every rule on and with every rule off; and what
//! cut frontiers may say.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::rules::Rules;
use super::{Plan, locate, search};
use crate::engines::wgl::{Limits, Search};
use crate::engines::{NEVER, Span};
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

/// Whether the spans have an order that begins in `state`: tries all.
fn has_order(spans: &[Span], left: u32, state: ValueId) -> bool {
    let is_left = |place: usize| left & 1 << place != 0;
    if (0..spans.len()).all(|place| !is_left(place) || !spans[place].is_completed()) {
        return true;
    }
    (0..spans.len()).filter(|&place| is_left(place)).any(|place| {
        (0..spans.len()).all(|it| !is_left(it) || spans[it].returned > spans[place].invoked)
            && register()
                .step(&state, spans[place].call)
                .is_some_and(|state| has_order(spans, left & !(1 << place), state))
    })
}

fn linearizable(spans: &[Span]) -> bool {
    has_order(spans, (1 << spans.len()) - 1, register().initial())
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

/// Spans with random overlaps, calls and answers.
fn random_spans(seed: u64, most: usize) -> Vec<Span> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let count = random.random_range(2..=most);
    let clients = random.random_range(1..=5);
    let values = random.random_range(2..=4);
    let unknown = if random.random_bool(0.5) { 0.25 } else { 0.0 };
    let (mut spans, mut open, mut position) = (Vec::<Span>::new(), Vec::<usize>::new(), 0);
    while spans.len() < count || !open.is_empty() {
        position += 1;
        if spans.len() < count
            && (open.len() < clients && random.random_bool(0.5) || open.is_empty())
        {
            let (action, response) = call(&mut random, values);
            let pure = action == Action::Read || matches!(response, Response::Mismatch(_));
            let unknown = !pure && random.random_bool(unknown);
            let call = Call { action, response: (!unknown).then_some(response) };
            let operation = spans.len() as u32;
            if !unknown {
                open.push(spans.len());
            }
            spans.push(Span { call, invoked: position, returned: NEVER, operation });
        } else {
            let place = open.swap_remove(random.random_range(0..open.len()));
            spans[place].returned = position;
        }
    }
    spans
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
    let plan = Plan::with_rules(&model, spans, rules, narrow).ok().expect("known calls");
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
        let layout = super::Layout::new(&register(), &spans, true);
        let part = locate::find(&register(), &spans, &layout, &states, proven_at, &UNLIMITED);
        if let Some(part) = part {
            found += 1;
            for state in states {
                assert!(!has_order(&part, (1 << part.len()) - 1, state), "{part:#?} of {spans:#?}");
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
        let none = locate::has_no_order(&register(), &spans, &states, 1_000, &UNLIMITED);
        let all = (1 << spans.len()) - 1;
        let truth = states.iter().all(|&state| !has_order(&spans, all, state));
        assert_eq!(none, truth, "{spans:#?}");
        refuted += usize::from(none);
    }
    assert!((5_000..45_000).contains(&refuted), "{refuted}");
}
