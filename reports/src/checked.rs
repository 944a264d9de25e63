//! Checked histories that no run of this program recorded: the input of their page.

use partita_checker::{Analysis, History, Nanoseconds, Verdict};
use partita_nemesis::FaultRecord;

/// One checked history.
#[derive(Debug, Clone)]
pub struct CheckedHistory {
    /// The file, as its user named it.
    pub file: String,
    /// The model it was checked against.
    pub model: String,
    /// How the file was read, and what the verdict assumes, in lines.
    pub read_as: Vec<String>,
    /// What clients did and saw.
    pub history: History,
    /// What the checker found.
    pub analysis: Analysis,
    /// What was done to the store meanwhile, if that is known.
    pub faults: Vec<FaultRecord>,
    /// Where the certificate was written, if it was.
    pub certificate: Option<String>,
}

/// Histories that were checked together.
#[derive(Debug, Clone)]
pub struct CheckRecord {
    /// Partita's version.
    pub version: String,
    /// When they were checked, UTC, RFC 3339.
    pub checked_at: String,
    /// The command that checks them again, as one would type it.
    pub command: String,
    /// The histories, in the order in which they were named.
    pub files: Vec<CheckedHistory>,
    /// The files that could not be read.
    pub unreadable: Vec<UnreadableFile>,
}

/// A file that could not be read.
#[derive(Debug, Clone)]
pub struct UnreadableFile {
    /// The file, as its user named it.
    pub file: String,
    /// Why not.
    pub error: String,
}

impl CheckRecord {
    /// The worst verdict of all files.
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.files.iter().map(|file| file.analysis.verdict);
        verdicts.max().unwrap_or(Verdict::Unknown)
    }
}

impl CheckedHistory {
    /// When the last thing on record happened.
    pub(crate) fn end(&self) -> Nanoseconds {
        let end = self.history.operations().iter().map(|operation| {
            operation.completed().map_or(operation.invoked.time, |moment| moment.time)
        });
        end.max().unwrap_or_default()
    }
}
