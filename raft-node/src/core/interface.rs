//! What goes into a server and what comes out of it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::log::Entry;
use super::membership::Configuration;
use super::message::Message;
use super::operation::{Operation, Reply};
use super::refusal::Refusal;
use super::snapshot::{Snapshot, SnapshotId};
use super::units::{Boot, Index, NodeId, RecordId, RequestId, Term};

/// What happened to the server.
#[derive(Clone, Debug)]
pub enum Input {
    /// The monotonic clock shows this, as time since an arbitrary beginning. Moves the clock only.
    /// Read it *after* the inputs that follow it were taken from their queues: a lease that holds
    /// at this moment must have held when they arrived.
    Now(Duration),
    /// The calendar clock shows this, as time since 1970. The protocol never looks at it, since it
    /// may jump; only planted bugs do. Needs to be told only when bugs are planted.
    WallClock(Duration),
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
    /// A [`Body::Forward`](super::message::Body::Forward) that was to be sent certainly did not
    /// leave this server.
    Undeliverable {
        /// The request that was to be forwarded.
        request: RequestId,
    },
    /// The records up to and including this one are durable. Tell it as soon as it is so, once for
    /// any number of records.
    Durable(RecordId),
    /// The records after the last durable one were not written, nor will be, and the messages that
    /// waited for them were dropped. A server whose disk fails stops; only a planted bug goes on.
    NotWritten,
    /// The snapshot of [`Output::TakeSnapshot`] is durable: it, and not an older one, is what a
    /// restart would find.
    SnapshotTaken {
        /// Which snapshot.
        snapshot: SnapshotId,
        /// The length of its bytes, as [`SnapshotPieces`](crate::codec::SnapshotPieces) makes them.
        total: u64,
        /// Their CRC32C.
        checksum: u32,
    },
    /// The snapshot of [`Output::TakeSnapshot`] could not be written, or of
    /// [`Output::InstallReceived`] not be read; what there was before is still there. Another try
    /// follows in its time.
    SnapshotFailed {
        /// Which snapshot.
        snapshot: SnapshotId,
    },
    /// The snapshot of [`Output::InstallReceived`] is durable, and this is what it says.
    SnapshotReceived(Snapshot),
}

/// What the server does, in the order to do it; see the [module](super) for what may be reordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Write this after the records before it, and say [`Input::Durable`] when it is durable. The
    /// records of a life are counted from 1 in the order of their outputs.
    Persist(Record),
    /// Send a message; it may get lost.
    Send {
        /// The receiver.
        to: NodeId,
        /// The message.
        message: Message,
        /// Not before this record is durable.
        after: RecordId,
    },
    /// Read a piece of the server's durable snapshot, put it into the message, and send it: nothing
    /// waits for it. Drop it if that snapshot is no longer there or cannot be read.
    SendChunk {
        /// The receiver.
        to: NodeId,
        /// The message: an [`Body::Install`](super::message::Body::Install) whose chunk names the
        /// snapshot and the offset, and whose data is yet empty.
        message: Message,
        /// How many bytes to read.
        length: u32,
    },
    /// Tell a client the outcome of its request.
    Answer {
        /// The request, which is thereby forgotten.
        request: RequestId,
        /// The store's reply, or why there is none.
        result: Result<Reply, Refusal>,
    },
    /// Write this snapshot in the background, and say [`Input::SnapshotTaken`] when it is durable
    /// under its final name. One at a time.
    TakeSnapshot(Snapshot),
    /// Keep a piece of a snapshot that another server sends. Offset 0 begins a new one, whatever
    /// was kept before is of no use then. It need not be durable, and may be lost at a restart.
    KeepChunk {
        /// Which snapshot.
        snapshot: SnapshotId,
        /// Where the bytes go.
        offset: u64,
        /// The bytes.
        data: Bytes,
    },
    /// All pieces are there, and their checksum is right: make them the server's durable snapshot,
    /// read it, and say [`Input::SnapshotReceived`].
    InstallReceived {
        /// Which snapshot.
        snapshot: SnapshotId,
        /// Its length in bytes.
        total: u64,
    },
    /// Another configuration is in effect: these servers are to be reached from now on. Also said
    /// when a configuration is taken back. Those that go should be reached for some seconds yet, to
    /// hear of it.
    Members(Arc<Configuration>),
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
    /// A durable snapshot covers the log up to `to`: these entries may be forgotten. If the log
    /// has no entry of that index and term, all of it is forgotten, and goes on after `to`.
    Trim {
        /// The last entry that may be forgotten. Never past the newest durable snapshot.
        to: Index,
        /// Its term.
        term: Term,
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

/// A change of role, of the leader, of the members, or of the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It asks whether it would win an election (pre-vote).
    BecamePreCandidate,
    /// It stands for election in the term.
    BecameCandidate,
    /// It won the election with these votes.
    BecameLeader {
        /// Who voted for it, itself included.
        votes: BTreeSet<NodeId>,
    },
    /// It was leader and saw a greater term.
    SteppedDown,
    /// It was leader and heard of no majority for an election timeout (check-quorum).
    LostQuorum,
    /// It was leader and is a voter no more.
    LeftVoters,
    /// It heard from the term's leader for the first time.
    FollowsLeader {
        /// The leader.
        leader: NodeId,
    },
    /// It is leader and hands over to another server.
    TransfersLeadership {
        /// Who is to lead.
        to: NodeId,
    },
    /// Another configuration is in effect.
    Members {
        /// Which.
        members: Arc<Configuration>,
    },
    /// It has a durable snapshot of its own making.
    TookSnapshot {
        /// Which.
        snapshot: SnapshotId,
    },
    /// It replaced its state by a snapshot of the leader's.
    InstalledSnapshot {
        /// Which.
        snapshot: SnapshotId,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BecamePreCandidate => write!(f, "became pre-candidate"),
            Self::BecameCandidate => write!(f, "became candidate"),
            Self::BecameLeader { votes } => {
                let votes: Vec<u32> = votes.iter().map(|vote| vote.0).collect();
                write!(f, "became leader, votes={votes:?}")
            }
            Self::SteppedDown => write!(f, "stepped down"),
            Self::LostQuorum => write!(f, "stepped down: heard of no majority"),
            Self::LeftVoters => write!(f, "stepped down: is a voter no more"),
            Self::FollowsLeader { leader } => write!(f, "follows leader {leader}"),
            Self::TransfersLeadership { to } => write!(f, "transfers leadership to {to}"),
            Self::Members { members } => write!(f, "members are {members}"),
            Self::TookSnapshot { snapshot } => write!(f, "took snapshot {snapshot}"),
            Self::InstalledSnapshot { snapshot } => write!(f, "installed snapshot {snapshot}"),
        }
    }
}

/// What a server tells about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Where it stands.
    pub banner: Banner,
    /// `leader`, `candidate` (asking for votes or pre-votes), `follower` or `learner`.
    pub role: &'static str,
    /// The leader of its term, if it heard from one lately.
    pub leader: Option<NodeId>,
    /// The last entry applied to its state.
    pub applied: Index,
    /// The last entry of its log.
    pub last: Index,
    /// The last entry known to be durable here.
    pub durable: Index,
    /// The first entry still in its log, or the one after the last if there is none.
    pub first: Index,
    /// The latest durable snapshot: what it covers.
    pub snapshot: Option<SnapshotId>,
    /// Keys in its state.
    pub keys: usize,
    /// How many of them expire.
    pub expiring: usize,
    /// Client sessions in its state.
    pub sessions: usize,
    /// Requests of its clients that wait for an answer.
    pub requests: usize,
}

/// What a leader knows of another member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerStatus {
    /// The member.
    pub id: NodeId,
    /// The last entry at which its durable log is known to agree.
    pub matched: Index,
    /// The next entry to send to it.
    pub next: Index,
    /// `probing`, `streaming` or `snapshot`.
    pub state: &'static str,
    /// How long ago it was last heard, counted from this leader's election at the latest.
    pub silent: Duration,
}

// Every message, record and answer is moved as one of these several times; up to this size a move
// is a few instructions in place, above it a call.
const _: () = assert!(size_of::<Input>() <= 128 && size_of::<Output>() <= 128);
