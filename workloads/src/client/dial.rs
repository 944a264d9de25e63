//! How a client gets a connection: as a stream of bytes, whatever carries it.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tracing::debug;

use super::protocol::{BoxFuture, Endpoint};
use super::template::fill;

/// A connected stream of bytes: of TCP, of TLS, of a Unix socket, or of a program's standard input
/// and output.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A stream behind a pointer.
pub type BoxStream = Box<dyn Stream>;

/// Connects to a node from the host where the client lives.
///
/// Which host that is, and by which network, is the caller's matter: a client knows nothing of labs.
pub type Dial = Arc<dyn Fn(Endpoint) -> BoxFuture<'static, io::Result<BoxStream>> + Send + Sync>;

/// A program that speaks to nodes in the place of a client. What dials for such a client starts the program on
/// the client's host, and the stream is its standard input and output. The program ends when the stream is
/// dropped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientProgram {
    /// The program and its arguments, word by word, with placeholders.
    pub command: Vec<String>,
    /// The files beside the description that it needs, by name: they stand in the folder where it runs.
    pub files: Vec<String>,
}

impl ClientProgram {
    /// What its command may hold: the node that it is to speak to, and where clients reach that node.
    pub const PLACEHOLDERS: [&'static str; 3] = ["node", "ip", "port"];

    /// The words that start it for the node at `endpoint`.
    pub fn command_line(&self, endpoint: &Endpoint) -> Vec<String> {
        let names = BTreeMap::from([
            ("node", endpoint.node.to_string()),
            ("ip", endpoint.address.ip().to_string()),
            ("port", endpoint.address.port().to_string()),
        ]);
        self.command.iter().map(|word| fill(word, &names)).collect()
    }
}

/// Reads what has arrived, without waiting; none if nothing has.
pub(super) fn read_now(stream: &mut BoxStream, bytes: &mut [u8]) -> Option<io::Result<usize>> {
    // The task's budget would make it look as if nothing had arrived.
    let read = tokio::task::unconstrained(std::future::poll_fn(|context| {
        let mut buffer = ReadBuf::new(bytes);
        let read = Pin::new(&mut *stream).poll_read(context, &mut buffer);
        read.map_ok(|()| buffer.filled().len())
    }));
    match pin!(read).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(read) => Some(read),
        Poll::Pending => None,
    }
}

/// Why no connection came about. Nothing was sent, so nothing happened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The other side, or the kernel, refused.
    #[error("connection refused: {0}")]
    Refused(#[source] io::Error),
    /// No answer in time.
    #[error("no connection within {} ms", .0.as_millis())]
    Timeout(Duration),
}

/// Connects to `endpoint` within `limit`.
///
/// # Errors
///
/// [`OpenError`]; nothing was sent.
pub async fn open(
    dial: &Dial,
    endpoint: &Endpoint,
    limit: Duration,
) -> Result<BoxStream, OpenError> {
    let stream = timeout(limit, dial(endpoint.clone()))
        .await
        .map_err(|_| OpenError::Timeout(limit))?
        .map_err(OpenError::Refused)?;
    debug!(node = %endpoint.node, address = %endpoint.address, "connection opened");
    Ok(Box::new(Logged { stream, endpoint: endpoint.clone() }))
}

/// A stream whose end is logged.
struct Logged {
    stream: BoxStream,
    endpoint: Endpoint,
}

impl Drop for Logged {
    fn drop(&mut self) {
        debug!(node = %self.endpoint.node, address = %self.endpoint.address, "connection closed");
    }
}

impl AsyncRead for Logged {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Logged {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
