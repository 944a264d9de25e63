//! Serves one client that speaks RESP.
//!
//! Requests are answered in order. Pipelined writes are submitted together, so that they share a
//! sync, and so are pipelined reads; between the two the server waits, so that a read sees the
//! writes sent before it and none sent after it, as with Redis. While replies wait to be read by
//! the client, or [`admission`](super::admission) makes it wait, nothing more is read from it. A
//! client that breaks the protocol gets an error and loses its own connection only.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout_at};

use super::admission::Place;
use super::clients::Shared;
use super::commands::{
    Caller, Request, Shape, put_digest, put_members, put_outcome, put_status, understand,
};
use super::engine::Event;
use super::resp::{Protocol, ProtocolError, parse_request, put};
use super::writing::write_all;
use crate::core::{Operation, Refusal, Reply};

/// Requests of one connection under way at once.
const MAX_PIPELINED: usize = 256;
/// Room for one read.
const READ_BYTES: usize = 16 << 10;
/// Input beyond this makes a request a long one.
const LONG_BYTES: usize = 64 << 10;
/// How long a long request may take to arrive.
const LONG_LIMIT: Duration = Duration::from_secs(30);
/// Replies gathered before they are written though others are not ready.
const WRITE_BYTES: usize = 64 << 10;
/// How long a client may leave its replies unread.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// A reply that is there, or that the engine will send.
enum Slot {
    Ready(Vec<u8>),
    Pending {
        is_write: bool,
        shape: Shape,
        protocol: Protocol,
        outcome: oneshot::Receiver<Result<Reply, Refusal>>,
    },
}

/// What ends a connection after the replies before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Quit,
    Protocol(ProtocolError),
    /// A long request did not arrive in time.
    TooSlow,
    /// The client closed it, or the server stops.
    Silent,
}

/// One client's connection.
pub(super) struct Connection<'a> {
    stream: TcpStream,
    shared: &'a Shared,
    stopping: watch::Receiver<bool>,
    caller: Caller,
    input: BytesMut,
    output: Vec<u8>,
    /// Held while a long request arrives, and when it must be there.
    long: Option<(Place, Instant)>,
    /// A request that was taken off the input and waits for those of the other kind before it.
    held: Option<Understood>,
}

/// What a request asks of the cluster.
struct Understood {
    operation: Operation,
    shape: Shape,
    protocol: Protocol,
}

impl Understood {
    /// How many bytes it keeps: those of its keys and values, about.
    fn bytes(&self) -> usize {
        match &self.operation {
            Operation::Write(write) => write.size(),
            Operation::Read(query) | Operation::StaleRead(query) => query.size(),
            Operation::Admin(_) => 0,
        }
    }
}

impl<'a> Connection<'a> {
    pub(super) fn new(stream: TcpStream, id: u64, shared: &'a Shared) -> Self {
        Self {
            stream,
            shared,
            stopping: shared.stopping.clone(),
            caller: Caller::new(id),
            input: BytesMut::new(),
            output: Vec::new(),
            long: None,
            held: None,
        }
    }

    /// Serves the client until either end closes.
    pub(super) async fn serve(mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        let mut slots = Vec::new();
        loop {
            let mut end = self.submit_run(&mut slots).await;
            let idle = slots.is_empty();
            for slot in slots.drain(..) {
                self.answer(slot).await?;
            }
            self.flush().await?;
            if end.is_none() && idle {
                end = self.fill().await?;
            }
            if let Some(end) = end {
                return self.part(end).await;
            }
        }
    }

    /// Submits the requests at the front of the input that may be under way together.
    async fn submit_run(&mut self, slots: &mut Vec<Slot>) -> Option<End> {
        let mut run_writes = None;
        if let Some(held) = self.held.take() {
            run_writes = Some(held.operation.is_write());
            slots.push(self.submit(held).await);
        }
        while slots.len() < MAX_PIPELINED {
            let (words, taken) = match parse_request(&self.input) {
                Ok(Some(parsed)) => parsed,
                Ok(None) => break,
                Err(error) => return Some(End::Protocol(error)),
            };
            self.input.advance(taken);
            if words.is_empty() {
                continue;
            }
            let protocol = self.caller.protocol();
            let slot = match understand(&words, &mut self.caller) {
                Request::Quit => return Some(End::Quit),
                Request::Operation(operation, shape) => {
                    let asked = Understood { operation, shape, protocol };
                    let writes = asked.operation.is_write();
                    // A request of the other kind begins the next run. It is understood once: what
                    // was queued for an `EXEC` is in it.
                    if *run_writes.get_or_insert(writes) != writes {
                        self.held = Some(asked);
                        break;
                    }
                    self.submit(asked).await
                }
                request => Slot::Ready(self.answer_here(request, protocol).await),
            };
            slots.push(slot);
        }
        if self.input.len() < LONG_BYTES && self.long.take().is_some() {
            // Gives back what the long request took.
            self.input = BytesMut::from(&self.input[..]);
        }
        None
    }

    async fn submit(&self, asked: Understood) -> Slot {
        let place = self.shared.admission.request(asked.bytes()).await;
        let Understood { operation, shape, protocol } = asked;
        let is_write = operation.is_write();
        let (answer, outcome) = oneshot::channel();
        // If the engine is gone, so is the answer's end of the channel, which is noticed then.
        let _ = self.shared.inbox.send(Event::Request { operation, answer, place }).await;
        Slot::Pending { is_write, shape, protocol, outcome }
    }

    /// What this server answers by itself.
    async fn answer_here(&self, request: Request, protocol: Protocol) -> Vec<u8> {
        let mut out = Vec::new();
        match request {
            Request::Answered(bytes) => return bytes,
            Request::Info(sections) => put::bulk(&mut out, self.shared.info(&sections).as_bytes()),
            Request::CountKeys => {
                let keys = self.shared.journal.view().status.keys;
                put::integer(&mut out, i64::try_from(keys).expect("keys fit memory"));
            }
            Request::Status => put_status(&mut out, &self.shared.journal.view(), protocol),
            Request::Members => match self.shared.members().await {
                Some(members) => put_members(&mut out, &members, protocol),
                None => put::error(&mut out, "ERR the server stops"),
            },
            Request::Digest => match self.shared.digest().await {
                Some(digest) => put_digest(&mut out, &digest, protocol),
                None => put::error(&mut out, "ERR the server stops"),
            },
            Request::Quit | Request::Operation(..) => unreachable!("dealt with before"),
        }
        out
    }

    async fn answer(&mut self, slot: Slot) -> io::Result<()> {
        match slot {
            Slot::Ready(reply) => self.output.extend_from_slice(&reply),
            Slot::Pending { is_write, shape, protocol, outcome } => {
                // The engine answers within its time limit, unless it stops.
                let outcome = outcome.await.unwrap_or(Err(Refusal::lost(is_write)));
                put_outcome(&mut self.output, &outcome, &shape, protocol);
            }
        }
        if self.output.len() >= WRITE_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> io::Result<()> {
        write_all(&mut self.stream, &self.output, WRITE_LIMIT).await?;
        self.output.clear();
        self.output.shrink_to(WRITE_BYTES);
        Ok(())
    }

    /// Waits for more input.
    async fn fill(&mut self) -> io::Result<Option<End>> {
        if self.input.len() >= LONG_BYTES && self.long.is_none() {
            let place = self.shared.admission.long_request().await;
            self.long = Some((place, Instant::now() + LONG_LIMIT));
        }
        self.input.reserve(READ_BYTES);
        let due = self.long.as_ref().map(|(_, due)| *due);
        let read = self.stream.read_buf(&mut self.input);
        let read = async {
            match due {
                Some(due) => timeout_at(due, read).await.ok().transpose(),
                None => read.await.map(Some),
            }
        };
        tokio::select! {
            biased;
            read = read => Ok(match read? {
                None => Some(End::TooSlow),
                Some(0) => Some(End::Silent),
                Some(_) => None,
            }),
            // Its sender lives as long as the server.
            _ = self.stopping.wait_for(|stopping| *stopping) => Ok(Some(End::Silent)),
        }
    }

    async fn part(mut self, end: End) -> io::Result<()> {
        match end {
            End::Quit => put::simple(&mut self.output, "OK"),
            End::Protocol(error) => {
                self.shared.metrics.client_garbage.increment();
                put::error(&mut self.output, &format!("ERR {error}"));
            }
            End::TooSlow => {
                self.shared.metrics.client_garbage.increment();
                put::error(&mut self.output, "ERR the request took too long to arrive");
            }
            End::Silent => {}
        }
        self.flush().await?;
        self.stream.shutdown().await
    }
}
