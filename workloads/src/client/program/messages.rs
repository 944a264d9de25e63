//! Requests to the program, and what its answers mean.

use std::sync::Arc;
use std::time::Duration;

use partita_checker::Value;
use serde_json::{Map, Value as Json, json};

use super::super::encoding::{decode, sample};
use super::super::probe::Status;
use super::super::violation::ProtocolViolation;
use super::client_table::{ClientTable, STATUS};
use crate::operation::{Completion, Invocation, Kind};

/// The number of the form of lines that this version speaks.
pub(super) const FORMAT: u64 = 1;

/// How much of a reason is recorded, in characters.
const REASON_CHARACTERS: usize = 300;

/// What the program says of what it was asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    /// It was done, and this is what came of it.
    Ok(Json),
    /// It certainly did not happen and never will; why.
    Fail(Arc<str>),
    /// It may have happened; why.
    Unknown(Arc<str>),
}

/// What is asked for `invocation`, which the program may take `limit` for. The id is put in by whoever sends it.
pub(super) fn request(invocation: &Invocation, limit: Duration) -> Map<String, Json> {
    let mut request = asked(invocation.kind.word(), limit);
    let mut put = |name: &str, value: &Value| {
        request.insert(name.to_owned(), json(value));
    };
    if invocation.kind == Kind::Transaction {
        put("steps", &invocation.value);
        return request;
    }
    put("key", &invocation.key);
    match &invocation.value {
        Value::List(operands) if invocation.kind == Kind::Cas => {
            for (name, operand) in ["old", "new"].into_iter().zip(operands.iter()) {
                put(name, operand);
            }
        }
        Value::Null => {}
        value => put("value", value),
    }
    if let Some(after) = invocation.after {
        request.insert("after-ms".to_owned(), json!(milliseconds(after)));
    }
    request
}

/// What is asked to learn a node's status.
pub(super) fn status_request(limit: Duration) -> Map<String, Json> {
    asked(STATUS, limit)
}

fn asked(operation: &str, limit: Duration) -> Map<String, Json> {
    let members = [("op", json!(operation)), ("limit-ms", json!(milliseconds(limit)))];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// That a program's first line says that it speaks this form and has what the description promises.
pub(super) fn check_hello(line: &[u8], form: &ClientTable) -> Result<(), ProtocolViolation> {
    let wrong = |what: &str| Err(ProtocolViolation::new(what, sample(line)));
    let Ok(Json::Object(hello)) = serde_json::from_slice(line) else {
        return wrong("a first line that is no greeting in JSON");
    };
    match hello.get("format").and_then(Json::as_u64) {
        Some(FORMAT) => {}
        Some(_) => return wrong("a greeting of another format than 1"),
        None => return wrong("a greeting without `format`"),
    }
    let words = |list: &Vec<Json>| {
        list.iter().map(|word| word.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    };
    let told = hello.get("operations").and_then(Json::as_array).and_then(words);
    let Some(told) = told else { return wrong("a greeting without a list of `operations`") };
    match form.missing_of(&told) {
        None => Ok(()),
        Some(missing) => {
            wrong(&format!("a greeting without `{missing}`, which the description has"))
        }
    }
}

/// The answer in `line` to the request with this id.
pub(super) fn reply(line: &[u8], id: u64) -> Result<Reply, ProtocolViolation> {
    let wrong = |what: &str| Err(ProtocolViolation::new(what, sample(line)));
    let Ok(Json::Object(mut reply)) = serde_json::from_slice(line) else {
        return wrong("an answer that is no object of JSON");
    };
    if reply.get("id").and_then(Json::as_u64) != Some(id) {
        return wrong("an answer with another id than that of the request");
    }
    let reason = |reason: &Json| match reason {
        Json::String(text) => {
            Some(Arc::from(text.chars().take(REASON_CHARACTERS).collect::<String>()))
        }
        _ => None,
    };
    let answers = [reply.remove("ok"), reply.remove("fail"), reply.remove("unknown")];
    let read = match &answers {
        [Some(answer), None, None] => Some(Reply::Ok(answer.clone())),
        [None, Some(why), None] => reason(why).map(Reply::Fail),
        [None, None, Some(why)] => reason(why).map(Reply::Unknown),
        _ => return wrong("an answer that is not one of `ok`, `fail` and `unknown`"),
    };
    read.map_or_else(|| wrong("a reason that is no text"), Ok)
}

/// What an answer says of the operation, unless there is no such answer to it.
pub(super) fn completion(
    invocation: &Invocation,
    reply: Reply,
) -> Result<Completion, ProtocolViolation> {
    match reply {
        Reply::Fail(why) => Ok(Completion::Fail(why)),
        // It changes nothing, whatever became of it.
        Reply::Unknown(why) if invocation.kind.is_read() => Ok(Completion::Fail(why)),
        Reply::Unknown(why) => Ok(Completion::Unknown(why)),
        Reply::Ok(answer) => done(invocation, &answer).ok_or_else(|| {
            let what = format!("an answer to `{}` that is none", invocation.kind.word());
            ProtocolViolation::new(what, sample(answer.to_string().as_bytes()))
        }),
    }
}

/// What came of an operation that was done, if that is an answer to it.
fn done(invocation: &Invocation, answer: &Json) -> Option<Completion> {
    let answer = answer.as_object()?;
    let refusable = |completion, why: &str| {
        let is_done = answer.get("done")?.as_bool()?;
        Some(if is_done { completion } else { Completion::Refused(why.into()) })
    };
    match invocation.kind {
        Kind::Read | Kind::StaleRead | Kind::Next | Kind::Dequeue | Kind::Pop => {
            scalar(answer.get("value")?).map(Completion::Answered)
        }
        Kind::AddElement | Kind::RemoveElement | Kind::HasElement => {
            Some(Completion::Answered(Value::Bool(answer.get("value")?.as_bool()?)))
        }
        Kind::ReadElements | Kind::Watch => {
            let elements = answer.get("value")?.as_array()?.iter().map(scalar);
            Some(Completion::Answered(Value::list(elements.collect::<Option<Vec<_>>>()?)))
        }
        Kind::Balances => balances(answer.get("value")?.as_array()?),
        Kind::Transfer => refusable(Completion::Done, "the account holds less"),
        Kind::Cas => compared(invocation, answer),
        Kind::Acquire => refusable(Completion::Done, "the lock is held"),
        Kind::Release => refusable(Completion::Done, "the owner does not hold the lock"),
        Kind::Expire => refusable(Completion::Scheduled, "there is no key to expire"),
        Kind::Transaction => transacted(invocation, answer.get("value")?.as_array()?),
        Kind::Write
        | Kind::WatchedWrite
        | Kind::Delete
        | Kind::Append
        | Kind::Increment
        | Kind::Enqueue
        | Kind::Push => Some(Completion::Done),
    }
}

/// What accounts hold, each with its name.
fn balances(answer: &[Json]) -> Option<Completion> {
    let pair = |pair: &Json| match &pair.as_array()?[..] {
        [name, balance] => Some(Value::list([scalar(name)?, scalar(balance)?])),
        _ => None,
    };
    let pairs: Option<Vec<Value>> = answer.iter().map(pair).collect();
    pairs.map(|pairs| Completion::Answered(Value::list(pairs)))
}

/// What came of a compare-and-set. One that swapped has seen what it expected, if it says what it saw.
fn compared(invocation: &Invocation, answer: &Map<String, Json>) -> Option<Completion> {
    let Value::List(operands) = &invocation.value else { return None };
    let saw = match answer.get("saw") {
        Some(saw) => Some(scalar(saw)?),
        None => None,
    };
    match (answer.get("swapped")?.as_bool()?, saw) {
        (true, Some(saw)) if operands.first() != Some(&saw) => None,
        (true, _) => Some(Completion::Swapped),
        (false, saw) => Some(Completion::Mismatch { saw }),
    }
}

/// What came of a transaction: its steps, with what was read in its place.
fn transacted(invocation: &Invocation, answers: &[Json]) -> Option<Completion> {
    let Value::List(steps) = &invocation.value else { return None };
    if steps.len() != answers.len() {
        return None;
    }
    let step = |(asked, answer): (&Value, &Json)| {
        let (Value::List(asked), Json::Array(answer)) = (asked, answer) else { return None };
        let ([function, key, value], [_, _, told]) = (&asked[..], &answer[..]) else { return None };
        let told = scalar(told)?;
        let is_same = json(function) == answer[0] && json(key) == answer[1];
        let is_read = *function == Value::text("r");
        (is_same && (is_read || told == *value))
            .then(|| Value::list([function.clone(), key.clone(), told]))
    };
    let answered = steps.iter().zip(answers).map(step).collect::<Option<Vec<_>>>()?;
    Some(Completion::Answered(Value::list(answered)))
}

/// What a node says of itself, or why it is not ready.
pub(super) fn status(reply: Reply) -> Result<Status, String> {
    let answer = match reply {
        Reply::Ok(Json::Object(answer)) => answer,
        Reply::Ok(other) => return Err(format!("a status that is no object: {other}")),
        Reply::Fail(why) | Reply::Unknown(why) => return Err(why.to_string()),
    };
    if answer.get("ready").is_some_and(|ready| *ready != Json::Bool(true)) {
        return Err("the program says that it is not ready".to_owned());
    }
    let number = |name: &str| match answer.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => {
            let wrong = || format!("`{name}` of the status is no number: {value}");
            value.as_u64().map(Some).ok_or_else(wrong)
        }
    };
    let role = match answer.get("role") {
        None | Some(Json::Null) => None,
        Some(Json::String(role)) => Some(role.clone()),
        Some(other) => return Err(format!("`role` of the status is no text: {other}")),
    };
    Ok(Status {
        role,
        term: number("term")?,
        commit_index: number("commit-index")?,
        applied_index: number("applied-index")?,
    })
}

/// A value as requests hold it.
fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => json!(truth),
        Value::Integer(number) => json!(number),
        Value::Text(text) => json!(&**text),
        Value::List(items) => items.iter().map(json).collect(),
        other => json!(other.to_string()),
    }
}

/// A value in an answer: nothing, a text or a number. A text of digits is the number that is written so, as in
/// every other protocol; a number that no workload writes is a text that none does.
fn scalar(value: &Json) -> Option<Value> {
    match value {
        Json::Null => Some(Value::Null),
        Json::String(text) => Some(decode(text.as_bytes())),
        Json::Number(number) => Some(match number.as_i64() {
            Some(number) => Value::Integer(number),
            None => Value::text(number.to_string()),
        }),
        Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}
