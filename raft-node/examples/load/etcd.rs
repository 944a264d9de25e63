//! Speaks as much of etcd's v3 gRPC as `KV/Put` and `KV/Range` take, over HTTP/2.
//!
//! The two requests are a handful of protobuf bytes, written by hand: generated code would need
//! protoc to build. A reply counts when the stream ends with `grpc-status: 0`. Reads ask for
//! linearizability, etcd's default (`serializable` unset).

use std::io;
use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use http::Request;
use tokio::net::TcpStream;

use super::measure::Client;

/// A connection, or a share in one.
#[derive(Clone)]
pub(super) struct Connection {
    requests: SendRequest<Bytes>,
    authority: String,
}

pub(super) async fn connect(target: SocketAddr) -> io::Result<Connection> {
    let stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    let mut builder = h2::client::Builder::new();
    builder.initial_connection_window_size(1 << 20).initial_window_size(1 << 20);
    let (requests, connection) = builder.handshake(stream).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    Ok(Connection { requests, authority: target.to_string() })
}

impl Connection {
    async fn call(&mut self, method: &str, message: &[u8]) -> Result<(), CallError> {
        let mut body = BytesMut::with_capacity(5 + message.len());
        body.put_u8(0);
        body.put_u32(u32::try_from(message.len()).map_err(|_| CallError::TooLong)?);
        body.extend_from_slice(message);
        let request = Request::post(format!("http://{}/etcdserverpb.KV/{method}", self.authority))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        let mut requests = self.requests.clone().ready().await?;
        let (response, mut stream) = requests.send_request(request, false)?;
        stream.send_data(body.freeze(), true)?;
        let response = response.await?;
        let (head, mut body) = response.into_parts();
        while let Some(data) = body.data().await {
            let length = data?.len();
            body.flow_control().release_capacity(length)?;
        }
        let trailers = body.trailers().await?;
        let status = trailers.as_ref().unwrap_or(&head.headers).get("grpc-status");
        match status.map(http::HeaderValue::as_bytes) {
            Some(b"0") => Ok(()),
            other => Err(CallError::Status(format!("{other:?} {:?}", head.status))),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error("the request is too long")]
    TooLong,
    #[error("the reply's status is {0}")]
    Status(String),
    #[error(transparent)]
    Request(#[from] http::Error),
    #[error(transparent)]
    Connection(#[from] h2::Error),
}

/// Writes a protobuf field of bytes.
fn put_field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}

impl Client for Connection {
    async fn write(&mut self, key: &str, value: &Bytes) -> io::Result<()> {
        let mut message = Vec::with_capacity(key.len() + value.len() + 8);
        put_field(&mut message, 1, key.as_bytes());
        put_field(&mut message, 2, value);
        self.call("Put", &message).await.map_err(io::Error::other)
    }

    async fn read(&mut self, key: &str) -> io::Result<()> {
        let mut message = Vec::with_capacity(key.len() + 4);
        put_field(&mut message, 1, key.as_bytes());
        self.call("Range", &message).await.map_err(io::Error::other)
    }
}
