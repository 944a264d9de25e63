//! What servers say to each other.

use std::fmt;

use bytes::Bytes;

use super::log::Entry;
use super::operation::{Operation, Reply};
use super::refusal::Refusal;
use super::snapshot::SnapshotId;
use super::units::{Boot, Index, RequestId, Term};

/// A message between servers: the sender's current term, and what it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sender's term when it sent this. A greater one than the receiver's makes the receiver a
    /// follower in that term, whatever the body (Raft §5.1).
    pub term: Term,
    /// What it says.
    pub body: Body,
}

/// The content of a message. Any may be lost, delayed, duplicated and reordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A candidate asks for a vote (RequestVote, Raft Figure 2), or a server asks whether it would
    /// get one in the next term (pre-vote, thesis §9.6).
    RequestVote {
        /// What is asked for.
        ballot: VoteKind,
        /// The candidate's last log index.
        last_index: Index,
        /// The term of that entry.
        last_term: Term,
    },
    /// The answer to [`Body::RequestVote`].
    Vote {
        /// Whether this is about a pre-vote, which is not binding.
        pre: bool,
        /// Whether the candidate has the vote in `term`.
        granted: bool,
    },
    /// The leader replicates entries; without any, a heartbeat (AppendEntries, Raft Figure 2).
    Append(Append),
    /// The answer to [`Body::Append`].
    Appended {
        /// The term of the request. Not the reply's own: a reply to an old request, sent in a newer
        /// term, must not count for whatever its receiver is in that newer term.
        request_term: Term,
        /// The round of the request, which it confirms: the follower took the sender for the
        /// leader.
        round: u64,
        /// How the request's entries fit the follower's log.
        outcome: AppendOutcome,
    },
    /// The leader sends a piece of its snapshot to a follower that lacks entries which the leader
    /// has no more (InstallSnapshot, Raft Figure 13).
    Install(Chunk),
    /// The answer to [`Body::Install`], unless the snapshot is complete: then it is a
    /// [`Body::Appended`] that accepts all that the snapshot covers.
    ChunkKept {
        /// The term of the request.
        request_term: Term,
        /// Which snapshot.
        snapshot: SnapshotId,
        /// How many bytes are there without a gap: the offset to go on from.
        offset: u64,
    },
    /// The leader asks a follower to stand for election at once (leadership transfer, thesis
    /// §3.10).
    TimeoutNow,
    /// A client's request, from the server that got it to the leader of `term`.
    Forward {
        /// The sender's present life.
        boot: Boot,
        /// The sender's number for the request.
        request: RequestId,
        /// What the client wants.
        operation: Operation,
    },
    /// The answer to [`Body::Forward`].
    Answer {
        /// The life of the receiver that forwarded the request.
        boot: Boot,
        /// The receiver's number for the request.
        request: RequestId,
        /// What to tell the client.
        result: Result<Reply, Refusal>,
    },
}

impl Body {
    /// Whether it answers another server's message.
    pub(super) fn is_reply(&self) -> bool {
        matches!(self, Self::Vote { .. } | Self::Appended { .. } | Self::ChunkKept { .. })
    }
}

/// What kind of vote is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoteKind {
    /// Whether the sender would get a vote in the term after its own. Not binding.
    Pre,
    /// A vote in the sender's term.
    Vote,
    /// A vote in the sender's term, which the leader itself asked the sender to stand for: that a
    /// leader was just heard of is no reason to refuse.
    Transfer,
}

/// A piece of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Which snapshot.
    pub snapshot: SnapshotId,
    /// Where the data goes.
    pub offset: u64,
    /// The length of the whole, in bytes.
    pub total: u64,
    /// The CRC32C of the whole.
    pub checksum: u32,
    /// The bytes.
    pub data: Bytes,
}

/// AppendEntries without the term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The index just before the entries.
    pub previous_index: Index,
    /// The term of the leader's entry there.
    pub previous_term: Term,
    /// Consecutive entries that follow.
    pub entries: Vec<Entry>,
    /// The leader's commit index.
    pub commit: Index,
    /// The leader's latest round of confirmations when it sent this; the reply echoes it.
    pub round: u64,
}

/// How an Append fits the follower's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// The logs agree, and the follower's is durable, up to here.
    Accepted {
        /// The last index known to agree.
        matched: Index,
    },
    /// The follower has no entry like the one before the entries (Raft §5.3).
    Rejected {
        /// The request's previous index, by which the leader knows which request this answers.
        previous_index: Index,
        /// The term of the follower's entry there, if its log reaches that far.
        conflict_term: Option<Term>,
        /// The first index of that term in the follower's log, or the end of its log plus one.
        first_index: Index,
    },
}

/// One line for the log, without the clients' data.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let term = self.term;
        match &self.body {
            Body::RequestVote { ballot, last_index, last_term } => {
                write!(f, "RequestVote term={term} {ballot:?} last={last_index}@{last_term}")
            }
            Body::Vote { pre, granted } => {
                write!(f, "Vote term={term} pre={pre} granted={granted}")
            }
            Body::Append(append) => {
                let Append { previous_index, previous_term, entries, commit, round } = append;
                let count = entries.len();
                write!(f, "Append term={term} previous={previous_index}@{previous_term} ")?;
                write!(f, "entries={count} commit={commit} round={round}")
            }
            Body::Appended { request_term, round, outcome } => {
                write!(f, "Appended term={term} request term={request_term} round={round} ")?;
                match outcome {
                    AppendOutcome::Accepted { matched } => write!(f, "matched={matched}"),
                    AppendOutcome::Rejected { previous_index, first_index, .. } => {
                        write!(f, "rejected={previous_index} first={first_index}")
                    }
                }
            }
            Body::Install(Chunk { snapshot, offset, total, data, .. }) => {
                let length = data.len();
                write!(f, "Install term={term} snapshot={snapshot} ")?;
                write!(f, "offset={offset} length={length} total={total}")
            }
            Body::ChunkKept { request_term, snapshot, offset } => {
                write!(f, "ChunkKept term={term} request term={request_term} ")?;
                write!(f, "snapshot={snapshot} offset={offset}")
            }
            Body::TimeoutNow => write!(f, "TimeoutNow term={term}"),
            Body::Forward { request, .. } => write!(f, "Forward term={term} request={}", request.0),
            Body::Answer { request, result, .. } => {
                write!(f, "Answer term={term} request={} ok={}", request.0, result.is_ok())
            }
        }
    }
}
