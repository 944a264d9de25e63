//! Decides what one Raft server does next, given what just happened to it.
//!
//! The core is a state machine without input or output of its own. [`Core::step`] takes one
//! [`Input`] (time, a message, a client's request) and appends [`Output`]s, in the order in which
//! they must be performed: a record goes to the disk before any later message or answer leaves. The
//! core reads no clock, no socket, no disk and no ambient randomness; the same inputs give the same
//! outputs, so that a whole cluster can run inside a test or a simulator.
//!
//! # How it works
//!
//! Raft elects one leader per term, and the leader alone adds to the log (Ongaro & Ousterhout, *In
//! Search of an Understandable Consensus Algorithm*, 2014; Ongaro's thesis, 2014). Each concern has
//! its file:
//!
//! * `election`: who leads. Randomised timeouts, one vote per term, and only for a candidate whose
//!   log is at least as up to date as the voter's (Raft §5.2, §5.4.1).
//! * `replication` and `follower`: the two ends of AppendEntries. One message serves as
//!   replication, heartbeat and confirmation for reads; entries go out in batches, several batches
//!   in flight; a conflict backs up by a whole term at a time (Raft §5.3). A leader commits by
//!   counting replicas of its own term's entries only, and opens its term with a no-op (§5.4.2,
//!   §8).
//! * `reads`: ReadIndex (thesis §6.4). A read waits for a round of heartbeats that *began after it
//!   arrived* to be confirmed by a quorum, and for the state to include all that was committed
//!   then.
//! * `requests`: clients' requests, on the server that got them and on the leader they are
//!   forwarded to, and when their fate counts as unknown.
//! * [`sessions`]: commands that are applied once though they are sent twice (thesis §6.3).
//! * [`log`], `machine`: the log and the replicated state.
//!
//! # What keeps it safe
//!
//! * Terms: every message carries its sender's term. A greater one makes the receiver a follower of
//!   that term before anything else is looked at; a smaller one is answered if it asks, and dropped
//!   if it replies. A reply can thus only be counted in the term, and the role, it was meant for.
//! * Durability: a vote, a term and entries are [`Output::Persist`]ed before the message that
//!   promises them. The leader's own copy counts towards the quorum because whatever can complete
//!   the quorum, a follower's reply, arrives in a later step.
//! * Peers are visited in id order, for determinism.
//! * Asserts guard the invariants; they stand back only where a planted bug breaks them on purpose.
//!
//! # Costs
//!
//! A step is O(log n) in what is pending, plus the entries it moves. A write costs one round trip
//! and two disk syncs in a row, shared by everything that arrived meanwhile; a read costs one round
//! trip, shared likewise, and no sync.
//!
//! # What is left out
//!
//! * Log compaction and snapshots (Raft §7, thesis §5): a restart replays the log.
//! * Membership changes (thesis §4): the members are fixed.
//! * Pre-vote (thesis §9.6) and leader stickiness (§4.2.3): a server that returns from a partition
//!   deposes the leader once.
//! * Stepping down when a quorum is silent (thesis §6.2): a leader cut off stays one, harmlessly;
//!   its requests wait until they time out. One that can send but not receive keeps its followers.
//! * Leadership transfer (thesis §3.10) and leases (§6.4.1).
//! * Writing to the leader's disk in parallel with replication (thesis §10.2.1).

mod election;
mod follower;
pub mod log;
mod machine;
pub mod message;
pub mod operation;
mod reads;
pub mod refusal;
mod replication;
mod requests;
pub mod sessions;
pub mod units;

#[cfg(test)]
mod network;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use self::log::{Entry, Log};
use self::machine::Machine;
use self::message::Body;
pub use self::message::Message;
pub use self::operation::{Operation, Reply};
pub use self::refusal::Refusal;
use self::replication::Leadership;
use self::requests::{Origin, Requests};
use self::units::{Boot, Index, NodeId, RequestId, Term};
use crate::mutations::Mutations;

/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 4 << 10;
/// The longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 1 << 20;

/// What a server is told when it starts, the same on every start.
#[derive(Clone, Debug)]
pub struct Config {
    /// This server.
    pub id: NodeId,
    /// All servers, this one included.
    pub members: BTreeSet<NodeId>,
    /// How often a leader lets its followers hear from it.
    pub heartbeat: Duration,
    /// How long a follower waits for a leader before it stands for election, drawn anew each time.
    pub election_timeout: RangeInclusive<Duration>,
    /// How long a request may take before it is refused; a write's fate is then unknown.
    pub request_timeout: Duration,
    /// How long a request may wait for a leader to be known.
    pub leader_wait: Duration,
    /// Seeds the election timeouts.
    pub seed: u64,
    /// The planted bugs that are switched on.
    pub mutations: Mutations,
}

/// What a server remembers across restarts.
#[derive(Debug, Default)]
pub struct Restored {
    /// Which life of the server this is.
    pub boot: Boot,
    /// The latest term it has seen.
    pub term: Term,
    /// Whom it voted for in that term.
    pub vote: Option<NodeId>,
    /// Its log, consecutive from index 1.
    pub entries: Vec<Entry>,
}

/// A record that cannot follow those before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// An entry does not continue the log.
    #[error("entry {found} follows entry {last}")]
    Gap {
        /// The entry's index.
        found: Index,
        /// The log's last index.
        last: Index,
    },
    /// The term falls.
    #[error("term {found} follows term {term}")]
    TermFalls {
        /// The record's term.
        found: Term,
        /// The term before it.
        term: Term,
    },
}

impl Restored {
    /// Takes the next record of the disk, in the order of their [`Output::Persist`].
    ///
    /// # Errors
    ///
    /// When the records cannot have been made by a core, in this order.
    pub fn replay(&mut self, record: Record) -> Result<(), ReplayError> {
        let last = Index(self.entries.len() as u64);
        match record {
            Record::HardState { term, .. } if term < self.term => {
                return Err(ReplayError::TermFalls { found: term, term: self.term });
            }
            Record::HardState { term, vote } => (self.term, self.vote) = (term, vote),
            Record::Append(entry) if entry.index != last.next() => {
                return Err(ReplayError::Gap { found: entry.index, last });
            }
            Record::Append(entry) => self.entries.push(entry),
            Record::Truncate { from } => {
                let keep = usize::try_from(from.previous().0).unwrap_or(usize::MAX);
                self.entries.truncate(keep);
            }
            Record::Boot(boot) => self.boot = boot,
        }
        Ok(())
    }
}

/// What happened to the server.
#[derive(Clone, Debug)]
pub enum Input {
    /// The monotonic clock shows this, as time since an arbitrary beginning. Moves the clock only.
    Now(Duration),
    /// Everything at hand was put in: fire the timers that are due and send what has gathered.
    Tick,
    /// A message arrived.
    Receive {
        /// Who sent it.
        from: NodeId,
        /// What it says.
        message: Message,
    },
    /// A client asks for something.
    Request {
        /// The driver's number for it, greater than any before in this life.
        request: RequestId,
        /// What the client wants.
        operation: Operation,
    },
    /// A [`Body::Forward`] that was to be sent certainly did not leave this server.
    Undeliverable {
        /// The request that was to be forwarded.
        request: RequestId,
    },
}

/// What the server does, in the order to do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Make this durable before performing any later `Send` or `Answer`.
    Persist(Record),
    /// Send a message; it may get lost.
    Send {
        /// The receiver.
        to: NodeId,
        /// The message.
        message: Message,
    },
    /// Tell a client the outcome of its request.
    Answer {
        /// The request, which is thereby forgotten.
        request: RequestId,
        /// The store's reply, or why there is none.
        result: Result<Reply, Refusal>,
    },
    /// Something changed that a person may want to read about.
    Changed(Banner, Change),
}

/// One durable step of a server, replayed in order at restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The term, and whom the server voted for in it.
    HardState {
        /// The current term.
        term: Term,
        /// The vote given in it.
        vote: Option<NodeId>,
    },
    /// An entry at the end of the log.
    Append(Entry),
    /// The log loses the entry at `from` and all after it.
    Truncate {
        /// The first index removed.
        from: Index,
    },
    /// The server was started.
    Boot(Boot),
}

/// Where a server stands, at the head of its log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Banner {
    /// The server.
    pub server: NodeId,
    /// Its term.
    pub term: Term,
    /// Its commit index.
    pub commit: Index,
}

impl fmt::Display for Banner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, term, commit } = self;
        write!(f, "[server {server}, term={term}, commit index={commit}]")
    }
}

/// A change of role or of the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It stands for election in the term.
    BecameCandidate,
    /// It won the election with these votes.
    BecameLeader {
        /// Who voted for it, itself included.
        votes: BTreeSet<NodeId>,
    },
    /// It was leader and saw a greater term.
    SteppedDown,
    /// It heard from the term's leader for the first time.
    FollowsLeader {
        /// The leader.
        leader: NodeId,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BecameCandidate => write!(f, "became candidate"),
            Self::BecameLeader { votes } => {
                let votes: Vec<u32> = votes.iter().map(|vote| vote.0).collect();
                write!(f, "became leader, votes={votes:?}")
            }
            Self::SteppedDown => write!(f, "stepped down"),
            Self::FollowsLeader { leader } => write!(f, "follows leader {leader}"),
        }
    }
}

/// What a server tells about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Where it stands.
    pub banner: Banner,
    /// `leader`, `candidate` or `follower`.
    pub role: &'static str,
    /// The leader of its term, if it heard from one lately.
    pub leader: Option<NodeId>,
    /// The last entry applied to its state.
    pub applied: Index,
    /// The last entry of its log.
    pub last: Index,
}

#[derive(Debug)]
enum Role {
    Follower,
    Candidate { votes: BTreeSet<NodeId> },
    Leader(Leadership),
}

/// One Raft server; see the [module](self).
#[derive(Debug)]
pub struct Core {
    config: Config,
    /// The other servers, in id order.
    peers: Vec<NodeId>,
    boot: Boot,
    term: Term,
    vote: Option<NodeId>,
    log: Log,
    commit: Index,
    machine: Machine,
    role: Role,
    leader: Option<NodeId>,
    now: Duration,
    /// When to stand for election; of no use to a leader.
    election_due: Duration,
    random: ChaCha8Rng,
    requests: Requests,
    /// Whoever waits for an entry this server appended as leader, in whatever term.
    writes: BTreeMap<(Index, Term), Origin>,
    mutations: Mutations,
}

impl Core {
    /// Starts a server from what it remembers, as a follower. `now` is the clock of [`Input::Now`].
    #[must_use]
    pub fn new(config: Config, restored: Restored, now: Duration) -> Self {
        assert!(config.members.contains(&config.id), "a server is a member of its own cluster");
        let peers = config.members.iter().copied().filter(|id| *id != config.id).collect();
        let mut random = ChaCha8Rng::seed_from_u64(config.seed);
        // One stream per server and life: restarts and servers that share a seed draw apart.
        random.set_stream(u64::from(config.id.0) << 32 | restored.boot.0 & 0xffff_ffff);
        let mut core = Self {
            peers,
            boot: restored.boot,
            term: restored.term,
            vote: restored.vote,
            log: Log::new(restored.entries),
            commit: Index::ZERO,
            machine: Machine::default(),
            role: Role::Follower,
            leader: None,
            now,
            election_due: now,
            random,
            requests: Requests::default(),
            writes: BTreeMap::new(),
            mutations: config.mutations,
            config,
        };
        core.reset_election_timer();
        core
    }

    /// Advances the server by one input. `out` gains effects in order: make a `Persist` durable
    /// before any later `Send` or `Answer`, and perform all of a step before the next
    /// [`Input::Tick`] that follows a reply to it.
    pub fn step(&mut self, input: Input, out: &mut Vec<Output>) {
        match input {
            // A clock that seems to go back is a clock that stands still.
            Input::Now(now) => self.now = self.now.max(now),
            Input::Tick => self.tick(out),
            Input::Receive { from, message } => self.receive(from, message, out),
            Input::Request { request, operation } => self.request(request, operation, out),
            Input::Undeliverable { request } => self.undeliverable(request, out),
        }
    }

    /// When [`Input::Tick`] next has something to do though nothing arrives.
    #[must_use]
    pub fn next_due(&self) -> Duration {
        let timer = match &self.role {
            Role::Leader(leadership) => leadership.heartbeat_due,
            Role::Follower | Role::Candidate { .. } => self.election_due,
        };
        self.requests.next_due().map_or(timer, |due| due.min(timer))
    }

    /// Tells where the server stands.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            banner: self.banner(),
            role: match self.role {
                Role::Follower => "follower",
                Role::Candidate { .. } => "candidate",
                Role::Leader(_) => "leader",
            },
            leader: self.leader,
            applied: self.machine.applied(),
            last: self.log.last_index(),
        }
    }

    fn tick(&mut self, out: &mut Vec<Output>) {
        if !matches!(self.role, Role::Leader(_)) && self.now >= self.election_due {
            self.stand_for_election(out);
        }
        self.expire_requests(out);
        self.dispatch_waiting(out);
        if matches!(self.role, Role::Leader(_)) {
            self.broadcast(out);
        }
    }

    fn receive(&mut self, from: NodeId, message: Message, out: &mut Vec<Output>) {
        if !self.peers.contains(&from) {
            return;
        }
        // Raft §5.1: a server with an older term adopts the newer one and follows.
        if message.term > self.term {
            self.adopt_term(message.term, out);
        }
        let term = message.term;
        match message.body {
            Body::RequestVote { last_index, last_term } => {
                self.receive_request_vote(from, term, (last_term, last_index), out);
            }
            Body::Vote { granted } => self.receive_vote(from, term, granted, out),
            Body::Append(append) => self.receive_append(from, term, append, out),
            Body::Appended { request_term, round, outcome } => {
                // Terms only rise, so the reply's own lies between the request's and ours.
                if request_term == self.term {
                    self.receive_appended(from, round, outcome, out);
                }
            }
            Body::Forward { boot, request, operation } => {
                self.receive_forward(Origin::Peer { from, boot, request }, term, operation, out);
            }
            Body::Answer { boot, request, result } => {
                self.receive_answer(from, boot, request, result, out);
            }
        }
    }

    /// How many servers make a majority.
    fn quorum(&self) -> usize {
        self.config.members.len() / 2 + 1
    }

    fn send(&self, to: NodeId, body: Body, out: &mut Vec<Output>) {
        out.push(Output::Send { to, message: Message { term: self.term, body } });
    }

    fn persist_hard_state(&self, out: &mut Vec<Output>) {
        out.push(Output::Persist(Record::HardState { term: self.term, vote: self.vote }));
    }

    fn append_to_log(&mut self, entry: Entry, out: &mut Vec<Output>) {
        out.push(Output::Persist(Record::Append(entry.clone())));
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
            let reply = self.machine.apply(entry);
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
