//! One connection of HTTP/1.1 (RFC 9112) that carries one request after the other.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::dial::{Dial, OpenError, open};
use super::super::protocol::Endpoint;
use super::super::tls::CertificateRefused;
use super::answer::Answer;

/// The longest body that is read, in bytes.
const LONGEST_BODY: usize = 8 << 20;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// Nothing was sent, or nothing that the store has read.
    Unsent(String),
    /// Something was, and no answer came.
    Lost(String),
    /// What came is no answer in this protocol.
    Malformed(String),
}

/// A connection. It is closed when it is dropped.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    pub(super) async fn open(
        dial: &Dial,
        endpoint: &Endpoint,
        limit: Duration,
    ) -> Result<Self, OpenError> {
        let stream = open(dial, endpoint, limit).await?;
        let refused = |error| OpenError::Refused(std::io::Error::other(error));
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(refused)?;
        let driver = tokio::spawn(async {
            // What is wrong with it, the request under way is told.
            let _ = connection.await;
        });
        Ok(Self { sender, driver })
    }

    /// Whether the other side closed it, or broke the protocol.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends one request once, and waits for its answer.
    pub(super) async fn request(
        &mut self,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<Answer, NoAnswer> {
        let late = |_| NoAnswer::Lost(format!("no answer within {} ms", limit.as_millis()));
        timeout(limit, self.exchange(request)).await.map_err(late)?
    }

    /// Sends one request once whose answer goes on, and takes the lines that come within `listens` from its
    /// beginning on: whole ones, and at least one. The connection is of no more use.
    pub(super) async fn lines(
        mut self,
        request: Request<Full<Bytes>>,
        limit: Duration,
        listens: Duration,
    ) -> Result<(StatusCode, Vec<Bytes>), NoAnswer> {
        let late = |_| NoAnswer::Lost(format!("no answer within {} ms", limit.as_millis()));
        let response = timeout(limit, self.begin(request)).await.map_err(late)??;
        let status = response.status();
        let mut body = Limited::new(response.into_body(), LONGEST_BODY);
        let mut read = BytesMut::new();
        let gather = async {
            while let Some(Ok(frame)) = body.frame().await {
                if let Ok(data) = frame.into_data() {
                    read.extend_from_slice(&data);
                }
            }
        };
        // What was heard by then counts, however it ends.
        let _ = timeout(listens, gather).await;
        let mut lines = Vec::new();
        while let Some(end) = read.iter().position(|byte| *byte == b'\n') {
            let line = read.split_to(end + 1).freeze();
            lines.push(line.slice(..end));
        }
        lines.retain(|line| !line.trim_ascii().is_empty());
        if lines.is_empty() && status.is_success() {
            return Err(NoAnswer::Lost("nothing came of it".to_owned()));
        }
        Ok((status, lines))
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, NoAnswer> {
        let response = self.begin(request).await?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LONGEST_BODY).collect().await;
        let body = body.map_err(|error| {
            let why = format!("the answer's body broke off: {error}");
            let longer = error.is::<http_body_util::LengthLimitError>();
            if longer { NoAnswer::Malformed(why) } else { NoAnswer::Lost(why) }
        })?;
        Ok(Answer::new(parts.status, parts.headers, body.to_bytes()))
    }

    /// Sends one request once, and waits for the beginning of its answer.
    async fn begin(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, NoAnswer> {
        if let Err(error) = self.sender.ready().await {
            return Err(NoAnswer::Unsent(in_words(&error)));
        }
        self.sender.try_send_request(request).await.map_err(|mut error| {
            // The request is given back only if no byte of it was sent. A store that did not take the client's
            // certificate has sent its refusal in place of reading it.
            let unsent = error.take_message().is_some();
            let error = error.into_error();
            match in_words(&error) {
                why if unsent || CertificateRefused::is_in(&error) => NoAnswer::Unsent(why),
                why if error.is_parse() || error.is_parse_status() => NoAnswer::Malformed(why),
                why => NoAnswer::Lost(why),
            }
        })
    }
}

/// An error and its causes, in a line.
fn in_words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
