//! Random histories of every object, whole and damaged, by everything that can judge them.

use super::rounds::rounds;
use super::subjects::{Object, linearizable};
use crate::engines::Monitored;
use crate::generate::ObjectPlan;
use crate::model::{Append, Counter, Lock, MODELS, MultiRegister, Queue, Set, Stack};
use crate::{
    Event, EventKind, Expected, Function, History, ModelKind, Operation, Options, Value, Verdict,
    check, verify,
};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

fn kinds() -> impl Iterator<Item = ModelKind> {
    let objects = MODELS.iter().map(|entry| entry.kind).filter(|kind| !kind.is_transactional());
    objects.filter(|&kind| kind != ModelKind::Register)
}

/// Damages a history in one place, as a faulty store or clock would, and keeps its form.
fn damage(events: &mut [Event], random: &mut ChaCha8Rng) {
    let place = random.random_range(0..events.len());
    if random.random_bool(0.4) {
        for _ in 0..random.random_range(1..12) {
            let place = random.random_range(0..events.len());
            if place + 1 < events.len() && events[place].process != events[place + 1].process {
                events.swap(place, place + 1);
            }
        }
    } else if events[place].kind == EventKind::Ok {
        answer_anew(events, place, random);
    }
    let mut times: Vec<_> = events.iter().map(|event| event.time).collect();
    times.sort_unstable();
    for ((index, time), event) in (0..).zip(times).zip(events) {
        (event.index, event.time) = (index, time);
    }
}

/// Gives an operation the answer of another one of its kind, or one near its own.
fn answer_anew(events: &mut [Event], place: usize, random: &mut ChaCha8Rng) {
    let function = events[place].function;
    if function == Function::Txn {
        events[place].value = read_anew(events, place, random);
        return;
    }
    let takes = [Function::Read, Function::Dequeue, Function::Pop, Function::Contains];
    if !takes.contains(&function) {
        if random.random_bool(0.5) {
            events[place].kind = EventKind::Fail;
        }
        return;
    }
    let other = &events[random.random_range(0..events.len())];
    let same = other.function == function && other.kind == EventKind::Ok;
    events[place].value = match &events[place].value {
        _ if same => other.value.clone(),
        Value::Integer(number) => Value::Integer(number + random.random_range(-1..=1)),
        Value::Bool(truth) => Value::Bool(!truth),
        _ if matches!(function, Function::Dequeue | Function::Pop) => Value::Null,
        value => value.clone(),
    };
}

/// The transaction's answer, with another value in its reads.
fn read_anew(events: &[Event], place: usize, random: &mut ChaCha8Rng) -> Value {
    let steps = |event: &Event| match &event.value {
        Value::List(steps) => steps.to_vec(),
        _ => Vec::new(),
    };
    let others = steps(&events[random.random_range(0..events.len())]);
    let value = match others.first() {
        Some(Value::List(parts)) => parts[2].clone(),
        _ => Value::Null,
    };
    let anew = steps(&events[place]).into_iter().map(|step| match &step {
        Value::List(parts) if parts[0] == Value::from("r") => {
            Value::list([parts[0].clone(), parts[1].clone(), value.clone()])
        }
        _ => step,
    });
    Value::list(anew.collect::<Vec<_>>())
}

fn plan(model: ModelKind, operations: usize, random: &mut ChaCha8Rng) -> ObjectPlan {
    ObjectPlan {
        model,
        operations,
        clients: random.random_range(1..5),
        unknown: if random.random_bool(0.5) { 0.2 } else { 0.0 },
        failed: if random.random_bool(0.3) { 0.1 } else { 0.0 },
        values: random.random_bool(0.3).then(|| random.random_range(1..4)),
        grows: random.random_bool(0.5),
        seed: random.random_range(0..u64::MAX),
        ..ObjectPlan::default()
    }
}

/// The verdict of all on a small history.
fn examine(kind: ModelKind, history: &History) -> Verdict {
    let (null, values) = (&Value::Null, &history.values);
    let truth = linearizable(kind, history, null);
    match kind {
        ModelKind::Append => judge(kind, Append::new(null, values).unwrap(), history, truth),
        ModelKind::Counter => judge(kind, Counter::new(null, values).unwrap(), history, truth),
        ModelKind::Set => judge(kind, Set::new(null, values).unwrap(), history, truth),
        ModelKind::Queue => judge(kind, Queue::new(null, values).unwrap(), history, truth),
        ModelKind::Stack => judge(kind, Stack::new(null, values).unwrap(), history, truth),
        ModelKind::Lock => judge(kind, Lock::new(null, values).unwrap(), history, truth),
        ModelKind::MultiRegister => judge(kind, MultiRegister::new(null, values), history, truth),
        ModelKind::Register | ModelKind::ListAppend | ModelKind::RwRegister => {
            panic!("registers and transactions have tests of their own")
        }
    }
}

fn judge<M: Monitored>(kind: ModelKind, model: M, history: &History, truth: bool) -> Verdict {
    let object = Object { kind, model, history };
    object.examine(truth);
    if truth {
        object.leave_out();
    }
    let options = Options { model: kind, ..Options::default() };
    let (analysis, certificate) = check(history, &options, &|| false);
    if !history.operations.iter().any(Operation::is_ok) {
        assert_eq!(analysis.verdict, Verdict::Unknown);
        return Verdict::Unknown;
    }
    let expected = if truth { Verdict::Valid } else { Verdict::Violation };
    assert_eq!(analysis.verdict, expected, "{:?} on {history:#?}", analysis.reasons);
    assert_eq!(certificate.is_some(), truth);
    if let Some(counterexample) = &analysis.counterexample {
        object.refute(counterexample);
        let alone = History::from_events(counterexample.events()).unwrap();
        let (again, _) = check(&alone, &options, &|| false);
        assert_eq!(again.verdict, Verdict::Violation, "{counterexample:#?}");
    }
    expected
}

#[test]
fn everything_and_the_oracle_agree_on_small_damaged_histories() {
    for kind in kinds() {
        let mut seen = [0; 2];
        for seed in 0..rounds(6_000) {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let operations = random.random_range(3..9);
            let mut events: Vec<Event> = plan(kind, operations, &mut random).events().collect();
            for _ in 0..random.random_range(0..4) {
                damage(&mut events, &mut random);
            }
            let history = History::from_events(events).unwrap();
            seen[usize::from(examine(kind, &history) == Verdict::Violation)] += 1;
        }
        println!("{} histories of {kind}: valid ones and violations {seen:?}", seen[0] + seen[1]);
        assert!(seen.iter().all(|&count| count > 200), "{kind}: {seen:?}");
    }
}

#[test]
fn longer_history_of_a_real_object_is_never_a_violation() {
    for kind in kinds() {
        let mut known = 0;
        for seed in 0..150 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let plan = ObjectPlan { unknown: 0.05, ..plan(kind, 150, &mut random) };
            let history = History::from_events(plan.events()).unwrap();
            let options = Options { model: kind, memory: 32 << 20, ..Options::default() };
            let (analysis, certificate) = check(&history, &options, &|| false);
            assert_ne!(analysis.verdict, Verdict::Violation, "{kind}, seed {seed}");
            if let Some(certificate) = certificate {
                let expected =
                    Expected { model: kind, initial: Value::Null, ..Expected::default() };
                verify(&history, &certificate, &expected).unwrap();
                known += 1;
            }
        }
        assert!(known > 100, "{kind}: {known} of 150 decided");
    }
}

#[test]
fn counterexample_is_small_where_values_are_distinct() {
    let kinds = [ModelKind::Queue, ModelKind::Stack, ModelKind::Set, ModelKind::Append];
    for kind in kinds {
        let mut violations = 0;
        for seed in 0..40 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let plan = ObjectPlan { model: kind, operations: 3_000, seed, ..ObjectPlan::default() };
            let mut events: Vec<Event> = plan.events().collect();
            damage(&mut events, &mut random);
            let history = History::from_events(events).unwrap();
            let options = Options { model: kind, ..Options::default() };
            let (analysis, _) = check(&history, &options, &|| false);
            assert_ne!(analysis.verdict, Verdict::Unknown, "{kind}: {:?}", analysis.reasons);
            let Some(found) = analysis.counterexample else { continue };
            violations += 1;
            assert!(found.operations.len() <= 12, "{kind}: {found:#?}");
        }
        assert!(violations > 3, "{kind}: {violations}");
    }
}
