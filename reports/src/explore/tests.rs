//! What the page carries of a history, and histories written as a line per operation.

use std::collections::BTreeMap;

use partita_checker::{Event, EventKind, ProcessId, Value};

use super::*;

/// `process action begin..end outcome [key [node]]`, a line each: `w5` writes 5, `r5` reads it, `c5>7`
/// swaps, `d` deletes; an operation that is `open` ends at `-`. Times are microseconds.
pub(super) fn history(text: &str) -> History {
    let mut events = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [process, action, span, outcome, rest @ ..] = words.as_slice() else {
            panic!("{line}: too few words")
        };
        let (begin, end) = span.split_once("..").expect("a span");
        let time = |text: &str| Nanoseconds(text.parse::<u64>().expect("a time") * 1_000);
        let number = |text: &str| Value::from(text.parse::<i64>().expect("a number"));
        let (function, value) = match action.split_at(1) {
            ("w", value) => (Function::Write, number(value)),
            ("r", value) => (Function::Read, number(value)),
            ("c", pair) => {
                let (old, new) = pair.split_once('>').expect("a pair");
                (Function::Cas, Value::list([number(old), number(new)]))
            }
            _ => (Function::Delete, Value::Null),
        };
        let invocation = Event {
            index: 0,
            time: time(begin),
            process: ProcessId(process.parse().expect("a process")),
            kind: EventKind::Invoke,
            function,
            key: Value::from(*rest.first().unwrap_or(&"k")),
            value: if function == Function::Read { Value::Null } else { value.clone() },
            swapped: None,
            saw: None,
            level: None,
            revision: None,
            node: rest.get(1).map(|node| (*node).into()),
            error: None,
        };
        let kind = match *outcome {
            "ok" => Some(EventKind::Ok),
            "fail" => Some(EventKind::Fail),
            "info" => Some(EventKind::Info),
            _ => None,
        };
        if let Some(kind) = kind {
            let swapped = (kind == EventKind::Ok && function == Function::Cas).then_some(true);
            events.push(Event { time: time(end), kind, value, swapped, ..invocation.clone() });
        }
        events.push(invocation);
    }
    // At one time, answers come first.
    events.sort_by_key(|event| (event.time, event.kind == EventKind::Invoke));
    let numbered = (0..).zip(events).map(|(index, event)| Event { index, ..event });
    History::from_events(numbered).expect("a history")
}

fn interest(history: &History, moment: u64) -> Interest {
    Interest::of(history, &[], Nanoseconds(0), Some(Nanoseconds(moment)))
}

#[test]
fn without_findings_those_that_failed_come_first_and_then_the_nearest_to_the_fault() {
    let text = (0..20).map(|n| format!("0 w{n} {}..{} ok", 10 * n, 10 * n + 5));
    let mut lines: Vec<String> = text.collect();
    lines[3] = "0 w3 30..35 fail".into();
    let history = history(&lines.join("\n"));
    let chosen = interest(&history, 150_000).choose(&history, 4);
    assert_eq!(chosen, [3, 14, 15, 16]);
}

#[test]
fn a_small_history_is_there_whole() {
    let history = history("0 w1 0..1 ok\n0 w2 2..3 fail\n1 r2 4..- open");
    assert_eq!(interest(&history, 0).choose(&history, 3), [0, 1, 2]);
}

#[test]
fn proofs_come_before_their_window_and_that_before_their_key() {
    let lines: Vec<String> =
        (0..30).map(|n| format!("0 w{n} {}..{} ok k{}", 10 * n, 10 * n + 5, n % 3)).collect();
    let history = history(&lines.join("\n"));
    let witness = history.witness(&history.operations()[12]);
    let found = Counterexample {
        key: witness_key(&history, 12),
        anomaly: partita_checker::Anomaly::StaleRead,
        sentence: String::new(),
        stale_for: None,
        stale_by_versions: None,
        operations: vec![witness],
        cycle: Vec::new(),
        impasse: None,
        hint: None,
    };
    let interest = Interest::of(&history, &[&found], Nanoseconds(12_000), None);
    assert_eq!(interest.choose(&history, 1), [12]);
    assert_eq!(interest.choose(&history, 3), [11, 12, 13]);
    assert_eq!(interest.choose(&history, 5), [9, 11, 12, 13, 15]);
}

fn witness_key(history: &History, place: usize) -> Value {
    history.keys()[history.operations()[place].key.0 as usize].clone()
}

#[test]
fn how_much_is_carried_grows_with_the_history_between_two_bounds() {
    let carried = [10, 250_000, 600_000, 5_000_000].map(most_carried);
    assert_eq!(carried, [40_000, 40_000, 75_000, 200_000]);
}

#[test]
fn a_fault_that_failed_is_told_apart() {
    let fault = FaultRecord {
        id: 7,
        fault: "isolate".into(),
        family: partita_nemesis::Family::Partition,
        target: "leader".into(),
        nodes: vec!["n1".into()],
        parameters: BTreeMap::new(),
        began_ns: 5_000_000,
        ended_ns: None,
        effects: Vec::new(),
        error: Some("no such node".into()),
        unhealed: false,
    };
    let facts = faults(&[fault], Nanoseconds(9_000_000), TimeUnit::Clock);
    assert_eq!((facts[0].began, facts[0].ended, facts[0].had_effect), (5_000, 9_000, false));
}
