//! A node's status as the program tells it, or whether a read through the node is answered.

use std::sync::Arc;
use std::time::Duration;

use partita_checker::Value;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::dial::{Dial, OpenError};
use super::super::probe::{Probe, ProbeError, Status};
use super::super::protocol::{BoxFuture, Endpoint};
use super::client_table::{ClientTable, STATUS};
use super::connection::{Connection, StartError};
use super::messages::{self, Reply};
use crate::operation::{Completion, Invocation};

/// How long the program may take for an answer before it is given up: longer than any poll waits, since a new
/// start would take longer still.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// The key that is read where the program has no status. No workload has it.
const KEY: &str = "partita-ready";

/// Asks one node, by a process that it keeps. An answer that comes after its poll is that of a later one.
pub(super) struct ProgramProbe {
    form: Arc<ClientTable>,
    endpoint: Endpoint,
    dial: Dial,
    limit: Duration,
    connection: Option<Connection>,
    asked: Option<JoinHandle<Asked>>,
    /// Why there was no status last.
    problem: Option<String>,
}

/// What came of one question, and the process if it can be asked again.
struct Asked {
    connection: Option<Connection>,
    status: Result<Status, ProbeError>,
}

impl ProgramProbe {
    /// Of the node at `endpoint`.
    pub(super) fn new(
        form: &Arc<ClientTable>,
        endpoint: &Endpoint,
        dial: &Dial,
        limit: Duration,
    ) -> Self {
        Self {
            form: Arc::clone(form),
            endpoint: endpoint.clone(),
            dial: dial.clone(),
            limit,
            connection: None,
            asked: None,
            problem: None,
        }
    }

    async fn poll(&mut self) -> Result<Status, ProbeError> {
        let asked = match &mut self.asked {
            Some(asked) => asked,
            none => none.insert(tokio::spawn(ask(
                Arc::clone(&self.form),
                self.endpoint.clone(),
                self.dial.clone(),
                self.limit,
                self.connection.take(),
            ))),
        };
        let Ok(answer) = timeout(self.limit, asked).await else {
            let late = format!("no status within {} ms", self.limit.as_millis());
            return Err(ProbeError::Silent(self.problem.clone().unwrap_or(late)));
        };
        self.asked = None;
        let Asked { connection, status } =
            answer.map_err(|error| ProbeError::Silent(error.to_string()))?;
        self.connection = connection;
        self.problem = status.as_ref().err().map(ToString::to_string);
        status
    }
}

impl Drop for ProgramProbe {
    fn drop(&mut self) {
        if let Some(asked) = &self.asked {
            asked.abort();
        }
    }
}

impl Probe for ProgramProbe {
    fn status(&mut self) -> BoxFuture<'_, Result<Status, ProbeError>> {
        Box::pin(self.poll())
    }
}

async fn ask(
    form: Arc<ClientTable>,
    endpoint: Endpoint,
    dial: Dial,
    limit: Duration,
    kept: Option<Connection>,
) -> Asked {
    let opened = match kept {
        Some(connection) => Ok(connection),
        None => Connection::open(&form, &dial, &endpoint, form.start_limit(limit)).await,
    };
    let mut connection = match opened {
        Ok(connection) => connection,
        Err(StartError::Open(error @ OpenError::Refused(_))) => {
            return Asked { connection: None, status: Err(ProbeError::Down(error.to_string())) };
        }
        Err(error) => {
            return Asked { connection: None, status: Err(ProbeError::Silent(error.to_string())) };
        }
    };
    let read = Invocation::read(Value::text(KEY));
    let has_status = form.has(STATUS);
    let request = match has_status {
        true => messages::status_request(limit),
        false => messages::request(&read, limit),
    };
    match connection.request(request, ANSWER_LIMIT).await {
        Ok(reply) => {
            let status = if has_status { messages::status(reply) } else { readiness(&read, reply) };
            Asked { connection: Some(connection), status: status.map_err(ProbeError::Silent) }
        }
        Err(error) => {
            Asked { connection: None, status: Err(ProbeError::Silent(error.to_string())) }
        }
    }
}

/// A node is ready if it answers a read.
fn readiness(read: &Invocation, reply: Reply) -> Result<Status, String> {
    match messages::completion(read, reply) {
        Ok(Completion::Answered(_)) => Ok(Status::default()),
        Ok(Completion::Fail(why) | Completion::Unknown(why)) => Err(why.to_string()),
        Ok(other) => Err(format!("{other:?}")),
        Err(violation) => Err(violation.what),
    }
}
