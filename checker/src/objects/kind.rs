//! The catalogue of objects, by the names that people give them.

use std::fmt;

use super::{etcd, stream};
use crate::event::Function;
use crate::history::{Action, History, Response};
use crate::value::Value;

/// Which object a history is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKind {
    /// Gives out ids, none twice.
    Ids,
    /// Gives out numbers that rise.
    Timestamps,
    /// A lock that its owner may take again.
    ReentrantLock,
    /// A lock whose owners get numbers that rise.
    FencedLock,
    /// Permits that several may hold.
    Semaphore,
    /// A value with the number of its changes.
    VersionedRegister,
    /// Records at offsets.
    Log,
    /// A queue that is also drained, or read as a whole.
    DrainedQueue,
    /// A queue that gives out in any order.
    Bag,
    /// A register whose changes are followed.
    WatchedRegister,
    /// Accounts between which money goes, none of which is overdrawn.
    Bank,
    /// Accounts between which money goes.
    OverdraftBank,
    /// Keys with revisions and leases, all of them one object.
    EtcdStore,
    /// Records at the end of which clients write, on conditions.
    Stream,
}

/// What there is to say of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectEntry {
    /// Which.
    pub kind: ObjectKind,
    /// The name that stands in certificates.
    pub name: &'static str,
    /// Other names that people know it under.
    pub aliases: &'static [&'static str],
    /// What it is, in half a sentence.
    pub about: &'static str,
    /// What can be done with it.
    pub functions: &'static [Function],
}

/// All objects.
pub const OBJECTS: [ObjectEntry; 14] = [
    ObjectEntry {
        kind: ObjectKind::Ids,
        name: "ids",
        aliases: &["unique-ids"],
        about: "a generator per key that gives out no id twice",
        functions: &[Function::Next],
    },
    ObjectEntry {
        kind: ObjectKind::Timestamps,
        name: "timestamps",
        aliases: &["timestamp-oracle", "sequence"],
        about: "a generator per key whose numbers are unique and rise in real time",
        functions: &[Function::Next],
    },
    ObjectEntry {
        kind: ObjectKind::ReentrantLock,
        name: "reentrant-lock",
        aliases: &["reentrant-mutex"],
        about: "a lock per key that its owner may take several times",
        functions: &[Function::Acquire, Function::Release],
    },
    ObjectEntry {
        kind: ObjectKind::FencedLock,
        name: "fenced-lock",
        aliases: &["fenced-mutex"],
        about: "a lock per key that gives each owner a greater fencing token",
        functions: &[Function::Acquire, Function::Release],
    },
    ObjectEntry {
        kind: ObjectKind::Semaphore,
        name: "semaphore",
        aliases: &[],
        about: "permits per key that several may hold; --initial says how many",
        functions: &[Function::Acquire, Function::Release],
    },
    ObjectEntry {
        kind: ObjectKind::VersionedRegister,
        name: "versioned-register",
        aliases: &["versioned"],
        about: "one value per key with the number of its changes, which answers tell",
        functions: &[Function::Read, Function::Write, Function::Cas],
    },
    ObjectEntry {
        kind: ObjectKind::Log,
        name: "log",
        aliases: &["kafka", "stream"],
        about: "records per key at offsets that rise by one",
        functions: &[Function::Append, Function::Send, Function::Poll, Function::Read],
    },
    ObjectEntry {
        kind: ObjectKind::DrainedQueue,
        name: "drained-queue",
        aliases: &["total-queue"],
        about: "a queue per key that is also drained, or read as a whole",
        functions: &[Function::Enqueue, Function::Dequeue, Function::Drain, Function::Read],
    },
    ObjectEntry {
        kind: ObjectKind::Bag,
        name: "bag",
        aliases: &["unordered-queue"],
        about: "as drained-queue, in any order",
        functions: &[Function::Enqueue, Function::Dequeue, Function::Drain, Function::Read],
    },
    ObjectEntry {
        kind: ObjectKind::WatchedRegister,
        name: "watch",
        aliases: &["watched-register"],
        about: "one value per key whose changes are followed: all of them, in their order",
        functions: &[
            Function::Read,
            Function::Write,
            Function::Cas,
            Function::Delete,
            Function::Watch,
        ],
    },
    ObjectEntry {
        kind: ObjectKind::Bank,
        name: "bank",
        aliases: &[],
        about: "accounts that are read all at once, and transfers; no balance is negative",
        functions: &[Function::Read, Function::Transfer],
    },
    ObjectEntry {
        kind: ObjectKind::OverdraftBank,
        name: "overdraft-bank",
        aliases: &[],
        about: "as bank, with balances that may be negative",
        functions: &[Function::Read, Function::Transfer],
    },
    ObjectEntry {
        kind: ObjectKind::EtcdStore,
        name: "etcd",
        aliases: &["etcd-store"],
        about: "etcd's whole store, with revisions and leases; --initial says its first revision",
        functions: &[Function::Apply],
    },
    ObjectEntry {
        kind: ObjectKind::Stream,
        name: "s2",
        aliases: &["s2-stream"],
        about: "a stream of S2, with conditional appends",
        functions: &[Function::Apply],
    },
];

impl ObjectKind {
    /// What there is to say of it.
    pub fn entry(self) -> &'static ObjectEntry {
        let found = OBJECTS.iter().find(|entry| entry.kind == self);
        found.expect("every object is in the catalogue")
    }

    /// The name that stands in certificates.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// The object that bears this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let is_it = |entry: &&ObjectEntry| entry.name == name || entry.aliases.contains(&name);
        OBJECTS.iter().find(is_it).map(|entry| entry.kind)
    }

    /// The object that the history is about, where its operations fit none of the
    /// [models](crate::MODELS), or say more than those look at: what only one of the objects has.
    pub fn told_by(history: &History) -> Option<Self> {
        let has = |function: Function| {
            history.operations.iter().any(|it| it.action.function() == function)
        };
        let only = |functions: &[Function]| {
            history.operations.iter().all(|it| functions.contains(&it.action.function()))
        };
        if history.operations.is_empty() {
            return None;
        }
        if only(&[Function::Next]) {
            return Some(if numbers(history) { Self::Timestamps } else { Self::Ids });
        }
        if only(&[Function::Apply]) {
            let all = |is_request: fn(&Value) -> bool| {
                history.operations.iter().all(|it| is_request(&history.argument(it.action)))
            };
            return match () {
                () if all(etcd::is_request) => Some(Self::EtcdStore),
                () if all(stream::is_request) => Some(Self::Stream),
                () => None,
            };
        }
        if (has(Function::Send) || has(Function::Poll)) && only(Self::Log.entry().functions) {
            return Some(Self::Log);
        }
        if has(Function::Watch) && only(Self::WatchedRegister.entry().functions) {
            return Some(Self::WatchedRegister);
        }
        if has(Function::Transfer) && only(Self::Bank.entry().functions) {
            return Some(Self::Bank);
        }
        let is_queue = has(Function::Enqueue) || has(Function::Dequeue) || has(Function::Drain);
        let more = has(Function::Drain) || has(Function::Read);
        if is_queue && more && only(Self::DrainedQueue.entry().functions) {
            return Some(Self::DrainedQueue);
        }
        if only(Self::FencedLock.entry().functions) && answers(history, |it| fence(it).is_some()) {
            return Some(Self::FencedLock);
        }
        let versions = |value: &Value| versioned_map(value).is_some();
        let numbered = !history.revisions.is_empty();
        if only(Self::VersionedRegister.entry().functions)
            && (numbered || answers(history, versions))
        {
            return Some(Self::VersionedRegister);
        }
        None
    }
}

/// Whether some answer is so.
fn answers(history: &History, is_so: impl Fn(&Value) -> bool) -> bool {
    history.operations.iter().any(|it| match it.response() {
        Some(Response::Value(value)) => is_so(history.values.get(value)),
        _ => matches!(it.action, Action::Write(value) if is_so(history.values.get(value))),
    })
}

fn numbers(history: &History) -> bool {
    history.operations.iter().all(|it| match it.response() {
        Some(Response::Value(value)) => matches!(history.values.get(value), Value::Integer(_)),
        _ => true,
    })
}

/// The entry of a map, which a file's reader makes a list of pairs.
pub(super) fn entry<'a>(value: &'a Value, names: &[&str]) -> Option<&'a Value> {
    let Value::List(pairs) = value else { return None };
    pairs.iter().find_map(|pair| match pair {
        Value::List(pair) => match &**pair {
            [Value::Text(name), value] if names.contains(&name.trim_start_matches(':')) => {
                Some(value)
            }
            _ => None,
        },
        _ => None,
    })
}

/// The fencing token of an answer.
pub(super) fn fence(value: &Value) -> Option<i64> {
    match entry(value, &["fence", "fencing-token", "token", "revision"]) {
        Some(Value::Integer(fence)) => Some(*fence),
        _ => None,
    }
}

/// A value with its version, of a map that has both.
pub(super) fn versioned_map(value: &Value) -> Option<(&Value, i64)> {
    let held = entry(value, &["value"])?;
    match entry(value, &["version"])? {
        Value::Integer(version) => Some((held, *version)),
        _ => None,
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}
