//! Holds the log in memory: which entry is where, and where two logs part.
//!
//! The memory copy is what the protocol decides by; every change is also handed out as a
//! [`Record`](super::Record) for the disk before anything that depends on it is said. Lookups are
//! O(1), a search for a term's bounds O(log n) since terms never fall along a log. The front of the
//! log gives way to snapshots (Raft §7): what remains of it is the *base*, the last trimmed index
//! and its term, by which the first entry is matched. What gives way is freed bit by bit: hundreds of
//! thousands of entries at once would keep a leader from its heartbeats, and all servers at the same
//! entry.

use std::collections::VecDeque;
use std::sync::Arc;

use super::membership::Configuration;
use super::operation::Write;
use super::units::{Index, Term, Timestamp};

/// Bytes of entries that one Append carries, unless its first entry alone is larger.
const BATCH_BYTES: usize = 256 << 10;
/// Entries that one Append carries.
const BATCH_ENTRIES: usize = 1024;
/// Trimmed entries that are freed with each one that is added. More than one, so that they go
/// sooner than others come.
const FREED_PER_ENTRY: usize = 2;
/// Trimmed entries that are freed with each message and each tick, so that they go where none are
/// added.
const FREED_BESIDES: usize = 16;

/// One place in the replicated log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub index: Index,
    /// The term of the leader that made it. Index and term together name an entry (Raft §5.3).
    pub term: Term,
    /// When the leader made it, in the cluster's time. Never falls along a log.
    pub time: Timestamp,
    /// What to apply.
    pub payload: Payload,
}

/// What an entry does when it is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Nothing: a leader opens its term with it to learn what is committed (Raft §8).
    Noop,
    /// Changes the store. All that have the entry share it: the log, messages, the disk's queue.
    Write(Arc<Write>),
    /// Changes the members, as soon as it is appended (Raft §6).
    Configuration(Arc<Configuration>),
}

/// Consecutive entries from the one after the base.
#[derive(Debug, Default)]
pub(super) struct Log {
    base: (Index, Term),
    entries: VecDeque<Entry>,
    /// No longer part of the log, but not freed yet.
    trimmed: VecDeque<Entry>,
}

impl Log {
    /// Takes entries as they were read from the disk, which must be consecutive from the base.
    pub(super) fn new(base: (Index, Term), entries: Vec<Entry>) -> Self {
        let first = base.0.next().0;
        let consecutive = entries.iter().zip(first..).all(|(entry, index)| entry.index.0 == index);
        assert!(consecutive, "a restored log must be consecutive");
        Self { base, entries: entries.into(), trimmed: VecDeque::new() }
    }

    /// The last trimmed index; its term is known, its entry is not.
    pub(super) fn base(&self) -> Index {
        self.base.0
    }

    pub(super) fn last_index(&self) -> Index {
        self.base.0.plus(self.entries.len())
    }

    pub(super) fn last_term(&self) -> Term {
        self.entries.back().map_or(self.base.1, |entry| entry.term)
    }

    /// The term at an index: that of an entry, of the base, or 0 at the place before all logs.
    pub(super) fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.0 {
            Some(self.base.1)
        } else if index == Index::ZERO {
            Some(Term(0))
        } else {
            self.get(index).map(|entry| entry.term)
        }
    }

    /// Where an index after the base is, or would be, among the entries.
    fn place(&self, index: Index) -> Option<usize> {
        usize::try_from(index.0.checked_sub(self.base.0.0 + 1)?).ok()
    }

    pub(super) fn get(&self, index: Index) -> Option<&Entry> {
        self.entries.get(self.place(index)?)
    }

    /// Adds an entry at the end.
    pub(super) fn append(&mut self, entry: Entry) {
        assert_eq!(entry.index, self.last_index().next(), "a log has no gaps");
        self.entries.push_back(entry);
        self.free(FREED_PER_ENTRY);
    }

    /// Frees some of what was trimmed, if there is any.
    pub(super) fn tidy(&mut self) {
        self.free(FREED_BESIDES);
    }

    fn free(&mut self, entries: usize) {
        if self.trimmed.is_empty() {
            return;
        }
        self.trimmed.drain(..entries.min(self.trimmed.len()));
        if self.trimmed.is_empty() {
            self.trimmed = VecDeque::new();
        }
    }

    /// Removes the entry at `from` and all after it.
    pub(super) fn truncate(&mut self, from: Index) {
        self.entries.truncate(self.place(from).unwrap_or(0));
    }

    /// Forgets the entries up to `to`; all of them, if none of them is `to` in that term.
    pub(super) fn trim(&mut self, to: Index, term: Term) {
        if to <= self.base.0 {
            return;
        }
        if self.get(to).is_some_and(|entry| entry.term == term) {
            let place = self.place(to).expect("it has the entry");
            let rest = self.entries.split_off(place + 1);
            self.trimmed.append(&mut std::mem::replace(&mut self.entries, rest));
        } else {
            self.trimmed.append(&mut self.entries);
        }
        self.base = (to, term);
    }

    /// Entries from `first` on, as many as one message should carry.
    pub(super) fn batch(&self, first: Index) -> Vec<Entry> {
        let start = self.place(first).unwrap_or(usize::MAX).min(self.entries.len());
        let mut bytes = 0;
        let rest = self.entries.range(start..);
        let take = rest.take(BATCH_ENTRIES).take_while(|entry| {
            let fits = bytes < BATCH_BYTES;
            bytes += entry.size();
            fits
        });
        take.cloned().collect()
    }

    /// The first index after the base whose entry has `term` or a later one.
    pub(super) fn first_of(&self, term: Term) -> Index {
        self.base.0.plus(self.entries.partition_point(|entry| entry.term < term)).next()
    }

    /// The last index of `term` that is known, if there is any.
    pub(super) fn last_of(&self, term: Term) -> Option<Index> {
        let end = self.entries.partition_point(|entry| entry.term <= term);
        match end.checked_sub(1) {
            None => (self.base.1 == term).then_some(self.base.0),
            Some(last) => {
                let last = &self.entries[last];
                (last.term == term).then_some(last.index)
            }
        }
    }

    /// The configurations after an index, and where they are.
    pub(super) fn configurations_after(
        &self,
        index: Index,
    ) -> impl Iterator<Item = (Index, Arc<Configuration>)> {
        self.entries.iter().filter_map(move |entry| match &entry.payload {
            Payload::Configuration(members) if entry.index > index => {
                Some((entry.index, Arc::clone(members)))
            }
            _ => None,
        })
    }
}

impl Entry {
    /// Roughly how many bytes it takes in memory and on the wire.
    #[must_use]
    pub fn size(&self) -> usize {
        24 + match &self.payload {
            Payload::Noop => 0,
            Payload::Write(write) => write.size(),
            // Few and short.
            Payload::Configuration(_) => 256,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(terms: &[u64]) -> Log {
        let entry = |(term, index): (&u64, u64)| Entry {
            index: Index(index),
            term: Term(*term),
            time: Timestamp(0),
            payload: Payload::Noop,
        };
        Log::new((Index::ZERO, Term(0)), terms.iter().zip(1..).map(entry).collect())
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

    #[test]
    fn trimmed_log_still_matches_at_its_base() {
        let mut log = log(&[1, 1, 3, 3, 3, 6]);
        log.trim(Index(4), Term(3));
        assert_eq!((log.base(), log.last_index()), (Index(4), Index(6)));
        assert_eq!(log.term_at(Index(4)), Some(Term(3)));
        assert_eq!(log.term_at(Index(3)), None);
        assert_eq!(log.term_at(Index::ZERO), Some(Term(0)));
        assert_eq!(log.last_of(Term(3)), Some(Index(5)));
        assert_eq!(log.first_of(Term(1)), Index(5));
        assert_eq!(log.batch(Index(5)).len(), 2);
        assert!(log.batch(Index(3)).is_empty());
    }

    #[test]
    fn trimmed_entries_are_freed_bit_by_bit() {
        let mut log = log(&[1; 1000]);
        log.trim(Index(900), Term(1));
        let mut left = vec![log.trimmed.len()];
        while !log.trimmed.is_empty() {
            log.tidy();
            left.push(log.trimmed.len());
        }
        assert_eq!(left[0], 900);
        assert!(left.windows(2).all(|two| two[0] - two[1] <= FREED_BESIDES), "{left:?}");
        assert_eq!((log.base(), log.last_index()), (Index(900), Index(1000)));
    }

    #[test]
    fn trim_at_an_entry_of_another_term_forgets_all() {
        let mut log = log(&[1, 1, 3]);
        log.trim(Index(2), Term(2));
        assert_eq!((log.last_index(), log.last_term()), (Index(2), Term(2)));
        log.trim(Index(9), Term(4));
        assert_eq!((log.last_index(), log.last_term()), (Index(9), Term(4)));
    }
}
