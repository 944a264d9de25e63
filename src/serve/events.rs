//! A run's events as server-sent events, for as long as it goes on.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use partita_reports::{RunEvent, Stamped};
use tokio::sync::mpsc::Sender;

use super::files::Root;
use super::route::Inside;

/// How much is read at once, in bytes; a longer line is passed over.
const PIECE: u64 = 256 << 10;
/// How often is looked for more.
const PAUSE: Duration = Duration::from_millis(200);
/// How often something is sent if nothing happens, so that a client that is gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A run that tells nothing for so long is over: it was killed.
const SILENT: Duration = Duration::from_secs(120);

/// What is sent of a piece of a file.
#[derive(Debug, PartialEq, Eq)]
struct Sent {
    /// The events, as the stream has them.
    text: String,
    /// Where in the file the next piece begins.
    next: u64,
    /// Whether the last event of a run is among them.
    is_over: bool,
}

/// What is sent of `piece`, which begins at byte `at` of the file. Each event has the place behind it as
/// its name, where a client that comes back goes on.
fn sent(piece: &[u8], at: u64) -> Sent {
    let mut sent = Sent { text: String::new(), next: at, is_over: false };
    for line in piece.split_inclusive(|byte| *byte == b'\n') {
        let is_whole = line.ends_with(b"\n");
        if !is_whole && (line.len() as u64) < PIECE {
            break;
        }
        sent.next += line.len() as u64;
        // What is no event of ours is passed over; a line has no end in it that a stream would see.
        let Ok(event) = serde_json::from_slice::<Stamped>(line) else { continue };
        let Ok(text) = std::str::from_utf8(line) else { continue };
        let text = text.trim_end().replace(['\r', '\n'], " ");
        sent.text.push_str(&format!("id: {}\ndata: {text}\n\n", sent.next));
        sent.is_over |= matches!(event.event, RunEvent::Finished { .. });
    }
    sent
}

/// Sends a run's events from byte `from` of their file on, until the run is over or the client gone.
pub(super) async fn follow(
    root: Arc<Root>,
    run: Inside,
    from: u64,
    sender: Sender<Result<Bytes, Infallible>>,
) {
    let events = run.with("events.jsonl");
    let (mut at, mut told, mut heard) = (from, Instant::now(), Instant::now());
    loop {
        let (files, name) = (Arc::clone(&root), events.clone());
        let read = tokio::task::spawn_blocking(move || files.read(&name, at, PIECE)).await;
        let piece = read.ok().and_then(Result::ok).unwrap_or_default();
        let Sent { mut text, next, is_over } = sent(&piece, at);
        let is_new = next > at;
        at = next;
        if is_new {
            heard = Instant::now();
        }
        let is_over = is_over || (!is_new && heard.elapsed() >= SILENT);
        if is_over {
            text.push_str("event: over\ndata: over\n\n");
        } else if text.is_empty() && told.elapsed() >= KEEP_ALIVE {
            text.push_str(": still there\n\n");
        }
        if !text.is_empty() {
            told = Instant::now();
            if sender.send(Ok(Bytes::from(text))).await.is_err() {
                return;
            }
        }
        if is_over || sender.is_closed() {
            return;
        }
        if !is_new {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASE: &str = r#"{"at_ns":1,"type":"phase","phase":"faults"}"#;
    const FINISHED: &str = r#"{"at_ns":2,"type":"finished","verdict":"valid","exit":"valid"}"#;

    #[test]
    fn whole_lines_are_sent_and_the_rest_is_waited_for() {
        let piece = format!("{PHASE}\n{{\"at_ns\":2,");
        let length = PHASE.len() as u64 + 1;
        let Sent { text, next, is_over } = sent(piece.as_bytes(), 100);
        assert_eq!(text, format!("id: {}\ndata: {PHASE}\n\n", 100 + length));
        assert_eq!((next, is_over), (100 + length, false));
        assert_eq!(sent(b"", 7).next, 7);
    }

    #[test]
    fn the_last_event_ends_the_stream() {
        assert!(sent(format!("{PHASE}\n{FINISHED}\n").as_bytes(), 0).is_over);
        assert!(!sent(FINISHED.as_bytes(), 0).is_over, "its line has no end yet");
        let quoted = r#"{"at_ns":1,"type":"remark","text":"\"type\":\"finished\""}"#;
        assert!(!sent(format!("{quoted}\n").as_bytes(), 0).is_over);
    }

    #[test]
    fn what_is_no_event_cannot_forge_one() {
        let hostile = "data: x\r\ndata: y\nevent: over\n\n{\"at_ns\":1,\r\"type\":\"phase\",\"phase\":\"a\"}\n\u{0}\n";
        let Sent { text, next, .. } = sent(hostile.as_bytes(), 0);
        assert_eq!(next, hostile.len() as u64);
        assert_eq!(text.matches("data:").count(), 1, "{text}");
        assert!(!text.contains('\r') && !text.contains("event:"), "{text}");
    }

    #[test]
    fn a_line_without_an_end_is_passed_over() {
        let endless = vec![b'x'; PIECE as usize];
        assert_eq!(
            sent(&endless, 5),
            Sent { text: String::new(), next: 5 + PIECE, is_over: false }
        );
    }
}
