//! Takes entries from the term's leader: the receiving end of AppendEntries (Raft Figure 2).
//!
//! Entries are removed only where one conflicts with the leader's. A message that is merely older
//! than the log must not shorten it: the leader may have counted the entries it does not mention.
//! What was trimmed was committed, and so agrees with every later leader's log.
//!
//! An acknowledgement of new entries waits until they are durable. One without entries, a
//! heartbeat, says what is durable already and waits for nothing, so that reads, which it confirms,
//! do not wait for the disk.

use super::log::Entry;
use super::message::{Append, AppendOutcome, Body};
use super::units::{Index, NodeId, RecordId, Term};
use super::{Core, Output, Record, Role};
use crate::mutations::Mutation;

impl Core {
    /// Answers AppendEntries, replication and heartbeat alike.
    pub(super) fn receive_append(
        &mut self,
        (from, term): (NodeId, Term),
        append: Append,
        out: &mut Vec<Output>,
    ) {
        let round = append.round;
        let stale = term < self.term && !self.mutations.has(Mutation::StaleAppendAccepted);
        if stale {
            // The reply's term makes the old leader step down; the outcome is not looked at.
            let outcome = AppendOutcome::Rejected {
                previous_index: append.previous_index,
                conflict_term: None,
                first_index: self.log.last_index().next(),
            };
            let body = Body::Appended { request_term: term, round, outcome };
            self.send_after(self.durability.hard_state(), from, body, out);
            return;
        }
        // Election Safety (Raft §5.2) gives a term one leader: whoever claims to be another,
        // through a planted bug or two servers run under one id, is not answered.
        if matches!(self.role, Role::Leader(_)) && self.mutations.none() {
            return;
        }
        self.heard_leader(from, out);
        let heartbeat = append.entries.is_empty();
        let outcome = self.match_and_append(append, out);
        let (after, outcome) = match outcome {
            AppendOutcome::Accepted { matched } if heartbeat => {
                let matched = matched.min(self.durability.log());
                (self.durability.hard_state(), AppendOutcome::Accepted { matched })
            }
            outcome => (self.durability.issued(), outcome),
        };
        let body = Body::Appended { request_term: term, round, outcome };
        self.send_after(after, from, body, out);
    }

    fn match_and_append(&mut self, append: Append, out: &mut Vec<Output>) -> AppendOutcome {
        let Append { previous_index, previous_term, entries, commit, .. } = append;
        let base = self.log.base();
        let found = self.log.term_at(previous_index);
        let trimmed = found.is_none() && previous_index < base;
        if trimmed && self.mutations.has(Mutation::PurgedPrevlogConflict) {
            self.truncate_log(base.next(), out);
            let (conflict_term, first_index) = (None, base.next());
            return AppendOutcome::Rejected { previous_index, conflict_term, first_index };
        }
        let skips = entries.is_empty() && self.mutations.has(Mutation::HeartbeatSkipsPrevlog);
        if found != Some(previous_term) && !trimmed && !skips {
            return AppendOutcome::Rejected {
                previous_index,
                conflict_term: found,
                first_index: match found {
                    Some(term) => self.log.first_of(term),
                    None => self.log.last_index().next(),
                },
            };
        }
        let matched = previous_index.plus(entries.len());
        if self.mutations.has(Mutation::TruncateOnStaleAppend) && previous_index >= base {
            self.truncate_log(previous_index.next(), out);
        }
        for entry in entries {
            self.take_entry(entry, out);
        }
        self.persist_entries(out);
        // Not past the last entry this message vouches for: what follows may yet conflict.
        let beyond = self.mutations.has(Mutation::CommitBeyondLastNew);
        let vouched = if beyond { self.log.last_index() } else { matched };
        self.commit_to(commit.min(vouched), out);
        let whole = self.mutations.has(Mutation::TailAcknowledged);
        let matched = if whole { self.log.last_index() } else { matched };
        // What is trimmed is committed: it agrees, and a durable snapshot has it.
        AppendOutcome::Accepted { matched: matched.max(self.log.base()) }
    }

    fn take_entry(&mut self, entry: Entry, out: &mut Vec<Output>) {
        // Trimmed entries are committed: the same ones are there, under the snapshot.
        if entry.index <= self.log.base() {
            return;
        }
        let mut tail = Vec::new();
        match self.log.term_at(entry.index) {
            Some(term) if term == entry.term => return,
            Some(_) => {
                let conflicts = self.mutations.has(Mutation::PanicOnConflict);
                assert!(!conflicts, "entry {} conflicts with the leader's", entry.index);
                if self.mutations.has(Mutation::StaleTailKept) {
                    tail = self.log.batch(entry.index.next());
                }
                self.truncate_log(entry.index, out);
            }
            None => {}
        }
        self.append_to_log(entry, out);
        for entry in tail {
            self.append_to_log(entry, out);
        }
    }

    fn truncate_log(&mut self, from: Index, out: &mut Vec<Output>) {
        assert!(from > self.commit || !self.mutations.none(), "committed entries are never cut");
        if from > self.log.last_index() {
            return;
        }
        self.persist(Record::Truncate { from }, out);
        self.log.truncate(from);
        self.forget_members_from(from, out);
    }

    /// Acknowledges what a snapshot brought.
    pub(super) fn acknowledge_snapshot(
        &self,
        (to, request_term): (NodeId, Term),
        matched: Index,
        out: &mut Vec<Output>,
    ) {
        let outcome = AppendOutcome::Accepted { matched };
        let body = Body::Appended { request_term, round: 0, outcome };
        let after: RecordId = self.durability.issued();
        self.send_after(after, to, body, out);
    }
}
