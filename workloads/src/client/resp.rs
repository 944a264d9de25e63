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
//! | a reply of the wrong kind | `info` |
//!
//! In a session ([`Asking::InSessions`]) an update whose outcome is open is sent again under the
//! same number, which the store promises to apply once; an answer to any of the attempts is the
//! answer to all. That an attempt certainly did not happen says nothing of the earlier ones, so once
//! an outcome was open only success closes it. A session whose last update stayed open is left: its
//! request may still be under way.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use partita_checker::{EventKind, Function, Value};
use redis_protocol::resp2::types::BytesFrame;
use tokio::time::sleep;

use super::connection::{Connection, Dial};
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
}

impl RespClient {
    /// A client of the node at `address`. Connects when first needed.
    pub fn new(dial: Dial, address: SocketAddr, limits: Limits) -> Self {
        Self { dial, address, limits, asking: Asking::Once, session: None, connection: None }
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
        match self.ask(&command).await {
            Ok(reply) => interpret(invocation, &reply),
            Err(completion) => completion,
        }
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
            let completion = match self.ask(&command).await {
                Ok(reply) => interpret(invocation, &reply),
                Err(completion) => completion,
            };
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
            Ok(BytesFrame::Integer(id)) => Ok(Session { id, sequence: 0 }),
            Ok(other) => Err(problem(&format!("{other:?}"))),
            Err(Completion::Fail(why) | Completion::Info(why)) => Err(problem(&why)),
            Err(other) => Err(other),
        }
    }

    /// Sends one command once; what came of it if that is no reply.
    async fn ask(&mut self, command: &[Bytes]) -> Result<BytesFrame, Completion> {
        if self.connection.as_ref().is_some_and(|connection| !connection.is_quiet()) {
            self.connection = None;
        }
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
            Err(error) => Err(Completion::Info(error.to_string().into())),
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

/// What the store's reply says of the operation.
fn interpret(invocation: &Invocation, reply: &BytesFrame) -> Completion {
    if let BytesFrame::Error(message) = reply {
        let word = message.split(' ').next().unwrap_or_default();
        let definite = invocation.function == Function::Read || DEFINITE.contains(&word);
        let why = (&**message).into();
        return if definite { Completion::Fail(why) } else { Completion::Info(why) };
    }
    match (invocation.function, &invocation.value, decode(reply)) {
        (Function::Read, _, Some(value)) => Completion::Read(value),
        (Function::Write, _, _) if is_okay(reply) => Completion::Done,
        (Function::Append, _, Some(Value::Integer(_))) => Completion::Done,
        (Function::Delete, _, Some(Value::Integer(found))) => match (invocation.after, found) {
            (None, _) => Completion::Done,
            (Some(_), 0) => Completion::Fail("there is no key to expire".into()),
            (Some(_), _) => Completion::Info("the key expires in a while".into()),
        },
        (Function::Cas, Value::List(operands), Some(saw)) => {
            if operands.first() == Some(&saw) {
                Completion::Swapped
            } else {
                Completion::Mismatch(saw)
            }
        }
        _ => Completion::Info(format!("unexpected reply {reply:?}").into()),
    }
}

fn is_okay(reply: &BytesFrame) -> bool {
    matches!(reply, BytesFrame::SimpleString(text) if &text[..] == b"OK")
}

/// Scalars travel as text: an integer is written without quotes and read back as one.
fn encode(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

fn decode(reply: &BytesFrame) -> Option<Value> {
    match reply {
        BytesFrame::Null => Some(Value::Null),
        BytesFrame::Integer(number) => Some(Value::Integer(*number)),
        BytesFrame::BulkString(bytes) => {
            let text = std::str::from_utf8(bytes).ok()?;
            Some(text.parse().map_or_else(|_| Value::text(text), Value::Integer))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(message: &str) -> BytesFrame {
        BytesFrame::Error(message.to_owned().into())
    }

    fn bulk(text: &'static str) -> BytesFrame {
        BytesFrame::BulkString(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn an_error_is_definite_only_if_its_word_is_known_to_be() {
        let write = Invocation::write("k".into(), 1.into());
        let definite = interpret(&write, &error("NOLEADER no leader is known"));
        assert!(matches!(definite, Completion::Fail(_)));
        let open = interpret(&write, &error("UNCERTAIN the leader was lost"));
        assert!(matches!(open, Completion::Info(_)));
        let unheard_of = interpret(&write, &error("TIMEDOUT perhaps"));
        assert!(matches!(unheard_of, Completion::Info(_)));
    }

    #[test]
    fn a_read_that_got_an_error_certainly_changed_nothing() {
        let read = Invocation::read("k".into());
        assert!(matches!(interpret(&read, &error("UNCERTAIN lost")), Completion::Fail(_)));
    }

    #[test]
    fn a_swap_tells_what_it_saw() {
        let cas = Invocation::cas("k".into(), 1.into(), 2.into());
        assert_eq!(interpret(&cas, &bulk("1")), Completion::Swapped);
        assert_eq!(interpret(&cas, &bulk("7")), Completion::Mismatch(7.into()));
        assert_eq!(interpret(&cas, &BytesFrame::Null), Completion::Mismatch(Value::Null));
    }

    #[test]
    fn an_expiry_stays_open_since_nobody_tells_when_it_happens() {
        let expiry = Invocation::expire("k".into(), Duration::from_millis(30));
        assert_eq!(command(&expiry).map(|words| words.concat()), Some(b"PEXPIREk30".to_vec()));
        assert!(matches!(interpret(&expiry, &BytesFrame::Integer(1)), Completion::Info(_)));
        assert!(matches!(interpret(&expiry, &BytesFrame::Integer(0)), Completion::Fail(_)));
        let delete = Invocation::delete("k".into());
        assert_eq!(interpret(&delete, &BytesFrame::Integer(0)), Completion::Done);
    }

    #[test]
    fn an_append_is_done_once_its_length_is_told() {
        let append = Invocation::append("k".into(), "7,".into());
        assert_eq!(command(&append).map(|words| words.concat()), Some(b"APPENDk7,".to_vec()));
        assert_eq!(interpret(&append, &BytesFrame::Integer(12)), Completion::Done);
        let read = Invocation::read("k".into());
        assert_eq!(interpret(&read, &bulk("6,7,")), Completion::Read("6,7,".into()));
    }

    #[test]
    fn a_reply_of_the_wrong_kind_leaves_the_outcome_open() {
        let write = Invocation::write("k".into(), 1.into());
        assert!(matches!(interpret(&write, &BytesFrame::Integer(1)), Completion::Info(_)));
    }

    #[test]
    fn a_swap_from_nothing_cannot_be_expressed() {
        assert!(command(&Invocation::cas("k".into(), Value::Null, 2.into())).is_none());
    }
}
