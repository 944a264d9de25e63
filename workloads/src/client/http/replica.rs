//! What a node itself holds, by the request that the description gives: the table `[replicas]`.

use std::sync::Arc;
use std::time::Duration;

use partita_checker::Value;
use serde::Deserialize;
use tokio::time::timeout;
use toml::Spanned;

use super::super::dial::Dial;
use super::super::protocol::{BoxFuture, Endpoint};
use super::super::replica::{Replica, ReplicaProbe};
use super::super::tables::TableError;
use super::client::build;
use super::connection::{Connection, NoAnswer};
use super::forms::{Forms, Request};
use super::path::Path;
use super::template::Bindings;

/// How a node is asked for its state, as described.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Replicas {
    /// The request, which the node answers of itself.
    request: Option<Spanned<Request>>,
    /// Where what it has applied stands in the answer.
    index: Option<Path>,
    /// Where the digest stands.
    digest: Option<Path>,
}

impl Replicas {
    /// That what is described is enough, if anything is.
    pub(super) fn check(&self) -> Result<(), TableError> {
        let Some(request) = &self.request else { return Ok(()) };
        if let Some(problem) = request.get_ref().problem(&["node"]) {
            return Err(TableError::at(request.span(), problem));
        }
        if self.index.is_none() || self.digest.is_none() {
            let expected = "expected the paths of `index` and `digest` in the answer";
            return Err(TableError::at(request.span(), expected));
        }
        Ok(())
    }

    /// A probe of the node at `endpoint`, if the description says how.
    pub(super) fn probe(
        (replicas, forms): (&Arc<Self>, &Arc<Forms>),
        endpoint: &Endpoint,
        dial: &Dial,
        limit: Duration,
    ) -> Option<Box<dyn ReplicaProbe>> {
        replicas.request.as_ref()?;
        Some(Box::new(HttpReplica {
            replicas: Arc::clone(replicas),
            forms: Arc::clone(forms),
            endpoint: endpoint.clone(),
            dial: Arc::clone(dial),
            limit,
        }))
    }
}

/// The probe of one node.
struct HttpReplica {
    replicas: Arc<Replicas>,
    forms: Arc<Forms>,
    endpoint: Endpoint,
    dial: Dial,
    limit: Duration,
}

impl ReplicaProbe for HttpReplica {
    fn replica(&mut self) -> BoxFuture<'_, Result<Replica, String>> {
        Box::pin(async {
            let late = |_| format!("no answer within {} ms", self.limit.as_millis());
            timeout(self.limit, self.ask()).await.map_err(late)?
        })
    }
}

impl HttpReplica {
    async fn ask(&self) -> Result<Replica, String> {
        let Replicas { request, index, digest } = &*self.replicas;
        let (Some(request), Some(index), Some(digest)) = (request, index, digest) else {
            return Err("the description does not say how".to_owned());
        };
        let name = Value::text(&*self.endpoint.node);
        let bindings = Bindings::from([("node".to_owned(), name)]);
        let http = build(request.get_ref(), &self.forms, &self.endpoint, &bindings)
            .map_err(|error| error.to_string())?;
        let opened = Connection::open(&self.dial, &self.endpoint, self.limit).await;
        let mut connection = opened.map_err(|error| error.to_string())?;
        let answer = connection.request(http, self.limit).await.map_err(|none| match none {
            NoAnswer::Unsent(why) | NoAnswer::Lost(why) | NoAnswer::Malformed(why) => why,
        })?;
        if !answer.is_success() {
            return Err(answer.in_words());
        }
        let missing = |path: &Path| format!("nothing at {path}: {}", answer.sample());
        Ok(Replica {
            index: answer.number(index).ok_or_else(|| missing(index))?,
            digest: answer.text(digest).ok_or_else(|| missing(digest))?,
        })
    }
}
