//! What a streaming checker promises: it never cries wolf, it is seldom late, and it forgets.

use partita_checker::generate::Plan;
use partita_checker::streaming::{SLACK, StreamingChecker};
use partita_checker::{Event, EventKind, Function, History, Options, Value, Verdict, check};

fn events(seed: u64, operations: usize) -> Vec<Event> {
    Plan { operations, clients: 6, unknown: 0.02, seed, ..Plan::default() }.events().collect()
}

/// The events with one late read made to return the first value ever read.
fn with_a_stale_read(mut events: Vec<Event>) -> Vec<Event> {
    let is_read = |event: &&mut Event| {
        event.function == Function::Read && event.kind == EventKind::Ok && !event.value.is_null()
    };
    let first = events.iter_mut().find(is_read).expect("a read").value.clone();
    let middle = events.len() / 2;
    events[middle..].iter_mut().find(is_read).expect("a late read").value = first;
    events
}

/// Feeds the events; where the violation was reported, if it was.
fn reported(events: &[Event]) -> Option<usize> {
    let mut checker = StreamingChecker::new(Options::default(), 4);
    for (place, event) in events.iter().enumerate() {
        let found = checker.push(event, &|| false).expect("a history");
        if let Some(analysis) = found {
            assert!(analysis.counterexample.is_some());
            return Some(place);
        }
    }
    let key = &events[0].key;
    let last = checker.finish_key(key, &|| false).expect("a history");
    last.map(|_| events.len())
}

#[test]
fn a_linearizable_history_never_raises_an_alarm() {
    for seed in 0..50 {
        assert_eq!(reported(&events(seed, 300)), None, "seed {seed}");
    }
}

#[test]
fn a_violation_is_reported_within_a_quarter_past_its_proof() {
    for seed in 0..50 {
        let events = with_a_stale_read(events(seed, 300));
        let history = History::from_events(events.iter().cloned()).expect("a history");
        let (analysis, _) = check(&history, &Options::default(), &|| false);
        assert_eq!(analysis.verdict, Verdict::Violation, "seed {seed}");
        let proven = analysis.counterexample.expect("a counterexample").proven_at();
        let proven = usize::try_from(proven).expect("a place");
        let place = reported(&events).unwrap_or_else(|| panic!("seed {seed}: not reported"));
        let latest = (proven + SLACK.max(proven / 4) + SLACK).min(events.len());
        assert!(place <= latest, "seed {seed}: proven at {proven}, reported at {place}");
    }
}

#[test]
fn a_finished_key_is_checked_and_forgotten() {
    let events = with_a_stale_read(events(1, 100));
    let mut checker = StreamingChecker::new(Options::default(), 4);
    let mut found = None;
    for event in &events {
        found = found.or(checker.push(event, &|| false).expect("a history"));
    }
    let last = checker.finish_key(&events[0].key, &|| false).expect("a history");
    assert!(found.is_some() || last.is_some(), "what was not found before is found at the end");
    assert_eq!(checker.events_kept(), 0);

    let late = Event { index: 1_000_000, ..events[0].clone() };
    assert!(checker.push(&late, &|| false).expect("passed over").is_none());
    assert_eq!(checker.events_kept(), 0);
}

#[test]
fn memory_holds_the_events_of_a_bounded_number_of_keys() {
    let plan = Plan { operations: 5_000, keys: 50, clients: 5, ..Plan::default() };
    let mut checker = StreamingChecker::new(Options::default(), 4);
    let mut most = 0;
    for event in plan.events() {
        assert!(checker.push(&event, &|| false).expect("a history").is_none());
        most = most.max(checker.events_kept());
    }
    assert!(most < 10_000 / 10, "{most} events were kept of 10,000 on 50 keys");
}

#[test]
fn keys_do_not_disturb_each_other() {
    let one = events(1, 100);
    let other = with_a_stale_read(events(2, 100));
    let mut checker = StreamingChecker::new(Options::default(), 4);
    for (first, second) in one.iter().zip(&other) {
        assert!(checker.push(first, &|| false).expect("a history").is_none());
        let second = Event { key: Value::from("other"), ..second.clone() };
        if let Some(analysis) = checker.push(&second, &|| false).expect("a history") {
            let found = analysis.counterexample.expect("a counterexample");
            assert_eq!(found.key, Value::from("other"));
            return;
        }
    }
    let last = checker.finish_key(&Value::from("other"), &|| false).expect("a history");
    assert!(last.is_some());
}
