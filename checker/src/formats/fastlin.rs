//! Reads the histories of one stack or queue that fastlin checks.
//!
//! The first line is `# stack` or `# queue`. Each other line is a completed operation, not an
//! event: method, value, start, end, as in `push 1 1 2`; the methods are `push` and `pop`, `enq`
//! and `deq`. What is taken from an empty object is −1. LineReader come in any order, so that all are
//! kept until the last is read; then starts and ends are sorted by time, and each operation gets
//! the least number of a process that is idle.
//!
//! Of a start and an end at one time, the end is the earlier: fastlin sorts its events so
//! (`include/algo/queue_lin.h`; a tuple of time and *is an invocation*), and its test case
//! `queue/nonlin_simple_0.log` is linearizable otherwise. Operations that start and end at one and
//! the same time overlap each other.
//!
//! Leaves out `peek`, and the priority queue. Source: fastlin's README and `include/definitions.h`
//! (<https://github.com/solarrabbit99/fastlin>).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::BufRead;

use super::edn::syntax::quote;
use super::error::{ReadError, ReadProblem};
use super::line_reader::LineReader;
use crate::event::{Event, EventKind, Function, Nanoseconds, ProcessId};
use crate::history::{History, HistoryBuilder};
use crate::value::Value;

/// What is taken from an empty object.
const EMPTY: i64 = -1;

/// The objects, and the methods of each.
const OBJECTS: [(&str, [(&str, Function); 2]); 2] = [
    ("stack", [("push", Function::Push), ("pop", Function::Pop)]),
    ("queue", [("enq", Function::Enqueue), ("deq", Function::Dequeue)]),
];

/// An operation as its line has it.
#[derive(Debug, Clone, Copy)]
struct Operation {
    function: Function,
    value: i64,
    start: u64,
    end: u64,
}

/// Whether `text` begins as such a file does.
pub(super) fn looks_like(text: &[u8]) -> bool {
    let first = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    std::str::from_utf8(first).is_ok_and(|first| methods(first).is_some())
}

/// Reads the history in the file that is called `name`.
pub(super) fn read_history(name: &str, input: impl BufRead) -> Result<History, ReadError> {
    let mut lines = LineReader::new(name, input);
    let first = if lines.advance()? { lines.text() } else { b"" };
    let first = String::from_utf8_lossy(first).trim().to_owned();
    let Some(methods) = methods(&first) else {
        let problem = ReadProblem::unexpected("`# stack` or `# queue`", quote(&first));
        return Err(lines.error(None, problem));
    };
    let mut operations = Vec::new();
    while lines.advance_to_text()? {
        if lines.text().trim_ascii_start().starts_with(b"#") {
            continue;
        }
        let operation = operation(lines.text(), methods);
        operations.push(operation.map_err(|(at, problem)| lines.error(Some(at), problem))?);
    }
    build(&operations).map_err(|problem| lines.error(None, problem))
}

/// The methods of the object that the first line names.
fn methods(first: &str) -> Option<&'static [(&'static str, Function); 2]> {
    let name = first.trim().strip_prefix('#')?.trim();
    OBJECTS.iter().find(|(object, _)| *object == name).map(|(_, methods)| methods)
}

/// The operation of a line, or the column at which it is none.
fn operation(
    line: &[u8],
    methods: &[(&str, Function); 2],
) -> Result<Operation, (usize, ReadProblem)> {
    let line = std::str::from_utf8(line).map_err(|error| {
        (error.valid_up_to() + 1, ReadProblem::unexpected("UTF-8", "other bytes"))
    })?;
    let mut words = line.split_ascii_whitespace();
    let mut next = |expected: &str| match words.next() {
        Some(word) => Ok((word, word.as_ptr() as usize - line.as_ptr() as usize + 1)),
        None => {
            Err((line.trim_end().len() + 1, ReadProblem::unexpected(expected, "the line's end")))
        }
    };
    let (name, at) = next("a method")?;
    let known = methods.iter().find(|(method, _)| *method == name);
    let &(_, function) = known.ok_or_else(|| {
        let expected = format!("`{}` or `{}`", methods[0].0, methods[1].0);
        (at, ReadProblem::unexpected(expected, quote(name)))
    })?;
    let (word, at) = next("a value")?;
    let value = word.parse().map_err(|_| (at, refused("a value of 64 bits", word)))?;
    if value == EMPTY && function == methods[0].1 {
        return Err((at, refused("a value other than -1, which stands for none", word)));
    }
    let (word, at) = next("a start")?;
    let start = time(word).ok_or_else(|| (at, refused("a start, from 0 to 2^63", word)))?;
    let (word, at) = next("an end")?;
    let end = time(word).ok_or_else(|| (at, refused("an end, from 0 to 2^63", word)))?;
    if end < start {
        return Err((at, refused(&format!("an end that is not before {start}"), word)));
    }
    match next("nothing") {
        Ok((word, at)) => Err((at, refused("nothing after the end", word))),
        Err(_) => Ok(Operation { function, value, start, end }),
    }
}

fn time(word: &str) -> Option<u64> {
    word.parse().ok().filter(|&time| time < 1 << 63)
}

fn refused(expected: &str, found: &str) -> ReadProblem {
    ReadProblem::unexpected(expected, quote(found))
}

/// What happens first of what happens at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    End,
    StartOfMoment,
    EndOfMoment,
    Start,
}

fn build(operations: &[Operation]) -> Result<History, ReadProblem> {
    let mut events: Vec<(u64, Turn, usize)> = Vec::with_capacity(operations.len() * 2);
    for (place, operation) in operations.iter().enumerate() {
        let moment = operation.start == operation.end;
        let (start, end) = if moment {
            (Turn::StartOfMoment, Turn::EndOfMoment)
        } else {
            (Turn::Start, Turn::End)
        };
        events.push((operation.start, start, place));
        events.push((operation.end, end, place));
    }
    events.sort_unstable();
    let mut builder = HistoryBuilder::new();
    let mut processes: Vec<ProcessId> = vec![ProcessId(0); operations.len()];
    let mut idle: BinaryHeap<Reverse<ProcessId>> = BinaryHeap::new();
    let mut used = 0;
    for (index, (time, turn, place)) in (0..).zip(events) {
        let begins = matches!(turn, Turn::Start | Turn::StartOfMoment);
        if begins {
            processes[place] = idle.pop().map_or_else(
                || {
                    used += 1;
                    ProcessId(used - 1)
                },
                |Reverse(process)| process,
            );
        } else {
            idle.push(Reverse(processes[place]));
        }
        let Operation { function, value, .. } = operations[place];
        let takes = matches!(function, Function::Pop | Function::Dequeue);
        builder.push(&Event {
            index,
            time: Nanoseconds(time),
            process: processes[place],
            kind: if begins { EventKind::Invoke } else { EventKind::Ok },
            function,
            key: Value::Null,
            value: match takes && (begins || value == EMPTY) {
                true => Value::Null,
                false => Value::Integer(value),
            },
            swapped: None,
            saw: None,
            node: None,
            error: None,
            level: None,
            revision: None,
        })?;
    }
    Ok(builder.finish())
}

#[cfg(test)]
mod tests;
