//! A client of stores that speak Redis' protocol.
//!
//! What decides between *fail* and *info*, the one thing a client must never get wrong:
//!
//! | what happened | outcome |
//! | --- | --- |
//! | no connection came about | `fail`: nothing was sent |
//! | the store answered with an error that is [definite](DEFINITE) | `fail` |
//! | the store answered with any other error | `info`; `fail` for a read, which has no effect |
//! | no reply in time, connection lost or closed after sending began | `info` |
//! | a reply that is malformed, beyond a limit, of the wrong kind, or not alone | `info`, and a [`ProtocolViolation`] |
//!
//! Values are compared byte for byte: an integer is what the store sends exactly as it was written,
//! so that a store which answers `017` or `17.0` for 17 answers with a value that nobody wrote.
//!
//! In a session ([`Asking::InSessions`]) an update whose outcome is open is sent again under the
//! same number, which the store promises to apply once; an answer to any of the attempts is the
//! answer to all. That an attempt certainly did not happen says nothing of the earlier ones, so once
//! an outcome was open only success closes it. A session whose last update stayed open is left: its
//! request may still be under way.

use std::hash::{DefaultHasher, Hasher};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use partita_checker::{EventKind, Function, Value};
use tokio::time::sleep;

use super::connection::{Connection, Dial, Idle};
use super::protocol::ProtocolViolation;
use super::reply::{Reply, sample};
use crate::operation::{Completion, Invocation};

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

/// How long a client waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For a connection.
    pub connect: Duration,
    /// For a reply, from the moment of sending.
    pub reply: Duration,
}

/// How a client asks for updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Asking {
    /// Once, whatever comes of it.
    #[default]
    Once,
    /// In a session of its own (`SESSION`, then `ONCE session number command`), and again until
    /// there is an answer.
    InSessions,
}

/// How often an update is sent in a session, the first time included.
const ATTEMPTS: u32 = 5;
/// Time before it is sent again.
const BEFORE_AGAIN: Duration = Duration::from_millis(100);

/// The longest value that is recorded whole, in bytes: longer than any that a workload writes. What
/// is longer is another value in any case, and would only fill the history.
const WHOLE_VALUE: usize = 64 << 10;

/// How much of an error's text is recorded, in characters.
const ERROR_CHARACTERS: usize = 300;

/// A session that a client has opened.
#[derive(Debug, Clone, Copy)]
struct Session {
    id: i64,
    /// The number of its last update.
    sequence: u64,
}

/// A client bound to one node.
pub struct RespClient {
    dial: Dial,
    address: SocketAddr,
    limits: Limits,
    asking: Asking,
    session: Option<Session>,
    connection: Option<Connection>,
    violations: Vec<ProtocolViolation>,
}

impl RespClient {
    /// A client of the node at `address`. Connects when first needed.
    pub fn new(dial: Dial, address: SocketAddr, limits: Limits) -> Self {
        Self {
            dial,
            address,
            limits,
            asking: Asking::Once,
            session: None,
            connection: None,
            violations: Vec::new(),
        }
    }

    /// The same, asking for updates like this.
    #[must_use]
    pub fn asking(self, asking: Asking) -> Self {
        Self { asking, ..self }
    }

    /// Performs one operation: sends it once, or, in a session, until there is an answer.
    ///
    /// Takes at most the sum of both limits for each time it is sent. A broken connection is dropped
    /// and made anew by the next call.
    pub async fn invoke(&mut self, invocation: &Invocation) -> Completion {
        let Some(command) = command(invocation) else {
            return Completion::Fail("this client cannot express the operation".into());
        };
        if self.asking == Asking::InSessions && invocation.function != Function::Read {
            return self.insist(invocation, &command).await;
        }
        self.ask_for(invocation, &command).await
    }

    /// What the store did against its protocol since this was asked last, in order.
    ///
    /// Looks at the connection as well, for what came after the last reply.
    pub fn protocol_violations(&mut self) -> Vec<ProtocolViolation> {
        self.drop_unless_quiet();
        std::mem::take(&mut self.violations)
    }

    /// Sends an update under the next number of the session until there is an answer.
    async fn insist(&mut self, invocation: &Invocation, command: &[Bytes]) -> Completion {
        let session = match self.session.take() {
            Some(session) => session,
            None => match self.open_session().await {
                Ok(session) => session,
                Err(why) => return why,
            },
        };
        let session = Session { sequence: session.sequence + 1, ..session };
        let words = ["ONCE".to_owned(), session.id.to_string(), session.sequence.to_string()];
        let command: Vec<Bytes> =
            words.into_iter().map(Bytes::from).chain(command.iter().cloned()).collect();
        let mut open: Option<Completion> = None;
        for attempt in 1..=ATTEMPTS {
            let completion = self.ask_for(invocation, &command).await;
            match (completion.kind(), &open) {
                (EventKind::Info, _) => open = Some(completion),
                // It failed before anything was left open, or it is done.
                (EventKind::Fail, None) => {
                    self.session = Some(session);
                    return completion;
                }
                (EventKind::Fail, Some(_)) => {}
                _ => {
                    self.session = Some(session);
                    return completion;
                }
            }
            if attempt < ATTEMPTS {
                sleep(BEFORE_AGAIN).await;
            }
        }
        open.unwrap_or_else(|| Completion::Info("no answer".into()))
    }

    /// Opens a session, or says that nothing was asked for in one.
    async fn open_session(&mut self) -> Result<Session, Completion> {
        let problem = |what: &str| Completion::Fail(format!("no session: {what}").into());
        match self.ask(&[Bytes::from_static(b"SESSION")]).await {
            Ok(Reply::Integer(id)) => Ok(Session { id, sequence: 0 }),
            Ok(Reply::Error(message)) => Err(problem(&error_text(&message))),
            Ok(other) => {
                let unexpected = unexpected("a request for a session", &other);
                let why = problem(&unexpected.what);
                self.distrust(unexpected);
                Err(why)
            }
            Err(Completion::Fail(why) | Completion::Info(why)) => Err(problem(&why)),
            Err(other) => Err(other),
        }
    }

    /// Sends the command of `invocation` once and says what came of it.
    async fn ask_for(&mut self, invocation: &Invocation, command: &[Bytes]) -> Completion {
        let reply = match self.ask(command).await {
            Ok(reply) => reply,
            Err(completion) => return completion,
        };
        interpret(invocation, &reply).unwrap_or_else(|unexpected| {
            let why = unexpected.what.as_str().into();
            self.distrust(unexpected);
            Completion::Info(why)
        })
    }

    /// Sends one command once; what came of it if that is no reply.
    async fn ask(&mut self, command: &[Bytes]) -> Result<Reply, Completion> {
        self.drop_unless_quiet();
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.dial, self.address, self.limits.connect)
                .await
                .map_err(|error| Completion::Fail(error.to_string().into()))?,
        };
        match connection.request(command, self.limits.reply).await {
            Ok(reply) => {
                self.connection = Some(connection);
                Ok(reply)
            }
            Err(error) => match error.protocol_violation() {
                Some(violation) => {
                    let why = violation.what.as_str().into();
                    self.distrust(violation);
                    Err(Completion::Info(why))
                }
                None => Err(Completion::Info(error.to_string().into())),
            },
        }
    }

    /// Notes that the store broke the protocol. What else comes on that connection cannot be told
    /// apart from an answer.
    fn distrust(&mut self, violation: ProtocolViolation) {
        self.connection = None;
        self.violations.push(violation);
    }

    /// Gives up the connection if it was closed, or if something came that nobody asked for.
    fn drop_unless_quiet(&mut self) {
        match self.connection.as_ref().map(Connection::idle) {
            None | Some(Idle::Quiet) => {}
            Some(Idle::Closed) => self.connection = None,
            Some(Idle::Surplus(sample)) => self.distrust(ProtocolViolation::surplus(sample)),
        }
    }
}

/// The command that performs `invocation`, if the protocol has one.
fn command(invocation: &Invocation) -> Option<Vec<Bytes>> {
    let word = |text: &'static str| Bytes::from_static(text.as_bytes());
    let key = encode(&invocation.key);
    Some(match (invocation.function, &invocation.value) {
        (Function::Read, _) => vec![word("GET"), key],
        (Function::Write, value) => vec![word("SET"), key, encode(value)],
        (Function::Cas, Value::List(operands)) => match &operands[..] {
            [expected, new] if !expected.is_null() => {
                vec![word("SET"), key, encode(new), word("IFEQ"), encode(expected), word("GET")]
            }
            _ => return None,
        },
        (Function::Append, token) => vec![word("APPEND"), key, encode(token)],
        (Function::Delete, _) => match invocation.after {
            None => vec![word("DEL"), key],
            Some(life) => vec![word("PEXPIRE"), key, Bytes::from(life.as_millis().to_string())],
        },
        _ => return None,
    })
}

/// What the store's reply says of the operation, unless there is no such reply to it.
fn interpret(invocation: &Invocation, reply: &Reply) -> Result<Completion, ProtocolViolation> {
    if let Reply::Error(message) = reply {
        let why = error_text(message);
        let word = why.split(' ').next().unwrap_or_default();
        let definite = invocation.function == Function::Read || DEFINITE.contains(&word);
        let why = why.as_str().into();
        return Ok(if definite { Completion::Fail(why) } else { Completion::Info(why) });
    }
    Ok(match (invocation.function, &invocation.value, reply) {
        (Function::Read, _, Reply::Null | Reply::Bulk(_)) => Completion::Read(decode(reply)),
        (Function::Write, _, Reply::Simple(text)) if &text[..] == b"OK" => Completion::Done,
        (Function::Append, token, Reply::Integer(length)) if *length >= length_of(token) => {
            Completion::Done
        }
        (Function::Delete, _, Reply::Integer(found @ (0 | 1))) => match (invocation.after, found) {
            (None, _) => Completion::Done,
            (Some(_), 0) => Completion::Fail("there is no key to expire".into()),
            (Some(_), _) => Completion::Scheduled,
        },
        (Function::Cas, Value::List(operands), Reply::Null | Reply::Bulk(_)) => {
            let saw = decode(reply);
            if operands.first() == Some(&saw) {
                Completion::Swapped
            } else {
                Completion::Mismatch(saw)
            }
        }
        _ => {
            let kind = invocation.kind();
            let article = if kind.starts_with(['a', 'e']) { "an" } else { "a" };
            return Err(unexpected(&format!("{article} {kind}"), reply));
        }
    })
}

/// That there is no such reply to `what`.
fn unexpected(what: &str, reply: &Reply) -> ProtocolViolation {
    let kind = reply.kind();
    ProtocolViolation::new(format!("unexpected reply to {what}: {kind}"), reply.sample())
}

/// An error's text as it is recorded.
fn error_text(message: &[u8]) -> String {
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
