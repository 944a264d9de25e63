//! Objects of one's own: recorded, checked, proven and refuted as the built-in ones are.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use partita_checker::generate::{Fault, Plan};
use partita_checker::{
    CheckError, Event, EventKind, Function, History, Options, Pending, ProcessId, Recorder, Spec,
    Value, Verdict, check,
};

const BUDGET: Duration = Duration::from_secs(60);

/// A register for every key.
#[derive(Clone)]
struct Store;

#[derive(Debug, Clone, PartialEq)]
enum Op {
    Get(Value),
    Set(Value, Value),
    Swap { key: Value, expected: Value, new: Value },
}

#[derive(Debug, Clone, PartialEq)]
enum Ret {
    Is(Value),
    Done,
    Swapped,
    Mismatch,
}

impl Spec for Store {
    type State = Value;
    type Op = Op;
    type Ret = Ret;

    fn initial(&self) -> Value {
        Value::Null
    }

    fn apply(&self, held: &Value, op: &Op) -> (Value, Ret) {
        match op {
            Op::Get(_) => (held.clone(), Ret::Is(held.clone())),
            Op::Set(_, value) => (value.clone(), Ret::Done),
            Op::Swap { expected, new, .. } if expected == held => (new.clone(), Ret::Swapped),
            Op::Swap { .. } => (held.clone(), Ret::Mismatch),
        }
    }

    fn key(&self, op: &Op) -> Value {
        let (Op::Get(key) | Op::Set(key, _) | Op::Swap { key, .. }) = op;
        key.clone()
    }

    fn is_read_only(&self, op: &Op) -> bool {
        matches!(op, Op::Get(_))
    }
}

/// A recorder whose clock goes on by a millisecond with every event.
fn recorder<S: Spec>() -> Recorder<S> {
    let events = AtomicU64::new(0);
    Recorder::with_clock(move || Duration::from_millis(events.fetch_add(1, Ordering::Relaxed)))
}

fn get(key: &str) -> Op {
    Op::Get(key.into())
}

fn set(key: &str, value: i64) -> Op {
    Op::Set(key.into(), value.into())
}

fn is(value: i64) -> Ret {
    Ret::Is(value.into())
}

/// Records the operations one after the other.
fn record(recorder: &Recorder<Store>, operations: impl IntoIterator<Item = (Op, Ret)>) {
    for (op, ret) in operations {
        recorder.record(op, || ret);
    }
}

/// The violation that a check finds.
fn violation<S: Spec>(recorder: &Recorder<S>, spec: &S) -> CheckError {
    let error = recorder.check(spec, BUDGET).expect_err("a violation");
    assert!(matches!(error, CheckError::Violation(_)), "{error}");
    error
}

#[test]
fn what_threads_do_to_a_correct_object_is_proven_and_another_order_is_not_a_proof() {
    let (held, recorder) = (Mutex::new(Value::Null), Recorder::default());
    let (held, recorder) = (&held, &recorder);
    thread::scope(|scope| {
        for client in 0..4 {
            scope.spawn(move || {
                for number in 0..50 {
                    let value = Value::from(client * 100 + number);
                    recorder.record(Op::Set("k".into(), value.clone()), || {
                        *held.lock().unwrap() = value;
                        Ret::Done
                    });
                    recorder.record(get("k"), || Ret::Is(held.lock().unwrap().clone()));
                }
            });
        }
    });
    let report = recorder.check(&Store, BUDGET).expect("linearizable");
    assert_eq!(report.history.operations().len(), 400);
    assert_eq!(report.to_string(), "valid: Store, 400 operations on 1 object are linearizable");
    let mut certificate = report.certificate.expect("a proof");
    assert_eq!((&*certificate.model, &certificate.initial), ("Store", &Value::text("Null")));
    recorder.verify(&Store, &certificate).expect("a proof");
    certificate.keys[0].order.reverse();
    recorder.verify(&Store, &certificate).expect_err("no order of these operations");
    certificate.keys[0].order.reverse();
    certificate.model = "Shop".to_owned();
    let error = recorder.verify(&Store, &certificate).expect_err("of something else").to_string();
    assert_eq!(error, "expected the model `Store`, found `Shop`");
}

/// Records what the events tell, in their order, with one thread: what registers answer.
fn replayed(events: &[Event]) -> Recorder<Store> {
    let recorder = recorder();
    let mut pending: HashMap<ProcessId, Pending<Store>> = HashMap::new();
    for event in events {
        if event.kind == EventKind::Invoke {
            let key = event.key.clone();
            let op = match (event.function, &event.value) {
                (Function::Read, _) => Op::Get(key),
                (Function::Delete, _) => Op::Set(key, Value::Null),
                (Function::Cas, Value::List(operands)) => {
                    let [expected, new] = [&operands[0], &operands[1]].map(Value::clone);
                    Op::Swap { key, expected, new }
                }
                (_, value) => Op::Set(key, value.clone()),
            };
            pending.insert(event.process, recorder.invoke(op));
            continue;
        }
        let open = pending.remove(&event.process).expect("an invocation");
        match (event.kind, event.function, event.swapped) {
            (EventKind::Fail, ..) => open.failed(),
            (EventKind::Info, ..) => open.unknown(),
            (_, Function::Read, _) => drop(open.answered(Ret::Is(event.value.clone()))),
            (_, Function::Cas, Some(false)) => drop(open.answered(Ret::Mismatch)),
            (_, Function::Cas, _) => drop(open.answered(Ret::Swapped)),
            _ => drop(open.answered(Ret::Done)),
        }
    }
    // What is still open ends after everything else.
    drop(pending);
    recorder
}

#[test]
fn an_own_register_is_judged_as_the_built_in_one() {
    let faults = [None, Some(Fault::StaleRead), Some(Fault::LostWrite)];
    let mut found = [0; 3];
    for seed in 0..240_u64 {
        let fault = faults[seed as usize % faults.len()];
        let plan = Plan {
            operations: 60,
            clients: 4,
            keys: 2,
            unknown: 0.05,
            failed: 0.05,
            values: seed.is_multiple_of(2).then_some(4),
            tells: false,
            fault,
            seed,
            ..Plan::default()
        };
        let events: Vec<Event> = plan.events().collect();
        let history = History::from_events(events.iter().cloned()).expect("a history");
        let expected = check(&history, &Options::default(), &|| false).0.verdict;
        let recorder = replayed(&events);
        let result = recorder.check(&Store, BUDGET);
        let report = result.as_ref().unwrap_or_else(CheckError::report);
        assert_eq!(report.analysis.verdict, expected, "seed {seed}: {report}");
        assert_eq!(report.certificate.is_some(), expected == Verdict::Valid, "seed {seed}");
        found[expected as usize] += 1;
    }
    let [valid, unknown, violations] = found;
    assert!(valid > 50 && unknown == 0 && violations > 20, "{found:?}");
}

#[test]
fn a_counterexample_has_the_operations_that_matter() {
    let recorder = recorder();
    record(&recorder, (10..60).map(|value| (set("k", value), Ret::Done)));
    record(&recorder, [(set("k", 1), Ret::Done), (get("k"), is(1))]);
    record(&recorder, (60..90).map(|value| (set("k", value), Ret::Done)));
    record(&recorder, [(get("k"), is(1)), (get("k"), is(89))]);
    let error = violation(&recorder, &Store);
    let counterexample = error.counterexample().expect("a counterexample");
    let shown: Vec<String> =
        counterexample.operations.iter().map(|it| it.asked().to_string()).collect();
    assert_eq!(shown.len(), 3, "the write, one that replaced it and the read: {error}");
    assert!(shown[0].starts_with("Set") && shown[2].starts_with("Get"), "{error}");
    assert!(!counterexample.cycle.is_empty(), "{error}");
}

#[test]
fn keys_are_judged_apart_and_named() {
    let recorder = recorder();
    record(&recorder, [(set("a", 1), Ret::Done), (set("b", 2), Ret::Done), (get("a"), is(1))]);
    record(&recorder, [(get("b"), is(1))]);
    let error = violation(&recorder, &Store);
    let verdicts = error.report().analysis.keys.iter().map(|it| (it.key.to_string(), it.verdict));
    let expected = [("a", Verdict::Valid), ("b", Verdict::Violation)];
    assert!(verdicts.eq(expected.map(|(key, verdict)| (key.to_owned(), verdict))), "{error}");
    // What a test prints that unwraps the result.
    let words = format!("{error:?}");
    let beginning = "violation: Store, not linearizable\n  No order of these 1 operations on key b \
                     explains what their clients saw; the last answer, Is(Integer(1)) to \
                     Get(Text(\"b\")) by process 0 at 0.007 s, fits none.\n";
    assert!(words.starts_with(beginning), "{words}");
    let line = "    #6 process 0: Get(Text(\"b\")) → Is(Integer(1)), from 0.006000 s to 0.007000 s";
    assert!(words.contains(line), "{words}");
}

#[test]
fn an_unknown_outcome_may_have_happened_and_a_failed_one_has_not() {
    type Way = (&'static str, fn(&Recorder<Store>));
    let ways: [Way; 6] = [
        ("dropped", |recorder| drop(recorder.invoke(set("k", 1)))),
        ("panic", |recorder| {
            let recorder = recorder.clone();
            let panicked = thread::spawn(move || {
                recorder.record(set("k", 1), || std::panic::resume_unwind(Box::new(())))
            });
            panicked.join().expect_err("a panic");
        }),
        ("cancelled", |recorder| {
            let mut future = pin!(recorder.record_async(set("k", 1), std::future::pending));
            let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
        }),
        ("time-out", |recorder| {
            let result = recorder.try_record(set("k", 1), || Err("timed out"), |_| false);
            assert_eq!(result, Err("timed out"));
        }),
        ("refused", |recorder| {
            let result = recorder.try_record(set("k", 1), || Err("refused"), |_| true);
            assert_eq!(result, Err("refused"));
        }),
        ("failed", |recorder| recorder.invoke(set("k", 1)).failed()),
    ];
    for (way, perform) in ways {
        let recorder = recorder();
        perform(&recorder);
        record(&recorder, [(get("k"), Ret::Is(Value::Null)), (get("k"), is(1))]);
        let is_definite = ["refused", "failed"].contains(&way);
        assert_eq!(recorder.check(&Store, BUDGET).is_err(), is_definite, "{way}");
        let info = recorder.history(&Store).counts().info;
        assert_eq!(info, usize::from(!is_definite), "{way}");
    }
}

#[test]
fn async_code_records_what_its_future_answers() {
    let recorder = recorder();
    let mut context = Context::from_waker(Waker::noop());
    let mut answered = pin!(recorder.record_async(set("k", 1), async || Ret::Done));
    assert_eq!(answered.as_mut().poll(&mut context), Poll::Ready(Ret::Done));
    let answer = async || Ok::<Ret, ()>(is(2));
    let mut wrong = pin!(recorder.try_record_async(get("k"), answer, |()| true));
    assert_eq!(wrong.as_mut().poll(&mut context), Poll::Ready(Ok(is(2))));
    violation(&recorder, &Store);
}

#[test]
fn threads_keep_their_process_and_tasks_on_one_thread_get_several() {
    let recorder: Recorder<Store> = recorder();
    let (one, other) = (recorder.invoke(get("k")), recorder.invoke(get("k")).via("n2"));
    other.answered(Ret::Is(Value::Null));
    one.answered(Ret::Is(Value::Null));
    record(&recorder, [(get("k"), Ret::Is(Value::Null))]);
    recorder.invoke(set("k", 1)).unknown();
    record(&recorder, [(get("k"), is(1))]);
    let history = recorder.history(&Store);
    let processes: Vec<u32> = history.operations().iter().map(|it| it.process.0).collect();
    assert_eq!(processes, [0, 1, 0, 0, 2], "an operation of unknown outcome may go on");
    assert_eq!(history.nodes(), ["n2".into()]);
}

#[test]
fn nothing_answered_and_a_budget_of_nothing_prove_nothing() {
    let recorder: Recorder<Store> = recorder();
    recorder.invoke(set("k", 1)).unknown();
    let error = recorder.check(&Store, BUDGET).expect_err("unknown");
    assert!(matches!(error, CheckError::Unknown(_)), "{error}");
    assert!(error.to_string().contains("nothing was tested"), "{error}");
    record(&recorder, [(get("k"), is(1))]);
    let error = recorder.check(&Store, Duration::ZERO).expect_err("no time");
    assert!(matches!(error, CheckError::Unknown(_)), "{error}");
}

/// Says that an operation changes nothing which does.
struct Liar;

impl Spec for Liar {
    type State = u8;
    type Op = ();
    type Ret = u8;

    fn initial(&self) -> u8 {
        0
    }

    fn apply(&self, state: &u8, (): &()) -> (u8, u8) {
        (state + 1, *state)
    }

    fn is_read_only(&self, (): &()) -> bool {
        true
    }
}

#[test]
fn a_spec_that_contradicts_itself_proves_nothing() {
    let recorder = recorder();
    recorder.record((), || 0);
    recorder.record((), || 1);
    let error = recorder.check(&Liar, BUDGET).expect_err("unknown");
    assert!(error.to_string().contains("() is read-only, but it changes 0 to 1"), "{error}");
}

/// A number that does not show.
#[derive(Clone, PartialEq)]
struct Secret(u8);

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("secret")
    }
}

/// Holds the last secret, and answers with the one before.
struct Safe;

impl Spec for Safe {
    type State = u8;
    type Op = Secret;
    type Ret = Secret;

    fn initial(&self) -> u8 {
        0
    }

    fn apply(&self, held: &u8, new: &Secret) -> (u8, Secret) {
        (new.0, Secret(*held))
    }
}

#[test]
fn operations_that_look_alike_are_told_apart() {
    let kept = recorder();
    for (new, before) in [(1, 0), (2, 1), (1, 2), (3, 1)] {
        kept.record(Secret(new), || Secret(before));
    }
    kept.check(&Safe, BUDGET).expect("linearizable");
    let lost = recorder();
    for (new, before) in [(1, 0), (2, 1), (3, 1)] {
        lost.record(Secret(new), || Secret(before));
    }
    let error = violation(&lost, &Safe);
    assert!(error.to_string().contains("secret #2"), "{error}");
}

#[test]
fn a_violation_is_found_while_more_is_recorded() {
    let recorder = recorder();
    let mut streaming = recorder.streaming(Store);
    record(&recorder, (0..100).map(|value| (set("k", value), Ret::Done)));
    assert!(streaming.advance(BUDGET).expect("a history").is_none());
    record(&recorder, [(get("k"), is(3))]);
    record(&recorder, (100..200).map(|value| (set("k", value), Ret::Done)));
    let found = streaming.advance(BUDGET).expect("a history").expect("a stale read");
    assert_eq!(found.verdict, Verdict::Violation);
    assert!(found.counterexample.expect("a counterexample").operations.len() <= 3);
}
