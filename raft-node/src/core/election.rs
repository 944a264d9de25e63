//! Decides who leads: timeouts, votes, terms.
//!
//! A follower that hears from no leader for a random time stands for election in the next term
//! (Raft §5.2). A server votes once per term, durably, and only for a candidate whose log is at
//! least as up to date as its own (§5.4.1), so that a leader holds every committed entry (Leader
//! Completeness). The timer restarts only when a vote is granted, when the term's leader is heard,
//! and when an election begins: a refused candidate must not keep others from standing.

use std::collections::BTreeSet;

use rand::RngExt;

use super::message::{Ballot, Body};
use super::units::{Index, NodeId, Term};
use super::{Change, Core, Output, Role};
use crate::mutations::Mutation;

impl Core {
    /// Draws a new election timeout, from now.
    pub(super) fn reset_election_timer(&mut self) {
        let timeout = self.random.random_range(self.config.election_timeout.clone());
        self.election_due = self.now + timeout;
    }

    /// Becomes a follower of a term seen in a message (Raft §5.1).
    pub(super) fn adopt_term(&mut self, term: Term, out: &mut Vec<Output>) {
        assert!(term > self.term, "a term never falls");
        let was_leader = matches!(self.role, Role::Leader(_));
        // Requests are settled in the old term, while it is still known what they waited for.
        self.lose_leadership(out);
        self.abandon_forwards(out);
        self.term = term;
        self.vote = None;
        self.leader = None;
        self.persist_hard_state(out);
        if was_leader {
            self.reset_election_timer();
            self.changed(Change::SteppedDown, out);
        }
    }

    /// Steps back to a follower within the present term; reads that waited for a quorum fail.
    pub(super) fn lose_leadership(&mut self, out: &mut Vec<Output>) {
        if let Role::Leader(leadership) = std::mem::replace(&mut self.role, Role::Follower) {
            self.fail_reads(leadership.reads, out);
        }
    }

    /// Begins an election: a new term, a vote for oneself, a request to everyone else.
    pub(super) fn stand_for_election(&mut self, out: &mut Vec<Output>) {
        self.abandon_forwards(out);
        self.term = self.term.next();
        self.vote = Some(self.config.id);
        self.leader = None;
        self.persist_hard_state(out);
        self.role = Role::Candidate { votes: BTreeSet::from([self.config.id]) };
        self.reset_election_timer();
        self.changed(Change::BecameCandidate, out);
        let (last_index, last_term) = (self.log.last_index(), self.log.last_term());
        let after = self.durability.hard_state();
        for peer in &self.peers {
            let body = Body::RequestVote { ballot: Ballot::Vote, last_index, last_term };
            self.send_after(after, *peer, body, out);
        }
        self.count_votes(out);
    }

    /// Answers a candidate (RequestVote, Raft Figure 2). `last` is its last entry, term first.
    pub(super) fn receive_request_vote(
        &mut self,
        from: NodeId,
        term: Term,
        last: (Term, Index),
        out: &mut Vec<Output>,
    ) {
        let own_last = (self.log.last_term(), self.log.last_index());
        let up_to_date = last >= own_last || self.mutations.has(Mutation::NoLogCheck);
        let free = self.vote.is_none_or(|vote| vote == from);
        // In a term that has this server as candidate or leader, its vote is its own.
        let granted = term == self.term && free && up_to_date;
        if granted {
            if self.vote.is_none() {
                self.vote = Some(from);
                self.persist_hard_state(out);
            }
            self.reset_election_timer();
        }
        let after = self.durability.hard_state();
        self.send_after(after, from, Body::Vote { pre: false, granted }, out);
    }

    /// Counts a vote, unless it was for another term or an election already decided.
    pub(super) fn receive_vote(
        &mut self,
        from: NodeId,
        term: Term,
        granted: bool,
        out: &mut Vec<Output>,
    ) {
        if term != self.term || !granted {
            return;
        }
        if let Role::Candidate { votes } = &mut self.role {
            votes.insert(from);
            self.count_votes(out);
        }
    }

    fn count_votes(&mut self, out: &mut Vec<Output>) {
        let Role::Candidate { votes } = &self.role else { return };
        if votes.len() >= self.quorum() {
            let votes = votes.clone();
            self.begin_leadership(out);
            self.changed(Change::BecameLeader { votes }, out);
        }
    }
}
