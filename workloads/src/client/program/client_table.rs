//! The table `[client]` of a description: which program speaks, and which operations it has.

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::super::dial::ClientProgram;
use super::super::tables::TableError;
use super::super::template::unknown_placeholder;
use super::connection::START_LIMIT;
use crate::operation::Kind;

/// The question for a node's status, which stands among the operations.
pub(super) const STATUS: &str = "status";

/// The operations of a program of which the description names none.
const USUAL: [Kind; 3] = [Kind::Read, Kind::Write, Kind::Cas];

/// The table `[client]` of a description.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct ClientTable {
    /// The program and its arguments, word by word.
    command: Option<Spanned<Vec<Spanned<String>>>>,
    /// The files beside the description that it needs.
    #[serde(default)]
    files: Vec<Spanned<String>>,
    /// The operations that it has: read, write and cas without it.
    operations: Option<Vec<Spanned<String>>>,
}

impl ClientTable {
    /// What is to be started, if all that is described makes sense.
    ///
    /// # Errors
    ///
    /// Where it does not, and what was expected.
    pub(super) fn program(&self) -> Result<ClientProgram, TableError> {
        let expected =
            "expected `command`, such as [\"python3\", \"my-store.py\", \"{ip}:{port}\"]";
        let Some(command) = &self.command else {
            let problem = format!("the table [client] names no program; {expected}");
            return Err(TableError { span: None, problem });
        };
        if command.get_ref().first().is_none_or(|word| word.get_ref().trim().is_empty()) {
            return Err(TableError::at(command.span(), format!("an empty command; {expected}")));
        }
        for word in command.get_ref() {
            if let Some(problem) = unknown_placeholder(word.get_ref(), &ClientProgram::PLACEHOLDERS)
            {
                return Err(TableError::at(word.span(), problem));
            }
        }
        for file in &self.files {
            let name = file.get_ref();
            if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
                let problem =
                    format!("`{name}` is no file beside the description; expected its name");
                return Err(TableError::at(file.span(), problem));
            }
        }
        for word in self.operations.iter().flatten() {
            if word.get_ref() != STATUS && Kind::of_word(word.get_ref()).is_none() {
                let known = Kind::ALL.map(Kind::word).join(", ");
                let problem =
                    format!("no operation `{}`; expected {known}, status", word.get_ref());
                return Err(TableError::at(word.span(), problem));
            }
        }
        let words =
            |words: &[Spanned<String>]| words.iter().map(|it| it.get_ref().clone()).collect();
        Ok(ClientProgram { command: words(command.get_ref()), files: words(&self.files) })
    }

    /// Of nodes that speak these lines themselves and have what Maelstrom calls `lin-kv`.
    pub(super) fn lin_kv() -> Self {
        let words = USUAL.map(Kind::word).into_iter().chain([STATUS]);
        let operations = words.map(|word| Spanned::new(0..0, word.to_owned())).collect();
        Self { operations: Some(operations), ..Self::default() }
    }

    /// How long it may take until there is somebody to ask, where a connection may take `connect`.
    pub(super) fn start_limit(&self, connect: Duration) -> Duration {
        if self.command.is_some() { START_LIMIT } else { connect }
    }

    /// Whether the program has this operation.
    pub(super) fn has(&self, operation: &str) -> bool {
        match &self.operations {
            Some(words) => words.iter().any(|word| word.get_ref() == operation),
            None => USUAL.iter().any(|kind| kind.word() == operation),
        }
    }

    /// An operation that the description gives the program and that is none of `told`.
    pub(super) fn missing_of(&self, told: &[String]) -> Option<&'static str> {
        let words = Kind::ALL.into_iter().map(Kind::word).chain([STATUS]);
        words.into_iter().find(|word| self.has(word) && !told.iter().any(|it| it == word))
    }
}
