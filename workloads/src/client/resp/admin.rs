//! Commands of an operator, each over a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::super::admin::{Admin, Change, Exchange, Member, Members};
use super::super::dial::Dial;
use super::super::protocol::{BoxFuture, Endpoint};
use super::answer::Answer;
use super::connection::Connection;
use super::membership::Membership;
use super::reply::Reply;

/// Speaks to one node in the words of the target's description.
pub(super) struct RespAdmin {
    endpoint: Endpoint,
    dial: Dial,
    membership: Arc<Membership>,
}

impl RespAdmin {
    /// Of the node at `endpoint`.
    pub(super) fn new(endpoint: &Endpoint, dial: &Dial, membership: &Arc<Membership>) -> Self {
        let membership = Arc::clone(membership);
        Self { endpoint: endpoint.clone(), dial: dial.clone(), membership }
    }

    /// Sends `words`, and waits at most `limit` for the connection and as long again for the answer.
    async fn send(&self, words: &[String], limit: Duration) -> Result<Answer, String> {
        let opened = Connection::open(&self.dial, &self.endpoint, limit).await;
        let mut connection = opened.map_err(|error| error.to_string())?;
        let words: Vec<Bytes> = words.iter().cloned().map(Bytes::from).collect();
        match connection.request(&words, limit).await.map_err(|error| error.to_string())? {
            Reply::Error(message) => Err(String::from_utf8_lossy(&message).into_owned()),
            reply => Ok(Answer::of(&reply)),
        }
    }

    async fn exchange(&self, words: &[String], limit: Duration) -> Exchange {
        let answer = self.send(words, limit).await;
        Exchange { request: words.join(" "), answer: answer.map(|answer| answer.to_string()) }
    }
}

impl Admin for RespAdmin {
    fn change<'a>(
        &'a self,
        change: Change,
        member: &'a Member,
        limit: Duration,
    ) -> BoxFuture<'a, Exchange> {
        Box::pin(async move {
            match self.membership.change(change, member) {
                Some(words) => self.exchange(&words, limit).await,
                None => Exchange {
                    request: String::new(),
                    answer: Err(format!("the target's description has no `{change}`")),
                },
            }
        })
    }

    fn members<'a>(
        &'a self,
        known: &'a [Member],
        limit: Duration,
    ) -> BoxFuture<'a, Option<Members>> {
        Box::pin(async move {
            let asked = known.iter().find(|member| *member.name == *self.endpoint.node)?;
            let words = self.membership.question(asked)?;
            let answer = self.send(&words, limit).await.ok()?;
            Some(self.membership.read(&answer.rows(), known))
        })
    }

    fn command<'a>(&'a self, words: &'a [String], limit: Duration) -> BoxFuture<'a, Exchange> {
        Box::pin(self.exchange(words, limit))
    }
}
