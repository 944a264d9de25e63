//! Workloads and protocols: what clients ask of a store, and how they ask it.
//!
//! A generator is a pure function of its seed and of what it was told came back; a client turns one
//! [`Invocation`] into one [`Completion`] over one bare connection at a time. Pacing, recording and binding
//! clients to nodes is the controller's part.

pub mod append;
pub mod bank;
pub mod catalogue;
pub mod client;
pub mod containers;
pub mod counter;
pub mod generator;
pub mod ids;
mod keys;
pub mod lock;
pub mod operation;
pub mod random;
pub mod register;
pub mod set;
pub mod transactions;
pub mod watch;

pub use append::{Append, AppendOptions};
pub use catalogue::{Judged, UnknownWorkload, WorkloadInfo};
pub use generator::{Closing, Generator, Until};
pub use operation::{Completion, Invocation, Kind};
pub use register::{Mix, Register, RegisterOptions};
