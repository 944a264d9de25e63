//! What a check says of whole histories: how keys merge, when it does not know, and in what words.

use std::sync::Arc;

#[path = "support/lanes.rs"]
mod lanes;

use partita_checker::generate::{Mix, Plan};
use partita_checker::{
    Analysis, Anomaly, Certificate, Event, EventKind, Expected, Function, History, Nanoseconds,
    Options, ProcessId, Value, Verdict, check, verify,
};

fn judge(events: Vec<Event>) -> (Analysis, Option<Certificate>) {
    let history = History::from_events(events).unwrap();
    check(&history, &Options::default(), &|| false)
}

/// Two drawings side by side, on keys `a` and `b`.
fn on_two_keys(a: &str, b: &str) -> Vec<Event> {
    let place = |drawing, key: &str, first_process| {
        let events = lanes::parse(drawing).into_iter();
        let key = Value::text(key);
        events.map(move |event| Event {
            process: ProcessId(event.process.0 + first_process),
            key: key.clone(),
            ..event
        })
    };
    let mut events: Vec<Event> = place(a, "a", 0).chain(place(b, "b", 100)).collect();
    events.sort_by_key(|event| (event.time, event.kind != EventKind::Invoke));
    for (index, event) in (0..).zip(&mut events) {
        event.index = index;
    }
    events
}

const STALE: &str = "p0 |w 1| |w 2| |r 1|";

#[test]
fn history_in_which_nothing_completed_is_not_known_to_be_valid() {
    for drawing in ["p0 |w 1?\np1 |r 1?", "p0 |w 1!|"] {
        let (analysis, certificate) = judge(lanes::parse(drawing));
        assert_eq!(analysis.verdict, Verdict::Unknown);
        assert_eq!(analysis.reasons, ["no operation completed: nothing was tested"]);
        assert_eq!(certificate, None);
    }
    assert_eq!(judge(Vec::new()).0.verdict, Verdict::Unknown);
}

#[test]
fn violation_on_one_key_outweighs_all_others() {
    let (analysis, certificate) = judge(on_two_keys("p0 |w 1| |r 1|", STALE));
    assert_eq!(analysis.verdict, Verdict::Violation);
    assert_eq!(analysis.keys[0].verdict, Verdict::Valid);
    assert_eq!(analysis.keys[1].verdict, Verdict::Violation);
    assert_eq!(analysis.counterexample.unwrap().key, Value::text("b"));
    assert_eq!(certificate, None);
}

#[test]
fn counterexample_is_the_one_proven_first() {
    let later = format!("                    {STALE}");
    for (a, b, first) in [(STALE, &*later, "a"), (&*later, STALE, "b")] {
        let (analysis, _) = judge(on_two_keys(a, b));
        assert_eq!(analysis.counterexample.unwrap().key, Value::text(first));
    }
}

#[test]
fn function_that_registers_lack_makes_the_verdict_unknown() {
    let event = |index, kind| Event { index, kind, ..lanes::parse("p0 |w 1|")[0].clone() };
    let events = [event(0, EventKind::Invoke), event(1, EventKind::Ok)]
        .map(|event| Event { function: Function::Enqueue, ..event });
    let (analysis, _) = judge(events.to_vec());
    assert_eq!(analysis.verdict, Verdict::Unknown);
    assert!(analysis.reasons[0].contains("a register has no `enqueue`"), "{:?}", analysis.reasons);
}

/// Writes that all overlap, one value twice, and a read that fits none of them: every subset of the
/// writes has to be tried.
fn laborious() -> History {
    let mut drawing: String = (0..14).map(|n| format!("p |w {n}      |\n")).collect();
    drawing.push_str("p |w 13      |\np          |r 99|\n");
    History::from_events(lanes::parse(&drawing)).unwrap()
}

#[test]
fn check_that_is_told_to_stop_does_not_know() {
    let (analysis, certificate) = check(&laborious(), &Options::default(), &|| true);
    assert_eq!((analysis.verdict, certificate), (Verdict::Unknown, None));
    let reason = &analysis.reasons[0];
    assert!(reason.contains("the time ran out; the longest order found holds"), "{reason}");
}

#[test]
fn search_without_memory_does_not_know() {
    let options = Options::default().with_memory(0);
    let (analysis, _) = check(&laborious(), &options, &|| false);
    assert_eq!(analysis.verdict, Verdict::Unknown);
    assert!(analysis.reasons[0].contains("the search used up"), "{:?}", analysis.reasons);
}

#[test]
fn laborious_search_finds_the_violation_in_the_end() {
    let (analysis, _) = check(&laborious(), &Options::default(), &|| false);
    assert_eq!(analysis.verdict, Verdict::Violation);
    let counterexample = analysis.counterexample.unwrap();
    assert_eq!(counterexample.anomaly, Anomaly::ValueFromNowhere);
    assert_eq!(counterexample.operations.len(), 1);
}

#[test]
fn stale_read_is_told_in_one_sentence() {
    let event = |index, ms: u64, process, kind, function, value| Event {
        index,
        time: Nanoseconds(ms * 1_000_000),
        process: ProcessId(process),
        kind,
        function,
        key: Value::text("k1"),
        value,
        swapped: None,
        saw: None,
        node: (process == 3).then(|| Arc::from("n1")),
        error: None,
        level: None,
        revision: None,
    };
    use {EventKind::*, Function::*};
    let (analysis, _) = judge(vec![
        event(0, 10, 5, Invoke, Write, 17.into()),
        event(1, 20, 5, Ok, Write, 17.into()),
        event(2, 10_000, 5, Invoke, Write, 18.into()),
        event(3, 11_533, 5, Ok, Write, 18.into()),
        event(4, 12_345, 3, Invoke, Read, Value::Null),
        event(5, 12_346, 3, Ok, Read, 17.into()),
        event(6, 12_347, 3, Invoke, Read, Value::Null),
        event(7, 12_348, 3, Ok, Read, 18.into()),
    ]);
    let counterexample = analysis.counterexample.unwrap();
    assert_eq!(
        counterexample.sentence,
        "Process 3 (via n1) read 17 from key k1 at 12.345 s, 812 ms after the write of 18 by \
         process 5 had completed and replaced it: a stale read."
    );
    assert_eq!(counterexample.stale_for, Some(Nanoseconds(812_000_000)));
    assert_eq!(counterexample.stale_by_versions, Some(1));
    assert_eq!(counterexample.proven_at(), 5);
}

#[test]
fn staleness_is_counted_in_newer_values_too() {
    let (analysis, _) = judge(lanes::parse("p0 |w 1| |w 2| |w 3| |w 4| |r 1|"));
    assert_eq!(analysis.counterexample.unwrap().stale_by_versions, Some(3));
}

/// A history of the plan in which one late read answers an old value.
fn with_stale_read(plan: &Plan) -> History {
    let mut events: Vec<Event> = plan.events().collect();
    let is_ok = |event: &Event, function| event.kind == EventKind::Ok && event.function == function;
    let early = events.len() / 3;
    let old = events[early..].iter().find(|event| is_ok(event, Function::Write)).unwrap();
    let old = old.value.clone();
    let late = 2 * events.len() / 3;
    let read = events[late..].iter_mut().find(|event| is_ok(event, Function::Read)).unwrap();
    read.value = old;
    History::from_events(events).unwrap()
}

#[test]
fn counterexample_is_a_handful_of_operations_however_long_the_history() {
    let mixes = [(50, 30, 20), (50, 0, 50), (20, 1, 79), (50, 50, 0)];
    for (seed, (reads, writes, swaps)) in (0..).zip(mixes) {
        let mix = Mix { reads, writes: writes.max(1), swaps, deletes: 0 };
        let plan = Plan { operations: 20_000, clients: 20, mix, seed, ..Plan::default() };
        let history = with_stale_read(&plan);
        let (analysis, _) = check(&history, &Options::default(), &|| false);
        assert_eq!(analysis.keys[0].engine, "zones");
        let counterexample = analysis.counterexample.unwrap();
        assert!(counterexample.operations.len() <= 16, "{counterexample:#?}");
    }
}

#[test]
fn search_minimises_what_it_finds() {
    for seed in 0..5 {
        let mix = Mix { reads: 50, writes: 50, swaps: 0, deletes: 0 };
        let plan =
            Plan { operations: 2_000, clients: 4, mix, values: Some(500), seed, ..Plan::default() };
        let history = History::from_events(plan.events()).unwrap();
        let (analysis, certificate) = check(&history, &Options::default(), &|| false);
        assert_eq!((analysis.verdict, &*analysis.keys[0].engine), (Verdict::Valid, "frontier"));
        verify(&history, &certificate.unwrap(), &Expected::default()).unwrap();

        let (analysis, _) = check(&with_stale_read(&plan), &Options::default(), &|| false);
        assert_eq!(analysis.keys[0].engine, "frontier");
        let counterexample = analysis.counterexample.unwrap();
        assert!(counterexample.operations.len() <= 12, "{counterexample:#?}");
    }
}

#[test]
fn every_violating_key_keeps_its_own_counterexample() {
    let nowhere = "p0 |w 1| |r 7|";
    let (analysis, _) = judge(on_two_keys(STALE, nowhere));
    let of = |key: &str| {
        let found = analysis.keys.iter().find(|it| it.key == Value::text(key)).unwrap();
        found.counterexample.clone().unwrap()
    };
    assert_eq!(of("a").key, Value::text("a"));
    assert_eq!(of("b").anomaly, Anomaly::ValueFromNowhere);
    let first = analysis.counterexample.clone().unwrap();
    assert_eq!(first.events(), of("b").events());

    let written = serde_json::to_value(&analysis).unwrap();
    assert_eq!(written["keys"][1]["counterexample"]["anomaly"], "value-from-nowhere");
    let again: Analysis = serde_json::from_value(written).unwrap();
    assert_eq!(again.keys[0].counterexample.as_ref().unwrap().events(), of("a").events());

    let (analysis, _) = judge(on_two_keys("p0 |w 1| |r 1|", STALE));
    assert!(analysis.keys[0].counterexample.is_none());
}
