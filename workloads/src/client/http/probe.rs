//! Asks a node for its status by the request that the description gives.

use std::sync::Arc;
use std::time::Duration;

use partita_checker::Value;
use tokio::time::timeout;

use super::super::dial::Dial;
use super::super::probe::{LEADER, Probe, ProbeError, Status};
use super::super::protocol::{BoxFuture, Endpoint};
use super::answer::Answer;
use super::client::build;
use super::connection::{Connection, NoAnswer};
use super::forms::{Forms, Request, StatusForm};
use super::template::Bindings;

/// The role of a node of which the description's condition for a leader does not hold.
const OTHER: &str = "follower";

/// The probe of one node.
pub(super) struct HttpProbe {
    pub(super) status: Arc<StatusForm>,
    pub(super) forms: Arc<Forms>,
    pub(super) endpoint: Endpoint,
    pub(super) dial: Dial,
    pub(super) limit: Duration,
    pub(super) connection: Option<Connection>,
}

impl Probe for HttpProbe {
    fn status(&mut self) -> BoxFuture<'_, Result<Status, ProbeError>> {
        Box::pin(async {
            let limit = self.limit;
            let late = |_| ProbeError::Silent(format!("no status within {} ms", limit.as_millis()));
            timeout(limit, self.ask()).await.map_err(late)?
        })
    }
}

impl HttpProbe {
    async fn ask(&mut self) -> Result<Status, ProbeError> {
        let form = Arc::clone(&self.status);
        let Some(request) = &form.request else {
            return Err(ProbeError::Silent("the description has no request for it".to_owned()));
        };
        let answer = self.exchange(request.get_ref()).await?;
        let ready = form.ready.as_ref();
        if !ready.map_or(answer.is_success(), |condition| condition.get_ref().holds(&answer)) {
            return Err(ProbeError::Silent(answer.in_words()));
        }
        Ok(status_of(&form, &answer))
    }

    async fn exchange(&mut self, request: &Request) -> Result<Answer, ProbeError> {
        let name = Value::text(&*self.endpoint.node);
        let bindings = Bindings::from([("node".to_owned(), name)]);
        let http = build(request, &self.forms, &self.endpoint, &bindings)
            .map_err(|error| ProbeError::Silent(error.to_string()))?;
        let mut connection = match self.connection.take_if(|it| !it.is_closed()) {
            Some(connection) => connection,
            None => Connection::open(&self.dial, &self.endpoint, self.limit).await?,
        };
        let answer = connection.request(http, self.limit).await.map_err(|none| match none {
            NoAnswer::Unsent(why) | NoAnswer::Lost(why) | NoAnswer::Malformed(why) => {
                ProbeError::Silent(why)
            }
        })?;
        self.connection = Some(connection);
        Ok(answer)
    }
}

fn status_of(form: &StatusForm, answer: &Answer) -> Status {
    let leads = form.leader.as_ref().map(|condition| condition.get_ref().holds(answer));
    let told = form.role.as_ref().and_then(|path| answer.text(path));
    let role = match (leads, told) {
        (Some(true), _) => Some(LEADER.to_owned()),
        // The condition decides who leads, not a word of the store's.
        (Some(false), told) => Some(told.filter(|it| it != LEADER).unwrap_or(OTHER.to_owned())),
        (None, told) => told,
    };
    let number = |path: &Option<_>| path.as_ref().and_then(|path| answer.number(path));
    Status {
        role,
        term: number(&form.term),
        commit_index: number(&form.commit_index),
        applied_index: number(&form.applied_index),
    }
}
