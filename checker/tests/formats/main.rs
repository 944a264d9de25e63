//! Random histories in every format that can express them: what the readers make of each is what
//! was written, what a small reader of these tests makes of it, and what it is in every other
//! format; so is the verdict.

mod reader;
#[path = "../support/rounds.rs"]
mod rounds;
mod writer;

use std::collections::BTreeMap;

use partita_checker::formats::{NilRead, ReadOptions, read};
use partita_checker::generate::{Mix, Plan};
use partita_checker::{Event, EventKind, Function, History, Nanoseconds, Options, Value, Verdict};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rounds::rounds;
use writer::{FORMS, Form};

/// A history as clients saw it, sometimes with answers that no register gives.
fn events(random: &mut ChaCha8Rng) -> Vec<Event> {
    let keys = random.random_range(1..4);
    let plan = Plan {
        operations: random.random_range(1..10),
        clients: random.random_range(1..4),
        keys,
        mix: Mix { reads: 3, writes: 2, swaps: random.random_range(0..3), deletes: 0 },
        unknown: if random.random_bool(0.4) { 0.2 } else { 0.0 },
        failed: if random.random_bool(0.4) { 0.2 } else { 0.0 },
        values: random.random_bool(0.5).then_some(3),
        tells: false,
        fault: None,
        seed: random.random(),
    };
    let (dress, nameless) = (random.random_range(0..5), keys == 1 && random.random_bool(0.5));
    let mut events: Vec<Event> = plan.events().collect();
    for (index, event) in (0..).zip(&mut events) {
        event.index = index;
        event.time = Nanoseconds(10 + index * 3);
        (event.saw, event.node, event.error) = (None, None, None);
        if nameless {
            event.key = Value::Null;
        }
        event.value = dressed(&event.value, dress);
        let is_answer = event.kind == EventKind::Ok && event.function == Function::Read;
        if is_answer && random.random_bool(0.05) {
            let number = Value::Integer(random.random_range(0..4));
            event.value =
                if random.random_bool(0.2) { Value::Null } else { dressed(&number, dress) };
        }
        if matches!(event.kind, EventKind::Fail | EventKind::Info) {
            event.value = Value::Null;
        }
    }
    events
}

/// The value as another kind of value, if it is a number.
fn dressed(value: &Value, dress: u32) -> Value {
    match value {
        Value::Integer(number) => match dress {
            0 => Value::text(format!("v {number} \"é\\")),
            1 => Value::Double((*number as f64 + 0.5).to_bits()),
            2 => Value::Integer(i64::MAX - number),
            3 => Value::Integer(-number),
            _ => value.clone(),
        },
        Value::List(items) => {
            Value::list(items.iter().map(|item| dressed(item, dress)).collect::<Vec<_>>())
        }
        other => other.clone(),
    }
}

/// What a history says, without its times, and with processes by their first appearance.
fn content(history: &History) -> Vec<(usize, EventKind, Function, Value, Value, Option<bool>)> {
    let mut processes = BTreeMap::new();
    let events = history.events().map(|event| {
        let next = processes.len();
        let process = *processes.entry(event.process).or_insert(next);
        (process, event.kind, event.function, event.key, event.value, event.swapped)
    });
    events.collect()
}

fn verdict(history: &History) -> Verdict {
    partita_checker::check(history, &Options::default(), &|| false).0.verdict
}

/// Compares a history in one form; false if the form cannot express it.
fn compare(form: &Form, events: &[Event], expected: (&History, Verdict), choice: u64) -> bool {
    let mut random = ChaCha8Rng::seed_from_u64(choice);
    let Some(text) = (form.write)(events, &mut random) else { return false };
    let packed = writer::packed(text.as_bytes(), &mut random);
    let options = ReadOptions {
        nil_read: form.nil_is_a_value.then_some(NilRead::Value),
        independent: form.tuples.then_some(true),
        ..ReadOptions::default()
    };
    let found = read("history", packed.as_slice(), &options);
    let found = found.unwrap_or_else(|error| panic!("{}: {error}\n{text}", form.name));
    let small = History::from_events((form.read)(&text)).expect("a history");
    let (history, verdict_wanted) = expected;
    assert_eq!(found.reading.cut, None, "{}: {text}", form.name);
    assert_eq!(content(&found.history), content(history), "{}: {text}", form.name);
    assert_eq!(content(&small), content(history), "{}: {text}", form.name);
    assert_eq!(verdict(&found.history), verdict_wanted, "{}: {text}", form.name);
    assert_eq!(verdict(&small), verdict_wanted, "{}: {text}", form.name);
    true
}

#[test]
fn every_format_says_what_was_written() {
    let rounds = rounds(300);
    let mut written: BTreeMap<&str, u64> = BTreeMap::new();
    let mut violations = 0;
    for seed in 0..rounds {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let events = events(&mut random);
        let history = History::from_events(events.clone()).expect("a history");
        let verdict = verdict(&history);
        violations += u64::from(verdict == Verdict::Violation);
        for form in &FORMS {
            if compare(form, &events, (&history, verdict), random.random()) {
                *written.entry(form.name).or_default() += 1;
            }
        }
    }
    println!("{rounds} histories in every format: {violations} violations, {written:?}");
    assert_eq!(written.len(), FORMS.len(), "{written:?}");
    assert!(written.values().all(|&count| count > rounds / 20), "{written:?}");
    assert!((rounds / 50..rounds / 2).contains(&violations), "{violations} of {rounds}");
}

#[test]
fn cut_files_are_judged_on_what_is_whole() {
    for seed in 0..rounds(100) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let events = events(&mut random);
        let history = History::from_events(events.clone()).expect("a history");
        for form in FORMS.iter().filter(|form| form.in_order) {
            let Some(text) = (form.write)(&events, &mut random) else { continue };
            let mut end = random.random_range(1..text.len());
            end = text.floor_char_boundary(end);
            let options = ReadOptions {
                nil_read: form.nil_is_a_value.then_some(NilRead::Value),
                independent: form.tuples.then_some(true),
                ..ReadOptions::default()
            };
            // What is left may not tell its format any more.
            let Ok(found) = read("history", &text.as_bytes()[..end], &options) else { continue };
            let (part, whole) = (content(&found.history), content(&history));
            assert!(whole.starts_with(&part), "{}: {}", form.name, &text[..end]);
            let is_cut = found.reading.cut.is_some();
            let is_all = text[..end].trim_end() == text.trim_end();
            let ends_whole = is_all || text[..end].trim_end().ends_with('}');
            assert!(
                is_cut || ends_whole || text[..end].ends_with('\n') || part.is_empty(),
                "{}",
                &text[..end]
            );
        }
    }
}
