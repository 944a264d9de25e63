//! Runs a cluster of cores in virtual time: messages, disks and clients in memory, faults on
//! demand.
//!
//! For situations that are set up step by step, with a look inside every core and a hand on its
//! timers, which the [simulator](crate::sim) does not have: there nothing is known but what a server
//! says and writes. Whatever is left to chance is played there.
//!
//! Deterministic from its seed. Checks, after every event and unless bugs are planted, that a term
//! has one leader (Election Safety) and that servers commit the same entries (State Machine
//! Safety).

mod disk;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use self::disk::Disk;
use super::super::log::Entry;
use super::super::message::Body;
use super::super::operation::{Command, Query, Write};
use super::super::units::{Boot, Index, NodeId, RecordId, RequestId, SessionId, Term};
use super::super::{
    Change, Compaction, Config, Core, Input, Message, Operation, Output, Refusal, Reply, Role,
    Snapshot,
};
use crate::codec::{SnapshotPieces, SnapshotReader};
use crate::mutations::Mutations;

pub(super) type Outcome = Result<Reply, Refusal>;

/// Names a request and the life of the server it was given to.
pub(super) type Ticket = (NodeId, Boot, RequestId);

pub(super) struct Network {
    pub(super) now: Duration,
    pub(super) random: ChaCha8Rng,
    servers: BTreeMap<NodeId, Server>,
    /// What is going to happen, and when.
    agenda: BTreeMap<(Duration, u64), Event>,
    planned: u64,
    cut: BTreeSet<(NodeId, NodeId)>,
    paused: BTreeSet<NodeId>,
    /// Whose messages are held back, and those that are.
    holding: Option<NodeId>,
    held: Vec<(NodeId, NodeId, Message)>,
    /// The share of messages that get lost, and that arrive twice.
    pub(super) loss: f64,
    pub(super) duplication: f64,
    /// The longest a message takes, in milliseconds.
    pub(super) delay_ms: u64,
    /// The longest the disk takes, in milliseconds; with 0 all of a step is durable at its end.
    pub(super) disk_ms: u64,
    pub(super) outcomes: BTreeMap<Ticket, (Duration, Outcome)>,
    leaders: BTreeMap<Term, NodeId>,
    committed: Vec<Entry>,
    mutations: Mutations,
    /// What every server is told, but for its id.
    config: Config,
}

enum Event {
    /// A message arrives.
    Arrival { from: NodeId, to: NodeId, message: Message },
    /// Records of a life become durable.
    Sync { id: NodeId, boot: Boot, record: RecordId },
    /// A snapshot becomes durable, in a life.
    Written { id: NodeId, boot: Boot, bytes: Vec<u8>, input: Input },
}

struct Server {
    config: Config,
    core: Option<Core>,
    disk: Disk,
    /// Up to where its committed entries were compared.
    checked: Index,
    boot: Boot,
    requests: u64,
}

pub(super) fn id(number: u32) -> NodeId {
    NodeId(number)
}

pub(super) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(super) fn set(key: &str, value: &str) -> Operation {
    let (key, value) = (key.to_owned().into(), value.to_owned().into());
    Operation::from(Write::Plain(Command::set(key, value)))
}

pub(super) fn append_command(suffix: &str) -> Command {
    Command::Append { key: "list".into(), suffix: suffix.to_owned().into() }
}

pub(super) fn append(suffix: &str) -> Operation {
    Operation::from(Write::Plain(append_command(suffix)))
}

pub(super) fn once(session: SessionId, sequence: u64, command: Command) -> Operation {
    Operation::from(Write::Once { session, sequence, command })
}

pub(super) fn read(key: &str) -> Operation {
    Operation::Read(Query::Value(key.to_owned().into()))
}

pub(super) fn value(text: &str) -> Outcome {
    Ok(Reply::Value(text.to_owned().into()))
}

impl Network {
    /// A cluster of servers 1 to `size`.
    pub(super) fn new(size: u32, seed: u64, mutations: Mutations) -> Self {
        Self::configured(size, seed, |config| config.mutations = mutations)
    }

    /// A cluster whose servers are told something else than usual.
    pub(super) fn configured(size: u32, seed: u64, adjust: impl Fn(&mut Config)) -> Self {
        let members: BTreeSet<NodeId> = (1..=size).map(NodeId).collect();
        let mut config = Config {
            id: NodeId(1),
            members: members.clone(),
            heartbeat: ms(100),
            election_timeout: ms(250)..=ms(400),
            request_timeout: ms(4000),
            leader_wait: ms(1000),
            compaction: Compaction::default(),
            lease: None,
            seed,
            mutations: Mutations::default(),
        };
        adjust(&mut config);
        let mut network = Self {
            now: Duration::ZERO,
            random: ChaCha8Rng::seed_from_u64(seed),
            servers: BTreeMap::new(),
            agenda: BTreeMap::new(),
            planned: 0,
            cut: BTreeSet::new(),
            paused: BTreeSet::new(),
            holding: None,
            held: Vec::new(),
            loss: 0.0,
            duplication: 0.0,
            delay_ms: 5,
            disk_ms: 0,
            outcomes: BTreeMap::new(),
            leaders: BTreeMap::new(),
            committed: Vec::new(),
            mutations: config.mutations,
            config,
        };
        for id in members {
            network.start(id);
        }
        network
    }

    /// Starts a server that was not there before.
    pub(super) fn start(&mut self, id: NodeId) {
        let server = Server {
            config: Config { id, ..self.config.clone() },
            core: None,
            disk: Disk::default(),
            checked: Index::ZERO,
            boot: Boot(0),
            requests: 0,
        };
        self.servers.insert(id, server);
        self.restart(id);
    }

    pub(super) fn honest(size: u32, seed: u64) -> Self {
        Self::new(size, seed, Mutations::default())
    }

    pub(super) fn ids(&self) -> Vec<NodeId> {
        self.servers.keys().copied().collect()
    }

    pub(super) fn core(&self, id: NodeId) -> &Core {
        self.servers[&id].core.as_ref().expect("the server is up")
    }

    /// A core to be stepped by hand; what it puts out goes nowhere.
    pub(super) fn core_mut(&mut self, id: NodeId) -> &mut Core {
        let server = self.servers.get_mut(&id).expect("a member");
        server.core.as_mut().expect("the server is up")
    }

    pub(super) fn is_up(&self, id: NodeId) -> bool {
        self.servers[&id].core.is_some()
    }

    // ---- faults ----

    /// Stops a server; what is durable remains.
    pub(super) fn crash(&mut self, id: NodeId) {
        self.paused.remove(&id);
        let server = self.servers.get_mut(&id).expect("a member");
        server.core = None;
        server.disk.lose_power();
    }

    /// Starts a server from its disk.
    pub(super) fn restart(&mut self, id: NodeId) {
        let now = self.now;
        self.paused.remove(&id);
        let server = self.servers.get_mut(&id).expect("a member");
        server.boot = Boot(server.boot.0 + 1);
        server.checked = Index::ZERO;
        let restored = server.disk.restore(server.boot, !self.mutations.none());
        server.core = Some(Core::new(server.config.clone(), restored, now));
    }

    pub(super) fn cut(&mut self, from: NodeId, to: NodeId) {
        self.cut.insert((from, to));
    }

    pub(super) fn isolate(&mut self, id: NodeId) {
        for other in self.ids() {
            self.cut.extend([(id, other), (other, id)]);
        }
    }

    /// Joins these servers with each other and cuts them off from all others.
    pub(super) fn only_join(&mut self, group: &[u32]) {
        self.cut.clear();
        for from in self.ids() {
            for to in self.ids() {
                if !(group.contains(&from.0) && group.contains(&to.0)) {
                    self.cut.insert((from, to));
                }
            }
        }
    }

    pub(super) fn heal_link(&mut self, from: NodeId, to: NodeId) {
        self.cut.remove(&(from, to));
    }

    pub(super) fn heal(&mut self) {
        self.cut.clear();
    }

    /// Lets a server do and hear nothing until it is restarted.
    pub(super) fn pause(&mut self, id: NodeId) {
        self.paused.insert(id);
    }

    /// Keeps what a server sends on its way until [`Network::release`].
    pub(super) fn hold(&mut self, from: NodeId) {
        self.holding = Some(from);
    }

    pub(super) fn release(&mut self) {
        self.holding = None;
        for (from, to, message) in std::mem::take(&mut self.held) {
            self.deliver(from, to, message);
        }
    }

    // ---- clients ----

    pub(super) fn submit(&mut self, to: NodeId, operation: Operation) -> Ticket {
        let server = self.servers.get_mut(&to).expect("a member");
        server.requests += 1;
        let request = RequestId(server.requests);
        let ticket = (to, server.boot, request);
        let input = Input::Request { request, operation };
        self.give(to, input);
        ticket
    }

    pub(super) fn outcome(&self, ticket: Ticket) -> Option<Outcome> {
        self.outcomes.get(&ticket).map(|(_, outcome)| outcome.clone())
    }

    /// Submits and runs until there is an answer.
    pub(super) fn call(&mut self, to: NodeId, operation: Operation) -> Outcome {
        let ticket = self.submit(to, operation);
        self.run_until("an answer", |network| network.outcome(ticket).is_some());
        self.outcome(ticket).expect("just seen")
    }

    // ---- time ----

    pub(super) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step_before(end) {}
        self.now = end;
    }

    /// Runs until the condition holds, for at most a minute of virtual time.
    pub(super) fn run_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let end = self.now + Duration::from_secs(60);
        while !condition(self) {
            assert!(self.step_before(end), "no {what} within a minute");
        }
    }

    /// The leader with the greatest term, if one is up and running.
    pub(super) fn leader(&self) -> Option<NodeId> {
        let running = self.servers.iter().filter(|(id, _)| !self.paused.contains(id));
        let leaders = running.filter_map(|(id, server)| {
            let core = server.core.as_ref()?;
            matches!(core.role, Role::Leader(_)).then_some((core.term, *id))
        });
        leaders.max().map(|(_, id)| id)
    }

    /// Runs until there is a leader, other than `not`, that committed an entry of its term.
    pub(super) fn elect(&mut self, not: Option<NodeId>) -> NodeId {
        let ready = |network: &Self| {
            let leader = network.leader().filter(|leader| Some(*leader) != not)?;
            let core = network.core(leader);
            let Role::Leader(leadership) = &core.role else { return None };
            (core.commit >= leadership.term_start).then_some(leader)
        };
        self.run_until("leader", |network| ready(network).is_some());
        ready(self).expect("just seen")
    }

    /// Makes a server stand for election now, and everyone forget that there was a leader.
    pub(super) fn stand(&mut self, id: NodeId) {
        for core in self.servers.values_mut().filter_map(|server| server.core.as_mut()) {
            core.heard = None;
        }
        let core = self.servers.get_mut(&id).and_then(|server| server.core.as_mut());
        let core = core.expect("the server is up");
        core.election_due = core.now;
        self.step(id, Input::Now(self.now));
    }

    fn step_before(&mut self, end: Duration) -> bool {
        let timers = self.servers.iter().filter(|(id, _)| !self.paused.contains(id));
        let timers = timers.filter_map(|(id, s)| Some((s.core.as_ref()?.next_due(), *id)));
        let timer = timers.min();
        let delivery = self.agenda.first_key_value().map(|(key, _)| key.0);
        let delivery_first = match (delivery, timer) {
            (Some(delivery), Some((timer, _))) => delivery <= timer,
            (delivery, _) => delivery.is_some(),
        };
        let next = delivery.into_iter().chain(timer.map(|(due, _)| due)).min();
        let Some(next) = next.filter(|next| *next <= end) else { return false };
        self.now = self.now.max(next);
        if delivery_first {
            let (_, event) = self.agenda.pop_first().expect("just seen");
            self.happen(event);
        } else if let Some((_, id)) = timer {
            self.step(id, Input::Now(self.now));
        }
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrival { from, to, message } => self.deliver(from, to, message),
            Event::Sync { id, boot, record } if self.lives(id, boot) => {
                let server = self.servers.get_mut(&id).expect("a member");
                for (to, message) in server.disk.sync(record) {
                    self.post(id, to, &message);
                }
                self.give(id, Input::Durable(record));
            }
            Event::Written { id, boot, bytes, input } if self.lives(id, boot) => {
                self.servers.get_mut(&id).expect("a member").disk.snapshot = bytes;
                self.give(id, input);
            }
            Event::Sync { .. } | Event::Written { .. } => {}
        }
    }

    fn lives(&self, id: NodeId, boot: Boot) -> bool {
        self.servers[&id].core.is_some() && self.servers[&id].boot == boot
    }

    fn plan(&mut self, least_us: u64, most_ms: u64, event: Event) {
        let micros = self.random.random_range(least_us..=(most_ms * 1000).max(least_us));
        self.planned += 1;
        self.agenda.insert((self.now + Duration::from_micros(micros), self.planned), event);
    }

    fn deliver(&mut self, from: NodeId, to: NodeId, message: Message) {
        // A server that was never started hears nothing.
        if !self.cut.contains(&(from, to)) && self.servers.contains_key(&to) {
            self.give(to, Input::Receive { from, message });
        }
    }

    fn give(&mut self, id: NodeId, input: Input) {
        if !self.paused.contains(&id) {
            self.step(id, input);
        }
    }

    fn step(&mut self, id: NodeId, input: Input) {
        let server = self.servers.get_mut(&id).expect("a member");
        let Some(core) = server.core.as_mut() else { return };
        let mut out = Vec::new();
        core.step(Input::Now(self.now), &mut out);
        core.step(input, &mut out);
        core.step(Input::Tick, &mut out);
        while !out.is_empty() {
            let before = self.servers[&id].disk.written;
            for output in std::mem::take(&mut out) {
                self.perform(id, output);
            }
            let server = self.servers.get_mut(&id).expect("a member");
            let (boot, record) = (server.boot, server.disk.written);
            if record == before {
                break;
            }
            if self.disk_ms > 0 {
                self.plan(50, self.disk_ms, Event::Sync { id, boot, record });
                break;
            }
            let ready = server.disk.sync(record);
            server.core.as_mut().expect("it just stepped").step(Input::Durable(record), &mut out);
            for (to, message) in ready {
                self.post(id, to, &message);
            }
        }
        self.check(id);
    }

    fn perform(&mut self, id: NodeId, output: Output) {
        let server = self.servers.get_mut(&id).expect("a member");
        let boot = server.boot;
        match output {
            Output::Persist(record) => server.disk.write(record),
            Output::Send { to, message, after } => {
                if let Some(message) = server.disk.hold(after, to, message) {
                    self.post(id, to, &message);
                }
            }
            Output::SendChunk { to, mut message, length } => {
                let Body::Install(chunk) = &mut message.body else { panic!("{message:?}") };
                let start = usize::try_from(chunk.offset).expect("small");
                let data = &server.disk.snapshot[start..][..length as usize];
                chunk.data = Bytes::copy_from_slice(data);
                self.post(id, to, &message);
            }
            Output::TakeSnapshot(snapshot) => {
                let bytes: Vec<u8> = SnapshotPieces::new(&snapshot).flatten().collect();
                let (total, checksum) = (bytes.len() as u64, crc32c::crc32c(&bytes));
                let input = Input::SnapshotTaken { snapshot: snapshot.id(), total, checksum };
                self.plan(0, self.disk_ms * 3, Event::Written { id, boot, bytes, input });
            }
            Output::KeepChunk { offset, data, .. } => {
                let offset = usize::try_from(offset).expect("small");
                server.disk.incoming.resize(offset, 0);
                server.disk.incoming.extend_from_slice(&data);
            }
            Output::InstallReceived { snapshot, .. } => {
                let bytes = std::mem::take(&mut server.disk.incoming);
                let input = match decode(&bytes) {
                    Some(received) => Input::SnapshotReceived(received),
                    None => Input::SnapshotFailed { snapshot },
                };
                self.plan(0, self.disk_ms * 3, Event::Written { id, boot, bytes, input });
            }
            Output::Answer { request, result } => {
                let ticket = (id, server.boot, request);
                let earlier = self.outcomes.insert(ticket, (self.now, result));
                assert!(earlier.is_none(), "a request is answered once: {earlier:?}");
            }
            Output::Changed(banner, Change::BecameLeader { .. }) => {
                let other = self.leaders.insert(banner.term, id);
                let alone = other.is_none() || !self.mutations.none();
                assert!(alone, "Election Safety: {other:?} and {id} lead term {}", banner.term);
            }
            Output::Changed(..) | Output::Members(_) => {}
        }
    }

    fn post(&mut self, from: NodeId, to: NodeId, message: &Message) {
        if self.random.random_bool(self.loss) {
            return;
        }
        if self.holding == Some(from) {
            self.held.push((from, to, message.clone()));
            return;
        }
        let copies = 1 + u32::from(self.random.random_bool(self.duplication));
        for _ in 0..copies {
            let message = message.clone();
            self.plan(100, self.delay_ms, Event::Arrival { from, to, message });
        }
    }

    fn check(&mut self, id: NodeId) {
        if !self.mutations.none() {
            return;
        }
        let server = self.servers.get_mut(&id).expect("a member");
        let core = server.core.as_ref().expect("it just stepped");
        for number in server.checked.max(core.log.base()).0 + 1..=core.commit.0 {
            let entry = core.log.get(Index(number)).expect("committed entries stay in the log");
            match self.committed.get(usize::try_from(number).expect("small") - 1) {
                Some(other) => assert_eq!(entry, other, "State Machine Safety at {number}"),
                None => self.committed.push(entry.clone()),
            }
        }
        server.checked = core.commit;
    }
}

fn decode(bytes: &[u8]) -> Option<Snapshot> {
    let mut reader = SnapshotReader::default();
    reader.push(bytes).ok()?;
    reader.finish().ok()
}
