//! Changes who leads and who belongs to a cluster, in the store's own way.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::protocol::BoxFuture;
use super::template::PORT;

/// Speaks to one node as its operator would.
///
/// Each request is sent once. A request that gets no answer may have been carried out.
pub trait Admin: Send + Sync {
    /// Asks the node, which leads, for a change that is about `member`.
    fn change<'a>(
        &'a self,
        change: Change,
        member: &'a Member,
        limit: Duration,
    ) -> BoxFuture<'a, Exchange>;

    /// The members as the node knows them; nodes that are none of `known` are left out. None if it
    /// does not tell within `limit`.
    fn members<'a>(
        &'a self,
        known: &'a [Member],
        limit: Duration,
    ) -> BoxFuture<'a, Option<Members>>;

    /// Sends the node a command in words, as a schedule has it.
    fn command<'a>(&'a self, words: &'a [String], limit: Duration) -> BoxFuture<'a, Exchange>;
}

/// A change of who leads or who belongs to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The member becomes the leader.
    Transfer,
    /// The node becomes a member with a vote.
    Add,
    /// The node is no member any more.
    Remove,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transfer => "transfer",
            Self::Add => "add",
            Self::Remove => "remove",
        })
    }
}

/// What was sent, in words, and what came of it: the answer in words, or why there is none or it was
/// refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The request; empty if the description has no words for it.
    pub request: String,
    /// The answer.
    pub answer: Result<String, String>,
}

/// A node as administrators name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its place in the cluster, from 1.
    pub id: usize,
    /// The address that it listens on.
    pub address: Ipv4Addr,
    /// The address where others reach it.
    pub advertised: Ipv4Addr,
    /// The ports that it listens on, by name.
    pub ports: BTreeMap<String, u16>,
}

impl Member {
    /// What placeholders in a request about it may hold besides its ports.
    pub const PLACEHOLDERS: [&'static str; 4] = ["node", "id", "ip", "advertised-ip"];

    /// What they stand for.
    pub fn names(&self) -> BTreeMap<String, String> {
        let own = [
            ("node", self.name.clone()),
            ("id", self.id.to_string()),
            ("ip", self.address.to_string()),
            ("advertised-ip", self.advertised.to_string()),
        ];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
        let port = |(name, port): (&String, &u16)| (format!("{PORT}{name}"), port.to_string());
        own.chain(self.ports.iter().map(port)).collect()
    }
}

/// Who belongs to a cluster: the nodes' names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Members {
    /// Those whose votes decide.
    pub voters: BTreeSet<String>,
    /// Those without a vote that learn what is decided.
    pub learners: BTreeSet<String>,
    /// Those that are neither, but still in it.
    pub leaving: BTreeSet<String>,
}
