//! What a check concludes, and the evidence for it. All of it is plain data: it goes to
//! `verdict.json`, `certificate.json` and the report.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::Level;
use crate::event::{Event, EventKind, Function, Nanoseconds, ProcessId, present};
use crate::isolation::{Isolation, IsolationLevel};
use crate::value::Value;
use crate::words;

/// The answer. Ordered by how it merges over keys and runs: the greatest wins, so a violation
/// outweighs an unknown, which outweighs a valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// There is a linearization; a [`Certificate`] shows it.
    Valid,
    /// Neither was shown: a budget ran out, or nothing was tested.
    Unknown,
    /// There is no linearization; a [`Counterexample`] shows why.
    Violation,
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Valid => "valid",
            Self::Unknown => "unknown",
            Self::Violation => "violation",
        })
    }
}

/// Why a history without a completed operation has no verdict.
pub(crate) const NOTHING_TESTED: &str = "no operation completed: nothing was tested";

/// The whole outcome of a check.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Analysis {
    /// The worst verdict of all keys.
    pub verdict: Verdict,
    /// Per key, in order of first appearance.
    pub keys: Vec<KeyAnalysis>,
    /// For a violation: the one to show first, of the key whose proof is complete earliest in the
    /// history. Every violating key has [its own](KeyAnalysis::counterexample).
    pub counterexample: Option<Counterexample>,
    /// For an unknown: why, one sentence each.
    pub reasons: Vec<String>,
    /// For transactions: which isolation levels hold and which do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
}

impl Analysis {
    /// Nothing was shown, for these reasons.
    pub const fn unknown(reasons: Vec<String>) -> Self {
        Self {
            verdict: Verdict::Unknown,
            keys: Vec::new(),
            counterexample: None,
            reasons,
            isolation: None,
        }
    }

    /// The verdict on a history as a whole, of those on its keys: the worst of them, and unknown
    /// where there is none. The counterexample is the one that is proven first.
    pub fn of_keys(keys: Vec<KeyAnalysis>) -> Self {
        let Some(verdict) = keys.iter().map(|key| key.verdict).max() else {
            return Self::unknown(vec![NOTHING_TESTED.to_owned()]);
        };
        let found = keys.iter().filter_map(|key| key.counterexample.as_deref());
        let counterexample = found.min_by_key(|found| found.proven_at()).cloned();
        let reason = |key: &KeyAnalysis| {
            let reason = key.reason.as_ref()?;
            Some(format!("{}: {reason}", words::key(&key.key)))
        };
        let reasons = keys.iter().filter_map(reason).collect();
        Self { verdict, keys, counterexample, reasons, isolation: None }
    }
}

/// What was found for one key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeyAnalysis {
    /// The key.
    pub key: Value,
    /// The verdict on its operations.
    pub verdict: Verdict,
    /// The engine that decided: a monitor, `zones`, `queue`, `stack` or `set`; a search, `frontier`
    /// or `wgl`; `auto` if both searches tried and neither could; `none` if nothing was tried.
    pub engine: String,
    /// How many operations the key has, failed ones left out.
    pub operations: usize,
    /// For an unknown: what ran out and how far the search got.
    pub reason: Option<String>,
    /// What the object held before the first operation, where that is not what all objects held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<Value>,
    /// For a violation: the operations of this key that prove it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterexample: Option<Box<Counterexample>>,
}

impl KeyAnalysis {
    /// The verdict of `engine` on the `operations` of `key`, with nothing to show for it.
    pub fn new(key: Value, verdict: Verdict, engine: &str, operations: usize) -> Self {
        Self {
            key,
            verdict,
            engine: engine.to_owned(),
            operations,
            reason: None,
            initial: None,
            counterexample: None,
        }
    }

    /// A violation.
    pub fn violation(engine: &str, operations: usize, found: Counterexample) -> Self {
        let violation = Self::new(found.key.clone(), Verdict::Violation, engine, operations);
        Self { counterexample: Some(Box::new(found)), ..violation }
    }
}

/// For every key an order of its operations that explains what all clients saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The model's name, as in [`MODELS`](crate::model::MODELS).
    pub model: String,
    /// For transactions: the isolation level that it proves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<IsolationLevel>,
    /// The value of every object before the first operation.
    pub initial: Value,
    /// What the history is proven to be; absent for linearizable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Level>,
    /// The orders, one per key. If all operations work on one object, one order under null; so it is
    /// of levels that are about all keys at once.
    pub keys: Vec<KeyOrder>,
    /// What operations saw, where their answers do not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub saw: Vec<ReadsFrom>,
}

/// What an operation saw, by the indexes of invocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadsFrom {
    /// The operation.
    pub read: u64,
    /// The write that it saw; nothing for what was there in the beginning.
    pub write: Option<u64>,
}

/// One key's part of a [`Certificate`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyOrder {
    /// The key.
    pub key: Value,
    /// The operations in the order in which they took effect, each by the index of its invocation.
    /// Indeterminate operations that are not listed never happened.
    pub order: Vec<u64>,
    /// What the object holds before the first operation, where that is not what all objects hold.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub initial: Option<Value>,
}

/// A handful of operations of one key that no order explains.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Counterexample {
    /// The key.
    pub key: Value,
    /// What kind of wrong it is.
    pub anomaly: Anomaly,
    /// The explanation, in one sentence for a newcomer.
    pub sentence: String,
    /// For what was read too late: how long before the read was invoked the newest operation of the
    /// proof came back that saw or made something newer.
    pub stale_for: Option<Nanoseconds>,
    /// For what was read too late: how many changes had surely come after what was read, and been
    /// acknowledged or seen, when the read was invoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_by_versions: Option<u64>,
    /// The operations, by invocation. Those that are not there for [context](CounterexampleOperation::context) are
    /// not linearizable on their own, and leaving the others out was sound. A compare-and-set at the end of a long chain of them, whose
    /// expectation plays no part in the proof, stands here as the plain write that it also is.
    pub operations: Vec<CounterexampleOperation>,
    /// Why each must come before which other; a cycle. Empty if there is none, or none was found.
    pub cycle: Vec<Edge>,
    /// Where the answers are impossible in any order, regardless of time: how far orders get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impasse: Option<LongestPrefix>,
    /// What may explain it better than a fault of the store, and the option to give then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How far an order of a counterexample's operations gets in which the answers are possible,
/// without regard to time. There is none that holds more of the completed operations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongestPrefix {
    /// The order, as indexes into [`Counterexample::operations`].
    pub order: Vec<usize>,
    /// The completed operations that are left, none of which can follow.
    pub refused: Vec<usize>,
}

impl Counterexample {
    /// The operations that prove it: all but those shown for context.
    pub fn proof(&self) -> impl Iterator<Item = &CounterexampleOperation> {
        self.operations.iter().filter(|witness| !witness.context)
    }

    /// The events of the operations that prove it, in order, with the indexes they have in the
    /// history: a history of its own, which anybody can check again.
    pub fn events(&self) -> Vec<Event> {
        let mut events: Vec<Event> = self.proof().flat_map(|o| self.pair(o)).collect();
        events.sort_by_key(|event| event.index);
        events
    }

    /// Shows an operation besides, for context.
    pub(crate) fn add_context(&mut self, witness: CounterexampleOperation) {
        let place = self.operations.partition_point(|other| other.index < witness.index);
        if self.operations.get(place).is_some_and(|other| other.index == witness.index) {
            return;
        }
        let moved = |at: &mut usize| *at += usize::from(*at >= place);
        for edge in &mut self.cycle {
            moved(&mut edge.from);
            moved(&mut edge.to);
            edge.given.iter_mut().flatten().for_each(moved);
        }
        if let Some(impasse) = &mut self.impasse {
            impasse.order.iter_mut().chain(&mut impasse.refused).for_each(moved);
        }
        self.operations.insert(place, CounterexampleOperation { context: true, ..witness });
    }

    /// How stale, in words: `748 ms and 3 versions`. Nothing if it is not about staleness.
    pub fn staleness(&self) -> Option<String> {
        let time = self.stale_for.map(|time| words::duration(time, true));
        let versions = self.stale_by_versions.map(|versions| match versions {
            1 => "1 version".to_owned(),
            more => format!("{more} versions"),
        });
        match (time, versions) {
            (Some(time), Some(versions)) => Some(format!("{time} and {versions}")),
            (time, versions) => time.or(versions),
        }
    }

    /// The index of the event with which the proof is complete.
    pub fn proven_at(&self) -> u64 {
        let end =
            |witness: &CounterexampleOperation| match (witness.outcome, witness.completed_index) {
                (EventKind::Ok, Some(index)) => index,
                _ => witness.index,
            };
        self.proof().map(end).max().unwrap_or(u64::MAX)
    }

    fn pair(&self, witness: &CounterexampleOperation) -> impl Iterator<Item = Event> {
        let invocation = Event {
            index: witness.index,
            time: witness.invoked,
            process: witness.process,
            kind: EventKind::Invoke,
            function: witness.function,
            key: witness.key.as_ref().unwrap_or(&self.key).clone(),
            value: witness.asked(),
            swapped: None,
            saw: None,
            node: witness.node.as_deref().map(Into::into),
            error: None,
            level: witness.level,
            revision: None,
        };
        let completion =
            witness.completed.zip(witness.completed_index).map(|(time, index)| Event {
                index,
                time,
                kind: witness.outcome,
                value: witness.value.clone(),
                swapped: witness.swapped,
                saw: witness.saw.clone(),
                revision: witness.revision,
                ..invocation.clone()
            });
        std::iter::once(invocation).chain(completion)
    }
}

/// The field's names for what can be wrong; `docs/anomalies.md` defines each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Anomaly {
    /// A read returned a value that had certainly been overwritten; what had replaced it is still
    /// there.
    StaleRead,
    /// An acknowledged write is gone: nothing after it shows it, or what can have replaced it.
    LostWrite,
    /// A value was read that was never written.
    ValueFromNowhere,
    /// A value was read whose write is recorded as failed.
    AbortedRead,
    /// A value was read before its writer was invoked.
    ReadFromTheFuture,
    /// A compare-and-set replaced a value that another write had replaced already.
    #[serde(alias = "duplicate-swap")]
    LostUpdate,
    /// Compare-and-sets that could only follow each other in a circle.
    CircularSwaps,
    /// Two values each had to be there at the same time, or in both orders.
    ContradictoryOrder,
    /// Something was applied more often than it was asked for.
    DuplicateApply,
    /// A read of a set showed an element more than once.
    DuplicateElement,
    /// What was put in and never taken out was missing.
    LostElement,
    /// What was taken out was there again.
    ResurrectedElement,
    /// A queue gave a value out before one that was put in earlier.
    OutOfOrderDequeue,
    /// A stack gave a value out from below others.
    OutOfOrderPop,
    /// A queue or stack said that it was empty while it was not.
    FalseEmpty,
    /// A lock had two owners at a time.
    TwoOwners,
    /// A lock was released that was not held.
    ReleaseOfFreeLock,
    /// A transaction saw one write of another and missed the next.
    FracturedRead,
    /// Transactions overwrote each other's versions in a circle.
    G0,
    /// As [`Self::G0`], with the order of a process.
    G0Process,
    /// As [`Self::G0`], with real time.
    G0Realtime,
    /// A transaction read what an aborted one wrote.
    G1a,
    /// A transaction read what its writer replaced before it ended.
    G1b,
    /// Transactions read from each other, or overwrote each other, in a circle.
    G1c,
    /// As [`Self::G1c`], with the order of a process.
    G1cProcess,
    /// As [`Self::G1c`], with real time.
    G1cRealtime,
    /// A transaction saw something and missed what came before it: a circle in which one read was
    /// overwritten.
    GSingle,
    /// As [`Self::GSingle`], with the order of a process.
    GSingleProcess,
    /// As [`Self::GSingle`], with real time.
    GSingleRealtime,
    /// A circle in which several reads were overwritten.
    G2Item,
    /// As [`Self::G2Item`], with the order of a process.
    G2ItemProcess,
    /// As [`Self::G2Item`], with real time.
    G2ItemRealtime,
    /// Two transactions read what the other overwrote.
    WriteSkew,
    /// Transactions saw others in different orders: a circle in which no two overwritten reads follow
    /// each other.
    LongFork,
    /// A transaction did not see its own writes, or saw them too early.
    Internal,
    /// A transaction saw two versions of a key.
    NonRepeatableRead,
    /// Two reads of a list, neither of which begins with the other.
    IncompatibleOrder,
    /// An id was given out twice.
    DuplicateId,
    /// A number that was given out is smaller than one that was given out before.
    FallingNumber,
    /// A lock's fencing token did not rise.
    FallingFence,
    /// More held a semaphore's permits than there are.
    TooManyHolders,
    /// Versions of a register do not rise with its changes.
    VersionConflict,
    /// What a watch saw is no run of the changes.
    WatchConflict,
    /// Records of a log contradict their offsets.
    OffsetConflict,
    /// A read that may be late was later than promised.
    TooStale,
    /// A process did not see what it had written itself.
    OwnWriteMissed,
    /// A process read something older than what it had read before.
    NonMonotonicRead,
    /// A process saw a write and missed an earlier one by the same writer.
    NonMonotonicWrite,
    /// A process saw a write and missed what its writer had read before.
    WriteBeforeItsRead,
    /// A process missed something that it knew of.
    NotCausal,
    /// No order keeps every process's own, and no simpler name fits.
    NotSequential,
    /// Accounts of a bank hold more or less together than before.
    WrongTotal,
    /// An account is overdrawn.
    NegativeBalance,
    /// No order exists, and no simpler name fits.
    NotLinearizable,
}

impl Anomaly {
    /// The name as people write it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::StaleRead => "stale read",
            Self::LostWrite => "lost write",
            Self::ValueFromNowhere => "value from nowhere",
            Self::ReadFromTheFuture => "read from the future",
            Self::AbortedRead => "read of a failed write",
            Self::LostUpdate => "lost update",
            Self::CircularSwaps => "compare-and-sets in a circle",
            Self::ContradictoryOrder => "contradictory order",
            Self::DuplicateApply => "applied twice",
            Self::DuplicateElement => "duplicate element",
            Self::LostElement => "lost element",
            Self::ResurrectedElement => "removed element came back",
            Self::OutOfOrderDequeue => "dequeue out of order",
            Self::OutOfOrderPop => "pop out of order",
            Self::FalseEmpty => "empty while it was not",
            Self::TwoOwners => "two owners of a lock",
            Self::ReleaseOfFreeLock => "release of a free lock",
            Self::FracturedRead => "fractured read",
            Self::G0 => "G0 (dirty write)",
            Self::G0Process => "G0-process (dirty write against the order of a process)",
            Self::G0Realtime => "G0-realtime (write order against real time)",
            Self::G1a => "G1a (aborted read)",
            Self::G1b => "G1b (intermediate read)",
            Self::G1c => "G1c (circular information flow)",
            Self::G1cProcess => "G1c-process (information flow against the order of a process)",
            Self::G1cRealtime => "G1c-realtime (information flow against real time)",
            Self::GSingle => "G-single (read skew)",
            Self::GSingleProcess => "G-single-process (stale read in the order of a process)",
            Self::GSingleRealtime => "G-single-realtime (stale read)",
            Self::G2Item => "G2-item (anti-dependency cycle)",
            Self::G2ItemProcess => "G2-item-process (anti-dependency cycle)",
            Self::G2ItemRealtime => "G2-item-realtime (anti-dependency cycle)",
            Self::WriteSkew => "write skew (G2-item)",
            Self::LongFork => "long fork (G-nonadjacent)",
            Self::Internal => "internal inconsistency",
            Self::NonRepeatableRead => "non-repeatable read",
            Self::IncompatibleOrder => "incompatible order",
            Self::DuplicateId => "id given out twice",
            Self::FallingNumber => "number that fell",
            Self::FallingFence => "fencing token that fell",
            Self::TooManyHolders => "more holders than permits",
            Self::VersionConflict => "contradictory versions",
            Self::WatchConflict => "contradictory watch",
            Self::OffsetConflict => "contradictory offsets",
            Self::TooStale => "staler than promised",
            Self::OwnWriteMissed => "own write missed",
            Self::NonMonotonicRead => "non-monotonic read",
            Self::NonMonotonicWrite => "non-monotonic write",
            Self::WriteBeforeItsRead => "write before what it followed",
            Self::NotCausal => "not causal",
            Self::NotSequential => "not sequential",
            Self::WrongTotal => "wrong total",
            Self::NegativeBalance => "negative balance",
            Self::NotLinearizable => "not linearizable",
        }
    }
}

/// One operation of a counterexample, whole, so that a report needs nothing else to draw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterexampleOperation {
    /// The index of the invocation in the history.
    pub index: u64,
    /// Who invoked it.
    pub process: ProcessId,
    /// Where it was sent, if known.
    pub node: Option<String>,
    /// What it does.
    pub function: Function,
    /// The argument, or what was read; `[expected, new]` for a compare-and-set.
    pub value: Value,
    /// The argument, where `value` is an answer to one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub argument: Option<Value>,
    /// For a completed compare-and-set, whether it matched.
    pub swapped: Option<bool>,
    /// For one that did not match: what it saw.
    pub saw: Option<Value>,
    /// When it was invoked.
    pub invoked: Nanoseconds,
    /// When it came back; absent if it never did.
    pub completed: Option<Nanoseconds>,
    /// The index of the completion in the history: two events can share a time, never an index.
    #[serde(default)]
    pub completed_index: Option<u64>,
    /// How it came back: `ok` or `info`.
    pub outcome: EventKind,
    /// Whether it is shown for context only: the others have no order without it, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub context: bool,
    /// Its key, where that is not the key of the counterexample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Value>,
    /// The level that it was asked for with, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// The number of the state that it answered from, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

impl CounterexampleOperation {
    /// Whether its times are those of a clock, not [numbers of events](crate::History::has_clock).
    pub fn has_clock(&self) -> bool {
        let completed = self.completed.zip(self.completed_index);
        self.invoked.0 != self.index || completed.is_some_and(|(time, index)| time.0 != index)
    }

    /// What the invocation said.
    pub fn asked(&self) -> Value {
        match (&self.argument, self.function) {
            (Some(argument), _) => argument.clone(),
            (None, Function::Read | Function::Dequeue | Function::Pop | Function::Delete) => {
                Value::Null
            }
            (None, _) => self.value.clone(),
        }
    }
}

/// One step of a counterexample's cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The operation that must come first, as an index into [`Counterexample::operations`].
    pub from: usize,
    /// The operation that must come later.
    pub to: usize,
    /// Why.
    pub relation: Relation,
    /// The pairs of operations that this rests on, of each of which the first came back before the
    /// second was invoked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<[usize; 2]>,
}

/// Why one operation must come before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// It came back before the other was invoked.
    RealTime,
    /// The other observed the value it wrote.
    ReadsFrom,
    /// It wrote the version of a key before that of the other.
    VersionOrder,
    /// One process did it before the other.
    Session,
    /// What it observed leaves it no later place: the other's value (or one before it) overwrote
    /// the one that it saw, or took the turn after its own.
    OverwrittenBefore,
    /// All orders in which the answers are possible have it so.
    Inferred,
}
