//! Phrases that sentences about histories share.

use crate::event::Nanoseconds;
use crate::value::Value;

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

/// The text, of a long one its end.
pub(crate) fn shortened(text: String) -> String {
    let letters = text.chars().count();
    if letters <= BRIEF {
        return text;
    }
    let end: String = text.chars().skip(letters - BRIEF).collect();
    format!("…{end}")
}
