//! Lines to and from one process of the program, one request at a time.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use serde_json::{Map, Value as Json};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::super::dial::{BoxStream, Dial, OpenError, open, read_now};
use super::super::encoding::sample;
use super::super::protocol::Endpoint;
use super::super::violation::ProtocolViolation;
use super::client_table::ClientTable;
use super::messages::{self, Reply};

/// The longest line that is taken, in bytes: far more than any answer.
const LONGEST_LINE: usize = 1 << 20;

/// How much is read at a time, in bytes.
const CHUNK: usize = 16 << 10;

/// How long the program may take to start and to say so.
pub(super) const START_LIMIT: Duration = Duration::from_secs(10);

/// Why there is no process that answers: nothing was asked of it.
#[derive(Debug, Error)]
pub(super) enum StartError {
    /// It cannot be started.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It said nothing in time.
    #[error("the program did not say that it is ready within {} ms", .0.as_millis())]
    Silent(Duration),
    /// It ended.
    #[error("the program ended before it said that it is ready")]
    Ended,
    /// What it said is none of that.
    #[error("{}: `{}`", .0.what, .0.sample)]
    Wrong(ProtocolViolation),
}

/// Why no answer came. The program may have sent the operation to the node.
#[derive(Debug, Error)]
pub(super) enum RequestError {
    /// None in time.
    #[error("no answer of the program within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// Writing to it, or reading from it.
    #[error("the program was lost: {0}")]
    Lost(#[source] io::Error),
    /// It ended.
    #[error("the program ended before it answered")]
    Ended,
    /// What it said is none.
    #[error("{}: `{}`", .0.what, .0.sample)]
    Wrong(ProtocolViolation),
}

/// What there is while nothing is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Idle {
    /// Nothing, as it should be.
    Quiet,
    /// The program has ended.
    Ended,
    /// A line that nobody asked for.
    Unasked(ProtocolViolation),
}

/// A process that answers. After any [`RequestError`] it must be dropped: a late answer would be taken for
/// the answer to the next request.
pub(super) struct Connection {
    stream: BoxStream,
    received: BytesMut,
    /// How much of that was searched for the end of a line.
    searched: usize,
    last_id: u64,
}

impl Connection {
    /// Starts the program, and waits until it has said that it is ready.
    pub(super) async fn open(
        form: &ClientTable,
        dial: &Dial,
        endpoint: &Endpoint,
        limit: Duration,
    ) -> Result<Self, StartError> {
        let deadline = Instant::now() + limit;
        let stream = open(dial, endpoint, limit).await?;
        let mut connection = Self { stream, received: BytesMut::new(), searched: 0, last_id: 0 };
        let line =
            timeout_at(deadline, connection.line()).await.map_err(|_| StartError::Silent(limit))?;
        let line = line.map_err(|error| match error {
            RequestError::Wrong(violation) => StartError::Wrong(violation),
            _ => StartError::Ended,
        })?;
        messages::check_hello(&line, form).map_err(StartError::Wrong)?;
        Ok(connection)
    }

    /// What is there while nothing is asked.
    pub(super) fn idle(&mut self) -> Idle {
        let mut bytes = [0; 64];
        match read_now(&mut self.stream, &mut bytes) {
            None => Idle::Quiet,
            Some(Ok(0) | Err(_)) => Idle::Ended,
            Some(Ok(count)) => Idle::Unasked(unasked(&bytes[..count])),
        }
    }

    /// Asks for `operation`, and waits at most `limit` for the answer.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; the operation may have been done.
    pub(super) async fn request(
        &mut self,
        mut operation: Map<String, Json>,
        limit: Duration,
    ) -> Result<Reply, RequestError> {
        self.last_id += 1;
        operation.insert("id".to_owned(), self.last_id.into());
        let deadline = Instant::now() + limit;
        match timeout_at(deadline, self.exchange(operation)).await {
            Ok(reply) => reply,
            Err(_) => Err(RequestError::Timeout(limit)),
        }
    }

    async fn exchange(&mut self, operation: Map<String, Json>) -> Result<Reply, RequestError> {
        let request = format!("{}\n", Json::Object(operation));
        self.stream.write_all(request.as_bytes()).await.map_err(RequestError::Lost)?;
        self.stream.flush().await.map_err(RequestError::Lost)?;
        let line = self.line().await?;
        if !self.received.is_empty() {
            return Err(RequestError::Wrong(unasked(&self.received)));
        }
        messages::reply(&line, self.last_id).map_err(RequestError::Wrong)
    }

    /// The next line, without its end.
    async fn line(&mut self) -> Result<BytesMut, RequestError> {
        loop {
            let found = self.received[self.searched..].iter().position(|byte| *byte == b'\n');
            if let Some(end) = found.map(|place| self.searched + place) {
                self.searched = 0;
                let mut line = self.received.split_to(end + 1);
                line.truncate(end);
                return Ok(line);
            }
            self.searched = self.received.len();
            if self.searched > LONGEST_LINE {
                let violation =
                    ProtocolViolation::new("a line longer than the limit", sample(&self.received));
                return Err(RequestError::Wrong(violation));
            }
            self.received.reserve(CHUNK);
            let count =
                self.stream.read_buf(&mut self.received).await.map_err(RequestError::Lost)?;
            if count == 0 {
                return Err(RequestError::Ended);
            }
        }
    }
}

/// That the program said something that it was not asked.
fn unasked(bytes: &[u8]) -> ProtocolViolation {
    ProtocolViolation::new("output that nobody asked for", sample(bytes))
}
