//! Holds the state at one place of the log: made for nothing, written at leisure.
//!
//! A snapshot (Raft §7, thesis §5) stands for all entries up to its index. It shares its memory
//! with the state that goes on changing, copy on write (see `values`), so that taking one costs
//! about as much as applying an entry, and requests do not wait while it is written; what changes
//! meanwhile is kept twice. Besides the keys it holds all else that applying the log brought about:
//! the client sessions, the cluster's time, and the configuration of the members.
//!
//! Its bytes are made by [`SnapshotPieces`](crate::codec::SnapshotPieces) and read by
//! [`SnapshotReader`](crate::codec::SnapshotReader).

use std::fmt;
use std::sync::Arc;

use super::machine::Machine;
use super::membership::Configuration;
use super::units::{Index, Term};

/// Names a snapshot: the last entry that it covers. Two snapshots with the same name hold the same
/// state (State Machine Safety, Raft §5.4.3), though their bytes may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId {
    /// The index of the entry.
    pub index: Index,
    /// Its term.
    pub term: Term,
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

/// The state at one place of the log; see the [module](self). Cloning it is cheap.
#[derive(Clone)]
pub struct Snapshot {
    id: SnapshotId,
    configuration: Arc<Configuration>,
    configuration_index: Index,
    /// Apart, so that inputs and outputs, of which a snapshot is the rarest, stay small to move.
    machine: Box<Machine>,
}

impl Snapshot {
    pub(crate) fn new(
        id: SnapshotId,
        configuration: Arc<Configuration>,
        configuration_index: Index,
        machine: Machine,
    ) -> Self {
        Self { id, configuration, configuration_index, machine: Box::new(machine) }
    }

    /// What it covers.
    #[must_use]
    pub fn id(&self) -> SnapshotId {
        self.id
    }

    /// The members as of its last entry.
    #[must_use]
    pub fn configuration(&self) -> &Arc<Configuration> {
        &self.configuration
    }

    /// The index of the entry that made that configuration; 0 for the initial one.
    #[must_use]
    pub fn configuration_index(&self) -> Index {
        self.configuration_index
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    pub(super) fn into_machine(self) -> Machine {
        *self.machine
    }
}

/// Snapshots are compared by what they cover, which determines the rest.
impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Snapshot {}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("id", &self.id)
            .field("configuration", &self.configuration)
            .finish_non_exhaustive()
    }
}
