//! What clients may ask of the store, and what it says when it did as asked.

use std::mem::size_of;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::units::{NodeId, SessionId};
pub use super::value::End;
use super::value::{element_bytes, total_bytes};

/// What a command takes besides its keys and values, about; the handle of one of them in a list.
/// Fixed, since snapshots are taken by it, and runs of the simulator repeat.
const COMMAND_BYTES: usize = 104;
const HANDLE_BYTES: usize = 32;

/// One request of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reads by way of ReadIndex; never enters the log.
    Read(Query),
    /// Reads what the server that is asked has applied, which may be old. It asks nobody, and answers at
    /// once, with or without a leader.
    StaleRead(Query),
    /// Changes the store by way of the log, which shares it.
    Write(Arc<Write>),
    /// Changes the cluster.
    Admin(Admin),
}

/// What to read, all of it at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// A string.
    Value(Bytes),
    /// The strings of several keys, in their order; none for a key that holds something else.
    Values(Vec<Bytes>),
    /// How many of the keys exist; one that is named twice counts twice.
    Count(Vec<Bytes>),
    /// In how many milliseconds a key expires, by the cluster's time: -1 if it does not, -2 if
    /// there is no such key.
    Expiry(Bytes),
    /// The name of the type of a key's value: `string`, `list` or `set`.
    Type(Bytes),
    /// The elements of a list from one place to another, both included; negative places count from
    /// the end, -1 being the last.
    Range {
        /// The list's key.
        key: Bytes,
        /// The first place.
        first: i64,
        /// The last place.
        last: i64,
    },
    /// How many elements a list has.
    Length(Bytes),
    /// The members of a set, in no order that clients may rely on.
    Members(Bytes),
    /// How many members a set has.
    Cardinality(Bytes),
    /// Whether a set has a member, as 1 or 0.
    Contains {
        /// The set's key.
        key: Bytes,
        /// The member.
        member: Bytes,
    },
}

/// What an operator may ask of the cluster, at any server. [`Reply::Ok`] says that it is done;
/// `Uncertain` that it was begun and may still come about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admin {
    /// Adds a server: first as a learner, and as a voter once it caught up. Done when it is a
    /// voter. A server that never catches up stays a learner until it is removed.
    Add {
        /// The server, which runs with an empty data directory or was a member before.
        id: NodeId,
        /// Where it is reached, in the driver's words.
        address: Bytes,
    },
    /// Removes a server, voter or learner. Done when the others decide without it.
    Remove {
        /// The server; the leader may remove itself.
        id: NodeId,
    },
    /// Hands the leadership over. Done when the leader saw the next term.
    Transfer {
        /// To whom; to the voter that lags least, if none is named.
        to: Option<NodeId>,
    },
    /// Takes a snapshot on the server that got the request, leader or not. Done when it is
    /// durable.
    Snapshot,
}

impl Operation {
    /// Whether it may change the store, so that losing its reply leaves its fate unknown.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(self, Self::Write(_) | Self::Admin(_))
    }
}

impl From<Write> for Operation {
    fn from(write: Write) -> Self {
        Self::Write(Arc::new(write))
    }
}

/// A change as the log carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// A command, applied every time it comes up in the log.
    Plain(Command),
    /// A command applied at most once, however often it comes up in the log (thesis §6.3).
    Once {
        /// The session it belongs to, opened before.
        session: SessionId,
        /// Its number in the session; later commands have greater numbers.
        sequence: u64,
        /// What to do.
        command: Command,
    },
    /// Opens a session and answers its number.
    OpenSession,
}

impl Write {
    /// Roughly how many bytes it takes in memory and on the wire.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Plain(command) => command.size(),
            Self::Once { command, .. } => 16 + command.size(),
            Self::OpenSession => 1,
        }
    }
}

/// A change to the store's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Sets a key, if the condition holds. Answers `Ok` if it does and `Nil` if not, or with `get`
    /// the value seen before.
    Set {
        /// The key.
        key: Bytes,
        /// The new value.
        value: Bytes,
        /// What must hold before.
        condition: Condition,
        /// When the key expires.
        expiry: Expiry,
        /// Answer the value seen before, whether or not the key was set.
        get: bool,
    },
    /// Sets keys, whatever they held, all at once; they do not expire. Answers `Ok`.
    SetMany {
        /// The keys and their new values; of a key named twice the last value stays.
        pairs: Vec<(Bytes, Bytes)>,
    },
    /// Adds to the end of a value, a missing one counting as empty. Answers the new length in
    /// bytes.
    Append {
        /// The key.
        key: Bytes,
        /// What to add.
        suffix: Bytes,
    },
    /// Removes keys. Answers how many existed.
    Delete {
        /// The keys; one that is named twice counts once.
        keys: Vec<Bytes>,
    },
    /// Removes a key. Answers the value it had, or `Nil`.
    Take {
        /// The key.
        key: Bytes,
    },
    /// Adds to a decimal number, a missing one counting as 0. Answers the new number.
    Add {
        /// The key.
        key: Bytes,
        /// What to add.
        amount: i64,
    },
    /// Lets a key that exists expire after a while, in the cluster's time; setting it again takes
    /// that back. Answers 1, or 0 if there is no such key.
    Expire {
        /// The key.
        key: Bytes,
        /// How long it lasts, in whole milliseconds; with 0 it is gone at once.
        life: Duration,
    },
    /// Lets a key expire no more. Answers 1, or 0 if there is no such key or it did not expire.
    Persist {
        /// The key.
        key: Bytes,
    },
    /// Removes a key that holds a string, if that is, or is not, the one given. Answers 1 if the key
    /// was removed, or 0.
    DeleteIf {
        /// The key.
        key: Bytes,
        /// What its value is compared with.
        value: Bytes,
        /// Whether to remove it if they are equal, or if they differ.
        equal: bool,
    },
    /// Adds elements to an end of a list, one after the other. Answers the new length.
    Push {
        /// The list's key.
        key: Bytes,
        /// Which end.
        end: End,
        /// The elements.
        elements: Vec<Bytes>,
    },
    /// Takes elements off an end of a list. Answers the element, or `Nil` if there is none; with a
    /// count the elements in the order of their taking, or `Nil` if there is no such key.
    Pop {
        /// The list's key.
        key: Bytes,
        /// Which end.
        end: End,
        /// How many at most; one if not given.
        count: Option<u64>,
    },
    /// Adds members to a set. Answers how many are new.
    AddMembers {
        /// The set's key.
        key: Bytes,
        /// The members; one that is named twice counts once.
        members: Vec<Bytes>,
    },
    /// Removes members of a set. Answers how many there were.
    RemoveMembers {
        /// The set's key.
        key: Bytes,
        /// The members; one that is named twice counts once.
        members: Vec<Bytes>,
    },
    /// Carries out steps one after the other, at one moment. Answers each step's reply; a step that
    /// fails by its own rules does not keep the others from being carried out. If a check does not hold
    /// when it begins, it does nothing and answers `Nil`.
    Transaction {
        /// The steps; none of them is a transaction.
        steps: Vec<Step>,
    },
}

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reads what the steps before it left.
    Read(Query),
    /// Changes keys.
    Write(Command),
    /// Lets the transaction be carried out only if a key holds exactly this string, or, without one,
    /// does not exist. Answers `Ok`.
    Check {
        /// The key.
        key: Bytes,
        /// What it must hold.
        expected: Option<Bytes>,
    },
}

/// What must hold for a key to be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Always,
    /// The key exists and holds exactly this (compare-and-set).
    Equals(Bytes),
    /// There is no such key.
    Missing,
    /// The key exists.
    Exists,
}

/// When a key expires that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Never, even if it was to expire before.
    Never,
    /// When it was to expire before, if it was.
    Kept,
    /// After this long, in whole milliseconds of the cluster's time.
    After(Duration),
}

impl Command {
    /// Sets a key, whatever it held.
    #[must_use]
    pub fn set(key: Bytes, value: Bytes) -> Self {
        let (condition, expiry) = (Condition::Always, Expiry::Never);
        Self::Set { key, value, condition, expiry, get: false }
    }

    /// Sets a key if it holds what is expected, and answers what it held.
    #[must_use]
    pub fn compare_and_set(key: Bytes, expected: Bytes, value: Bytes) -> Self {
        let (condition, expiry) = (Condition::Equals(expected), Expiry::Never);
        Self::Set { key, value, condition, expiry, get: true }
    }

    fn size(&self) -> usize {
        let bytes = match self {
            Self::Set { key, value, condition, .. } => {
                let expected =
                    if let Condition::Equals(expected) = condition { expected.len() } else { 0 };
                key.len() + value.len() + expected
            }
            Self::SetMany { pairs } => {
                let size = |(key, value): &(Bytes, Bytes)| key.len() + value.len();
                pairs.iter().map(|pair| size(pair) + 2 * HANDLE_BYTES).sum()
            }
            Self::Append { key, suffix } => key.len() + suffix.len(),
            Self::Delete { keys } => size_of_keys(keys),
            Self::Take { key }
            | Self::Add { key, .. }
            | Self::Expire { key, .. }
            | Self::Persist { key }
            | Self::Pop { key, .. } => key.len(),
            Self::DeleteIf { key, value, .. } => key.len() + value.len(),
            Self::Push { key, elements, .. } => key.len() + size_of_keys(elements),
            Self::AddMembers { key, members } | Self::RemoveMembers { key, members } => {
                key.len() + size_of_keys(members)
            }
            Self::Transaction { steps } => steps.iter().map(Step::size).sum(),
        };
        bytes + COMMAND_BYTES
    }
}

impl Step {
    fn size(&self) -> usize {
        match self {
            Self::Write(command) => command.size(),
            Self::Read(query) => query.size() + COMMAND_BYTES,
            Self::Check { key, expected } => {
                key.len() + expected.as_ref().map_or(0, Bytes::len) + COMMAND_BYTES
            }
        }
    }
}

impl Query {
    /// Roughly how many bytes its keys take in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Value(key)
            | Self::Expiry(key)
            | Self::Type(key)
            | Self::Range { key, .. }
            | Self::Length(key)
            | Self::Members(key)
            | Self::Cardinality(key) => key.len(),
            Self::Values(keys) | Self::Count(keys) => size_of_keys(keys),
            Self::Contains { key, member } => key.len() + member.len(),
        }
    }
}

/// What keys, values or elements take in a list.
fn size_of_keys(keys: &[Bytes]) -> usize {
    keys.iter().map(|key| key.len() + HANDLE_BYTES).sum()
}

/// What the store says when an operation was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Done.
    Ok,
    /// There is no such key or element, or the compare-and-set found another value.
    Nil,
    /// A number.
    Integer(i64),
    /// A string or an element.
    Value(Bytes),
    /// Several keys' values, where there are any, or several elements.
    Values(Vec<Option<Bytes>>),
    /// The replies to the steps of a transaction.
    Several(Vec<Reply>),
    /// The command was applied and, by its own rules, changed nothing.
    Failure(Failure),
}

impl Reply {
    /// How many bytes it keeps alive when stored for a session.
    #[must_use]
    pub fn size(&self) -> usize {
        let bytes = match self {
            Self::Value(value) => value.len(),
            Self::Values(values) => {
                let size = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
                values.iter().map(|value| size(value) + size_of::<Option<Bytes>>()).sum()
            }
            Self::Several(replies) => replies.iter().map(Self::size).sum(),
            _ => 0,
        };
        size_of::<Self>() + bytes
    }

    /// Several elements.
    pub(super) fn elements<'a>(elements: impl IntoIterator<Item = &'a Bytes>) -> Self {
        Self::Values(elements.into_iter().cloned().map(Some).collect())
    }

    /// How much of what one answer may carry it takes: strings and elements only.
    pub(super) fn payload(&self) -> usize {
        match self {
            Self::Value(value) => element_bytes(value),
            Self::Values(values) => total_bytes(values.iter().flatten()),
            _ => 0,
        }
    }
}

/// Why an applied command changed nothing, or a confirmed read has no answer. Every server decides
/// the same, since it depends on the replicated state alone. All are definite: see [`Refusal`](super::Refusal) for the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// `INCR` of something else than a 64-bit decimal number.
    #[error("value is not an integer or out of range")]
    NotAnInteger,
    /// `INCR` past the greatest number, or `DECR` past the least.
    #[error("increment or decrement would overflow")]
    Overflow,
    /// `APPEND` past the limit on a value's length.
    #[error("string exceeds maximum allowed size ({} bytes)", super::MAX_VALUE_BYTES)]
    ValueTooLong,
    /// A read, or a transaction, of more than a reply may carry.
    #[error("the values together are longer than {} bytes", super::MAX_READ_BYTES)]
    ReadTooLong,
    /// The key holds a value of another type than the command is for.
    #[error("Operation against a key holding the wrong kind of value")]
    WrongType,
    /// A list or set would get past its limit.
    #[error("the list or set would be longer than {} bytes", super::MAX_COLLECTION_BYTES)]
    CollectionTooLong,
    /// The session was never opened, or was forgotten because others were used since.
    #[error(
        "the session does not exist, or expired: this attempt had no effect; earlier ones may have"
    )]
    NoSession,
    /// A later command of the session was applied already.
    #[error(
        "a later sequence of the session was applied: this attempt had no effect; earlier may have"
    )]
    StaleSequence,
}
