//! Protocol clients: one operation at a time over one bare connection.
//!
//! No pool, no redirect, and no retry unless the store promises to recognise one: any of them could
//! send a request twice or hide that a connection was lost, and then *fail* and *info* could no
//! longer be told apart. The rule that decides between them is kept in [`resp`].

pub mod command;
pub mod connection;
pub mod resp;
pub mod status;

pub use command::{Answer, CommandError, command};
pub use connection::{Connection, Dial, OpenError, RequestError};
pub use resp::{Asking, Limits, RespClient};
pub use status::{Status, StatusError};
