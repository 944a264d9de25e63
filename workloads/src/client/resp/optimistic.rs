//! Updates in the commands of raft-node: `MGET`, and then a transaction with `CHECK`s, whose `EXEC` answers
//! nil if one of them does not hold; and the reads of several keys that stand by themselves.

use bytes::Bytes;
use partita_checker::Value;

use super::super::optimistic::Write;
use super::super::violation::ProtocolViolation;
use super::commands::{refusal, unexpected, word};
use super::forms::Forms;
use super::reply::Reply;
use super::values::{decode, encode};
use crate::operation::{Completion, Kind};

/// The command that reads `keys` at one moment.
pub(super) fn read(keys: &[Value]) -> Vec<Bytes> {
    [word("MGET")].into_iter().chain(keys.iter().map(encode)).collect()
}

/// What the reply to that shows of each key, or that it was refused.
pub(super) fn seen(
    keys: &[Value],
    reply: &Reply,
) -> Result<Result<Vec<Value>, Completion>, ProtocolViolation> {
    let is_value = |item: &Reply| matches!(item, Reply::Bulk(_) | Reply::Null);
    match reply {
        Reply::Error(message) => {
            Ok(Err(Completion::Fail(super::commands::error_text(message).into())))
        }
        Reply::Array(items) if items.len() == keys.len() && items.iter().all(is_value) => {
            Ok(Ok(items.iter().map(decode).collect()))
        }
        other => Err(unexpected("a read of several keys", other)),
    }
}

/// The commands that are queued to write if every one of `keys` still holds what was `seen`.
pub(super) fn commands(keys: &[Value], seen: &[Value], writes: &[Write]) -> Vec<Vec<Bytes>> {
    let check = |(key, value): (&Value, &Value)| match value {
        Value::Null => vec![word("CHECK"), encode(key)],
        value => vec![word("CHECK"), encode(key), encode(value)],
    };
    let write = |(key, value): &Write| vec![word("SET"), encode(key), encode(value)];
    keys.iter().zip(seen).map(check).chain(writes.iter().map(write)).collect()
}

/// What the reply to `EXEC` says of an update of this kind: whether it was done, or what came of it else.
pub(super) fn interpret(
    forms: &Forms,
    kind: Kind,
    queued: usize,
    reply: &Reply,
) -> Result<Result<bool, Completion>, ProtocolViolation> {
    let is_ok = |item: &Reply| matches!(item, Reply::Simple(text) if &text[..] == b"OK");
    match reply {
        Reply::Error(message) => Ok(Err(refusal(forms, kind, message))),
        Reply::Null | Reply::NullArray => Ok(Ok(false)),
        Reply::Array(items) if items.len() == queued && items.iter().all(is_ok) => Ok(Ok(true)),
        other => Err(unexpected("a transaction with checks", other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &'static str) -> Reply {
        Reply::Bulk(Bytes::from_static(text.as_bytes()))
    }

    fn said(commands: &[Vec<Bytes>]) -> Vec<String> {
        let words = |command: &Vec<Bytes>| String::from_utf8(command.join(&b' ')).expect("text");
        commands.iter().map(words).collect()
    }

    #[test]
    fn what_was_read_is_checked_before_anything_is_written() {
        let keys = ["a".into(), "b".into()];
        assert_eq!(said(&[read(&keys)]), ["MGET a b"]);
        let seen = seen(&keys, &Reply::Array(vec![bulk("3"), Reply::Null]));
        let seen = seen.expect("a reply").expect("values");
        assert_eq!(seen, [3.into(), Value::Null]);
        let commands = commands(&keys, &seen, &[("b".into(), 7.into())]);
        assert_eq!(said(&commands), ["CHECK a 3", "CHECK b", "SET b 7"]);
    }

    #[test]
    fn nil_is_nothing_done_and_other_replies_are_against_the_protocol() {
        let forms = Forms::default();
        let of = |reply| interpret(&forms, Kind::Transfer, 2, &reply);
        let ok = || Reply::Simple(Bytes::from_static(b"OK"));
        assert_eq!(of(Reply::NullArray), Ok(Ok(false)));
        assert_eq!(of(Reply::Array(vec![ok(), ok()])), Ok(Ok(true)));
        let error = Reply::Error(Bytes::from_static(b"UNCERTAIN perhaps"));
        assert!(matches!(of(error), Ok(Err(Completion::Unknown(_)))));
        of(Reply::Array(vec![ok()])).expect_err("one is missing");
        of(Reply::Array(vec![ok(), bulk("x")])).expect_err("no answer to a SET");
        seen(&["a".into()], &Reply::Array(vec![])).expect_err("one is missing");
    }
}
