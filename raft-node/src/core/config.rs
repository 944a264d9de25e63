//! What a server is told when it starts.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::units::NodeId;
use crate::mutations::Mutations;

/// What a server is told when it starts, the same on every start.
#[derive(Clone, Debug)]
pub struct Config {
    /// This server.
    pub id: NodeId,
    /// The voters that the cluster begins with: the same on each of them, and for good. A server
    /// that joins later is given the same set, which it is not in, and waits to be added. Once a
    /// log or a snapshot names a configuration, that one counts and this set does not.
    pub members: BTreeSet<NodeId>,
    /// How often a leader lets its followers hear from it.
    pub heartbeat: Duration,
    /// How long a follower waits for a leader before it stands for election, drawn at random each
    /// time.
    pub election_timeout: RangeInclusive<Duration>,
    /// How long a request may take before it is refused; a write's fate is then unknown.
    pub request_timeout: Duration,
    /// How long a request may wait for a leader to be known.
    pub leader_wait: Duration,
    /// When to take snapshots and what they leave of the log.
    pub compaction: Compaction,
    /// Reads by the leader's lease; none, the default, asks a quorum for every batch of reads.
    pub lease: Option<Lease>,
    /// Seeds the election timeouts.
    pub seed: u64,
    /// The planted bugs that are switched on.
    pub mutations: Mutations,
}

/// When to take snapshots, how they are sent, and what they leave of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// Take a snapshot once this many bytes of entries were applied since the last one, or as many
    /// as the last one was long, whichever is more: writing snapshots then costs at most as much
    /// as writing the log (thesis §5.1.3).
    pub log_bytes: u64,
    /// How many entries before the snapshot stay in the log, for followers that lag a little.
    pub keep_entries: u64,
    /// The most bytes of a snapshot that one message carries.
    pub chunk_bytes: u32,
}

impl Default for Compaction {
    fn default() -> Self {
        Self { log_bytes: 64 << 20, keep_entries: 10_000, chunk_bytes: 1 << 20 }
    }
}

/// Lets the leader serve reads without asking a quorum, for as long as no other can lead (thesis
/// §6.4.1). Relies on clocks, which ReadIndex does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// How much faster one server's monotonic clock may run than another's, in millionths. The
    /// lease is the least election timeout shortened by this much; if clocks drift apart faster,
    /// reads can be stale.
    pub drift_ppm: u32,
}

impl Lease {
    /// A bound that holds for ordinary hardware by far: clocks within 1 % of each other.
    pub const ORDINARY: Self = Self { drift_ppm: 10_000 };
}
