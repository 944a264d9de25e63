//! What a check of a recorded history came to, as data and in words.

use std::error::Error;
use std::fmt;

use crate::event::EventKind;
use crate::history::History;
use crate::sentences;
use crate::verdict::{Analysis, Certificate, Counterexample, CounterexampleOperation, Verdict};
use crate::words;

/// A checked history with what was found: all that a page or a file needs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// The [name](crate::Spec::name) of the spec.
    pub model: &'static str,
    /// What clients did and saw.
    pub history: History,
    /// The verdict, key by key.
    pub analysis: Analysis,
    /// The proof, if the history is linearizable; it was verified.
    pub certificate: Option<Certificate>,
}

impl Report {
    /// The counterexample, if the history is not linearizable.
    pub const fn counterexample(&self) -> Option<&Counterexample> {
        self.analysis.counterexample.as_ref()
    }

    pub(super) fn judged(self) -> Result<Self, CheckError> {
        match self.analysis.verdict {
            Verdict::Valid => Ok(self),
            Verdict::Unknown => Err(CheckError::Unknown(Box::new(self))),
            Verdict::Violation => Err(CheckError::Violation(Box::new(self))),
        }
    }
}

/// In words: the verdict, and why.
impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, analysis, .. } = self;
        write!(out, "{}: {model}", analysis.verdict)?;
        match (&analysis.counterexample, &analysis.reasons[..]) {
            (Some(found), _) => tell(found, self.history.has_clock(), out),
            (None, []) => {
                let counts = self.history.counts();
                let (operations, keys) = (counts.invoked, analysis.keys.len());
                let s = if keys == 1 { "" } else { "s" };
                write!(out, ", {operations} operations on {keys} object{s} are linearizable")
            }
            (None, reasons) => write!(out, ", {}", reasons.join("; ")),
        }
    }
}

fn tell(found: &Counterexample, has_clock: bool, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(out, ", {}\n  {}", found.anomaly.title(), found.sentence)?;
    for operation in &found.operations {
        write!(out, "\n    {}", line(operation, has_clock))?;
    }
    Ok(())
}

/// "#4 process 3 (via n1): reserve → true, from 0.000102 s to 0.000131 s"
fn line(operation: &CounterexampleOperation, has_clock: bool) -> String {
    let (index, who, asked) = (operation.index, sentences::who(operation), operation.asked());
    let moment = |time: crate::Nanoseconds| {
        if has_clock { format!("{:.6} s", time.as_seconds()) } else { words::instant(time, false) }
    };
    let from = moment(operation.invoked);
    match (operation.outcome, operation.completed) {
        (EventKind::Ok, Some(until)) => {
            let (answer, until) = (&operation.value, moment(until));
            format!("#{index} {who}: {asked} → {answer}, from {from} to {until}")
        }
        _ => format!("#{index} {who}: {asked}, from {from}, outcome unknown"),
    }
}

/// Why a recorded history was not shown to be linearizable. [`Debug`] is for people, too, since that
/// is what a test prints that unwraps it.
#[derive(Clone)]
#[non_exhaustive]
pub enum CheckError {
    /// It is not; there is a [counterexample](Report::counterexample).
    Violation(Box<Report>),
    /// Neither was shown: the budget ran out, or nothing was answered.
    Unknown(Box<Report>),
}

impl CheckError {
    /// All that was found.
    pub const fn report(&self) -> &Report {
        let (Self::Violation(report) | Self::Unknown(report)) = self;
        report
    }

    /// The counterexample, if the history is not linearizable.
    pub const fn counterexample(&self) -> Option<&Counterexample> {
        self.report().counterexample()
    }
}

impl fmt::Display for CheckError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.report(), out)
    }
}

impl fmt::Debug for CheckError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.report(), out)
    }
}

impl Error for CheckError {}
