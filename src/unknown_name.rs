//! The one sentence for a name that is none of its kind, with "did you mean" for a slip of the finger.

use partita_nemesis::names::similar;
use partita_reports::text::visible::{LABEL_CHARACTERS, brief};
use thiserror::Error;

/// What may be given instead of a name that a file can describe as well.
pub(crate) const TOML_FILE: &str = ", or a TOML file";

/// A name that is none of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct UnknownName(String);

impl UnknownName {
    /// That `name` is none of the `known` names of this `kind`, and which was perhaps meant. `instead` ends
    /// the list: what may be given besides names.
    pub fn new(kind: &str, name: &str, known: &[String], instead: &str) -> Self {
        let mut message = format!(
            "unknown {kind} `{}`; expected {}{instead}",
            brief(name, LABEL_CHARACTERS),
            known.join(", "),
        );
        let meant: Vec<String> =
            similar(name, known).into_iter().map(|name| format!("`{name}`")).collect();
        if !meant.is_empty() {
            message.push_str(&format!("; did you mean {}?", meant.join(" or ")));
        }
        Self(message)
    }
}
