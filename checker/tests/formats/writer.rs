//! Writes histories in the spellings of many recorders.

use std::fmt::Write as _;
use std::io::Write as _;

use partita_checker::formats::jsonl;
use partita_checker::{Event, EventKind, Function, Value};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::reader;

/// A way to write a history.
pub(crate) struct Form {
    pub(crate) name: &'static str,
    /// Nothing if the form cannot express the history.
    pub(crate) write: fn(&[Event], &mut ChaCha8Rng) -> Option<String>,
    pub(crate) read: fn(&str) -> Vec<Event>,
    /// Whether the reader has to be told that nil is an answer.
    pub(crate) nil_is_a_value: bool,
    /// Whether keys stand in the values.
    pub(crate) tuples: bool,
    /// Whether events stand in the order of their times.
    pub(crate) in_order: bool,
}

const JSON: Form = Form {
    name: "",
    write: our_lines,
    read: reader::json,
    nil_is_a_value: false,
    tuples: false,
    in_order: true,
};

const EDN: Form = Form { read: reader::edn, nil_is_a_value: true, ..JSON };

pub(crate) const FORMS: [Form; 11] = [
    Form { name: "our lines", ..JSON },
    Form { name: "lines of others", write: other_lines, ..JSON },
    Form { name: "array", write: array, ..JSON },
    Form { name: "intervals", write: intervals, in_order: false, ..JSON },
    Form { name: "intervals beside their fields", write: flat_intervals, in_order: false, ..JSON },
    Form { name: "edn", write: edn, ..EDN },
    Form { name: "edn list", write: edn_list, ..EDN },
    Form { name: "edn tuples", write: edn_tuples, read: reader::edn_tuples, tuples: true, ..EDN },
    Form { name: "log", write: log, read: reader::log, ..EDN },
    Form { name: "history.txt", write: table, read: reader::log, ..EDN },
    Form {
        name: "log of tuples",
        write: log_of_tuples,
        read: reader::log_of_tuples,
        tuples: true,
        ..EDN
    },
];

/// The text, perhaps packed.
pub(crate) fn packed(text: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    match random.random_range(0..6) {
        0 => {
            let level = flate2::Compression::fast();
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), level);
            packed.write_all(text).expect("memory takes it");
            packed.finish().expect("memory takes it")
        }
        1 => ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest),
        2 => [b"\xef\xbb\xbf", text].concat(),
        3 => String::from_utf8_lossy(text).replace('\n', "\r\n").into_bytes(),
        _ => text.to_vec(),
    }
}

fn json_of(value: &Value) -> String {
    serde_json::to_string(value).expect("a value is JSON")
}

fn our_lines(events: &[Event], _: &mut ChaCha8Rng) -> Option<String> {
    let mut text = Vec::new();
    jsonl::write_events(&mut text, events).expect("memory takes it");
    Some(String::from_utf8(text).expect("JSON is UTF-8"))
}

/// The fields of an event as somebody else calls them, in any order.
fn object(event: &Event, style: u32, random: &mut ChaCha8Rng) -> Vec<(String, String)> {
    let kind = match event.kind {
        EventKind::Invoke => "invoke",
        EventKind::Ok => "ok",
        EventKind::Fail => "fail",
        EventKind::Info => "info",
    };
    let function = match (event.function, style % 3) {
        (Function::Read, 1) => "get",
        (Function::Write, 1) => "put",
        (Function::Write, 2) => ":set",
        (Function::Cas, 2) => "compare_and_set",
        (function, _) => function.name(),
    };
    let quoted = |text: &str| format!("\"{text}\"");
    let (process, client) = match style % 4 {
        0 => ("process", event.process.to_string()),
        1 => ("client", quoted(&format!("c{}", event.process))),
        2 => ("ClientId", event.process.to_string()),
        _ => (":process", quoted(&format!("client-{}", event.process))),
    };
    let mut fields = vec![
        (process.to_owned(), client),
        (
            "type".to_owned(),
            if style.is_multiple_of(2) { quoted(kind) } else { quoted(&format!(":{kind}")) },
        ),
        ("f".to_owned(), quoted(function)),
        ("value".to_owned(), json_of(&event.value)),
    ];
    if event.kind == EventKind::Invoke && !event.key.is_null()
        || !event.key.is_null() && !style.is_multiple_of(5)
    {
        fields.push(("key".to_owned(), json_of(&event.key)));
    }
    if event.swapped == Some(false) {
        fields.push(("swapped".to_owned(), "false".to_owned()));
    }
    if style % 7 < 3 {
        fields.push(("index".to_owned(), event.index.to_string()));
    }
    match style % 6 {
        0 => fields.push(("time".to_owned(), event.time.0.to_string())),
        1 => fields.push(("t_ns".to_owned(), event.time.0.to_string())),
        2 => fields.push(("timestampMs".to_owned(), format!("{}.5", event.time.0))),
        _ => {}
    }
    if random.random_bool(0.1) {
        fields.push(("revision".to_owned(), "[1e999, {\"a\": \"}{\\\"\"}]".to_owned()));
    }
    fields.rotate_left(random.random_range(0..4));
    fields
}

fn in_braces(fields: &[(String, String)], blank: &str) -> String {
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("{blank}\"{name}\":{blank}{value}")).collect();
    format!("{{{}{blank}}}", fields.join(","))
}

const OF_OTHERS: [&str; 3] = [
    "{\"process\":\"nemesis\",\"type\":\"info\",\"f\":\"start\",\"value\":{\"a\":[1e999]}}\n",
    "{\"level\":\"info\",\"msg\":\"{ still } \\\" up\"}\n",
    "\n",
];

fn other_lines(events: &[Event], random: &mut ChaCha8Rng) -> Option<String> {
    let style = random.random();
    let blank = if random.random_bool(0.5) { " " } else { "" };
    let mut text = String::new();
    for event in events {
        if random.random_bool(0.1) {
            text.push_str(OF_OTHERS[random.random_range(0..OF_OTHERS.len())]);
        }
        text.push_str(&in_braces(&object(event, style, random), blank));
        text.push('\n');
    }
    Some(text)
}

fn array(events: &[Event], random: &mut ChaCha8Rng) -> Option<String> {
    let style = random.random();
    let blank = ["", " ", "\n    "][random.random_range(0..3)];
    let objects: Vec<String> =
        events.iter().map(|event| in_braces(&object(event, style, random), blank)).collect();
    Some(format!("[{blank}{}\n]", objects.join(&format!(",{blank}"))))
}

/// Each invocation with its completion.
fn operations(events: &[Event]) -> Vec<(&Event, Option<&Event>)> {
    let after =
        |place: usize, process| events[place + 1..].iter().find(|event| event.process == process);
    let invocations =
        events.iter().enumerate().filter(|(_, event)| event.kind == EventKind::Invoke);
    invocations.map(|(place, event)| (event, after(place, event.process))).collect()
}

fn intervals(events: &[Event], random: &mut ChaCha8Rng) -> Option<String> {
    let mut lines = Vec::new();
    for (invoked, completed) in operations(events) {
        let name = match invoked.function {
            Function::Read => "get",
            Function::Write => "put",
            _ => "cas",
        };
        let value = json_of(&invoked.value);
        let key = json_of(&invoked.key);
        let mut line = format!(
            "{{\"ClientId\":{},\"Input\":{{\"Op\":\"{name}\",\"Key\":{key},\"Value\":{value}}},\"Call\":{}",
            invoked.process, invoked.time.0
        );
        match completed {
            None => line.push_str(["", ",\"Return\":null"][random.random_range(0..2)]),
            Some(completed) => {
                let output = match (completed.kind, invoked.function) {
                    (EventKind::Ok, Function::Read) => {
                        format!("{{\"Value\":{}}}", json_of(&completed.value))
                    }
                    (EventKind::Ok, Function::Cas) => {
                        (completed.swapped != Some(false)).to_string()
                    }
                    (EventKind::Info, _) => "{\"Err\":\"timeout\"}".to_owned(),
                    (EventKind::Fail, _) => "{\"status\":\"fail\"}".to_owned(),
                    _ => "{}".to_owned(),
                };
                write!(line, ",\"Output\":{output},\"Return\":{}", completed.time.0).ok()?;
            }
        }
        lines.push(line + "}\n");
    }
    let middle = random.random_range(0..=lines.len());
    lines.rotate_left(middle);
    Some(lines.concat())
}

fn flat_intervals(events: &[Event], random: &mut ChaCha8Rng) -> Option<String> {
    let seconds = random.random_bool(0.5);
    let time = |event: &Event| match seconds {
        true => format!("{}e-9", event.time.0),
        false => event.time.0.to_string(),
    };
    let mut objects = Vec::new();
    for (invoked, completed) in operations(events) {
        let answers = invoked.function == Function::Read;
        let value = if answers { completed.map(|it| &it.value) } else { Some(&invoked.value) };
        let mut line = format!(
            "{{\"process\":{},\"f\":\"{}\",\"key\":{},\"value\":{},\"start\":{}",
            invoked.process,
            invoked.function,
            json_of(&invoked.key),
            json_of(value.unwrap_or(&Value::Null)),
            time(invoked)
        );
        if let Some(completed) = completed {
            let outcome = match completed.kind {
                EventKind::Ok => "ok",
                EventKind::Fail => "fail",
                _ => "info",
            };
            write!(line, ",\"end\":{},\"type\":\"{outcome}\"", time(completed)).ok()?;
            if completed.kind == EventKind::Ok && completed.function == Function::Cas {
                write!(line, ",\"swapped\":{}", completed.swapped != Some(false)).ok()?;
            }
        }
        objects.push(line + "}");
    }
    objects.reverse();
    Some(format!("[\n{}\n]\n", objects.join(",\n")))
}

fn edn_of(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(edn_of).collect();
            format!("[{}]", items.join(" "))
        }
        other => json_of(other),
    }
}

/// The words of an event: process, type, function, value, and the error that explains its type.
fn words(event: &Event, tuples: bool) -> (String, Option<&'static str>) {
    let mismatch = event.swapped == Some(false);
    let (kind, error) = match event.kind {
        EventKind::Invoke => (":invoke", None),
        EventKind::Ok if mismatch => (":fail", Some(":precondition-failed")),
        EventKind::Ok => (":ok", None),
        EventKind::Fail => (":fail", Some(":no-leader")),
        EventKind::Info => (":info", Some(":timeout")),
    };
    let value = match tuples {
        true => format!("[{} {}]", edn_of(&event.key), edn_of(&event.value)),
        false => edn_of(&event.value),
    };
    (format!("{}\t{kind}\t:{}\t{value}", event.process, event.function), error)
}

fn map(event: &Event, tuples: bool) -> String {
    let (words, error) = words(event, tuples);
    let names = [":process", ":type", ":f", ":value"];
    let mut text = String::from("{");
    for (name, word) in names.into_iter().zip(words.split('\t')) {
        write!(text, "{name} {word}, ").expect("memory takes it");
    }
    if !tuples && !event.key.is_null() {
        write!(text, ":key {} ", edn_of(&event.key)).expect("memory takes it");
    }
    if let Some(error) = error {
        write!(text, ":error {error} ").expect("memory takes it");
    }
    format!("{text}:time {}}}", event.time.0)
}

fn edn(events: &[Event], _: &mut ChaCha8Rng) -> Option<String> {
    Some(events.iter().map(|event| map(event, false) + "\n").collect())
}

fn edn_list(events: &[Event], random: &mut ChaCha8Rng) -> Option<String> {
    let (open, close) = if random.random_bool(0.5) { ("[", "]") } else { ("(", ")") };
    let nemesis = "{:process :nemesis :type :info :f :start :value #object[a 1/2 \\c]}";
    let events: Vec<String> = events.iter().map(|event| map(event, false)).collect();
    Some(format!("; a list\n{open}{nemesis}\n#jepsen.history.Op{}{close}\n", events.join("\n ")))
}

fn has_keys(events: &[Event]) -> bool {
    events.iter().all(|event| !event.key.is_null())
}

fn edn_tuples(events: &[Event], _: &mut ChaCha8Rng) -> Option<String> {
    has_keys(events).then(|| events.iter().map(|event| map(event, true) + "\n").collect())
}

fn rows(events: &[Event], front: &str, tuples: bool) -> String {
    let row = |event: &Event| {
        let (words, error) = words(event, tuples);
        format!("{front}{words}{}\n", error.map_or_else(String::new, |error| format!("\t{error}")))
    };
    events.iter().map(row).collect()
}

const LOGGER: &str = "INFO  jepsen.util - ";

fn log(events: &[Event], _: &mut ChaCha8Rng) -> Option<String> {
    let nameless = events.iter().all(|event| event.key.is_null());
    nameless.then(|| format!("INFO  jepsen.core - up\n{}", rows(events, LOGGER, false)))
}

fn table(events: &[Event], random: &mut ChaCha8Rng) -> Option<String> {
    let nameless = events.iter().all(|event| event.key.is_null());
    let nemesis =
        if random.random_bool(0.5) { ":nemesis\t:info\t:start\t{n1 #{n2}}\n" } else { "" };
    nameless.then(|| format!("{nemesis}{}", rows(events, "", false)))
}

fn log_of_tuples(events: &[Event], _: &mut ChaCha8Rng) -> Option<String> {
    has_keys(events).then(|| rows(events, LOGGER, true))
}
