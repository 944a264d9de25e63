//! Brings the followers' logs in line with the leader's, and decides what is committed.
//!
//! One message does it all (Raft §5.3): an Append carries entries if the follower lacks any, the
//! commit index, and the latest round of confirmations that [`reads`](super::reads) wait for;
//! without entries it is a heartbeat. Entries gather until the next [`Input::Tick`](super::Input),
//! so that one message and one disk sync serve all requests that arrived together. The leader keeps
//! a [`Progress`] per follower, learners included.
//!
//! An entry is committed when a majority holds it durably *and* it is of the leader's own term;
//! that commits all before it (§5.4.2, Figure 8). A no-op opens every term for this purpose. The
//! leader's own copy counts once it is durable here, like anyone's (thesis §10.2.1).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::log::{Entry, Payload};
use super::members::PendingChange;
use super::message::{Append, AppendOutcome, Body, Chunk};
use super::progress::{Progress, Sending, State};
use super::reads::PendingRead;
use super::snapshot::SnapshotId;
use super::transfer::Transfer;
use super::units::{Index, NodeId, Timestamp};
use super::{Core, FollowerStatus, Output, Role};
use crate::mutations::Mutation;

/// What a server keeps while it leads.
#[derive(Debug)]
pub(super) struct Leadership {
    pub(super) followers: BTreeMap<NodeId, Progress>,
    /// The first entry of the term. Once it is committed, so is all that was before this term.
    pub(super) term_start: Index,
    /// The latest round of confirmations begun; every Append carries it.
    pub(super) round: u64,
    /// With leases, when the unconfirmed rounds began.
    pub(super) rounds: VecDeque<(u64, Duration)>,
    /// With leases, when the latest confirmed round began.
    pub(super) confirmed_since: Option<Duration>,
    /// Reads that wait for a round, oldest first.
    pub(super) reads: VecDeque<PendingRead>,
    pub(super) heartbeat_due: Duration,
    /// The cluster's time at a moment of this server's clock.
    clock: (Timestamp, Duration),
    pub(super) changes: Vec<PendingChange>,
    pub(super) transfer: Option<Transfer>,
    /// Whether a successor was told in this term to stand for election.
    pub(super) yielded: bool,
}

impl Leadership {
    /// What is known of each follower.
    pub(super) fn statuses(&self, now: Duration) -> Vec<FollowerStatus> {
        let status = |(id, progress): (&NodeId, &Progress)| FollowerStatus {
            id: *id,
            matched: progress.matched,
            next: progress.next,
            state: progress.state_name(),
            silent: now.saturating_sub(progress.heard),
        };
        self.followers.iter().map(status).collect()
    }

    /// Follows these servers from now on, and no others.
    pub(super) fn set_followers(&mut self, peers: &[NodeId], last: Index, now: Duration) {
        self.followers.retain(|id, _| peers.contains(id));
        for peer in peers {
            self.followers.entry(*peer).or_insert_with(|| Progress::new(last.next(), now));
        }
    }

    /// How long a follower was not heard.
    pub(super) fn silence(&self, id: NodeId, now: Duration) -> Option<Duration> {
        self.followers.get(&id).map(|progress| now.saturating_sub(progress.heard))
    }

    /// The one among these servers whose log is closest to the leader's.
    pub(super) fn most_advanced(
        &self,
        among: &std::collections::BTreeSet<NodeId>,
    ) -> Option<NodeId> {
        let candidates = self.followers.iter().filter(|(id, _)| among.contains(id));
        candidates.max_by_key(|(_, progress)| progress.matched).map(|(id, _)| *id)
    }
}

impl Core {
    /// Whether replicas of earlier terms' entries commit them, so that a term needs none of its
    /// own. They do not (Raft Figure 8).
    fn prior_terms_count(&self) -> bool {
        self.mutations.has(Mutation::CommitPriorTerm)
    }

    /// Takes office after an election was won: opens the term with a no-op (Raft §8).
    pub(super) fn begin_leadership(&mut self, out: &mut Vec<Output>) {
        self.forget_uncommitted_members(out);
        self.leader = Some(self.config.id);
        let before = self.log.get(self.log.last_index()).map_or(Timestamp(0), |entry| entry.time);
        let mut leadership = Leadership {
            followers: BTreeMap::new(),
            term_start: self.log.last_index().next(),
            round: 0,
            rounds: VecDeque::new(),
            confirmed_since: None,
            reads: VecDeque::new(),
            heartbeat_due: self.now,
            clock: (before.max(self.machine.time), self.now),
            changes: Vec::new(),
            transfer: None,
            yielded: false,
        };
        leadership.set_followers(&self.peers, self.log.last_index(), self.now);
        if self.prior_terms_count() {
            leadership.term_start = self.log.last_index();
            self.role = Role::Leader(Box::new(leadership));
        } else {
            self.role = Role::Leader(Box::new(leadership));
            if !self.forgets_votes() {
                self.append_noop(out);
            }
        }
        self.advance_commit(out);
    }

    pub(super) fn append_noop(&mut self, out: &mut Vec<Output>) {
        let (index, term, time) = (self.log.last_index().next(), self.term, self.time());
        self.append_to_log(Entry { index, term, time, payload: Payload::Noop }, out);
    }

    /// The time for a new entry: goes on from where the log's time stood when this server was
    /// elected.
    pub(super) fn time(&self) -> Timestamp {
        match &self.role {
            Role::Leader(leadership) => {
                let (then, at) = leadership.clock;
                then.after(self.now.saturating_sub(at))
            }
            _ => self.machine.time,
        }
    }

    /// Lets time pass for keys that are to expire, if no write does.
    fn expire_keys(&mut self, out: &mut Vec<Output>) {
        let due = self.machine.values.next_expiry().is_some_and(|at| at <= self.time());
        if due && self.commit == self.log.last_index() {
            self.append_noop(out);
        }
    }

    /// Does all that a leader does in its turn.
    pub(super) fn lead(&mut self, out: &mut Vec<Output>) {
        let Role::Leader(leadership) = &self.role else { return };
        let heartbeat = self.now >= leadership.heartbeat_due;
        if heartbeat {
            self.check_quorum(out);
            self.expire_keys(out);
        }
        self.advance_commit(out);
        self.advance_members(out);
        self.advance_transfer(out);
        self.serve_reads(out);
        self.broadcast(heartbeat, out);
    }

    /// Sends everyone something, whatever is due.
    pub(super) fn broadcast_now(&mut self, out: &mut Vec<Output>) {
        self.broadcast(true, out);
    }

    /// Sends what each follower is due: entries it lacks, a heartbeat, a round to confirm.
    fn broadcast(&mut self, heartbeat: bool, out: &mut Vec<Output>) {
        let (leases, clock) = (self.config.lease.is_some(), self.lease_clock());
        let Role::Leader(leadership) = &mut self.role else { return };
        if heartbeat {
            leadership.heartbeat_due = self.now + self.config.heartbeat;
        }
        let new_round = leadership.begin_round(heartbeat && leases);
        if new_round && leases {
            leadership.rounds.push_back((leadership.round, clock));
        }
        for place in 0..self.peers.len() {
            self.replicate_to(self.peers[place], heartbeat, heartbeat || new_round, out);
        }
        // A leader that is the only voter confirms its own rounds.
        if new_round {
            self.serve_reads(out);
        }
    }

    /// Sends one follower the batches its window has room for, and at least one message if `must`.
    fn replicate_to(&mut self, to: NodeId, heartbeat: bool, must: bool, out: &mut Vec<Output>) {
        let Role::Leader(leadership) = &mut self.role else { return };
        let (term, commit, round) = (self.term, self.commit, leadership.round);
        let Some(progress) = leadership.followers.get_mut(&to) else { return };
        let mut must = must;
        if let State::Probing { waiting } = &mut progress.state {
            must |= !*waiting || heartbeat;
            *waiting = true;
        }
        if self.log.term_at(progress.next.previous()).is_none()
            || progress.next.previous() < self.log.base()
        {
            self.send_snapshot_to(to, heartbeat, out);
            if must {
                // The place before the first entry is where all logs agree.
                let (previous_index, previous_term) = (Index::ZERO, super::units::Term(0));
                let entries = Vec::new();
                let append = Append { previous_index, previous_term, entries, commit, round };
                self.send(to, Body::Append(append), out);
            }
            return;
        }
        loop {
            let entries =
                if progress.has_room() { self.log.batch(progress.next) } else { Vec::new() };
            if entries.is_empty() && !must {
                break;
            }
            must = false;
            let previous_index = progress.next.previous();
            let previous_term = self.log.term_at(previous_index).expect("not trimmed, as checked");
            progress.sent(&entries);
            let append = Append { previous_index, previous_term, entries, commit, round };
            let message = super::Message { term, body: Body::Append(append) };
            out.push(Output::Send { to, message, after: super::RecordId::ZERO });
        }
    }

    /// Sends a follower that lacks trimmed entries the next chunks of the snapshot.
    fn send_snapshot_to(&mut self, to: NodeId, heartbeat: bool, out: &mut Vec<Output>) {
        let (Some(id), Some(extent)) = (self.compaction.latest, self.compaction.extent) else {
            // A snapshot of an earlier life: its checksum is not known, a new one's will be.
            self.take_snapshot(out);
            return;
        };
        let (term, now, chunk_bytes) = (self.term, self.now, self.config.compaction.chunk_bytes);
        let patience = *self.config.election_timeout.end();
        let Role::Leader(leadership) = &mut self.role else { return };
        let Some(progress) = leadership.followers.get_mut(&to) else { return };
        if !matches!(progress.state, State::Snapshot(sending) if sending.id == id) {
            progress.send_snapshot(Sending::new(id, extent, now));
        }
        let State::Snapshot(sending) = &mut progress.state else { return };
        if heartbeat {
            sending.retry(now, patience);
        }
        let (total, checksum) = extent;
        while let Some((offset, length)) = sending.next_chunk(chunk_bytes.max(1), now) {
            let data = bytes::Bytes::new();
            let chunk = Chunk { snapshot: id, offset, total, checksum, data };
            let message = super::Message { term, body: Body::Install(chunk) };
            out.push(Output::SendChunk { to, message, length });
        }
    }

    /// Learns how much of the snapshot a follower has.
    pub(super) fn receive_kept(
        &mut self,
        from: NodeId,
        snapshot: SnapshotId,
        offset: u64,
        out: &mut Vec<Output>,
    ) {
        let now = self.now;
        let Role::Leader(leadership) = &mut self.role else { return };
        let Some(progress) = leadership.followers.get_mut(&from) else { return };
        progress.heard = now;
        if let State::Snapshot(sending) = &mut progress.state
            && sending.id == snapshot
        {
            sending.kept(offset, now);
            self.replicate_to(from, false, false, out);
        }
    }

    /// Takes a follower's reply to an Append of this very term, if this server still leads.
    pub(super) fn receive_appended(
        &mut self,
        from: NodeId,
        round: u64,
        outcome: AppendOutcome,
        out: &mut Vec<Output>,
    ) {
        let (last, base) = (self.log.last_index(), self.log.base());
        let optimistic = self.mutations.has(Mutation::OptimisticMatch);
        let Role::Leader(leadership) = &mut self.role else { return };
        let Some(progress) = leadership.followers.get_mut(&from) else { return };
        progress.heard = self.now;
        // Either outcome says that the follower took this server for the leader of the term.
        progress.round = progress.round.max(round);
        match outcome {
            AppendOutcome::Accepted { matched } => {
                let matched = if optimistic { progress.next.previous() } else { matched };
                progress.accepted(matched.min(last), base);
            }
            AppendOutcome::Rejected { previous_index, conflict_term, first_index } => {
                let own = conflict_term.and_then(|term| self.log.last_of(term));
                let next = own.map_or(first_index, Index::next);
                progress.rejected(previous_index, next);
            }
        }
        self.advance_commit(out);
        self.serve_reads(out);
    }

    /// Commits what a majority holds, if it is of this term (Raft §5.4.2).
    pub(super) fn advance_commit(&mut self, out: &mut Vec<Output>) {
        let Role::Leader(leadership) = &self.role else { return };
        let unsynced = self.mutations.has(Mutation::LeaderCountsUnsynced);
        let own = if unsynced { self.log.last_index() } else { self.durability.log() };
        let held =
            self.reached_by_quorum(self.commit.0, |id| match leadership.followers.get(&id) {
                Some(progress) => progress.matched.0,
                None if id == self.config.id => own.0,
                None => 0,
            });
        let held = Index(held);
        let own_term = self.log.term_at(held) == Some(self.term);
        if own_term || self.prior_terms_count() {
            self.commit_to(held, out);
        }
    }

    /// The latest round that a majority, the leader included, has confirmed, if it is later than one
    /// that is known to be; else that.
    pub(super) fn confirmed_round(&self, known: u64) -> u64 {
        let Role::Leader(leadership) = &self.role else { return known };
        self.reached_by_quorum(known, |id| match leadership.followers.get(&id) {
            Some(progress) => progress.round,
            None if id == self.config.id => leadership.round,
            None => 0,
        })
    }
}
