//! Writes histories as EDN that Jepsen and Knossos read: one map a line.
//!
//! Two things that they have no words for stand in fields that they ignore. A compare-and-set that
//! did not match is a `:fail` to them, and has `:partita/swapped false` with what it saw; a read that found
//! nothing is one of unknown answer to them, and has `:partita/known true`.

use std::borrow::Borrow;
use std::io::{self, Write};

use super::text::{is_keyword, write_string, write_value};
use crate::event::{Event, EventKind, Function};
use crate::value::Value;

/// Where keys are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// In a field of their own, `:key`, if they are not null.
    Field,
    /// Together with the value, as `[key value]`, which Jepsen's `independent` splits again.
    Tuple,
}

/// Writes events, one a line; those of a [`History`](crate::History) come from its
/// [`events`](crate::History::events).
///
/// # Errors
///
/// If `output` cannot be written to.
pub fn write_edn<E: Borrow<Event>>(
    mut output: impl Write,
    events: impl IntoIterator<Item = E>,
    keys: Keys,
) -> io::Result<()> {
    for event in events {
        write_event(&mut output, event.borrow(), keys)?;
    }
    output.flush()
}

fn write_event(output: &mut impl Write, event: &Event, keys: Keys) -> io::Result<()> {
    let mismatch = event.kind == EventKind::Ok && event.swapped == Some(false);
    let kind = match event.kind {
        EventKind::Invoke => "invoke",
        EventKind::Ok if mismatch => "fail",
        EventKind::Ok => "ok",
        EventKind::Fail => "fail",
        EventKind::Info => "info",
    };
    write!(
        output,
        "{{:index {}, :time {}, :process {}, :type :{kind}, :f :{}",
        event.index, event.time.0, event.process, event.function
    )?;
    match keys {
        Keys::Field => {
            if !event.key.is_null() {
                output.write_all(b", :key ")?;
                write_value(output, &event.key)?;
            }
            output.write_all(b", :value ")?;
            write_argument(output, event)?;
        }
        Keys::Tuple => {
            output.write_all(b", :value [")?;
            write_value(output, &event.key)?;
            output.write_all(b" ")?;
            write_argument(output, event)?;
            output.write_all(b"]")?;
        }
    }
    if mismatch {
        output.write_all(b", :partita/swapped false")?;
        if let Some(saw) = &event.saw {
            output.write_all(b", :partita/saw ")?;
            write_value(output, saw)?;
        }
    }
    if event.function == Function::Read && event.kind == EventKind::Ok && event.value.is_null() {
        output.write_all(b", :partita/known true")?;
    }
    for (name, text) in [(":node", &event.node), (":error", &event.error)] {
        if let Some(text) = text {
            write!(output, ", {name} ")?;
            write_string(output, text)?;
        }
    }
    if let Some(level) = event.level {
        write!(output, ", :level \"{level}\"")?;
    }
    output.write_all(b"}\n")
}

fn write_argument(output: &mut impl Write, event: &Event) -> io::Result<()> {
    match (&event.value, event.function) {
        (Value::List(operations), Function::Txn) => {
            output.write_all(b"[")?;
            for (place, operation) in operations.iter().enumerate() {
                if place > 0 {
                    output.write_all(b" ")?;
                }
                write_operation(output, operation)?;
            }
            output.write_all(b"]")
        }
        (value, _) => write_value(output, value),
    }
}

/// Writes a micro-operation of a transaction, whose first part is the name of a function.
fn write_operation(output: &mut impl Write, operation: &Value) -> io::Result<()> {
    if let Value::List(parts) = operation
        && let [Value::Text(name), rest @ ..] = &**parts
    {
        let name = [":", name].concat();
        if is_keyword(&name) {
            write!(output, "[{name}")?;
            for part in rest {
                output.write_all(b" ")?;
                write_value(output, part)?;
            }
            return output.write_all(b"]");
        }
    }
    write_value(output, operation)
}
