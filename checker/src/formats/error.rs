//! Says why a file is no history: where it fails, and what was expected there.

use std::io;
use std::sync::Arc;

use thiserror::Error;

use crate::history::HistoryError;

/// The longest line or operation that is read, in bytes. A file without ends must not fill the
/// memory.
pub const LONGEST_LINE: usize = 16 << 20;

/// Why a file is no history.
#[derive(Debug, Error)]
#[error("{file}:{line}{}: {problem}", column.map_or_else(String::new, |at| format!(":{at}")))]
pub struct ReadError {
    /// The file's name, as the caller gave it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u64,
    /// The byte in the line, from 1, where known.
    pub column: Option<usize>,
    /// What is wrong there.
    pub problem: ReadProblem,
}

/// What is wrong with a place in a file.
#[derive(Debug, Error)]
pub enum ReadProblem {
    /// The file cannot be read on.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The line is not an event.
    #[error("expected an event as a JSON object: {0}")]
    NotAnEvent(String),
    /// Something else stands where the format has its own.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What the format has there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// The last line ends in the middle, as after a crash or a full disk.
    #[error("the last line is cut off: expected a whole event and a line end ({0})")]
    CutOff(String),
    /// The file ends in the middle of an operation.
    #[error("the file is cut off: expected {0}")]
    EndsEarly(String),
    /// The line is longer than any event.
    #[error("expected a line of at most {LONGEST_LINE} bytes")]
    LineTooLong,
    /// The operation, with the blanks before it, is longer than any.
    #[error("expected an operation of at most {LONGEST_LINE} bytes")]
    OperationTooLong,
    /// No format begins like this file.
    #[error(
        "expected a history in one of these formats: {}; name the format if it is one of them",
        super::Format::ALL.map(super::Format::name).join(", ")
    )]
    UnknownFormat,
    /// Events are not in the order of time.
    #[error("{0}; --sort-by-time puts events in the order of their times")]
    OutOfOrder(Box<HistoryError>),
    /// Something that is read with a warning, unless all warnings are errors.
    #[error("{text} ({count}), which --strict refuses")]
    Strict {
        /// What the warning says.
        text: String,
        /// How often there was reason for it.
        count: u64,
    },
    /// The event cannot follow those before it.
    #[error("{0}")]
    History(#[from] HistoryError),
}

impl ReadProblem {
    /// Something else stands where the format has its own.
    pub(super) fn unexpected(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Unexpected { expected: expected.into(), found: found.into() }
    }
}
