//! Changes who belongs to the cluster, one change at a time, by joint consensus (Raft §6, thesis
//! §4.3).
//!
//! A server comes in as a learner, which gets the log and counts for nothing (§4.2.1). Once it has
//! nearly everything the leader appends a joint configuration, in which both the old and the new
//! voters decide; once that is committed, by both, the new one alone; once that is committed the
//! change is done, and a leader that is no voter any more steps down (§4.2.2). A voter goes the same
//! way. Any leader finds in its log how far a change has come, and finishes it.
//!
//! A leader begins no change before it has committed an entry of its own term, and none before the
//! one before is done: otherwise two majorities that do not overlap could both decide (Ongaro's
//! correction to single-server changes, raft-dev 2015).
//!
//! A configuration is in effect as soon as it is in the log. If it is cut off, the one before is.
//! Leaves out several changes at once, and rounds that measure a learner's speed (§4.2.1): a
//! learner that is slow for ever stays one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::log::{Entry, Log, Payload};
use super::membership::Configuration;
use super::requests::Origin;
use super::units::{Index, NodeId};
use super::{Admin, Change, Core, Output, Refusal, Reply, Role};
use crate::mutations::Mutation;

/// How many entries a learner may lack and still become a voter.
const NEARLY: u64 = 1024;

/// The configurations that matter: the last one trimmed or in a snapshot, and those in the log.
#[derive(Debug)]
pub(super) struct Members {
    /// With the index of the entry that made it; rising. Never empty.
    known: Vec<(Index, Arc<Configuration>)>,
}

impl Members {
    /// Those of a snapshot or of the beginning, and those that the log names after.
    pub(super) fn new(at: Index, members: Arc<Configuration>, log: &Log) -> Self {
        let mut known = vec![(at, members)];
        known.extend(log.configurations_after(at));
        Self { known }
    }

    pub(super) fn rebase(&mut self, at: Index, members: Arc<Configuration>, log: &Log) {
        *self = Self::new(at, members, log);
    }

    fn last(&self) -> &(Index, Arc<Configuration>) {
        self.known.last().expect("there always is a configuration")
    }

    /// The one in effect.
    pub(super) fn current(&self) -> &Arc<Configuration> {
        &self.last().1
    }

    /// The one as of an index that is applied, and where it was made.
    pub(super) fn at(&self, index: Index) -> (Index, Arc<Configuration>) {
        let before = self.known.iter().rev().find(|(at, _)| *at <= index);
        before.unwrap_or(&self.known[0]).clone()
    }

    fn push(&mut self, at: Index, members: Arc<Configuration>) {
        self.known.push((at, members));
    }

    /// Forgets those made at `from` or after; says whether there were any.
    fn truncate(&mut self, from: Index) -> bool {
        let before = self.known.len();
        let keep = self.known.iter().take_while(|(at, _)| *at < from).count().max(1);
        self.known.truncate(keep);
        self.known.len() < before
    }

    /// Forgets those that were replaced by a committed one; says whether there were any.
    fn settle(&mut self, commit: Index) -> bool {
        let settled = self.known.iter().rposition(|(at, _)| *at <= commit).unwrap_or(0);
        self.known.drain(..settled);
        settled > 0
    }

    /// Everyone who may be needed still, or is to learn that it is not: the members of the last
    /// committed configuration and of all that follow it.
    pub(super) fn everyone(&self) -> BTreeSet<NodeId> {
        self.known.iter().flat_map(|(_, members)| members.members()).collect()
    }

    /// Whether a server may have to lead. A voter that is to go must still do so until its removal
    /// is committed (thesis §4.2.2): the others may lack that entry, and cannot elect a leader
    /// without it.
    pub(super) fn may_lead(&self, id: NodeId) -> bool {
        self.known.iter().any(|(_, members)| members.is_voter(id))
    }
}

/// A change that someone waits for.
#[derive(Debug)]
pub(super) struct PendingChange {
    origin: Origin,
    server: NodeId,
    /// Whether it is to be a voter in the end, or no member.
    joins: bool,
}

impl Core {
    /// Whether servers make a majority, of both sets of voters in a joint configuration.
    pub(super) fn is_quorum(&self, has: impl Fn(NodeId) -> bool) -> bool {
        let configuration = self.configuration();
        let mut groups = std::iter::once(&configuration.voters).chain(&configuration.outgoing);
        let learners = if self.mutations.has(Mutation::LearnerCounted) {
            configuration.learners.iter().filter(|id| has(**id)).count()
        } else {
            0
        };
        groups.all(|group| {
            let needed = if self.mutations.has(Mutation::QuorumOffByOne) {
                group.len().div_ceil(2)
            } else {
                group.len() / 2 + 1
            };
            group.iter().filter(|id| has(**id)).count() + learners >= needed
        })
    }

    /// The greatest number that a quorum has reached, if it is beyond `floor`; else that. Most often
    /// no server has, and nothing need be counted.
    pub(super) fn reached_by_quorum(&self, floor: u64, value: impl Fn(NodeId) -> u64) -> u64 {
        let configuration = self.configuration();
        let mut best = floor;
        let mut consider = |id: &NodeId| {
            let candidate = value(*id);
            if candidate > best && self.is_quorum(|other| value(other) >= candidate) {
                best = candidate;
            }
        };
        configuration.voters.iter().for_each(&mut consider);
        configuration.outgoing.iter().flatten().for_each(&mut consider);
        configuration.learners.iter().for_each(&mut consider);
        best
    }

    /// Takes note of a configuration that entered the log.
    pub(super) fn note_members(&mut self, entry: &Entry, out: &mut Vec<Output>) {
        if let Payload::Configuration(members) = &entry.payload {
            self.members.push(entry.index, members.clone());
            self.members_changed(out);
        }
    }

    /// Takes back the configurations whose entries were cut off.
    pub(super) fn forget_members_from(&mut self, from: Index, out: &mut Vec<Output>) {
        if self.members.truncate(from) {
            self.members_changed(out);
        }
    }

    /// Makes the configuration in effect known to all that go by it.
    pub(super) fn members_changed(&mut self, out: &mut Vec<Output>) {
        let members = self.members.current().clone();
        self.refresh_peers();
        self.changed(Change::Members { members: members.clone() }, out);
        out.push(Output::Members(members));
    }

    fn refresh_peers(&mut self) {
        let everyone = self.members.everyone();
        self.peers = everyone.into_iter().filter(|id| *id != self.config.id).collect();
        let (last, now) = (self.log.last_index(), self.now);
        let counted = self.mutations.has(Mutation::JoinerCounted);
        if let Role::Leader(leadership) = &mut self.role {
            let known: BTreeSet<NodeId> = leadership.followers.keys().copied().collect();
            leadership.set_followers(&self.peers, last, now);
            let joined = leadership.followers.iter_mut().filter(|(id, _)| !known.contains(id));
            for (_, progress) in joined.filter(|_| counted) {
                progress.matched = last;
            }
        }
    }

    /// Forgets configurations that a committed one replaced. Those who go hear of it once more.
    pub(super) fn settle_members(&mut self, out: &mut Vec<Output>) {
        if self.members.settle(self.commit) {
            self.broadcast_now(out);
            self.refresh_peers();
        }
    }

    /// Forgets, as a new leader, what is not committed: a planted bug.
    pub(super) fn forget_uncommitted_members(&mut self, out: &mut Vec<Output>) {
        if self.mutations.has(Mutation::UncommittedConfigIgnored) {
            self.forget_members_from(self.commit.next(), out);
        }
    }

    /// Whether this leader may begin a change, or the next step of one.
    fn may_change(&self) -> bool {
        let Role::Leader(leadership) = &self.role else { return false };
        let own_term = self.commit >= leadership.term_start
            || self.mutations.has(Mutation::EarlyMembershipChange);
        let current = self.members.last();
        let left_early = current.1.is_joint() && self.mutations.has(Mutation::JointLeftEarly);
        own_term && (self.commit >= current.0 || left_early)
    }

    /// Takes an operator's request as leader.
    pub(super) fn administer(&mut self, origin: Origin, admin: &Admin, out: &mut Vec<Output>) {
        let (server, joins) = match admin {
            Admin::Snapshot => return self.snapshot_on_demand(origin, out),
            Admin::Transfer { to } => return self.begin_transfer(origin, *to, out),
            Admin::Add { id, .. } => (*id, true),
            Admin::Remove { id } => (*id, false),
        };
        match self.plan(admin) {
            Ok(plan) => {
                if let Some(members) = plan {
                    self.append_members(members, out);
                }
                let Role::Leader(leadership) = &mut self.role else { return };
                leadership.changes.push(PendingChange { origin, server, joins });
            }
            Err(refusal) => self.reply(origin, Err(refusal), out),
        }
    }

    /// The next configuration on the way to what is asked for; none if it is under way already.
    fn plan(&self, admin: &Admin) -> Result<Option<Configuration>, Refusal> {
        let current = self.configuration();
        if let Admin::Add { id, .. } = admin
            && current.learners.contains(id)
        {
            return Ok(None);
        }
        if !self.may_change() || current.is_joint() {
            return Err(Refusal::Changing);
        }
        let mut next = Configuration::clone(current);
        match admin {
            Admin::Add { id, address } => {
                if current.is_voter(*id) || id.0 == 0 {
                    return Err(Refusal::NotPossible);
                }
                next.learners.insert(*id);
                next.addresses.insert(*id, address.clone());
            }
            Admin::Remove { id } => {
                if !next.learners.remove(id) {
                    if !next.voters.remove(id) || next.voters.is_empty() {
                        return Err(Refusal::NotPossible);
                    }
                    next.outgoing = Some(current.voters.clone());
                }
                if next.outgoing.is_none() {
                    next.addresses.remove(id);
                }
            }
            Admin::Transfer { .. } | Admin::Snapshot => return Err(Refusal::NotPossible),
        }
        Ok(Some(next))
    }

    fn append_members(&mut self, members: Configuration, out: &mut Vec<Output>) {
        let (index, term, time) = (self.log.last_index().next(), self.term, self.time());
        let payload = Payload::Configuration(Arc::new(members));
        self.append_to_log(Entry { index, term, time, payload }, out);
    }

    /// Goes on with the change that the log has come to, as leader.
    pub(super) fn advance_members(&mut self, out: &mut Vec<Output>) {
        if !self.may_change() {
            return;
        }
        let current = self.members.current().clone();
        if current.is_joint() {
            let mut next = Configuration::clone(&current);
            next.outgoing = None;
            let members = next.members();
            next.addresses.retain(|id, _| members.contains(id));
            self.append_members(next, out);
            return;
        }
        self.settle_changes(&current, out);
        if !current.voters.contains(&self.config.id) {
            self.leave(out);
        } else if let Some(learner) = self.learner_to_promote(&current) {
            let mut next = Configuration::clone(&current);
            next.outgoing = Some(current.voters.clone());
            next.learners.remove(&learner);
            next.voters.insert(learner);
            self.append_members(next, out);
        }
    }

    fn learner_to_promote(&self, current: &Configuration) -> Option<NodeId> {
        let Role::Leader(leadership) = &self.role else { return None };
        let enough =
            Index(self.log.last_index().0.saturating_sub(NEARLY)).max(leadership.term_start);
        let limit = *self.config.election_timeout.start();
        let ready = |id: &&NodeId| {
            let caught_up = leadership.followers.get(id).is_some_and(|p| p.matched >= enough);
            caught_up && leadership.silence(**id, self.now).is_some_and(|silent| silent <= limit)
        };
        current.learners.iter().find(ready).copied()
    }

    /// Answers those whose change is done.
    fn settle_changes(&mut self, current: &Configuration, out: &mut Vec<Output>) {
        let Role::Leader(leadership) = &mut self.role else { return };
        let done = |change: &mut PendingChange| {
            let member = current.voters.contains(&change.server);
            let learner = current.learners.contains(&change.server);
            if change.joins { member } else { !member && !learner }
        };
        let done: Vec<_> = leadership.changes.extract_if(.., done).collect();
        for change in done {
            self.reply(change.origin, Ok(Reply::Ok), out);
        }
    }

    /// Steps down, since the others decide without this server now; they need not wait for it.
    fn leave(&mut self, out: &mut Vec<Output>) {
        let Role::Leader(leadership) = &self.role else { return };
        let successor = leadership.most_advanced(&self.configuration().voters);
        // The others learn of the commit from the last Append, or from their next leader.
        self.broadcast_now(out);
        if let Some(successor) = successor {
            self.send(successor, super::message::Body::TimeoutNow, out);
        }
        self.changed(Change::LeftVoters, out);
        self.retire(out);
    }

    /// Says of changes that were begun that they may yet come about.
    pub(super) fn fail_changes(&mut self, changes: Vec<PendingChange>, out: &mut Vec<Output>) {
        for change in changes {
            self.reply(change.origin, Err(Refusal::Uncertain), out);
        }
    }
}
