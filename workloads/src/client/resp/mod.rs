//! RESP2, the protocol of Redis, with the commands of raft-node unless a description has others.

mod admin;
mod answer;
mod client;
mod commands;
mod connection;
mod forms;
mod membership;
mod optimistic;
mod pipeline;
mod probe;
mod replica;
mod reply;
mod transaction;
mod values;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use super::admin::{Admin, Change};
use super::dial::Dial;
use super::probe::Probe;
use super::protocol::{
    Client, ClientOptions, Endpoint, Pipeline, Protocol, ProtocolEntry, RetryPolicy,
};
use super::replica::ReplicaProbe;
use super::tables::{TableError, Tables};
use crate::operation::Kind;

use admin::RespAdmin;
use client::RespClient;
use forms::Forms;
use membership::Membership;
use pipeline::RespPipeline;
use probe::{RespProbe, StatusForm};
use replica::Replicas;

pub use commands::{DEFINITE, Definite};

/// The row of the table of protocols.
pub const ENTRY: ProtocolEntry =
    ProtocolEntry { name: "resp", about: "RESP2, the protocol of Redis", open };

fn open(tables: &mut Tables<'_>) -> Result<Arc<dyn Protocol>, TableError> {
    let forms: Forms = tables.take("client")?;
    forms.check()?;
    let status: StatusForm = tables.take("status")?;
    status.check()?;
    let membership: Membership = tables.take("membership")?;
    membership.check()?;
    let replicas: Replicas = tables.take("replicas")?;
    replicas.check()?;
    Ok(Arc::new(Resp {
        forms: Arc::new(forms),
        status: Arc::new(status),
        membership: Arc::new(membership),
        replicas: Arc::new(replicas),
    }))
}

/// RESP as a target speaks it.
#[derive(Debug)]
struct Resp {
    forms: Arc<Forms>,
    status: Arc<StatusForm>,
    membership: Arc<Membership>,
    replicas: Arc<Replicas>,
}

impl Protocol for Resp {
    fn supports(&self, kind: Kind) -> bool {
        self.forms.supports(kind)
    }

    fn supports_retry(&self, policy: RetryPolicy) -> bool {
        match policy {
            RetryPolicy::Never => true,
            RetryPolicy::InSession => self.forms.has_sessions(),
        }
    }

    fn client(&self, endpoint: &Endpoint, dial: &Dial, options: ClientOptions) -> Box<dyn Client> {
        Box::new(RespClient::new(&self.forms, endpoint, dial, options))
    }

    fn can_pipeline(&self) -> bool {
        true
    }

    fn pipeline(
        &self,
        endpoint: &Endpoint,
        dial: &Dial,
        options: ClientOptions,
    ) -> Option<Box<dyn Pipeline>> {
        Some(Box::new(RespPipeline::new(&self.forms, endpoint, dial, options)))
    }

    fn probe(&self, endpoint: &Endpoint, dial: &Dial, limit: Duration) -> Option<Box<dyn Probe>> {
        Some(Box::new(RespProbe::new(&self.status, endpoint, dial, limit)))
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
