//! Decides whether a recorded history of client operations is linearizable, with proof either way.
//!
//! A [`History`] is what clients saw of a store: which operation was invoked when, and what came
//! back. The verdict on it is [`Verdict::Valid`] with a [`Certificate`] that an independent
//! verifier accepts, [`Verdict::Violation`] with a small [`Counterexample`], or
//! [`Verdict::Unknown`].
//!
//! # A test of one's own
//!
//! What an object may do is a [`Spec`]; what clients saw of it, a [`Recorder`] keeps. Here three seats
//! are sold by clients who look first and pay then:
//!
//! ```
//! use std::sync::{Barrier, Mutex};
//! use std::thread;
//! use std::time::Duration;
//!
//! use partita_checker::{Recorder, Spec};
//!
//! struct Seats;
//!
//! impl Spec for Seats {
//!     type State = u32;
//!     type Op = &'static str;
//!     type Ret = bool;
//!     fn initial(&self) -> u32 {
//!         3
//!     }
//!     fn apply(&self, left: &u32, _reserve: &&'static str) -> (u32, bool) {
//!         (left.saturating_sub(1), *left > 0)
//!     }
//! }
//!
//! // All six see a seat before the first one takes it.
//! let (left, all_looked, recorder) = (Mutex::new(3), Barrier::new(6), Recorder::default());
//! let reserve = || {
//!     let seen: u32 = *left.lock().unwrap();
//!     all_looked.wait();
//!     *left.lock().unwrap() = seen.saturating_sub(1);
//!     seen > 0
//! };
//! thread::scope(|scope| {
//!     for _ in 0..6 {
//!         scope.spawn(|| recorder.record("reserve", reserve));
//!     }
//! });
//!
//! let error = recorder.check(&Seats, Duration::from_secs(5)).expect_err("oversold");
//! println!("{error}");
//! let counterexample = error.counterexample().expect("a violation");
//! assert_eq!(counterexample.operations.len(), 4, "four for three seats, and no other");
//! ```
//!
//! which prints
//!
//! ```text
//! violation: Seats, not linearizable
//!   No order of these 4 operations on the object explains what their clients saw; the last answer, true to "reserve" by process 0 at 0.000 s, fits none.
//!     #0 process 0: "reserve" → true, from 0.000043 s to 0.000225 s
//!     #1 process 1: "reserve" → true, from 0.000072 s to 0.000221 s
//!     #4 process 4: "reserve" → true, from 0.000116 s to 0.000208 s
//!     #5 process 5: "reserve" → true, from 0.000133 s to 0.000216 s
//! ```
//!
//! Of a correct object, `check` returns a [`Report`] with a verified [`Certificate`]. Operations may
//! be async ([`Recorder::record_async`]), fail for certain ([`Recorder::try_record`]), or be told in
//! two steps ([`Recorder::invoke`]); an object that falls into parts has [keys](Spec::key).
//!
//! # Histories of others
//!
//! [`formats`] reads what Partita, Jepsen, Knossos, Porcupine and fastlin recorded, and [`check()`]
//! decides on it with one of the [`MODELS`], with a faster algorithm where the object has one.
//!
//! Nothing here opens a file or a socket, and nothing but the recorder reads a clock: histories come
//! in as data, verdicts go out as data.
//!
//! # Features
//!
//! - `generate`: the module of that name, which makes histories at random, for tests and benchmarks.

// Helpers that tests of both kinds use name the crate.
#[cfg(test)]
extern crate self as partita_checker;

pub mod check;
mod constraints;
mod diagnosis;
mod engines;
pub mod event;
pub mod formats;
#[cfg(feature = "generate")]
pub mod generate;
pub mod hint;
pub mod history;
mod initial;
pub mod isolation;
pub mod levels;
mod model;
pub mod objects;
mod options;
pub mod progress;
pub mod recorder;
mod sentences;
pub mod spec;
pub mod streaming;
#[cfg(test)]
mod tests;
mod transactions;
pub mod value;
pub mod verdict;
pub mod verify;
mod verify_error;
mod words;

pub use check::{check, check_level, check_watched};
pub use engines::{ENGINES, EngineChoice, EngineEntry, UnknownEngine};
pub use event::{Event, EventKind, Function, Level, Nanoseconds, ProcessId};
pub use history::{
    Action, History, HistoryBuilder, HistoryError, KeyId, Moment, Operation, OperationCounts,
    Outcome, Response,
};
pub use initial::KeyInitials;
pub use isolation::{
    ISOLATION_LEVELS, Isolation, IsolationEntry, IsolationLevel, OrderGuarantee, UnknownLevel,
};
pub use model::{BadInitial, MODELS, ModelEntry, ModelKind, UnknownModel};
pub use options::Options;
pub use progress::{Progress, ProgressReport};
pub use recorder::{Budget, CheckError, Pending, Recorder, Report, Streaming};
pub use spec::Spec;
pub use value::{Value, ValueId};
pub use verdict::{
    Analysis, Anomaly, Certificate, Counterexample, CounterexampleOperation, Edge, KeyAnalysis,
    KeyOrder, LongestPrefix, Relation, Verdict,
};
pub use verify::{Expected, verify, verify_begun, verify_until};
pub use verify_error::VerifyError;
