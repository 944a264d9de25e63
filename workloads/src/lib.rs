//! Workloads and protocols: what clients ask of a store, and how they ask it.
//!
//! A generator is a pure function of its seed and of what it was told came back; a client turns one
//! [`Invocation`] into one [`Completion`] over one bare connection at a time. Pacing, recording and binding
//! clients to nodes is the controller's part.

pub mod append;
pub mod catalogue;
pub mod client;
pub mod operation;
pub mod register;

pub use append::{Append, AppendOptions};
pub use catalogue::{Closing, Generator, UnknownWorkload, Until, WorkloadInfo};
pub use operation::{Completion, Invocation, Kind};
pub use register::{Mix, Register, RegisterOptions};
