//! Says who belongs to the cluster and whose votes count: configurations, one or two majorities.
//!
//! Joint consensus (Raft §6, thesis §4.3): between an old and a new set of voters lies a
//! configuration in which every decision, an election as well as a commit, takes a majority of
//! *both*. A configuration is an entry of the log and takes effect as soon as it is appended, long
//! before it is committed; if the entry is cut off again, so is the configuration. Learners get the
//! log and count for nothing (thesis §4.2.1).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::units::NodeId;

/// The members of the cluster, as an entry of the log names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Whose majority decides.
    pub voters: BTreeSet<NodeId>,
    /// In a joint configuration the voters before the change, whose majority is needed as well.
    pub outgoing: Option<BTreeSet<NodeId>>,
    /// Servers on their way in: they get the log, and become voters once they caught up.
    pub learners: BTreeSet<NodeId>,
    /// Where the servers are reached that were added after the beginning, in words that the driver
    /// chose; the core only hands them on.
    pub addresses: BTreeMap<NodeId, Bytes>,
}

impl Configuration {
    /// The configuration that a cluster begins with.
    #[must_use]
    pub fn initial(voters: BTreeSet<NodeId>) -> Self {
        Self { voters, ..Self::default() }
    }

    /// Everyone who gets the log, in id order.
    #[must_use]
    pub fn members(&self) -> BTreeSet<NodeId> {
        let outgoing = self.outgoing.iter().flatten();
        self.voters.iter().chain(outgoing).chain(&self.learners).copied().collect()
    }

    /// Whether a server's vote counts in any of the majorities.
    #[must_use]
    pub fn is_voter(&self, id: NodeId) -> bool {
        let outgoing = self.outgoing.as_ref().is_some_and(|outgoing| outgoing.contains(&id));
        self.voters.contains(&id) || outgoing
    }

    /// Whether this is the middle of a change.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        self.outgoing.is_some()
    }
}

/// As log lines show it: voters, outgoing voters, learners.
impl std::fmt::Display for Configuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers = |set: &BTreeSet<NodeId>| set.iter().map(|id| id.0).collect::<Vec<_>>();
        write!(f, "voters={:?}", numbers(&self.voters))?;
        if let Some(outgoing) = &self.outgoing {
            write!(f, " outgoing={:?}", numbers(outgoing))?;
        }
        if !self.learners.is_empty() {
            write!(f, " learners={:?}", numbers(&self.learners))?;
        }
        Ok(())
    }
}
