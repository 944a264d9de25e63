//! Serves the metrics over HTTP/1.1: `GET /metrics`, and nothing else.
//!
//! One request per connection, in a few kilobytes and seconds; the reply closes it (RFC 9112). That
//! is all a scraper needs, and a small library would bring more to guard than the forty lines here.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::journal::Journal;
use super::metrics::Metrics;
use super::writing::write_all;

/// Connections at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 16;
/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 8 << 10;
/// How long a request may take to arrive, and its reply to leave.
const LIMIT: Duration = Duration::from_secs(5);
/// How long to wait after the system refused to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Accepts scrapers for ever.
pub(super) async fn accept(listener: TcpListener, metrics: Arc<Metrics>, journal: Journal) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (metrics, journal) = (Arc::clone(&metrics), journal.clone());
                tokio::spawn(async move {
                    // The scraper's connection breaking is its own affair.
                    let _ = timeout(LIMIT, serve(stream, &metrics, &journal)).await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!("accepting a scraper: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(mut stream: TcpStream, metrics: &Metrics, journal: &Journal) -> io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    let whole = loop {
        if head.windows(4).any(|end| end == b"\r\n\r\n") {
            break true;
        }
        if head.len() >= MAX_HEAD_BYTES || stream.read_buf(&mut head).await? == 0 {
            break false;
        }
    };
    let (status, body) = if whole {
        answer(&head, || metrics.text(&journal.view().status))
    } else {
        ("400 Bad Request", "expected the head of an HTTP request\n".to_owned())
    };
    let length = body.len();
    let reply = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    write_all(&mut stream, reply.as_bytes(), LIMIT).await?;
    stream.shutdown().await
}

/// The status and the body for a request with this head.
fn answer(head: &[u8], text: impl FnOnce() -> String) -> (&'static str, String) {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    if !version.is_some_and(|version| version.starts_with(b"HTTP/1.")) {
        return ("400 Bad Request", "expected a request of HTTP/1.1\n".to_owned());
    }
    match (method, target) {
        (Some(b"GET"), Some(b"/metrics")) => ("200 OK", text()),
        (Some(b"GET"), _) => ("404 Not Found", "there is only /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "there is only GET\n".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(head: &str) -> &'static str {
        answer(head.as_bytes(), String::new).0
    }

    #[test]
    fn only_a_get_of_the_metrics_is_served() {
        assert_eq!(status("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), "200 OK");
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), "404 Not Found");
        assert_eq!(status("POST /metrics HTTP/1.1\r\n\r\n"), "405 Method Not Allowed");
        assert_eq!(status("*1\r\n$4\r\nPING\r\n\r\n"), "400 Bad Request");
        assert_eq!(status("GET /metrics\r\n\r\n"), "400 Bad Request");
    }
}
