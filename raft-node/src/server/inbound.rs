//! Accepts the other servers and receives their messages.
//!
//! A connection must greet as a known server that means this one, and must not fall silent.
//! Anything else costs that connection and no more: garbage, wrong checksums, strangers, wrong
//! numbers. What arrives while the engine's queue is full is dropped; Raft tolerates loss.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::engine::Event;
use super::frames::{FrameError, FrameReader, greeted_by};
use super::journal::Journal;
use super::peers::configure;
use crate::codec::{DecodeError, decode_message};
use crate::core::Config;

/// Connections from other servers at once, those still included that died unnoticed.
const MAX_CONNECTIONS: usize = 128;
/// How long a new connection may take to greet.
const GREETING_LIMIT: Duration = Duration::from_secs(1);
/// How long to wait after the system refused to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);
/// How often refused connections are worth a line.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// What every connection from another server needs.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) config: Config,
    pub(super) silence: Duration,
    pub(super) inbox: SyncSender<Event>,
}

#[derive(Debug, thiserror::Error)]
enum InboundError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("no greeting from a server of this cluster to this server")]
    Stranger,
    #[error("a message {0}")]
    Message(#[from] DecodeError),
}

/// Accepts connections for ever.
pub(super) async fn accept(listener: TcpListener, inbound: Arc<Inbound>, journal: Journal) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut quiet_until = Instant::now();
    let (refused, mut refusals) = tokio::sync::mpsc::channel::<InboundError>(1);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
                    let (inbound, refused) = (Arc::clone(&inbound), refused.clone());
                    tokio::spawn(async move {
                        let Err(error) = inbound.receive(stream).await;
                        // When the line before is not written yet, this one is too many.
                        let _ = refused.try_send(error);
                        drop(place);
                    });
                }
                Err(error) => {
                    journal.warn(&format!("accepting a server: {error}"));
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(error) = refusals.recv() => {
                // A connection that was closed or lost is reported by the end that dialed it.
                let garbled = !matches!(error, InboundError::Frame(
                    FrameError::Closed | FrameError::Io(_) | FrameError::Silent));
                if garbled && Instant::now() >= quiet_until {
                    journal.warn(&format!("closed a connection to the peer port: {error}"));
                    quiet_until = Instant::now() + LINE_EVERY;
                }
            }
        }
    }
}

impl Inbound {
    async fn receive(&self, stream: TcpStream) -> Result<std::convert::Infallible, InboundError> {
        configure(&stream, self.silence).map_err(FrameError::Io)?;
        let mut frames = FrameReader::new(stream);
        let greeting = timeout(GREETING_LIMIT, frames.next(GREETING_LIMIT)).await;
        let greeting = greeting.map_err(|_| InboundError::Stranger)??;
        let from = greeted_by(&greeting, self.config.id).ok_or(InboundError::Stranger)?;
        if from == self.config.id || !self.config.members.contains(&from) {
            return Err(InboundError::Stranger);
        }
        loop {
            let frame = frames.next(self.silence).await?;
            if frame.is_empty() {
                continue;
            }
            let message = decode_message(&frame)?;
            let _ = self.inbox.try_send(Event::Message { from, message });
        }
    }
}
