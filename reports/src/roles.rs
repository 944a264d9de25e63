//! Which node was what, and when.

use partita_checker::Nanoseconds;
use serde::{Deserialize, Serialize};

/// From this time on, a node said that it was this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleChange {
    /// When it was seen.
    pub at_ns: Nanoseconds,
    /// The node's name.
    pub node: String,
    /// `leader`, `follower`, `candidate`, `down` (no process) or `silent` (it does not answer).
    pub role: String,
    /// The term it was in, where known.
    pub term: Option<u64>,
}
