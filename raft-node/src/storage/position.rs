//! Keeps track of where a server stands after each record, for the header of the next segment.

use crate::core::Record;
use crate::core::units::{Boot, Index, NodeId, Term};

/// Where a server stands between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// Its life.
    pub(super) boot: Boot,
    /// Its term.
    pub(super) term: Term,
    /// Its vote in that term.
    pub(super) vote: Option<NodeId>,
    /// The last entry of its log, or the last that was trimmed if the log is empty.
    pub(super) last_index: Index,
    /// The term of that entry.
    pub(super) last_term: Term,
}

/// A [`Position`] that follows the records.
#[derive(Clone, Debug)]
pub(super) struct Tracker {
    position: Position,
    /// The last entry that was trimmed, and its term.
    base: (Index, Term),
    /// Where each term of the log begins. A log has few terms, so this stays small.
    terms: Vec<(Index, Term)>,
}

impl Tracker {
    /// A tracker whose log is empty and goes on after the position's last entry.
    pub(super) fn new(position: Position) -> Self {
        let base = (position.last_index, position.last_term);
        Self { position, base, terms: Vec::new() }
    }

    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// The last entry that was trimmed.
    pub(super) fn base(&self) -> Index {
        self.base.0
    }

    /// The term of an entry of the log, or of the last one that was trimmed.
    pub(super) fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.0 {
            return Some(self.base.1);
        }
        let inside = self.base.0 < index && index <= self.position.last_index;
        let run = self.terms.iter().rfind(|(first, _)| *first <= index)?;
        inside.then_some(run.1)
    }

    /// Takes the next record.
    pub(super) fn follow(&mut self, record: &Record) {
        match record {
            Record::HardState { term, vote } => {
                (self.position.term, self.position.vote) = (*term, *vote);
            }
            Record::Boot(boot) => self.position.boot = *boot,
            Record::Append(entry) => {
                if self.terms.last().is_none_or(|(_, term)| *term != entry.term) {
                    self.terms.push((entry.index, entry.term));
                }
                (self.position.last_index, self.position.last_term) = (entry.index, entry.term);
            }
            Record::Truncate { from } => self.end_at(from.previous()),
            Record::Trim { to, term } => self.trim(*to, *term),
        }
    }

    fn end_at(&mut self, last: Index) {
        if last >= self.position.last_index {
            return;
        }
        if last < self.base.0 {
            // The entries before were removed with their segments, covered by a later `Trim`.
            self.base = (last, Term(0));
        }
        while self.terms.pop_if(|(first, _)| *first > last).is_some() {}
        self.position.last_index = last;
        self.position.last_term = self.terms.last().map_or(self.base.1, |(_, term)| *term);
    }

    fn trim(&mut self, to: Index, term: Term) {
        if to <= self.base.0 {
            return;
        }
        if self.term_at(to) == Some(term) {
            let kept = self.terms.partition_point(|(first, _)| *first <= to.next());
            // The run in which the log now begins stays, and begins later.
            let kept = kept.saturating_sub(1);
            self.terms.drain(..kept);
            self.terms[0].0 = self.terms[0].0.max(to.next());
        } else {
            self.terms.clear();
            (self.position.last_index, self.position.last_term) = (to, term);
        }
        if self.position.last_index == to {
            self.terms.clear();
        }
        self.base = (to, term);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::log::{Entry, Payload};
    use crate::core::units::Timestamp;

    fn entry(index: u64, term: u64) -> Record {
        let (index, term) = (Index(index), Term(term));
        Record::Append(Entry { index, term, time: Timestamp(0), payload: Payload::Noop })
    }

    fn tracker(records: &[Record]) -> Tracker {
        let mut tracker = Tracker::new(Position::default());
        records.iter().for_each(|record| tracker.follow(record));
        tracker
    }

    #[test]
    fn truncation_brings_back_the_term_before() {
        let tracker = tracker(&[
            entry(1, 1),
            entry(2, 1),
            entry(3, 2),
            entry(4, 3),
            Record::Truncate { from: Index(3) },
        ]);
        assert_eq!(tracker.position().last_index, Index(2));
        assert_eq!(tracker.position().last_term, Term(1));
        assert_eq!(tracker.term_at(Index(3)), None);
    }

    #[test]
    fn log_that_matches_the_snapshot_keeps_what_follows_it() {
        let records = [entry(1, 1), entry(2, 1), entry(3, 2), entry(4, 2)];
        for to in 1..=4 {
            let mut tracker = tracker(&records);
            let term = tracker.term_at(Index(to)).expect("an entry");
            tracker.follow(&Record::Trim { to: Index(to), term });
            assert_eq!(tracker.position().last_index, Index(4), "to {to}");
            assert_eq!(tracker.position().last_term, Term(2), "to {to}");
            assert_eq!(tracker.term_at(Index(to)), Some(term), "to {to}");
            assert_eq!(tracker.term_at(Index(to - 1)), None, "to {to}");
            assert_eq!(tracker.term_at(Index(4)), Some(Term(2)), "to {to}");
        }
    }

    #[test]
    fn log_that_differs_from_the_snapshot_goes_on_after_it() {
        for to in [2, 9] {
            let mut tracker = tracker(&[entry(1, 1), entry(2, 1), entry(3, 1)]);
            tracker.follow(&Record::Trim { to: Index(to), term: Term(4) });
            assert_eq!(tracker.position().last_index, Index(to));
            assert_eq!(tracker.position().last_term, Term(4));
            assert_eq!(tracker.base(), Index(to));
        }
    }
}
