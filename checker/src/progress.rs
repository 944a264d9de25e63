//! How far a check has come, for whoever watches it from another thread.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The course of one check. All zero until it begins.
#[derive(Debug, Default)]
pub struct Progress {
    keys: AtomicUsize,
    decided_keys: AtomicUsize,
    operations: AtomicUsize,
    decided_operations: AtomicUsize,
}

/// A moment of a [`Progress`]. The numbers are read one by one, not all at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgressReport {
    /// How many keys there are.
    pub keys: usize,
    /// How many of them have their verdict.
    pub decided_keys: usize,
    /// How many operations there are.
    pub operations: usize,
    /// How many of them belong to keys that have their verdict.
    pub decided_operations: usize,
}

impl Progress {
    /// Where the check is now.
    pub fn report(&self) -> ProgressReport {
        let read = |number: &AtomicUsize| number.load(Ordering::Relaxed);
        ProgressReport {
            keys: read(&self.keys),
            decided_keys: read(&self.decided_keys),
            operations: read(&self.operations),
            decided_operations: read(&self.decided_operations),
        }
    }

    /// There are keys with so many operations each.
    pub(crate) fn begin(&self, operations: impl Iterator<Item = usize>) {
        let (mut keys, mut total) = (0, 0);
        for operations in operations {
            keys += 1;
            total += operations;
        }
        self.keys.store(keys, Ordering::Relaxed);
        self.operations.store(total, Ordering::Relaxed);
    }

    /// A key with so many operations has its verdict.
    pub(crate) fn decide(&self, operations: usize) {
        self.decided_keys.fetch_add(1, Ordering::Relaxed);
        self.decided_operations.fetch_add(operations, Ordering::Relaxed);
    }
}
