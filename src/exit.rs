//! The exit codes, which scripts depend on.
//!
//! A command that comes to several results, such as the verdicts on several files, ends with the
//! worst of them, by [`Exit::worse`]: a violation stands whatever else went wrong, and *valid* means
//! that nothing did.

use std::process::ExitCode;

use partita_checker::Verdict;
use partita_reports::text::visible::escaped;
use serde::Serialize;

/// How a command ends. The numbers are a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: every verdict is valid, or the command simply did what it was asked.
    Valid,
    /// 1: a violation was found.
    Violation,
    /// 2: bad arguments or bad input.
    Usage,
    /// 3: unknown; a budget ran out, or nothing was tested.
    Unknown,
    /// 4: the harness or the target failed.
    Harness,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Valid => 0,
            Self::Violation => 1,
            Self::Usage => 2,
            Self::Unknown => 3,
            Self::Harness => 4,
        }
    }

    /// The one of two results that a command ends with that came to both. A violation (1) outweighs
    /// a failure of the harness (4), which outweighs what could not be read or written (2), which
    /// outweighs an unknown verdict (3), which outweighs a valid one (0).
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        let rank = |exit: Self| match exit {
            Self::Valid => 0,
            Self::Unknown => 1,
            Self::Usage => 2,
            Self::Harness => 3,
            Self::Violation => 4,
        };
        if rank(other) > rank(self) { other } else { self }
    }

    /// How a process of this program ended that ended with `code`: killed, or with anything else
    /// that no command ends with, means that the harness failed.
    pub fn of_code(code: i32) -> Self {
        [Self::Valid, Self::Violation, Self::Usage, Self::Unknown]
            .into_iter()
            .find(|exit| i32::from(exit.code()) == code)
            .unwrap_or(Self::Harness)
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Valid => Self::Valid,
            Verdict::Unknown => Self::Unknown,
            Verdict::Violation => Self::Violation,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command came to no result, for people, with the exit code that says whose fault it is.
#[derive(Debug)]
pub struct Failure {
    /// [`Exit::Usage`] or [`Exit::Harness`].
    pub exit: Exit,
    /// What went wrong, where, and what was expected.
    pub report: miette::Report,
}

impl Failure {
    /// The person who typed the command, or a file of theirs, is at fault.
    pub fn usage(report: impl Into<miette::Report>) -> Self {
        Self { exit: Exit::Usage, report: report.into() }
    }

    /// What went wrong and its causes, one message each. A cause that the message before it tells
    /// already is left out.
    pub fn messages(&self) -> Vec<String> {
        let mut messages: Vec<String> = Vec::new();
        for cause in self.report.chain() {
            let message = cause.to_string().trim().to_owned();
            if !messages.last().is_some_and(|before| before.contains(&message)) {
                messages.push(message);
            }
        }
        messages
    }

    /// The harness or the system under test is at fault.
    pub fn harness(report: impl Into<miette::Report>) -> Self {
        Self { exit: Exit::Harness, report: report.into() }
    }
}

/// What `--json` prints of a [`Failure`].
#[derive(Debug, Serialize)]
pub struct FailureDocument {
    /// The number of the document's form.
    format: u32,
    /// What went wrong, with its causes.
    error: String,
}

impl FailureDocument {
    /// The document of `failure`.
    pub fn of(failure: &Failure) -> Self {
        Self { format: 1, error: failure.messages().join(": ") }
    }
}

/// Turns any error into a [`Failure`], its causes into lines below it. The context is one line: a
/// name of a file in it has no other.
pub trait OrFail<T> {
    /// Blames the input; `context` says what was being done to what.
    ///
    /// # Errors
    ///
    /// The [`Failure`], if `self` is an error.
    fn or_usage(self, context: impl FnOnce() -> String) -> Result<T, Failure>;

    /// Blames the harness; `context` says what was being done to what.
    ///
    /// # Errors
    ///
    /// The [`Failure`], if `self` is an error.
    fn or_harness(self, context: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: std::error::Error + Send + Sync + 'static> OrFail<T> for Result<T, E> {
    fn or_usage(self, context: impl FnOnce() -> String) -> Result<T, Failure> {
        use miette::{IntoDiagnostic, WrapErr};
        self.into_diagnostic().wrap_err_with(|| escaped(&context())).map_err(Failure::usage)
    }

    fn or_harness(self, context: impl FnOnce() -> String) -> Result<T, Failure> {
        use miette::{IntoDiagnostic, WrapErr};
        self.into_diagnostic().wrap_err_with(|| escaped(&context())).map_err(Failure::harness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_was_told_is_not_told_again() {
        let told = |messages: &[&str]| {
            let (first, rest) = messages.split_last().expect("a message");
            let report = rest.iter().rev().fold(miette::miette!("{first}"), |report, message| {
                report.wrap_err((*message).to_owned())
            });
            Failure::usage(report).messages()
        };
        let denied = ["--target", "a.toml: denied", "denied"];
        assert_eq!(told(&denied), denied[..2]);
        assert_eq!(told(&["a", "b", "c"]), ["a", "b", "c"]);
    }

    #[test]
    fn the_worst_of_several_results_is_the_one_that_counts() {
        let by_weight = [Exit::Valid, Exit::Unknown, Exit::Usage, Exit::Harness, Exit::Violation];
        for (place, lighter) in by_weight.into_iter().enumerate() {
            for heavier in &by_weight[place..] {
                assert_eq!(lighter.worse(*heavier), *heavier);
                assert_eq!(heavier.worse(lighter), *heavier);
            }
        }
    }
}
