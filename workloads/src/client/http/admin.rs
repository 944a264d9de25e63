//! Requests of an operator, each over a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use partita_checker::Value;

use super::super::admin::{Admin, Change, Exchange, Member, Members};
use super::super::dial::Dial;
use super::super::protocol::{BoxFuture, Endpoint};
use super::answer::Answer;
use super::client::build;
use super::connection::{Connection, NoAnswer};
use super::forms::{Forms, Request};
use super::membership::{MEMBER, Membership, bindings};
use super::template::Bindings;

/// Speaks to one node by the requests of the target's description.
pub(super) struct HttpAdmin {
    pub(super) forms: Arc<Forms>,
    pub(super) membership: Arc<Membership>,
    pub(super) endpoint: Endpoint,
    pub(super) dial: Dial,
}

impl HttpAdmin {
    /// Sends a request, and waits at most `limit` for the connection and as long again for the answer.
    async fn send(
        &self,
        request: &Request,
        bindings: &Bindings,
        limit: Duration,
    ) -> Result<Answer, String> {
        let http = build(request, &self.forms, &self.endpoint, bindings)
            .map_err(|error| format!("the request cannot be made: {error}"))?;
        let opened = Connection::open(&self.dial, &self.endpoint, limit).await;
        let mut connection = opened.map_err(|error| error.to_string())?;
        connection.request(http, limit).await.map_err(|none| match none {
            NoAnswer::Unsent(why) | NoAnswer::Lost(why) | NoAnswer::Malformed(why) => why,
        })
    }

    async fn exchange(&self, request: &Request, bindings: &Bindings, limit: Duration) -> Exchange {
        let answer = match self.send(request, bindings, limit).await {
            Ok(answer) if answer.is_success() => Ok(answer.in_words()),
            Ok(answer) => Err(answer.in_words()),
            Err(why) => Err(why),
        };
        Exchange { request: request.in_words(bindings), answer }
    }

    /// What placeholders stand for in a request about `member`: the store's own name of it as well, as
    /// far as the node tells.
    async fn bindings(&self, member: &Member, limit: Duration) -> Bindings {
        let mut names = bindings(member);
        if let Some(form) = &self.membership.members
            && let Ok(answer) = self.send(form.request.get_ref(), &names, limit).await
            && let Some(id) = form.id(&answer, member)
        {
            names.insert(MEMBER.to_owned(), Value::text(id));
        }
        names
    }
}

impl Admin for HttpAdmin {
    fn change<'a>(
        &'a self,
        change: Change,
        member: &'a Member,
        limit: Duration,
    ) -> BoxFuture<'a, Exchange> {
        Box::pin(async move {
            let refused = |why: String| Exchange { request: String::new(), answer: Err(why) };
            let Some(form) = self.membership.change(change) else {
                return refused(format!("the target's description has no `{change}`"));
            };
            let request = form.request.get_ref();
            let bindings = self.bindings(member, limit).await;
            if request.holds(MEMBER) && !bindings.contains_key(MEMBER) {
                let node = &self.endpoint.node;
                return refused(format!("{node} knows no member {}", member.name));
            }
            self.exchange(request, &bindings, limit).await
        })
    }

    fn members<'a>(
        &'a self,
        known: &'a [Member],
        limit: Duration,
    ) -> BoxFuture<'a, Option<Members>> {
        Box::pin(async move {
            let asked = known.iter().find(|member| *member.name == *self.endpoint.node)?;
            let form = self.membership.members.as_ref()?;
            let answer = self.send(form.request.get_ref(), &bindings(asked), limit).await.ok()?;
            form.read(&answer, known).filter(|_| answer.is_success())
        })
    }

    fn command<'a>(&'a self, words: &'a [String], limit: Duration) -> BoxFuture<'a, Exchange> {
        Box::pin(async move {
            match Request::of_words(words) {
                Ok(request) => self.exchange(&request, &Bindings::new(), limit).await,
                Err(why) => Exchange { request: words.join(" "), answer: Err(why) },
            }
        })
    }
}
