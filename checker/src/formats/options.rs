//! What the same words mean differs from one source of histories to the next: the choices.

use super::Format;
use crate::event::{Event, EventKind, Function, Record};

/// How a file is to be read. By default everything is as the format has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The format; told by the content if absent.
    pub format: Option<Format>,
    /// What a failed compare-and-set means; as usual in the format if absent.
    pub failed_cas: Option<FailedCas>,
    /// What a read of nil means; as usual in the format if absent. JSON lines and fastlin's
    /// intervals have one meaning only.
    pub nil_read: Option<NilRead>,
    /// Whether values in EDN and in Jepsen's log lines are `[key value]`, as Jepsen's `independent`
    /// writes them.
    pub independent: bool,
}

/// What it means that a compare-and-set failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedCas {
    /// The register held another value than the expected one, which is an answer: the operation is
    /// taken as completed without a match, and with no word on what it saw.
    Mismatch,
    /// It did not happen, for whatever reason, and says nothing.
    Ignore,
}

impl FailedCas {
    /// The event as it is meant.
    pub(super) fn interpret(self, record: Record<'_>) -> Record<'_> {
        let failed = record.function == Function::Cas
            && record.kind == EventKind::Fail
            && record.swapped.is_none();
        if self == Self::Mismatch && failed {
            return Record { kind: EventKind::Ok, swapped: Some(false), ..record };
        }
        record
    }
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
    /// Whether `event` is a read that says nothing.
    pub(super) fn drops(self, event: &Event) -> bool {
        self == Self::Unknown
            && event.function == Function::Read
            && event.kind == EventKind::Ok
            && event.value.is_null()
    }
}
