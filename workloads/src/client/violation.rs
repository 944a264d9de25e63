//! What a store does that its protocol forbids.
//!
//! Such a reply tells nothing of its operation, whose outcome is then unknown; and a store that sends
//! it is no ground for a valid verdict, whatever the other replies say.

/// Something that a store sent and its protocol does not allow at that place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtocolViolation {
    /// What it was, in words that are the same for all of its kind.
    pub what: String,
    /// The bytes in question in ASCII: escaped, and cut after some fifty.
    pub sample: String,
}

impl ProtocolViolation {
    /// Of this kind, with this sample, which must be printable.
    pub fn new(what: impl Into<String>, sample: impl Into<String>) -> Self {
        Self { what: what.into(), sample: sample.into() }
    }

    /// Bytes that nobody asked for.
    pub(super) fn surplus(sample: String) -> Self {
        Self::new("surplus bytes after a reply", sample)
    }
}
