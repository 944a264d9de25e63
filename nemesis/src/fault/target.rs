//! Says how the victims of a fault are chosen: by role, at random or by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a fault's victims are chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Target {
    /// Whoever leads when the fault begins.
    Leader,
    /// One that does not lead when the fault begins.
    Follower,
    /// Any node.
    Random,
    /// These nodes.
    Nodes(Vec<String>),
}

/// A target that names nobody.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("target {0:?} names no node: expected leader, follower, random or names like n1,n2")]
pub struct TargetError(String);

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Target, TargetError> {
        match text.trim() {
            "leader" => return Ok(Target::Leader),
            "follower" => return Ok(Target::Follower),
            "random" => return Ok(Target::Random),
            _ => {}
        }
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        if names.iter().any(String::is_empty) {
            return Err(TargetError(text.to_owned()));
        }
        Ok(Target::Nodes(names))
    }
}

impl TryFrom<String> for Target {
    type Error = TargetError;

    fn try_from(text: String) -> Result<Target, TargetError> {
        text.parse()
    }
}

impl From<Target> for String {
    fn from(target: Target) -> String {
        target.to_string()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Leader => f.write_str("leader"),
            Target::Follower => f.write_str("follower"),
            Target::Random => f.write_str("random"),
            Target::Nodes(names) => f.write_str(&names.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_reads_back_as_it_was_written() {
        for text in ["leader", "follower", "random", "n1", "n1,n3"] {
            assert_eq!(text.parse::<Target>().map(|target| target.to_string()), Ok(text.into()));
        }
        assert!("n1,,n2".parse::<Target>().is_err());
        assert!("".parse::<Target>().is_err());
    }
}
