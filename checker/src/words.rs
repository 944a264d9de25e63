//! Phrases that sentences about histories share.

use crate::event::{EventKind, Function, Nanoseconds};
use crate::value::Value;
use crate::verdict::Witness;

/// The text with its first letter in upper case, as a sentence begins.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A point in time: "12.345 s", or "event 84" without a clock.
pub(crate) fn instant(time: Nanoseconds, has_clock: bool) -> String {
    if has_clock { format!("{:.3} s", time.as_seconds()) } else { format!("event {}", time.0) }
}

/// A length of time in the unit that suits it: "812 ms", or "10 events" without a clock.
pub(crate) fn duration(time: Nanoseconds, has_clock: bool) -> String {
    match time.0 {
        1 if !has_clock => "1 event".to_owned(),
        number if !has_clock => format!("{number} events"),
        0..1_000 => format!("{} ns", time.0),
        1_000..1_000_000 => format!("{} µs", time.0 / 1_000),
        1_000_000..10_000_000_000 => format!("{} ms", time.0 / 1_000_000),
        _ => format!("{:.1} s", time.as_seconds()),
    }
}

/// "key k1", or "the object" where there is one only.
pub(crate) fn key(key: &Value) -> String {
    match key {
        Value::Null => "the object".to_owned(),
        key => format!("key {}", key.in_words()),
    }
}

/// "a queue", "an append object"
pub(crate) fn a(model: &str) -> String {
    match model {
        "append" => "an append object".to_owned(),
        model => format!("a {model}"),
    }
}

/// How many letters of a value a sentence shows.
const BRIEF: usize = 48;

/// A list from two items before the place to two after it, so that one sees what differs there; any
/// other value as [`brief`] shows it.
pub(crate) fn around(value: &Value, place: usize) -> String {
    let Value::List(items) = value else { return brief(value) };
    let (from, to) = (place.saturating_sub(2), (place + 3).min(items.len()));
    let mut shown: Vec<String> =
        items[from..to].iter().map(|item| item.in_words().to_string()).collect();
    if from > 0 {
        shown.insert(0, "…".to_owned());
    }
    if to < items.len() {
        shown.push("…".to_owned());
    }
    format!("[{}]", shown.join(", "))
}

/// The value, of a long one its end: what grows, grows there.
pub(crate) fn brief(value: &Value) -> String {
    shortened(value.in_words().to_string())
}

fn shortened(text: String) -> String {
    let letters = text.chars().count();
    if letters <= BRIEF {
        return text;
    }
    let end: String = text.chars().skip(letters - BRIEF).collect();
    format!("…{end}")
}

/// What is left to say of operations that have no order, where no anomaly has a name.
pub(crate) fn unexplained(object: &Value, operations: &[Witness]) -> String {
    // What never came back, or came back without an answer, has none that could not fit.
    let answered = operations.iter().filter(|witness| witness.outcome == EventKind::Ok);
    let last = answered.max_by_key(|witness| witness.completed_index);
    let what = last.map_or_else(String::new, |last| {
        format!(
            "; the last answer, {} by process {}{} at {}, fits none",
            answer(last),
            last.process,
            last.node.as_ref().map_or_else(String::new, |node| format!(" (via {node})")),
            instant(last.completed.unwrap_or(last.invoked), last.has_clock()),
        )
    });
    format!(
        "No order of these {} operations on {} explains what their clients saw{what}.",
        operations.len(),
        key(object),
    )
}

/// "process 3 (via n1)"
pub(crate) fn who(witness: &Witness) -> String {
    match &witness.node {
        Some(node) => format!("process {} (via {node})", witness.process),
        None => format!("process {}", witness.process),
    }
}

/// What was done, after "process 3": "read 17", "written 17", as it fits after "had" too.
pub(crate) fn did(witness: &Witness) -> String {
    let value = brief(&witness.value);
    match (witness.function, witness.swapped) {
        (Function::Read, _) => format!("read {value}"),
        (Function::Write, _) => format!("put {value}"),
        (Function::Cas, Some(false)) => match &witness.saw {
            Some(saw) => format!("found {} in a compare-and-set that did not match", brief(saw)),
            None => format!("found another value in a compare-and-set {value}"),
        },
        (Function::Cas, _) => format!("swapped {value}"),
        (Function::Contains, _) => {
            let element = witness.argument.as_ref().map_or_else(String::new, brief);
            let is_there = witness.value == Value::Bool(true);
            format!("found {element} {}", if is_there { "there" } else { "missing" })
        }
        (Function::Txn, _) => format!("made the transaction {value}"),
        (Function::Delete, _) => "made a delete".to_owned(),
        (function, _) => {
            let argument = brief(&witness.asked());
            format!("made {} {function} of {argument}", an(function))
        }
    }
}

fn an(function: Function) -> &'static str {
    if function.name().starts_with(['a', 'e']) { "an" } else { "a" }
}

fn answer(witness: &Witness) -> String {
    let Witness { function, .. } = witness;
    let value = brief(&witness.value);
    match (function, witness.swapped) {
        (Function::Read, _) => format!("a read of {value}"),
        (Function::Write, _) => format!("a write of {value}"),
        (Function::Cas, Some(false)) => format!("a compare-and-set {value} that did not match"),
        (Function::Cas, _) => format!("a compare-and-set {value}"),
        (Function::Delete, _) => "a delete".to_owned(),
        (Function::Txn, _) => format!("a transaction {value}"),
        // Names of what the program under test has; they are as `Debug` shows it.
        (Function::Apply, _) => {
            let [answer, asked] = [&witness.value, &witness.asked()].map(Value::to_string);
            format!("{} to {}", shortened(answer), shortened(asked))
        }
        (Function::Dequeue | Function::Pop, _) => {
            format!("{} {function} of {value}", an(*function))
        }
        (function, _) => {
            let argument = brief(&witness.asked());
            format!("{} {function} of {argument}", an(*function))
        }
    }
}
