//! Transactions: `MULTI`, commands that are queued, `EXEC`.
//!
//! Nothing is done before `EXEC` is sent, and a connection that ends before that leaves nothing done.
//! So each command waits for its `QUEUED`: had `MULTI` been refused, those behind it would be carried
//! out one by one. What follows `EXEC` is an update like any other.

use std::sync::Arc;

use bytes::Bytes;
use partita_checker::Value;

use super::super::violation::ProtocolViolation;
use super::commands::{no_such_reply, refusal, word};
use super::forms::Forms;
use super::reply::Reply;
use super::values::{decode, encode};
use crate::operation::{Completion, Invocation, Kind};

/// A step of a transaction: `["r", key, null]` or `["w", key, value]`.
enum Step<'a> {
    Read { key: &'a Value },
    Write { key: &'a Value, value: &'a Value },
}

impl<'a> Step<'a> {
    fn of(step: &'a Value) -> Option<Self> {
        let Value::List(parts) = step else { return None };
        let [Value::Text(function), key, value] = &parts[..] else { return None };
        match &**function {
            "r" => Some(Self::Read { key }),
            "w" => Some(Self::Write { key, value }),
            _ => None,
        }
    }

    fn command(&self) -> Vec<Bytes> {
        match self {
            Self::Read { key } => vec![word("GET"), encode(key)],
            Self::Write { key, value } => vec![word("SET"), encode(key), encode(value)],
        }
    }
}

fn steps(invocation: &Invocation) -> Option<Vec<Step<'_>>> {
    let Value::List(steps) = &invocation.value else { return None };
    steps.iter().map(Step::of).collect()
}

/// The commands to be queued, if the invocation is a transaction.
pub(super) fn commands(invocation: &Invocation) -> Option<Vec<Vec<Bytes>>> {
    if invocation.kind != Kind::Transaction {
        return None;
    }
    Some(steps(invocation)?.iter().map(Step::command).collect())
}

/// What the reply to `EXEC` says of the transaction, unless there is no such reply to it.
pub(super) fn interpret(
    forms: &Forms,
    invocation: &Invocation,
    reply: &Reply,
) -> Result<Completion, ProtocolViolation> {
    if let Reply::Error(message) = reply {
        return Ok(refusal(forms, invocation.kind, message));
    }
    let wrong = || no_such_reply(invocation.kind, reply);
    let (Reply::Array(answers), Some(steps)) = (reply, steps(invocation)) else {
        return Err(wrong());
    };
    if answers.len() != steps.len() {
        return Err(wrong());
    }
    let mut answered = Vec::new();
    for (step, answer) in steps.iter().zip(answers) {
        let item = |function: &str, key: &Value, value: Value| {
            Value::list([Value::text(function), key.clone(), value])
        };
        answered.push(match (step, answer) {
            (Step::Read { key }, Reply::Bulk(_) | Reply::Null) => item("r", key, decode(answer)),
            (Step::Write { key, value }, Reply::Simple(text)) if &text[..] == b"OK" => {
                item("w", key, (*value).clone())
            }
            // One command had no effect, others did: nothing that a transaction of ours is.
            (_, Reply::Error(message)) => {
                let why = String::from_utf8_lossy(message);
                return Ok(Completion::Unknown(Arc::from(format!("done in part: {why}"))));
            }
            _ => return Err(wrong()),
        });
    }
    Ok(Completion::Answered(Value::list(answered)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction() -> Invocation {
        let read = Value::list(["r".into(), "a".into(), Value::Null]);
        let write = Value::list(["w".into(), "b".into(), 7.into()]);
        Invocation::transaction(vec![read, write])
    }

    fn bulk(text: &'static str) -> Reply {
        Reply::Bulk(Bytes::from_static(text.as_bytes()))
    }

    fn ok() -> Reply {
        Reply::Simple(Bytes::from_static(b"OK"))
    }

    #[test]
    fn steps_are_commands() {
        let commands = commands(&transaction()).expect("a transaction");
        let said: Vec<Vec<u8>> = commands.iter().map(|words| words.join(&b' ')).collect();
        assert_eq!(said, [&b"GET a"[..], b"SET b 7"]);
        assert!(super::commands(&Invocation::read("a".into())).is_none());
    }

    #[test]
    fn the_answer_has_what_was_read_in_its_place() {
        let answered = |read: Reply| {
            interpret(&Forms::default(), &transaction(), &Reply::Array(vec![read, ok()]))
        };
        let expected = |read: Value| {
            let read = Value::list(["r".into(), "a".into(), read]);
            let write = Value::list(["w".into(), "b".into(), 7.into()]);
            Ok(Completion::Answered(Value::list([read, write])))
        };
        assert_eq!(answered(bulk("3")), expected(3.into()));
        assert_eq!(answered(Reply::Null), expected(Value::Null));
    }

    #[test]
    fn a_refusal_of_all_is_told_from_one_of_a_part() {
        let of = |reply| {
            interpret(&Forms::default(), &transaction(), &reply).expect("a reply that there is")
        };
        let error = |text: &'static str| Reply::Error(Bytes::from_static(text.as_bytes()));
        assert!(matches!(of(error("EXECABORT no")), Completion::Fail(_)));
        assert!(matches!(of(error("UNCERTAIN perhaps")), Completion::Unknown(_)));
        let part = Reply::Array(vec![error("WRONGTYPE no"), ok()]);
        assert!(matches!(of(part), Completion::Unknown(_)));
    }

    #[test]
    fn a_reply_of_another_shape_is_against_the_protocol() {
        let replies = [
            ok(),
            Reply::NullArray,
            Reply::Array(vec![bulk("3")]),
            Reply::Array(vec![bulk("3"), bulk("OK")]),
            Reply::Array(vec![Reply::Integer(3), ok()]),
            Reply::Array(vec![bulk("3"), ok(), ok()]),
        ];
        for reply in replies {
            let violation =
                interpret(&Forms::default(), &transaction(), &reply).expect_err("no such reply");
            assert!(violation.what.contains("a transaction"), "{violation:?}");
        }
    }
}
