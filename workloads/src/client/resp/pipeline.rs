//! One connection that several clients share, with as many requests in flight as there are clients.
//!
//! A task owns the connection: it writes requests as they come, those that wait together in one piece, and
//! gives each reply to the oldest request that has none. A reply that does not come in time makes that
//! request's outcome unknown; the connection takes no more requests then, and is read on until every other
//! request in flight has its reply or is late as well. A connection that breaks makes all in flight unknown.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument;

use super::super::dial::{BoxStream, Dial, open};
use super::super::protocol::{Client, ClientOptions, Endpoint, Pipeline};
use super::super::violation::ProtocolViolation;
use super::client::RespClient;
use super::connection::{CHUNK, RequestError, encoded};
use super::forms::Forms;
use super::reply::{Reply, ReplyReader, sample};

/// Requests that may wait to be written.
const QUEUE: usize = 256;

/// Bytes that may wait to be written before requests wait for them.
const MOST_UNWRITTEN: usize = 1 << 20;

/// On how many connections a request is tried that was not written.
const TRIES: u32 = 3;

/// A connection to one node that clients share; another one takes its place when it breaks.
pub(super) struct RespPipeline {
    forms: Arc<Forms>,
    dial: Dial,
    endpoint: Endpoint,
    options: ClientOptions,
    shared: Arc<Shared>,
}

impl RespPipeline {
    /// A connection to the node at `endpoint`, to be opened when first needed.
    pub(super) fn new(
        forms: &Arc<Forms>,
        endpoint: &Endpoint,
        dial: &Dial,
        options: ClientOptions,
    ) -> Self {
        let shared = Shared {
            dial: dial.clone(),
            endpoint: endpoint.clone(),
            options,
            opened: tokio::sync::Mutex::default(),
            violations: Arc::default(),
        };
        Self {
            forms: Arc::clone(forms),
            dial: dial.clone(),
            endpoint: endpoint.clone(),
            options,
            shared: Arc::new(shared),
        }
    }
}

impl Pipeline for RespPipeline {
    fn client(&self) -> Box<dyn Client> {
        let alone = RespClient::new(&self.forms, &self.endpoint, &self.dial, self.options);
        Box::new(alone.sharing(Arc::clone(&self.shared)))
    }
}

/// Why a request has no reply.
#[derive(Debug)]
pub(super) enum NoReply {
    /// It was not sent, and never will be.
    NotSent(Arc<str>),
    /// It may have arrived.
    Open(RequestError),
}

/// What the clients of one connection have in common.
pub(super) struct Shared {
    dial: Dial,
    endpoint: Endpoint,
    options: ClientOptions,
    /// Held while a connection is being opened.
    opened: tokio::sync::Mutex<Opened>,
    violations: Violations,
}

type Violations = Arc<Mutex<Vec<ProtocolViolation>>>;

#[derive(Default)]
struct Opened {
    line: Option<Line>,
    /// When the last attempt to connect failed, and why.
    failed: Option<(Instant, Arc<str>)>,
}

/// A connection that takes requests.
#[derive(Clone)]
struct Line {
    requests: mpsc::Sender<Request>,
    task: AbortHandle,
}

struct Request {
    bytes: BytesMut,
    answer: oneshot::Sender<Answer>,
}

enum Answer {
    Reply(Reply),
    NotWritten,
    Error(RequestError),
}

impl Shared {
    /// Sends one command, and waits for its reply.
    pub(super) async fn request(&self, command: &[Bytes]) -> Result<Reply, NoReply> {
        for _ in 0..TRIES {
            let line = self.line().await.map_err(NoReply::NotSent)?;
            let (answer, answered) = oneshot::channel();
            if line.requests.send(Request { bytes: encoded(command), answer }).await.is_err() {
                continue;
            }
            match answered.await {
                Ok(Answer::Reply(reply)) => return Ok(reply),
                Ok(Answer::Error(error)) => return Err(NoReply::Open(error)),
                Ok(Answer::NotWritten) => {}
                // The connection was given up.
                Err(_) => return Err(NoReply::Open(RequestError::Closed)),
            }
        }
        Err(NoReply::NotSent("each connection ended before the request was written".into()))
    }

    /// Gives the connection up: what else comes on it cannot be told apart from an answer. All that is in
    /// flight is unknown.
    pub(super) fn give_up(&self) {
        // Somebody who holds it is about to open another.
        if let Ok(mut opened) = self.opened.try_lock()
            && let Some(line) = opened.line.take()
        {
            line.task.abort();
        }
    }

    /// What came that nobody had asked for, since the last call.
    pub(super) fn protocol_violations(&self) -> Vec<ProtocolViolation> {
        std::mem::take(&mut self.violations.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The connection that takes requests, or a new one, or why there is none.
    async fn line(&self) -> Result<Line, Arc<str>> {
        let asked = Instant::now();
        let mut opened = self.opened.lock().await;
        if let Some(line) = opened.line.as_ref().filter(|line| !line.requests.is_closed()) {
            return Ok(line.clone());
        }
        // Whoever waited for an attempt that failed does not wait for one of its own.
        if let Some((_, why)) = opened.failed.as_ref().filter(|(when, _)| *when >= asked) {
            return Err(Arc::clone(why));
        }
        match open(&self.dial, &self.endpoint, self.options.limits.connect).await {
            Ok(stream) => Ok(opened.line.insert(self.begin(stream)).clone()),
            Err(error) => {
                let why: Arc<str> = error.to_string().into();
                opened.failed = Some((Instant::now(), Arc::clone(&why)));
                Err(why)
            }
        }
    }

    fn begin(&self, stream: BoxStream) -> Line {
        let (requests, taken) = mpsc::channel(QUEUE);
        let driver = Driver {
            requests: taken,
            waiting: VecDeque::new(),
            limit: self.options.limits.reply,
            violations: Arc::clone(&self.violations),
        };
        let task = tokio::spawn(driver.run(stream).in_current_span()).abort_handle();
        Line { requests, task }
    }
}

/// A request that was taken, in the order of the replies to come.
struct Waiting {
    /// None once it is late: its reply is still to come before those of later requests.
    answer: Option<oneshot::Sender<Answer>>,
    deadline: Instant,
}

/// Why a connection is over.
enum End {
    /// Nothing is in flight, and nothing more will be.
    Quiet,
    Error(RequestError),
}

/// The task of one connection.
struct Driver {
    requests: mpsc::Receiver<Request>,
    waiting: VecDeque<Waiting>,
    limit: Duration,
    violations: Violations,
}

impl Driver {
    async fn run(mut self, stream: BoxStream) {
        let end = self.drive(stream).await;
        self.requests.close();
        while let Ok(request) = self.requests.try_recv() {
            let _ = request.answer.send(Answer::NotWritten);
        }
        let End::Error(error) = end else { return };
        let kind = if let RequestError::Lost(error) = &error { Some(error.kind()) } else { None };
        let text = error.to_string();
        if self.waiting.is_empty()
            && let Some(violation) = error.protocol_violation()
        {
            self.violations.lock().unwrap_or_else(PoisonError::into_inner).push(violation);
        }
        // What is wrong with a reply is told of the request whose turn it was.
        let mut first = Some(error);
        for waiting in self.waiting.drain(..) {
            let again = || match kind {
                Some(kind) => RequestError::Lost(io::Error::new(kind, text.clone())),
                None => RequestError::Closed,
            };
            let error = first.take().unwrap_or_else(again);
            waiting.answer.map(|answer| answer.send(Answer::Error(error)));
        }
    }

    async fn drive(&mut self, stream: BoxStream) -> End {
        let (mut reading, mut writing) = split(stream);
        let (mut reader, mut unwritten) = (ReplyReader::default(), BytesMut::new());
        loop {
            let deadline = self.waiting.iter().find(|it| it.answer.is_some()).map(|it| it.deadline);
            if self.requests.is_closed() && self.requests.is_empty() && deadline.is_none() {
                return End::Quiet;
            }
            let lateness = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let buffer = reader.buffer();
            buffer.reserve(CHUNK);
            tokio::select! {
                biased;
                read = reading.read_buf(buffer) => {
                    let read = match read {
                        Ok(0) => Err(RequestError::Closed),
                        Ok(_) => self.deliver(&mut reader),
                        Err(error) => Err(RequestError::Lost(error)),
                    };
                    if let Err(error) = read {
                        return End::Error(error);
                    }
                }
                () = lateness => self.give_up_late(),
                request = self.requests.recv(), if unwritten.len() < MOST_UNWRITTEN
                    && !(self.requests.is_closed() && self.requests.is_empty()) =>
                {
                    if let Some(request) = request {
                        self.take(request, &mut unwritten);
                    }
                }
                written = writing.write_buf(&mut unwritten), if !unwritten.is_empty() => match written {
                    Ok(0) => return End::Error(RequestError::Closed),
                    Ok(_) => {}
                    Err(error) => return End::Error(RequestError::Lost(error)),
                },
            }
        }
    }

    fn take(&mut self, request: Request, unwritten: &mut BytesMut) {
        unwritten.extend_from_slice(&request.bytes);
        let deadline = Instant::now() + self.limit;
        self.waiting.push_back(Waiting { answer: Some(request.answer), deadline });
    }

    /// Gives whole replies to the requests whose turn it is.
    fn deliver(&mut self, reader: &mut ReplyReader) -> Result<(), RequestError> {
        while !self.waiting.is_empty() {
            let Some(reply) = reader.next_reply()? else { return Ok(()) };
            let waiting = self.waiting.pop_front().and_then(|waiting| waiting.answer);
            waiting.map(|answer| answer.send(Answer::Reply(reply)));
        }
        match reader.surplus() {
            [] => Ok(()),
            bytes => Err(RequestError::Surplus(sample(bytes))),
        }
    }

    /// Answers requests that are late, and takes no more: what was asked after those would wait for them.
    fn give_up_late(&mut self) {
        let now = Instant::now();
        for waiting in self.waiting.iter_mut().take_while(|it| it.deadline <= now) {
            let late = Answer::Error(RequestError::Timeout(self.limit));
            waiting.answer.take().map(|answer| answer.send(late));
        }
        self.requests.close();
        while let Ok(request) = self.requests.try_recv() {
            let _ = request.answer.send(Answer::NotWritten);
        }
    }
}

#[cfg(test)]
mod tests;
