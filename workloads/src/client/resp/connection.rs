//! One connection that speaks RESP2, one request at a time.

use std::io;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::super::dial::{BoxStream, Dial, OpenError, open, read_now};
use super::super::protocol::Endpoint;
use super::super::violation::ProtocolViolation;
use super::reply::{FramingError, Reply, ReplyReader, sample};

/// How much is read at a time, in bytes.
pub(super) const CHUNK: usize = 16 << 10;

/// Why no reply came. The request may have arrived.
#[derive(Debug, Error)]
pub(super) enum RequestError {
    /// No reply in time.
    #[error("no reply within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The connection broke.
    #[error("connection lost: {0}")]
    Lost(#[source] io::Error),
    /// The connection ended in the middle.
    #[error("connection closed before the reply")]
    Closed,
    /// What came is no RESP, or more than a limit allows.
    #[error("malformed reply: {0}")]
    Malformed(#[from] FramingError),
    /// More than one reply came: which of them is the answer is not known.
    #[error("surplus bytes after a reply: `{0}`")]
    Surplus(String),
}

impl RequestError {
    /// What the other side did that the protocol forbids, if that is what happened.
    pub(super) fn protocol_violation(&self) -> Option<ProtocolViolation> {
        match self {
            Self::Malformed(error) => {
                Some(ProtocolViolation::new(error.problem.to_string(), error.sample.clone()))
            }
            Self::Surplus(sample) => Some(ProtocolViolation::surplus(sample.clone())),
            Self::Timeout(_) | Self::Lost(_) | Self::Closed => None,
        }
    }
}

/// What there is on a connection with no request on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Idle {
    /// Nothing, as it should be.
    Quiet,
    /// The other side has closed it, or it broke.
    Closed,
    /// Bytes that nobody asked for: the first of them.
    Surplus(String),
}

/// An open connection. After any [`RequestError`] it must be dropped: a late reply would be taken
/// for the answer to the next request.
pub(super) struct Connection {
    stream: BoxStream,
    reader: ReplyReader,
}

impl Connection {
    /// Connects to `endpoint` within `limit`.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; nothing was sent.
    pub(super) async fn open(
        dial: &Dial,
        endpoint: &Endpoint,
        limit: Duration,
    ) -> Result<Self, OpenError> {
        let stream = open(dial, endpoint, limit).await?;
        Ok(Self { stream, reader: ReplyReader::default() })
    }

    /// What is there while no request is on its way.
    ///
    /// A node that was killed has closed the connection meanwhile; asking first spares an
    /// indeterminate operation.
    pub(super) fn idle(&mut self) -> Idle {
        let mut bytes = [0; 64];
        match read_now(&mut self.stream, &mut bytes) {
            None => Idle::Quiet,
            Some(Ok(0) | Err(_)) => Idle::Closed,
            Some(Ok(count)) => Idle::Surplus(sample(&bytes[..count])),
        }
    }

    /// Whether the connection, with no request on its way, is still good as far as this side knows.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.idle() == Idle::Quiet
    }

    /// Sends one command and waits for its reply, within `limit` altogether.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; the command may have been received and executed.
    pub(super) async fn request(
        &mut self,
        command: &[Bytes],
        limit: Duration,
    ) -> Result<Reply, RequestError> {
        let deadline = Instant::now() + limit;
        match timeout_at(deadline, self.exchange(command)).await {
            Ok(reply) => reply,
            Err(_) => Err(RequestError::Timeout(limit)),
        }
    }

    async fn exchange(&mut self, command: &[Bytes]) -> Result<Reply, RequestError> {
        self.stream.write_all(&encoded(command)).await.map_err(RequestError::Lost)?;
        loop {
            if let Some(reply) = self.reader.next_reply()? {
                return match self.reader.surplus() {
                    [] => Ok(reply),
                    bytes => Err(RequestError::Surplus(sample(bytes))),
                };
            }
            let buffer = self.reader.buffer();
            buffer.reserve(CHUNK);
            let count = self.stream.read_buf(buffer).await.map_err(RequestError::Lost)?;
            if count == 0 {
                return Err(RequestError::Closed);
            }
        }
    }
}

/// A command as the protocol writes it: an array of bulk strings.
pub(super) fn encoded(command: &[Bytes]) -> BytesMut {
    let mut request = BytesMut::new();
    request.put_slice(format!("*{}\r\n", command.len()).as_bytes());
    for word in command {
        request.put_slice(format!("${}\r\n", word.len()).as_bytes());
        request.put_slice(word);
        request.put_slice(b"\r\n");
    }
    request
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// What comes of one request to a peer that answers it with `pieces`, a moment between each and
    /// the next, and of a look at the connection after that.
    async fn ask(pieces: &'static [&'static [u8]]) -> (Result<Reply, RequestError>, Idle) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let peer = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = [0; 14];
            stream.read_exact(&mut request).await.expect("a request");
            for piece in pieces {
                stream.write_all(piece).await.expect("sent");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            stream
        });
        let dial: Dial = Arc::new(|to: Endpoint| {
            Box::pin(
                async move { Ok(Box::new(TcpStream::connect(to.address).await?) as BoxStream) },
            )
        });
        let limit = Duration::from_secs(20);
        let endpoint = Endpoint { node: "n1".into(), address };
        let mut connection = Connection::open(&dial, &endpoint, limit).await.expect("open");
        let reply = connection.request(&[Bytes::from_static(b"PING")], limit).await;
        let _stream = peer.await.expect("no panic");
        (reply, connection.idle())
    }

    #[tokio::test]
    async fn a_reply_in_pieces_is_one_reply() {
        let (reply, idle) = ask(&[b"$5\r\nhe", b"llo\r", b"\n"]).await;
        assert_eq!(reply.expect("a reply"), Reply::Bulk(Bytes::from_static(b"hello")));
        assert_eq!(idle, Idle::Quiet);
    }

    #[tokio::test]
    async fn a_second_reply_makes_the_first_one_doubtful() {
        let error = ask(&[b"+OK\r\n+OK\r\n"]).await.0.expect_err("two replies");
        let violation = error.protocol_violation().expect("against the protocol");
        assert_eq!(violation.sample, r"+OK\r\n");
    }

    #[tokio::test]
    async fn bytes_that_come_after_the_reply_are_seen_before_the_next_request() {
        let (reply, idle) = ask(&[b"+OK\r\n", b"\0more"]).await;
        reply.expect("the reply was whole");
        assert_eq!(idle, Idle::Surplus(r"\x00more".to_owned()));
    }

    #[tokio::test]
    async fn a_malformed_reply_is_told_apart_from_a_lost_connection() {
        let error = ask(&[b"!5\r\n"]).await.0.expect_err("no RESP2");
        assert!(error.protocol_violation().is_some(), "{error}");
        let lost = RequestError::Closed;
        assert_eq!(lost.protocol_violation(), None);
    }
}
