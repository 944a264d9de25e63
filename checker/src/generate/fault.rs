//! What a faulty store does: one operation is not performed as it is acknowledged.
//!
//! The fault strikes once, after a third of the operations. Whether anybody notices depends on what
//! clients do next: a lost write that another one follows at once is lost unseen, and with repeated
//! values a stale answer can be right by chance. A history of some size with new values nearly
//! always shows it.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What an object does wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It answers a read from a copy that is out of date.
    StaleRead,
    /// It acknowledges a change and forgets it.
    LostWrite,
    /// It performs a change again, long after it has acknowledged it.
    Duplicate,
    /// It performs a change only long after it has acknowledged it.
    Reordered,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::StaleRead, Self::LostWrite, Self::Duplicate, Self::Reordered];

    /// The name that people give it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StaleRead => "stale-read",
            Self::LostWrite => "lost-write",
            Self::Duplicate => "duplicate",
            Self::Reordered => "reordered",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// There is no fault of that name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected stale-read, lost-write, duplicate or reordered; found `{name}`")]
pub struct UnknownFault {
    /// The name.
    pub name: String,
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        let found = Self::ALL.into_iter().find(|fault| fault.name() == name);
        found.ok_or_else(|| UnknownFault { name: name.to_owned() })
    }
}

/// What clients work on.
pub(super) trait Store: Clone + std::fmt::Debug {
    type Task: Clone + std::fmt::Debug;
    type Answer: PartialEq;

    /// What the task answers; nothing if it cannot happen now.
    fn perform(&mut self, task: &Self::Task) -> Option<Self::Answer>;

    /// Whether the task changes nothing.
    fn only_looks(task: &Self::Task) -> bool;

    /// Whether the client will be told that the task is done.
    fn is_acknowledged(task: &Self::Task) -> bool;
}

/// A fault that is to strike a store.
#[derive(Debug)]
pub(super) struct Injection<S: Store> {
    fault: Fault,
    performed: usize,
    /// How many tasks are performed before it.
    begins: usize,
    /// How many tasks after which all that were open have most likely come back.
    long: usize,
    stage: Stage<S>,
}

#[derive(Debug)]
enum Stage<S: Store> {
    Waiting,
    /// The copy to read from.
    Copied(S),
    /// The task is to be performed when as many as that have been.
    Delayed(S::Task, usize),
    Over,
}

impl<S: Store> Injection<S> {
    pub(super) fn new(fault: Fault, operations: usize, clients: u32, keys: u32) -> Self {
        let long = 4 * clients as usize * keys as usize + 4;
        Self { fault, performed: 0, begins: operations / 3, long, stage: Stage::Waiting }
    }

    /// Performs the task, rightly or not.
    pub(super) fn perform(&mut self, store: &mut S, task: &S::Task) -> Option<S::Answer> {
        self.performed += 1;
        if matches!(self.stage, Stage::Over) || self.performed < self.begins {
            return store.perform(task);
        }
        match &mut self.stage {
            Stage::Delayed(delayed, due) => {
                if self.performed > *due && store.perform(delayed).is_some() {
                    self.stage = Stage::Over;
                }
                store.perform(task)
            }
            Stage::Copied(copy) => {
                let is_late = self.performed > self.begins + self.long;
                let answer = store.perform(task);
                if !(is_late && S::only_looks(task) && S::is_acknowledged(task)) {
                    return answer;
                }
                let stale = copy.perform(task);
                if stale != answer {
                    self.stage = Stage::Over;
                }
                stale
            }
            Stage::Waiting | Stage::Over => self.begin(store, task),
        }
    }

    fn begin(&mut self, store: &mut S, task: &S::Task) -> Option<S::Answer> {
        if self.fault == Fault::StaleRead {
            self.stage = Stage::Copied(store.clone());
            return store.perform(task);
        }
        if S::only_looks(task) || !S::is_acknowledged(task) {
            return store.perform(task);
        }
        let before = (self.fault != Fault::Duplicate).then(|| store.clone());
        let answer = store.perform(task)?;
        if let Some(before) = before {
            *store = before;
        }
        self.stage = match self.fault {
            Fault::LostWrite | Fault::StaleRead => Stage::Over,
            Fault::Duplicate | Fault::Reordered => {
                Stage::Delayed(task.clone(), self.performed + self.long)
            }
        };
        Some(answer)
    }
}
