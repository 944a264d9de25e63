//! One TCP connection that speaks RESP2, one request at a time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use redis_protocol::resp2::decode::decode_bytes_mut;
use redis_protocol::resp2::encode::extend_encode;
use redis_protocol::resp2::types::BytesFrame;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};

/// Makes an unconnected socket on the host where the client lives.
///
/// The network namespace of a socket is that of the thread that made it, so this is all that a
/// client needs to know of the lab.
pub type Dial = Arc<dyn Fn() -> io::Result<TcpSocket> + Send + Sync>;

/// The largest reply that is read, in bytes; a peer that sends more is not the store we asked.
const REPLY_LIMIT: usize = 64 * 1024 * 1024;

/// Why no connection came about. Nothing was asked, so nothing happened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The other side, or the kernel, said no.
    #[error("connection refused: {0}")]
    Refused(#[source] io::Error),
    /// Nobody answered in time.
    #[error("no connection within {} ms", .0.as_millis())]
    Timeout(Duration),
}

/// Why no reply came. The request may have arrived.
#[derive(Debug, Error)]
pub enum RequestError {
    /// No reply in time.
    #[error("no reply within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The connection broke.
    #[error("connection lost: {0}")]
    Lost(#[source] io::Error),
    /// The connection ended in the middle.
    #[error("connection closed before the reply")]
    Closed,
    /// What came is no RESP.
    #[error("malformed reply: {0}")]
    Malformed(String),
}

/// An open connection. After any [`RequestError`] it must be dropped: a late reply would be taken
/// for the answer to the next request.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: BytesMut,
}

impl Connection {
    /// Connects to `address` within `limit`.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; nothing was sent.
    pub async fn open(
        dial: &Dial,
        address: SocketAddr,
        limit: Duration,
    ) -> Result<Self, OpenError> {
        let socket = dial().map_err(OpenError::Refused)?;
        socket.set_nodelay(true).map_err(OpenError::Refused)?;
        let stream = timeout_at(Instant::now() + limit, socket.connect(address))
            .await
            .map_err(|_| OpenError::Timeout(limit))?
            .map_err(OpenError::Refused)?;
        Ok(Self { stream, received: BytesMut::with_capacity(4096) })
    }

    /// Whether the connection, with no request on its way, is still good as far as this side knows.
    ///
    /// A node that was killed has closed it meanwhile; asking first spares an indeterminate
    /// operation. `false` as well if anything arrived that nobody asked for.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [0];
        matches!(self.stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
            && self.received.is_empty()
    }

    /// Sends one command and waits for its reply, within `limit` altogether.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; the command may have been received and executed.
    pub async fn request(
        &mut self,
        command: &[Bytes],
        limit: Duration,
    ) -> Result<BytesFrame, RequestError> {
        let deadline = Instant::now() + limit;
        match timeout_at(deadline, self.exchange(command)).await {
            Ok(reply) => reply,
            Err(_) => Err(RequestError::Timeout(limit)),
        }
    }

    async fn exchange(&mut self, command: &[Bytes]) -> Result<BytesFrame, RequestError> {
        let words = command.iter().cloned().map(BytesFrame::BulkString).collect();
        let mut request = BytesMut::new();
        extend_encode(&mut request, &BytesFrame::Array(words), false)
            .map_err(|error| RequestError::Malformed(error.to_string()))?;
        self.stream.write_all(&request).await.map_err(RequestError::Lost)?;
        loop {
            let decoded = decode_bytes_mut(&mut self.received)
                .map_err(|error| RequestError::Malformed(error.to_string()))?;
            if let Some((frame, _, _)) = decoded {
                return Ok(frame);
            }
            if self.received.len() > REPLY_LIMIT {
                let problem = format!("a reply of more than {REPLY_LIMIT} bytes");
                return Err(RequestError::Malformed(problem));
            }
            let count =
                self.stream.read_buf(&mut self.received).await.map_err(RequestError::Lost)?;
            if count == 0 {
                return Err(RequestError::Closed);
            }
        }
    }
}
