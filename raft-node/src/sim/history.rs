//! Records what clients saw, in the order in which they saw it.
//!
//! A plain value: who judges it is not this crate's business. [`History::json_lines`] writes it in
//! the format that the checker reads: one event a line, `invoke`, then `ok`, `fail` (certainly did
//! not happen) or `info` (unknown).

use std::borrow::Cow;

use bytes::Bytes;

use super::moment::Moment;

/// Which object a key is, hence which model the history is to be judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// Read, written, compared and set, deleted; values are integers.
    Register,
    /// Read whole and appended to; values are texts.
    Text,
}

/// What an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The client is about to ask.
    Invoke,
    /// The reply came.
    Ok,
    /// It certainly did not happen and never will.
    Fail,
    /// Nobody can tell.
    Info,
}

/// What a client does to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Reads it; holds the value that was seen, once it is known.
    Read(Option<Bytes>),
    /// Overwrites it.
    Write(Bytes),
    /// Sets it to the second if it holds the first.
    CompareAndSet(Bytes, Bytes),
    /// Adds to its end.
    Append(Bytes),
    /// Removes it.
    Delete,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientEvent {
    /// When.
    pub at: Moment,
    /// Which logical client; retired by its first [`Kind::Info`].
    pub process: u32,
    /// The server that was asked.
    pub server: u32,
    /// What it says.
    pub kind: Kind,
    /// The key's number.
    pub key: u32,
    /// What the operation does.
    pub action: Action,
    /// In a completed compare-and-set that did not match: what was found instead.
    pub saw: Option<Option<Bytes>>,
}

/// What all clients saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// What the keys are.
    pub object: Object,
    /// The events, in real-time order.
    pub events: Vec<ClientEvent>,
}

impl History {
    pub(super) fn new(object: Object) -> Self {
        Self { object, events: Vec::new() }
    }

    /// Writes the history as JSON lines.
    #[must_use]
    pub fn json_lines(&self) -> String {
        let mut lines = String::with_capacity(self.events.len() * 96);
        for (index, event) in self.events.iter().enumerate() {
            self.line(index, event, &mut lines);
        }
        lines
    }

    fn line(&self, index: usize, event: &ClientEvent, out: &mut String) {
        let kind = match event.kind {
            Kind::Invoke => "invoke",
            Kind::Ok => "ok",
            Kind::Fail => "fail",
            Kind::Info => "info",
        };
        let (function, value) = match &event.action {
            Action::Read(seen) => ("read", self.value(seen.as_ref())),
            Action::Write(value) => ("write", self.value(Some(value))),
            Action::CompareAndSet(expected, new) => {
                let (expected, new) = (self.value(Some(expected)), self.value(Some(new)));
                ("cas", format!("[{expected},{new}]").into())
            }
            Action::Append(suffix) => ("append", self.value(Some(suffix))),
            Action::Delete => ("delete", "null".into()),
        };
        let numbers = [
            ("{\"index\":", index as u64),
            (",\"time\":", event.at.0),
            (",\"process\":", event.process.into()),
        ];
        for (name, number) in numbers {
            out.push_str(name);
            number_to(number, out);
        }
        for text in [",\"type\":\"", kind, "\",\"f\":\"", function, "\",\"key\":\"k"] {
            out.push_str(text);
        }
        number_to(event.key.into(), out);
        out.push_str("\",\"value\":");
        out.push_str(&value);
        if let Some(saw) = &event.saw {
            out.push_str(",\"swapped\":false,\"saw\":");
            out.push_str(&self.value(saw.as_ref()));
        }
        out.push_str(",\"node\":\"n");
        number_to(event.server.into(), out);
        out.push_str("\"}\n");
    }

    /// A value as JSON. Clients write digits and commas only, so nothing needs escaping; anything
    /// else that a damaged store says is shown by its bytes.
    fn value<'a>(&self, value: Option<&'a Bytes>) -> Cow<'a, str> {
        let Some(value) = value else { return "null".into() };
        let plain = value.iter().all(|byte| byte.is_ascii_digit() || *byte == b',');
        match std::str::from_utf8(value) {
            Ok(text) if plain && self.object == Object::Register && !text.is_empty() => text.into(),
            Ok(text) if plain => format!("\"{text}\"").into(),
            _ => {
                let digits: Vec<String> = value.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("\"bytes {}\"", digits.concat()).into()
            }
        }
    }
}

/// Writes a number. Many runs write many, and formatting machinery takes longer.
fn number_to(mut number: u64, out: &mut String) {
    let (mut digits, mut at) = ([0; 20], 20);
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.push_str(str::from_utf8(&digits[at..]).expect("digits"));
}
