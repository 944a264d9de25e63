//! Levels of consistency below linearizability, for operations on single keys.
//!
//! A [`Level`] is asked for of a whole history, or of single operations by marks in their events.
//! What `docs/levels.md` defines is decided here:
//!
//! - `stale`: reads that may be late, beside changes that are linearizable, key by key;
//! - `sequential`: one order for all sessions, over all keys;
//! - `session`: session guarantees, one at a time or all together, over all keys.
//!
//! Each needs to know whose write each read saw, which is so where no value that was read was written
//! twice (`trace`), and is then about linear. What repeats values, and other objects, goes to a
//! search within a budget. A session is a process.
//!
//! Nothing is taken at its word: an order is replayed by a verifier of its own, and a
//! counterexample is decided again straight from the definitions.

mod check;
mod effect_intervals;
mod exact;
mod explain;
mod facts;
mod graph;
mod past;
mod search;
mod sequential;
mod session;
mod stale;
mod trace;
mod verify;
mod words;

pub use crate::event::{Level, Staleness, UnknownLevel};
pub(crate) use check::check;
pub use verify::{LevelError, verify};
