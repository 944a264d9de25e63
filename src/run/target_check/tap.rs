//! Overhears what a client and a node say to each other, for people to read.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use partita_workloads::client::{BoxStream, Dial};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most that is kept of each direction, in bytes.
const KEPT: usize = 4096;

/// The most that is shown of it, in characters.
const SHOWN: usize = 200;

/// What was overheard since it was last taken. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Tap(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    sent: Vec<u8>,
    received: Vec<u8>,
}

impl Tap {
    /// Dials as `dial` does, and overhears what is said then.
    pub(super) fn on(&self, dial: Dial) -> Dial {
        let tap = self.clone();
        Arc::new(move |to| {
            let (stream, tap) = (dial(to), tap.clone());
            Box::pin(
                async move { Ok(Box::new(Tapped { stream: stream.await?, tap }) as BoxStream) },
            )
        })
    }

    /// Request and reply since the last call, as they are shown.
    pub(super) fn take(&self) -> (String, String) {
        let heard = std::mem::take(&mut *self.lock());
        (shown(&heard.sent), shown(&heard.received))
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes in a line: lines joined by blanks, and of RESP's arrays of bulk strings the strings alone, of HTTP the
/// first line and the body.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let is_http = text.lines().next().is_some_and(|line| line.contains("HTTP/1.1"));
    let lines: Vec<&str> = match text.split_once("\r\n\r\n") {
        Some((head, body)) if is_http => head.lines().take(1).chain(body.lines()).collect(),
        _ if text.starts_with('*') => {
            text.lines().filter(|it| !it.starts_with(['*', '$'])).collect()
        }
        _ => text.lines().collect(),
    };
    let line = lines.join(" ");
    let cut = line.chars().nth(SHOWN).map_or("", |_| "…");
    line.chars().take(SHOWN).chain(cut.chars()).collect()
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    let room = KEPT.saturating_sub(kept.len());
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

/// A stream that is overheard.
struct Tapped {
    stream: BoxStream,
    tap: Tap,
}

impl AsyncRead for Tapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        keep(&mut self.tap.lock().received, &buffer.filled()[before..]);
        read
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = written {
            keep(&mut self.tap.lock().sent, &bytes[..count]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_shown_in_a_line_without_its_frame() {
        assert_eq!(shown(b"*2\r\n$3\r\nGET\r\n$2\r\nk1\r\n"), "GET k1");
        assert_eq!(shown(b"$1\r\n7\r\n"), "$1 7");
        assert_eq!(
            shown(b"PUT /k HTTP/1.1\r\nhost: a\r\n\r\n{\"v\":1}"),
            "PUT /k HTTP/1.1 {\"v\":1}"
        );
        assert_eq!(shown(b"HTTP/1.1 200 OK\r\na: b\r\n\r\n{}"), "HTTP/1.1 200 OK {}");
        assert_eq!(shown(b"{\"id\":1}\n"), "{\"id\":1}");
        assert_eq!(shown(&[b'x'; 300]).chars().count(), SHOWN + 1);
    }
}
