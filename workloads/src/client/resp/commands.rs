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

use std::hash::{DefaultHasher, Hasher};

use bytes::Bytes;
use partita_checker::Value;

use super::super::violation::ProtocolViolation;
use super::reply::{Reply, sample};
use crate::operation::{Completion, Invocation, Kind};

/// Error words after which the command certainly did not and will not happen. Every other word
/// leaves the outcome open.
pub const DEFINITE: &[&str] = &[
    "ERR",
    "NOLEADER",
    "NOTLEADER",
    "BUSY",
    "DROPPED",
    "READFAILED",
    "WRONGTYPE",
    "NOAUTH",
    "NOPERM",
];

/// The longest value that is recorded whole, in bytes: longer than any that a workload writes. What
/// is longer is another value in any case, and would only fill the history.
const WHOLE_VALUE: usize = 64 << 10;

/// How much of an error's text is recorded, in characters.
const ERROR_CHARACTERS: usize = 300;

/// Whether there is a command for operations of this kind.
pub(super) const fn supports(kind: Kind) -> bool {
    match kind {
        Kind::Read | Kind::Write | Kind::Cas | Kind::Delete | Kind::Expire | Kind::Append => true,
    }
}

/// The command that performs `invocation`, if the protocol has one.
pub(super) fn command(invocation: &Invocation) -> Option<Vec<Bytes>> {
    let word = |text: &'static str| Bytes::from_static(text.as_bytes());
    let key = encode(&invocation.key);
    Some(match (invocation.kind, &invocation.value) {
        (Kind::Read, _) => vec![word("GET"), key],
        (Kind::Write, value) => vec![word("SET"), key, encode(value)],
        (Kind::Cas, Value::List(operands)) => match &operands[..] {
            [expected, new] if !expected.is_null() => {
                vec![word("SET"), key, encode(new), word("IFEQ"), encode(expected), word("GET")]
            }
            _ => return None,
        },
        (Kind::Append, token) => vec![word("APPEND"), key, encode(token)],
        (Kind::Delete, _) => vec![word("DEL"), key],
        (Kind::Expire, _) => {
            let life = invocation.after?.as_millis();
            vec![word("PEXPIRE"), key, Bytes::from(life.to_string())]
        }
        _ => return None,
    })
}

/// What the store's reply says of the operation, unless there is no such reply to it.
pub(super) fn interpret(
    invocation: &Invocation,
    reply: &Reply,
) -> Result<Completion, ProtocolViolation> {
    if let Reply::Error(message) = reply {
        let why = error_text(message);
        let word = why.split(' ').next().unwrap_or_default();
        let definite = invocation.kind.is_read() || DEFINITE.contains(&word);
        let why = why.as_str().into();
        return Ok(if definite { Completion::Fail(why) } else { Completion::Unknown(why) });
    }
    Ok(match (invocation.kind, &invocation.value, reply) {
        (Kind::Read, _, Reply::Null | Reply::Bulk(_)) => Completion::Answered(decode(reply)),
        (Kind::Write, _, Reply::Simple(text)) if &text[..] == b"OK" => Completion::Done,
        (Kind::Append, token, Reply::Integer(length)) if *length >= length_of(token) => {
            Completion::Done
        }
        (Kind::Delete, _, Reply::Integer(0 | 1)) => Completion::Done,
        (Kind::Expire, _, Reply::Integer(0)) => {
            Completion::Fail("there is no key to expire".into())
        }
        (Kind::Expire, _, Reply::Integer(1)) => Completion::Scheduled,
        (Kind::Cas, Value::List(operands), Reply::Null | Reply::Bulk(_)) => {
            let saw = decode(reply);
            if operands.first() == Some(&saw) {
                Completion::Swapped
            } else {
                Completion::Mismatch { saw: Some(saw) }
            }
        }
        _ => {
            let kind = invocation.kind.name();
            let article = if kind.starts_with(['a', 'e']) { "an" } else { "a" };
            return Err(unexpected(&format!("{article} {kind}"), reply));
        }
    })
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

/// Scalars travel as text: a text is sent as it is, an integer in digits and read back as one.
fn encode(value: &Value) -> Bytes {
    match value {
        Value::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
        other => Bytes::from(other.to_string()),
    }
}

/// The value that these bytes stand for: an integer only if they are exactly what [`encode`] makes of
/// one, and otherwise a text. What is no UTF-8, or longer than any value that was written, becomes a
/// text in ASCII that no workload writes.
fn decode(reply: &Reply) -> Value {
    let Reply::Bulk(bytes) = reply else { return Value::Null };
    if bytes.len() > WHOLE_VALUE {
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        let (length, hash) = (bytes.len(), hasher.finish());
        return Value::text(format!("{} [{length} bytes, hash {hash:016x}]", sample(bytes)));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Value::text(bytes.escape_ascii().to_string());
    };
    match text.parse::<i64>() {
        Ok(number) if number.to_string() == text => Value::Integer(number),
        _ => Value::text(text),
    }
}

#[cfg(test)]
mod tests;
