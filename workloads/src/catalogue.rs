//! The workloads by name.

use std::fmt;

use partita_checker::objects::ObjectKind;
use partita_checker::{Function, ModelKind};
use thiserror::Error;

use crate::append::{Append, AppendOptions};
use crate::bank::Bank;
use crate::client::{Protocol, RetryPolicy};
use crate::containers::{Container, Containers};
use crate::counter::Counter;
use crate::generator::Generator;
use crate::ids::Ids;
use crate::lock::Lock;
use crate::operation::Kind;
use crate::register::{Register, RegisterOptions};
use crate::set::Set;
use crate::transactions::Transactions;
use crate::watch::Watch;

/// What histories of a workload are checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// One of the models with engines of their own.
    Model(ModelKind),
    /// Another object.
    Object(ObjectKind),
}

impl Judged {
    /// The operations that it knows.
    pub fn functions(self) -> &'static [Function] {
        match self {
            Self::Model(model) => model.entry().functions,
            Self::Object(object) => object.entry().functions,
        }
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(model) => model.fmt(out),
            Self::Object(object) => object.fmt(out),
        }
    }
}

/// A workload as `partita list workloads` shows it.
#[derive(Debug, Clone, Copy)]
pub struct WorkloadInfo {
    /// Its name on the command line.
    pub name: &'static str,
    /// The model that its histories are checked against.
    pub model: Judged,
    /// The kinds of operations that it asks for.
    pub needs: &'static [Kind],
    /// What its clients do about updates without an answer.
    pub retry: RetryPolicy,
    /// What its clients do, in a line.
    pub about: &'static str,
    generator: fn(u64) -> Box<dyn Generator>,
}

impl WorkloadInfo {
    /// What clients do in a run with this seed.
    pub fn generator(&self, seed: u64) -> Box<dyn Generator> {
        (self.generator)(seed)
    }

    /// Whether clients ask for nothing, so that elections and terms are all that is judged.
    pub const fn asks_nothing(&self) -> bool {
        self.needs.is_empty()
    }

    /// What it needs of a protocol, in words.
    pub fn needs(&self) -> impl Iterator<Item = &'static str> {
        let retry = (self.retry != RetryPolicy::Never).then(|| self.retry.name());
        self.needs.iter().map(|kind| kind.name()).chain(retry)
    }

    /// What it needs that clients of `protocol` cannot do, in words; empty if it fits.
    pub fn lacking(&self, protocol: &dyn Protocol) -> Vec<&'static str> {
        let kinds = self.needs.iter().filter(|kind| !protocol.supports(**kind));
        let mut lacking: Vec<&'static str> = kinds.map(|kind| kind.name()).collect();
        if !protocol.supports_retry(self.retry) {
            lacking.push(self.retry.name());
        }
        lacking
    }
}

const REGISTER: &[Kind] = &[Kind::Read, Kind::Write, Kind::Cas];
const DELETE: &[Kind] = &[Kind::Read, Kind::Write, Kind::Cas, Kind::Delete];
const EXPIRE: &[Kind] = &[Kind::Read, Kind::Write, Kind::Expire];
const APPEND: &[Kind] = &[Kind::Read, Kind::Append];
const SET: &[Kind] = &[Kind::AddElement, Kind::RemoveElement, Kind::HasElement, Kind::ReadElements];

/// No workload at all: no client is started, and what the nodes' status tells of elections is judged. It is
/// never drawn.
pub const NONE: WorkloadInfo = WorkloadInfo {
    name: "none",
    model: Judged::Model(ModelKind::Register),
    needs: &[],
    retry: RetryPolicy::Never,
    about: "no operations: elections and terms are judged, by the nodes' status alone",
    // Never asked.
    generator: |seed| Box::new(Register::new(RegisterOptions::default(), seed)),
};

/// Every workload that has clients.
pub const WORKLOADS: &[WorkloadInfo] = &[
    WorkloadInfo {
        name: "register",
        model: Judged::Model(ModelKind::Register),
        needs: REGISTER,
        retry: RetryPolicy::Never,
        about: "reads, unique-valued writes and compare-and-set on a few keys at a time",
        generator: |seed| Box::new(Register::new(RegisterOptions::default(), seed)),
    },
    WorkloadInfo {
        name: "large",
        model: Judged::Model(ModelKind::Register),
        needs: REGISTER,
        retry: RetryPolicy::Never,
        about: "as register, with values longer than a disk's sector: none may come back in part",
        generator: |seed| Box::new(Register::new(RegisterOptions::large(), seed)),
    },
    WorkloadInfo {
        name: "append",
        model: Judged::Model(ModelKind::Append),
        needs: APPEND,
        retry: RetryPolicy::Never,
        about: "appends of unique texts and reads: each appended once, none lost, one order",
        generator: |seed| Box::new(Append::new(AppendOptions::default(), seed)),
    },
    WorkloadInfo {
        name: "retry",
        model: Judged::Model(ModelKind::Append),
        needs: APPEND,
        retry: RetryPolicy::InSession,
        about: "as append, in sessions: an append without an answer is sent again, and applied once",
        generator: |seed| Box::new(Append::new(AppendOptions::default(), seed)),
    },
    WorkloadInfo {
        name: "delete",
        model: Judged::Model(ModelKind::Register),
        needs: DELETE,
        retry: RetryPolicy::Never,
        about: "as register, with deletes: what was deleted must not come back",
        generator: |seed| Box::new(Register::new(RegisterOptions::deleting(), seed)),
    },
    WorkloadInfo {
        name: "expire",
        model: Judged::Model(ModelKind::Register),
        needs: EXPIRE,
        retry: RetryPolicy::Never,
        about: "as register, on keys that expire: what has expired must not come back",
        generator: |seed| Box::new(Register::new(RegisterOptions::expiring(), seed)),
    },
    WorkloadInfo {
        name: "counter",
        model: Judged::Model(ModelKind::Counter),
        needs: &[Kind::Read, Kind::Increment],
        retry: RetryPolicy::Never,
        about: "additions to a few sums at a time, and reads: each added once, none lost",
        generator: |seed| Box::new(Counter::new(seed)),
    },
    WorkloadInfo {
        name: "set",
        model: Judged::Model(ModelKind::Set),
        needs: SET,
        retry: RetryPolicy::Never,
        about: "elements added once and removed once, lookups, and reads of the whole",
        generator: |seed| Box::new(Set::new(seed)),
    },
    WorkloadInfo {
        name: "queue",
        model: Judged::Model(ModelKind::Queue),
        needs: &[Kind::Enqueue, Kind::Dequeue],
        retry: RetryPolicy::Never,
        about: "enqueues of new items and dequeues, drained in the end: each once, in order",
        generator: |seed| Box::new(Containers::new(Container::Queue, seed)),
    },
    WorkloadInfo {
        name: "stack",
        model: Judged::Model(ModelKind::Stack),
        needs: &[Kind::Push, Kind::Pop],
        retry: RetryPolicy::Never,
        about: "as queue, with pushes and pops: the last in is the first out",
        generator: |seed| Box::new(Containers::new(Container::Stack, seed)),
    },
    WorkloadInfo {
        name: "lock",
        model: Judged::Model(ModelKind::Lock),
        needs: &[Kind::Acquire, Kind::Release],
        retry: RetryPolicy::Never,
        about: "acquisitions and releases of a few locks at a time: no lock has two owners",
        generator: |seed| Box::new(Lock::new(seed)),
    },
    WorkloadInfo {
        name: "transactions",
        model: Judged::Model(ModelKind::MultiRegister),
        needs: &[Kind::Transaction],
        retry: RetryPolicy::Never,
        about: "reads and writes of several registers at one moment: none is seen in part",
        generator: |seed| Box::new(Transactions::new(seed)),
    },
    WorkloadInfo {
        name: "bank",
        model: Judged::Object(ObjectKind::Bank),
        needs: &[Kind::Transfer, Kind::Balances],
        retry: RetryPolicy::Never,
        about: "transfers between accounts, and reads of all: the sum stays, no balance is negative",
        generator: |seed| Box::new(Bank::new(seed)),
    },
    WorkloadInfo {
        name: "mixed-reads",
        model: Judged::Model(ModelKind::Register),
        needs: &[Kind::Read, Kind::StaleRead, Kind::Write, Kind::Cas],
        retry: RetryPolicy::Never,
        about: "as register, with reads that may be stale beside strict ones, each judged as what it is",
        generator: |seed| Box::new(Register::new(RegisterOptions::mixed_reads(), seed)),
    },
    WorkloadInfo {
        name: "watch",
        model: Judged::Object(ObjectKind::WatchedRegister),
        needs: &[Kind::WatchedWrite, Kind::Read, Kind::Watch],
        retry: RetryPolicy::Never,
        about: "writes, and watches of them: every change seen once, in order, none before its write",
        generator: |seed| Box::new(Watch::new(seed)),
    },
    WorkloadInfo {
        name: "ids",
        model: Judged::Object(ObjectKind::Timestamps),
        needs: &[Kind::Next],
        retry: RetryPolicy::Never,
        about: "numbers of a few sequences at a time: none given out twice, each greater than those before",
        generator: |seed| Box::new(Ids::new(seed)),
    },
];

/// Every name of `--workload`: those that have clients, and [`NONE`].
pub fn all() -> impl Iterator<Item = &'static WorkloadInfo> {
    WORKLOADS.iter().chain(std::iter::once(&NONE))
}

/// A name that no workload has.
#[derive(Debug, Error)]
#[error("there is no workload `{name}`; the workloads are: {known}")]
pub struct UnknownWorkload {
    name: String,
    known: String,
}

/// The workload called `name`.
///
/// # Errors
///
/// If there is none; the message lists those that there are.
pub fn find(name: &str) -> Result<&'static WorkloadInfo, UnknownWorkload> {
    all().find(|workload| workload.name == name).ok_or_else(|| UnknownWorkload {
        name: name.to_owned(),
        known: all().map(|workload| workload.name).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{WORKLOADS, find};
    use crate::operation::Completion;

    #[test]
    fn an_unknown_workload_is_told_the_known_ones() {
        let message = find("regsiter").expect_err("misspelt").to_string();
        let known = "register, large, append, retry, delete, expire, counter, set, queue, stack, lock, \
                     transactions, bank, mixed-reads, watch, ids, none";
        assert_eq!(message, format!("there is no workload `regsiter`; the workloads are: {known}"));
    }

    #[test]
    fn every_workload_asks_for_what_it_needs_and_its_model_knows() {
        for workload in WORKLOADS {
            let mut generator = workload.generator(3);
            let mut asked = BTreeSet::new();
            for _ in 0..1_000 {
                let invocation = generator.next_invocation();
                asked.insert(invocation.kind);
                // As if every operation succeeded, so that those come that rest on others.
                generator.completed(&invocation, &Completion::Done);
            }
            assert_eq!(asked, workload.needs.iter().copied().collect(), "{}", workload.name);
            let closing = generator.closing();
            assert!(!closing.is_empty(), "{}", workload.name);
            let knows = workload.model.functions();
            for kind in asked.into_iter().chain(closing.iter().map(|it| it.invocation.kind)) {
                assert!(workload.needs.contains(&kind), "{}: {kind}", workload.name);
                assert!(knows.contains(&kind.function()), "{}: {kind}", workload.name);
            }
        }
    }
}
