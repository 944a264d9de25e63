//! Histories drawn as lanes, one client a lane, time to the right.
//!
//! An operation is `|w 1|`: invoked at the left bar, back at the right one. `|w 1?` has an unknown
//! outcome; the lane goes on as a new process. `|w 1!|` fails. Of two bars in one column the left
//! one of an operation comes first: the operations overlap. Operations: `r 1`, `w 1`,
//! `c 1 2` (matched), `c 1 2 saw 3` and `c 1 2 no` (did not match), `d` (delete). `nil` is null.
//!
//! On other objects: `enq 1`, `deq 1`; `push 1`, `pop 1`; `add 1`, `rem 1`, `has 1 yes`, `all 1 2`;
//! `app a`; `acq`, `rel`, with the owner's name if it has one; `txn w x 1 r y nil`.

use partita_checker::{Event, EventKind, Function, Nanoseconds, ProcessId, Value};

/// The events of a drawing.
///
/// # Panics
///
/// If the drawing is not as the module describes.
pub(crate) fn parse(drawing: &str) -> Vec<Event> {
    let mut events: Vec<(usize, Event)> = Vec::new();
    let lanes: Vec<&str> = drawing.lines().filter(|line| !line.trim().is_empty()).collect();
    let mut spare = lanes.len() as u32;
    for (lane, line) in lanes.iter().enumerate() {
        let mut process = ProcessId(lane as u32);
        let start = line.find('|').unwrap_or_else(|| panic!("an empty lane: {line}"));
        let mut at = start;
        while let Some(open) = line[at..].find('|').map(|found| found + at) {
            let end = line[open + 1..].find(['|', '?']).map(|found| found + open + 1);
            let end = end.unwrap_or_else(|| panic!("no end after column {open}: {line}"));
            let (invocation, completion) = operation(process, &line[open + 1..end]);
            events.push((open, invocation));
            if line[end..].starts_with('?') {
                process = ProcessId(spare);
                spare += 1;
            } else {
                events.push((end, completion));
            }
            at = end + 1;
        }
    }
    events.sort_by_key(|(column, event)| (*column, event.kind != EventKind::Invoke));
    let mut events: Vec<Event> = events
        .into_iter()
        .map(|(column, event)| Event { time: Nanoseconds(column as u64 * 1_000_000), ..event })
        .collect();
    for (index, event) in (0..).zip(&mut events) {
        event.index = index;
    }
    events
}

fn operation(process: ProcessId, text: &str) -> (Event, Event) {
    let failed = text.ends_with('!');
    let words: Vec<&str> = text.trim_end_matches('!').split_whitespace().collect();
    let (function, argument, read) = match words[..] {
        ["r", value] => (Function::Read, Value::Null, Some(self::value(value))),
        ["w", value] => (Function::Write, self::value(value), None),
        ["c", expected, new, ..] => {
            (Function::Cas, Value::list([self::value(expected), self::value(new)]), None)
        }
        ["d"] => (Function::Delete, Value::Null, None),
        _ => on_another_object(&words).unwrap_or_else(|| panic!("no operation: {text}")),
    };
    let invocation = Event {
        index: 0,
        time: Nanoseconds(0),
        process,
        kind: EventKind::Invoke,
        function,
        key: Value::Null,
        value: argument.clone(),
        swapped: None,
        saw: None,
        node: None,
        error: None,
        level: None,
        revision: None,
    };
    let completion = Event {
        kind: if failed { EventKind::Fail } else { EventKind::Ok },
        value: read.unwrap_or(argument),
        swapped: (function == Function::Cas && words.len() > 3).then_some(false),
        saw: words.get(4).filter(|_| function == Function::Cas).map(|saw| self::value(saw)),
        ..invocation.clone()
    };
    (invocation, completion)
}

/// A function with its argument and, if it is another value, its answer.
fn on_another_object(words: &[&str]) -> Option<(Function, Value, Option<Value>)> {
    let one = |function, argument: &str| Some((function, value(argument), None));
    match *words {
        ["enq", item] => one(Function::Enqueue, item),
        ["push", item] => one(Function::Push, item),
        ["deq", item] => Some((Function::Dequeue, Value::Null, Some(value(item)))),
        ["pop", item] => Some((Function::Pop, Value::Null, Some(value(item)))),
        ["add", item] => one(Function::Add, item),
        ["rem", item] => one(Function::Remove, item),
        ["has", item, answer] => {
            Some((Function::Contains, value(item), Some(Value::Bool(answer == "yes"))))
        }
        ["all", ref items @ ..] => {
            let items: Vec<Value> = items.iter().map(|item| value(item)).collect();
            Some((Function::Read, Value::Null, Some(Value::list(items))))
        }
        ["app", token] => one(Function::Append, token),
        ["acq"] => one(Function::Acquire, "nil"),
        ["acq", owner] => one(Function::Acquire, owner),
        ["rel"] => one(Function::Release, "nil"),
        ["rel", owner] => one(Function::Release, owner),
        ["txn", ref steps @ ..] => Some(transaction(steps)),
        _ => None,
    }
}

fn transaction(words: &[&str]) -> (Function, Value, Option<Value>) {
    let steps = |asked: bool| {
        let step = |step: &[&str]| {
            let unread = asked && step[0] == "r";
            let value = if unread { Value::Null } else { value(step[2]) };
            Value::list([Value::from(step[0]), Value::from(step[1]), value])
        };
        Value::list(words.chunks(3).map(step).collect::<Vec<_>>())
    };
    (Function::Txn, steps(true), Some(steps(false)))
}

fn value(text: &str) -> Value {
    match text.parse() {
        Ok(number) => Value::Integer(number),
        Err(_) if text == "nil" => Value::Null,
        Err(_) => Value::text(text),
    }
}
