//! What a node says of itself: whether it is ready, and its role if it has one.

use std::time::Duration;

use thiserror::Error;

use super::dial::{Dial, OpenError, open};
use super::protocol::{BoxFuture, Endpoint};

/// Asks one node for its status, again and again.
pub trait Probe: Send {
    /// The node's status now, within the limit that the probe was made with.
    fn status(&mut self) -> BoxFuture<'_, Result<Status, ProbeError>>;
}

/// A node's view of itself and its cluster at one moment: it is ready, and whatever else it tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// What it is: [`LEADER`], or another word of the store's.
    pub role: Option<String>,
    /// Its current term, or whatever number grows with each new leader.
    pub term: Option<u64>,
    /// The highest index of the log that it knows to be committed.
    pub commit_index: Option<u64>,
    /// The highest index of the log that it has applied.
    pub applied_index: Option<u64>,
}

/// The role of a node that leads.
pub const LEADER: &str = "leader";

impl Status {
    /// Whether the node says that it leads.
    pub fn leads(&self) -> bool {
        self.role.as_deref() == Some(LEADER)
    }
}

/// Why a node's status is not known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProbeError {
    /// Nothing listens: there is no process.
    #[error("{0}")]
    Down(String),
    /// Something listens and does not tell its status, or tells what is none.
    #[error("{0}")]
    Silent(String),
}

impl From<OpenError> for ProbeError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Refused(_) => Self::Down(error.to_string()),
            OpenError::Timeout(_) => Self::Silent(error.to_string()),
        }
    }
}

/// The probe of nodes that tell nothing of themselves: one that can be dialled is ready.
pub struct Dialled {
    endpoint: Endpoint,
    dial: Dial,
    limit: Duration,
}

impl Dialled {
    /// Of the node at `endpoint`.
    pub fn new(endpoint: &Endpoint, dial: &Dial, limit: Duration) -> Self {
        Self { endpoint: endpoint.clone(), dial: dial.clone(), limit }
    }
}

impl Probe for Dialled {
    fn status(&mut self) -> BoxFuture<'_, Result<Status, ProbeError>> {
        Box::pin(async {
            let _stream = open(&self.dial, &self.endpoint, self.limit).await?;
            Ok(Status::default())
        })
    }
}
