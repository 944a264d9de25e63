//! Transactions in the form that inference works on: flat tables of small numbers.
//!
//! A million micro-operations are 12 MB here. Values are looked at when reads are matched with
//! what they saw, and then no more: from there on there are versions.

use crate::history::History;
use crate::value::Value;

/// No transaction, no version, no place.
pub(crate) const NONE: u32 = u32::MAX;

/// In the place of a version that was read: what the key held before the first transaction.
pub(crate) const INITIAL: u32 = u32::MAX - 1;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransactionStatus {
    /// It certainly took effect.
    Committed,
    /// It certainly did not, and never will.
    Aborted,
    /// Nobody knows.
    Unknown,
}

/// One transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transaction {
    /// Its place among the history's operations.
    pub(crate) operation: u32,
    pub(crate) process: u32,
    /// Where its micro-operations begin; they end where those of the next begin.
    pub(crate) first: u32,
    pub(crate) fate: TransactionStatus,
    /// The position of its invocation.
    pub(crate) invoked: u64,
    /// The position of its return; the greatest number if it may take effect any time later.
    pub(crate) completed: u64,
}

/// What a micro-operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OperationKind {
    /// Reads a key.
    Read,
    /// Gives a key a new version: a register's value, or a list with one element more.
    Write,
}

/// One micro-operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MicroOp {
    pub(crate) key: u32,
    pub(crate) act: OperationKind,
    /// Of a write, the version that it makes. Of a read, its place in [`Transactions::answers`] until
    /// it is matched with the version it saw.
    pub(crate) version: u32,
}

/// What a write made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version<'h> {
    pub(crate) key: u32,
    pub(crate) transaction: u32,
    /// The register's value, or the list's last element.
    pub(crate) value: &'h Value,
}

/// All transactions of a history, by their invocations.
#[derive(Debug)]
pub(crate) struct Transactions<'h> {
    pub(crate) history: &'h History,
    pub(crate) all: Vec<Transaction>,
    pub(crate) micro: Vec<MicroOp>,
    /// What reads answered.
    pub(crate) answers: Vec<&'h Value>,
    pub(crate) keys: Vec<&'h Value>,
    pub(crate) versions: Vec<Version<'h>>,
    /// Two writes of one value to one key, neither of which certainly failed, if there are any.
    pub(crate) repeated: Option<[u32; 2]>,
}

impl Transactions<'_> {
    /// Where the micro-operations of a transaction stand.
    pub(crate) fn span(&self, transaction: u32) -> std::ops::Range<usize> {
        let place = transaction as usize;
        let end = self.all.get(place + 1).map_or(self.micro.len(), |next| next.first as usize);
        self.all[place].first as usize..end
    }

    /// The micro-operations of a transaction.
    pub(crate) fn of(&self, transaction: u32) -> &[MicroOp] {
        &self.micro[self.span(transaction)]
    }

    /// The index of a transaction's invocation, by which people know it.
    pub(crate) fn index(&self, transaction: u32) -> u64 {
        self.all[transaction as usize].invoked
    }
}

/// Lists of numbers, one for each of many owners, in one vector.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    /// The lists of `owners` from pairs of an owner and an item, which stay in their order.
    pub(crate) fn new(owners: usize, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> Self {
        let mut starts = vec![0; owners + 1];
        for (owner, _) in pairs.clone() {
            starts[owner as usize + 1] += 1;
        }
        for owner in 0..owners {
            starts[owner + 1] += starts[owner];
        }
        let mut next = starts.clone();
        let mut items = vec![0; starts[owners] as usize];
        for (owner, item) in pairs {
            let place = &mut next[owner as usize];
            items[*place as usize] = item;
            *place += 1;
        }
        Self { starts, items }
    }

    /// The list of an owner.
    pub(crate) fn of(&self, owner: u32) -> &[u32] {
        let owner = owner as usize;
        &self.items[self.starts[owner] as usize..self.starts[owner + 1] as usize]
    }

    /// How many owners there are.
    pub(crate) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }
}
