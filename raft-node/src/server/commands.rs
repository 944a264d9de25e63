//! Understands the commands of Redis that this server has, and says how each answers.
//!
//! * `GET key`: the value, or nil; linearizable, on every server.
//! * `SET key value`: `OK`.
//! * `SET key value GET`: the value before, or nil.
//! * `SET key value IFEQ old`: `OK` if the key held exactly `old` and was set; nil if not, and then
//!   nothing changed. A missing key is equal to nothing.
//! * `SET key value IFEQ old GET`: the value seen before, or nil if the key was missing, *whether
//!   or not it was set*: it was set if and only if the answer is `old`.
//! * `APPEND key suffix`: the new length in bytes.
//! * `DEL key …`: how many of the keys existed.
//! * `INCR key`: the new number.
//! * `SESSION`: the number of a new session.
//! * `ONCE session sequence COMMAND …`: as `COMMAND`, one of the writes above (not `SESSION`),
//!   which is applied at most once.
//! * `INFO`: where this server stands; answered by itself, at once, with or without a leader.
//! * `PING`, `ECHO`, `QUIT`, `SELECT 0`, `HELLO 2`, `CLIENT …`, `COMMAND …`, `CONFIG GET …`: enough
//!   for redis-cli, redis-benchmark and client libraries.
//!
//! `SET` follows Redis 8.4. Any other option of it is an error, never ignored.
//!
//! `ONCE` makes a retry safe: a client opens a session, numbers its writes with rising sequences,
//! one at a time, and repeats a write whose fate it does not know with the same number, at any
//! server. The first time it comes up it is applied; later the stored answer is repeated. A session
//! not used while 4096 others were is forgotten; then `ONCE` answers `NOSESSION` and applies
//! nothing, but an earlier attempt may have been applied. A sequence below the last one answers
//! `STALESEQUENCE`.
//!
//! Errors, and which of them are definite, are listed in [`refusal`](crate::core::refusal).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;

use super::resp::put;
use crate::core::operation::{Command, Write};
use crate::core::units::{NodeId, SessionId};
use crate::core::{MAX_KEY_BYTES, MAX_VALUE_BYTES, Operation, Refusal, Reply, Status};

/// What to do with a client's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Answer these bytes.
    Answered(Vec<u8>),
    /// Answer where this server stands.
    Info,
    /// Answer, then close the connection.
    Quit,
    /// Let the cluster carry it out.
    Operation(Operation),
}

/// Why a request is malformed. Definite: it goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum CommandError {
    #[error("ERR unknown command '{0}'")]
    UnknownCommand(String),
    #[error("ERR wrong number of arguments for '{0}' command")]
    WrongNumber(String),
    #[error("ERR syntax error: SET takes IFEQ value and GET, each once, and no other option")]
    SetOption,
    #[error("ERR ONCE takes a session, a sequence and one of SET, APPEND, DEL, INCR")]
    Once,
    #[error("ERR the key is longer than {MAX_KEY_BYTES} bytes")]
    KeyTooLong,
    #[error("ERR the value is longer than {MAX_VALUE_BYTES} bytes")]
    ValueTooLong,
    #[error("ERR DB index is out of range: there is only 0")]
    DatabaseIndex,
    #[error("ERR there is nothing to configure")]
    Configuration,
    #[error("NOPROTO unsupported protocol version: there is only 2")]
    ProtocolVersion,
}

/// Understands a request of one or more words.
pub(super) fn understand(words: &[Bytes]) -> Request {
    parse(words).unwrap_or_else(|error| answered(|out| put::error(out, &error.to_string())))
}

fn parse(words: &[Bytes]) -> Result<Request, CommandError> {
    let Some((name, arguments)) = words.split_first() else {
        return Err(CommandError::UnknownCommand(String::new()));
    };
    let name = name.to_ascii_uppercase();
    match (&name[..], arguments) {
        (b"PING", []) => Ok(answered(|out| put::simple(out, "PONG"))),
        (b"PING" | b"ECHO", [text]) => Ok(answered(|out| put::bulk(out, text))),
        (b"QUIT", _) => Ok(Request::Quit),
        (b"INFO", _) => Ok(Request::Info),
        (b"GET", [key]) => Ok(Request::Operation(Operation::Read { key: checked_key(key)? })),
        (b"SESSION", []) => Ok(Request::Operation(Operation::Write(Write::OpenSession))),
        (b"ONCE", [session, sequence, command @ ..]) => once(session, sequence, command),
        (b"SELECT", [index]) if index == "0" => Ok(answered(|out| put::simple(out, "OK"))),
        (b"SELECT", [_]) => Err(CommandError::DatabaseIndex),
        (b"HELLO", arguments) => hello(arguments),
        (b"CLIENT", [subcommand, ..]) => Ok(client(subcommand)),
        (b"COMMAND", arguments) => Ok(command_table(arguments)),
        (b"CONFIG", [subcommand, parameter]) if subcommand.eq_ignore_ascii_case(b"GET") => {
            Ok(answered(|out| {
                put::array(out, 2);
                put::bulk(out, parameter);
                put::bulk(out, b"");
            }))
        }
        (b"CONFIG", _) => Err(CommandError::Configuration),
        (name, arguments) => match write(name, arguments)? {
            Some(command) => Ok(Request::Operation(Operation::Write(Write::Plain(command)))),
            None => Err(unknown_or_miscounted(name)),
        },
    }
}

fn unknown_or_miscounted(name: &[u8]) -> CommandError {
    let known: [&[u8]; 12] = [
        b"PING", b"ECHO", b"GET", b"SESSION", b"ONCE", b"SELECT", b"CLIENT", b"SET", b"APPEND",
        b"DEL", b"INCR", b"CONFIG",
    ];
    let shown: String = name.escape_ascii().to_string().chars().take(64).collect();
    if known.contains(&name) {
        CommandError::WrongNumber(shown.to_lowercase())
    } else {
        CommandError::UnknownCommand(shown)
    }
}

/// A command that changes keys; `None` if the name and the number of words are not one's.
fn write(name: &[u8], arguments: &[Bytes]) -> Result<Option<Command>, CommandError> {
    Ok(Some(match (name, arguments) {
        (b"SET", [key, value, options @ ..]) => set(key, value, options)?,
        (b"APPEND", [key, suffix]) => {
            Command::Append { key: checked_key(key)?, suffix: checked_value(suffix)? }
        }
        (b"DEL", keys @ [_, ..]) => {
            let keys = keys.iter().map(checked_key).collect::<Result<_, _>>()?;
            Command::Delete { keys }
        }
        (b"INCR", [key]) => Command::Increment { key: checked_key(key)? },
        _ => return Ok(None),
    }))
}

fn set(key: &Bytes, value: &Bytes, options: &[Bytes]) -> Result<Command, CommandError> {
    let (mut expected, mut get) = (None, false);
    let mut rest = options;
    while let Some((option, after)) = rest.split_first() {
        rest = after;
        if option.eq_ignore_ascii_case(b"GET") && !get {
            get = true;
        } else if option.eq_ignore_ascii_case(b"IFEQ") && expected.is_none() {
            let (old, after) = rest.split_first().ok_or(CommandError::SetOption)?;
            expected = Some(checked_value(old)?);
            rest = after;
        } else {
            return Err(CommandError::SetOption);
        }
    }
    Ok(Command::Set { key: checked_key(key)?, value: checked_value(value)?, expected, get })
}

fn once(session: &Bytes, sequence: &Bytes, words: &[Bytes]) -> Result<Request, CommandError> {
    let (name, arguments) = words.split_first().ok_or(CommandError::Once)?;
    let command = write(&name.to_ascii_uppercase(), arguments)?.ok_or(CommandError::Once)?;
    let session = SessionId(number(session)?);
    let sequence = number(sequence)?;
    Ok(Request::Operation(Operation::Write(Write::Once { session, sequence, command })))
}

fn number(word: &Bytes) -> Result<u64, CommandError> {
    let text = std::str::from_utf8(word).map_err(|_| CommandError::Once)?;
    text.parse().map_err(|_| CommandError::Once)
}

fn checked_key(key: &Bytes) -> Result<Bytes, CommandError> {
    if key.len() <= MAX_KEY_BYTES { Ok(key.clone()) } else { Err(CommandError::KeyTooLong) }
}

fn checked_value(value: &Bytes) -> Result<Bytes, CommandError> {
    if value.len() <= MAX_VALUE_BYTES { Ok(value.clone()) } else { Err(CommandError::ValueTooLong) }
}

fn answered(put: impl FnOnce(&mut Vec<u8>)) -> Request {
    let mut out = Vec::new();
    put(&mut out);
    Request::Answered(out)
}

fn hello(arguments: &[Bytes]) -> Result<Request, CommandError> {
    if arguments.first().is_some_and(|version| version != "2") {
        return Err(CommandError::ProtocolVersion);
    }
    Ok(answered(|out| {
        put::array(out, 6);
        for text in ["server", "partita-raft-node", "version", env!("CARGO_PKG_VERSION"), "proto"] {
            put::bulk(out, text.as_bytes());
        }
        put::integer(out, 2);
    }))
}

/// Names and library versions that clients announce are of no use here.
fn client(subcommand: &Bytes) -> Request {
    answered(|out| match &subcommand.to_ascii_uppercase()[..] {
        b"ID" => put::integer(out, 1),
        b"GETNAME" => put::nil(out),
        _ => put::simple(out, "OK"),
    })
}

fn command_table(arguments: &[Bytes]) -> Request {
    let counts = arguments.first().is_some_and(|word| word.eq_ignore_ascii_case(b"COUNT"));
    answered(|out| if counts { put::integer(out, 0) } else { put::array(out, 0) })
}

/// Writes the cluster's answer.
pub(super) fn put_outcome(out: &mut Vec<u8>, outcome: &Result<Reply, Refusal>) {
    match outcome {
        Ok(Reply::Ok) => put::simple(out, "OK"),
        Ok(Reply::Nil) => put::nil(out),
        Ok(Reply::Integer(number)) => put::integer(out, *number),
        Ok(Reply::Value(value)) => put::bulk(out, value),
        Ok(Reply::Failure(failure)) => {
            put::error(out, &format!("{} {failure}", failure.prefix()));
        }
        Err(refusal) => put::error(out, &format!("{} {refusal}", refusal.prefix())),
    }
}

/// Writes where this server stands, in the form of Redis's INFO.
pub(super) fn put_info(
    out: &mut Vec<u8>,
    status: &Status,
    addresses: &BTreeMap<NodeId, SocketAddr>,
) {
    let leader = status.leader;
    let address = leader.and_then(|leader| addresses.get(&leader));
    let shown = |value: Option<String>| value.unwrap_or_default();
    let lines = [
        ("id", status.banner.server.to_string()),
        ("role", status.role.to_owned()),
        ("term", status.banner.term.to_string()),
        ("leader_id", shown(leader.map(|leader| leader.to_string()))),
        ("leader_address", shown(address.map(ToString::to_string))),
        ("commit_index", status.banner.commit.to_string()),
        ("applied_index", status.applied.to_string()),
        ("last_index", status.last.to_string()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let mut text = "# Raft\r\n".to_owned();
    for (name, value) in lines {
        let _ = write!(text, "{name}:{value}\r\n");
    }
    put::bulk(out, text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn understood(line: &str) -> Request {
        let words: Vec<Bytes> = line.split(' ').map(|word| word.to_owned().into()).collect();
        understand(&words)
    }

    fn error(line: &str) -> String {
        match understood(line) {
            Request::Answered(bytes) => String::from_utf8(bytes).expect("text"),
            other => panic!("{line}: {other:?}"),
        }
    }

    fn set(expected: Option<&'static str>, get: bool) -> Request {
        let expected = expected.map(Bytes::from);
        let command = Command::Set { key: "k".into(), value: "v".into(), expected, get };
        Request::Operation(Operation::Write(Write::Plain(command)))
    }

    #[test]
    fn set_takes_its_options_in_any_order_and_case() {
        assert_eq!(understood("set k v"), set(None, false));
        assert_eq!(understood("SET k v GET"), set(None, true));
        assert_eq!(understood("SET k v ifeq old get"), set(Some("old"), true));
        assert_eq!(understood("SET k v GET IFEQ GET"), set(Some("GET"), true));
    }

    #[test]
    fn set_with_an_unknown_option_is_refused() {
        for line in ["SET k v NX", "SET k v IFEQ", "SET k v GET GET", "SET k v EX 5"] {
            assert!(error(line).starts_with("-ERR syntax error"), "{line}");
        }
    }

    #[test]
    fn once_takes_a_write_and_nothing_else() {
        let command = Command::Increment { key: "k".into() };
        let write = Write::Once { session: SessionId(4), sequence: 9, command };
        assert_eq!(understood("once 4 9 incr k"), Request::Operation(Operation::Write(write)));
        for line in ["ONCE 4 9 GET k", "ONCE 4 9", "ONCE x 9 INCR k", "ONCE 4 9 ONCE 4 9 INCR k"] {
            assert!(error(line).starts_with("-ERR ONCE"), "{line}");
        }
    }

    #[test]
    fn malformed_requests_are_told_apart() {
        assert!(error("NONSENSE").contains("unknown command 'NONSENSE'"));
        assert!(error("GET").contains("wrong number of arguments for 'get'"));
        assert!(error(&format!("GET {}", "k".repeat(MAX_KEY_BYTES + 1))).contains("key is longer"));
        let long = "v".repeat(MAX_VALUE_BYTES + 1);
        assert!(error(&format!("SET k {long}")).contains("value is longer"));
        assert!(error("HELLO 3").starts_with("-NOPROTO"));
    }

    #[test]
    fn error_replies_begin_with_their_prefix() {
        let mut out = Vec::new();
        put_outcome(&mut out, &Err(Refusal::Uncertain));
        assert!(out.starts_with(b"-UNCERTAIN "), "{}", out.escape_ascii());
    }
}
