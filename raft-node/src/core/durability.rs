//! Knows what the disk has, and hands out what it is to get.
//!
//! Records leave in order and are counted; the driver says up to which of them all are durable. From
//! that follows the last *log index* that is durable here, which is what the leader's own copy
//! counts for and what a follower acknowledges. Removing the end of the log lowers it: the same
//! index will come again with another entry, which is not durable because its predecessor was.
//!
//! Entries are handed out late, once the messages of the same [`Input::Tick`](super::Input) that
//! carry them have gone out, so that the leader writes to its disk while its followers write to
//! theirs (thesis §10.2.1). Any other record is handed out after all entries before it.

use std::collections::VecDeque;

use super::units::{Index, RecordId};
use super::{Core, Output, Record, Role};
use crate::mutations::Mutation;

/// What was handed out, and what of it is durable.
#[derive(Debug)]
pub(super) struct Durability {
    /// The last record handed out.
    issued: RecordId,
    /// The last record that carried a term or a vote.
    hard_state: RecordId,
    /// The last index of the log that was handed out.
    issued_log: Index,
    /// The last index of the log that is durable.
    log: Index,
    /// Records that end at an index of the log which is not durable yet.
    pending: VecDeque<(RecordId, Index)>,
    /// The last record known to be durable.
    record: RecordId,
}

impl Durability {
    /// Everything up to `last` was read from the disk.
    pub(super) fn new(last: Index) -> Self {
        Self {
            issued: RecordId::ZERO,
            hard_state: RecordId::ZERO,
            issued_log: last,
            log: last,
            pending: VecDeque::new(),
            record: RecordId::ZERO,
        }
    }

    /// The last index of the log that is durable.
    pub(super) fn log(&self) -> Index {
        self.log
    }

    /// The last record handed out: what a promise about the log waits for.
    pub(super) fn issued(&self) -> RecordId {
        self.issued
    }

    /// The record of the present term and vote: what a promise about them waits for.
    pub(super) fn hard_state(&self) -> RecordId {
        self.hard_state
    }

    /// A durable snapshot covers the log up to an index, and the log ends at another now.
    pub(super) fn covered(&mut self, until: Index, last: Index) {
        self.issued_log = last;
        self.log = self.log.max(until).min(last);
        self.pending.retain(|(_, index)| *index > until && *index <= last);
    }

    /// Whether the present term and vote are durable.
    pub(super) fn has_hard_state(&self) -> bool {
        self.record >= self.hard_state
    }
}

impl Core {
    /// Hands out a record, after the entries before it.
    pub(super) fn persist(&mut self, record: Record, out: &mut Vec<Output>) {
        self.persist_entries(out);
        self.issue(record, out);
    }

    /// Hands out the entries that the log gained.
    pub(super) fn persist_entries(&mut self, out: &mut Vec<Output>) {
        while self.durability.issued_log < self.log.last_index() {
            let index = self.durability.issued_log.next();
            let entry = self.log.get(index).expect("it is not handed out, so it is not trimmed");
            let record = Record::Append(entry.clone());
            self.issue(record, out);
        }
    }

    /// Hands out the term and the vote.
    pub(super) fn persist_hard_state(&mut self, out: &mut Vec<Output>) {
        let lost = self.mutations.has(Mutation::VoteNotPersisted);
        let vote = if lost { None } else { self.vote };
        self.persist(Record::HardState { term: self.term, vote }, out);
    }

    /// Hands out what a restart found to be put right, before anything else.
    pub(super) fn persist_corrections(&mut self, out: &mut Vec<Output>) {
        for record in std::mem::take(&mut self.corrections) {
            self.issue(record, out);
            self.durability.covered(self.log.base(), self.log.last_index());
        }
    }

    fn issue(&mut self, record: Record, out: &mut Vec<Output>) {
        let durability = &mut self.durability;
        durability.issued = RecordId(durability.issued.0 + 1);
        match &record {
            Record::HardState { .. } => durability.hard_state = durability.issued,
            Record::Append(entry) => {
                durability.issued_log = entry.index;
                durability.pending.push_back((durability.issued, entry.index));
            }
            Record::Truncate { from } => {
                let last = from.previous();
                durability.issued_log = last;
                if !self.mutations.has(Mutation::StaleLastWritten) {
                    durability.log = durability.log.min(last);
                }
                durability.pending.retain(|(_, index)| *index <= last);
            }
            Record::Trim { .. } | Record::Boot(_) => {}
        }
        out.push(Output::Persist(record));
    }

    /// Learns that the records up to this one are durable.
    pub(super) fn durable(&mut self, record: RecordId, out: &mut Vec<Output>) {
        let durability = &mut self.durability;
        assert!(record <= durability.issued, "only what was handed out can be durable");
        durability.record = durability.record.max(record);
        while let Some((_, index)) = durability.pending.pop_front_if(|(id, _)| *id <= record) {
            durability.log = index;
        }
        self.count_own_vote(out);
        self.advance_commit(out);
    }

    /// Goes on without the records that a failed write lost, and uses their indexes again in the
    /// same term, though followers may have the entries: what follows from the planted bug that
    /// keeps the storage in use after such an error.
    pub(super) fn not_written(&mut self, out: &mut Vec<Output>) {
        assert!(!self.mutations.none(), "a server whose disk failed stops");
        let kept = self.commit.max(self.durability.log);
        self.log.truncate(kept.next());
        self.forget_members_from(kept.next(), out);
        self.lose_writes_after(kept, out);
        if let Role::Leader(leadership) = &mut self.role {
            leadership.followers.values_mut().for_each(|it| it.send_again_after(kept));
        }
        self.issue(Record::Truncate { from: self.durability.log.next() }, out);
        self.persist_hard_state(out);
    }
}
