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

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use partita_checker::{Function, Value};
use redis_protocol::resp2::types::BytesFrame;

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

/// A client bound to one node.
pub struct RespClient {
    dial: Dial,
    address: SocketAddr,
    limits: Limits,
    connection: Option<Connection>,
}

impl RespClient {
    /// A client of the node at `address`. Connects when first needed.
    pub fn new(dial: Dial, address: SocketAddr, limits: Limits) -> Self {
        Self { dial, address, limits, connection: None }
    }

    /// Performs one operation, once.
    ///
    /// Takes at most the sum of both limits. A broken connection is dropped and made anew by the
    /// next call.
    pub async fn invoke(&mut self, invocation: &Invocation) -> Completion {
        let Some(command) = command(invocation) else {
            return Completion::Fail("this client cannot express the operation".into());
        };
        if self.connection.as_ref().is_some_and(|connection| !connection.is_quiet()) {
            self.connection = None;
        }
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match Connection::open(&self.dial, self.address, self.limits.connect).await {
                Ok(connection) => connection,
                Err(error) => return Completion::Fail(error.to_string().into()),
            },
        };
        match connection.request(&command, self.limits.reply).await {
            Ok(reply) => {
                self.connection = Some(connection);
                interpret(invocation, &reply)
            }
            Err(error) => Completion::Info(error.to_string().into()),
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
        (Function::Delete, _) => vec![word("DEL"), key],
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
        (Function::Delete, _, Some(Value::Integer(_))) => Completion::Done,
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
    fn a_reply_of_the_wrong_kind_leaves_the_outcome_open() {
        let write = Invocation::write("k".into(), 1.into());
        assert!(matches!(interpret(&write, &BytesFrame::Integer(1)), Completion::Info(_)));
    }

    #[test]
    fn a_swap_from_nothing_cannot_be_expressed() {
        assert!(command(&Invocation::cas("k".into(), Value::Null, 2.into())).is_none());
    }
}
