//! What commands ask for, and what replies to them mean.
//!
//! What decides between *fail* and *unknown*, the one thing a client must never get wrong:
//!
//! | what happened | outcome |
//! | --- | --- |
//! | no connection came about | `fail`: nothing was sent |
//! | the store answered with an error that is [definite](DEFINITE) | `fail` |
//! | the store answered with any other error | `unknown`; `fail` for a read, which has no effect |
//! | no reply in time, connection lost or closed after sending began | `unknown` |
//! | a reply that is malformed, beyond a limit, of the wrong kind, or not alone | `unknown`, and a [`ProtocolViolation`] |
//!
//! Values are compared byte for byte: an integer is what the store sends exactly as it was written,
//! so that a store which answers `017` or `17.0` for 17 answers with a value that no client wrote.

use bytes::Bytes;
use partita_checker::Value;

use super::super::violation::ProtocolViolation;
use super::forms::Forms;
use super::reply::Reply;
use super::values::{decode, elements, encode};
use crate::operation::{Completion, Invocation, Kind};

/// An error after which an operation has not taken effect and never will.
#[derive(Debug, Clone, Copy)]
pub struct Definite {
    /// The first word of the reply.
    pub word: &'static str,
    /// Why it is certain.
    pub why: &'static str,
}

/// The errors that are certain unless a description has a table of its own. Every other one leaves the
/// outcome of an update open.
///
/// They are those of raft-node, with its reasons (`raft-node/src/core/refusal.rs`), and those that
/// Redis answers before it looks at a key.
pub const DEFINITE: &[Definite] = &[
    Definite { word: "ERR", why: "malformed, over a limit, or without effect by its own rules" },
    Definite { word: "WRONGTYPE", why: "the key holds a value of another type, which stays" },
    Definite { word: "EXECABORT", why: "a command was refused while it was queued: none is done" },
    Definite { word: "NOLEADER", why: "no leader was known or reachable: nothing was submitted" },
    Definite { word: "NOTLEADER", why: "refused by a node that does not lead" },
    Definite { word: "BUSY", why: "too much is waiting: nothing was submitted" },
    Definite { word: "DROPPED", why: "another entry was committed in the place of its own" },
    Definite { word: "READFAILED", why: "a read was not confirmed by a quorum" },
    Definite { word: "NOSESSION", why: "the session of this attempt is not known" },
    Definite { word: "STALESEQUENCE", why: "the number of this attempt is an old one" },
    Definite { word: "NOAUTH", why: "refused before it is looked at" },
    Definite { word: "NOPERM", why: "refused before it is looked at" },
];

/// How much of an error's text is recorded, in characters.
const ERROR_CHARACTERS: usize = 300;

/// The command that performs `invocation`, if it is one command.
pub(super) fn command(forms: &Forms, invocation: &Invocation) -> Option<Vec<Bytes>> {
    let usual = usual_command(invocation)?;
    Some(forms.command(invocation).unwrap_or(usual))
}

/// The command where the description has none of its own.
fn usual_command(invocation: &Invocation) -> Option<Vec<Bytes>> {
    let key = || encode(&invocation.key);
    let value = || encode(&invocation.value);
    let on_key = |name: &'static str| vec![word(name), key()];
    let with_value = |name: &'static str| vec![word(name), key(), value()];
    Some(match (invocation.kind, &invocation.value) {
        (Kind::Read, _) => on_key("GET"),
        (Kind::Write, _) => with_value("SET"),
        (Kind::Cas, Value::List(operands)) => match &operands[..] {
            [expected, new] if !expected.is_null() => {
                let condition = [word("IFEQ"), encode(expected), word("GET")];
                [vec![word("SET"), key(), encode(new)], condition.to_vec()].concat()
            }
            _ => return None,
        },
        (Kind::Append, _) => with_value("APPEND"),
        (Kind::Delete, _) => on_key("DEL"),
        (Kind::Expire, _) => {
            let life = invocation.after?.as_millis();
            vec![word("PEXPIRE"), key(), Bytes::from(life.to_string())]
        }
        (Kind::Increment, _) => with_value("INCRBY"),
        (Kind::AddElement, _) => with_value("SADD"),
        (Kind::RemoveElement, _) => with_value("SREM"),
        (Kind::HasElement, _) => with_value("SISMEMBER"),
        (Kind::ReadElements, _) => on_key("SMEMBERS"),
        (Kind::Enqueue, _) => with_value("RPUSH"),
        (Kind::Push, _) => with_value("LPUSH"),
        (Kind::Dequeue | Kind::Pop, _) => on_key("LPOP"),
        (Kind::Acquire, _) => vec![word("SET"), key(), value(), word("NX")],
        (Kind::Release, _) => with_value("DELIFEQ"),
        (Kind::StaleRead, _) => vec![word("STALE"), word("GET"), key()],
        (Kind::Next, _) => on_key("INCR"),
        (
            Kind::Cas
            | Kind::Transaction
            | Kind::WatchedWrite
            | Kind::Watch
            | Kind::Transfer
            | Kind::Balances,
            _,
        ) => return None,
    })
}

/// A word of a command.
pub(super) const fn word(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// What the store's reply says of the operation, unless there is no such reply to it.
pub(super) fn interpret(
    forms: &Forms,
    invocation: &Invocation,
    reply: &Reply,
) -> Result<Completion, ProtocolViolation> {
    if let Reply::Error(message) = reply {
        return Ok(refusal(forms, invocation.kind, message));
    }
    let refused = |why: &str| Completion::Refused(why.into());
    Ok(match (invocation.kind, &invocation.value, reply) {
        (
            Kind::Read | Kind::StaleRead | Kind::Dequeue | Kind::Pop,
            _,
            Reply::Null | Reply::Bulk(_),
        ) => Completion::Answered(decode(reply)),
        (Kind::Write | Kind::Acquire, _, Reply::Simple(text)) if &text[..] == b"OK" => {
            Completion::Done
        }
        (Kind::Acquire, _, Reply::Null) => refused("the lock is held"),
        (Kind::Release, _, Reply::Integer(1)) => Completion::Done,
        (Kind::Release, _, Reply::Integer(0)) => refused("the owner does not hold the lock"),
        (Kind::Append, token, Reply::Integer(length)) if *length >= length_of(token) => {
            Completion::Done
        }
        (Kind::Delete, _, Reply::Integer(0 | 1)) => Completion::Done,
        (Kind::Expire, _, Reply::Integer(0)) => refused("there is no key to expire"),
        (Kind::Expire, _, Reply::Integer(1)) => Completion::Scheduled,
        (Kind::Increment, _, Reply::Integer(_)) => Completion::Done,
        (Kind::Next, _, Reply::Integer(number)) => Completion::Answered((*number).into()),
        (Kind::Enqueue | Kind::Push, _, Reply::Integer(1..)) => Completion::Done,
        (
            Kind::AddElement | Kind::RemoveElement | Kind::HasElement,
            _,
            Reply::Integer(found @ (0 | 1)),
        ) => Completion::Answered(Value::Bool(*found == 1)),
        (Kind::ReadElements, _, reply) => match elements(reply) {
            Some(elements) => Completion::Answered(Value::list(elements)),
            None => return Err(no_such_reply(invocation.kind, reply)),
        },
        (Kind::Cas, Value::List(operands), reply) => {
            let told = operands.first().and_then(|expected| forms.cas(expected, reply));
            told.ok_or_else(|| no_such_reply(invocation.kind, reply))?
        }
        _ => return Err(no_such_reply(invocation.kind, reply)),
    })
}

/// What an error says of an operation of this kind.
pub(super) fn refusal(forms: &Forms, kind: Kind, message: &[u8]) -> Completion {
    let why = error_text(message);
    let is_certain = kind.is_read() || forms.is_definite(&why);
    let why = why.as_str().into();
    if is_certain { Completion::Fail(why) } else { Completion::Unknown(why) }
}

/// That an operation of this kind has no such reply.
pub(super) fn no_such_reply(kind: Kind, reply: &Reply) -> ProtocolViolation {
    let name = kind.name();
    let article = if name.starts_with(['a', 'e', 'i']) { "an" } else { "a" };
    unexpected(&format!("{article} {name}"), reply)
}

/// That there is no such reply to `what`.
pub(super) fn unexpected(what: &str, reply: &Reply) -> ProtocolViolation {
    let kind = reply.kind();
    ProtocolViolation::new(format!("unexpected reply to {what}: {kind}"), reply.sample())
}

/// An error's text as it is recorded.
pub(super) fn error_text(message: &[u8]) -> String {
    String::from_utf8_lossy(message).chars().take(ERROR_CHARACTERS).collect()
}

fn length_of(token: &Value) -> i64 {
    i64::try_from(encode(token).len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
