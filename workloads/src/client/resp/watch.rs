//! Registers whose changes are followed: a write also adds to the list of all changes, in one transaction,
//! and a watch polls that list from where it last ended.

use std::collections::HashMap;

use bytes::Bytes;
use partita_checker::Value;

use super::super::violation::ProtocolViolation;
use super::commands::{no_such_reply, refusal, word};
use super::forms::Forms;
use super::reply::Reply;
use super::values::{elements, encode};
use crate::operation::{Completion, Invocation, Kind};

/// The changes of each key that a client has been told of.
pub(super) type Seen = HashMap<Value, Vec<Value>>;

/// The key of the list of a key's changes.
fn changes(key: &Value) -> Bytes {
    Bytes::from([&encode(key)[..], b".changes"].concat())
}

/// The commands of a write, to be carried out at one moment.
pub(super) fn write(invocation: &Invocation) -> Vec<Vec<Bytes>> {
    let (key, value) = (&invocation.key, encode(&invocation.value));
    let set = vec![word("SET"), encode(key), value.clone()];
    vec![set, vec![word("RPUSH"), changes(key), value]]
}

/// What the reply to `EXEC` says of a write.
pub(super) fn written(forms: &Forms, reply: &Reply) -> Result<Completion, ProtocolViolation> {
    match reply {
        Reply::Error(message) => Ok(refusal(forms, Kind::WatchedWrite, message)),
        Reply::Array(items) => match &items[..] {
            [Reply::Simple(text), Reply::Integer(1..)] if &text[..] == b"OK" => {
                Ok(Completion::Done)
            }
            _ => Err(no_such_reply(Kind::WatchedWrite, reply)),
        },
        _ => Err(no_such_reply(Kind::WatchedWrite, reply)),
    }
}

/// The command that asks for what came after what was seen.
pub(super) fn poll(key: &Value, seen: &Seen) -> Vec<Bytes> {
    let from = seen.get(key).map_or(0, Vec::len);
    vec![word("LRANGE"), changes(key), Bytes::from(from.to_string()), word("-1")]
}

/// All changes that were seen, with those of this reply.
pub(super) fn polled(
    key: &Value,
    seen: &mut Seen,
    reply: &Reply,
) -> Result<Completion, ProtocolViolation> {
    if let Reply::Error(message) = reply {
        return Ok(Completion::Fail(super::commands::error_text(message).into()));
    }
    let new = elements(reply).ok_or_else(|| no_such_reply(Kind::Watch, reply))?;
    let all = seen.entry(key.clone()).or_default();
    all.extend(new);
    Ok(Completion::Answered(Value::list(all.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(command: &[Bytes]) -> String {
        String::from_utf8(command.join(&b' ')).expect("text")
    }

    #[test]
    fn a_poll_goes_on_where_the_last_one_ended() {
        let (key, mut seen) = (Value::text("k"), Seen::new());
        assert_eq!(said(&poll(&key, &seen)), "LRANGE k.changes 0 -1");
        let reply = |texts: &[&'static str]| {
            Reply::Array(
                texts.iter().map(|it| Reply::Bulk(Bytes::from_static(it.as_bytes()))).collect(),
            )
        };
        let told = |numbers: &[i64]| {
            let values: Vec<Value> = numbers.iter().map(|it| Value::Integer(*it)).collect();
            Ok(Completion::Answered(Value::list(values)))
        };
        assert_eq!(polled(&key, &mut seen, &reply(&["4", "7"])), told(&[4, 7]));
        assert_eq!(said(&poll(&key, &seen)), "LRANGE k.changes 2 -1");
        assert_eq!(polled(&key, &mut seen, &reply(&[])), told(&[4, 7]));
        assert_eq!(polled(&key, &mut seen, &reply(&["9"])), told(&[4, 7, 9]));
        polled(&key, &mut seen, &Reply::Integer(1)).expect_err("no list");
    }

    #[test]
    fn a_write_and_its_place_among_the_changes_are_one_transaction() {
        let invocation = Invocation::of(Kind::WatchedWrite, "k".into(), 7.into());
        let commands: Vec<String> = write(&invocation).iter().map(|it| said(it)).collect();
        assert_eq!(commands, ["SET k 7", "RPUSH k.changes 7"]);
        let forms = Forms::default();
        let ok = || Reply::Simple(Bytes::from_static(b"OK"));
        let done = written(&forms, &Reply::Array(vec![ok(), Reply::Integer(3)]));
        assert_eq!(done, Ok(Completion::Done));
        written(&forms, &Reply::Array(vec![ok()])).expect_err("done in part");
        let error = Reply::Error(Bytes::from_static(b"UNCERTAIN perhaps"));
        assert!(matches!(written(&forms, &error), Ok(Completion::Unknown(_))));
    }
}
