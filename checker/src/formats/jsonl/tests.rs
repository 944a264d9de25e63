//! What the reader says of bad lines, and that nothing is lost between writing and reading.

use proptest::prelude::*;

use std::io;
use std::sync::Arc;

use super::*;
use crate::event::{EventKind, Function, Nanoseconds, ProcessId};
use crate::value::Value;

const READ: &str = "{\"index\":0,\"time\":0,\"process\":0,\"type\":\"invoke\",\"f\":\"read\"}\n";

fn refusal(text: &str) -> String {
    read_history("h.jsonl", text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn error_names_file_line_and_column() {
    assert_eq!(
        refusal(&format!("{READ}\n{{\"index\":}}\n")),
        "h.jsonl:3:10: expected null, a boolean, a number, a string, a list or an object, found `}`"
    );
}

#[test]
fn last_line_that_is_cut_off_is_said_to_be() {
    let error = refusal(&format!("{READ}{}", &READ[..40]));
    assert!(error.starts_with("h.jsonl:2: the last line is cut off"), "{error}");
}

#[test]
fn last_line_may_lack_its_end() {
    assert!(read_history("h.jsonl", READ.trim_end().as_bytes()).is_ok());
}

#[test]
fn event_out_of_place_is_named_by_line_and_index() {
    assert_eq!(
        refusal(&format!("{READ}{READ}")),
        "h.jsonl:2: event 0: expected an index above 0, the event before; --sort-by-time puts \
         events in the order of their times"
    );
}

#[test]
fn line_without_end_does_not_fill_the_memory() {
    let endless = io::BufReader::new(io::repeat(b' '));
    let error = read_history("h.jsonl", endless).unwrap_err().to_string();
    assert!(error.ends_with("expected a line of at most 16777216 bytes"), "{error}");
}

#[test]
fn nothing_is_read_after_an_error() {
    let text = format!("nonsense\n{READ}");
    let mut events = read_events("h.jsonl", text.as_bytes());
    assert!(events.next().unwrap().is_err());
    assert!(events.next().is_none());
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        (-1e15..1e15_f64).prop_map(|number| Value::number(number).unwrap()),
        ".*".prop_map(Value::text),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::list))
}

fn name() -> impl Strategy<Value = Option<Arc<str>>> {
    prop::option::of(".*".prop_map(Arc::from))
}

prop_compose! {
    pub(super) fn event()(
        (index, time, process) in (any::<u64>(), any::<u64>(), any::<u32>()),
        kind in prop::sample::select(vec![
            EventKind::Invoke, EventKind::Ok, EventKind::Fail, EventKind::Info,
        ]),
        function in prop::sample::select(vec![
            Function::Read, Function::Write, Function::Cas, Function::Delete, Function::Txn,
        ]),
        (key, value) in (value(), value()),
        swapped in any::<Option<bool>>(),
        saw in prop::option::of(value()),
        (node, error) in (name(), name()),
    ) -> Event {
        let (time, process) = (Nanoseconds(time), ProcessId(process));
        Event { index, time, process, kind, function, key, value, swapped, saw, node, error, level: None, revision: None }
    }
}

proptest! {
    #[test]
    fn events_survive_the_file(events in prop::collection::vec(event(), 0..5)) {
        let mut file = Vec::new();
        write_events(&mut file, &events).unwrap();
        let read: Result<Vec<Event>, _> = read_events("h.jsonl", file.as_slice()).collect();
        prop_assert_eq!(read.unwrap(), events);
    }
}
