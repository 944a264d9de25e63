//! A client that sends each operation once, or, in a session, until there is an answer.
//!
//! In a session ([`RetryPolicy::InSession`]) an update whose outcome is open is sent again under the
//! same number, which the store promises to apply once; an answer to any of the attempts is the
//! answer to all. That an attempt certainly did not happen says nothing of the earlier ones, so once
//! an outcome was open only success closes it. A session whose last update stayed open is left: its
//! request may still be under way.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use partita_checker::{EventKind, Value};
use tokio::time::sleep;

use super::super::dial::Dial;
use super::super::optimistic::{CHANGED, Optimistic, balances};
use super::super::protocol::{BoxFuture, Client, ClientOptions, Endpoint, RetryPolicy};
use super::super::violation::ProtocolViolation;
use super::commands::{command, error_text, interpret, unexpected, word};
use super::connection::{Connection, Idle, RequestError};
use super::forms::Forms;
use super::pipeline::{NoReply, Shared};
use super::reply::Reply;
use super::{optimistic, transaction, watch};
use crate::operation::{Completion, Invocation, Kind};

/// How often an update is sent in a session, the first time included.
const ATTEMPTS: u32 = 5;
/// Time before it is sent again.
const BEFORE_AGAIN: Duration = Duration::from_millis(100);

/// A session that a client has opened.
#[derive(Debug, Clone, Copy)]
struct Session {
    id: i64,
    /// The number of its last update.
    sequence: u64,
}

/// A client bound to one node. A broken connection is dropped, and the next operation makes another.
///
/// One that shares a connection has another of its own for transactions, whose commands must not be mixed
/// with those of others.
pub(super) struct RespClient {
    forms: Arc<Forms>,
    dial: Dial,
    endpoint: Endpoint,
    options: ClientOptions,
    session: Option<Session>,
    connection: Option<Connection>,
    watched: watch::Seen,
    shared: Option<Arc<Shared>>,
    violations: Vec<ProtocolViolation>,
}

impl Client for RespClient {
    /// Takes at most the sum of both limits for each time the operation is sent.
    fn invoke<'a>(&'a mut self, invocation: &'a Invocation) -> BoxFuture<'a, Completion> {
        Box::pin(self.perform(invocation))
    }

    fn protocol_violations(&mut self) -> Vec<ProtocolViolation> {
        self.drop_unless_quiet();
        let shared = self.shared.iter().flat_map(|shared| shared.protocol_violations());
        self.violations.drain(..).chain(shared).collect()
    }
}

impl RespClient {
    /// A client of the node at `endpoint`. Connects when first needed.
    pub(super) fn new(
        forms: &Arc<Forms>,
        endpoint: &Endpoint,
        dial: &Dial,
        options: ClientOptions,
    ) -> Self {
        Self {
            forms: Arc::clone(forms),
            dial: dial.clone(),
            endpoint: endpoint.clone(),
            options,
            session: None,
            connection: None,
            watched: watch::Seen::new(),
            shared: None,
            violations: Vec::new(),
        }
    }

    /// The same, with a connection that others use as well.
    pub(super) fn sharing(self, shared: Arc<Shared>) -> Self {
        Self { shared: Some(shared), ..self }
    }

    async fn perform(&mut self, invocation: &Invocation) -> Completion {
        if let Some(completion) = self.perform_several(invocation).await {
            return completion;
        }
        let Some(command) = command(&self.forms, invocation) else {
            return Completion::Fail("this client cannot express the operation".into());
        };
        if self.options.retry == RetryPolicy::InSession && !invocation.kind.is_read() {
            return self.insist(invocation, &command).await;
        }
        self.ask_for(invocation, &command).await
    }

    /// Performs an operation that is not one command of its own; none if it is one.
    async fn perform_several(&mut self, invocation: &Invocation) -> Option<Completion> {
        if self.forms.has_checks()
            && let Some(update) = Optimistic::of(invocation)
        {
            return Some(self.update(invocation, &update).await.unwrap_or_else(|ended| ended));
        }
        if let Some(commands) = transaction::commands(invocation) {
            let reply = self.exec(&commands).await;
            return Some(self.understood(reply, |forms, reply| {
                transaction::interpret(forms, invocation, reply)
            }));
        }
        match (invocation.kind, &invocation.value) {
            (Kind::WatchedWrite, _) => {
                let reply = self.exec(&watch::write(invocation)).await;
                Some(self.understood(reply, watch::written))
            }
            (Kind::Watch, _) => {
                let reply = self.ask(&watch::poll(&invocation.key, &self.watched)).await;
                let mut seen = std::mem::take(&mut self.watched);
                let told =
                    self.understood(reply, |_, it| watch::polled(&invocation.key, &mut seen, it));
                self.watched = seen;
                Some(without_effect(told))
            }
            (Kind::Balances, Value::List(accounts)) => Some(match self.read_all(accounts).await {
                Ok(seen) => balances(&invocation.value, &seen),
                Err(ended) => ended,
            }),
            _ => None,
        }
    }

    /// Does an update by reads, and then by writes on the condition that nothing has changed.
    async fn update(
        &mut self,
        invocation: &Invocation,
        update: &Optimistic<'_>,
    ) -> Result<Completion, Completion> {
        let keys = update.reads();
        let seen = self.read_all(&keys).await?;
        let commands = optimistic::commands(&keys, &seen, &update.writes(&seen)?);
        let reply = self.exec(&commands).await?;
        let (kind, queued) = (invocation.kind, commands.len());
        let is_done = optimistic::interpret(&self.forms, kind, queued, &reply);
        Ok(match is_done.map_err(|unexpected| self.against_protocol(unexpected))?? {
            true => update.done(&seen),
            false => Completion::Refused(CHANGED.into()),
        })
    }

    /// Reads several keys at one moment, or says why an operation that begins with that did not happen.
    async fn read_all(&mut self, keys: &[Value]) -> Result<Vec<Value>, Completion> {
        let reply = self.ask(&optimistic::read(keys)).await.map_err(without_effect)?;
        let seen = optimistic::seen(keys, &reply);
        seen.map_err(|unexpected| without_effect(self.against_protocol(unexpected)))?
    }

    /// Queues `commands` and has them carried out at one moment, all on one connection: on another
    /// they would be commands of their own. The reply to `EXEC`, or what came of it.
    async fn exec(&mut self, commands: &[Vec<Bytes>]) -> Result<Reply, Completion> {
        // Nothing is done before `EXEC` is sent.
        let connection = self.queue(commands).await.map_err(Completion::Fail)?;
        let (connection, reply) = self.send(connection, &[word("EXEC")]).await?;
        self.connection = Some(connection);
        Ok(reply)
    }

    /// What a reply says of an operation.
    fn understood(
        &mut self,
        reply: Result<Reply, Completion>,
        interpret: impl FnOnce(&Forms, &Reply) -> Result<Completion, ProtocolViolation>,
    ) -> Completion {
        match reply {
            Ok(reply) => interpret(&self.forms, &reply)
                .unwrap_or_else(|unexpected| self.against_protocol(unexpected)),
            Err(completion) => completion,
        }
    }

    /// What came of an operation whose reply is none to it.
    fn against_protocol(&mut self, unexpected: ProtocolViolation) -> Completion {
        let why = unexpected.what.as_str().into();
        self.distrust(unexpected);
        Completion::Unknown(why)
    }

    /// Begins a transaction with `commands`: the connection that has it, or why there is none.
    async fn queue(&mut self, commands: &[Vec<Bytes>]) -> Result<Connection, Arc<str>> {
        let mut connection = self.connected().await?;
        let begin = (vec![word("MULTI")], "OK");
        let queued = commands.iter().map(|command| (command.clone(), "QUEUED"));
        for (command, expected) in [begin].into_iter().chain(queued) {
            let (same, reply) = match self.send(connection, &command).await {
                Ok(replied) => replied,
                Err(Completion::Fail(why) | Completion::Unknown(why)) => return Err(why),
                Err(other) => return Err(format!("{other:?}").into()),
            };
            connection = same;
            match reply {
                Reply::Simple(text) if text == expected => {}
                Reply::Error(message) => return Err(error_text(&message).into()),
                other => {
                    let unexpected = unexpected("a command of a transaction", &other);
                    let why = unexpected.what.as_str().into();
                    self.distrust(unexpected);
                    return Err(why);
                }
            }
        }
        Ok(connection)
    }

    /// Sends an update under the next number of the session until there is an answer.
    async fn insist(&mut self, invocation: &Invocation, command: &[Bytes]) -> Completion {
        let session = match self.session.take() {
            Some(session) => session,
            None => match self.open_session().await {
                Ok(session) => session,
                Err(why) => return why,
            },
        };
        let session = Session { sequence: session.sequence + 1, ..session };
        let words = ["ONCE".to_owned(), session.id.to_string(), session.sequence.to_string()];
        let command: Vec<Bytes> =
            words.into_iter().map(Bytes::from).chain(command.iter().cloned()).collect();
        let mut open: Option<Completion> = None;
        for attempt in 1..=ATTEMPTS {
            let completion = self.ask_for(invocation, &command).await;
            match (completion.kind(), &open) {
                (EventKind::Info, _) => open = Some(completion),
                // It failed before anything was left open, or it is done.
                (EventKind::Fail, None) => {
                    self.session = Some(session);
                    return completion;
                }
                (EventKind::Fail, Some(_)) => {}
                _ => {
                    self.session = Some(session);
                    return completion;
                }
            }
            if attempt < ATTEMPTS {
                sleep(BEFORE_AGAIN).await;
            }
        }
        open.unwrap_or_else(|| Completion::Unknown("no answer".into()))
    }

    /// Opens a session, or says that nothing was asked for in one.
    async fn open_session(&mut self) -> Result<Session, Completion> {
        let problem = |what: &str| Completion::Fail(format!("no session: {what}").into());
        match self.ask(&[Bytes::from_static(b"SESSION")]).await {
            Ok(Reply::Integer(id)) => Ok(Session { id, sequence: 0 }),
            Ok(Reply::Error(message)) => Err(problem(&error_text(&message))),
            Ok(other) => {
                let unexpected = unexpected("a request for a session", &other);
                let why = problem(&unexpected.what);
                self.distrust(unexpected);
                Err(why)
            }
            Err(Completion::Fail(why) | Completion::Unknown(why)) => Err(problem(&why)),
            Err(other) => Err(other),
        }
    }

    /// Sends the command of `invocation` once and says what came of it.
    async fn ask_for(&mut self, invocation: &Invocation, command: &[Bytes]) -> Completion {
        let reply = self.ask(command).await;
        self.understood(reply, |forms, reply| interpret(forms, invocation, reply))
    }

    /// Sends one command once; what came of it if that is no reply.
    async fn ask(&mut self, command: &[Bytes]) -> Result<Reply, Completion> {
        if let Some(shared) = &self.shared {
            let reply = shared.request(command).await;
            return reply.map_err(|no_reply| match no_reply {
                NoReply::NotSent(why) => Completion::Fail(why),
                NoReply::Open(error) => self.unanswered(&error),
            });
        }
        let connection = self.connected().await.map_err(Completion::Fail)?;
        let (connection, reply) = self.send(connection, command).await?;
        self.connection = Some(connection);
        Ok(reply)
    }

    /// The connection there is, or a new one, or why there is none: nothing was sent.
    async fn connected(&mut self) -> Result<Connection, Arc<str>> {
        self.drop_unless_quiet();
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => Connection::open(&self.dial, &self.endpoint, self.options.limits.connect)
                .await
                .map_err(|error| error.to_string().into()),
        }
    }

    /// Sends one command on this connection: it and the reply, or what came of the command.
    async fn send(
        &mut self,
        mut connection: Connection,
        command: &[Bytes],
    ) -> Result<(Connection, Reply), Completion> {
        match connection.request(command, self.options.limits.reply).await {
            Ok(reply) => Ok((connection, reply)),
            Err(error) => Err(self.unanswered(&error)),
        }
    }

    /// What came of a command that may have arrived.
    fn unanswered(&mut self, error: &RequestError) -> Completion {
        match error.protocol_violation() {
            Some(violation) => {
                let why = violation.what.as_str().into();
                self.distrust(violation);
                Completion::Unknown(why)
            }
            None => Completion::Unknown(error.to_string().into()),
        }
    }

    /// Notes that the store broke the protocol. What else comes on that connection cannot be told
    /// apart from an answer.
    fn distrust(&mut self, violation: ProtocolViolation) {
        self.connection = None;
        self.shared.iter().for_each(|shared| shared.give_up());
        self.violations.push(violation);
    }

    /// Gives up the connection if it was closed, or if something came that nobody asked for.
    fn drop_unless_quiet(&mut self) {
        match self.connection.as_mut().map(Connection::idle) {
            None | Some(Idle::Quiet) => {}
            Some(Idle::Closed) => self.connection = None,
            Some(Idle::Surplus(sample)) => self.distrust(ProtocolViolation::surplus(sample)),
        }
    }
}

/// What came of an operation that changes nothing, whatever became of it.
fn without_effect(completion: Completion) -> Completion {
    match completion {
        Completion::Unknown(why) => Completion::Fail(why),
        other => other,
    }
}
