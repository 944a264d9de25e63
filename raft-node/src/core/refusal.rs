//! Why a request was not carried out, and whether that is certain: all error replies in one place.
//!
//! A tester of this server lives by the difference between *certainly did not happen, now or ever*
//! (definite) and *the outcome is unknown* (indefinite). The first word of an error reply decides:
//!
//! Definite:
//!
//! * `ERR`: the request is malformed or over a limit, or the command changed nothing by its own
//!   rules; also `NOPROTO`, which `HELLO` alone answers, and `EXECABORT`, which `EXEC` does.
//! * `WRONGTYPE`: the key holds a value of another type than the command is for, and nothing changed.
//! * `NOSESSION`, `STALESEQUENCE`: `ONCE` refused this attempt. Earlier attempts under the same
//!   number may have been applied.
//! * `NOLEADER`: no leader was known for too long, or it could not be reached: nothing was
//!   submitted.
//! * `BUSY`: too much is waiting: nothing was submitted.
//! * `DROPPED`: another entry was committed in the place of the request's.
//! * `CHANGING`: a change of the members or of the leader is under way: nothing was submitted.
//! * `NOTPOSSIBLE`: the change makes no sense as the members are: nothing was submitted.
//! * `READFAILED`: a read was not confirmed by a quorum; reads have no effect.
//!
//! Indefinite:
//!
//! * `UNCERTAIN`: a write was submitted and its fate is unknown: it may take effect later.
//!
//! Within the answer to `EXEC` an error is that of one command, which changed nothing; the others of
//! the transaction were carried out. An error in the place of that answer speaks of them all.
//!
//! A connection that closes before the reply is indefinite too. `DROPPED` is certain because of Log
//! Matching and Leader Completeness (Raft §5.3, §5.4): an entry is named by index *and* term, the
//! committed log has one entry per index, and what is committed is never replaced. An entry that
//! was merely cut from one server's log is *not* certain: another server may hold it and bring it
//! back.

use super::operation::Failure;

/// Why a request got no answer from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No leader was known for longer than the limit, or the forward never left this server.
    #[error("no leader is known or reachable: nothing was submitted")]
    NoLeader,
    /// A queue is full.
    #[error("too many requests are waiting: nothing was submitted")]
    Busy,
    /// The log position went to another entry, and that one is committed.
    #[error("another entry was committed in this one's place")]
    Dropped,
    /// Another change of the members, of the leader or a snapshot is under way.
    #[error("another change is under way: nothing was submitted")]
    Changing,
    /// A member is to be added twice, a stranger removed, or the last voter.
    #[error("the members do not allow this change: nothing was submitted")]
    NotPossible,
    /// Leadership could not be confirmed, or was lost, before the read was served.
    #[error("the read was not confirmed by a quorum")]
    ReadFailed,
    /// The write was submitted, and nothing is known of its fate.
    #[error("the write was submitted and its outcome is unknown: it may take effect later")]
    Uncertain,
}

impl Refusal {
    /// Whether the operation certainly did not happen and never will.
    #[must_use]
    pub fn is_definite(self) -> bool {
        self != Self::Uncertain
    }

    /// The first word of the error reply.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::NoLeader => "NOLEADER",
            Self::Busy => "BUSY",
            Self::Dropped => "DROPPED",
            Self::Changing => "CHANGING",
            Self::NotPossible => "NOTPOSSIBLE",
            Self::ReadFailed => "READFAILED",
            Self::Uncertain => "UNCERTAIN",
        }
    }

    /// What is said when a request that was handed on, as a write or a read, got lost on the way.
    #[must_use]
    pub fn lost(is_write: bool) -> Self {
        if is_write { Self::Uncertain } else { Self::ReadFailed }
    }
}

impl Failure {
    /// The first word of the error reply.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::NotAnInteger
            | Self::Overflow
            | Self::ValueTooLong
            | Self::ReadTooLong
            | Self::CollectionTooLong => "ERR",
            Self::WrongType => "WRONGTYPE",
            Self::NoSession => "NOSESSION",
            Self::StaleSequence => "STALESEQUENCE",
        }
    }
}
