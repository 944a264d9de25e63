//! Reads the operations that etcd's robustness tests record, `operations.json`.
//!
//! An object a line: a client, its request with the time of its call, and the answer with the time of its
//! return. Requests concern the whole store, so that all keys are one object, [`etcd`](crate::objects)'s.
//! An error says nothing of whether a request was done. Of an answer that is told to be partial, and
//! of a read of an older revision, only the store's revision is evidence. Values of more than 20 bytes
//! stand as hashes, and are compared as such.
//!
//! Refused, with the line: a field or a type of request that is not known here, since it might mean
//! something.
//!
//! Source: etcd-io/etcd, `tests/robustness/model/{deterministic,history}.go` and `report/`.

use std::io::BufRead;

use serde::Deserialize;

use super::super::assembly::Assembly;
use super::super::error::{ReadError, ReadProblem};
use super::super::json::intervals::Operation;
use super::super::reading::{Reading, Severity};
use super::read_lines;
use crate::event::{EventKind, ProcessId};
use crate::history::History;
use crate::value::Value;

/// The names of requests.
pub(crate) const RANGE: &str = "range";
pub(crate) const TXN: &str = "txn";
pub(crate) const GRANT: &str = "lease-grant";
pub(crate) const REVOKE: &str = "lease-revoke";
pub(crate) const DEFRAGMENT: &str = "defragment";
/// The names of what transactions do besides reading ranges.
pub(crate) const PUT: &str = "put";
pub(crate) const DELETE: &str = "delete";
/// An answer of which only the revision is known.
pub(crate) const PARTIAL: &str = "partial";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Line {
    client_id: u32,
    input: Request,
    call: i64,
    output: Option<Answer>,
    r#return: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Request {
    r#type: Type,
    range: Option<Range>,
    txn: Option<Txn>,
    lease_grant: Option<Lease>,
    lease_revoke: Option<Lease>,
    #[expect(dead_code, reason = "its type says it already")]
    defragment: Option<serde::de::IgnoredAny>,
    #[expect(dead_code, reason = "its type says it already")]
    compact: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Type {
    Range,
    Txn,
    LeaseGrant,
    LeaseRevoke,
    Defragment,
    Compact,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Range {
    start: String,
    end: String,
    limit: i64,
    #[serde(default)]
    revision: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Txn {
    conditions: Option<Vec<Condition>>,
    operations_on_success: Option<Vec<Part>>,
    operations_on_failure: Option<Vec<Part>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Condition {
    key: String,
    expected_revision: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Part {
    r#type: PartType,
    #[serde(default)]
    range: Option<Range>,
    #[serde(default)]
    put: Option<Put>,
    #[serde(default)]
    delete: Option<Delete>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum PartType {
    #[serde(alias = "range-operation", rename = "range")]
    Range,
    #[serde(alias = "put-operation", rename = "put")]
    Put,
    #[serde(alias = "delete-operation", rename = "delete")]
    Delete,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Put {
    key: String,
    value: ValueOrHash,
    #[serde(rename = "LeaseID", default)]
    lease: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Delete {
    key: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct ValueOrHash {
    value: String,
    hash: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Lease {
    #[serde(rename = "LeaseID")]
    lease: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Answer {
    revision: i64,
    range: Option<Found>,
    txn: Option<TxnAnswer>,
    #[serde(default)]
    partial_response: bool,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    client_error: Option<String>,
    #[serde(default)]
    persisted: bool,
    #[expect(dead_code, reason = "it is evidence of a request that failed, which is not used")]
    persisted_revision: Option<i64>,
    #[expect(dead_code, reason = "empty")]
    lease_grant: Option<serde::de::IgnoredAny>,
    #[expect(dead_code, reason = "empty")]
    lease_revoke: Option<serde::de::IgnoredAny>,
    #[expect(dead_code, reason = "empty")]
    defragment: Option<serde::de::IgnoredAny>,
    #[expect(dead_code, reason = "empty")]
    compact: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    #[serde(rename = "KVs")]
    keys: Option<Vec<KeyValue>>,
    #[serde(rename = "Count")]
    count: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct TxnAnswer {
    failure: bool,
    results: Option<Vec<PartAnswer>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartAnswer {
    #[serde(rename = "KVs")]
    keys: Option<Vec<KeyValue>>,
    #[serde(rename = "Count", default)]
    count: i64,
    #[serde(rename = "Deleted", default)]
    deleted: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct KeyValue {
    key: String,
    value: ValueOrHash,
    mod_revision: i64,
    // How often it was written since it was made: not looked at.
    #[expect(dead_code, reason = "not every version of the tests has it")]
    #[serde(default)]
    version: Option<i64>,
}

/// Whether `text` begins as such a file does.
pub(in super::super) fn looks_like(text: &[u8]) -> bool {
    let first = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    // The fields of Porcupine's operations, and requests that only this store has.
    let has = |part: &str| first.windows(part.len()).any(|window| window == part.as_bytes());
    has("\"ClientId\"") && has("\"Input\"") && has("\"LeaseGrant\"")
}

/// Reads the history in the file that is called `name`.
pub(in super::super) fn read_history(
    name: &str,
    input: impl BufRead,
    assembly: Assembly,
) -> Result<(History, Reading), ReadError> {
    let expected = "an operation of etcd's robustness tests";
    let (intervals, assembly, ending) =
        read_lines(name, input, assembly, expected, |line: Line, number, intervals, reading| {
            if matches!(line.input.r#type, Type::Compact) {
                let text = "compactions, of which nothing that is read here tells";
                reading.note(Severity::Information, text, number);
                return Ok(());
            }
            let operation = operation(&line, number, reading)?;
            intervals.push(operation, number, reading);
            Ok(())
        })?;
    ending.finish(intervals, assembly)
}

/// What a line says, in the words of the object.
fn operation(line: &Line, number: u64, reading: &mut Reading) -> Result<Operation, ReadProblem> {
    let request = request(&line.input)?;
    let times = (line.call, line.output.as_ref().map(|_| line.r#return));
    if times.1.is_some_and(|end| end < times.0) {
        let found = format!("{} and {}", line.r#return, line.call);
        return Err(ReadProblem::unexpected("`Return` not to be before `Call`", found));
    }
    let outcome = match &line.output {
        None => (EventKind::Info, Value::Null),
        Some(answer) if answer.has_failed() => {
            if answer.persisted {
                let text = "failed requests that are told to have been done, taken as unknown";
                reading.note(Severity::Information, text, number);
            }
            (EventKind::Info, Value::Null)
        }
        Some(answer) => (EventKind::Ok, told(&line.input, answer, number, reading)?),
    };
    Ok(Operation::of_store(ProcessId(line.client_id), request, outcome, times, number))
}

fn request(input: &Request) -> Result<Value, ReadProblem> {
    let missing = |field: &str| {
        ReadProblem::unexpected(format!("a request that has its `{field}`"), "one without it")
    };
    let mut parts = Vec::new();
    match input.r#type {
        Type::Range => {
            let range = input.range.as_ref().ok_or_else(|| missing("Range"))?;
            parts.push(Value::text(RANGE));
            parts.extend(range.words());
            parts.push(Value::Integer(range.revision));
        }
        Type::Txn => {
            let txn = input.txn.as_ref().ok_or_else(|| missing("Txn"))?;
            let condition = |it: &Condition| {
                Value::list([Value::text(&*it.key), Value::Integer(it.expected_revision)])
            };
            let conditions = txn.conditions.iter().flatten().map(condition);
            parts.extend([Value::text(TXN), Value::list(conditions.collect::<Vec<_>>())]);
            for operations in [&txn.operations_on_success, &txn.operations_on_failure] {
                let operations = operations.iter().flatten().map(Part::words);
                parts.push(Value::list(operations.collect::<Result<Vec<_>, _>>()?));
            }
        }
        Type::LeaseGrant => {
            let lease = input.lease_grant.as_ref().ok_or_else(|| missing("LeaseGrant"))?;
            parts.extend([Value::text(GRANT), Value::Integer(lease.lease)]);
        }
        Type::LeaseRevoke => {
            let lease = input.lease_revoke.as_ref().ok_or_else(|| missing("LeaseRevoke"))?;
            parts.extend([Value::text(REVOKE), Value::Integer(lease.lease)]);
        }
        Type::Defragment | Type::Compact => parts.push(Value::text(DEFRAGMENT)),
    }
    Ok(Value::list(parts))
}

impl Range {
    fn words(&self) -> [Value; 3] {
        [Value::text(&*self.start), Value::text(&*self.end), Value::Integer(self.limit)]
    }
}

impl Part {
    fn words(&self) -> Result<Value, ReadProblem> {
        let mut parts = Vec::new();
        match (self.r#type, &self.range, &self.put, &self.delete) {
            (PartType::Range, Some(range), ..) if range.revision == 0 => {
                parts.push(Value::text(RANGE));
                parts.extend(range.words());
            }
            (PartType::Put, _, Some(put), _) => parts.extend([
                Value::text(PUT),
                Value::text(&*put.key),
                put.value.told(),
                Value::Integer(put.lease),
            ]),
            (PartType::Delete, .., Some(delete)) => {
                parts.extend([Value::text(DELETE), Value::text(&*delete.key)]);
            }
            _ => {
                let expected = "a range without revision, a put or a delete in a transaction";
                return Err(ReadProblem::unexpected(expected, format!("{:?}", self.r#type)));
            }
        }
        Ok(Value::list(parts))
    }
}

impl ValueOrHash {
    fn told(&self) -> Value {
        match self.hash {
            0 => Value::text(&*self.value),
            hash => Value::list([Value::text("hash"), Value::Integer(hash.into())]),
        }
    }
}

impl Answer {
    fn has_failed(&self) -> bool {
        [&self.error, &self.client_error].into_iter().flatten().any(|error| !error.is_empty())
    }
}

/// An answer in the words of the object.
fn told(
    input: &Request,
    answer: &Answer,
    number: u64,
    reading: &mut Reading,
) -> Result<Value, ReadProblem> {
    let revision = Value::Integer(answer.revision);
    let is_older = input.range.as_ref().is_some_and(|range| range.revision != 0);
    if answer.partial_response || is_older {
        let text = "answers of which only the revision was checked: partial ones, and reads of older \
                    revisions";
        reading.note(Severity::Information, text, number);
        return Ok(Value::list([Value::text(PARTIAL), revision]));
    }
    let missing =
        |field: &str| ReadProblem::unexpected(format!("an answer with `{field}`"), "another");
    let parts = match input.r#type {
        Type::Range => {
            let found = answer.range.as_ref().ok_or_else(|| missing("Range"))?;
            vec![Value::text(RANGE), revision, found_keys(found.keys.as_deref(), found.count)]
        }
        Type::Txn => {
            let told = answer.txn.as_ref().ok_or_else(|| missing("Txn"))?;
            let txn = input.txn.as_ref().ok_or_else(|| missing("Txn"))?;
            let done =
                if told.failure { &txn.operations_on_failure } else { &txn.operations_on_success };
            let (done, results) =
                (done.as_deref().unwrap_or_default(), told.results.as_deref().unwrap_or_default());
            // A transaction that did nothing may show an empty result.
            let is_empty = |it: &PartAnswer| it.keys.is_none() && it.count == 0 && it.deleted == 0;
            let rest = results.get(done.len()..);
            if !rest.is_some_and(|rest| rest.iter().all(is_empty)) {
                let expected = format!("{} results of a transaction", done.len());
                return Err(ReadProblem::unexpected(expected, results.len().to_string()));
            }
            let results = done.iter().zip(results).map(|(part, result)| match part.r#type {
                PartType::Range => found_keys(result.keys.as_deref(), result.count),
                PartType::Put => Value::Null,
                PartType::Delete => Value::Integer(result.deleted),
            });
            let results = Value::list(results.collect::<Vec<_>>());
            vec![Value::text(TXN), revision, Value::Bool(told.failure), results]
        }
        Type::LeaseGrant => vec![Value::text(GRANT), revision],
        Type::LeaseRevoke => vec![Value::text(REVOKE), revision],
        Type::Defragment | Type::Compact => vec![Value::text(DEFRAGMENT), revision],
    };
    Ok(Value::list(parts))
}

fn found_keys(keys: Option<&[KeyValue]>, count: i64) -> Value {
    let shown = keys.unwrap_or_default().iter().map(|it| {
        Value::list([Value::text(&*it.key), it.value.told(), Value::Integer(it.mod_revision)])
    });
    Value::list([Value::Integer(count), Value::list(shown.collect::<Vec<_>>())])
}
