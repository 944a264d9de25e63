//! What several tests need: a slow, obviously correct oracle, and one examination of a history by
//! everything that can judge it.

use crate::engines::wgl::{self, Limits, Search};
use crate::engines::{Cancellation, NEVER, Span, auto, frontier, spans, zones};
use crate::model::Register;
use crate::{
    Action, Certificate, Counterexample, EventKind, Expected, History, KeyId, KeyOrder, Operation,
    Outcome, Response, Value, ValueId, Verdict, check, verify,
};

/// Tries all orders of all subsets that hold every completed operation of one key. Knows nothing of
/// models and engines.
pub(crate) fn linearizable(history: &History, initial: &Value) -> bool {
    let unnamed = ValueId(history.values.len() as u32);
    let initial = history.values.find(initial).unwrap_or(unnamed);
    (0..history.keys.len() as u32).map(KeyId).all(|key| {
        let operations: Vec<&Operation> =
            history.operations.iter().filter(|o| o.key == key && !o.is_failed()).collect();
        assert!(operations.len() <= 16, "an oracle for small histories");
        extend(&operations, (1 << operations.len()) - 1, initial, initial)
    })
}

/// Whether the operations whose bits are in `left` can follow when the register holds `held`.
fn extend(operations: &[&Operation], left: u32, held: ValueId, initial: ValueId) -> bool {
    let is_left = |place: usize| left & 1 << place != 0;
    if (0..operations.len()).all(|place| !is_left(place) || !operations[place].is_ok()) {
        return true;
    }
    (0..operations.len()).filter(|&place| is_left(place)).any(|place| {
        let waits = (0..operations.len()).any(|other| {
            is_left(other) && returned(operations[other]) < operations[place].invoked.position
        });
        !waits
            && apply(operations[place], held, initial)
                .is_some_and(|held| extend(operations, left & !(1 << place), held, initial))
    })
}

fn returned(operation: &Operation) -> u64 {
    match operation.outcome {
        Outcome::Ok(moment, _) => moment.position,
        _ => u64::MAX,
    }
}

fn apply(operation: &Operation, held: ValueId, initial: ValueId) -> Option<ValueId> {
    let response = operation.response();
    match operation.action {
        Action::Read => match response {
            Some(Response::Value(value)) if value != held => None,
            _ => Some(held),
        },
        Action::Write(value) => Some(value),
        Action::Delete => Some(initial),
        Action::Cas { expected, new } => match response {
            Some(Response::Mismatch(_)) if held == expected => None,
            Some(Response::Mismatch(Some(saw))) if saw != held => None,
            Some(Response::Mismatch(_)) => Some(held),
            None if held != expected => Some(held),
            _ if held != expected => None,
            _ => Some(new),
        },
        Action::Other(..) => panic!("no such function here"),
    }
}

/// Has every engine judge the history, which has one key. Demands that they agree with each other,
/// and with `truth` where that is known; that an order found satisfies the verifier; and that a
/// counterexample is a violation of its own by every judge.
pub(crate) fn examine(history: &History, initial: &Value, truth: Option<bool>) -> Verdict {
    let register = Register::new(initial, &history.values);
    let places: Vec<u32> = (0..history.operations.len() as u32).collect();
    let spans = spans(history, &places, &register);

    let found = search(history, initial, &spans);
    let found = along_time(history, initial, &spans, &found);
    let truth = truth.unwrap_or(found);
    assert_eq!(found, truth, "the search is wrong about {history:#?}");

    let mut slots = zones::Slots::new(history.values.len());
    match zones::decide(&spans, register, &mut slots, &Cancellation::never()) {
        zones::Decision::Inexact(_) => {}
        zones::Decision::Stopped => panic!("nothing stops them"),
        zones::Decision::Valid(order) => {
            assert!(truth, "zones find an order for {history:#?}");
            certify(history, initial, &spans, &order);
        }
        zones::Decision::Violation(evidence) => {
            assert!(!truth, "zones find no order for {history:#?}");
            refute(history, initial, &zones::explain(history, &spans, &evidence));
        }
    }

    let options = crate::Options { initial: initial.clone(), ..Default::default() };
    let (analysis, certificate) = check(history, &options, &|| false);
    if !history.operations.iter().any(Operation::is_ok) {
        assert_eq!(analysis.verdict, Verdict::Unknown);
        return Verdict::Unknown;
    }
    let expected = if truth { Verdict::Valid } else { Verdict::Violation };
    assert_eq!(analysis.verdict, expected, "{:?} on {history:#?}", analysis.reasons);
    assert_eq!(certificate.is_some(), truth);
    assert_eq!(analysis.counterexample.is_some(), !truth);
    if let Some(counterexample) = &analysis.counterexample {
        refute(history, initial, counterexample);
    }
    expected
}

const UNLIMITED: Limits<'_> = Limits { memory: usize::MAX, stop: &|| false };

/// What the depth-first search says, once its order or its proof has been checked.
fn search(history: &History, initial: &Value, spans: &[Span]) -> Search {
    let register = Register::new(initial, &history.values);
    let found = wgl::search(&register, spans, &UNLIMITED);
    match &found {
        Search::Valid(order) => certify(history, initial, spans, order),
        &Search::Violation { proven_at } => {
            for (until, expected) in [(proven_at, false), (proven_at - 1, true)] {
                let part = until_moment(spans, until);
                let found = wgl::search(&register, &part, &UNLIMITED);
                let valid = matches!(found, Search::Valid(_));
                assert_eq!(valid, expected, "cut at {until}: {history:#?}");
            }
        }
        Search::Unknown { .. } => panic!("nothing limits this search"),
    }
    found
}

/// Demands that the frontier says the same as the search, of the same event. Whether there is an
/// order.
fn along_time(history: &History, initial: &Value, spans: &[Span], expected: &Search) -> bool {
    let register = Register::new(initial, &history.values);
    let found = frontier::search(&register, spans, &UNLIMITED);
    if let (Search::Valid(order), Search::Valid(_)) = (&found, expected) {
        certify(history, initial, spans, order);
        return true;
    }
    assert_eq!(found, *expected, "frontier and search disagree about {history:#?}");
    false
}

/// The spans as known when the event at `until` had happened, but for mismatches to come, which
/// stay what they will turn out to be.
fn until_moment(spans: &[Span], until: u64) -> Vec<Span> {
    let begun = spans.iter().filter(|span| span.invoked <= until);
    let known = begun.filter_map(|span| {
        let mut span = *span;
        if span.returned > until {
            let swaps = span.call.response != Some(Response::Swapped);
            let pure = matches!(span.call.action, Action::Read)
                || matches!(span.call.action, Action::Cas { .. } if swaps && span.is_completed());
            if pure {
                return None;
            }
            span.returned = NEVER;
            span.call.response = None;
        }
        Some(span)
    });
    known.collect()
}

fn certify(history: &History, initial: &Value, spans: &[Span], order: &[u32]) {
    let index = |&span: &u32| {
        let operation = spans[span as usize].operation as usize;
        history.operations[operation].invoked.position
    };
    let keys = history.keys.iter().take(1);
    let order: Vec<u64> = order.iter().map(index).collect();
    let certificate = Certificate {
        model: "register".to_owned(),
        level: None,
        initial: initial.clone(),
        consistency: None,
        keys: keys
            .map(|key| KeyOrder { key: key.clone(), order: order.clone(), initial: None })
            .collect(),
        saw: Vec::new(),
    };
    let expected = Expected { initial: initial.clone(), ..Expected::default() };
    if let Err(error) = verify(history, &certificate, &expected) {
        panic!("{error}: {order:?} for {history:#?}");
    }
}

/// Demands that the counterexample is a small part of the history and a violation of its own.
fn refute(history: &History, initial: &Value, counterexample: &Counterexample) {
    let context = || format!("{counterexample:#?}\nof {history:#?}");
    for witness in counterexample.proof() {
        let same = |operation: &&Operation| operation.invoked.position == witness.index;
        let operation = history.operations.iter().find(same).expect("it is in the history");
        let original = history.witness(operation);
        let cut_off = witness.function != original.function;
        assert!(cut_off || *witness == original, "{}", context());
    }
    let alone = History::from_events(counterexample.events()).expect("a history of its own");
    if alone.operations.len() <= 8 {
        assert!(!linearizable(&alone, initial), "{}", context());
    }
    let register = Register::new(initial, &alone.values);
    let places: Vec<u32> = (0..alone.operations.len() as u32).collect();
    let spans = spans(&alone, &places, &register);
    for engine in [wgl::search, auto::search] {
        let found = engine(&register, &spans, &UNLIMITED);
        assert!(matches!(found, Search::Violation { .. }), "a search accepts {}", context());
    }
    let mut slots = zones::Slots::new(alone.values.len());
    let found = zones::decide(&spans, register, &mut slots, &Cancellation::never());
    assert!(!matches!(found, zones::Decision::Valid(_)), "zones accept {}", context());

    let cycle = &counterexample.cycle;
    for (place, edge) in cycle.iter().enumerate() {
        let following = &cycle[(place + 1) % cycle.len()];
        assert_eq!(edge.to, following.from, "no cycle: {}", context());
        assert!(edge.from < counterexample.operations.len());
    }
    real_time_edges_are_true(counterexample);
}

fn real_time_edges_are_true(counterexample: &Counterexample) {
    use crate::Relation;
    let operations = &counterexample.operations;
    for edge in counterexample.cycle.iter().filter(|edge| edge.relation == Relation::RealTime) {
        let (from, to) = (&operations[edge.from], &operations[edge.to]);
        assert_eq!(from.outcome, EventKind::Ok);
        assert!(from.completed_index.unwrap() < to.index, "{counterexample:#?}");
    }
}
