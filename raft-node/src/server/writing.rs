//! Writes to a socket for as long as the other end takes something.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Writes all bytes, as long as some of them go out every `stuck`: a slow network is no dead one.
///
/// # Errors
///
/// When the connection breaks, or nothing went out for `stuck`.
pub(super) async fn write_all(
    writer: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
    stuck: Duration,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = timeout(stuck, writer.write(bytes)).await;
        let written = written.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
    }
    Ok(())
}
