//! Decides when to take a snapshot, and what of the log it makes superfluous (Raft §7, thesis §5).
//!
//! A snapshot is taken once as many bytes were applied as the last snapshot was long (and at least
//! a configured number), so that writing snapshots at most doubles what is written anyhow (thesis
//! §5.1.3). Taking it shares the state; the driver writes it in the background, one at a time, while
//! entries go on being applied. Only when it is durable does the log lose what it covers, but for a
//! number of entries that spare a follower which lags a little the whole snapshot.

use super::machine::Machine;
use super::membership::Configuration;
use super::requests::Origin;
use super::snapshot::{Snapshot, SnapshotId};
use super::units::Index;
use super::{Change, Core, Output, Record, Refusal, Reply};
use crate::mutations::Mutation;

/// Snapshots of this server's own state.
#[derive(Debug, Default)]
pub(super) struct Compaction {
    /// The newest durable one.
    pub(super) latest: Option<SnapshotId>,
    /// How its bytes are known to others: their length and checksum, unless it is from an earlier
    /// life.
    pub(super) extent: Option<(u64, u32)>,
    /// The one that is being written.
    taking: Option<SnapshotId>,
    /// Bytes of entries applied since the last one was taken.
    applied_bytes: u64,
    /// Who asked for the one that is being written.
    waiting: Vec<Origin>,
}

impl Compaction {
    /// Begins with the snapshot that a restart found.
    pub(super) fn new(latest: Option<SnapshotId>) -> Self {
        Self { latest, ..Self::default() }
    }

    pub(super) fn applied(&mut self, bytes: usize) {
        self.applied_bytes += bytes as u64;
    }
}

impl Core {
    /// Takes a snapshot if it is time.
    pub(super) fn snapshot_when_due(&mut self, out: &mut Vec<Output>) {
        let last = self.compaction.extent.map_or(0, |(total, _)| total);
        if self.compaction.applied_bytes >= self.config.compaction.log_bytes.max(last) {
            self.take_snapshot(out);
        }
    }

    /// Takes a snapshot, unless one is being written or installed, or nothing was applied ever.
    pub(super) fn take_snapshot(&mut self, out: &mut Vec<Output>) {
        let index = self.machine.applied();
        let busy = self.compaction.taking.is_some() || self.is_installing();
        let Some(term) = self.log.term_at(index) else { return };
        if busy || index == Index::ZERO {
            return;
        }
        let id = SnapshotId { index, term };
        let mut machine = self.machine.clone();
        if self.mutations.has(Mutation::DedupNotInSnapshot) {
            machine.sessions = Machine::default().sessions;
        }
        let (at, members) = self.members.at(index);
        self.compaction.applied_bytes = 0;
        self.compaction.taking = Some(id);
        out.push(Output::TakeSnapshot(Snapshot::new(id, members, at, machine)));
        if self.mutations.has(Mutation::SnapshotNotSynced) {
            self.compact(id, out);
        }
    }

    /// Takes a snapshot because an operator asks for it.
    pub(super) fn snapshot_on_demand(&mut self, origin: Origin, out: &mut Vec<Output>) {
        if self.machine.applied() == Index::ZERO {
            self.reply(origin, Err(Refusal::NotPossible), out);
            return;
        }
        if self.compaction.taking.is_some() || self.is_installing() {
            self.reply(origin, Err(Refusal::Changing), out);
            return;
        }
        self.take_snapshot(out);
        self.compaction.waiting.push(origin);
    }

    /// Learns that a snapshot of its own is durable.
    pub(super) fn snapshot_taken(
        &mut self,
        id: SnapshotId,
        extent: (u64, u32),
        out: &mut Vec<Output>,
    ) {
        if self.compaction.taking == Some(id) {
            self.compaction.taking = None;
        }
        // One that was installed meanwhile covers more.
        if self.compaction.latest.is_none_or(|latest| latest.index <= id.index) {
            self.compaction.latest = Some(id);
            self.compaction.extent = Some(extent);
            self.changed(Change::TookSnapshot { snapshot: id }, out);
            self.compact(id, out);
        }
        for origin in std::mem::take(&mut self.compaction.waiting) {
            self.reply(origin, Ok(Reply::Ok), out);
        }
    }

    /// Learns that a snapshot of its own could not be written.
    pub(super) fn snapshot_not_taken(&mut self, id: SnapshotId, out: &mut Vec<Output>) {
        if self.compaction.taking == Some(id) {
            self.compaction.taking = None;
            for origin in std::mem::take(&mut self.compaction.waiting) {
                self.reply(origin, Err(Refusal::Uncertain), out);
            }
        }
    }

    /// Trims the log by what a durable snapshot covers.
    fn compact(&mut self, id: SnapshotId, out: &mut Vec<Output>) {
        let to = Index(id.index.0.saturating_sub(self.config.compaction.keep_entries));
        if to > self.log.base()
            && let Some(term) = self.log.term_at(to)
        {
            self.persist(Record::Trim { to, term }, out);
            self.log.trim(to, term);
        }
    }

    /// The members in effect: who is to be reached.
    #[must_use]
    pub fn configuration(&self) -> &std::sync::Arc<Configuration> {
        self.members.current()
    }
}
