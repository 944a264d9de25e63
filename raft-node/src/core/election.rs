//! Decides who leads: timeouts, pre-votes, votes, terms.
//!
//! A follower that hears from no leader for a random time asks first whether it *would* be elected
//! (pre-vote, thesis §9.6), and only if a majority says so begins a term and stands for election
//! (Raft §5.2): a server that was cut off does not come back with a great term that deposes a
//! leader who serves everyone else. A server votes once per term, durably, its own vote included,
//! and only for a candidate whose log is at least as up to date as its own (§5.4.1), so that a
//! leader holds every committed entry (Leader Completeness).
//!
//! Whoever heard from a leader within the least election timeout, or leads, sticks to it and hears
//! no candidate (thesis §4.2.3), unless the leader itself sent the candidate (§3.10). Leases rest
//! on this. So that a leader cut off does not stick to itself, it steps down when it has heard of
//! no majority for the greatest election timeout (check-quorum, §6.2).
//!
//! The timer restarts only when a vote is granted, when the term's leader is heard, and when an
//! election begins: a refused candidate must not keep others from standing.
//!
//! A request or its answer may get lost, most of all while connections are re-established after
//! whatever took the leader away. A candidate therefore asks again, every heartbeat, the servers
//! that have not answered (Raft §5.1: "servers retry RPCs if they do not receive a response in a
//! timely manner"), and need not wait for its next election. A voter answers the same candidate as
//! it did before.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::RngExt;

use super::message::{Body, VoteKind};
use super::units::{Index, NodeId, RecordId, Term};
use super::{Change, Core, Output, Role};
use crate::mutations::Mutation;

/// The votes for one candidate.
#[derive(Clone, Debug)]
pub(super) struct Votes {
    /// What is asked for.
    ballot: VoteKind,
    /// Who granted one.
    pub(super) from: BTreeSet<NodeId>,
    /// How many grants arrived, repeated ones included.
    replies: usize,
    /// Who refused one.
    refused: BTreeSet<NodeId>,
    /// When to ask those again who have not answered.
    ask_due: Duration,
}

impl Votes {
    fn new(ballot: VoteKind, ask_due: Duration) -> Self {
        let (from, refused) = (BTreeSet::new(), BTreeSet::new());
        Self { ballot, from, replies: 0, refused, ask_due }
    }

    fn add(&mut self, from: NodeId) {
        self.from.insert(from);
        self.replies += 1;
    }
}

impl Core {
    /// Draws a new election timeout, from now.
    pub(super) fn reset_election_timer(&mut self) {
        let range = self.config.election_timeout.clone();
        let drawn = self.random.random_range(range.clone());
        let fixed = self.mutations.has(Mutation::FixedTimer);
        self.election_due = self.now + if fixed { *range.start() } else { drawn };
    }

    /// Whether a vote is forgotten once a leader of its term is heard. Where that was shipped, a
    /// late candidate of the term met nothing else either, neither a pre-vote, nor a voter that
    /// sticks to its leader, nor an entry that opens the term. Raft is safe without these three.
    pub(super) fn forgets_votes(&self) -> bool {
        self.mutations.has(Mutation::VoteErasedSameTerm)
    }

    /// Whether candidates are not to be heard: there is, or may be, a leader.
    fn sticks_to_leader(&self) -> bool {
        if self.forgets_votes() {
            return false;
        }
        let least = *self.config.election_timeout.start();
        match self.role {
            Role::Leader(_) => true,
            _ if self.mutations.has(Mutation::LeaderRemembered) => self.heard.is_some(),
            _ => self.heard.is_some_and(|heard| self.now < heard + least),
        }
    }

    /// Whether a message is not to be heard at all, its term included.
    pub(super) fn ignores(&self, body: &Body) -> bool {
        match body {
            Body::RequestVote { ballot: VoteKind::Pre | VoteKind::Vote, .. } => {
                self.sticks_to_leader()
            }
            _ => false,
        }
    }

    /// Becomes a follower of a term seen in a message (Raft §5.1).
    pub(super) fn adopt_term(&mut self, term: Term, out: &mut Vec<Output>) {
        assert!(term > self.term, "a term never falls");
        let was_leader = matches!(self.role, Role::Leader(_));
        // Requests are settled in the old term, while it is still known what they waited for.
        self.lose_leadership(true, out);
        self.abandon_forwards(out);
        self.term = term;
        self.vote = None;
        self.leader = None;
        if !self.mutations.has(Mutation::TermNotPersisted) {
            self.persist_hard_state(out);
        }
        if was_leader {
            self.reset_election_timer();
            self.changed(Change::SteppedDown, out);
        }
    }

    /// Becomes a follower within the present term. The vote in it stays given.
    pub(super) fn follow(&mut self, out: &mut Vec<Output>) {
        if self.forgets_votes() && self.vote.take().is_some() {
            self.persist_hard_state(out);
        }
        self.lose_leadership(false, out);
    }

    /// Leads no more; what waited for a quorum in this term fails. `deposed` says that there is a
    /// newer term.
    fn lose_leadership(&mut self, deposed: bool, out: &mut Vec<Output>) {
        let Role::Leader(leadership) = std::mem::replace(&mut self.role, Role::Follower) else {
            return;
        };
        let leadership = *leadership;
        self.fail_reads(leadership.reads, out);
        self.fail_changes(leadership.changes, out);
        if let Some(transfer) = leadership.transfer {
            self.end_transfer(&transfer, deposed, out);
        }
        if self.mutations.has(Mutation::FailForMaybe) {
            self.refuse_writes(out);
        }
    }

    /// Begins, or begins again, after no leader was heard for too long.
    pub(super) fn campaign(&mut self, out: &mut Vec<Output>) {
        self.reset_election_timer();
        if !self.members.may_lead(self.config.id) {
            return;
        }
        if self.mutations.has(Mutation::NoPrevote) || self.forgets_votes() {
            self.stand_for_election(VoteKind::Vote, out);
            return;
        }
        if !matches!(self.role, Role::PreCandidate { .. }) {
            self.changed(Change::BecamePreCandidate, out);
        } else if self.mutations.has(Mutation::ElectedWithoutVotes) && self.hears_nobody() {
            self.stand_for_election(VoteKind::Vote, out);
            self.changed(Change::BecameLeader { votes: [self.config.id].into() }, out);
            return;
        }
        self.leader = None;
        let mut votes = self.no_votes(VoteKind::Pre);
        votes.add(self.config.id);
        self.role = Role::PreCandidate { votes };
        self.request_votes(out);
        self.count_votes(out);
    }

    /// Whether a candidate was answered by no other server.
    fn hears_nobody(&self) -> bool {
        match &self.role {
            Role::PreCandidate { votes } | Role::Candidate { votes } => {
                votes.from.len() <= 1 && votes.refused.is_empty()
            }
            Role::Follower | Role::Leader(_) => false,
        }
    }

    fn no_votes(&self, ballot: VoteKind) -> Votes {
        Votes::new(ballot, self.now + self.config.heartbeat)
    }

    /// Begins an election: a new term, a vote for oneself, a request to everyone else. The own vote
    /// counts once it is durable.
    pub(super) fn stand_for_election(&mut self, ballot: VoteKind, out: &mut Vec<Output>) {
        self.abandon_forwards(out);
        self.term = self.term.next();
        self.vote = Some(self.config.id);
        self.leader = None;
        self.persist_hard_state(out);
        self.role = Role::Candidate { votes: self.no_votes(ballot) };
        self.reset_election_timer();
        self.changed(Change::BecameCandidate, out);
        self.request_votes(out);
    }

    /// Asks everyone who has not answered.
    fn request_votes(&self, out: &mut Vec<Output>) {
        let (votes, after) = match &self.role {
            // Binds nobody, the candidate itself included.
            Role::PreCandidate { votes } => (votes, RecordId::ZERO),
            Role::Candidate { votes } => (votes, self.durability.hard_state()),
            Role::Follower | Role::Leader(_) => return,
        };
        let (last_index, last_term) = (self.log.last_index(), self.log.last_term());
        let answered = |peer: &NodeId| votes.from.contains(peer) || votes.refused.contains(peer);
        for peer in self.peers.iter().filter(|peer| !answered(peer)) {
            let body = Body::RequestVote { ballot: votes.ballot, last_index, last_term };
            self.send_after(after, *peer, body, out);
        }
    }

    /// When this server, as a candidate, asks again for votes.
    pub(super) fn ask_due(&self) -> Option<Duration> {
        match &self.role {
            Role::PreCandidate { votes } | Role::Candidate { votes } => Some(votes.ask_due),
            Role::Follower | Role::Leader(_) => None,
        }
    }

    /// Does all that a server that does not lead does in its turn: stands for election if it is
    /// time, and asks again for votes.
    pub(super) fn seek_votes(&mut self, out: &mut Vec<Output>) {
        let (now, next) = (self.now, self.now + self.config.heartbeat);
        if now >= self.election_due && !matches!(self.role, Role::Leader(_)) {
            self.campaign(out);
        } else if let Role::PreCandidate { votes } | Role::Candidate { votes } = &mut self.role
            && now >= votes.ask_due
        {
            votes.ask_due = next;
            self.request_votes(out);
        }
    }

    /// Answers a candidate (RequestVote, Raft Figure 2). `last` is its last entry, term first.
    pub(super) fn receive_request_vote(
        &mut self,
        (from, term): (NodeId, Term),
        ballot: VoteKind,
        last: (Term, Index),
        out: &mut Vec<Output>,
    ) {
        let own_last = (self.log.last_term(), self.log.last_index());
        let chosen = ballot == VoteKind::Transfer && self.trusts_successors();
        let up_to_date = last >= own_last || chosen || self.mutations.has(Mutation::NoLogCheck);
        if ballot == VoteKind::Pre {
            // Binds nobody, so it moves nothing and waits for nothing.
            let granted = term == self.term && up_to_date;
            self.send(from, Body::Vote { pre: true, granted }, out);
            return;
        }
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
        (from, term): (NodeId, Term),
        pre: bool,
        granted: bool,
        out: &mut Vec<Output>,
    ) {
        if term != self.term {
            return;
        }
        match (&mut self.role, pre) {
            (Role::PreCandidate { votes }, true) | (Role::Candidate { votes }, false) => {
                if granted {
                    votes.add(from);
                    self.count_votes(out);
                } else {
                    votes.refused.insert(from);
                }
            }
            _ => {}
        }
    }

    /// Counts the candidate's own vote once it is durable.
    pub(super) fn count_own_vote(&mut self, out: &mut Vec<Output>) {
        let (own, durable) = (self.config.id, self.durability.has_hard_state());
        if let Role::Candidate { votes } = &mut self.role
            && durable
            && !votes.from.contains(&own)
        {
            votes.add(own);
            self.count_votes(out);
        }
    }

    fn count_votes(&mut self, out: &mut Vec<Output>) {
        let (Role::PreCandidate { votes } | Role::Candidate { votes }) = &self.role else { return };
        let repeated = self.mutations.has(Mutation::DuplicateVotesCounted)
            && votes.replies > self.configuration().voters.len() / 2;
        if !repeated && !self.is_quorum(|id| votes.from.contains(&id)) {
            return;
        }
        if matches!(self.role, Role::PreCandidate { .. }) {
            self.stand_for_election(VoteKind::Vote, out);
        } else {
            let votes = votes.from.clone();
            self.begin_leadership(out);
            self.changed(Change::BecameLeader { votes }, out);
        }
    }

    /// Stands for election at once, because the leader asks for it (thesis §3.10).
    pub(super) fn receive_timeout_now(
        &mut self,
        (from, term): (NodeId, Term),
        out: &mut Vec<Output>,
    ) {
        let asked = term == self.term && self.leader == Some(from);
        let follower = matches!(self.role, Role::Follower);
        if asked && follower && self.configuration().is_voter(self.config.id) {
            self.stand_for_election(VoteKind::Transfer, out);
        }
    }

    /// Steps down if no majority was heard of for too long (check-quorum, thesis §6.2).
    pub(super) fn check_quorum(&mut self, out: &mut Vec<Output>) {
        let Role::Leader(leadership) = &self.role else { return };
        let limit = *self.config.election_timeout.end();
        let (own, now) = (self.config.id, self.now);
        let heard = self.is_quorum(|id| {
            id == own || leadership.silence(id, now).is_some_and(|silent| silent <= limit)
        });
        let asks = !self.mutations.has(Mutation::NoCheckQuorum) && self.asks_a_quorum();
        if !heard && asks {
            self.changed(Change::LostQuorum, out);
            self.retire(out);
        }
    }

    /// Leads no more within the present term, which has no leader from now on.
    pub(super) fn retire(&mut self, out: &mut Vec<Output>) {
        self.follow(out);
        self.leader = None;
        self.reset_election_timer();
    }

    /// Notes that the term's leader was heard.
    pub(super) fn heard_leader(&mut self, from: NodeId, out: &mut Vec<Output>) {
        self.follow(out);
        self.reset_election_timer();
        self.heard = Some(self.now);
        if self.leader != Some(from) {
            self.leader = Some(from);
            self.changed(Change::FollowsLeader { leader: from }, out);
        }
    }

    /// How long ago the leader was last heard of, as a restarted server must assume it: with
    /// leases it may have promised, in its earlier life, to hear no candidate for a while.
    pub(super) fn heard_at_start(&self) -> Option<Duration> {
        self.config.lease.map(|_| self.now)
    }
}
