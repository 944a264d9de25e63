//! As whom the programs of a description run.

use partita_nemesis::lab::account::Account;
use partita_workloads::client::TableError;
use toml::Spanned;

use super::{Target, TargetError};

/// The user that a description names, and where it does. Who that is, is the matter of the machine where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramUser {
    name: String,
    path: String,
    line: usize,
}

impl ProgramUser {
    /// The user called `name` in the description `text`, which is in the file `path`.
    pub(super) fn new(path: &str, text: &str, name: Spanned<String>) -> Self {
        let line = TableError::at(name.span(), String::new()).line(text);
        Self { name: name.into_inner(), path: path.to_owned(), line }
    }
}

impl Target {
    /// As whom its programs run on this machine, if not as the user of this process.
    ///
    /// # Errors
    ///
    /// [`TargetError`] with the field's line, if there is no such user, or this process cannot become it.
    pub fn account(&self) -> Result<Option<Account>, TargetError> {
        let Some(ProgramUser { name, path, line }) = &self.user else { return Ok(None) };
        Account::named(name).map_err(|error| TargetError::Described {
            path: path.clone(),
            line: *line,
            problem: format!("`user`: {error}"),
        })
    }
}
