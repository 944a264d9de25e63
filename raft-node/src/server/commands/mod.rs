//! Understands the commands of Redis that this server has, and says how each answers.
//!
//! * `GET key`: the value, or nil; linearizable, on every server. `EXISTS key`, `STRLEN key` and
//!   `TYPE key` are the same read, of which they tell less.
//! * `SET key value`: `OK`.
//! * `SET key value GET`: the value before, or nil.
//! * `SET key value IFEQ old`: `OK` if the key held exactly `old` and was set; nil if not, and then
//!   nothing changed. A missing key is equal to nothing.
//! * `SET key value IFEQ old GET`: the value seen before, or nil if the key was missing, *whether
//!   or not it was set*: it was set if and only if the answer is `old`.
//! * `APPEND key suffix`: the new length in bytes.
//! * `DEL key …`: how many of the keys existed.
//! * `INCR key`: the new number. `INCRBY key 1`, by which libraries send it, is the same; other
//!   numbers are refused.
//! * `EXPIRE key seconds`, `PEXPIRE key milliseconds`: 1 if the key exists and now expires, else 0.
//!   The time is the cluster's own, which stands still while there is no leader.
//! * `SESSION`: the number of a new session.
//! * `ONCE session sequence COMMAND …`: as `COMMAND`, one of the writes above (not `SESSION`),
//!   which is applied at most once.
//! * `INFO [section …]`, `DBSIZE`: where this server stands; answered by itself, at once, with or
//!   without a leader.
//! * `RAFT …`: tells about the cluster and changes it, see `administration`.
//! * `PING`, `ECHO`, `QUIT`, `RESET`, `SELECT 0`, `HELLO 2|3`, `CLIENT …`, `COMMAND …`,
//!   `CONFIG GET …`: enough for redis-cli, redis-benchmark and client libraries. There is no
//!   password, so `AUTH` is refused.
//!
//! `SET` follows Redis 8.4. Any other option of it is an error, never ignored. Commands that read
//! or write several keys at once are left out, except `DEL`: reads are confirmed one by one, and
//! several of them would not be one moment's.
//!
//! `ONCE` makes a retry safe: a client opens a session, numbers its writes with rising sequences,
//! one at a time, and repeats a write whose fate it does not know with the same number, at any
//! server. The first time it comes up it is applied; later the stored answer is repeated. A session
//! not used while 4096 others were is forgotten; then `ONCE` answers `NOSESSION` and applies
//! nothing, but an earlier attempt may have been applied. A sequence below the last one answers
//! `STALESEQUENCE`.
//!
//! Errors, and which of them are definite, are listed in [`refusal`](crate::core::refusal).

mod administration;
mod caller;
mod table;

use std::time::Duration;

use bytes::Bytes;

pub(super) use self::administration::{put_members, put_status};
pub(super) use self::caller::Caller;
use super::resp::{Protocol, put};
use crate::core::operation::{Command, Write};
use crate::core::units::SessionId;
use crate::core::{MAX_KEY_BYTES, MAX_VALUE_BYTES, Operation, Refusal, Reply};

/// What to do with a client's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Answer these bytes.
    Answered(Vec<u8>),
    /// Answer these sections, or all, about where this server stands.
    Info(Vec<Bytes>),
    /// Answer how many keys this server holds.
    CountKeys,
    /// Answer where this server stands, as a map.
    Status,
    /// Answer who the members are.
    Members,
    /// Answer, then close the connection.
    Quit,
    /// Let the cluster carry it out, and show its answer in this form.
    Operation(Operation, Shape),
}

/// What of an operation's answer a command shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// All of it.
    Whole,
    /// Whether there is a value, as 1 or 0.
    Existence,
    /// The value's length in bytes, 0 without a value.
    Length,
    /// The name of the value's type.
    Type,
}

/// Why a request is malformed. Definite: it goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum CommandError {
    #[error("ERR unknown command '{0}'")]
    UnknownCommand(String),
    #[error("ERR unknown subcommand '{1}' of '{0}'")]
    UnknownSubcommand(&'static str, String),
    #[error("ERR wrong number of arguments for '{0}' command")]
    WrongNumber(&'static str),
    #[error("ERR syntax error: SET takes IFEQ value and GET, each once, and no other option")]
    SetOption,
    #[error("ERR syntax error: HELLO takes a version, AUTH name password, and SETNAME name")]
    HelloOption,
    #[error("ERR ONCE takes a session, a sequence and one of SET, APPEND, DEL, INCR, PEXPIRE")]
    Once,
    #[error("ERR INCRBY takes 1 and no other number")]
    Amount,
    #[error("ERR invalid expire time: it takes a whole number above 0")]
    ExpireTime,
    #[error(
        "ERR RAFT takes STATUS, MEMBERS, SNAPSHOT, TRANSFER [id], REMOVE id, or ADD id ip:port [ip:port]"
    )]
    Raft,
    #[error("ERR the key is longer than {MAX_KEY_BYTES} bytes")]
    KeyTooLong,
    #[error("ERR the value is longer than {MAX_VALUE_BYTES} bytes")]
    ValueTooLong,
    #[error("ERR DB index is out of range: there is only 0")]
    DatabaseIndex,
    #[error("ERR there is nothing to configure while the server runs")]
    Configuration,
    #[error("ERR a client's name is printable, without spaces, and at most 64 bytes long")]
    ClientName,
    #[error(
        "ERR AUTH <password> called without any password configured for the default user. \
         Are you sure your configuration is correct?"
    )]
    NoPassword,
    #[error("NOPROTO unsupported protocol version: there are 2 and 3")]
    ProtocolVersion,
}

/// Understands a request of one or more words; what it changes of the connection is changed.
pub(super) fn understand(words: &[Bytes], caller: &mut Caller) -> Request {
    parse(words, caller).unwrap_or_else(|error| answered(|out| put::error(out, &error.to_string())))
}

fn parse(words: &[Bytes], caller: &mut Caller) -> Result<Request, CommandError> {
    let (name, arguments) = words.split_first().expect("a request has words");
    let Some(row) = table::find(name) else {
        return Err(CommandError::UnknownCommand(shown(name)));
    };
    if !row.takes(words.len()) {
        return Err(CommandError::WrongNumber(row.name));
    }
    match (row.name, arguments) {
        ("get", [key]) => read(key, Shape::Whole),
        ("exists", [key]) => read(key, Shape::Existence),
        ("strlen", [key]) => read(key, Shape::Length),
        ("type", [key]) => read(key, Shape::Type),
        ("session", _) => Ok(operation(Write::OpenSession)),
        ("once", [session, sequence, command @ ..]) => once(session, sequence, command),
        ("ping", []) => Ok(answered(|out| put::simple(out, "PONG"))),
        ("ping" | "echo", [text]) => Ok(answered(|out| put::bulk(out, text))),
        ("quit", _) => Ok(Request::Quit),
        ("info", sections) => Ok(Request::Info(sections.to_vec())),
        ("raft", arguments) => administration::parse(arguments),
        ("dbsize", _) => Ok(Request::CountKeys),
        ("select", [index]) if index == "0" => Ok(ok()),
        ("select", _) => Err(CommandError::DatabaseIndex),
        ("auth", _) => Err(CommandError::NoPassword),
        ("hello", arguments) => caller.hello(arguments),
        ("reset", _) => Ok(caller.reset()),
        ("client", [subcommand, arguments @ ..]) => caller.client(subcommand, arguments),
        ("command", arguments) => command_table(arguments, caller.protocol()),
        ("config", [subcommand, names @ ..]) => configuration(subcommand, names, caller.protocol()),
        (name, arguments) => match write(name, arguments)? {
            Some(command) => Ok(operation(Write::Plain(command))),
            None => Err(CommandError::WrongNumber(row.name)),
        },
    }
}

/// A word of a client's, fit to be shown.
fn shown(word: &[u8]) -> String {
    word.escape_ascii().to_string().chars().take(64).collect()
}

fn read(key: &Bytes, shape: Shape) -> Result<Request, CommandError> {
    Ok(Request::Operation(Operation::Read { key: checked_key(key)? }, shape))
}

fn operation(write: Write) -> Request {
    Request::Operation(Operation::Write(write), Shape::Whole)
}

/// A command that changes keys; `None` if the name and the number of words are not one's.
fn write(name: &str, arguments: &[Bytes]) -> Result<Option<Command>, CommandError> {
    Ok(Some(match (name, arguments) {
        ("set", [key, value, options @ ..]) => set(key, value, options)?,
        ("append", [key, suffix]) => {
            Command::Append { key: checked_key(key)?, suffix: checked_value(suffix)? }
        }
        ("del", keys @ [_, ..]) => {
            let keys = keys.iter().map(checked_key).collect::<Result<_, _>>()?;
            Command::Delete { keys }
        }
        ("incr", [key]) => Command::Increment { key: checked_key(key)? },
        ("incrby", [key, amount]) if amount == "1" => Command::Increment { key: checked_key(key)? },
        ("incrby", [_, _]) => return Err(CommandError::Amount),
        ("expire", [key, seconds]) => expire(key, seconds, 1000)?,
        ("pexpire", [key, millis]) => expire(key, millis, 1)?,
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
    let row = table::find(name).ok_or(CommandError::Once)?;
    let command = write(row.name, arguments)?.ok_or(CommandError::Once)?;
    let (session, sequence) = (SessionId(number(session)?), number(sequence)?);
    Ok(operation(Write::Once { session, sequence, command }))
}

fn expire(key: &Bytes, time: &Bytes, millis: u64) -> Result<Command, CommandError> {
    let time = std::str::from_utf8(time).ok().and_then(|text| text.parse::<u64>().ok());
    let time = time.filter(|time| *time > 0).and_then(|time| time.checked_mul(millis));
    let life = time.map(Duration::from_millis).ok_or(CommandError::ExpireTime)?;
    Ok(Command::Expire { key: checked_key(key)?, life })
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

fn ok() -> Request {
    answered(|out| put::simple(out, "OK"))
}

fn command_table(arguments: &[Bytes], protocol: Protocol) -> Result<Request, CommandError> {
    let mut out = Vec::new();
    if table::put_answer(&mut out, arguments, protocol) {
        return Ok(Request::Answered(out));
    }
    let subcommand = arguments.first().map(|word| shown(word)).unwrap_or_default();
    Err(CommandError::UnknownSubcommand("command", subcommand))
}

/// What redis-benchmark and some libraries ask for, in the words of Redis: no snapshots by the
/// clock, and every write synced.
const SETTINGS: &[(&str, &str)] =
    &[("appendfsync", "always"), ("appendonly", "yes"), ("databases", "1"), ("save", "")];

fn configuration(
    subcommand: &Bytes,
    names: &[Bytes],
    protocol: Protocol,
) -> Result<Request, CommandError> {
    if !subcommand.eq_ignore_ascii_case(b"GET") || names.is_empty() {
        return Err(CommandError::Configuration);
    }
    let asked = |(name, _): &&(&str, &str)| {
        names.iter().any(|asked| asked == "*" || asked.eq_ignore_ascii_case(name.as_bytes()))
    };
    Ok(answered(|out| {
        put::map(out, protocol, SETTINGS.iter().filter(asked).count());
        for (name, value) in SETTINGS.iter().filter(asked) {
            put::bulk(out, name.as_bytes());
            put::bulk(out, value.as_bytes());
        }
    }))
}

/// Writes the cluster's answer in the form its command shows it.
pub(super) fn put_outcome(
    out: &mut Vec<u8>,
    outcome: &Result<Reply, Refusal>,
    shape: Shape,
    protocol: Protocol,
) {
    let value = match outcome {
        Ok(Reply::Value(value)) => Some(value),
        _ => None,
    };
    match (outcome, shape) {
        (Ok(Reply::Failure(failure)), _) => {
            put::error(out, &format!("{} {failure}", failure.prefix()));
        }
        (Err(refusal), _) => put::error(out, &format!("{} {refusal}", refusal.prefix())),
        (Ok(_), Shape::Existence) => put::integer(out, i64::from(value.is_some())),
        (Ok(_), Shape::Length) => {
            let length = value.map_or(0, Bytes::len);
            put::integer(out, i64::try_from(length).expect("a value's length is bounded"));
        }
        (Ok(_), Shape::Type) => put::simple(out, value.map_or("none", |_| "string")),
        (Ok(Reply::Ok), Shape::Whole) => put::simple(out, "OK"),
        (Ok(Reply::Nil), Shape::Whole) => put::nil(out, protocol),
        (Ok(Reply::Integer(number)), Shape::Whole) => put::integer(out, *number),
        (Ok(Reply::Value(value)), Shape::Whole) => put::bulk(out, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn understood(line: &str) -> Request {
        let words: Vec<Bytes> = line.split(' ').map(|word| word.to_owned().into()).collect();
        understand(&words, &mut Caller::new(7))
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
        operation(Write::Plain(command))
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
        assert_eq!(understood("once 4 9 incr k"), operation(write));
        for line in ["ONCE 4 9 GET k", "ONCE x 9 INCR k", "ONCE 4 9 ONCE 4 9 INCR k"] {
            assert!(error(line).starts_with("-ERR ONCE"), "{line}");
        }
    }

    #[test]
    fn incrby_adds_one_and_nothing_else() {
        let command = Command::Increment { key: "k".into() };
        assert_eq!(understood("INCRBY k 1"), operation(Write::Plain(command)));
        assert!(error("INCRBY k 2").starts_with("-ERR INCRBY takes 1"));
    }

    #[test]
    fn expiry_takes_a_positive_whole_number() {
        let life = Duration::from_secs(2);
        let command = Command::Expire { key: "k".into(), life };
        assert_eq!(understood("EXPIRE k 2"), operation(Write::Plain(command.clone())));
        assert_eq!(understood("PEXPIRE k 2000"), operation(Write::Plain(command)));
        for line in ["EXPIRE k 0", "EXPIRE k -1", "EXPIRE k 1.5", "EXPIRE k 99999999999999999"] {
            assert!(error(line).starts_with("-ERR invalid expire time"), "{line}");
        }
    }

    #[test]
    fn malformed_requests_are_told_apart() {
        assert!(error("NONSENSE").contains("unknown command 'NONSENSE'"));
        assert!(error("GET").contains("wrong number of arguments for 'get'"));
        assert!(error(&format!("GET {}", "k".repeat(MAX_KEY_BYTES + 1))).contains("key is longer"));
        let long = "v".repeat(MAX_VALUE_BYTES + 1);
        assert!(error(&format!("SET k {long}")).contains("value is longer"));
        assert!(error("HELLO 4").starts_with("-NOPROTO"));
        assert!(error("AUTH secret").starts_with("-ERR AUTH <password> called without"));
        assert!(error("COMMAND NONSENSE").contains("unknown subcommand"));
    }

    #[test]
    fn error_replies_begin_with_their_prefix() {
        let mut out = Vec::new();
        put_outcome(&mut out, &Err(Refusal::Uncertain), Shape::Existence, Protocol::Resp3);
        assert!(out.starts_with(b"-UNCERTAIN "), "{}", out.escape_ascii());
    }

    #[test]
    fn reads_of_a_key_show_what_their_command_is_about() {
        let show = |reply, shape| {
            let mut out = Vec::new();
            put_outcome(&mut out, &Ok(reply), shape, Protocol::Resp3);
            String::from_utf8(out).expect("text")
        };
        for (shape, present, absent) in [
            (Shape::Whole, "$2\r\nab\r\n", "_\r\n"),
            (Shape::Existence, ":1\r\n", ":0\r\n"),
            (Shape::Length, ":2\r\n", ":0\r\n"),
            (Shape::Type, "+string\r\n", "+none\r\n"),
        ] {
            assert_eq!(show(Reply::Value("ab".into()), shape), present);
            assert_eq!(show(Reply::Nil, shape), absent);
        }
    }

    #[test]
    fn settings_are_answered_for_those_that_are_known() {
        assert_eq!(error("CONFIG GET save"), "*2\r\n$4\r\nsave\r\n$0\r\n\r\n");
        assert_eq!(error("CONFIG GET nonsense"), "*0\r\n");
        assert!(error("CONFIG SET save x").starts_with("-ERR"));
    }
}
