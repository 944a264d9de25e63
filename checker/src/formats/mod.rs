//! Histories and certificates as files.
//!
//! [`read`] takes a history in any [`Format`], which it tells by the content if it is not named,
//! plain or packed with gzip or zstd.
//! Every reader parses one line or operation at a time, of bounded length. EDN, Jepsen's logs and
//! JSON's intervals keep all events until the last is read, since only all of them tell what they
//! mean; so does whatever is sorted. Other JSON goes into the history at once. An error names file, line and column,
//! and what was expected there.

mod assembly;
pub mod certificate;
mod detect;
mod edn;
mod error;
mod fastlin;
mod jepsen_log;
mod json;
pub mod jsonl;
mod line_reader;
mod options;
mod packed;
mod reading;
pub(crate) mod stores;
mod tuples;
mod vocabulary;

use std::io::{self, BufRead, Cursor, Read};

use self::assembly::Assembly;
pub use self::detect::detect;
pub use self::edn::{Keys, write_edn};
pub use self::error::{LONGEST_LINE, ReadError, ReadProblem};
use self::line_reader::LineReader;
pub use self::options::{FailedCas, NilRead, ReadOptions};
use self::packed::{Packing, packed_otherwise, unpack};
pub use self::reading::{Cut, DecidedBy, Decision, Note, ReadHistory, Reading, Severity};
use self::vocabulary::Vocabulary;
use serde::{Deserialize, Serialize};

/// How many bytes of a file are looked at to tell its format; more only if these tell none.
const HEAD: usize = 64 << 10;

/// How a history is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Format {
    /// JSON: our own lines, see [`jsonl`], and objects of other recorders, one a line or in an
    /// array, an event or an operation with its start and its end each.
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
    /// What etcd's robustness tests record, `operations.json`.
    #[serde(rename = "etcd-operations")]
    EtcdOperations,
    /// What S2's verification collects of a stream.
    #[serde(rename = "s2")]
    S2,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::JsonLines,
        Self::Edn,
        Self::JepsenLog,
        Self::PorcupineKv,
        Self::Fastlin,
        Self::EtcdOperations,
        Self::S2,
    ];

    /// The name that people call it by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::JsonLines => "jsonl",
            Self::Edn => "edn",
            Self::JepsenLog => "jepsen-log",
            Self::PorcupineKv => "porcupine-kv",
            Self::Fastlin => "fastlin",
            Self::EtcdOperations => "etcd-operations",
            Self::S2 => "s2",
        }
    }

    /// The format that bears this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// What a failed compare-and-set means by default. Jepsen's log lines come with
    /// Porcupine's model, in which it is an answer; elsewhere it is an operation that failed.
    pub const fn failed_cas(self) -> FailedCas {
        match self {
            Self::JepsenLog => FailedCas::Mismatch,
            _ => FailedCas::Ignore,
        }
    }

    /// What a read of nil means by default. To Knossos, whose files are EDN, the
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
    let start = take_head(&mut input, 4).map_err(|error| failed(name, error.into()))?;
    let packing = Packing::told_by(&start);
    let input = Cursor::new(start).chain(input);
    let Some(packing) = packing else { return read_text(name, input, options) };
    let (mut unpacked, ending) = unpack(packing, input);
    let inner = take_head(&mut unpacked, 4).map_err(|error| failed(name, error.into()))?;
    if let Some(again) = Packing::told_by(&inner) {
        let (outer, again) = (packing.name(), again.name());
        let expected = format!(
            "a history packed once; unpack it with `{outer} -d` first, and name what comes out"
        );
        return Err(failed(name, ReadProblem::unexpected(expected, format!("{again} in {outer}"))));
    }
    let unpacked = Cursor::new(inner).chain(unpacked);
    let mut read = read_text(name, unpacked, options)?;
    let decision = Decision {
        subject: "compression".to_owned(),
        chosen: packing.name().to_owned(),
        by: DecidedBy::Content,
        operations: 0,
    };
    read.reading.decisions.insert(0, decision);
    if ending.is_early() && read.reading.cut.is_none() {
        let events = read.history.operations.iter();
        let events = events.map(|operation| 1 + u64::from(operation.completion().is_some())).sum();
        read.reading.cut = Some(Cut { line: ending.line(), events });
    }
    Ok(read)
}

/// Whether some operation seems to stand in a file, packed or not, of which nothing is checked. A log
/// may have many lines and none of an operation; elsewhere whatever is no comment counts.
///
/// # Errors
///
/// If `input` cannot be read, or its packing is damaged.
pub fn holds_operations(mut input: impl BufRead) -> io::Result<bool> {
    let start = take_head(&mut input, 4)?;
    let packing = Packing::told_by(&start);
    let input = Cursor::new(start).chain(input);
    match packing {
        None => text_holds_operations(input),
        Some(packing) => text_holds_operations(unpack(packing, input).0),
    }
}

fn text_holds_operations(mut input: impl BufRead) -> io::Result<bool> {
    let head = take_head(&mut input, HEAD)?;
    let is_log = match head.trim_ascii_start() {
        [] => return Ok(false),
        [b'{' | b';' | b'#', ..] => false,
        [b'[' | b'(', ..] => !detect::begins_with_forms(&head),
        _ => true,
    };
    let mut lines = LineReader::new("", Cursor::new(head).chain(input));
    // What no reader can read is for the reader to tell.
    while let Ok(true) = lines.advance_to_text() {
        let text = lines.text().trim_ascii_start();
        let is_comment = matches!(text, [b';', ..] | [b'#', b' ' | b'#', ..]);
        let found = match is_log {
            true => jepsen_log::is_operation(text),
            false => !is_comment && text.iter().any(u8::is_ascii_alphanumeric),
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads a file that is not packed.
fn read_text(
    name: &str,
    mut input: impl BufRead,
    options: &ReadOptions,
) -> Result<ReadHistory, ReadError> {
    let mut head = take_head(&mut input, HEAD).map_err(|error| failed(name, error.into()))?;
    if let Some((packing, advice)) = packed_otherwise(&head) {
        let expected = format!("a history that is plain or packed with gzip or zstd; {advice}");
        return Err(failed(name, ReadProblem::unexpected(expected, format!("a {packing} file"))));
    }
    if let Some(encoding) = other_encoding(&head) {
        let expected = "UTF-8, as `iconv --to-code UTF-8` makes it";
        return Err(failed(name, ReadProblem::unexpected(expected, encoding)));
    }
    if head.starts_with(b"\xef\xbb\xbf") {
        head.drain(..3);
    }
    let mut format = options.format.or_else(|| detect(&head));
    // A log may say much before its first operation.
    while format.is_none() && head.len() < LONGEST_LINE {
        let more = take_head(&mut input, head.len().max(HEAD));
        let more = more.map_err(|error| failed(name, error.into()))?;
        if more.is_empty() {
            break;
        }
        head.extend(more);
        format = detect(&head);
    }
    let format = format.ok_or_else(|| failed(name, ReadProblem::UnknownFormat))?;
    read_as(format, name, Cursor::new(head).chain(input), options)
}

/// The first bytes of a file, `length` if it has so many.
fn take_head(input: &mut impl BufRead, length: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    input.take(length as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// The encoding of a text that is not in UTF-8, told by its byte-order mark or by the zeros beside
/// its letters.
fn other_encoding(head: &[u8]) -> Option<&'static str> {
    match head {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        [a, 0, b, 0, ..] | [0, a, 0, b, ..] if *a != 0 && *b != 0 => Some("UTF-16"),
        _ => None,
    }
}

/// The file is no history, which its beginning tells.
fn failed(name: &str, problem: ReadProblem) -> ReadError {
    ReadError { file: name.into(), line: 1, column: None, problem }
}

fn read_as(
    format: Format,
    name: &str,
    input: impl BufRead,
    options: &ReadOptions,
) -> Result<ReadHistory, ReadError> {
    let vocabulary = || Vocabulary::new(format, options);
    let assembly = || Assembly::new(format, options);
    let (history, reading) = match format {
        Format::JsonLines => json::read_history(name, input, assembly(), options.sort_by_time),
        Format::Edn | Format::PorcupineKv => edn::read_history(name, input, vocabulary()),
        Format::JepsenLog => jepsen_log::read_history(name, input, vocabulary()),
        Format::Fastlin => {
            fastlin::read_history(name, input).map(|history| (history, Reading::of(format)))
        }
        Format::EtcdOperations => stores::etcd::read_history(name, input, assembly()),
        Format::S2 => stores::s2::read_history(name, input, assembly()),
    }?;
    match reading.warning().filter(|_| options.strict) {
        Some(warning) => {
            let problem = ReadProblem::Strict { text: warning.text.clone(), count: warning.count };
            Err(ReadError { file: name.into(), line: warning.first_line, column: None, problem })
        }
        None => Ok(ReadHistory { history, reading }),
    }
}

#[cfg(test)]
mod tests;
