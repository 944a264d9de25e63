//! Accepts clients, up to a limit, and holds what their connections share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::sleep;
use tracing::warn;

use super::admission::Admission;
use super::connection::Connection;
use super::engine::{Digest, Event, Members};
use super::info::InfoReply;
use super::journal::Journal;
use super::metrics::Metrics;

/// How long to wait after the system refused to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// What all connections of clients share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) inbox: mpsc::Sender<Event>,
    pub(super) journal: Journal,
    pub(super) metrics: Arc<Metrics>,
    pub(super) admission: Admission,
    /// Turns true when the server stops; idle connections are then closed.
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) began: Instant,
    pub(super) max_clients: usize,
    /// Connections ever accepted, which numbers them.
    accepted: AtomicU64,
}

impl Shared {
    pub(super) fn new(
        inbox: mpsc::Sender<Event>,
        journal: Journal,
        metrics: Arc<Metrics>,
        stopping: watch::Receiver<bool>,
        max_clients: usize,
    ) -> Self {
        let (admission, accepted) = (Admission::new(), AtomicU64::new(0));
        let began = Instant::now();
        Self { inbox, journal, metrics, admission, stopping, began, max_clients, accepted }
    }

    /// The text of `INFO` with these sections.
    pub(super) fn info(&self, sections: &[Bytes]) -> String {
        let view = self.journal.view();
        InfoReply {
            status: &view.status,
            metrics: &self.metrics,
            leader_address: view.leader_address(),
            members: view.configuration.to_string(),
            uptime: self.began.elapsed(),
            max_clients: self.max_clients,
        }
        .text(sections)
    }

    /// What the engine knows of the members, unless it stops.
    pub(super) async fn members(&self) -> Option<Members> {
        let (answer, members) = oneshot::channel();
        self.inbox.send(Event::Members { answer }).await.ok()?;
        members.await.ok()
    }

    /// A checksum of this server's own state, unless it stops.
    pub(super) async fn digest(&self) -> Option<Digest> {
        let (answer, digest) = oneshot::channel();
        self.inbox.send(Event::Digest { answer }).await.ok()?;
        digest.await.ok()
    }
}

/// Accepts clients for ever.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(shared.max_clients));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => {
                    let shared = Arc::clone(&shared);
                    tokio::spawn(async move {
                        attend(stream, &shared).await;
                        drop(place);
                    });
                }
                Err(_) => {
                    shared.metrics.overcrowded.increment();
                    let _ = stream.try_write(b"-ERR max number of clients reached\r\n");
                }
            },
            Err(error) => {
                warn!("accepting a client: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn attend(stream: TcpStream, shared: &Shared) {
    shared.metrics.accepted.increment();
    shared.metrics.clients.increment();
    let id = shared.accepted.fetch_add(1, Ordering::Relaxed) + 1;
    // An error here is the client's connection breaking, which is its own affair.
    let _ = Connection::new(stream, id, shared).serve().await;
    shared.metrics.clients.decrement();
}
