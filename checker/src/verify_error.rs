//! Why a certificate proves nothing.

use thiserror::Error;

use crate::event::Level;
use crate::isolation::IsolationLevel;
use crate::model::BadInitial;
use crate::value::Value;

/// Why a certificate does not prove a history linearizable. Operations go by the index of their
/// invocation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It speaks of another kind of object.
    #[error("expected the model `{expected}`, found `{found}`")]
    OtherModel {
        /// What the history is about.
        expected: String,
        /// What the certificate is about.
        found: String,
    },
    /// It proves another level.
    #[error("expected a proof of {expected}, found one of {found}")]
    OtherLevel {
        /// The level that is to be proven.
        expected: IsolationLevel,
        /// What the certificate says that it proves.
        found: String,
    },
    /// It proves less than that the history is linearizable.
    #[error("expected a proof of linearizable, found one of {0}")]
    Weaker(Level),
    /// It begins elsewhere.
    #[error("expected it to begin with {}, as the history does; it begins with {}",
        expected.in_words(), found.in_words())]
    OtherInitial {
        /// The history's initial value.
        expected: Value,
        /// The certificate's.
        found: Value,
    },
    /// The object cannot begin so.
    #[error(transparent)]
    BadInitial(#[from] BadInitial),
    /// The operation has no meaning for the object.
    #[error("operation {index}: a {model} has no such {function}")]
    NoMeaning {
        /// Which.
        index: u64,
        /// What it does.
        function: &'static str,
        /// The object.
        model: &'static str,
    },
    /// It speaks of a key that the history does not have.
    #[error("key {} is not in the history", .0.in_words())]
    UnknownKey(Value),
    /// It has two orders for one key.
    #[error("key {} has two orders", .0.in_words())]
    RepeatedKey(Value),
    /// No operation was invoked there.
    #[error("event {0} is not an invocation in the history")]
    UnknownOperation(u64),
    /// The operation works on another key.
    #[error("operation {index} is on key {}, not on key {}", actual.in_words(), listed.in_words())]
    ForeignOperation {
        /// Which.
        index: u64,
        /// The key in whose order it stands.
        listed: Value,
        /// Its own key.
        actual: Value,
    },
    /// The operation stands there twice.
    #[error("operation {0} is listed twice")]
    RepeatedOperation(u64),
    /// The operation certainly did not happen.
    #[error("operation {0} failed, so it has no place in the order")]
    FailedOperation(u64),
    /// The operation happened, yet stands nowhere.
    #[error("operation {index} on key {} completed, but is not listed", key.in_words())]
    MissingOperation {
        /// Which.
        index: u64,
        /// Its key.
        key: Value,
    },
    /// The object would have answered otherwise.
    #[error(
        "operation {index}, a {function}, cannot have answered so when the {model} held {}",
        held.in_words()
    )]
    WrongAnswer {
        /// Which.
        index: u64,
        /// What it does.
        function: &'static str,
        /// The object.
        model: &'static str,
        /// What it held at that point of the order.
        held: Value,
    },
    /// The order contradicts real time.
    #[error(
        "operation {index} returned before operation {before} was invoked, but is listed after it"
    )]
    AgainstRealTime {
        /// The operation that stands too late.
        index: u64,
        /// The operation that it must come before.
        before: u64,
    },
    /// It was told to stop before it was through.
    #[error("the time ran out after {replayed} of {listed} operations")]
    Stopped {
        /// How many operations were found in their places.
        replayed: usize,
        /// How many there are in the certificate.
        listed: usize,
    },
}
