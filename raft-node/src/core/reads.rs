//! Serves reads without writing them to the log: ReadIndex (thesis §6.4).
//!
//! A read must see every write that was acknowledged before it arrived. Another server may lead by
//! now without this one knowing, so the leader, for each read:
//!
//! 1. notes its commit index, or the first index of its term if that is not committed yet: what
//!    earlier leaders committed is certain only then (§6.4, step 1; Raft §8);
//! 2. begins a round of Appends *after the read arrived* and waits until a majority confirmed that
//!    round or a later one: none of them had voted in a later term when it did, so no later leader
//!    existed when the read arrived;
//! 3. waits until that index is applied, and answers from its state.
//!
//! With a lease that holds, steps 1 and 3 are enough; see [`lease`](super::lease).
//!
//! One round serves all reads that arrived before it began. A reply is a confirmation only in the
//! term it was asked in, which [`replication`](super::replication) checks.

use std::collections::VecDeque;
use std::time::Duration;

use super::operation::Query;
use super::replication::Leadership;
use super::requests::{MAX_REQUESTS, Origin};
use super::units::Index;
use super::{Core, Output, Refusal, Role};
use crate::mutations::Mutation;

/// A read that waits to be confirmed.
#[derive(Debug)]
pub(super) struct PendingRead {
    origin: Origin,
    query: Query,
    /// What must be applied before it may be answered.
    index: Index,
    /// The round, begun after it arrived, that must be confirmed.
    round: u64,
    /// When it is refused instead.
    due: Duration,
}

impl Leadership {
    /// Begins a new round if a read waits for one, or if asked; says whether it did.
    pub(super) fn begin_round(&mut self, asked: bool) -> bool {
        let wanted = asked || self.reads.back().is_some_and(|read| read.round > self.round);
        if wanted {
            self.round += 1;
        }
        wanted
    }
}

impl Core {
    /// Whether a leader asks a quorum if it still leads: before it answers a read, and from time to
    /// time. Systems that shipped local reads did not ask either.
    pub(super) fn asks_a_quorum(&self) -> bool {
        !self.mutations.has(Mutation::LeaderLocalRead)
    }

    /// Takes a read as leader.
    pub(super) fn read(&mut self, origin: Origin, query: Query, out: &mut Vec<Output>) {
        let unchecked = self.holds_lease() && self.mutations.has(Mutation::LeaseNotRechecked);
        let asks = self.asks_a_quorum();
        let Role::Leader(leadership) = &mut self.role else {
            self.reply(origin, Err(Refusal::ReadFailed), out);
            return;
        };
        let settled = self.commit >= leadership.term_start;
        if settled && !asks {
            let reply = self.machine.read(&query, self.time());
            self.reply(origin, Ok(reply), out);
            return;
        }
        if leadership.reads.len() >= MAX_REQUESTS {
            self.reply(origin, Err(Refusal::Busy), out);
            return;
        }
        let due = self.now + self.config.request_timeout;
        let mut index = self.commit.max(leadership.term_start);
        if self.mutations.has(Mutation::ReadindexWithoutNoop) {
            index = self.commit;
        }
        let mut round = leadership.round + 1;
        if self.mutations.has(Mutation::ReadindexTermRace) {
            round = leadership.round;
        }
        if unchecked {
            round = 0;
        }
        leadership.reads.push_back(PendingRead { origin, query, index, round, due });
    }

    /// Answers the reads that are confirmed and whose index is applied.
    pub(super) fn serve_reads(&mut self, out: &mut Vec<Output>) {
        let Role::Leader(leadership) = &self.role else { return };
        if leadership.reads.is_empty() && leadership.rounds.is_empty() {
            return;
        }
        // Nobody asks about rounds before the first that is waited for.
        let read = leadership.reads.front().map(|read| read.round);
        let first =
            leadership.rounds.front().map(|(round, _)| *round).into_iter().chain(read).min();
        let mut confirmed = self.confirmed_round(first.unwrap_or(0).saturating_sub(1));
        let Role::Leader(leadership) = &mut self.role else { return };
        leadership.rounds_confirmed(confirmed);
        if self.holds_lease() || self.mutations.has(Mutation::ReadindexNoRound) {
            confirmed = u64::MAX;
        }
        let (applied, now) = (self.machine.applied(), self.time());
        // Rounds and indexes both rise along the queue, so the first that must wait stops all.
        while let Role::Leader(leadership) = &mut self.role
            && let Some(read) =
                leadership.reads.pop_front_if(|r| r.round <= confirmed && r.index <= applied)
        {
            let reply = self.machine.read(&read.query, now);
            self.reply(read.origin, Ok(reply), out);
        }
    }

    /// Refuses the reads that have waited too long, as they do while a leader is cut off.
    pub(super) fn expire_reads(&mut self, out: &mut Vec<Output>) {
        let now = self.now;
        while let Role::Leader(leadership) = &mut self.role
            && let Some(read) = leadership.reads.pop_front_if(|read| read.due <= now)
        {
            self.reply(read.origin, Err(Refusal::ReadFailed), out);
        }
    }

    /// Refuses reads whose leader is leader no more.
    pub(super) fn fail_reads(&mut self, reads: VecDeque<PendingRead>, out: &mut Vec<Output>) {
        for read in reads {
            self.reply(read.origin, Err(Refusal::ReadFailed), out);
        }
    }
}
