//! What a reader took a file to mean, and what it left out: part of the verdict.
//!
//! A verdict is worth as much as the reading before it. So whatever a reader chose, skipped,
//! clamped, filled in or interpreted is counted here and shown beside the verdict, and
//! [`Reading::withholds_valid`] says when a history was read too incompletely to be valid at all.

use serde::{Deserialize, Serialize};

use super::Format;
use crate::history::History;
use crate::verdict::{Analysis, Verdict};

/// A history together with how it was read.
#[derive(Debug, Default)]
pub struct ReadHistory {
    /// The operations.
    pub history: History,
    /// What the reader took the file to mean.
    pub reading: Reading,
}

/// What a reader took a file to mean.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reading {
    /// The format it was read as; nothing where no file was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// What was chosen where a file can be read in more than one way, in the order of choosing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// What was skipped, clamped, filled in or interpreted, one entry a kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// How many reads came back.
    #[serde(default)]
    pub completed_reads: u64,
    /// How many of those were left out, since what they answered is not known.
    #[serde(default)]
    pub reads_left_out: u64,
    /// Where the file ends in the middle of an operation, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
}

/// One choice among readings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What was open: `values`, `nil read`, `failed cas`, `order`, `compression`.
    pub subject: String,
    /// What was chosen, in a few words: `[key value] tuples of Jepsen's independent`.
    pub chosen: String,
    /// Who chose.
    pub by: DecidedBy,
    /// How many operations are read differently because of it.
    pub operations: u64,
}

/// Who made a [`Decision`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecidedBy {
    /// An option of the user's.
    Option,
    /// What stands in the file.
    Content,
    /// What the format is documented to mean.
    Format,
}

/// Something that was skipped, clamped, filled in or interpreted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Whether `--strict` refuses it.
    pub severity: Severity,
    /// What was done with what, without the count: `reads of nil left out`.
    pub text: String,
    /// How often.
    pub count: u64,
    /// The line on which it happened first, from 1; 0 where that is not known.
    pub first_line: u64,
}

/// How much a [`Note`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Usual in this format: lines of a nemesis that are no operations of clients.
    Information,
    /// Perhaps not what the file's author meant; an error under `--strict`.
    Warning,
}

/// Where a file breaks off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The line that is not whole, from 1.
    pub line: u64,
    /// How many whole events were read before it.
    pub events: u64,
}

/// How many kinds of things are noted, at most.
const MOST_NOTES: usize = 100;

impl Reading {
    /// A reading as `format` of which there is nothing to say yet.
    pub fn of(format: Format) -> Self {
        Self { format: Some(format), ..Self::default() }
    }

    /// Counts what happened on `line`. The `text` identifies the note.
    pub fn note(&mut self, severity: Severity, text: &str, line: u64) {
        self.note_many(severity, text, 1, line);
    }

    /// Counts what happened `count` times, on `line` first. The `text` identifies the note.
    pub fn note_many(&mut self, severity: Severity, text: &str, count: u64, line: u64) {
        let is_full = self.notes.len() == MOST_NOTES;
        match self.notes.iter_mut().find(|note| note.text == text) {
            Some(note) => note.count += count,
            // A file may have any number of fields that nobody knows.
            None if is_full => {}
            None => {
                let text = text.to_owned();
                self.notes.push(Note { severity, text, count, first_line: line });
            }
        }
    }

    /// Why a history that was read like this is not valid although nothing in it contradicts
    /// itself; nothing if it may be.
    pub fn withholds_valid(&self) -> Option<String> {
        if let Some(cut) = &self.cut {
            return Some(format!(
                "cut off at event {}: line {} is not whole",
                cut.events, cut.line
            ));
        }
        let Self { completed_reads, reads_left_out, .. } = self;
        (*reads_left_out > 0 && reads_left_out == completed_reads).then(|| {
            let which = match completed_reads {
                1 => "the only completed read".to_owned(),
                more => format!("each of the {more} completed reads"),
            };
            format!(
                "{which} answered nil and was left out, since nil means here that the answer is not \
                 known (--nil-read value takes it as an answer)"
            )
        })
    }

    /// What `analysis` is worth of a history that was read like this: a verdict of valid that is
    /// not [earned](Self::withholds_valid) becomes unknown, with the reason.
    pub fn weigh(&self, analysis: &mut Analysis) {
        if analysis.verdict == Verdict::Valid
            && let Some(reason) = self.withholds_valid()
        {
            analysis.verdict = Verdict::Unknown;
            analysis.reasons.push(reason);
        }
    }

    /// The first warning, if there is one.
    pub fn warning(&self) -> Option<&Note> {
        self.notes.iter().find(|note| note.severity == Severity::Warning)
    }
}
