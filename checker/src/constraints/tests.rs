//! Cycles of small contradictions, and what counts as stale in them.

use super::*;
use crate::engines::spans;
use crate::history::History;
use crate::model::with_model;
use crate::value::Value;
use crate::{Event, EventKind, Function, ModelKind, Nanoseconds, ProcessId};

/// A history of operations as invocation, return, function, argument and answer.
fn explained(kind: ModelKind, operations: &[(u64, u64, Function, Value, Value)]) -> Explanation {
    let mut events = Vec::new();
    for (process, (invoked, returned, function, argument, answer)) in (0..).zip(operations) {
        let event = |index: u64, kind, value: &Value| Event {
            index,
            time: Nanoseconds(index),
            process: ProcessId(process),
            kind,
            function: *function,
            key: Value::Null,
            value: value.clone(),
            swapped: None,
            saw: None,
            node: None,
            error: None,
            level: None,
            revision: None,
        };
        events.push(event(*invoked, EventKind::Invoke, argument));
        events.push(event(*returned, EventKind::Ok, answer));
    }
    events.sort_by_key(|event| event.index);
    let history = History::from_events(events).unwrap();
    let places: Vec<u32> = (0..history.operations.len() as u32).collect();
    let explanation = with_model!(kind, &Value::Null, &history.values, model => {
        explain(&model, &spans(&history, &places, &model))
    });
    explanation.unwrap().expect("a handful of operations")
}

fn relations(explanation: &Explanation) -> Vec<(usize, usize, Relation)> {
    let cycle = explanation.cycle.iter();
    let mut edges: Vec<_> = cycle.map(|edge| (edge.from, edge.to, edge.relation)).collect();
    edges.sort_by_key(|&(from, to, _)| (from, to));
    edges
}

const fn write(invoked: u64, returned: u64, value: i64) -> (u64, u64, Function, Value, Value) {
    (invoked, returned, Function::Write, Value::Integer(value), Value::Integer(value))
}

const fn read(invoked: u64, returned: u64, value: i64) -> (u64, u64, Function, Value, Value) {
    (invoked, returned, Function::Read, Value::Null, Value::Integer(value))
}

#[test]
fn stale_read_must_come_before_the_write_that_it_came_after() {
    use Relation::{OverwrittenBefore, RealTime};
    let found = explained(ModelKind::Register, &[write(0, 1, 1), write(2, 3, 2), read(4, 5, 1)]);
    assert_eq!(relations(&found), [(1, 2, RealTime), (2, 1, OverwrittenBefore)]);
    assert_eq!(found.cycle.iter().find(|edge| edge.from == 2).unwrap().given, [[0, 1]]);
}

#[test]
fn value_that_another_saw_is_newer_than_the_one_overwritten() {
    use Relation::{OverwrittenBefore, ReadsFrom, RealTime};
    let operations = [write(0, 1, 1), write(2, 20, 2), read(3, 4, 2), read(5, 6, 1)];
    let found = explained(ModelKind::Register, &operations);
    let expected = [(1, 2, ReadsFrom), (2, 3, RealTime), (3, 1, OverwrittenBefore)];
    assert_eq!(relations(&found), expected);
}

#[test]
fn queue_that_turns_two_values_round_has_a_cycle() {
    let put = |at, value: i64| {
        let value = Value::Integer(value);
        (at, at + 1, Function::Enqueue, value.clone(), value)
    };
    let take = |at, value| (at, at + 1, Function::Dequeue, Value::Null, Value::Integer(value));
    let found = explained(ModelKind::Queue, &[put(0, 1), put(2, 2), take(4, 2), take(6, 1)]);
    assert_eq!(relations(&found), [(2, 3, Relation::RealTime), (3, 2, Relation::Inferred)]);
}

#[test]
fn answer_that_is_impossible_at_any_time_leaves_no_cycle() {
    let found = explained(ModelKind::Register, &[write(0, 1, 1), read(2, 3, 1), read(4, 5, 7)]);
    assert!(found.cycle.is_empty());
    let impasse = found.impasse.unwrap();
    assert_eq!(impasse, LongestPrefix { order: vec![0, 1], refused: vec![2] });
}

#[test]
fn contradiction_of_several_real_time_edges_is_a_cycle() {
    // Each of the reads of one register lies between the others' writes: no single edge decides.
    let operations = [
        (0, 10, Function::Add, Value::Integer(1), Value::Null),
        (1, 11, Function::Add, Value::Integer(1), Value::Null),
        (12, 13, Function::Read, Value::Null, Value::Integer(1)),
    ];
    let found = explained(ModelKind::Counter, &operations);
    assert!(found.impasse.is_none());
    assert_eq!(found.cycle.len(), 2);
    let inferred = found.cycle.iter().find(|edge| edge.relation != Relation::RealTime).unwrap();
    assert_eq!((inferred.from, inferred.given.len()), (2, 1));
}
