//! Accepts the other servers and receives their messages.
//!
//! A connection must greet as a server that means this one, and must not fall silent. Anything else
//! costs that connection and no more: garbage, wrong checksums, wrong numbers. Servers that this one
//! does not know are let in: a configuration that it has not heard of yet may have them (thesis
//! §4.1); what they may do is for the core to say. While the engine's queue is full nothing is read,
//! so that the network holds the others back.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use super::engine::Event;
use super::frames::{FrameError, FrameReader, Greeting};
use super::metrics::Metrics;
use super::peers::configure;
use crate::codec::{DecodeError, decode_message};
use crate::core::units::NodeId;

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
    /// This server.
    pub(super) own: NodeId,
    pub(super) silence: Duration,
    pub(super) inbox: mpsc::Sender<Event>,
    pub(super) metrics: Arc<Metrics>,
}

#[derive(Debug, thiserror::Error)]
enum InboundError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("no greeting from another server to this server")]
    Stranger,
    #[error("a message {0}")]
    Message(#[from] DecodeError),
    #[error("the server stops")]
    Stopping,
}

impl InboundError {
    /// Whether it is about what the other end sent. A connection that was closed or lost is
    /// reported by the end that dialed it.
    fn is_garbage(&self) -> bool {
        !matches!(
            self,
            Self::Stopping
                | Self::Frame(FrameError::Closed | FrameError::Io(_) | FrameError::Silent)
        )
    }
}

/// Accepts connections for ever.
pub(super) async fn accept(listener: TcpListener, inbound: Arc<Inbound>) {
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
                        if error.is_garbage() {
                            inbound.metrics.peer_garbage.increment();
                        }
                        // When the line before is not written yet, this one is too many.
                        let _ = refused.try_send(error);
                        drop(place);
                    });
                }
                Err(error) => {
                    warn!("accepting a server: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(error) = refusals.recv() => {
                if error.is_garbage() && Instant::now() >= quiet_until {
                    warn!("closed a connection to the peer port: {error}");
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
        let greeting = Greeting::read(&greeting).filter(|greeting| greeting.to == self.own);
        let Greeting { from, address, .. } = greeting.ok_or(InboundError::Stranger)?;
        if from == self.own {
            return Err(InboundError::Stranger);
        }
        self.hand_on(Event::Greeted { from, address }).await?;
        loop {
            let frame = frames.next(self.silence).await?;
            if !frame.is_empty() {
                let message = decode_message(&frame)?;
                self.hand_on(Event::Message { from, message }).await?;
            }
        }
    }

    async fn hand_on(&self, event: Event) -> Result<(), InboundError> {
        self.inbox.send(event).await.map_err(|_| InboundError::Stopping)
    }
}
