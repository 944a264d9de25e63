//! How a client gets a connection: as a stream of bytes, whatever carries it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

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
    timeout(limit, dial(endpoint.clone()))
        .await
        .map_err(|_| OpenError::Timeout(limit))?
        .map_err(OpenError::Refused)
}
