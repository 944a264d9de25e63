//! A Raft key/value server.

pub mod codec;
pub mod core;
pub mod mutations;
pub mod storage;
