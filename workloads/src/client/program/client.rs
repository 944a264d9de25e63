//! A client that asks a program, which is started when first needed and again after it failed.

use std::sync::Arc;

use super::super::dial::Dial;
use super::super::protocol::{BoxFuture, Client, Endpoint, Limits};
use super::super::violation::ProtocolViolation;
use super::client_table::ClientTable;
use super::connection::{Connection, Idle, RequestError, StartError};
use super::messages;
use crate::operation::{Completion, Invocation};

/// A client bound to one node, with a process of its own.
pub(super) struct ProgramClient {
    form: Arc<ClientTable>,
    endpoint: Endpoint,
    dial: Dial,
    limits: Limits,
    connection: Option<Connection>,
    violations: Vec<ProtocolViolation>,
}

impl Client for ProgramClient {
    /// Takes at most the sum of both limits, and ten seconds more where the program has to be started.
    fn invoke<'a>(&'a mut self, invocation: &'a Invocation) -> BoxFuture<'a, Completion> {
        Box::pin(self.perform(invocation))
    }

    fn protocol_violations(&mut self) -> Vec<ProtocolViolation> {
        self.drop_unless_quiet();
        std::mem::take(&mut self.violations)
    }
}

impl ProgramClient {
    /// A client of the node at `endpoint`.
    pub(super) fn new(
        form: &Arc<ClientTable>,
        endpoint: &Endpoint,
        dial: &Dial,
        limits: Limits,
    ) -> Self {
        Self {
            form: Arc::clone(form),
            endpoint: endpoint.clone(),
            dial: dial.clone(),
            limits,
            connection: None,
            violations: Vec::new(),
        }
    }

    async fn perform(&mut self, invocation: &Invocation) -> Completion {
        if !self.form.has(invocation.kind.word()) {
            return Completion::Fail("this client cannot express the operation".into());
        }
        let mut connection = match self.connected().await {
            Ok(connection) => connection,
            // Nothing was asked.
            Err(error) => return Completion::Fail(self.noted(error)),
        };
        let request = messages::request(invocation, self.limits.reply);
        // The program is told one limit, and has some time more to say that it passed.
        let limit = self.limits.reply + self.limits.connect;
        let answered = match connection.request(request, limit).await {
            Ok(reply) => messages::completion(invocation, reply),
            Err(RequestError::Wrong(violation)) => Err(violation),
            Err(error) => return Completion::Unknown(error.to_string().into()),
        };
        match answered {
            Ok(completion) => {
                self.connection = Some(connection);
                completion
            }
            Err(violation) => {
                let why = violation.what.as_str().into();
                self.violations.push(violation);
                Completion::Unknown(why)
            }
        }
    }

    async fn connected(&mut self) -> Result<Connection, StartError> {
        self.drop_unless_quiet();
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => {
                let limit = self.form.start_limit(self.limits.connect);
                Connection::open(&self.form, &self.dial, &self.endpoint, limit).await
            }
        }
    }

    /// Why the program did not start, in words. What it did wrong is kept.
    fn noted(&mut self, error: StartError) -> Arc<str> {
        let why = error.to_string().into();
        if let StartError::Wrong(violation) = error {
            self.violations.push(violation);
        }
        why
    }

    /// Gives the process up if it has ended, or if it said something that nobody asked.
    fn drop_unless_quiet(&mut self) {
        match self.connection.as_mut().map(Connection::idle) {
            None | Some(Idle::Quiet) => {}
            Some(Idle::Ended) => self.connection = None,
            Some(Idle::Unasked(violation)) => {
                self.connection = None;
                self.violations.push(violation);
            }
        }
    }
}
