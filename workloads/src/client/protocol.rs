//! A protocol: what makes clients, probes and administrators for the nodes of a target.
//!
//! Each is one file of this folder and one row of [`PROTOCOLS`](super::PROTOCOLS). A protocol reads
//! the tables of a target's description that are its own, keeps its own table of errors that are
//! definite, and says which operations it can ask for: which workloads fit is computed from that.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::admin::{Admin, Change};
use super::dial::{ClientProgram, Dial};
use super::probe::Probe;
use super::replica::ReplicaProbe;
use super::tables::{TableError, Tables};
use super::violation::ProtocolViolation;
use crate::operation::{Completion, Invocation, Kind};

/// A result to come, of an object-safe method.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A protocol as a target speaks it: with the forms that its description gives.
pub trait Protocol: fmt::Debug + Send + Sync {
    /// Whether clients can ask for an operation of this kind.
    fn supports(&self, kind: Kind) -> bool;

    /// Whether clients can treat updates without an answer like this.
    fn supports_retry(&self, policy: RetryPolicy) -> bool;

    /// A client of the node at `endpoint`. It connects by `dial` when first needed.
    fn client(&self, endpoint: &Endpoint, dial: &Dial, options: ClientOptions) -> Box<dyn Client>;

    /// Whether a connection can carry several requests at a time.
    fn can_pipeline(&self) -> bool {
        false
    }

    /// One connection to the node at `endpoint` for several clients, if that can be.
    fn pipeline(
        &self,
        _endpoint: &Endpoint,
        _dial: &Dial,
        _options: ClientOptions,
    ) -> Option<Box<dyn Pipeline>> {
        None
    }

    /// A probe of the node at `endpoint`, which answers within `limit`. None if the protocol has no
    /// question that a node answers at once, whatever its state: then a node that can be
    /// [dialled](super::probe::Dialled) counts as ready.
    fn probe(&self, endpoint: &Endpoint, dial: &Dial, limit: Duration) -> Option<Box<dyn Probe>>;

    /// A probe of what the node at `endpoint` itself holds, which answers within `limit`. None if there is
    /// no way to ask for that.
    fn replica(
        &self,
        _endpoint: &Endpoint,
        _dial: &Dial,
        _limit: Duration,
    ) -> Option<Box<dyn ReplicaProbe>> {
        None
    }

    /// An administrator that speaks to the node at `endpoint`, if the protocol can change anything.
    fn admin(&self, endpoint: &Endpoint, dial: &Dial) -> Option<Box<dyn Admin>>;

    /// The program that speaks to nodes in a client's place, if there is one: what dials then starts it,
    /// for clients on their host and for probes on the node's.
    fn program(&self) -> Option<&ClientProgram> {
        None
    }

    /// What dials as `dial` does, with what the protocol has between itself and the bytes that are carried: TLS, if
    /// the description says so. Clients, probes and administrators are given that.
    fn secured(&self, dial: Dial) -> Dial {
        dial
    }

    /// The names of the files beside the description that it needs.
    fn files(&self) -> Vec<String> {
        self.program().map(|program| program.files.clone()).unwrap_or_default()
    }

    /// The fields of the description that are missing for a change to be made, and, where members
    /// change, for its outcome to be seen. Empty if it can be made.
    fn lacks(&self, change: Change) -> Vec<&'static str>;
}

/// A client bound to one node: it performs one operation after the other.
pub trait Client: Send {
    /// Performs one operation, within the limits that the client was made with.
    ///
    /// [`Completion::Fail`] only if it certainly did not happen and never will: because nothing was
    /// sent, or because the answer is in the protocol's table of definite errors.
    fn invoke<'a>(&'a mut self, invocation: &'a Invocation) -> BoxFuture<'a, Completion>;

    /// What the node did against the protocol since the last call, in order.
    ///
    /// Looks at the connection as well, for what came after the last reply.
    fn protocol_violations(&mut self) -> Vec<ProtocolViolation>;
}

/// A connection that several clients share, each of which performs one operation after the other: so many
/// requests are in flight on it as there are clients at work.
pub trait Pipeline: Send + Sync {
    /// One more client.
    fn client(&self) -> Box<dyn Client>;
}

/// A node as clients reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The node's name.
    pub node: Arc<str>,
    /// Where it listens for clients.
    pub address: SocketAddr,
}

/// How a client behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientOptions {
    /// How long it waits.
    pub limits: Limits,
    /// What it does about an update without an answer.
    pub retry: RetryPolicy,
}

/// How long a client waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For a connection.
    pub connect: Duration,
    /// For a reply, from the moment of sending.
    pub reply: Duration,
}

/// What a client does about an update without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetryPolicy {
    /// It is never sent again; its outcome is unknown.
    #[default]
    Never,
    /// It is sent again in a session of the client's, under the same number, which the store promises
    /// to apply at most once.
    InSession,
}

impl RetryPolicy {
    /// What it is, in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Never => "no retries",
            Self::InSession => "retries in sessions",
        }
    }
}

/// A row of [`PROTOCOLS`](super::PROTOCOLS).
#[derive(Clone, Copy)]
pub struct ProtocolEntry {
    /// Its name in descriptions.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Makes the protocol from the tables of a description that are its own.
    pub open: fn(&mut Tables<'_>) -> Result<Arc<dyn Protocol>, TableError>,
}

impl fmt::Debug for ProtocolEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtocolEntry").field("name", &self.name).finish_non_exhaustive()
    }
}
