//! How far a check has come, to be watched from another thread.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The course of one check. All zero until it begins.
#[derive(Debug, Default)]
pub struct Progress {
    keys: AtomicUsize,
    decided_keys: AtomicUsize,
    operations: AtomicUsize,
    decided_operations: AtomicUsize,
    passed_operations: AtomicUsize,
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
    /// How many completed operations of other keys a search along time has passed.
    pub passed_operations: usize,
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
            passed_operations: read(&self.passed_operations),
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

/// How far the search on one key has come; forgotten when that ends.
#[derive(Debug)]
pub(crate) struct SearchProgress<'a> {
    progress: &'a Progress,
    passed: AtomicUsize,
}

impl<'a> SearchProgress<'a> {
    /// A search that begins.
    pub(crate) const fn new(progress: &'a Progress) -> Self {
        Self { progress, passed: AtomicUsize::new(0) }
    }

    /// The search has passed so many completed operations. One that goes back is not followed.
    pub(crate) fn pass(&self, operations: usize) {
        let before = self.passed.fetch_max(operations, Ordering::Relaxed);
        let more = operations.saturating_sub(before);
        self.progress.passed_operations.fetch_add(more, Ordering::Relaxed);
    }
}

impl Drop for SearchProgress<'_> {
    fn drop(&mut self) {
        let passed = *self.passed.get_mut();
        self.progress.passed_operations.fetch_sub(passed, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_count_as_far_as_they_came_until_they_end() {
        let progress = Progress::default();
        let passed = || progress.report().passed_operations;
        let (one, other) = (SearchProgress::new(&progress), SearchProgress::new(&progress));
        one.pass(20);
        other.pass(7);
        one.pass(15);
        one.pass(21);
        assert_eq!(passed(), 28);
        drop(one);
        assert_eq!(passed(), 7);
    }
}
