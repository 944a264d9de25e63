//! Says how the victims of a fault are chosen: by role, at random, by number or by name.

use std::fmt;

use super::values::{Value, ValueError, text_value};
use crate::roles::{WORDS, is_role};

/// How a fault's victims are chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The node that leads when the fault begins.
    Leader,
    /// One that does not lead when the fault begins.
    Follower,
    /// All that do not lead when the fault begins.
    Followers,
    /// Any node.
    Random,
    /// As many as can be lost while a majority remains, drawn at random.
    Minority,
    /// As few as make a majority, drawn at random.
    Majority,
    /// Every node.
    All,
    /// These nodes.
    Nodes(Vec<String>),
}

/// What the words for roles mean, in their order.
const ROLES: [Target; 7] = [
    Target::Leader,
    Target::Follower,
    Target::Followers,
    Target::Random,
    Target::Minority,
    Target::Majority,
    Target::All,
];

/// A text that names no target.
pub type TargetError = ValueError;

impl Target {
    /// How many of `nodes` nodes it is.
    pub(crate) fn size(&self, nodes: usize) -> usize {
        match self {
            Target::Leader | Target::Follower | Target::Random => 1,
            Target::Followers => nodes.saturating_sub(1).max(1),
            Target::Minority => minority(nodes),
            Target::Majority => nodes / 2 + 1,
            Target::All => nodes,
            Target::Nodes(names) => names.len(),
        }
    }
}

impl Value for Target {
    fn expected() -> String {
        format!("{} or names like n1,n2", WORDS.join(", "))
    }

    fn read(text: &str) -> Option<Target> {
        if let Some(place) = WORDS.iter().position(|word| *word == text.trim()) {
            return Some(ROLES[place].clone());
        }
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        let is_name = |name: &String| !name.is_empty() && !is_role(name);
        names.iter().all(is_name).then_some(Target::Nodes(names))
    }
}

text_value!(Target);

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Target::Nodes(names) = self {
            return f.write_str(&names.join(","));
        }
        let place = ROLES.iter().position(|role| role == self);
        f.write_str(place.map_or("", |place| WORDS[place]))
    }
}

/// How many of `nodes` nodes are cut off when the rest keep a majority: the most there can be, but
/// at least one.
pub(crate) fn minority(nodes: usize) -> usize {
    (nodes.saturating_sub(1) / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_half_keeps_a_majority() {
        for nodes in 3..12 {
            assert!(nodes - minority(nodes) > nodes / 2);
            assert!(minority(nodes) >= 1);
        }
    }

    #[test]
    fn a_target_reads_back_as_it_was_written() {
        for text in WORDS.into_iter().chain(["n1", "n1,n3"]) {
            assert_eq!(text.parse::<Target>().map(|target| target.to_string()), Ok(text.into()));
        }
        assert!("n1,,n2".parse::<Target>().is_err());
        assert!("".parse::<Target>().is_err());
        assert!("n1,leader".parse::<Target>().is_err());
    }
}
