//! Puts a server's state together from its snapshot and its log, after a restart (thesis §5.4).
//!
//! The snapshot may be newer than the last trim of the log: a crash came between. Entries that it
//! covers may then still be there, and are of no use; those that follow it are kept if the log has
//! the snapshot's last entry, else they belong to another history, which the snapshot's replaced,
//! and go. What is committed beyond the snapshot is for the next leader to say. Configurations count
//! from the log, committed or not.

use std::sync::Arc;

use super::log::Log;
use super::machine::Machine;
use super::members::Members;
use super::membership::Configuration;
use super::snapshot::{Snapshot, SnapshotId};
use super::units::{Boot, Index, NodeId, Term};
use super::{Config, Record, Restored};
use crate::mutations::Mutation;

/// A server's state as of its start.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) boot: Boot,
    pub(super) term: Term,
    pub(super) vote: Option<NodeId>,
    pub(super) log: Log,
    pub(super) commit: Index,
    pub(super) machine: Machine,
    pub(super) members: Members,
    pub(super) snapshot: Option<SnapshotId>,
    /// Records that bring the disk's log in line.
    pub(super) corrections: Vec<Record>,
}

impl Recovered {
    pub(super) fn new(config: &Config, restored: Restored) -> Self {
        let Restored { boot, term, vote, snapshot, base, entries } = restored;
        let mutations = config.mutations;
        let initial = Arc::new(Configuration::initial(config.members.clone()));
        let snapshot = snapshot.unwrap_or_else(|| {
            let id = SnapshotId { index: Index::ZERO, term: Term(0) };
            Snapshot::new(id, initial, Index::ZERO, Machine::default())
        });
        let id = snapshot.id();
        let mut log = Log::new(base, entries);
        let covered = base.0 <= id.index;
        assert!(covered || !mutations.none(), "the log was trimmed past the newest snapshot");
        let mut corrections = Vec::new();
        let gap = base.0 < id.index && mutations.has(Mutation::SnapshotLogGap);
        if covered && (log.term_at(id.index) != Some(id.term) || gap) {
            let from = log.base().next();
            log.truncate(from);
            log.trim(id.index, id.term);
            corrections.push(Record::Truncate { from });
            corrections.push(Record::Trim { to: id.index, term: id.term });
        }
        let (at, configuration) =
            (snapshot.configuration_index(), snapshot.configuration().clone());
        let members = Members::new(at, configuration, &log);
        let mut machine = snapshot.into_machine();
        machine.applied = machine.applied.max(log.base());
        if mutations.has(Mutation::LogAppliedOnRestart) {
            while let Some(entry) = log.get(machine.applied.next()) {
                machine.apply(entry, entry.time, mutations);
            }
        }
        let commit = machine.applied;
        if mutations.has(Mutation::ApplyTwiceOnRestart) {
            machine.applied = log.base();
        }
        let regress = id.index > Index::ZERO && mutations.has(Mutation::TermRegressOnSnapshot);
        Self {
            boot: if mutations.has(Mutation::BootsNotCounted) { Boot(1) } else { boot },
            term: if regress { id.term } else { term },
            vote,
            log,
            commit,
            machine,
            members,
            snapshot: (id.index > Index::ZERO).then_some(id),
            corrections,
        }
    }
}
