//! Workloads and protocols: what clients ask of a store, and how they ask it.
//!
//! A generator is a pure function of its seed and of what it was told came back; a client turns one
//! [`Invocation`] into one [`Completion`] over one bare connection at a time. Pacing, recording and binding
//! clients to nodes is the controller's part.

pub mod append;
pub mod catalogue;
pub mod client;
pub mod containers;
pub mod counter;
mod keys;
pub mod lock;
pub mod operation;
mod random;
pub mod register;
pub mod set;
pub mod transactions;

pub use append::{Append, AppendOptions};
pub use catalogue::{Closing, Generator, UnknownWorkload, Until, WorkloadInfo};
pub use operation::{Completion, Invocation, Kind};
pub use register::{Mix, Register, RegisterOptions};
