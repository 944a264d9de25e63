//! Protocols, and what they are made of: clients, probes, administrators, and how they connect.
//!
//! A client performs one operation at a time over one bare connection, which several may
//! [share](Pipeline) where the protocol answers in order. No pool, no redirect, and no
//! retry unless the store promises to recognise one: any of them could send a request twice or hide
//! that a connection was lost, and then *fail* and *unknown* could no longer be told apart. Each
//! protocol keeps the table that decides between them (for RESP, [`resp::DEFINITE`]).
//!
//! The store is not trusted: what it sends is read strictly and within limits, values are compared
//! byte for byte, and what the protocol forbids is counted ([`ProtocolViolation`]).

pub mod admin;
pub mod dial;
mod encoding;
pub mod http;
mod optimistic;
pub mod probe;
pub mod program;
pub mod protocol;
mod replica;
pub mod resp;
pub mod secrets;
pub mod tables;
pub mod template;
pub mod tls;
pub mod violation;

pub use admin::{Admin, Change, Exchange, Member, Members};
pub use dial::{BoxStream, ClientProgram, Dial, OpenError, Stream};
pub use probe::{Probe, ProbeError, Status};
pub use protocol::{
    BoxFuture, Client, ClientOptions, Endpoint, Limits, Pipeline, Protocol, ProtocolEntry,
    RetryPolicy,
};
pub use replica::{Replica, ReplicaProbe};
pub use tables::{PROTOCOL_TABLES, TableError, Tables};
pub use violation::ProtocolViolation;

/// Every protocol there is.
pub const PROTOCOLS: &[ProtocolEntry] =
    &[resp::ENTRY, http::ENTRY, program::ENTRY, program::MAELSTROM];
