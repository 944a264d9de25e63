//! Takes a snapshot from the leader, piece by piece, and replaces the state by it (InstallSnapshot,
//! Raft §7, Figure 13).
//!
//! Only a snapshot that covers more than is committed here is of use: an older one, late or
//! repeated, must not bring back an old state, and is answered as what it is, covered. Pieces are
//! taken in order without a gap, and the whole is installed only if its length and its checksum are
//! right; what is missing is asked for by the offset to go on from. When the driver has made the
//! snapshot durable and read it, the state is replaced as a whole. Log entries that follow the
//! snapshot are kept if the log has its last entry, else the log begins after it.

use super::membership::Configuration;
use super::message::{Body, Chunk};
use super::snapshot::{Snapshot, SnapshotId};
use super::units::{Index, NodeId, Term};
use super::{Change, Core, Output, Record, Role};
use crate::mutations::Mutation;

/// A snapshot that is coming in.
#[derive(Debug)]
pub(super) struct Incoming {
    id: SnapshotId,
    /// Who sends it, as leader of which term.
    source: (NodeId, Term),
    /// How many bytes are there, without a gap, and their CRC32C.
    offset: u64,
    checksum: u32,
    /// What the whole must have.
    extent: (u64, u32),
    /// Whether it is complete, and the driver makes it durable.
    installing: bool,
}

impl Core {
    /// Whether a complete snapshot is about to replace the state.
    pub(super) fn is_installing(&self) -> bool {
        self.incoming.as_ref().is_some_and(|incoming| incoming.installing)
    }

    /// Whether a snapshot covers no more than is committed here.
    fn is_older(&self, id: SnapshotId) -> bool {
        id.index <= self.commit && !self.mutations.has(Mutation::OlderSnapshotInstalled)
    }

    /// Takes a piece of a snapshot.
    pub(super) fn receive_install(
        &mut self,
        source: (NodeId, Term),
        chunk: Chunk,
        out: &mut Vec<Output>,
    ) {
        let (from, term) = source;
        let id = chunk.snapshot;
        let stale = term < self.term;
        if stale || (matches!(self.role, Role::Leader(_)) && self.mutations.none()) {
            // The reply's term makes an old leader step down.
            self.keep_reply(source, id, 0, out);
            return;
        }
        self.heard_leader(from, out);
        if self.is_older(id) {
            self.acknowledge_snapshot(source, id.index, out);
            return;
        }
        let known = self.incoming.as_ref().is_some_and(|incoming| incoming.id == id);
        let unchecked = self.mutations.has(Mutation::PartialSnapshotInstalled);
        if !known {
            if chunk.offset != 0 && !unchecked || self.is_installing() {
                self.keep_reply(source, id, 0, out);
                return;
            }
            let extent = (chunk.total, chunk.checksum);
            let (offset, checksum, installing) = (0, 0, false);
            let incoming = Incoming { id, source, offset, checksum, extent, installing };
            self.incoming = Some(incoming);
        }
        let Some(incoming) = &mut self.incoming else { return };
        incoming.source = source;
        let next = chunk.offset == incoming.offset || unchecked && chunk.offset > incoming.offset;
        if incoming.installing || !next || chunk.data.is_empty() {
            let offset = incoming.offset;
            self.keep_reply(source, id, offset, out);
            return;
        }
        let offset = chunk.offset;
        incoming.offset = offset + chunk.data.len() as u64;
        incoming.checksum = crc32c::crc32c_append(incoming.checksum, &chunk.data);
        let (kept, total) = (incoming.offset, incoming.extent.0);
        let whole = (kept, incoming.checksum) == incoming.extent || unchecked;
        incoming.installing = kept >= total && whole;
        let broken = kept >= total && !whole;
        out.push(Output::KeepChunk { snapshot: id, offset, data: chunk.data });
        if broken {
            self.incoming = None;
            self.keep_reply(source, id, 0, out);
        } else if kept >= total {
            out.push(Output::InstallReceived { snapshot: id, total });
        } else {
            self.keep_reply(source, id, kept, out);
        }
    }

    /// Tells the sender what to go on from.
    fn keep_reply(
        &self,
        (to, request_term): (NodeId, Term),
        snapshot: SnapshotId,
        offset: u64,
        out: &mut Vec<Output>,
    ) {
        self.send(to, Body::ChunkKept { request_term, snapshot, offset }, out);
    }

    /// Learns that a complete snapshot could not be made durable or read.
    pub(super) fn snapshot_not_received(&mut self, id: SnapshotId) {
        if self.incoming.as_ref().is_some_and(|incoming| incoming.id == id) {
            self.incoming = None;
        }
    }

    /// Replaces the state by a snapshot that is durable by now.
    pub(super) fn install(&mut self, snapshot: Snapshot, out: &mut Vec<Output>) {
        let id = snapshot.id();
        let Some(incoming) = self.incoming.take_if(|incoming| incoming.id == id) else { return };
        let extent = incoming.extent;
        // Entries may have been committed while the driver was at it.
        if self.is_older(id) {
            return;
        }
        self.lose_writes_until(id.index, out);
        let (members, at) = (snapshot.configuration().clone(), snapshot.configuration_index());
        let mut machine = snapshot.into_machine();
        if self.mutations.has(Mutation::InstallWithoutReset) {
            let mut values = self.machine.values.clone();
            values.merge(&machine.values);
            machine.values = values;
        }
        if self.mutations.has(Mutation::SessionsNotInstalled) {
            machine.sessions = self.machine.sessions.clone();
        }
        // Never back: only a planted bug lets an older state in.
        machine.applied = machine.applied.max(self.machine.applied());
        self.machine = machine;
        self.commit = self.commit.max(id.index);
        self.compaction.latest = Some(id);
        self.compaction.extent = Some(extent);
        self.restart_log_at(id, out);
        self.rebase_members(at, members, out);
        self.changed(Change::InstalledSnapshot { snapshot: id }, out);
        if incoming.source.1 == self.term {
            self.acknowledge_snapshot(incoming.source, id.index, out);
        }
    }

    /// Lets the log go on after a durable snapshot.
    fn restart_log_at(&mut self, id: SnapshotId, out: &mut Vec<Output>) {
        if id.index <= self.log.base() {
            return;
        }
        self.persist(Record::Trim { to: id.index, term: id.term }, out);
        self.log.trim(id.index, id.term);
        self.durability.covered(id.index, self.log.last_index());
    }

    /// Takes the members as a snapshot has them, and those that the rest of the log names.
    fn rebase_members(
        &mut self,
        at: Index,
        members: std::sync::Arc<Configuration>,
        out: &mut Vec<Output>,
    ) {
        self.members.rebase(at, members, &self.log);
        self.members_changed(out);
    }
}
