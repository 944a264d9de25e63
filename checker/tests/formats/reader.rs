//! A small reader of everything that `writer.rs` writes, which shares nothing with the product's.

use std::collections::HashMap;

use partita_checker::{Event, EventKind, Function, Nanoseconds, ProcessId, Value};

/// The numbers of clients in order of their first appearance.
#[derive(Default)]
struct Names(HashMap<String, u32>);

impl Names {
    fn process(&mut self, name: &str) -> ProcessId {
        let next = self.0.len() as u32;
        ProcessId(*self.0.entry(name.to_owned()).or_insert(next))
    }
}

fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(truth) => Value::Bool(*truth),
        serde_json::Value::Number(number) => number.as_i64().map_or_else(
            || Value::Double(number.as_f64().expect("a number").to_bits()),
            Value::Integer,
        ),
        serde_json::Value::String(text) => Value::text(&**text),
        serde_json::Value::Array(items) => Value::list(items.iter().map(value).collect::<Vec<_>>()),
        serde_json::Value::Object(_) => panic!("no value of a client"),
    }
}

fn kind(word: &str) -> EventKind {
    match word.trim_start_matches(':') {
        "invoke" => EventKind::Invoke,
        "ok" => EventKind::Ok,
        "fail" => EventKind::Fail,
        "info" => EventKind::Info,
        other => panic!("a type: {other}"),
    }
}

fn function(word: &str) -> Function {
    match word.trim_start_matches(':') {
        "read" | "get" => Function::Read,
        "write" | "put" | "set" => Function::Write,
        "cas" | "compare_and_set" => Function::Cas,
        other => panic!("a function: {other}"),
    }
}

/// Events in their order, numbered.
fn numbered(events: Vec<Event>) -> Vec<Event> {
    let number = |(index, event)| Event { index, time: Nanoseconds(index), ..event };
    (0..).zip(events).map(number).collect()
}

fn event(
    process: ProcessId,
    kind: EventKind,
    function: Function,
    key: Value,
    value: Value,
) -> Event {
    let silent = matches!(kind, EventKind::Fail | EventKind::Info);
    Event {
        index: 0,
        time: Nanoseconds(0),
        process,
        kind,
        function,
        key,
        value: if silent { Value::Null } else { value },
        swapped: None,
        saw: None,
        node: None,
        error: None,
        level: None,
        revision: None,
    }
}

/// JSON objects, of events or of operations.
pub(crate) fn json(text: &str) -> Vec<Event> {
    // What is to be ignored may hold numbers that this parser does not take.
    let text = text.replace("1e999", "0");
    let objects: Vec<serde_json::Value> = match text.trim_start().starts_with('[') {
        true => serde_json::from_str(&text).expect("an array"),
        false => {
            let all = serde_json::Deserializer::from_str(&text).into_iter();
            all.map(|object| object.expect("an object")).collect()
        }
    };
    if objects.iter().any(|object| object.get("Call").or(object.get("start")).is_some()) {
        return intervals(&objects);
    }
    let (mut names, mut keys) = (Names::default(), HashMap::new());
    let mut events = Vec::new();
    for object in objects {
        let process = ["process", "client", "ClientId", ":process"];
        let process = process.into_iter().find_map(|name| object.get(name));
        let Some(process) = process.filter(|process| *process != "nemesis") else { continue };
        let process = names.process(&process.to_string());
        let key = match object.get("key") {
            Some(key) => value(key),
            None => keys.get(&process).cloned().unwrap_or_default(),
        };
        let kind = kind(object["type"].as_str().expect("a type"));
        if kind == EventKind::Invoke {
            let own = object.get("key").map(value).unwrap_or_default();
            keys.insert(process, own);
        }
        let key = if kind == EventKind::Invoke { keys[&process].clone() } else { key };
        let function = function(object["f"].as_str().expect("a function"));
        let mut event = event(process, kind, function, key, value(&object["value"]));
        event.swapped = object.get("swapped").and_then(serde_json::Value::as_bool);
        events.push(event);
    }
    numbered(events)
}

fn intervals(objects: &[serde_json::Value]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut names = Names::default();
    let time = |json: &serde_json::Value| {
        let number = json.as_f64().expect("a time");
        if number < 1e-3 { (number * 1e9).round() as u64 } else { number as u64 }
    };
    for object in objects {
        let input = object.get("Input");
        let field = |nested: &str, flat: &str| match input {
            Some(input) => input.get(nested),
            None => object.get(flat),
        };
        let client = object.get("ClientId").or(object.get("process")).expect("a client");
        let process = names.process(&client.to_string());
        let function = function(field("Op", "f").and_then(|it| it.as_str()).expect("a function"));
        let key = value(field("Key", "key").expect("a key"));
        let said = value(field("Value", "value").expect("a value"));
        let argument = if function == Function::Read { Value::Null } else { said.clone() };
        let start = object.get("Call").or(object.get("start")).expect("a start");
        let invoked = event(process, EventKind::Invoke, function, key.clone(), argument.clone());
        events.push((time(start), invoked));
        let end = object.get("Return").or(object.get("end"));
        let Some(end) = end.filter(|end| !end.is_null()) else { continue };
        let output = object.get("Output");
        let outcome = match (output, object.get("type")) {
            (Some(output), _) if output.get("Err").is_some() => EventKind::Info,
            (Some(output), _) if output.get("status").is_some() => EventKind::Fail,
            (_, Some(word)) => kind(word.as_str().expect("a type")),
            _ => EventKind::Ok,
        };
        let answer = match (function, output) {
            (Function::Read, Some(output)) => output.get("Value").map(value).unwrap_or_default(),
            (Function::Read, None) => said,
            _ => argument,
        };
        let mut completed = event(process, outcome, function, key, answer);
        if function == Function::Cas && outcome == EventKind::Ok {
            completed.swapped =
                output.or(object.get("swapped")).and_then(serde_json::Value::as_bool);
        }
        events.push((time(end), completed));
    }
    events.sort_by_key(|(time, _)| *time);
    numbered(events.into_iter().map(|(_, event)| event).collect())
}

/// A form of EDN; keywords are texts with their colon, and what is no value is nil.
struct Forms<'a> {
    rest: &'a str,
}

impl Forms<'_> {
    fn next(&mut self) -> Option<Value> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', ',']);
            if let Some(rest) = self.rest.strip_prefix(';') {
                self.rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
            } else if let Some(rest) = self.rest.strip_prefix('#') {
                self.rest = rest.trim_start_matches(|letter| !matches!(letter, '[' | '{'));
            } else {
                break;
            }
        }
        let first = self.rest.chars().next()?;
        match first {
            '[' | '(' | '{' => {
                self.rest = &self.rest[1..];
                let mut items = Vec::new();
                while let Some(item) = self.next() {
                    items.push(item);
                }
                Some(Value::list(items))
            }
            ']' | ')' | '}' => {
                self.rest = &self.rest[1..];
                None
            }
            '"' => {
                let mut strings = serde_json::Deserializer::from_str(self.rest).into_iter();
                let text: String = strings.next().expect("a string").expect("a string");
                self.rest = &self.rest[strings.byte_offset()..];
                Some(Value::text(text))
            }
            _ => {
                let end = self.rest.find([' ', '\t', '\n', '\r', ',', ']', ')', '}']);
                let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.rest = rest;
                Some(match word {
                    _ if word.starts_with(':') => Value::text(word),
                    _ => serde_json::from_str(word).map_or(Value::Null, |json| value(&json)),
                })
            }
        }
    }
}

/// Makes an event of process, type, function, value and error.
fn of_words(words: [&Value; 5], key: Option<&Value>, tuples: bool) -> Option<Event> {
    let [process, kind_word, function_word, said, error] = words;
    let Value::Integer(process) = process else { return None };
    let (Value::Text(kind_word), Value::Text(function_word)) = (kind_word, function_word) else {
        panic!("words");
    };
    let (mut kind, function) = (kind(kind_word), function(function_word));
    let mismatch = *error == Value::text(":precondition-failed");
    if mismatch {
        kind = EventKind::Ok;
    }
    let (key, said) = match said {
        Value::List(pair) if tuples => (pair[0].clone(), pair[1].clone()),
        said => (key.cloned().unwrap_or_default(), said.clone()),
    };
    let mut event = event(ProcessId(*process as u32), kind, function, key, said);
    event.swapped = mismatch.then_some(false);
    Some(event)
}

fn maps(text: &str, tuples: bool) -> Vec<Event> {
    let mut forms = Forms { rest: text };
    let mut events = Vec::new();
    let mut maps: Vec<Value> = std::iter::from_fn(|| forms.next()).collect();
    if let [Value::List(items)] = &maps[..]
        && matches!(items.first(), Some(Value::List(_)))
    {
        maps = items.to_vec();
    }
    for map in maps {
        let Value::List(map) = map else { panic!("a map") };
        let field = |name: &str| {
            let found = map.chunks(2).find(|pair| pair[0] == Value::text(name));
            found.map(|pair| &pair[1])
        };
        let of = |name| field(name).unwrap_or(&Value::Null);
        let words = [of(":process"), of(":type"), of(":f"), of(":value"), of(":error")];
        events.extend(of_words(words, field(":key"), tuples));
    }
    numbered(events)
}

pub(crate) fn edn(text: &str) -> Vec<Event> {
    maps(text, false)
}

pub(crate) fn edn_tuples(text: &str) -> Vec<Event> {
    maps(text, true)
}

fn rows(text: &str, tuples: bool) -> Vec<Event> {
    let mut events = Vec::new();
    for line in text.lines() {
        let line = line.strip_prefix("INFO  jepsen.util - ").unwrap_or(line);
        if !line.starts_with(|letter: char| letter.is_ascii_digit()) {
            continue;
        }
        let mut forms = Forms { rest: line };
        let words: Vec<Value> = std::iter::from_fn(|| forms.next()).collect();
        let error = words.get(4).unwrap_or(&Value::Null);
        events.extend(of_words([&words[0], &words[1], &words[2], &words[3], error], None, tuples));
    }
    numbered(events)
}

pub(crate) fn log(text: &str) -> Vec<Event> {
    rows(text, false)
}

pub(crate) fn log_of_tuples(text: &str) -> Vec<Event> {
    rows(text, true)
}
