//! Runs the servers: takes the next event, lets its server take a turn, performs what comes
//! out of that, and has the invariants checked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::rngs::ChaCha8Rng;

use super::failure::{Failure, Property};
use super::history::{History, Object};
use super::invariants::{Invariants, Verdict};
use super::load::Load;
use super::mixed::{self, Mixed};
use super::moment::{Moment, ms};
use super::network::{Fate, Network};
use super::random::{Stream, between, chance, stream};
use super::server::{Asker, Outcome, Server};
use super::trace::Trace;
use crate::core::units::{NodeId, Term};
use crate::core::{
    Banner, Change, Compaction, Config, Core, Input, Lease, Message, Operation, Output, Record,
    Status,
};
use crate::mutations::Mutations;

/// What a cluster is built from.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) size: usize,
    pub(super) heartbeat: Duration,
    pub(super) election_timeout: std::ops::RangeInclusive<Duration>,
    /// How many of the servers are members from the beginning.
    pub(super) members: usize,
    pub(super) compaction: Compaction,
    pub(super) lease: Option<Lease>,
    /// How long a segment of the log gets, in bytes.
    pub(super) segment_bytes: u64,
    /// Whether to count the bytes of messages, which takes encoding them.
    pub(super) counts_bytes: bool,
    /// What the clients' keys are.
    pub(super) object: Object,
}

impl Setup {
    /// A cluster with the timing that servers have by default.
    pub(super) fn of(size: usize) -> Self {
        Self {
            size,
            heartbeat: ms(100),
            election_timeout: ms(250)..=ms(400),
            members: size,
            compaction: Compaction::default(),
            lease: None,
            segment_bytes: 1 << 20,
            counts_bytes: false,
            object: Object::Register,
        }
    }
}

/// What is yet to happen.
#[derive(Debug)]
pub(super) enum Event {
    Deliver {
        from: usize,
        to: usize,
        message: Message,
    },
    Timer {
        server: usize,
        life: u64,
    },
    Synced {
        server: usize,
        life: u64,
    },
    /// The disk is through with the snapshot that a server writes or installs.
    SnapshotDone {
        server: usize,
        life: u64,
    },
    /// A client's request reaches a server.
    Request {
        server: usize,
        client: u32,
        attempt: u64,
        operation: Operation,
    },
    /// A server's answer reaches a client; none if the server was not there to be asked.
    Reply {
        client: u32,
        attempt: u64,
        outcome: Option<Outcome>,
    },
    /// A client has waited long enough, for an answer or for its next operation.
    Wake {
        client: u32,
        wake: u64,
    },
}

/// How many messages and bytes servers sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

/// A whole simulated cluster with its clients, network and disks.
#[derive(Debug)]
pub(super) struct World {
    pub(super) now: Moment,
    pub(super) queue: super::queue::Queue<Event>,
    pub(super) servers: Vec<Server>,
    pub(super) network: Network,
    /// Which servers are not cut off by the scenario; see `disconnect`.
    pub(super) connected: Vec<bool>,
    pub(super) invariants: Invariants,
    pub(super) trace: Trace,
    pub(super) load: Load,
    pub(super) mixed: Mixed,
    pub(super) history: History,
    pub(super) faults: ChaCha8Rng,
    pub(super) sent: Vec<Sent>,
    pub(super) events: u64,
    /// The scenario's own requests that were answered.
    pub(super) answers: BTreeMap<u64, Outcome>,
    pub(super) last_ticket: u64,
    pub(super) setup: Setup,
    seed: u64,
    network_random: ChaCha8Rng,
    pub(super) disk_random: ChaCha8Rng,
    out: Vec<Output>,
    encoded: Vec<u8>,
}

impl World {
    /// A cluster of servers 1 to `size`, all down.
    pub(super) fn new(setup: Setup, seed: u64, mutations: Mutations, with_lines: bool) -> Self {
        let ids =
            |count: usize| (1..=u32::try_from(count).expect("clusters are small")).map(NodeId);
        let members: BTreeSet<NodeId> = ids(setup.members).collect();
        let config = |id| Config {
            id,
            members: members.clone(),
            heartbeat: setup.heartbeat,
            election_timeout: setup.election_timeout.clone(),
            request_timeout: ms(4_000),
            leader_wait: ms(1_000),
            compaction: setup.compaction,
            lease: setup.lease,
            seed,
            mutations,
        };
        Self {
            now: Moment::START,
            queue: super::queue::Queue::new(),
            servers: ids(setup.size)
                .map(|id| Server::new(config(id), setup.segment_bytes))
                .collect(),
            network: Network::new(setup.size),
            connected: vec![true; setup.size],
            invariants: Invariants::new(setup.size),
            trace: Trace::new(with_lines),
            load: Load::none(stream(seed, Stream::Clients)),
            mixed: Mixed::none(stream(seed, Stream::Mixed)),
            history: History::new(setup.object),
            faults: stream(seed, Stream::Faults),
            sent: vec![Sent::default(); setup.size],
            events: 0,
            answers: BTreeMap::new(),
            last_ticket: 0,
            network_random: stream(seed, Stream::Network),
            disk_random: stream(seed, Stream::Disk),
            out: Vec::new(),
            encoded: Vec::new(),
            seed,
            setup,
        }
    }

    /// The randomness that says what kind of run this is.
    pub(super) fn plan_random(&self) -> ChaCha8Rng {
        let mut random = stream(self.seed, Stream::Plan);
        // What made the cluster drew from the beginning.
        random.set_word_pos(1 << 20);
        random
    }

    /// Starts every server.
    pub(super) fn start_all(&mut self) -> Result<(), Failure> {
        (0..self.servers.len()).try_for_each(|server| self.restart(server))
    }

    /// Takes events until there is none before `end`, where the clock then stands.
    pub(super) fn run_to(&mut self, end: Moment) -> Result<(), Failure> {
        while self.step_before(end)? {}
        self.now = end;
        Ok(())
    }

    /// Takes the next event, if it is due by `end`.
    pub(super) fn step_before(&mut self, end: Moment) -> Result<bool, Failure> {
        if self.queue.next().is_none_or(|next| next > end) {
            return Ok(false);
        }
        let (at, event) = self.queue.pop().expect("just seen");
        self.now = at;
        self.events += 1;
        match event {
            Event::Deliver { from, to, message } => self.deliver(from, to, message)?,
            Event::Timer { server, life } => self.timer(server, life)?,
            Event::Synced { server, life } => self.synced(server, life)?,
            Event::SnapshotDone { server, life } => self.snapshot_done(server, life)?,
            Event::Request { server, client, attempt, operation } => {
                self.take_request(server, client, attempt, operation)?;
            }
            Event::Reply { client, attempt, outcome } if client >= mixed::FIRST => {
                self.mixed_hears(client, attempt, outcome)?;
            }
            Event::Reply { client, attempt, outcome } => {
                self.client_hears(client, attempt, outcome);
            }
            Event::Wake { client, wake } if client >= mixed::FIRST => {
                self.mixed_wakes(client, wake)?;
            }
            Event::Wake { client, wake } => self.client_wakes(client, wake),
        }
        Ok(true)
    }

    // ---- servers ----

    fn deliver(&mut self, from: usize, to: usize, message: Message) -> Result<(), Failure> {
        if self.network.is_blocked(from, to) {
            return Ok(());
        }
        let sender = self.servers[from].id();
        if self.servers[to].is_up() {
            self.trace.mix(&[self.now.0, 1, from as u64, to as u64, message.term.0]);
            if self.trace.wants_lines() {
                let banner = self.banner(to);
                self.trace.line(self.now, format_args!("{banner} from {sender}: {message}"));
            }
        }
        self.give(to, Input::Receive { from: sender, message })
    }

    /// Puts an input into a server's inbox and lets it take a turn.
    pub(super) fn give(&mut self, to: usize, input: Input) -> Result<(), Failure> {
        let server = &mut self.servers[to];
        if !server.runs() {
            if server.is_up() {
                server.inbox.push_back(input);
            }
            return Ok(());
        }
        self.turn_with(to, Some(input))
    }

    fn timer(&mut self, at: usize, life: u64) -> Result<(), Failure> {
        let server = &mut self.servers[at];
        if server.life != life || server.timer != Some(self.now) {
            return Ok(());
        }
        server.timer = None;
        self.turn(at)
    }

    /// Puts a server's inbox into its core and performs what comes out.
    pub(super) fn turn(&mut self, at: usize) -> Result<(), Failure> {
        self.turn_with(at, None)
    }

    /// The same with an input more, which need not go through the inbox.
    fn turn_with(&mut self, at: usize, last: Option<Input>) -> Result<(), Failure> {
        let server = &mut self.servers[at];
        if server.paused {
            return Ok(());
        }
        let Some(core) = server.core.as_mut() else { return Ok(()) };
        let mut out = std::mem::take(&mut self.out);
        core.step(Input::Now(server.clock.monotonic(self.now)), &mut out);
        if !server.config.mutations.none() {
            core.step(Input::WallClock(server.clock.wall(self.now)), &mut out);
        }
        for input in server.inbox.drain(..) {
            core.step(input, &mut out);
        }
        if let Some(input) = last {
            core.step(input, &mut out);
        }
        core.step(Input::Tick, &mut out);
        // Records first: whatever else comes out of the turn is judged by the log after it.
        for output in &out {
            if let Output::Persist(record) = output {
                self.persist(at, record)?;
            }
        }
        for output in out.drain(..) {
            self.perform(at, output)?;
        }
        self.out = out;
        self.begin_sync(at);
        self.set_timer(at);
        self.show(at)
    }

    fn show(&mut self, at: usize) -> Result<(), Failure> {
        let Some(core) = &self.servers[at].core else { return Ok(()) };
        let (banner, last, applied) = core.standing();
        let Banner { term, commit, .. } = banner;
        self.trace.mix(&[self.now.0, 2, at as u64, term.0, commit.0, last.0]);
        let verdict = self.invariants.shown(at, &banner, core.leads());
        self.judge(at, verdict)?;
        let Some(core) = &self.servers[at].core else { return Ok(()) };
        let verdict = self.invariants.applied(at, applied, || core.state_digest());
        self.judge(at, verdict)
    }

    /// Turns a broken invariant into the end of the run.
    pub(super) fn judge(&mut self, at: usize, verdict: Verdict) -> Result<(), Failure> {
        verdict.map_err(|(property, what)| {
            let what = format!("server {}: {what}", self.servers[at].id());
            self.fail(property, what)
        })
    }

    /// A failure, now.
    pub(super) fn fail(&mut self, property: Property, what: String) -> Failure {
        let failure = Failure { property, at: self.now, what };
        self.trace.line(self.now, format_args!("FAILED: {failure}"));
        failure
    }

    fn persist(&mut self, at: usize, record: &Record) -> Result<(), Failure> {
        let server = &mut self.servers[at];
        server.records.0 += 1;
        if let Some(files) = &mut server.files {
            files.storage.append(record);
        }
        let verdict = self.invariants.recorded(at, record);
        self.judge(at, verdict)
    }

    fn perform(&mut self, at: usize, output: Output) -> Result<(), Failure> {
        let server = &mut self.servers[at];
        match output {
            Output::Persist(_) | Output::Members(_) => Ok(()),
            Output::Send { to, message, after } if after > server.durable => {
                server.held.push((after, to, message));
                Ok(())
            }
            Output::Send { to, message, .. } => self.send(at, to, message),
            Output::SendChunk { to, message, length } => self.send_chunk(at, to, message, length),
            Output::Answer { request, result } => {
                let asker = server.askers.remove(&request);
                self.answer(at, asker, result);
                Ok(())
            }
            Output::TakeSnapshot(snapshot) => {
                server.taking = Some(snapshot);
                self.begin_snapshot(at);
                Ok(())
            }
            Output::KeepChunk { snapshot, offset, data } => {
                self.keep_chunk(at, snapshot, offset, &data);
                Ok(())
            }
            Output::InstallReceived { snapshot, total } => {
                server.installing = Some((snapshot, total));
                self.begin_snapshot(at);
                Ok(())
            }
            Output::Changed(banner, change) => self.changed(at, banner, &change),
        }
    }

    fn changed(&mut self, at: usize, banner: Banner, change: &Change) -> Result<(), Failure> {
        self.trace.line(self.now, format_args!("{banner} {change}"));
        let verdict = match change {
            Change::BecameLeader { .. } => {
                let Some(core) = &self.servers[at].core else { return Ok(()) };
                self.invariants.elected(at, &banner, core.configuration())
            }
            Change::TookSnapshot { snapshot } | Change::InstalledSnapshot { snapshot } => {
                self.invariants.covered(*snapshot)
            }
            _ => Ok(()),
        };
        self.judge(at, verdict)
    }

    pub(super) fn send(
        &mut self,
        from: usize,
        to: NodeId,
        message: Message,
    ) -> Result<(), Failure> {
        let id = self.servers[from].id();
        let verdict = self.invariants.sent(from, id, to, &message);
        self.judge(from, verdict)?;
        let to = to.0 as usize - 1;
        self.sent[from].messages += 1;
        if self.setup.counts_bytes {
            self.encoded.clear();
            crate::codec::encode_message(&message, &mut self.encoded);
            self.sent[from].bytes += self.encoded.len() as u64;
        }
        let fate = self.network.fate(self.now, (from, to), &message, &mut self.network_random);
        match fate {
            Fate::Lost => {}
            Fate::Held => self.network.keep(from, to, message),
            Fate::Arrives(at) => self.queue.push(at, Event::Deliver { from, to, message }),
            Fate::ArrivesTwice(first, second) => {
                self.queue.push(first, Event::Deliver { from, to, message: message.clone() });
                self.queue.push(second, Event::Deliver { from, to, message });
            }
        }
        Ok(())
    }

    fn answer(&mut self, from: usize, asker: Option<Asker>, outcome: Outcome) {
        match asker {
            Some(Asker::Client { client, attempt }) => {
                if let Some(at) = self.way_to(client) {
                    self.queue.push(at, Event::Reply { client, attempt, outcome: Some(outcome) });
                }
            }
            Some(Asker::Scenario { ticket }) => {
                self.trace.line(self.now, format_args!("server {} answers {outcome:?}", from + 1));
                self.answers.insert(ticket, outcome);
            }
            None => {}
        }
    }

    /// When an answer reaches a client, if it does.
    fn way_to(&mut self, client: u32) -> Option<Moment> {
        if client >= mixed::FIRST { self.mixed.way(self.now) } else { self.load.way(self.now) }
    }

    fn take_request(
        &mut self,
        to: usize,
        client: u32,
        attempt: u64,
        operation: Operation,
    ) -> Result<(), Failure> {
        let server = &mut self.servers[to];
        if !server.is_up() {
            if let Some(at) = self.way_to(client) {
                self.queue.push(at, Event::Reply { client, attempt, outcome: None });
            }
            return Ok(());
        }
        server.ask(Asker::Client { client, attempt }, operation);
        self.turn(to)
    }

    /// Makes sure that a timer event is due no later than the core's next timer.
    pub(super) fn set_timer(&mut self, at: usize) {
        let server = &mut self.servers[at];
        let Some(core) = &server.core else { return };
        let due = server.clock.moment_of(core.next_due()).max(Moment(self.now.0 + 1));
        // An event that comes too early sets the next; only one that comes too late does harm.
        if server.timer.is_none_or(|timer| due < timer) {
            server.timer = Some(due);
            self.queue.push(due, Event::Timer { server: at, life: server.life });
        }
    }

    pub(super) fn banner(&self, at: usize) -> Banner {
        let server = &self.servers[at];
        let down =
            Banner { server: server.id(), term: Term(0), commit: crate::core::units::Index(0) };
        server.core.as_ref().map_or(down, |core| core.standing().0)
    }

    /// Where a server stands, if it is up.
    pub(super) fn status(&self, at: usize) -> Option<Status> {
        self.servers[at].core.as_ref().map(Core::status)
    }

    /// Releases messages that were held, as if they had just been sent.
    pub(super) fn arrive(&mut self, messages: Vec<(usize, usize, Message)>) {
        for (from, to, message) in messages {
            let delay = between(&mut self.network_random, &self.network.conditions.delay);
            self.queue.push(self.now.plus(delay), Event::Deliver { from, to, message });
        }
    }

    /// Whether something of this probability goes wrong now.
    pub(super) fn strikes(&mut self, probability: f64) -> bool {
        chance(&mut self.faults, probability)
    }
}
