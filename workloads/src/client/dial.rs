//! How a client gets a connection: as a stream of bytes, whatever carries it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tracing::debug;

use super::protocol::{BoxFuture, Endpoint};

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
