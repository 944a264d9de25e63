//! Chooses the operations that a page carries one by one; of the others it has densities only.
//!
//! First come the operations that prove a finding, then all that were open around it, then all on
//! its key, then those that did not end well, then the rest; within each, those nearest to the first
//! finding, or to the first fault where nothing was found.

use partita_checker::{Counterexample, History, Nanoseconds, Operation};

use crate::chart::plot::proven_at;

/// What the page is about.
#[derive(Debug)]
pub(super) struct Interest {
    /// The invocations of the operations that prove something, in order.
    proofs: Vec<u64>,
    /// The keys of findings, by their place in the history, in order.
    keys: Vec<u32>,
    /// When findings happened, with a margin.
    windows: Vec<(Nanoseconds, Nanoseconds)>,
    /// What the rest is chosen around.
    moment: Nanoseconds,
}

impl Interest {
    /// `margin` is how much to show before and after each finding; `first_fault` when the first
    /// fault began.
    pub(super) fn of(
        history: &History,
        findings: &[&Counterexample],
        margin: Nanoseconds,
        first_fault: Option<Nanoseconds>,
    ) -> Self {
        let operations = || findings.iter().flat_map(|found| &found.operations);
        let mut proofs: Vec<u64> = operations().map(|witness| witness.index).collect();
        proofs.sort_unstable();
        let keys = history.keys().iter().enumerate();
        let keys = keys
            .filter(|(_, key)| findings.iter().any(|found| found.key == **key))
            .map(|(place, _)| place as u32)
            .collect();
        let windows: Vec<_> = findings.iter().map(|found| span(found)).collect();
        let moment = windows.iter().map(|window| window.0).min().or(first_fault);
        let widened = |(begin, end): (Nanoseconds, Nanoseconds)| {
            (begin.since(margin), Nanoseconds(end.0.saturating_add(margin.0)))
        };
        let windows = windows.into_iter().map(widened).collect();
        Self { proofs, keys, windows, moment: moment.unwrap_or_default() }
    }

    /// How far from the centre of interest an operation lies; less is nearer.
    fn distance(&self, operation: &Operation) -> (u8, u64) {
        let began = operation.invoked.time;
        let ended = operation.completed().map_or(began, |moment| moment.time);
        let in_window = || self.windows.iter().any(|(from, to)| began <= *to && ended >= *from);
        let class = if self.proofs.binary_search(&operation.invoked.position).is_ok() {
            0
        } else if in_window() {
            1
        } else if self.keys.binary_search(&operation.key.0).is_ok() {
            2
        } else if !operation.is_ok() {
            3
        } else {
            4
        };
        (class, began.0.abs_diff(self.moment.0))
    }

    /// The places of the `at_most` operations to carry, in order.
    pub(super) fn choose(&self, history: &History, at_most: usize) -> Vec<usize> {
        let operations = history.operations();
        if operations.len() <= at_most {
            return (0..operations.len()).collect();
        }
        let mut places: Vec<_> = operations
            .iter()
            .enumerate()
            .map(|(place, operation)| (self.distance(operation), place))
            .collect();
        places.select_nth_unstable(at_most);
        places.truncate(at_most);
        let mut places: Vec<usize> = places.into_iter().map(|(_, place)| place).collect();
        places.sort_unstable();
        places
    }
}

/// From the first invocation of a finding's operations to the return that completes its proof.
pub(super) fn span(found: &Counterexample) -> (Nanoseconds, Nanoseconds) {
    let begin = found.operations.iter().map(|witness| witness.invoked).min().unwrap_or_default();
    (begin, proven_at(found).max(begin))
}
