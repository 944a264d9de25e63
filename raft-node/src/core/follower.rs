//! Takes entries from the term's leader: the receiving end of AppendEntries (Raft Figure 2).
//!
//! Entries are removed only where one conflicts with the leader's. A message that is merely older
//! than the log must not shorten it: the leader may have counted the entries it does not mention.

use super::log::Entry;
use super::message::{Append, AppendOutcome, Body};
use super::units::{Index, NodeId, Term};
use super::{Change, Core, Output, Record, Role};
use crate::mutations::Mutation;

impl Core {
    /// Answers AppendEntries, replication and heartbeat alike.
    pub(super) fn receive_append(
        &mut self,
        from: NodeId,
        term: Term,
        append: Append,
        out: &mut Vec<Output>,
    ) {
        let stale = term < self.term && !self.mutations.has(Mutation::StaleAppendAccepted);
        if stale {
            // The reply's term makes the old leader step down; the outcome is not looked at.
            let outcome = AppendOutcome::Rejected {
                previous_index: append.previous_index,
                conflict_term: None,
                first_index: self.log.last_index().next(),
            };
            self.confirm(from, term, append.round, outcome, out);
            return;
        }
        if matches!(self.role, Role::Leader(_)) {
            // Election Safety (Raft §5.2) gives a term one leader: whoever claims to be another,
            // through a planted bug or two servers run under one id, is not answered.
            if self.mutations.none() {
                return;
            }
            self.lose_leadership(out);
        }
        self.role = Role::Follower;
        self.reset_election_timer();
        if self.leader != Some(from) {
            self.leader = Some(from);
            self.changed(Change::FollowsLeader { leader: from }, out);
        }
        let round = append.round;
        let outcome = self.match_and_append(append, out);
        self.confirm(from, term, round, outcome, out);
    }

    fn confirm(
        &self,
        to: NodeId,
        request_term: Term,
        round: u64,
        outcome: AppendOutcome,
        out: &mut Vec<Output>,
    ) {
        let after = self.durability.issued();
        self.send_after(after, to, Body::Appended { request_term, round, outcome }, out);
    }

    fn match_and_append(&mut self, append: Append, out: &mut Vec<Output>) -> AppendOutcome {
        let Append { previous_index, previous_term, entries, commit, .. } = append;
        let found = self.log.term_at(previous_index);
        if found != Some(previous_term) {
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
        for entry in entries {
            self.take_entry(entry, out);
        }
        self.persist_entries(out);
        // Not past the last entry this message vouches for: what follows may yet conflict.
        self.commit_to(commit.min(matched), out);
        AppendOutcome::Accepted { matched }
    }

    fn take_entry(&mut self, entry: Entry, out: &mut Vec<Output>) {
        match self.log.term_at(entry.index) {
            Some(term) if term == entry.term => return,
            Some(_) => self.truncate_log(entry.index, out),
            None => {}
        }
        self.append_to_log(entry);
    }

    fn truncate_log(&mut self, from: Index, out: &mut Vec<Output>) {
        assert!(from > self.commit || !self.mutations.none(), "committed entries are never cut");
        self.persist(Record::Truncate { from }, out);
        self.log.truncate(from);
    }
}
