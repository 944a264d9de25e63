//! Protocol clients: one operation at a time over one bare connection.
//!
//! No pool, no redirect, and no retry unless the store promises to recognise one: any of them could
//! send a request twice or hide that a connection was lost, and then *fail* and *info* could no
//! longer be told apart. The rule that decides between them is kept in [`resp`].
//!
//! The store is not trusted: what it sends is read strictly and within limits ([`reply`]), values are
//! compared byte for byte, and what the protocol forbids is counted ([`protocol`]).

pub mod command;
pub mod connection;
pub mod protocol;
pub mod reply;
pub mod resp;
pub mod status;

pub use command::{Answer, CommandError, command};
pub use connection::{Connection, Dial, Idle, OpenError, RequestError};
pub use protocol::ProtocolViolation;
pub use reply::Reply;
pub use resp::{Asking, Limits, RespClient};
pub use status::{Status, StatusError};
