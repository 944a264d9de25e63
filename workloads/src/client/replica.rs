//! What a node itself holds, whatever the others do: a digest of its state at an index of the log.

use super::protocol::BoxFuture;

/// A node's own state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// What it has applied: an index or a revision. Nodes that have the same must hold the same.
    pub index: u64,
    /// What it holds, in short: a checksum, or all of it.
    pub digest: String,
}

/// Asks one node for its own state.
pub trait ReplicaProbe: Send {
    /// The node's own state now, within the limit that the probe was made with; why it is not known, if so.
    fn replica(&mut self) -> BoxFuture<'_, Result<Replica, String>>;
}
