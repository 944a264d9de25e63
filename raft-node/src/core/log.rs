//! Holds the log in memory: which entry is where, and where two logs part.
//!
//! The memory copy is what the protocol decides by; every change is also handed out as a
//! [`Record`](super::Record) for the disk before anything that depends on it is said. Lookups are
//! O(1), a search for a term's bounds O(log n) since terms never fall along a log. Leaves out
//! compaction (Raft §7): the log only grows.

use super::operation::Write;
use super::units::{Index, Term};

/// Bytes of entries that one Append carries, unless its first entry alone is larger.
const BATCH_BYTES: usize = 256 << 10;
/// Entries that one Append carries.
const BATCH_ENTRIES: usize = 1024;

/// One place in the replicated log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub index: Index,
    /// The term of the leader that made it. Index and term together name an entry (Raft §5.3).
    pub term: Term,
    /// What to apply.
    pub payload: Payload,
}

/// What an entry does when it is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Nothing: a leader opens its term with it to learn what is committed (Raft §8).
    Noop,
    /// Changes the store.
    Write(Write),
}

/// Consecutive entries from index 1.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: Vec<Entry>,
}

impl Log {
    /// Takes entries as they were read from the disk, which must be consecutive from 1.
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        let consecutive = entries.iter().zip(1..).all(|(entry, index)| entry.index.0 == index);
        assert!(consecutive, "a restored log must be consecutive");
        Self { entries }
    }

    pub(super) fn last_index(&self) -> Index {
        Index(self.entries.len() as u64)
    }

    pub(super) fn last_term(&self) -> Term {
        self.entries.last().map_or(Term(0), |entry| entry.term)
    }

    /// The term at an index; 0 before the first entry, nothing past the last.
    pub(super) fn term_at(&self, index: Index) -> Option<Term> {
        if index == Index::ZERO { Some(Term(0)) } else { self.get(index).map(|entry| entry.term) }
    }

    pub(super) fn get(&self, index: Index) -> Option<&Entry> {
        let position = usize::try_from(index.0.checked_sub(1)?).ok()?;
        self.entries.get(position)
    }

    /// Adds an entry at the end.
    pub(super) fn append(&mut self, entry: Entry) {
        assert_eq!(entry.index, self.last_index().next(), "a log has no gaps");
        self.entries.push(entry);
    }

    /// Removes the entry at `from` and all after it.
    pub(super) fn truncate(&mut self, from: Index) {
        let keep = usize::try_from(from.previous().0).unwrap_or(usize::MAX);
        self.entries.truncate(keep);
    }

    /// Entries from `first` on, as many as one message should carry.
    pub(super) fn batch(&self, first: Index) -> Vec<Entry> {
        let start = usize::try_from(first.previous().0).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let rest = self.entries.get(start..).unwrap_or_default();
        let take = rest.iter().take(BATCH_ENTRIES).take_while(|entry| {
            let fits = bytes < BATCH_BYTES;
            bytes += entry.size();
            fits
        });
        take.cloned().collect()
    }

    /// The first index whose entry has `term` or a later one.
    pub(super) fn first_of(&self, term: Term) -> Index {
        Index(self.entries.partition_point(|entry| entry.term < term) as u64 + 1)
    }

    /// The last index of `term`, if it has any entry.
    pub(super) fn last_of(&self, term: Term) -> Option<Index> {
        let end = self.entries.partition_point(|entry| entry.term <= term);
        let last = self.entries.get(end.checked_sub(1)?)?;
        (last.term == term).then_some(last.index)
    }
}

impl Entry {
    /// Roughly how many bytes it takes in memory and on the wire.
    #[must_use]
    pub fn size(&self) -> usize {
        let payload = if let Payload::Write(write) = &self.payload { write.size() } else { 0 };
        16 + payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(terms: &[u64]) -> Log {
        let entry = |(term, index): (&u64, u64)| Entry {
            index: Index(index),
            term: Term(*term),
            payload: Payload::Noop,
        };
        Log::new(terms.iter().zip(1..).map(entry).collect())
    }

    #[test]
    fn place_before_the_first_entry_has_term_zero() {
        assert_eq!(log(&[]).term_at(Index::ZERO), Some(Term(0)));
        assert_eq!(log(&[]).term_at(Index(1)), None);
    }

    #[test]
    fn terms_have_a_first_and_a_last_index() {
        let log = log(&[1, 1, 3, 3, 3, 6]);
        assert_eq!(log.first_of(Term(3)), Index(3));
        assert_eq!(log.last_of(Term(3)), Some(Index(5)));
        assert_eq!(log.last_of(Term(2)), None);
        assert_eq!(log.first_of(Term(2)), Index(3));
    }

    #[test]
    fn batch_starts_where_asked_and_is_empty_past_the_end() {
        let log = log(&[1, 1, 2]);
        let indexes = |first| log.batch(Index(first)).iter().map(|e| e.index.0).collect::<Vec<_>>();
        assert_eq!(indexes(2), [2, 3]);
        assert!(indexes(4).is_empty());
        assert!(indexes(90).is_empty());
    }
}
