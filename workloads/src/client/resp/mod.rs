//! RESP2, the protocol of Redis, with the commands of raft-node.

mod admin;
mod answer;
mod client;
mod commands;
mod connection;
mod membership;
mod probe;
mod replica;
mod reply;
mod transaction;
mod values;

use std::sync::Arc;
use std::time::Duration;

use super::admin::{Admin, Change};
use super::dial::Dial;
use super::probe::Probe;
use super::protocol::{Client, ClientOptions, Endpoint, Protocol, ProtocolEntry, RetryPolicy};
use super::replica::ReplicaProbe;
use super::tables::{TableError, Tables};
use crate::operation::Kind;

use admin::RespAdmin;
use client::RespClient;
use membership::Membership;
use probe::RespProbe;
use replica::Replicas;

pub use commands::{DEFINITE, Definite};

/// The row of the table of protocols.
pub const ENTRY: ProtocolEntry =
    ProtocolEntry { name: "resp", about: "RESP2, the protocol of Redis", open };

fn open(tables: &mut Tables<'_>) -> Result<Arc<dyn Protocol>, TableError> {
    let membership: Membership = tables.take("membership")?;
    membership.check()?;
    let replicas: Replicas = tables.take("replicas")?;
    replicas.check()?;
    Ok(Arc::new(Resp { membership: Arc::new(membership), replicas: Arc::new(replicas) }))
}

/// RESP as a target speaks it.
#[derive(Debug, Default)]
struct Resp {
    membership: Arc<Membership>,
    replicas: Arc<Replicas>,
}

impl Protocol for Resp {
    fn supports(&self, kind: Kind) -> bool {
        match kind {
            Kind::Read
            | Kind::Write
            | Kind::Cas
            | Kind::Delete
            | Kind::Expire
            | Kind::Append
            | Kind::Increment
            | Kind::AddElement
            | Kind::RemoveElement
            | Kind::HasElement
            | Kind::ReadElements
            | Kind::Enqueue
            | Kind::Dequeue
            | Kind::Push
            | Kind::Pop
            | Kind::Acquire
            | Kind::Release
            | Kind::Transaction => true,
        }
    }

    fn supports_retry(&self, policy: RetryPolicy) -> bool {
        matches!(policy, RetryPolicy::Never | RetryPolicy::InSession)
    }

    fn client(&self, endpoint: &Endpoint, dial: &Dial, options: ClientOptions) -> Box<dyn Client> {
        Box::new(RespClient::new(endpoint, dial, options))
    }

    fn probe(&self, endpoint: &Endpoint, dial: &Dial, limit: Duration) -> Option<Box<dyn Probe>> {
        Some(Box::new(RespProbe::new(endpoint, dial, limit)))
    }

    fn replica(
        &self,
        endpoint: &Endpoint,
        dial: &Dial,
        limit: Duration,
    ) -> Option<Box<dyn ReplicaProbe>> {
        Replicas::probe(&self.replicas, endpoint, dial, limit)
    }

    fn admin(&self, endpoint: &Endpoint, dial: &Dial) -> Option<Box<dyn Admin>> {
        Some(Box::new(RespAdmin::new(endpoint, dial, &self.membership)))
    }

    fn lacks(&self, change: Change) -> Vec<&'static str> {
        self.membership.lacks(change)
    }
}
