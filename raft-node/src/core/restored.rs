//! Puts together what a server remembers, record by record.

use super::interface::Record;
use super::log::Entry;
use super::snapshot::Snapshot;
use super::units::{Boot, Index, NodeId, Term};

/// What a server remembers across restarts.
#[derive(Debug, Default)]
pub struct Restored {
    /// Which life of the server this is.
    pub boot: Boot,
    /// The latest term it has seen.
    pub term: Term,
    /// Whom it voted for in that term.
    pub vote: Option<NodeId>,
    /// The newest durable snapshot, which covers the log at least up to `base`.
    pub snapshot: Option<Snapshot>,
    /// The last entry that was trimmed from the log, and its term; zero while nothing was.
    pub base: (Index, Term),
    /// Its log, consecutive from the index after `base`.
    pub entries: Vec<Entry>,
}

/// A record that cannot follow those before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// An entry does not continue the log.
    #[error("entry {found} follows entry {last}")]
    Gap {
        /// The entry's index.
        found: Index,
        /// The log's last index.
        last: Index,
    },
    /// The term falls.
    #[error("term {found} follows term {term}")]
    TermFalls {
        /// The record's term.
        found: Term,
        /// The term before it.
        term: Term,
    },
}

impl Restored {
    /// Takes the next record of the disk, in the order of their
    /// [`Output::Persist`](super::Output::Persist).
    ///
    /// # Errors
    ///
    /// When the records cannot have been made by a core, in this order.
    pub fn replay(&mut self, record: Record) -> Result<(), ReplayError> {
        match record {
            Record::HardState { term, .. } if term < self.term => {
                return Err(ReplayError::TermFalls { found: term, term: self.term });
            }
            Record::HardState { term, vote } => (self.term, self.vote) = (term, vote),
            Record::Append(entry) if entry.index != self.last().next() => {
                return Err(ReplayError::Gap { found: entry.index, last: self.last() });
            }
            Record::Append(entry) => self.entries.push(entry),
            Record::Truncate { from } => self.entries.truncate(self.place(from)),
            Record::Trim { to, term } => self.trim(to, term),
            Record::Boot(boot) => self.boot = boot,
        }
        Ok(())
    }

    /// The last index of the log.
    #[must_use]
    pub fn last(&self) -> Index {
        self.base.0.plus(self.entries.len())
    }

    /// Where an index is, or would be, among the entries.
    fn place(&self, index: Index) -> usize {
        usize::try_from(index.previous().0.saturating_sub(self.base.0.0)).unwrap_or(usize::MAX)
    }

    fn trim(&mut self, to: Index, term: Term) {
        if to <= self.base.0 {
            return;
        }
        let place = self.place(to);
        if self.entries.get(place).is_some_and(|entry| entry.term == term) {
            self.entries.drain(..=place);
        } else {
            self.entries.clear();
        }
        self.base = (to, term);
    }
}
