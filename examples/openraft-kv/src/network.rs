//! What nodes say to each other: HTTP with JSON, a connection to each.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use openraft::error::{
    InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Unreachable,
};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{AnyError, BasicNode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::Config;

type Failure<E> = RPCError<u64, BasicNode, RaftError<u64, E>>;

/// Makes connections.
pub struct Peers;

impl RaftNetworkFactory<Config> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, id: u64, node: &BasicNode) -> Peer {
        Peer { id, address: node.addr.clone(), connection: None }
    }
}

/// A node as another one reaches it.
pub struct Peer {
    id: u64,
    address: String,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Peer {
    /// Asks, and has the answer. openraft drops this when it has waited for long enough, and the connection with it: what
    /// comes later is no answer to what is asked next.
    async fn ask<Q, A, E>(&mut self, path: &str, request: &Q) -> Result<A, Failure<E>>
    where
        Q: Serialize + Sync,
        A: DeserializeOwned,
        E: std::error::Error + DeserializeOwned,
    {
        let body = serde_json::to_vec(request).map_err(|error| NetworkError::new(&error))?;
        let mut connection =
            match self.connection.take().filter(|connection| !connection.is_closed()) {
                Some(connection) => connection,
                None => connect(&self.address).await.map_err(Unreachable::from)?,
            };
        let answer = exchange(&mut connection, &self.address, &Method::POST, path, body.into())
            .await
            .map_err(NetworkError::from)?;
        self.connection = Some(connection);
        let answer: Result<A, RaftError<u64, E>> =
            serde_json::from_slice(answer.body()).map_err(|error| NetworkError::new(&error))?;
        answer.map_err(|error| RemoteError::new(self.id, error).into())
    }
}

/// Connects to a node.
pub async fn connect(address: &str) -> Result<SendRequest<Full<Bytes>>, AnyError> {
    let stream = TcpStream::connect(address).await.map_err(|error| AnyError::new(&error))?;
    stream.set_nodelay(true).map_err(|error| AnyError::new(&error))?;
    let (sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| AnyError::new(&error))?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Sends a request and has the whole answer.
pub async fn exchange(
    connection: &mut SendRequest<Full<Bytes>>,
    address: &str,
    method: &Method,
    path: &str,
    body: Bytes,
) -> Result<Response<Bytes>, AnyError> {
    let request = Request::builder().method(method).uri(path).header("host", address);
    let request = request.body(Full::from(body)).map_err(|error| AnyError::new(&error))?;
    connection.ready().await.map_err(|error| AnyError::new(&error))?;
    let answer = connection.send_request(request).await.map_err(|error| AnyError::new(&error))?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(|error| AnyError::new(&error))?.to_bytes();
    Ok(Response::from_parts(head, body))
}

impl RaftNetwork<Config> for Peer {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Config>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failure<openraft::error::Infallible>> {
        self.ask("/raft/append", &request).await
    }

    async fn install_snapshot(
        &mut self,
        request: InstallSnapshotRequest<Config>,
        _: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Failure<InstallSnapshotError>> {
        self.ask("/raft/snapshot", &request).await
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        _: RPCOption,
    ) -> Result<VoteResponse<u64>, Failure<openraft::error::Infallible>> {
        self.ask("/raft/vote", &request).await
    }
}
