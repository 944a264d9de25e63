//! A Raft key/value server: a replicated store small enough to read, and honest about failures.
//!
//! [`core`] decides and does nothing; [`storage`] keeps what must not be forgotten; [`run`] drives
//! both with real sockets until it is told to stop; [`mutations`] names the bugs that can be
//! planted in it. The error replies that clients see, and which of them are definite, are listed in
//! [`core::refusal`].

pub mod arguments;
pub mod codec;
pub mod core;
pub mod mutations;
mod server;
pub mod sim;
pub mod storage;

pub use self::arguments::{Arguments, ArgumentsError};
pub use self::server::{Level, NodeError, Settings, run};
