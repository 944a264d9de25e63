//! The tables of a target's description that belong to its protocol.
//!
//! A description is one TOML file. What its nodes are and how they are started is read by whoever
//! starts them; what stands in the tables [`PROTOCOL_TABLES`] means something to the protocol alone,
//! which reads them by [`Tables::take`], with positions.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::de::DeserializeOwned;
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// The tables that a protocol may read.
pub const PROTOCOL_TABLES: [&str; 4] = ["client", "status", "membership", "replicas"];

/// A table that makes no sense to the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{problem}")]
pub struct TableError {
    /// Where in the description, in bytes, if that is known.
    pub span: Option<Range<usize>>,
    /// What is wrong, and what was expected.
    pub problem: String,
}

impl TableError {
    /// A problem with what stands at `span`.
    pub fn at(span: Range<usize>, problem: impl Into<String>) -> Self {
        Self { span: Some(span), problem: problem.into() }
    }

    /// The line of `text` where the problem is, from 1; 1 if that is not known.
    pub fn line(&self, text: &str) -> usize {
        let start = self.span.as_ref().map_or(0, |span| span.start);
        1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count()
    }
}

impl From<toml::de::Error> for TableError {
    fn from(error: toml::de::Error) -> Self {
        Self { span: error.span(), problem: error.message().to_owned() }
    }
}

/// The protocol's tables of one description.
#[derive(Debug, Default)]
pub struct Tables<'a> {
    tables: BTreeMap<String, Spanned<DeValue<'a>>>,
    files: Option<&'a BTreeMap<String, String>>,
}

impl<'a> Tables<'a> {
    /// Those of the description `text`. Whatever else stands there is left out.
    ///
    /// # Errors
    ///
    /// If `text` is no TOML.
    pub fn of(text: &'a str) -> Result<Self, TableError> {
        let all = DeTable::parse(text)?.into_inner();
        let own = all.into_iter().map(|(name, value)| (name.into_inner().into_owned(), value));
        let tables = own.filter(|(name, _)| PROTOCOL_TABLES.contains(&&**name)).collect();
        Ok(Self { tables, files: None })
    }

    /// The same with the texts of the `files` beside the description, by name.
    #[must_use]
    pub fn with_files(self, files: &'a BTreeMap<String, String>) -> Self {
        Self { files: Some(files), ..self }
    }

    /// The files beside the description; none if only their names are to be learned.
    pub fn files(&self) -> Option<&'a BTreeMap<String, String>> {
        self.files
    }

    /// Reads the table `name`; what it is by default if it is not there.
    ///
    /// # Errors
    ///
    /// If the table is not what is expected: where, and what is.
    pub fn take<T: DeserializeOwned + Default>(&mut self, name: &str) -> Result<T, TableError> {
        let Some(value) = self.tables.remove(name) else { return Ok(T::default()) };
        Ok(T::deserialize(ValueDeserializer::from(value))?)
    }

    /// That every table was taken.
    ///
    /// # Errors
    ///
    /// If one was not: the protocol has no use for it.
    pub fn finish(self) -> Result<(), TableError> {
        match self.tables.into_iter().next() {
            None => Ok(()),
            Some((name, value)) => {
                let problem = format!("the protocol has no table [{name}]");
                Err(TableError::at(value.span(), problem))
            }
        }
    }
}
