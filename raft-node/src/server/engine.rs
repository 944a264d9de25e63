//! Turns the core: takes what arrived, steps, makes durable, then speaks.
//!
//! Everything that waits when a turn begins goes into that turn, up to a limit that keeps
//! heartbeats on time, so that under load one sync serves many requests (group commit). Records are
//! all made durable before any message or answer of the turn leaves, which is at least as strict as
//! the order the core asks for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::journal::Journal;
use super::peers::Links;
use crate::core::message::Body;
use crate::core::units::{NodeId, RecordId, RequestId};
use crate::core::{Core, Input, Message, Operation, Output, Refusal, Reply};
use crate::storage::{Storage, StorageError};

/// Events that may wait for a turn.
const INBOX: usize = 8192;
/// Events that one turn takes.
const TURN: usize = 1024;
/// The longest sleep: the engine looks at its clock and at the stop flag this often.
const NAP: Duration = Duration::from_millis(20);

/// What the sockets hand to the engine.
#[derive(Debug)]
pub(super) enum Event {
    /// A message from another server.
    Message { from: NodeId, message: Message },
    /// A client's request, and where its outcome goes.
    Request { operation: Operation, outcome: oneshot::Sender<Result<Reply, Refusal>> },
}

/// The thread that owns the core.
#[derive(Debug)]
pub(super) struct Engine {
    core: Core,
    storage: Storage,
    links: Links,
    inbox: Receiver<Event>,
    /// Who waits for which request.
    clients: HashMap<RequestId, oneshot::Sender<Result<Reply, Refusal>>>,
    last_request: RequestId,
    /// The records written in this life.
    records: RecordId,
    began: Instant,
    journal: Journal,
}

impl Engine {
    /// An engine and the way into it. `began` is zero on the core's clock.
    pub(super) fn new(
        core: Core,
        storage: Storage,
        links: Links,
        began: Instant,
        journal: Journal,
    ) -> (Self, SyncSender<Event>) {
        let (sender, inbox) = sync_channel(INBOX);
        let (clients, last_request) = (HashMap::new(), RequestId(0));
        let records = RecordId::ZERO;
        let engine =
            Self { core, storage, links, inbox, clients, last_request, records, began, journal };
        (engine, sender)
    }

    /// Turns until told to stop or until the disk fails; the latter is the only error.
    pub(super) fn run(mut self, stop: &AtomicBool) -> Result<(), StorageError> {
        let mut events = Vec::new();
        let mut out = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            self.wait(&mut events);
            self.core.step(Input::Now(self.began.elapsed()), &mut out);
            for event in events.drain(..) {
                let input = self.input(event);
                self.core.step(input, &mut out);
            }
            self.core.step(Input::Tick, &mut out);
            // Forwards that cannot be sent come back as inputs, whose outputs are answers.
            while !out.is_empty() {
                let undeliverable = self.perform(std::mem::take(&mut out))?;
                self.core.step(Input::Durable(self.records), &mut out);
                for request in undeliverable {
                    self.core.step(Input::Undeliverable { request }, &mut out);
                }
            }
            self.journal.publish(self.core.status());
        }
        Ok(())
    }

    /// Collects what arrived, or waits until the core has something to do.
    fn wait(&self, events: &mut Vec<Event>) {
        let due = self.core.next_due().saturating_sub(self.began.elapsed());
        match self.inbox.recv_timeout(due.min(NAP)) {
            Ok(event) => events.push(event),
            // Without senders the server is about to be told to stop.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(NAP),
            Err(RecvTimeoutError::Timeout) => {}
        }
        events.extend(self.inbox.try_iter().take(TURN));
    }

    fn input(&mut self, event: Event) -> Input {
        match event {
            Event::Message { from, message } => {
                if self.journal.debugs() {
                    self.journal.debug(&format!("from {from}: {message}"));
                }
                Input::Receive { from, message }
            }
            Event::Request { operation, outcome } => {
                self.last_request = RequestId(self.last_request.0 + 1);
                self.clients.insert(self.last_request, outcome);
                Input::Request { request: self.last_request, operation }
            }
        }
    }

    /// Performs a turn's outputs; returns the requests whose forwards could not be sent.
    fn perform(&mut self, out: Vec<Output>) -> Result<Vec<RequestId>, StorageError> {
        for output in &out {
            if let Output::Persist(record) = output {
                self.storage.append(record);
                self.records.0 += 1;
            }
        }
        self.storage.commit()?;
        let mut undeliverable = Vec::new();
        for output in out {
            match output {
                // Snapshots and changing members are not served yet.
                Output::Persist(_)
                | Output::SendChunk { .. }
                | Output::TakeSnapshot(_)
                | Output::KeepChunk { .. }
                | Output::InstallReceived { .. }
                | Output::Members(_) => {}
                Output::Send { to, message, .. } => undeliverable.extend(self.send(to, message)),
                Output::Answer { request, result } => {
                    // The client may have gone meanwhile.
                    let client = self.clients.remove(&request);
                    let _ = client.map(|client| client.send(result));
                }
                Output::Changed(banner, change) => {
                    self.journal.info_at(banner, &change.to_string());
                }
            }
        }
        Ok(undeliverable)
    }

    /// Sends a message; returns the request it was to forward if it certainly stays here.
    fn send(&self, to: NodeId, message: Message) -> Option<RequestId> {
        if self.journal.debugs() {
            self.journal.debug(&format!("to {to}: {message}"));
        }
        let forwarded = match &message.body {
            Body::Forward { request, .. } => Some(*request),
            _ => None,
        };
        if self.links.send(to, message) { None } else { forwarded }
    }
}
