//! Brings the followers' logs in line with the leader's, and decides what is committed.
//!
//! One message does it all (Raft §5.3): an Append carries entries if the follower lacks any, the
//! commit index, and the latest round of confirmations that [`reads`](super::reads) wait for;
//! without entries it is a heartbeat. Entries gather until the next [`Input::Tick`](super::Input),
//! so that one message and one disk sync serve all requests that arrived together.
//!
//! The leader keeps a [`Progress`] per follower. While it does not know where the two logs agree it
//! *probes*: one empty Append at a time, each rejection backing up by a whole term (§5.3, last
//! paragraphs). Once an Append is accepted it *streams*: batches follow one another without
//! waiting, up to a window. A lost batch shows as a rejection of what follows, heartbeats included,
//! and the leader probes again. Replies may be late, doubled or out of order: what a follower
//! accepted in this term it keeps throughout the term, so the greatest counts, and rejections count
//! only if they are about what the leader still believes.
//!
//! An entry is committed when a majority holds it durably *and* it is of the leader's own term;
//! that commits all before it (§5.4.2, Figure 8). A no-op opens every term for this purpose.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::log::{Entry, Payload};
use super::message::{Append, AppendOutcome, Body};
use super::reads::PendingRead;
use super::units::{Index, NodeId};
use super::{Core, FollowerStatus, Output, Role};
use crate::mutations::Mutation;

/// Batches that may be on their way to one follower.
const WINDOW: usize = 8;

/// What a server keeps while it leads.
#[derive(Debug)]
pub(super) struct Leadership {
    followers: BTreeMap<NodeId, Progress>,
    /// The first entry of the term. Once it is committed, so is all that was before this term.
    pub(super) term_start: Index,
    /// The latest round of confirmations begun; every Append carries it.
    pub(super) round: u64,
    /// Reads that wait for a round, oldest first.
    pub(super) reads: VecDeque<PendingRead>,
    pub(super) heartbeat_due: Duration,
}

/// What the leader knows of one follower.
#[derive(Debug)]
struct Progress {
    /// The last index at which its durable log is known to agree; never falls in a term.
    matched: Index,
    /// The next index to send.
    next: Index,
    /// Whether the logs' point of agreement is still being looked for.
    probing: bool,
    /// Whether a probe is out and no heartbeat has passed since.
    waiting: bool,
    /// The last index of each batch on its way.
    in_flight: VecDeque<Index>,
    /// The latest round it confirmed.
    round: u64,
}

impl Progress {
    fn accepted(&mut self, matched: Index) {
        self.matched = self.matched.max(matched);
        self.next = self.next.max(self.matched.next());
        self.probing = false;
        self.waiting = false;
        while self.in_flight.front().is_some_and(|last| *last <= self.matched) {
            self.in_flight.pop_front();
        }
    }

    /// Backs up to `next`, if the rejection is about something still believed.
    fn rejected(&mut self, previous: Index, next: Index) {
        let believed =
            if self.probing { previous == self.next.previous() } else { previous < self.next };
        if !believed || previous <= self.matched {
            return;
        }
        self.next = next.clamp(self.matched.next(), previous);
        self.probing = true;
        self.waiting = false;
        self.in_flight.clear();
    }
}

impl Leadership {
    /// What is known of each follower.
    pub(super) fn followers(&self) -> Vec<FollowerStatus> {
        let status = |(id, progress): (&NodeId, &Progress)| FollowerStatus {
            id: *id,
            matched: progress.matched,
            next: progress.next,
            state: if progress.probing { "probing" } else { "streaming" },
            silent: Duration::ZERO,
        };
        self.followers.iter().map(status).collect()
    }

    /// The greatest value that a majority has reached, given everyone else's and the leader's own.
    fn reached_by(&self, quorum: usize, own: u64, value: impl Fn(&Progress) -> u64) -> u64 {
        let mut values: Vec<u64> = self.followers.values().map(value).collect();
        values.push(own);
        values.sort_unstable_by(|a, b| b.cmp(a));
        values[quorum - 1]
    }

    /// The latest round that a majority, the leader included, has confirmed.
    pub(super) fn confirmed_round(&self, quorum: usize) -> u64 {
        self.reached_by(quorum, self.round, |progress| progress.round)
    }
}

impl Core {
    /// Takes office after an election was won: opens the term with a no-op (Raft §8).
    pub(super) fn begin_leadership(&mut self, out: &mut Vec<Output>) {
        let progress = || Progress {
            matched: Index::ZERO,
            next: self.log.last_index().next(),
            probing: true,
            waiting: false,
            in_flight: VecDeque::new(),
            round: 0,
        };
        let followers = self.peers.iter().map(|peer| (*peer, progress())).collect();
        self.leader = Some(self.config.id);
        if !self.mutations.has(Mutation::CommitPriorTerm) {
            let index = self.log.last_index().next();
            let (term, time) = (self.term, self.time());
            self.append_to_log(Entry { index, term, time, payload: Payload::Noop });
        }
        self.role = Role::Leader(Leadership {
            followers,
            term_start: self.log.last_index(),
            round: 0,
            reads: VecDeque::new(),
            heartbeat_due: self.now,
        });
        self.advance_commit(out);
    }

    /// Sends what each follower is due: entries it lacks, a heartbeat, a round to confirm.
    pub(super) fn broadcast(&mut self, out: &mut Vec<Output>) {
        self.advance_commit(out);
        let Role::Leader(leadership) = &mut self.role else { return };
        let heartbeat = self.now >= leadership.heartbeat_due;
        if heartbeat {
            leadership.heartbeat_due = self.now + self.config.heartbeat;
        }
        let new_round = leadership.begin_round();
        for peer in self.peers.clone() {
            self.replicate_to(peer, heartbeat, heartbeat || new_round, out);
        }
        self.serve_reads(out);
    }

    /// Sends one follower the batches its window has room for, and at least one message if `must`.
    fn replicate_to(&mut self, to: NodeId, heartbeat: bool, must: bool, out: &mut Vec<Output>) {
        let Role::Leader(leadership) = &mut self.role else { return };
        let round = leadership.round;
        let Some(progress) = leadership.followers.get_mut(&to) else { return };
        if heartbeat {
            progress.waiting = false;
        }
        let mut must = must;
        if progress.probing && !progress.waiting {
            progress.waiting = true;
            must = true;
        }
        let mut messages = Vec::new();
        loop {
            let streaming = !progress.probing && progress.in_flight.len() < WINDOW;
            let entries = if streaming { self.log.batch(progress.next) } else { Vec::new() };
            if entries.is_empty() && !must {
                break;
            }
            must = false;
            let previous_index = progress.next.previous();
            let previous_term = self.log.term_at(previous_index);
            let previous_term = previous_term.expect("a leader's log reaches what it sent");
            if let Some(last) = entries.last() {
                progress.next = last.index.next();
                progress.in_flight.push_back(last.index);
            }
            let commit = self.commit;
            messages.push(Append { previous_index, previous_term, entries, commit, round });
        }
        for append in messages {
            self.send(to, Body::Append(append), out);
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
        let last = self.log.last_index();
        let Role::Leader(leadership) = &mut self.role else { return };
        let Some(progress) = leadership.followers.get_mut(&from) else { return };
        // Either outcome says that the follower took this server for the leader of the term.
        progress.round = progress.round.max(round);
        match outcome {
            AppendOutcome::Accepted { matched } => progress.accepted(matched.min(last)),
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
        let own = self.durability.log().0;
        let held = leadership.reached_by(self.quorum(), own, |progress| progress.matched.0);
        let held = Index(held);
        let own_term = self.log.term_at(held) == Some(self.term);
        if own_term || self.mutations.has(Mutation::CommitPriorTerm) {
            self.commit_to(held, out);
        }
    }
}
