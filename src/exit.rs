//! Why a command came to no result. What it ends with is decided in [`partita_reports::exit`].

pub use partita_reports::Exit;
use partita_reports::text::visible::escaped;
use serde::Serialize;

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
pub trait FailureContext<T> {
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

impl<T, E: std::error::Error + Send + Sync + 'static> FailureContext<T> for Result<T, E> {
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
}
