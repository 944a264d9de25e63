//! The HTTP server: clients on one port, the other nodes on another.
//!
//! | request | answers |
//! | --- | --- |
//! | `GET /kv/KEY` | `{"value": …}`, null if the key holds nothing |
//! | `PUT /kv/KEY`, with `{"value": …}` and if need be `{"only_if": …}` | `{"done": true, "saw": …}` |
//! | `GET /status` | role, term and log as this node has them |
//!
//! A node that does not lead passes reads and writes on to the one that does. 421 is the answer of a node that did not and has
//! done nothing itself, 503 of one that did not read, and 500 to a write of which nobody knows what will become of it.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use openraft::{AnyError, Raft, ServerState};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::machine::Machine;
use crate::network::{connect, exchange};
use crate::{Command, Config};

type Answer = (StatusCode, Value);
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a request is answered from.
#[derive(Clone)]
pub struct Node {
    /// Its number in the cluster.
    pub id: u64,
    /// What replicates writes and says who leads.
    pub raft: Raft<Config>,
    /// What reads are answered from.
    pub machine: Machine,
    /// The term that its vote was of, and the last index of its log, when it was started.
    pub started: (u64, Option<u64>),
    /// Whether it passes on what only the leader can do: what was passed on already goes no further.
    pub passes_on: bool,
}

/// The body of a write.
#[derive(Deserialize)]
struct Put {
    value: String,
    only_if: Option<String>,
}

/// Answers connections until the process ends.
pub async fn serve(listener: TcpListener, node: Node) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let node = node.clone();
        let service = service_fn(move |request| {
            let node = node.clone();
            async move {
                let (status, body) = node.answer(request).await.unwrap_or_else(|error| {
                    (StatusCode::BAD_REQUEST, json!({ "error": error.to_string() }))
                });
                Response::builder().status(status).body(Full::<Bytes>::from(body.to_string()))
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

impl Node {
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Failure> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        match (&head.method, head.uri.path()) {
            (&Method::POST, "/raft/append") => {
                told(&self.raft.append_entries(serde_json::from_slice(&body)?).await)
            }
            (&Method::POST, "/raft/vote") => {
                told(&self.raft.vote(serde_json::from_slice(&body)?).await)
            }
            (&Method::POST, "/raft/snapshot") => {
                told(&self.raft.install_snapshot(serde_json::from_slice(&body)?).await)
            }
            (&Method::GET, "/status") => Ok((StatusCode::OK, self.status())),
            (_, path) => match path.strip_prefix("/kv/") {
                Some(key) => self.perform(&head.method, key, body).await,
                None => Ok((StatusCode::NOT_FOUND, Value::Null)),
            },
        }
    }

    async fn perform(&self, method: &Method, key: &str, body: Bytes) -> Result<Answer, Failure> {
        if self.passes_on
            && let Some(leader) = self.other_leader()
        {
            return Ok(pass_on(&leader, method, key, body).await);
        }
        match *method {
            Method::GET => Ok(self.read(key).await),
            Method::PUT => Ok(self.write(key, serde_json::from_slice(&body)?).await),
            _ => Ok((StatusCode::METHOD_NOT_ALLOWED, Value::Null)),
        }
    }

    /// The address of the leader, if it is another node.
    fn other_leader(&self) -> Option<String> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let leader = metrics.current_leader.filter(|leader| *leader != self.id)?;
        metrics.membership_config.membership().get_node(&leader).map(|node| node.addr.clone())
    }

    /// Reads when a quorum has said that this node still leads, and all is applied that was committed before that.
    async fn read(&self, key: &str) -> Answer {
        if !self.has_caught_up() {
            return (StatusCode::SERVICE_UNAVAILABLE, json!({ "error": "restarted a moment ago" }));
        }
        match self.raft.ensure_linearizable().await {
            Ok(_) => (StatusCode::OK, json!({ "value": self.machine.get(key) })),
            Err(error) => (StatusCode::SERVICE_UNAVAILABLE, json!({ "error": error.to_string() })),
        }
    }

    /// Whether all is applied that this node may have acknowledged before it was started.
    ///
    /// openraft has a leader that comes back before another was elected go on in the same term. Where the store keeps no
    /// `committed`, it then takes for committed what the snapshot has, and `ensure_linearizable` waits for no more. In a later
    /// term it waits for the first entry of that term, which comes after all others.
    fn has_caught_up(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let (term, last) = self.started;
        metrics.current_term > term || metrics.last_applied.map(|applied| applied.index) >= last
    }

    /// Writes. Only what is refused here, before openraft has it, has certainly not happened: openraft answers
    /// `ForwardToLeader` as well when a new leader had it drop an entry from its log, and another node that has the entry
    /// may still become leader and commit it.
    async fn write(&self, key: &str, put: Put) -> Answer {
        if self.raft.metrics().borrow().state != ServerState::Leader {
            return (StatusCode::MISDIRECTED_REQUEST, json!({ "error": "not the leader" }));
        }
        let command = Command { key: key.to_owned(), value: put.value, only_if: put.only_if };
        match self.raft.client_write(command).await {
            Ok(written) => (StatusCode::OK, json!(written.data)),
            Err(error) => {
                (StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": error.to_string() }))
            }
        }
    }

    fn status(&self) -> Value {
        let metrics = self.raft.metrics().borrow().clone();
        json!({
            "id": self.id,
            "role": metrics.state,
            "term": metrics.current_term,
            "leader": metrics.current_leader,
            "last": metrics.last_log_index,
            "applied": metrics.last_applied.map(|applied| applied.index),
        })
    }
}

/// Has the leader do it. What it was not asked has not happened.
async fn pass_on(leader: &str, method: &Method, key: &str, body: Bytes) -> Answer {
    let error = |status, error: AnyError| (status, json!({ "error": error.to_string() }));
    let mut connection = match connect(leader).await {
        Ok(connection) => connection,
        Err(reason) => return error(StatusCode::MISDIRECTED_REQUEST, reason),
    };
    let answer = match exchange(&mut connection, leader, method, &format!("/kv/{key}"), body).await
    {
        Ok(answer) => answer,
        Err(reason) => return error(StatusCode::INTERNAL_SERVER_ERROR, reason),
    };
    let status = answer.status();
    match serde_json::from_slice(answer.body()) {
        Ok(body) => (status, body),
        Err(reason) => error(StatusCode::INTERNAL_SERVER_ERROR, AnyError::new(&reason)),
    }
}

/// What openraft made of a message, its errors included, as the other node's openraft expects it.
fn told<A: Serialize, E: Serialize>(result: &Result<A, E>) -> Result<Answer, Failure> {
    Ok((StatusCode::OK, serde_json::to_value(result)?))
}
