//! Decides what one Raft server does next, given what just happened to it.
//!
//! The core is a state machine without input or output of its own. [`Core::step`] takes one
//! [`Input`] (time, a message, a client's request, news of the disk) and appends [`Output`]s, in
//! the order to perform them. It reads no clock, no socket, no disk and no ambient randomness; the
//! same inputs give the same outputs, so that a whole cluster can run inside a test or a simulator.
//!
//! # How it works
//!
//! Raft elects one leader per term, and the leader alone adds to the log (Ongaro & Ousterhout, *In
//! Search of an Understandable Consensus Algorithm*, 2014; Ongaro's thesis, 2014). Each concern has
//! its file:
//!
//! * `election`: who leads. Randomised timeouts, pre-votes, one durable vote per term, and only for
//!   a candidate whose log is at least as up to date as the voter's (Raft §5.2, §5.4.1, thesis
//!   §9.6); followers that stick to their leader (§4.2.3), leaders that give up when they hear of
//!   no majority (§6.2). `transfer`: who is to lead next (§3.10).
//! * `replication`, `progress` and `follower`: the two ends of AppendEntries. One message serves as
//!   replication, heartbeat and confirmation for reads; entries go out in batches, several batches
//!   in flight within a window; a conflict backs up by a whole term at a time (Raft §5.3). A leader
//!   commits by counting durable replicas of its own term's entries only, its own copy among them,
//!   and opens its term with a no-op (§5.4.2, §8).
//! * `durability`: what the disk has. A leader writes in parallel with its followers (thesis
//!   §10.2.1).
//! * `reads`: ReadIndex (thesis §6.4). A read waits for a round of heartbeats that *began after it
//!   arrived* to be confirmed by a quorum, and for the state to include all that was committed
//!   then. `lease`, off by default: reads without a round, by the clock (§6.4.1).
//! * `requests`: clients' requests, on the server that got them and on the leader they are
//!   forwarded to, and when their fate counts as unknown.
//! * [`sessions`]: commands that are applied once though they are sent twice, with expiry by
//!   the time that leaders write into entries (thesis §6.3).
//! * `members` and [`membership`]: joint consensus, with learners that catch up first (Raft §6,
//!   thesis §4.2.1, §4.3).
//! * `compaction`, `install`, [`snapshot`], `recovery`: snapshots taken while entries go on being
//!   applied, sent in chunks, installed as a whole, and what a restart makes of snapshot and log
//!   (Raft §7, thesis §5).
//! * [`log`], `machine`, `values`: the log and the replicated state.
//!
//! # The contract
//!
//! The driver owns the clock, the disk, the network and the clients. It says what happened
//! ([`Input`]) and performs what comes out ([`Output`]):
//!
//! * *A turn*: take what waits in the queues, then read the clock and step [`Input::Now`], then the
//!   inputs, then [`Input::Tick`], which sends what has gathered; when to turn though nothing
//!   arrived, [`Core::next_due`] says. Steps need not wait for outputs: the disk may lag behind by
//!   any number of turns.
//! * *Records* ([`Output::Persist`]) are written in the order of their outputs, which numbers them
//!   1, 2, … in each life of the server (`Boot` records that the driver writes itself are not
//!   counted). The driver says [`Input::Durable`] with the number up to which all are durable;
//!   many records, one sync, one input. A driver that cannot write or sync stops for good.
//! * *Messages* ([`Output::Send`]) say themselves what they wait for: not before record `after` is
//!   durable. A leader's entries wait for nothing, and leave before their own record is even handed
//!   out; votes and acknowledgements wait. Among the messages to one server that wait for nothing
//!   the order should be kept, for speed; no safety depends on it. Everything else may be
//!   reordered, delayed, lost: a message that is held back may be overtaken by later ones.
//! * *Answers* ([`Output::Answer`]) wait for nothing: the core gives them when they are true.
//! * *Snapshots of its own*: [`Output::TakeSnapshot`] hands out a view that costs nothing and does
//!   not change; the driver writes [`SnapshotPieces`](crate::codec::SnapshotPieces) of it to a
//!   temporary file in the background, syncs, renames, syncs the directory, and says
//!   [`Input::SnapshotTaken`], or [`Input::SnapshotFailed`]. Only then follows [`Record::Trim`].
//! * *Snapshots of others*: [`Output::SendChunk`] has the driver of the leader read a piece of its
//!   file. The receiver's core checks order, length and checksum, has each piece kept
//!   ([`Output::KeepChunk`]; in the order of these outputs) and then installed
//!   ([`Output::InstallReceived`]): sync, rename, sync the directory, read it with
//!   [`SnapshotReader`](crate::codec::SnapshotReader), say [`Input::SnapshotReceived`]. The old
//!   state is replaced in that step, and the log trimmed by the [`Record::Trim`] that follows.
//! * *Restart*: [`Restored`] takes the newest durable snapshot, and replays all records that were
//!   written, in order; those before the last `Trim` may be missing but for the last `HardState`.
//!   A snapshot may be newer than the last `Trim`, never older: if the log was trimmed past the
//!   snapshot, the disk is damaged.
//!
//! # What keeps it safe
//!
//! * Terms: every message carries its sender's term. A greater one makes the receiver a follower of
//!   that term before anything else is looked at; a smaller one is answered if it asks, and dropped
//!   if it replies. A reply can thus only be counted in the term, and the role, it was meant for.
//! * Durability: a message that promises a vote, a term or entries names the record it waits for.
//!   The leader's own vote and its own copy count once they are durable, like anyone's.
//! * What is trimmed was committed, and covered by a durable snapshot; what is installed covers
//!   more than was committed before.
//! * Peers are visited in id order, for determinism.
//! * Asserts guard the invariants; they stand back only where a planted bug breaks them on purpose.
//!
//! # Costs
//!
//! A step is O(log n) in what is pending, plus the entries it moves. A write costs one round trip
//! and one disk sync, the slowest of a quorum's, shared by everything that arrived meanwhile; a
//! read costs one round trip, shared likewise, and no sync. A command is one lookup in an ordered
//! map of some hundred keys (see `values` for memory per key). A snapshot costs the step that takes
//! it a copy of 4096 pointers, and the writes after it one copy of each map they touch.
//!
//! # What is left out
//!
//! * Votes and pre-votes by priority, witnesses, and learners that stay learners for reading.
//! * Several membership changes at once (thesis §4.3), and rounds that measure how fast a learner
//!   catches up (§4.2.1): one that never does stays a learner until it is removed.
//! * Reads at followers (thesis §6.4): they are forwarded to the leader.
//! * Incremental snapshots (thesis §5.3), and log-structured ones. A snapshot is whole.
//! * Sharing one batch's memory among followers: each gets its own list of entries, though the
//!   keys and values in it are shared.
//! * Byzantine faults: messages are believed (Raft §2).

mod collections;
mod compaction;
mod config;
mod digest;
mod durability;
mod election;
mod follower;
mod install;
mod interface;
mod lease;
pub mod log;
pub(crate) mod machine;
mod members;
pub mod membership;
pub mod message;
pub mod operation;
mod progress;
mod reads;
mod recovery;
pub mod refusal;
mod replication;
mod requests;
mod restored;
pub mod sessions;
pub mod snapshot;
mod transactions;
mod transfer;
pub mod units;
pub(crate) mod value;
pub(crate) mod values;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use self::compaction::Compaction as Compactor;
pub use self::config::{Compaction, Config, Lease};
use self::durability::Durability;
use self::election::Votes;
use self::install::Incoming;
pub use self::interface::{Banner, Change, FollowerStatus, Input, Output, Record, Status};
use self::log::{Entry, Log};
use self::machine::Machine;
use self::members::Members;
use self::message::Body;
pub use self::message::Message;
pub use self::operation::{Admin, Operation, Reply};
use self::recovery::Recovered;
pub use self::refusal::Refusal;
use self::replication::Leadership;
use self::requests::{Origin, Requests};
pub use self::restored::{ReplayError, Restored};
pub use self::snapshot::{Snapshot, SnapshotId};
use self::units::{Boot, Index, NodeId, RecordId, Term, Timestamp};
use crate::mutations::{Mutation, Mutations};

/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 4 << 10;
/// The longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// The most that one read of several keys, or one transaction, answers, in bytes.
pub const MAX_READ_BYTES: usize = 4 << 20;
/// The most that a list or set holds, in bytes, each element counting 16 more than its own: what one
/// read can still answer.
pub const MAX_COLLECTION_BYTES: usize = MAX_READ_BYTES;
/// What a planted bug keeps for every entry, in bytes.
const KEPT_BYTES: usize = 64 << 10;

#[derive(Debug)]
enum Role {
    Follower,
    PreCandidate { votes: Votes },
    Candidate { votes: Votes },
    Leader(Box<Leadership>),
}

/// One Raft server; see the [module](self).
#[derive(Debug)]
pub struct Core {
    config: Config,
    /// The other members, in id order.
    peers: Vec<NodeId>,
    boot: Boot,
    term: Term,
    vote: Option<NodeId>,
    log: Log,
    durability: Durability,
    commit: Index,
    machine: Machine,
    members: Members,
    compaction: Compactor,
    incoming: Option<Incoming>,
    role: Role,
    leader: Option<NodeId>,
    /// When a leader was last heard, or may have been before a restart.
    heard: Option<Duration>,
    now: Duration,
    wall: Duration,
    /// When to stand for election; of no use to a leader.
    election_due: Duration,
    random: ChaCha8Rng,
    requests: Requests,
    /// Whoever waits for an entry this server appended as leader, in whatever term.
    writes: BTreeMap<(Index, Term), Origin>,
    /// Records that bring the log on the disk in line with a newer snapshot, after a restart.
    corrections: Vec<Record>,
    /// What a planted bug never frees.
    kept: Vec<Vec<u8>>,
    mutations: Mutations,
}

impl Core {
    /// Starts a server from what it remembers, as a follower. `now` is the clock of [`Input::Now`].
    #[must_use]
    pub fn new(config: Config, restored: Restored, now: Duration) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(config.seed);
        // One stream per server and life: restarts and servers that share a seed draw apart.
        random.set_stream(u64::from(config.id.0) << 32 | restored.boot.0 & 0xffff_ffff);
        let recovered = Recovered::new(&config, restored);
        let (log, members) = (recovered.log, recovered.members);
        let everyone = members.everyone();
        let mut core = Self {
            peers: everyone.into_iter().filter(|id| *id != config.id).collect(),
            boot: recovered.boot,
            term: recovered.term,
            vote: recovered.vote,
            durability: Durability::new(log.last_index()),
            log,
            commit: recovered.commit,
            machine: recovered.machine,
            members,
            compaction: Compactor::new(recovered.snapshot),
            incoming: None,
            corrections: recovered.corrections,
            kept: Vec::new(),
            role: Role::Follower,
            leader: None,
            heard: None,
            now,
            wall: Duration::ZERO,
            election_due: now,
            random,
            requests: Requests::default(),
            writes: BTreeMap::new(),
            mutations: config.mutations,
            config,
        };
        core.heard = core.heard_at_start();
        core.reset_election_timer();
        core
    }

    /// Advances the server by one input. `out` gains effects, in the order of the
    /// [contract](self#the-contract).
    pub fn step(&mut self, input: Input, out: &mut Vec<Output>) {
        if !self.corrections.is_empty() {
            self.persist_corrections(out);
        }
        match input {
            // A clock that seems to go back is a clock that stands still.
            Input::Now(now) => self.now = self.now.max(now),
            Input::WallClock(wall) => self.wall = wall,
            Input::Tick => {
                self.log.tidy();
                self.tick(out);
            }
            Input::Receive { from, message } => {
                self.log.tidy();
                self.receive(from, message, out);
            }
            Input::Request { request, operation } => self.request(request, operation, out),
            Input::Undeliverable { request } => self.undeliverable(request, out),
            Input::Durable(record) => self.durable(record, out),
            Input::NotWritten => self.not_written(out),
            Input::SnapshotTaken { snapshot, total, checksum } => {
                self.snapshot_taken(snapshot, (total, checksum), out);
            }
            Input::SnapshotFailed { snapshot } => {
                self.snapshot_not_taken(snapshot, out);
                self.snapshot_not_received(snapshot);
            }
            Input::SnapshotReceived(snapshot) => self.install(snapshot, out),
        }
    }

    /// When [`Input::Tick`] next has something to do though nothing arrives.
    #[must_use]
    pub fn next_due(&self) -> Duration {
        let timer = match &self.role {
            Role::Leader(leadership) => leadership.heartbeat_due,
            _ => self.ask_due().map_or(self.election_due, |due| due.min(self.election_due)),
        };
        self.requests.next_due().map_or(timer, |due| due.min(timer))
    }

    /// Tells where the server stands.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            banner: self.banner(),
            role: match self.role {
                Role::Follower if !self.configuration().is_voter(self.config.id) => "learner",
                Role::Follower => "follower",
                Role::PreCandidate { .. } | Role::Candidate { .. } => "candidate",
                Role::Leader(_) => "leader",
            },
            leader: self.leader,
            applied: self.machine.applied(),
            last: self.log.last_index(),
            durable: self.durability.log(),
            first: self.log.base().next(),
            snapshot: self.compaction.latest,
            keys: self.machine.values.len(),
            expiring: self.machine.values.expiring(),
            sessions: self.machine.sessions.len(),
            requests: self.requests.len(),
        }
    }

    /// Whether the server leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// What changes of [`Core::status`] from step to step, for a caller that looks after every one:
    /// the banner, the last index of the log, and the last index applied.
    #[must_use]
    pub fn standing(&self) -> (Banner, Index, Index) {
        (self.banner(), self.log.last_index(), self.machine.applied())
    }

    /// What this server, if it leads, knows of the other members, in id order; else nothing.
    #[must_use]
    pub fn followers(&self) -> Vec<FollowerStatus> {
        match &self.role {
            Role::Leader(leadership) => leadership.statuses(self.now),
            _ => Vec::new(),
        }
    }

    fn tick(&mut self, out: &mut Vec<Output>) {
        self.seek_votes(out);
        self.expire_requests(out);
        self.dispatch_waiting(out);
        self.lead(out);
        self.settle_members(out);
        self.persist_entries(out);
        self.snapshot_when_due(out);
    }

    fn receive(&mut self, from: NodeId, message: Message, out: &mut Vec<Output>) {
        if from == self.config.id {
            return;
        }
        if self.mutations.has(Mutation::TimerResetOnAnyRpc) {
            self.reset_election_timer();
        }
        if self.ignores(&message.body) {
            return;
        }
        // Raft §5.1: a server with an older term adopts the newer one and follows.
        let deaf = message.body.is_reply() && self.mutations.has(Mutation::NoStepDown);
        if message.term > self.term && !deaf {
            self.adopt_term(message.term, out);
        }
        let term = message.term;
        let source = (from, term);
        match message.body {
            Body::RequestVote { ballot, last_index, last_term } => {
                self.receive_request_vote(source, ballot, (last_term, last_index), out);
            }
            Body::Vote { pre, granted } => self.receive_vote(source, pre, granted, out),
            Body::Append(append) => self.receive_append(source, append, out),
            Body::Appended { request_term, round, outcome } => {
                // Terms only rise, so the reply's own lies between the request's and ours.
                if request_term == self.term {
                    self.receive_appended(from, round, outcome, out);
                }
            }
            Body::Install(chunk) => self.receive_install(source, chunk, out),
            Body::ChunkKept { request_term, snapshot, offset } => {
                if request_term == self.term {
                    self.receive_kept(from, snapshot, offset, out);
                }
            }
            Body::TimeoutNow => self.receive_timeout_now(source, out),
            Body::Forward { boot, request, operation } => {
                self.receive_forward(Origin::Peer { from, boot, request }, term, operation, out);
            }
            Body::Answer { boot, request, result } => {
                self.receive_answer(from, boot, request, result, out);
            }
        }
    }

    /// Sends a message that promises nothing.
    fn send(&self, to: NodeId, body: Body, out: &mut Vec<Output>) {
        self.send_after(RecordId::ZERO, to, body, out);
    }

    /// Sends a message that promises what the records up to `after` say.
    fn send_after(&self, after: RecordId, to: NodeId, body: Body, out: &mut Vec<Output>) {
        let message = Message { term: self.term, body };
        out.push(Output::Send { to, message, after });
    }

    /// Adds an entry to the log, and to what [`Core::persist_entries`] is to persist.
    fn append_to_log(&mut self, entry: Entry, out: &mut Vec<Output>) {
        self.note_members(&entry, out);
        self.log.append(entry);
    }

    /// Moves the commit index up, applies what it covers, and answers those who waited for it.
    fn commit_to(&mut self, commit: Index, out: &mut Vec<Output>) {
        if commit <= self.commit {
            return;
        }
        self.commit = commit;
        while self.machine.applied() < self.commit {
            let index = self.machine.applied().next();
            let Some(entry) = self.log.get(index) else {
                // Only a planted bug can commit, then cut, an entry it has not applied.
                assert!(!self.mutations.none(), "committed entry {index} is missing");
                return;
            };
            let term = entry.term;
            let mut time = entry.time;
            if self.mutations.has(Mutation::NondeterministicApply) {
                time = Timestamp(0).after(self.wall);
            }
            self.compaction.applied(entry.size());
            let is_leader = matches!(self.role, Role::Leader(_));
            let reply = match self.mutations.has(Mutation::FollowersSkipApply) && !is_leader {
                true => self.machine.skip(entry),
                false => self.machine.apply(entry, time, self.mutations),
            };
            if self.mutations.has(Mutation::AppliedKept) {
                self.kept.push(vec![1; KEPT_BYTES]);
            }
            self.settle_writes(index, term, &reply, out);
        }
    }

    fn banner(&self) -> Banner {
        Banner { server: self.config.id, term: self.term, commit: self.commit }
    }

    fn changed(&self, change: Change, out: &mut Vec<Output>) {
        out.push(Output::Changed(self.banner(), change));
    }
}
