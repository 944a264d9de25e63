//! Decides whether a recorded history of client operations is linearizable, with proof either way.
//!
//! A [`History`] is what clients saw of a store: which operation was invoked when, and what came
//! back. The verdict on it is [`Verdict::Valid`] with a [`Certificate`] that an independent
//! verifier accepts, [`Verdict::Violation`] with a small [`Counterexample`], or
//! [`Verdict::Unknown`].
//!
//! This crate reads no clock and opens no socket: histories come in as data, verdicts go out as
//! data.

pub mod check;
pub mod constraints;
mod diagnosis;
pub mod engines;
pub mod event;
pub mod formats;
pub mod generate;
pub mod hint;
pub mod history;
mod initial;
pub mod model;
pub mod progress;
pub mod streaming;
pub mod value;
pub mod verdict;
pub mod verify;
mod words;

pub use check::{Options, check, check_watched};
pub use engines::{ENGINES, EngineChoice};
pub use event::{Event, EventKind, Function, Nanoseconds, ProcessId};
pub use history::{
    Action, History, HistoryBuilder, HistoryError, KeyId, Moment, Operation, OperationCounts,
    Outcome, Response,
};
pub use initial::KeyInitials;
pub use model::{Call, MODELS, Model, ModelKind, Register};
pub use progress::{Progress, ProgressReport};
pub use value::{Value, ValueId};
pub use verdict::{
    Analysis, Anomaly, Certificate, Counterexample, Edge, Impasse, KeyAnalysis, KeyOrder, Relation,
    Verdict, Witness,
};
pub use verify::{Expected, VerifyError, verify, verify_begun, verify_until};
