//! The roles of nodes: the words for them, and who is asked which node leads.

use std::future::Future;
use std::pin::Pin;

/// The words that stand for nodes, by what they do or at random.
pub(crate) const WORDS: [&str; 7] =
    ["leader", "follower", "followers", "random", "minority", "majority", "all"];

/// Whether a node cannot be called this, because it means something else where nodes are named.
pub(crate) fn is_role(name: &str) -> bool {
    WORDS.contains(&name)
}

/// What a node was last seen to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeSeen {
    /// Whether it answered.
    pub is_up: bool,
    /// Whether it says that it leads.
    pub leads: bool,
    /// Whether it says that it stands for election.
    pub stands: bool,
    /// The term that it is in, if it tells.
    pub term: Option<u64>,
    /// What it has applied, if it tells.
    pub applied: Option<u64>,
}

/// Who plays which role in the system under test.
pub trait Roles: Sync {
    /// The name of the node that leads now, if one is known to. May be slow: it is given a limit.
    fn leader(&self) -> impl Future<Output = Option<String>> + Send;

    /// What the nodes were last seen to be, in their order; nothing if nobody looks.
    fn seen(&self) -> Vec<NodeSeen> {
        Vec::new()
    }
}

/// [`Roles`] of any type.
pub(crate) trait AnyRoles: Sync {
    /// The name of the node that leads now, if one is known to.
    fn leader(&self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>>;
}

impl<R: Roles> AnyRoles for R {
    fn leader(&self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>> {
        Box::pin(Roles::leader(self))
    }
}
