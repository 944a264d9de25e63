//! How searches end when their time or their memory does: soon, and with what they have.

use std::sync::atomic::{AtomicU64, Ordering};

use partita_checker::generate::{Recipe, Shape};
use partita_checker::{
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
