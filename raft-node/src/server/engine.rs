//! Turns the core: takes what arrived, steps, hands out what the core decided.
//!
//! One task of the sockets' own thread owns the core, so that a request passes from its connection
//! to the core and back without waking another thread. Everything that waits when a turn begins
//! goes into that turn, up to a limit that keeps heartbeats on time. The disk has threads of its
//! own: records go to [`LogThread`], which syncs what has gathered while the sync before it went on
//! (group commit), snapshots to [`Snapshots`]; what they did comes back as an input. A message that
//! promises something on the disk is held back here until the record it names is durable.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, warn};

use super::admission::Place;
use super::journal::Journal;
use super::log_thread::{Done, LogThread};
use super::metrics::Metrics;
use super::peers::Links;
use super::slow::{PendingRequest, SlowLog, Verdict};
use super::snapshots::Snapshots;
use crate::core::membership::Configuration;
use crate::core::message::Body;
use crate::core::units::{Index, NodeId, RecordId, RequestId};
use crate::core::{
    Admin, Banner, Change, Core, FollowerStatus, Input, Message, Operation, Output, Refusal, Reply,
};
use crate::storage::StorageError;

/// Events that may wait for a turn.
pub(super) const INBOX: usize = 8192;
/// Events that one turn takes.
const TURN: usize = 1024;
/// The longest sleep.
const NAP: Duration = Duration::from_secs(1);
/// How long a server that is told to stop tries to hand over and to answer first.
const RETIREMENT: Duration = Duration::from_millis(1500);

/// What the sockets hand to the engine.
#[derive(Debug)]
pub(super) enum Event {
    /// A message from another server.
    Message { from: NodeId, message: Message },
    /// Another server introduced itself, and said where it is reached.
    Greeted { from: NodeId, address: SocketAddr },
    /// A client's request, and where its outcome goes. The place is held until then.
    Request { operation: Operation, answer: oneshot::Sender<Outcome>, place: Place },
    /// Someone asks who the members are.
    Members { answer: oneshot::Sender<Members> },
    /// Someone asks for a checksum of the state, and of what it is the state.
    Digest { answer: oneshot::Sender<Digest> },
    /// The server is to stop, after handing over and answering what it can.
    Retire,
}

/// What a server's own state is after an entry.
#[derive(Debug)]
pub(super) struct Digest {
    /// The last entry applied.
    pub(super) applied: Index,
    /// The checksum of all keys and sessions.
    pub(super) state: u64,
}

/// What became of a request.
pub(super) type Outcome = Result<Reply, Refusal>;

/// The members, and what a leader knows of them.
#[derive(Debug)]
pub(super) struct Members {
    pub(super) configuration: Arc<Configuration>,
    /// Where each is reached by the others.
    pub(super) addresses: Vec<(NodeId, String)>,
    pub(super) followers: Vec<FollowerStatus>,
}

/// A request whose outcome someone waits for.
#[derive(Debug)]
struct Waiting {
    answer: Option<oneshot::Sender<Outcome>>,
    about: PendingRequest,
    _place: Option<Place>,
}

/// The owner of the core.
#[derive(Debug)]
pub(super) struct Engine {
    core: Core,
    log: LogThread,
    snapshots: Snapshots,
    done: mpsc::Receiver<Done>,
    links: Links,
    inbox: mpsc::Receiver<Event>,
    waiting: HashMap<RequestId, Waiting>,
    last_request: RequestId,
    /// What is durable.
    durable: RecordId,
    /// Messages that wait for a record.
    held: VecDeque<(RecordId, NodeId, Message)>,
    slow: SlowLog,
    /// When to stop at the latest, once told to.
    retires: Option<Instant>,
    began: Instant,
    /// Whether bugs are planted: some look at the calendar clock.
    mutated: bool,
    journal: Journal,
    metrics: Arc<Metrics>,
}

/// What an engine is made of. `began` is zero on the core's clock.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) core: Core,
    pub(super) log: LogThread,
    pub(super) snapshots: Snapshots,
    pub(super) done: mpsc::Receiver<Done>,
    pub(super) links: Links,
    pub(super) inbox: mpsc::Receiver<Event>,
    pub(super) slow: SlowLog,
    pub(super) began: Instant,
    pub(super) mutated: bool,
    pub(super) journal: Journal,
    pub(super) metrics: Arc<Metrics>,
}

impl Engine {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts {
            core,
            log,
            snapshots,
            done,
            links,
            inbox,
            slow,
            began,
            mutated,
            journal,
            metrics,
        } = parts;
        Self {
            core,
            log,
            snapshots,
            done,
            links,
            inbox,
            waiting: HashMap::new(),
            last_request: RequestId(0),
            durable: RecordId::ZERO,
            held: VecDeque::new(),
            slow,
            retires: None,
            began,
            mutated,
            journal,
            metrics,
        }
    }

    /// Turns until told to stop or until the disk fails; the latter is the only error.
    pub(super) async fn run(mut self) -> Result<(), StorageError> {
        let mut events = Vec::with_capacity(TURN);
        let mut out = Vec::new();
        self.links.follow(&Arc::clone(self.core.configuration()));
        while !self.may_end() {
            let due = self.core.next_due().saturating_sub(self.began.elapsed()).min(NAP);
            let mut finished = None;
            tokio::select! {
                biased;
                done = self.done.recv() => finished = done,
                _ = self.inbox.recv_many(&mut events, TURN) => {}
                () = tokio::time::sleep(due) => {}
            }
            while let Ok(event) = self.inbox.try_recv() {
                events.push(event);
                if events.len() >= TURN {
                    break;
                }
            }
            let now = Instant::now();
            self.core.step(Input::Now(now - self.began), &mut out);
            if self.mutated
                && let Ok(wall) = SystemTime::now().duration_since(UNIX_EPOCH)
            {
                self.core.step(Input::WallClock(wall), &mut out);
            }
            while let Some(done) = finished {
                self.take_done(done, &mut out)?;
                finished = self.done.try_recv().ok();
            }
            for event in events.drain(..) {
                self.take(event, now, &mut out);
            }
            self.core.step(Input::Tick, &mut out);
            self.perform(&mut out, now);
            self.journal.publish(self.core.status());
        }
        self.log.finish(&mut self.done).await
    }

    /// Whether a server that was told to stop has nothing left to do, or no time left to do it.
    fn may_end(&self) -> bool {
        let Some(at) = self.retires else { return false };
        let settled = self.waiting.is_empty() && self.held.is_empty() && self.log.is_idle();
        settled || Instant::now() >= at
    }

    fn take(&mut self, event: Event, now: Instant, out: &mut Vec<Output>) {
        match event {
            Event::Message { from, message } => {
                debug!("from {from}: {message}");
                self.metrics.received.increment();
                self.core.step(Input::Receive { from, message }, out);
            }
            Event::Greeted { from, address } => self.links.meet(from, address),
            Event::Request { operation, answer, place } => {
                self.request(operation, now, Some(answer), Some(place), out);
            }
            Event::Members { answer } => {
                let configuration = Arc::clone(self.core.configuration());
                let addresses = self.links.addresses(&configuration);
                let followers = self.core.followers();
                // Whoever asked may have gone.
                let _ = answer.send(Members { configuration, addresses, followers });
            }
            Event::Digest { answer } => {
                let (applied, state) = (self.core.status().applied, self.core.state_digest());
                // As above.
                let _ = answer.send(Digest { applied, state });
            }
            Event::Retire => {
                self.retires = Some(now + RETIREMENT);
                if self.core.status().role == "leader" {
                    let transfer = Operation::Admin(Admin::Transfer { to: None });
                    self.request(transfer, now, None, None, out);
                }
            }
        }
    }

    fn request(
        &mut self,
        operation: Operation,
        now: Instant,
        answer: Option<oneshot::Sender<Outcome>>,
        place: Option<Place>,
        out: &mut Vec<Output>,
    ) {
        let request = RequestId(self.last_request.0 + 1);
        self.last_request = request;
        let about = PendingRequest::new(&operation, now);
        self.waiting.insert(request, Waiting { answer, about, _place: place });
        self.core.step(Input::Request { request, operation }, out);
    }

    /// Takes what the disk's threads did.
    fn take_done(&mut self, done: Done, out: &mut Vec<Output>) -> Result<(), StorageError> {
        match done {
            Done::Durable { last, records, took } => {
                self.metrics.syncs.record(took);
                self.metrics.records.add(records);
                self.durable = last;
                self.log.synced();
                self.core.step(Input::Durable(last), out);
            }
            Done::NotWritten => {
                self.held.clear();
                self.log.lost();
                self.core.step(Input::NotWritten, out);
            }
            Done::Failed(error) => return Err(error),
            Done::Snapshot(input) => self.core.step(input, out),
            Done::Chunk { to, message } => {
                self.send(to, message);
            }
            Done::Trouble(line) => warn!("{line}"),
        }
        Ok(())
    }

    /// Performs what the core decided. Forwards that cannot be sent come back to it as inputs,
    /// whose outputs are answers.
    fn perform(&mut self, out: &mut Vec<Output>, now: Instant) {
        while self.held.front().is_some_and(|(after, ..)| *after <= self.durable) {
            let Some((_, to, message)) = self.held.pop_front() else { break };
            self.send(to, message);
        }
        let mut undeliverable = Vec::new();
        loop {
            for output in out.drain(..) {
                match output {
                    Output::Persist(record) => self.log.persist(record),
                    Output::Send { to, message, after } if after <= self.durable => {
                        undeliverable.extend(self.send(to, message));
                    }
                    Output::Send { to, message, after } => {
                        self.held.push_back((after, to, message));
                    }
                    Output::Answer { request, result } => self.answer(request, result, now),
                    Output::SendChunk { to, message, length } => {
                        self.snapshots.read(to, message, length);
                    }
                    Output::TakeSnapshot(snapshot) => self.snapshots.take(snapshot),
                    Output::KeepChunk { snapshot, offset, data } => {
                        self.snapshots.keep(snapshot, offset, data);
                    }
                    Output::InstallReceived { snapshot, total } => {
                        self.snapshots.install(snapshot, total);
                    }
                    Output::Members(configuration) => {
                        self.links.follow(&configuration);
                        self.journal.publish_members(configuration);
                    }
                    Output::Changed(banner, change) => self.changed(banner, &change),
                }
            }
            if undeliverable.is_empty() {
                break;
            }
            for request in undeliverable.drain(..) {
                self.core.step(Input::Undeliverable { request }, out);
            }
        }
        self.log.hand_over();
    }

    fn answer(&mut self, request: RequestId, result: Outcome, now: Instant) {
        let Some(waiting) = self.waiting.remove(&request) else { return };
        let took = now.saturating_duration_since(waiting.about.arrived);
        let metrics = &self.metrics;
        if result.is_err() {
            metrics.refused.increment();
        }
        if waiting.about.is_write { &metrics.writes } else { &metrics.reads }.record(took);
        match self.slow.judge(&waiting.about, took, now, &result) {
            Verdict::Fast => {}
            Verdict::Silent => metrics.slow.increment(),
            Verdict::Line(line) => {
                metrics.slow.increment();
                info!("{line}");
            }
        }
        // The client may have gone meanwhile.
        let _ = waiting.answer.map(|answer| answer.send(result));
    }

    fn changed(&self, banner: Banner, change: &Change) {
        match change {
            Change::BecameLeader { .. } => self.metrics.elections_won.increment(),
            Change::TookSnapshot { .. } => self.metrics.snapshots.increment(),
            Change::InstalledSnapshot { .. } => self.metrics.installed.increment(),
            _ => {}
        }
        info!(%banner, "{change}");
    }

    /// Sends a message; returns the request it was to forward if it certainly stays here.
    fn send(&self, to: NodeId, message: Message) -> Option<RequestId> {
        debug!("to {to}: {message}");
        let forwarded = match &message.body {
            Body::Forward { request, .. } => Some(*request),
            _ => None,
        };
        let sent = self.links.send(to, message);
        if sent { &self.metrics.sent } else { &self.metrics.dropped }.increment();
        if sent { None } else { forwarded }
    }
}
