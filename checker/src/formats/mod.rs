//! Histories and certificates as files.
//!
//! [`read`] takes a history in any [`Format`], which it tells by the content if it is not named.
//! Every reader holds one line or operation at a time, of bounded length, and the history that
//! comes of it; fastlin's intervals have to be sorted first. An error names file, line and column,
//! and what was expected there.

pub mod certificate;
mod detect;
mod edn;
mod error;
mod fastlin;
mod jepsen_log;
pub mod jsonl;
mod lines;
mod options;
mod reading;
mod vocabulary;

use std::io::{BufRead, Read};

pub use self::detect::detect;
pub use self::edn::{Keys, write_edn};
pub use self::error::{LONGEST_LINE, ReadError, ReadProblem};
pub use self::options::{FailedCas, NilRead, ReadOptions};
pub use self::reading::{Cut, DecidedBy, Decision, Note, ReadHistory, Reading, Severity};
use self::vocabulary::Vocabulary;
use serde::{Deserialize, Serialize};

/// How many bytes of a file are looked at to tell its format.
const HEAD: u64 = 64 << 10;

/// How a history is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Format {
    /// One JSON object a line, our own format; see [`jsonl`].
    #[serde(rename = "jsonl")]
    JsonLines,
    /// EDN maps, as Jepsen and Knossos have them.
    #[serde(rename = "edn")]
    Edn,
    /// The lines that Jepsen logs.
    #[serde(rename = "jepsen-log")]
    JepsenLog,
    /// EDN maps of `:get`, `:put` and `:append` on texts, as in Porcupine's tests.
    #[serde(rename = "porcupine-kv")]
    PorcupineKv,
    /// Intervals of one stack or queue, for fastlin.
    #[serde(rename = "fastlin")]
    Fastlin,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::JsonLines, Self::Edn, Self::JepsenLog, Self::PorcupineKv, Self::Fastlin];

    /// The name that people call it by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::JsonLines => "jsonl",
            Self::Edn => "edn",
            Self::JepsenLog => "jepsen-log",
            Self::PorcupineKv => "porcupine-kv",
            Self::Fastlin => "fastlin",
        }
    }

    /// The format that bears this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// What a failed compare-and-set means if nobody says otherwise. Jepsen's log lines come with
    /// Porcupine's model, in which it is an answer; elsewhere it is an operation that failed.
    pub const fn failed_cas(self) -> FailedCas {
        match self {
            Self::JepsenLog => FailedCas::Mismatch,
            _ => FailedCas::Ignore,
        }
    }

    /// What a read of nil means if nobody says otherwise. To Knossos, whose files are EDN, the
    /// answer is not known; elsewhere there was no value.
    pub const fn nil_read(self) -> NilRead {
        match self {
            Self::Edn => NilRead::Unknown,
            _ => NilRead::Value,
        }
    }
}

/// Reads the history in the file that is called `name`.
///
/// ```
/// use partita_checker::formats::{ReadOptions, read};
///
/// let lines = "INFO  jepsen.util - 0\t:invoke\t:write\t4\nINFO  jepsen.util - 0\t:ok\t:write\t4\n";
/// let read = read("etcd.log", lines.as_bytes(), &ReadOptions::default()).unwrap();
/// assert_eq!(read.history.counts().ok, 1);
/// ```
///
/// # Errors
///
/// If the format is neither named nor to be told by the content, or `input` cannot be read, is not
/// in this format, or holds events that cannot follow one another.
pub fn read(
    name: &str,
    mut input: impl BufRead,
    options: &ReadOptions,
) -> Result<ReadHistory, ReadError> {
    if let Some(format) = options.format {
        return read_as(format, name, input, options);
    }
    let failed = |problem| ReadError { file: name.into(), line: 1, column: None, problem };
    let mut head = Vec::new();
    let taken = Read::take(&mut input, HEAD).read_to_end(&mut head);
    taken.map_err(|error| failed(error.into()))?;
    let format = detect(&head).ok_or_else(|| failed(ReadProblem::UnknownFormat))?;
    read_as(format, name, head.as_slice().chain(input), options)
}

fn read_as(
    format: Format,
    name: &str,
    input: impl BufRead,
    options: &ReadOptions,
) -> Result<ReadHistory, ReadError> {
    let failed_cas = options.failed_cas.unwrap_or_else(|| format.failed_cas());
    let nil_read = options.nil_read.unwrap_or_else(|| format.nil_read());
    let mut vocabulary = Vocabulary::new(failed_cas, nil_read, options.independent);
    let history = match format {
        Format::JsonLines => jsonl::build(name, input, failed_cas),
        Format::Edn => edn::read_history(name, input, vocabulary),
        Format::JepsenLog => jepsen_log::read_history(name, input, vocabulary),
        Format::PorcupineKv => {
            vocabulary.key_value = true;
            edn::read_history(name, input, vocabulary)
        }
        Format::Fastlin => fastlin::read_history(name, input),
    }?;
    Ok(ReadHistory { history, reading: Reading::of(format) })
}

#[cfg(test)]
mod tests;
