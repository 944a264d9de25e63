//! Reads the histories of one stream that S2's verification collects.
//!
//! An event a line, the start or the finish of an operation with its number; there are no times, and the
//! order of lines is that of the events. An append tells a hash for each of its records, a read one over the
//! whole stream: see [`s2`](crate::objects). An append of *indefinite* failure may have been done at any
//! time, all other failures say that nothing was.
//!
//! Source: s2-streamstore/s2-verification, `rust/s2-verification/src/history.rs`.

use std::io::BufRead;

use rustc_hash::FxHashMap;
use serde::Deserialize;

use super::super::assembly::Assembly;
use super::super::error::{ReadError, ReadProblem};
use super::super::json::intervals::Operation;
use super::super::reading::Reading;
use super::read_lines;
use crate::event::{EventKind, ProcessId};
use crate::history::History;
use crate::value::Value;

/// The names of requests.
pub(crate) const APPEND: &str = "append";
pub(crate) const READ: &str = "read-stream";
pub(crate) const CHECK_TAIL: &str = "check-tail";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    event: Event,
    client_id: u32,
    op_id: u64,
}

#[derive(Debug, Deserialize)]
enum Event {
    Start(Start),
    Finish(Finish),
}

#[derive(Debug, Deserialize)]
enum Start {
    Append(Append),
    Read,
    CheckTail,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Append {
    num_records: usize,
    record_hashes: Vec<u64>,
    set_fencing_token: Option<String>,
    fencing_token: Option<String>,
    match_seq_num: Option<i64>,
}

#[derive(Debug, Deserialize)]
enum Finish {
    AppendDefiniteFailure,
    AppendIndefiniteFailure,
    AppendSuccess(Tail),
    CheckTailFailure,
    CheckTailSuccess(Tail),
    ReadFailure,
    ReadSuccess(Whole),
    /// As [`Finish::AppendSuccess`], where that is all that there can be.
    Success(Tail),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tail {
    tail: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    tail: i64,
    stream_hash: u64,
}

/// An operation that began.
struct Open {
    client: u32,
    request: Value,
    kind: Kind,
    line: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Append,
    Read,
    CheckTail,
}

/// Whether `text` begins as such a file does.
pub(in super::super) fn looks_like(text: &[u8]) -> bool {
    let first = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let has = |part: &str| first.windows(part.len()).any(|window| window == part.as_bytes());
    has("\"event\"") && has("\"op_id\"") && (has("\"Start\"") || has("\"Finish\""))
}

/// Reads the history in the file that is called `name`.
pub(in super::super) fn read_history(
    name: &str,
    input: impl BufRead,
    assembly: Assembly,
) -> Result<(History, Reading), ReadError> {
    let mut open: FxHashMap<u64, Open> = FxHashMap::default();
    let expected = "the start or finish of an operation on a stream of S2";
    let (mut intervals, mut assembly, ending) =
        read_lines(name, input, assembly, expected, |line: Line, number, intervals, reading| {
            match line.event {
                Event::Start(start) => {
                    let (kind, request) = request(start)?;
                    let started = Open { client: line.client_id, request, kind, line: number };
                    if open.insert(line.op_id, started).is_some() {
                        return Err(refused("an operation that has not begun yet", line.op_id));
                    }
                }
                Event::Finish(finish) => {
                    let Some(begun) = open.remove(&line.op_id) else {
                        return Err(refused("the finish of an operation that is open", line.op_id));
                    };
                    if begun.client != line.client_id {
                        let expected = format!("the finish of client {}'s operation", begun.client);
                        return Err(ReadProblem::unexpected(expected, line.client_id.to_string()));
                    }
                    intervals.push(begun.finished(&finish, number)?, number, reading);
                }
            }
            Ok(())
        })?;
    let mut rest: Vec<Open> = open.into_values().collect();
    rest.sort_by_key(|open| open.line);
    for open in rest {
        let line = open.line;
        let operation = open.operation((EventKind::Info, Value::Null), None);
        intervals.push(operation, line, &mut assembly.reading);
    }
    ending.finish(intervals, assembly)
}

fn refused(expected: &str, operation: u64) -> ReadProblem {
    ReadProblem::unexpected(expected, format!("operation {operation}"))
}

/// What is asked, in the words of the object.
fn request(start: Start) -> Result<(Kind, Value), ReadProblem> {
    let append = match start {
        Start::Append(append) => append,
        Start::Read => return Ok((Kind::Read, Value::list([Value::text(READ)]))),
        Start::CheckTail => return Ok((Kind::CheckTail, Value::list([Value::text(CHECK_TAIL)]))),
    };
    if append.num_records != append.record_hashes.len() {
        let expected = format!("{} hashes of records", append.num_records);
        return Err(ReadProblem::unexpected(expected, append.record_hashes.len().to_string()));
    }
    let hashes = append.record_hashes.iter().map(|hash| Value::text(hash.to_string()));
    let text = |token: Option<String>| token.map_or(Value::Null, Value::text);
    let request = Value::list([
        Value::text(APPEND),
        Value::list(hashes.collect::<Vec<_>>()),
        text(append.set_fencing_token),
        text(append.fencing_token),
        append.match_seq_num.map_or(Value::Null, Value::Integer),
    ]);
    Ok((Kind::Append, request))
}

impl Open {
    fn finished(self, finish: &Finish, line: u64) -> Result<Operation, ReadProblem> {
        let tail = |tail: i64| Value::list([Value::Integer(tail)]);
        let outcome = match (self.kind, finish) {
            (Kind::Append, Finish::AppendIndefiniteFailure) => {
                return Ok(self.operation((EventKind::Info, Value::Null), None));
            }
            (Kind::Append, Finish::AppendDefiniteFailure)
            | (Kind::Read, Finish::ReadFailure)
            | (Kind::CheckTail, Finish::CheckTailFailure) => (EventKind::Fail, Value::Null),
            (Kind::Append, Finish::AppendSuccess(told) | Finish::Success(told))
            | (Kind::CheckTail, Finish::CheckTailSuccess(told) | Finish::Success(told)) => {
                (EventKind::Ok, tail(told.tail))
            }
            (Kind::Read, Finish::ReadSuccess(told)) => {
                let hash = Value::text(told.stream_hash.to_string());
                (EventKind::Ok, Value::list([Value::Integer(told.tail), hash]))
            }
            (kind, other) => {
                let expected = format!("the finish of what began as {kind:?}");
                return Err(ReadProblem::unexpected(expected, format!("{other:?}")));
            }
        };
        Ok(self.operation(outcome, Some(line)))
    }

    fn operation(self, outcome: (EventKind, Value), end: Option<u64>) -> Operation {
        let time = |line: u64| i64::try_from(line).unwrap_or(i64::MAX);
        let times = (time(self.line), end.map(time));
        Operation::of_store(ProcessId(self.client), self.request, outcome, times, self.line)
    }
}
