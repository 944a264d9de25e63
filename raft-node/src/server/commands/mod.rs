//! Understands the commands of Redis that this server has, and says how each answers.
//!
//! * `GET key`: the value, or nil; linearizable, on every server, as all reads are. `STRLEN key` is
//!   the same read, of which it tells less.
//! * `MGET key …`, `EXISTS key …`: the values, or how many there are, all at one moment; `TYPE key`.
//! * `TTL key`, `PTTL key`: when the key expires, in seconds or milliseconds from now; -1 if never,
//!   -2 if there is no such key.
//! * The commands that write are listed in [`writes`], those for lists and sets in [`elements`].
//! * `MULTI`, `CHECK`, `EXEC`, `DISCARD`: transactions, see [`transaction`].
//! * `STALE COMMAND …`: as `COMMAND`, one of the reads above, of what this server has applied: it may be
//!   old, and is answered at once, with or without a leader.
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
//! What is left out is refused in words, never ignored: other types than strings, lists and sets;
//! absolute expiry times, since the cluster's time is its own; `WATCH` and scripts.
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
mod elements;
mod table;
mod transaction;
mod writes;

use bytes::Bytes;

pub(super) use self::administration::{put_digest, put_members, put_status};
pub(super) use self::caller::Caller;
use self::table::Description;
use self::writes::write;
use super::resp::{Protocol, put};
use crate::core::operation::{Command, Query, Write};
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
    /// Answer a checksum of this server's own state.
    Digest,
    /// Answer, then close the connection.
    Quit,
    /// Let the cluster carry it out, and show its answer in this form.
    Operation(Operation, Shape),
}

/// What of an operation's answer a command shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// All of it.
    Whole,
    /// Whether it was done, as 1 or 0.
    Done,
    /// The milliseconds in it as seconds.
    Seconds,
    /// The value's length in bytes, 0 without a value.
    Length,
    /// The name of a type, or that there is none.
    Type,
    /// The elements, or no array at all.
    Elements,
    /// The members of a set.
    Members,
    /// The answers to the commands of a transaction, each in its own form.
    Transaction(Box<[Shape]>),
    /// Of a command in a transaction: it was refused with this error and is no step of it.
    Refused(Box<str>),
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
    #[error(
        "ERR syntax error: SET takes one of NX, XX, IFEQ value; one of EX seconds, PX milliseconds, \
         KEEPTTL; and GET"
    )]
    SetOption,
    #[error("ERR syntax error: HELLO takes a version, AUTH name password, and SETNAME name")]
    HelloOption,
    #[error("ERR ONCE takes a session, a sequence and a command that writes keys")]
    Once,
    #[error("ERR STALE takes a command that reads keys")]
    Stale,
    #[error("ERR value is not an integer or out of range")]
    NotAnInteger,
    #[error("ERR invalid expire time in '{0}' command")]
    ExpireTime(&'static str),
    #[error("ERR value is out of range, must be positive")]
    NotPositive,
    #[error("ERR syntax error: DELEX takes one of IFEQ value and IFNE value")]
    DeleteCondition,
    #[error("ERR there are no scripts here: nothing was done")]
    Script,
    #[error(
        "ERR nothing can be watched here: compare with CHECK in the transaction what was read before"
    )]
    Watch,
    #[error("ERR WATCH inside MULTI is not allowed")]
    WatchInTransaction,
    #[error("ERR MULTI calls can not be nested")]
    Nested,
    #[error("ERR '{0}' cannot be in a transaction: only commands that read or write keys can")]
    NotInTransaction(&'static str),
    #[error("ERR the transaction is longer than {max} bytes", max = transaction::MAX_BYTES)]
    TransactionTooLong,
    #[error("EXECABORT Transaction discarded because of previous errors.")]
    Aborted,
    #[error("ERR {0} without MULTI")]
    NoTransaction(&'static str),
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
    let row = describe(words);
    if let Some(transaction) = caller.transaction.take() {
        return transaction::within(transaction, words, row, caller);
    }
    let (row, arguments) = (row?, &words[1..]);
    match (row.name, arguments) {
        ("session", _) => Ok(operation(Write::OpenSession, Shape::Whole)),
        ("once", [session, sequence, command @ ..]) => once(session, sequence, command),
        ("stale", [name, arguments @ ..]) => stale(name, arguments),
        ("check", _) => Err(CommandError::NoTransaction("CHECK")),
        ("multi", _) => Ok(transaction::begin(caller)),
        ("exec", _) => Err(CommandError::NoTransaction("EXEC")),
        ("discard", _) => Err(CommandError::NoTransaction("DISCARD")),
        ("watch" | "unwatch", _) => Err(CommandError::Watch),
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
        (name, arguments) => {
            if let Some((query, shape)) = query(name, arguments)? {
                return Ok(Request::Operation(Operation::Read(query), shape));
            }
            match write(name, arguments)? {
                Some((command, shape)) => Ok(operation(Write::Plain(command), shape)),
                None => Err(CommandError::WrongNumber(row.name)),
            }
        }
    }
}

/// The row of a request's command, if it takes so many words.
fn describe(words: &[Bytes]) -> Result<&'static Description, CommandError> {
    let name = words.first().expect("a request has words");
    match table::find(name) {
        Some(row) if row.takes(words.len()) => Ok(row),
        Some(row) => Err(CommandError::WrongNumber(row.name)),
        None if name.eq_ignore_ascii_case(b"EVAL") || name.eq_ignore_ascii_case(b"EVALSHA") => {
            Err(CommandError::Script)
        }
        None => Err(CommandError::UnknownCommand(shown(name))),
    }
}

/// What a command reads, and what of the answer to show; none if it is no command that reads keys.
fn query(name: &str, arguments: &[Bytes]) -> Result<Option<(Query, Shape)>, CommandError> {
    Ok(Some(match (name, arguments) {
        ("get", [key]) => (Query::Value(checked_key(key)?), Shape::Whole),
        ("mget", keys) => (Query::Values(checked_keys(keys)?), Shape::Whole),
        ("exists", keys) => (Query::Count(checked_keys(keys)?), Shape::Whole),
        ("strlen", [key]) => (Query::Value(checked_key(key)?), Shape::Length),
        ("type", [key]) => (Query::Type(checked_key(key)?), Shape::Type),
        ("ttl", [key]) => (Query::Expiry(checked_key(key)?), Shape::Seconds),
        ("pttl", [key]) => (Query::Expiry(checked_key(key)?), Shape::Whole),
        _ => return elements::read(name, arguments),
    }))
}

/// A word of a client's, fit to be shown.
fn shown(word: &[u8]) -> String {
    word.escape_ascii().to_string().chars().take(64).collect()
}

fn operation(write: Write, shape: Shape) -> Request {
    Request::Operation(Operation::from(write), shape)
}

fn once(session: &Bytes, sequence: &Bytes, words: &[Bytes]) -> Result<Request, CommandError> {
    let (name, arguments) = words.split_first().ok_or(CommandError::Once)?;
    let row = table::find(name).ok_or(CommandError::Once)?;
    if row.name == "exec" {
        return Err(CommandError::NoTransaction("EXEC"));
    }
    let (command, shape) = write(row.name, arguments)?.ok_or(CommandError::Once)?;
    once_in(session, sequence, command, shape)
}

/// A read of what this server has applied.
fn stale(name: &Bytes, arguments: &[Bytes]) -> Result<Request, CommandError> {
    let row = table::find(name).ok_or(CommandError::Stale)?;
    let (query, shape) = query(row.name, arguments)?.ok_or(CommandError::Stale)?;
    Ok(Request::Operation(Operation::StaleRead(query), shape))
}

/// A command of a session.
fn once_in(
    session: &Bytes,
    sequence: &Bytes,
    command: Command,
    shape: Shape,
) -> Result<Request, CommandError> {
    let (session, sequence) = (SessionId(number(session)?), number(sequence)?);
    Ok(operation(Write::Once { session, sequence, command }, shape))
}

fn number(word: &Bytes) -> Result<u64, CommandError> {
    let text = std::str::from_utf8(word).map_err(|_| CommandError::Once)?;
    text.parse().map_err(|_| CommandError::Once)
}

fn checked_key(key: &Bytes) -> Result<Bytes, CommandError> {
    if key.len() <= MAX_KEY_BYTES { Ok(key.clone()) } else { Err(CommandError::KeyTooLong) }
}

fn checked_keys(keys: &[Bytes]) -> Result<Vec<Bytes>, CommandError> {
    keys.iter().map(checked_key).collect()
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
    shape: &Shape,
    protocol: Protocol,
) {
    match outcome {
        Ok(reply) => put_reply(out, reply, shape, protocol),
        Err(refusal) => put::error(out, &format!("{} {refusal}", refusal.prefix())),
    }
}

fn put_reply(out: &mut Vec<u8>, reply: &Reply, shape: &Shape, protocol: Protocol) {
    match (reply, shape) {
        (Reply::Failure(failure), _) => {
            put::error(out, &format!("{} {failure}", failure.prefix()));
        }
        (Reply::Value(value), Shape::Whole) => put::bulk(out, value),
        (reply, Shape::Done) => put::integer(out, i64::from(*reply == Reply::Ok)),
        (Reply::Integer(millis), Shape::Seconds) => {
            // Rounded as Redis does, so that a key with a second to live has one.
            let seconds = millis.saturating_add(500) / 1000;
            put::integer(out, if *millis < 0 { *millis } else { seconds });
        }
        (Reply::Value(value), Shape::Length) => {
            put::integer(out, i64::try_from(value.len()).expect("a value's length is bounded"));
        }
        (_, Shape::Length) => put::integer(out, 0),
        (Reply::Value(name), Shape::Type) => put::simple(out, &String::from_utf8_lossy(name)),
        (_, Shape::Type) => put::simple(out, "none"),
        (Reply::Nil, Shape::Elements | Shape::Transaction(_)) => put::nil_array(out, protocol),
        (Reply::Values(members), Shape::Members) => {
            put::set(out, protocol, members.len());
            put_values(out, members, protocol);
        }
        (Reply::Ok, _) => put::simple(out, "OK"),
        (Reply::Nil, _) => put::nil(out, protocol),
        (Reply::Integer(number), _) => put::integer(out, *number),
        (Reply::Value(value), _) => put::bulk(out, value),
        (Reply::Values(values), _) => {
            put::array(out, values.len());
            put_values(out, values, protocol);
        }
        (Reply::Several(replies), shape) => {
            let shapes = if let Shape::Transaction(shapes) = shape { &shapes[..] } else { &[] };
            put_several(out, replies, shapes, protocol);
        }
    }
}

fn put_several(out: &mut Vec<u8>, replies: &[Reply], shapes: &[Shape], protocol: Protocol) {
    let refused = shapes.iter().filter(|shape| matches!(shape, Shape::Refused(_))).count();
    put::array(out, replies.len() + refused);
    let mut replies = replies.iter();
    for shape in shapes {
        if let Shape::Refused(error) = shape {
            put::error(out, error);
        } else if let Some(reply) = replies.next() {
            put_reply(out, reply, shape, protocol);
        }
    }
    // A stored answer may be one to other commands than were sent this time.
    replies.for_each(|reply| put_reply(out, reply, &Shape::Whole, protocol));
}

fn put_values(out: &mut Vec<u8>, values: &[Option<Bytes>], protocol: Protocol) {
    for value in values {
        match value {
            Some(value) => put::bulk(out, value),
            None => put::nil(out, protocol),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::operation::Command;

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

    #[test]
    fn once_takes_a_write_and_nothing_else() {
        let command = Command::Add { key: "k".into(), amount: 1 };
        let write = Write::Once { session: SessionId(4), sequence: 9, command };
        assert_eq!(understood("once 4 9 incr k"), operation(write, Shape::Whole));
        for line in ["ONCE 4 9 GET k", "ONCE x 9 INCR k", "ONCE 4 9 ONCE 4 9 INCR k"] {
            assert!(error(line).starts_with("-ERR ONCE"), "{line}");
        }
    }

    #[test]
    fn stale_takes_a_read_and_nothing_else() {
        let stale = |query, shape| Request::Operation(Operation::StaleRead(query), shape);
        assert_eq!(understood("stale get k"), stale(Query::Value("k".into()), Shape::Whole));
        assert_eq!(understood("STALE STRLEN k"), stale(Query::Value("k".into()), Shape::Length));
        for line in ["STALE INCR k", "STALE STALE GET k", "STALE PING x"] {
            assert!(error(line).starts_with("-ERR STALE"), "{line}");
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
        put_outcome(&mut out, &Err(Refusal::Uncertain), &Shape::Done, Protocol::Resp3);
        assert!(out.starts_with(b"-UNCERTAIN "), "{}", out.escape_ascii());
    }

    #[test]
    fn reads_of_a_key_show_what_their_command_is_about() {
        let show = |reply, shape| {
            let mut out = Vec::new();
            put_outcome(&mut out, &Ok(reply), &shape, Protocol::Resp3);
            String::from_utf8(out).expect("text")
        };
        for (shape, present, absent) in [
            (Shape::Whole, "$2\r\nab\r\n", "_\r\n"),
            (Shape::Length, ":2\r\n", ":0\r\n"),
            (Shape::Type, "+ab\r\n", "+none\r\n"),
        ] {
            assert_eq!(show(Reply::Value("ab".into()), shape.clone()), present);
            assert_eq!(show(Reply::Nil, shape), absent);
        }
        for (millis, seconds) in [(1_500, 2), (499, 0), (-1, -1), (-2, -2)] {
            let shown = show(Reply::Integer(millis), Shape::Seconds);
            assert_eq!(shown, format!(":{seconds}\r\n"));
        }
        let values = Reply::Values(vec![Some("ab".into()), None]);
        assert_eq!(show(values.clone(), Shape::Whole), "*2\r\n$2\r\nab\r\n_\r\n");
        assert_eq!(show(values.clone(), Shape::Members), "~2\r\n$2\r\nab\r\n_\r\n");
        assert_eq!(show(Reply::Nil, Shape::Elements), "_\r\n");
        let shapes = [Shape::Done, Shape::Members].into();
        let several = Reply::Several(vec![Reply::Ok, values]);
        let shown = show(several.clone(), Shape::Transaction(shapes));
        assert_eq!(shown, "*2\r\n:1\r\n~2\r\n$2\r\nab\r\n_\r\n");
        let shown = show(several, Shape::Transaction([].into()));
        assert!(shown.starts_with("*2\r\n+OK\r\n"), "{shown}");
        assert_eq!(show(Reply::Ok, Shape::Done), ":1\r\n");
        assert_eq!(show(Reply::Nil, Shape::Done), ":0\r\n");
    }

    #[test]
    fn reads_name_their_keys() {
        let read = |query, shape| Request::Operation(Operation::Read(query), shape);
        let keys = || vec!["a".into(), "b".into()];
        assert_eq!(understood("mget a b"), read(Query::Values(keys()), Shape::Whole));
        assert_eq!(understood("EXISTS a b"), read(Query::Count(keys()), Shape::Whole));
        assert_eq!(understood("TTL a"), read(Query::Expiry("a".into()), Shape::Seconds));
        assert_eq!(understood("PTTL a"), read(Query::Expiry("a".into()), Shape::Whole));
        assert_eq!(understood("type a"), read(Query::Type("a".into()), Shape::Type));
        assert_eq!(understood("llen a"), read(Query::Length("a".into()), Shape::Whole));
    }

    #[test]
    fn settings_are_answered_for_those_that_are_known() {
        assert_eq!(error("CONFIG GET save"), "*2\r\n$4\r\nsave\r\n$0\r\n\r\n");
        assert_eq!(error("CONFIG GET nonsense"), "*0\r\n");
        assert!(error("CONFIG SET save x").starts_with("-ERR"));
    }
}
