//! What the builder refuses and how it says so, and what it makes of the rest.

use super::*;
use crate::history::Outcome;

fn event(line: &str) -> Event {
    serde_json::from_str(line).unwrap()
}

fn build(lines: &[&str]) -> Result<History, HistoryError> {
    History::from_events(lines.iter().map(|line| event(line)))
}

fn refusal(lines: &[&str]) -> String {
    build(lines).unwrap_err().to_string()
}

const WRITE: &str = r#"{"index":3,"time":5,"process":0,"type":"invoke","f":"write","value":1}"#;

#[test]
fn index_must_grow() {
    let next = r#"{"index":3,"time":6,"process":0,"type":"ok","f":"write","value":1}"#;
    assert_eq!(refusal(&[WRITE, next]), "event 3: expected an index above 3, the event before");
}

#[test]
fn time_must_not_go_back() {
    let next = r#"{"index":4,"time":4,"process":0,"type":"ok","f":"write","value":1}"#;
    assert_eq!(
        refusal(&[WRITE, next]),
        "event 4: expected a time of at least 5 ns, that of the event before, found 4 ns"
    );
}

#[test]
fn process_does_one_thing_at_a_time() {
    let next = r#"{"index":4,"time":5,"process":0,"type":"invoke","f":"read"}"#;
    assert_eq!(
        refusal(&[WRITE, next]),
        "event 4: expected the completion of process 0's operation of event 3, \
         found another invocation"
    );
}

#[test]
fn completion_needs_an_invocation() {
    let next = r#"{"index":4,"time":5,"process":1,"type":"ok","f":"read","value":1}"#;
    assert_eq!(
        refusal(&[WRITE, next]),
        "event 4: expected an invocation by process 1 before its completion `ok`"
    );
}

#[test]
fn completion_repeats_function_key_and_value() {
    let f = r#"{"index":4,"time":5,"process":0,"type":"ok","f":"read","value":1}"#;
    let key = r#"{"index":4,"time":5,"process":0,"type":"ok","f":"write","key":"k","value":1}"#;
    let value = r#"{"index":4,"time":5,"process":0,"type":"ok","f":"write","value":"1"}"#;
    assert_eq!(
        refusal(&[WRITE, f]),
        "event 4: expected f write as in the invocation, event 3; found read"
    );
    assert_eq!(
        refusal(&[WRITE, key]),
        "event 4: expected key null as in the invocation, event 3; found \"k\""
    );
    assert_eq!(
        refusal(&[WRITE, value]),
        "event 4: expected value 1 as in the invocation, event 3; found \"1\""
    );
    assert!(build(&[WRITE, r#"{"index":4,"time":5,"process":0,"type":"ok","f":"write"}"#]).is_ok());
}

#[test]
fn process_is_never_used_again_after_an_info() {
    let info = r#"{"index":4,"time":5,"process":0,"type":"info","f":"write"}"#;
    let next = r#"{"index":5,"time":5,"process":0,"type":"invoke","f":"read"}"#;
    assert_eq!(
        refusal(&[WRITE, info, next]),
        "event 5: expected nothing by process 0 after its `info` of event 4: \
         go on under a new process number"
    );
}

#[test]
fn compare_and_set_has_two_operands() {
    let cas = r#"{"index":0,"time":0,"process":0,"type":"invoke","f":"cas","value":[1,2,3]}"#;
    assert_eq!(
        refusal(&[cas]),
        "event 0: expected the value of a cas to be [expected, new], found [1,2,3]"
    );
}

#[test]
fn swapped_and_saw_belong_to_completed_compare_and_sets() {
    let swapped = r#"{"index":4,"time":5,"process":0,"type":"ok","f":"write","swapped":true}"#;
    assert_eq!(refusal(&[WRITE, swapped]), "event 4: expected `swapped` only in the `ok` of a cas");
    let cas = r#"{"index":0,"time":0,"process":0,"type":"invoke","f":"cas","value":[1,2]}"#;
    let saw = r#"{"index":1,"time":0,"process":0,"type":"ok","f":"cas","saw":3}"#;
    assert_eq!(
        refusal(&[cas, saw]),
        "event 1: expected `saw` only where `swapped` is false, or equal to 1; found 3"
    );
}

#[test]
fn index_has_room_for_arithmetic() {
    let far = r#"{"index":9223372036854775808,"time":5,"process":0,"type":"invoke","f":"read"}"#;
    assert_eq!(refusal(&[far]), "event 9223372036854775808: expected an index below 2^63");
}

#[test]
fn time_has_room_in_every_format() {
    let far = r#"{"index":0,"time":9223372036854775808,"process":0,"type":"invoke","f":"read"}"#;
    assert_eq!(refusal(&[far]), "event 0: expected a time below 2^63 ns");
}

#[test]
fn operation_still_open_at_the_end_has_an_unknown_outcome() {
    let history = build(&[WRITE]).unwrap();
    assert_eq!(history.operations[0].outcome, Outcome::Info(None));
}

#[test]
fn mismatch_that_saw_nothing_differs_from_one_that_does_not_tell() {
    let cas = r#"{"index":0,"time":0,"process":0,"type":"invoke","f":"cas","value":[1,2]}"#;
    let response = |completion: &str| build(&[cas, completion]).unwrap().operations[0].response();
    let saw =
        r#"{"index":1,"time":0,"process":0,"type":"ok","f":"cas","swapped":false,"saw":null}"#;
    let silent = r#"{"index":1,"time":0,"process":0,"type":"ok","f":"cas","swapped":false}"#;
    assert_eq!(response(saw), Some(Response::Mismatch(Some(ValueId::NULL))));
    assert_eq!(response(silent), Some(Response::Mismatch(None)));
}

#[test]
fn node_may_be_known_from_the_reply_only() {
    let ok = r#"{"index":4,"time":5,"process":0,"type":"ok","f":"write","node":"n2"}"#;
    let history = build(&[WRITE, ok]).unwrap();
    assert_eq!(history.witness(&history.operations[0]).node.as_deref(), Some("n2"));
}
