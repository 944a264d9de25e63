//! Serves clients that speak RESP2.
//!
//! Requests of one connection are answered in order. Pipelined writes are submitted together, so
//! that they share a sync, and so are pipelined reads; between the two the server waits, so that a
//! read sees the writes sent before it and none sent after it, as with Redis. A client that breaks
//! the protocol is told so and loses its connection, nobody else's.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::sleep;

use super::commands::{Request, put_info, put_outcome, understand};
use super::engine::Event;
use super::journal::Journal;
use super::resp::{ProtocolError, parse_request, put};
use super::writing::write_all;
use crate::core::units::NodeId;
use crate::core::{Operation, Refusal, Reply};

/// Clients' connections at once; with the peers' they fit the usual limit of 1024 descriptors.
const MAX_CLIENTS: usize = 768;
/// Requests of one connection under way at once.
const MAX_PIPELINED: usize = 256;
/// Room for one read.
const READ_BYTES: usize = 16 << 10;
/// How long a client may take to read its replies.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// How long to wait after the system refused to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// What all connections of clients share.
#[derive(Debug)]
pub(super) struct Shared {
    inbox: SyncSender<Event>,
    addresses: BTreeMap<NodeId, SocketAddr>,
    journal: Journal,
}

/// A reply that is there, or that the engine will send.
enum Slot {
    Ready(Vec<u8>),
    Pending { is_write: bool, outcome: oneshot::Receiver<Result<Reply, Refusal>> },
}

/// What ends a connection.
enum End {
    Quit,
    Protocol(ProtocolError),
}

impl Shared {
    pub(super) fn new(
        inbox: SyncSender<Event>,
        addresses: BTreeMap<NodeId, SocketAddr>,
        journal: Journal,
    ) -> Self {
        Self { inbox, addresses, journal }
    }

    fn submit(&self, operation: Operation) -> Slot {
        let is_write = operation.is_write();
        let (outcome, receiver) = oneshot::channel();
        if self.inbox.try_send(Event::Request { operation, outcome }).is_ok() {
            return Slot::Pending { is_write, outcome: receiver };
        }
        let mut out = Vec::new();
        put_outcome(&mut out, &Err(Refusal::Busy));
        Slot::Ready(out)
    }

    fn info(&self) -> Slot {
        let mut out = Vec::new();
        put_info(&mut out, &self.journal.status(), &self.addresses);
        Slot::Ready(out)
    }
}

/// Accepts clients for ever.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    let _ = stream.try_write(b"-ERR max number of clients reached\r\n");
                    continue;
                };
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    // An error here is the client's connection breaking, which is its own affair.
                    let _ = serve(stream, &shared).await;
                    drop(place);
                });
            }
            Err(error) => {
                shared.journal.warn(&format!("accepting a client: {error}"));
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BytesMut::new();
    let mut output = Vec::new();
    loop {
        let (slots, end) = submit_run(&mut input, shared);
        let idle = slots.is_empty();
        for slot in slots {
            answer(slot, &mut output).await;
        }
        match end {
            Some(End::Quit) => put::simple(&mut output, "OK"),
            Some(End::Protocol(error)) => put::error(&mut output, &format!("ERR {error}")),
            None => {}
        }
        write_all(&mut stream, &output, WRITE_LIMIT).await?;
        output.clear();
        if end.is_some() {
            return stream.shutdown().await;
        }
        if idle {
            input.reserve(READ_BYTES);
            if stream.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        }
    }
}

/// Submits the requests at the front of the input that may be under way together.
fn submit_run(input: &mut BytesMut, shared: &Shared) -> (Vec<Slot>, Option<End>) {
    let mut slots = Vec::new();
    let mut run_writes = None;
    while slots.len() < MAX_PIPELINED {
        let (words, taken) = match parse_request(input) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => break,
            Err(error) => return (slots, Some(End::Protocol(error))),
        };
        let slot = match (!words.is_empty()).then(|| understand(&words)) {
            None => None,
            Some(Request::Quit) => return (slots, Some(End::Quit)),
            Some(Request::Answered(reply)) => Some(Slot::Ready(reply)),
            Some(Request::Info) => Some(shared.info()),
            Some(Request::Operation(operation)) => {
                // A request of the other kind stays in the input and begins the next run.
                if *run_writes.get_or_insert(operation.is_write()) != operation.is_write() {
                    break;
                }
                Some(shared.submit(operation))
            }
        };
        input.advance(taken);
        slots.extend(slot);
    }
    (slots, None)
}

async fn answer(slot: Slot, output: &mut Vec<u8>) {
    match slot {
        Slot::Ready(reply) => output.extend_from_slice(&reply),
        Slot::Pending { is_write, outcome } => {
            // The engine answers within its time limit, unless it stops.
            let outcome = outcome.await.unwrap_or(Err(Refusal::lost(is_write)));
            put_outcome(output, &outcome);
        }
    }
}
