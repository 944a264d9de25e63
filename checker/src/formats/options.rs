//! What the same words mean differs from one source of histories to the next: the choices.

use super::Format;
use crate::event::{Event, EventKind, Function, Record};
use crate::model::ModelKind;

/// How a file is to be read. By default everything is as the format has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The format; told by the content if absent.
    pub format: Option<Format>,
    /// What a failed compare-and-set means that names no error; as usual in the format if absent.
    pub failed_cas: Option<FailedCas>,
    /// What a read of nil means; as usual in the format and for the object if absent.
    pub nil_read: Option<NilRead>,
    /// Whether values in EDN and in Jepsen's log lines are `[key value]`, as Jepsen's `independent`
    /// writes them; told by all values of the file if absent.
    pub independent: Option<bool>,
    /// What the history is about, where the user says so. Only some conventions, as that of nil,
    /// depend on it.
    pub model: Option<ModelKind>,
    /// Whether events are put in the order of their times first. If not, times that go back are an
    /// error.
    pub sort_by_time: bool,
    /// Whether [warnings](super::Severity::Warning) are errors.
    pub strict: bool,
}

/// What it means that a compare-and-set failed without naming an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedCas {
    /// The register held another value than the expected one, which is an answer: the operation is
    /// taken as completed without a match, and with no word on what it saw.
    Mismatch,
    /// It did not happen, for whatever reason, and says nothing.
    Ignore,
}

/// Errors that say that a compare-and-set found another value than it expected. All others, as
/// `:no-leader` or `:conn-refused`, say that it did not happen.
const MISMATCHES: [&str; 14] = [
    "mismatch",
    "cas-mismatch",
    "value-mismatch",
    "version-mismatch",
    "compare-failed",
    "comparison-failed",
    "precondition-failed",
    "did-not-match",
    "did-not-succeed",
    "not-equal",
    "unexpected-value",
    "wrong-value",
    "key-does-not-exist",
    "no-such-key",
];

/// Whether a failed compare-and-set that gives this as its error found another value.
pub(super) fn names_mismatch(error: &str) -> bool {
    let name = error.trim_start_matches(':');
    // A keyword may have a namespace, as `jepsen/mismatch`.
    let name = match name.split_once('/') {
        Some((space, rest)) if !space.contains(char::is_whitespace) => rest,
        _ => name,
    };
    let plain: String = name
        .chars()
        .map(|letter| if matches!(letter, '_' | ' ') { '-' } else { letter.to_ascii_lowercase() })
        .collect();
    MISMATCHES.iter().any(|word| {
        let rest = plain.strip_prefix(word);
        rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
    })
}

impl FailedCas {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mismatch => "mismatch",
            Self::Ignore => "ignore",
        }
    }
}

/// Whether this is a compare-and-set that is recorded as failed.
pub(super) fn is_failed_cas(record: &Record<'_>) -> bool {
    record.function == Function::Cas && record.kind == EventKind::Fail && record.swapped.is_none()
}

/// What it means that a read answered nil.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NilRead {
    /// There was no value, which is an answer.
    Value,
    /// Nobody knows what it answered: the read says nothing.
    Unknown,
}

impl NilRead {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Unknown => "unknown",
        }
    }
}

/// What a read of nil means in `events` by default. In EDN, whose convention is Knossos', it
/// is not known what a register answered; of any other object nil is an answer.
pub(super) fn usual_nil_read<'a>(
    format: Format,
    model: Option<ModelKind>,
    mut events: impl Iterator<Item = &'a Event>,
) -> NilRead {
    let of_register =
        |event: &Event| matches!(event.function, Function::Read | Function::Write | Function::Cas);
    match format.nil_read() {
        NilRead::Unknown
            if model.is_none_or(|model| model == ModelKind::Register)
                && events.all(of_register) =>
        {
            NilRead::Unknown
        }
        _ => NilRead::Value,
    }
}

#[cfg(test)]
mod tests {
    use super::names_mismatch;

    #[test]
    fn errors_of_mismatch_are_told_from_errors_of_the_system() {
        let mismatch = [
            ":mismatch",
            "precondition-failed",
            "Compare failed: 3",
            "did_not_succeed",
            "db/mismatch",
        ];
        let others = ["no-leader", "timeout", "conn-refused", "mismatched-term", "", "101"];
        assert!(mismatch.into_iter().all(names_mismatch));
        assert!(!others.into_iter().any(names_mismatch));
    }
}
