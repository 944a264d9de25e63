//! How searches end when their time or their memory does: soon, and with what they have.

use std::sync::atomic::{AtomicU64, Ordering};

use super::lanes;
use crate::engines::wgl::{self, Cause, Limits, Search};
use crate::engines::{Span, auto, frontier, spans};
use crate::generate::{Recipe, Shape};
use crate::model::{Call, Model, Register};
use crate::{
    Analysis, EngineChoice, Event, EventKind, Function, History, ModelKind, Nanoseconds, Options,
    ProcessId, Progress, Value, Verdict, check, check_watched,
};

const SEARCHES: [EngineChoice; 3] = [EngineChoice::Frontier, EngineChoice::Wgl, EngineChoice::Auto];

const ADDITIONS: u32 = 24;

/// Additions that all overlap, and a read of what no order of any of them gives: every subset has
/// to be tried, and no rule leaves one out.
fn laborious() -> History {
    let additions = 0..ADDITIONS;
    let add = |kind| move |client| (client, kind, Function::Add, Value::Integer(1_i64 << client));
    let read = [(EventKind::Invoke, Value::Null), (EventKind::Ok, Value::Integer(-1))];
    let read = read.map(|(kind, value)| (ADDITIONS, kind, Function::Read, value));
    let invoked = additions.clone().map(add(EventKind::Invoke));
    let events = invoked.chain(additions.map(add(EventKind::Ok))).chain(read);
    let events = (0..).zip(events).map(|(index, (process, kind, function, value))| Event {
        index,
        time: Nanoseconds(index),
        process: ProcessId(process),
        kind,
        function,
        key: Value::text("sum"),
        value,
        swapped: None,
        saw: None,
        node: None,
        error: None,
        level: None,
        revision: None,
    });
    History::from_events(events).unwrap()
}

fn options(engine: EngineChoice, memory: usize) -> Options {
    Options { model: ModelKind::Counter, engine, memory, ..Options::default() }
}

/// How much of the longest order the analysis says was found, of how much, once it says why.
fn progress(analysis: &Analysis, cause: &str) -> (usize, usize) {
    assert_eq!(analysis.verdict, Verdict::Unknown);
    let [reason] = &analysis.reasons[..] else { panic!("one reason: {:?}", analysis.reasons) };
    let said = reason.strip_prefix("key sum: ").and_then(|it| it.strip_prefix(cause));
    let said = said.unwrap_or_else(|| panic!("{reason}, not {cause}"));
    let said = said.split(';').next().unwrap_or(said);
    let numbers: Vec<usize> = said.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [ordered, completed] = numbers[..] else { panic!("two numbers: {said}") };
    (ordered, completed)
}

#[test]
fn search_ends_soon_after_it_is_told_to_and_says_how_far_it_got() {
    const ENOUGH: u64 = 200;
    let history = laborious();
    for engine in SEARCHES {
        let asked = AtomicU64::new(0);
        let stop = || asked.fetch_add(1, Ordering::Relaxed) >= ENOUGH;
        let (analysis, _) = check(&history, &options(engine, usize::MAX), &stop);
        let (ordered, completed) = progress(&analysis, "the time ran out; the longest order");
        assert!((1..completed).contains(&ordered), "{engine}: {ordered}");
        assert_eq!(completed, ADDITIONS as usize + 1);
        let asked = asked.into_inner();
        assert!(asked <= ENOUGH + 4, "{engine} was told {} times", asked - ENOUGH);
    }
}

#[test]
fn check_that_has_no_time_left_begins_nothing() {
    for engine in SEARCHES {
        let (analysis, _) = check(&laborious(), &options(engine, usize::MAX), &|| true);
        let (ordered, completed) = progress(&analysis, "the time ran out; the longest order");
        assert_eq!((ordered, completed), (0, ADDITIONS as usize + 1));
        assert_eq!(analysis.keys[0].engine, "none");
    }
}

#[test]
fn search_without_more_memory_says_how_far_it_got() {
    let history = laborious();
    for engine in SEARCHES {
        let (analysis, _) = check(&history, &options(engine, 16 << 20), &|| false);
        let cause = "the search used up its 16 MiB; the longest order";
        let (ordered, completed) = progress(&analysis, cause);
        assert!((1..completed).contains(&ordered), "{engine}: {ordered}");
    }
}

#[test]
fn monitor_and_verifier_end_wherever_they_are_told_to() {
    for model in ["register", "append", "queue", "stack", "set"] {
        let operations = 40_000;
        let recipe = Recipe { operations, ..Recipe::of(model, Shape::Steady).unwrap() };
        let history = History::from_events(recipe.events().unwrap()).unwrap();
        let options = Options { model: recipe.model, ..Options::default() };
        let run = |enough: u64| {
            let asked = AtomicU64::new(0);
            let stop = || asked.fetch_add(1, Ordering::Relaxed) >= enough;
            let (analysis, certificate) = check(&history, &options, &stop);
            assert_eq!(certificate.is_some(), analysis.verdict == Verdict::Valid);
            (analysis, asked.into_inner())
        };
        let (analysis, all) = run(u64::MAX);
        assert_eq!(analysis.verdict, Verdict::Valid, "{model}: {:?}", analysis.reasons);
        assert!(all >= 8, "{model}: {all} questions");
        for enough in 0..all {
            let (analysis, asked) = run(enough);
            assert_eq!(analysis.verdict, Verdict::Unknown, "{model} when told at {enough}");
            let [reason] = &analysis.reasons[..] else { panic!("{:?}", analysis.reasons) };
            assert!(reason.contains("the time ran out"), "{model}: {reason}");
            assert!(asked <= enough + 2, "{model} was told {} times", asked - enough);
        }
    }
}

#[test]
fn reason_names_the_event_up_to_which_there_is_an_order() {
    let recipe = Recipe { operations: 20_000, ..Recipe::of("kv", Shape::Bursts).unwrap() };
    let history = History::from_events(recipe.events().unwrap()).unwrap();
    let options = Options { engine: EngineChoice::Frontier, ..Options::default() };
    let progress = Progress::default();
    let (asked, seen) = (AtomicU64::new(0), AtomicU64::new(0));
    let stop = || {
        seen.fetch_max(progress.report().passed_operations as u64, Ordering::Relaxed);
        asked.fetch_add(1, Ordering::Relaxed) >= 100
    };
    let (analysis, _) = check_watched(&history, &options, &stop, &progress);
    assert_eq!(analysis.verdict, Verdict::Unknown);
    let reason = &analysis.reasons[0];
    let (_, said) = reason.split_once("; decided up to event ").unwrap();
    let [event, "of", last, time, "s)"] = said.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{reason}")
    };
    let [event, last]: [u64; 2] = [event, last].map(|number| number.parse().unwrap());
    assert!(0 < event && event < last, "{reason}");
    assert!(time.starts_with('('), "{reason}");

    let part = History::from_events(history.events().take_while(|it| it.index <= event)).unwrap();
    let (analysis, _) = check(&part, &options, &|| false);
    assert_eq!(analysis.verdict, Verdict::Valid);
    assert!(seen.into_inner() > 0);
    assert_eq!(progress.report().passed_operations, 0);
}

/// A register that counts what is asked of it.
struct Metered<'a> {
    register: Register,
    calls: &'a AtomicU64,
}

impl Metered<'_> {
    fn register(&self) -> &Register {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &self.register
    }
}

impl Model for Metered<'_> {
    type State = <Register as Model>::State;

    fn name(&self) -> &'static str {
        self.register.name()
    }

    fn initial(&self) -> Self::State {
        self.register.initial()
    }

    fn knows(&self, call: Call) -> bool {
        self.register().knows(call)
    }

    fn step(&self, state: &Self::State, call: Call) -> Option<Self::State> {
        self.register().step(state, call)
    }

    fn is_pure(&self, call: Call) -> bool {
        self.register().is_pure(call)
    }

    fn relies_on(&self, observer: Call, writer: Call) -> bool {
        self.register().relies_on(observer, writer)
    }

    fn relaxed(&self, call: Call) -> Option<Call> {
        self.register().relaxed(call)
    }

    fn overwrites(&self, call: Call) -> Option<Self::State> {
        self.register().overwrites(call)
    }

    fn demands(&self, call: Call) -> Option<Self::State> {
        self.register().demands(call)
    }
}

/// One write of every value, then reads of the last one and a write now and then.
fn mostly_reads(operations: u64) -> History {
    let events = (0..operations).flat_map(|number| {
        let (function, value) = match number {
            0..5 => (Function::Write, number),
            _ if number.is_multiple_of(5_000) => (Function::Write, 4),
            _ => (Function::Read, 4),
        };
        let value = Value::Integer(value as i64);
        let asked = if function == Function::Read { Value::Null } else { value.clone() };
        [(EventKind::Invoke, function, asked), (EventKind::Ok, function, value)]
    });
    let events = (0..).zip(events).map(|(index, (kind, function, value))| Event {
        index,
        time: Nanoseconds(index),
        process: ProcessId(0),
        kind,
        function,
        key: Value::text("k"),
        value,
        swapped: None,
        saw: None,
        node: None,
        error: None,
        level: None,
        revision: None,
    });
    History::from_events(events).unwrap()
}

#[test]
fn search_asks_whether_to_stop_after_few_calls_to_the_model() {
    /// How many calls may go by between two questions, and after the last.
    const MOST: u64 = 50_000;
    const ENOUGH: u64 = 400;
    let steady = Recipe::of("cas-register", Shape::Steady).unwrap();
    let steady = Recipe { operations: 100_000, clients: 60, values: Some(5), ..steady };
    let unsure = Recipe { unknown: 0.01, ..steady.clone() };
    let bursts = Recipe { clients: 100, shape: Shape::Bursts, ..steady.clone() };
    let made = [steady, unsure, bursts].map(|it| History::from_events(it.events().unwrap()));
    let mut histories = made.map(Result::unwrap).to_vec();
    histories.push(mostly_reads(100_000));
    for (number, history) in histories.iter().enumerate() {
        let calls = AtomicU64::new(0);
        let register = Register::new(&Value::Null, &history.values);
        let model = Metered { register, calls: &calls };
        let places: Vec<u32> = (0..history.operations.len() as u32).collect();
        let all: Vec<Span> = spans(history, &places, &model);
        let searches = [wgl::search::<Metered<'_>>, frontier::search, auto::search];
        for (search, name) in searches.into_iter().zip(["wgl", "frontier", "auto"]) {
            for enough in [3, ENOUGH] {
                let (asked, most) = (AtomicU64::new(0), AtomicU64::new(0));
                calls.store(0, Ordering::Relaxed);
                let stop = || {
                    most.fetch_max(calls.swap(0, Ordering::Relaxed), Ordering::Relaxed);
                    asked.fetch_add(1, Ordering::Relaxed) >= enough
                };
                let found = search(&model, &all, &Limits { memory: usize::MAX, stop: &stop });
                let last = calls.load(Ordering::Relaxed);
                let most = most.load(Ordering::Relaxed).max(last);
                assert!(most <= MOST, "{name} on {number}: {most} calls, {last} of them last");
                let is_stopped = matches!(found, Search::Unknown { cause: Cause::Stopped, .. });
                assert_eq!(is_stopped, asked.into_inner() > enough, "{name} on {number}");
            }
        }
    }
}

#[test]
fn panic_in_an_engine_is_never_a_verdict() {
    let mut history = History::from_events(lanes::parse("p0 |w 1|")).unwrap();
    history.operations[0].action = crate::Action::Write(crate::ValueId(1_000));
    let (analysis, certificate) = check(&history, &Options::default(), &|| false);
    assert_eq!((analysis.verdict, certificate), (Verdict::Unknown, None));
    assert!(analysis.reasons[0].contains("the checker panicked"), "{:?}", analysis.reasons);
}
