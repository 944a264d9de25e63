//! What the nemesis asks of whoever administers the system under test: its members and its leader.
//!
//! Faults of membership are done in the store's own words, which only the store's description knows;
//! here is what they have in common. What the members are is not believed of one node: an old leader
//! that is cut off names the members that it remembers. It is what a majority of the very voters that
//! it names tells alike ([`agreed`]). That is sound as long as members change by one node at a time:
//! then no two majorities tell different things without having a node in common.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// An answer to come.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whoever can change the members of the system under test, and what its description calls faults. Each request is made once, to whoever
/// leads, and is over within a few seconds; a request that is given up may still be carried out.
pub trait Administration: fmt::Debug + Send + Sync {
    /// Asks for the leadership to be handed to the node `to`. Ready when the store has answered.
    fn transfer<'a>(&'a self, to: &'a str) -> Pending<'a, Result<(), AdministrationError>>;

    /// Asks for `node` to become a member with a vote. Ready when the store has answered.
    fn add<'a>(&'a self, node: &'a str) -> Pending<'a, Result<(), AdministrationError>>;

    /// Asks for `node` to be no member any more. Ready when the store has answered.
    fn remove<'a>(&'a self, node: &'a str) -> Pending<'a, Result<(), AdministrationError>>;

    /// Has the description's fault of that name begin on `node`. Ready when it has.
    fn inject<'a>(
        &'a self,
        fault: &'a str,
        node: &'a str,
    ) -> Pending<'a, Result<(), AdministrationError>>;

    /// Has the description's fault of that name end on `node`. Ready when it has; nothing is wrong if it
    /// had ended before.
    fn heal<'a>(
        &'a self,
        fault: &'a str,
        node: &'a str,
    ) -> Pending<'a, Result<(), AdministrationError>>;

    /// What every node that answers says of the members, past all partitions.
    fn views(&self) -> Pending<'_, Vec<View>>;
}

/// Why a request was not carried out, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdministrationError {
    /// Nobody could be asked.
    #[error("nobody leads")]
    NoLeader,
    /// The store's description has no words for it.
    #[error("the target has no words for it: expected {0} in its description")]
    Unspoken(String),
    /// A command of the description failed.
    #[error("{node}: {problem}")]
    Failed {
        /// The node on whose host it ran.
        node: String,
        /// How.
        problem: String,
    },
    /// The store said no, or nothing.
    #[error("{node} answered {answer:?}")]
    Refused {
        /// The node that was asked.
        node: String,
        /// What it answered, or why it did not.
        answer: String,
    },
}

/// What one node says of the members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The node's name.
    pub node: String,
    /// Its answer.
    pub members: Configuration,
}

/// Who belongs to a cluster: the nodes' names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Configuration {
    /// Whose votes decide.
    pub voters: BTreeSet<String>,
    /// Who learns what is decided and has no vote.
    pub learners: BTreeSet<String>,
    /// Who is neither, but still in it: on its way out.
    pub leaving: BTreeSet<String>,
}

impl Configuration {
    /// Whether `node` is in it in any way.
    pub fn holds(&self, node: &str) -> bool {
        [&self.voters, &self.learners, &self.leaving].iter().any(|part| part.contains(node))
    }

    /// Whether nobody is on the way out.
    pub fn is_settled(&self) -> bool {
        self.leaving.is_empty()
    }
}

/// The voters, and who else there is: `n1 n2 n3, learning n4`.
impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |part: &BTreeSet<String>| part.iter().cloned().collect::<Vec<_>>().join(" ");
        f.write_str(&names(&self.voters))?;
        for (what, part) in [("learning", &self.learners), ("leaving", &self.leaving)] {
            if !part.is_empty() {
                write!(f, ", {what} {}", names(part))?;
            }
        }
        Ok(())
    }
}

/// The members as a majority of their voters tells them, if one does.
pub fn agreed(views: &[View]) -> Option<&Configuration> {
    let told = |members: &Configuration| {
        let votes = |view: &&View| view.members == *members && members.voters.contains(&view.node);
        views.iter().filter(votes).count()
    };
    let mut known = views.iter().map(|view| &view.members);
    known.find(|members| told(members) > members.voters.len() / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(node: &str, voters: &str, leaving: &str) -> View {
        let set = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let learners = BTreeSet::new();
        let members = Configuration { voters: set(voters), learners, leaving: set(leaving) };
        View { node: node.to_owned(), members }
    }

    #[test]
    fn the_members_are_what_a_majority_of_their_voters_tells() {
        let (old, new) = ("n1 n2 n3 n4 n5", "n1 n2 n3 n4");
        let mut views: Vec<View> = ["n1", "n2"].iter().map(|node| view(node, new, "")).collect();
        views.extend(["n4", "n5"].iter().map(|node| view(node, old, "")));
        assert_eq!(agreed(&views), None, "two of four, and two of five");
        views.push(view("n5", new, ""));
        assert_eq!(agreed(&views), None, "a node that is out has no say in that");
        views.push(view("n3", new, "n5"));
        assert_eq!(agreed(&views), None, "the third is in the middle of it");
        views.push(view("n3", new, ""));
        assert_eq!(agreed(&views).map(ToString::to_string), Some(new.to_owned()));
    }

    #[test]
    fn nobody_tells_nothing() {
        assert_eq!(agreed(&[]), None);
        assert_eq!(agreed(&[view("n1", "", "")]), None, "no voter, no majority");
    }

    #[test]
    fn a_configuration_names_whoever_is_in_it_in_any_way() {
        let joint = view("n1", "n1 n2", "n3").members;
        assert!(joint.holds("n3") && !joint.is_settled() && !joint.holds("n4"));
        assert_eq!(joint.to_string(), "n1 n2, leaving n3");
    }
}
