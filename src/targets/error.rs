//! Why there is no such target.

use partita_nemesis::FaultKind;
use partita_nemesis::names::similar;
use partita_workloads::client::TableError;
use thiserror::Error;

use crate::unknown_name::UnknownName;

/// Why there is no such target.
#[derive(Debug, Error)]
pub enum TargetError {
    /// Neither a built-in name nor a file.
    #[error(transparent)]
    Unknown(#[from] UnknownName),
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Something in the file makes no sense.
    #[error("{path}:{line}: {problem}")]
    Described {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// A fault that the target has no words for.
    #[error(
        "target `{target}` does not say how it is done to it: {fault} needs {lacks}{} in its \
         description (docs/targets.md)",
        if fault.is_described() { "" } else { " in the table [membership]" }
    )]
    Lacks {
        /// The target's name.
        target: String,
        /// The fault.
        fault: FaultKind,
        /// The fields that are missing, joined by commas.
        lacks: String,
    },
    /// A secret that the environment does not hold.
    #[error("target `{target}`: {problem}")]
    Secret {
        /// The target's name.
        target: String,
        /// Which, and why it cannot be had.
        problem: String,
    },
    /// The description names a node that a run does not have.
    #[error("target `{target}` needs a node {node}, and the run has {nodes}: --nodes {}", &node[1..])]
    TooFewNodes {
        /// The target's name.
        target: String,
        /// The node.
        node: String,
        /// How many there are.
        nodes: u32,
    },
}

impl TargetError {
    /// A mistake in the description `text`, which is in the file `path`: with its line, and what a
    /// misspelt field was perhaps meant to be.
    pub(super) fn of(path: &str, text: &str, error: TableError) -> Self {
        let line = error.line(text);
        let problem = match meant(&error.problem) {
            Some(meant) => format!("{}; did you mean `{meant}`?", error.problem),
            None => error.problem,
        };
        Self::Described { path: path.to_owned(), line, problem }
    }
}

/// The field that was perhaps meant by the one of which a parser says that it does not know it, as in
/// "unknown field `comand`, expected one of `name`, `command`".
fn meant(problem: &str) -> Option<String> {
    let (_, rest) = problem.split_once("unknown field `")?;
    let (typed, rest) = rest.split_once("`, expected ")?;
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    similar(typed, &known).first().map(|name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_field_is_told_what_was_meant() {
        let known = "unknown field `comand`, expected one of `name`, `command`, `files`";
        assert_eq!(meant(known).as_deref(), Some("command"));
        assert_eq!(meant("unknown field `dor`, expected `on` or `door`").as_deref(), Some("door"));
        assert_eq!(meant("unknown field `zzzz`, expected `name`"), None);
        assert_eq!(meant("missing field `name`"), None);
    }
}
