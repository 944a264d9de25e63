//! HTTP/1.1 and JSON, in the forms that a target's description gives: a request for each kind of
//! operation, where values stand in its answer, and which answers say that nothing happened.

mod admin;
mod answer;
mod client;
mod connection;
mod forms;
mod membership;
mod path;
mod probe;
mod replica;
mod template;
mod transaction;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use super::admin::{Admin, Change};
use super::dial::Dial;
use super::probe::Probe;
use super::protocol::{Client, ClientOptions, Endpoint, Protocol, ProtocolEntry, RetryPolicy};
use super::replica::ReplicaProbe;
use super::tables::{TableError, Tables};
use super::tls::{Tls, TlsTable};
use crate::operation::Kind;

use admin::HttpAdmin;
use client::HttpClient;
use forms::{Forms, StatusForm};
use membership::Membership;
use probe::HttpProbe;
use replica::Replicas;

/// The row of the table of protocols.
pub const ENTRY: ProtocolEntry = ProtocolEntry {
    name: "http",
    about: "HTTP/1.1 with JSON, by the description's requests",
    open,
};

fn open(tables: &mut Tables<'_>) -> Result<Arc<dyn Protocol>, TableError> {
    let forms: Forms = tables.take("client")?;
    forms.check()?;
    let tls = match (&forms.tls, tables.files()) {
        (Some(table), Some(files)) => Some(table.tls(files)?),
        _ => None,
    };
    let status: StatusForm = tables.take("status")?;
    status.check()?;
    let membership: Membership = tables.take("membership")?;
    membership.check()?;
    let replicas: Replicas = tables.take("replicas")?;
    replicas.check()?;
    let (forms, status) = (Arc::new(forms), Arc::new(status));
    let (membership, replicas) = (Arc::new(membership), Arc::new(replicas));
    Ok(Arc::new(Http { forms, status, membership, replicas, tls }))
}

/// HTTP as a target speaks it.
#[derive(Debug)]
struct Http {
    forms: Arc<Forms>,
    status: Arc<StatusForm>,
    membership: Arc<Membership>,
    replicas: Arc<Replicas>,
    tls: Option<Tls>,
}

impl Protocol for Http {
    fn supports(&self, kind: Kind) -> bool {
        self.forms.have(kind)
    }

    fn supports_retry(&self, policy: RetryPolicy) -> bool {
        policy == RetryPolicy::Never
    }

    fn client(&self, endpoint: &Endpoint, dial: &Dial, options: ClientOptions) -> Box<dyn Client> {
        Box::new(HttpClient::new(&self.forms, endpoint, dial, options))
    }

    fn probe(&self, endpoint: &Endpoint, dial: &Dial, limit: Duration) -> Option<Box<dyn Probe>> {
        self.status.request.as_ref()?;
        Some(Box::new(HttpProbe {
            status: Arc::clone(&self.status),
            forms: Arc::clone(&self.forms),
            endpoint: endpoint.clone(),
            dial: dial.clone(),
            limit,
            connection: None,
        }))
    }

    fn replica(
        &self,
        endpoint: &Endpoint,
        dial: &Dial,
        limit: Duration,
    ) -> Option<Box<dyn ReplicaProbe>> {
        Replicas::probe((&self.replicas, &self.forms), endpoint, dial, limit)
    }

    fn admin(&self, endpoint: &Endpoint, dial: &Dial) -> Option<Box<dyn Admin>> {
        Some(Box::new(HttpAdmin {
            forms: Arc::clone(&self.forms),
            membership: Arc::clone(&self.membership),
            endpoint: endpoint.clone(),
            dial: dial.clone(),
        }))
    }

    fn secured(&self, dial: Dial) -> Dial {
        match &self.tls {
            Some(tls) => tls.over(dial),
            None => dial,
        }
    }

    fn files(&self) -> Vec<String> {
        self.forms.tls.as_ref().map(TlsTable::files).unwrap_or_default()
    }

    fn lacks(&self, change: Change) -> Vec<&'static str> {
        self.membership.lacks(change)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
