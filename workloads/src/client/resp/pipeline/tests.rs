//! What clients of one connection get of a peer that answers, breaks off, comes late, or says too much.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::super::super::protocol::{Limits, RetryPolicy};
use super::*;
use crate::operation::{Completion, Invocation};

/// What the peer does with one connection: the requests are reads, of 24 bytes each.
type Peer = Box<dyn FnOnce(TcpStream) -> JoinHandle<()> + Send>;

const REQUEST: usize = "*2\r\n$3\r\nGET\r\n$2\r\nk0\r\n".len();

async fn read(stream: &mut TcpStream, requests: usize) -> String {
    let mut bytes = vec![0; REQUEST * requests];
    stream.read_exact(&mut bytes).await.expect("requests");
    String::from_utf8(bytes).expect("text")
}

/// A pipeline to a peer that does with each connection what the next of `peers` says, and then refuses.
async fn pipeline(reply: Duration, peers: Vec<Peer>) -> (RespPipeline, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        for peer in peers {
            let (stream, _) = listener.accept().await.expect("a client");
            peer(stream);
        }
    });
    let dial: Dial = Arc::new(|to: Endpoint| {
        Box::pin(async move { Ok(Box::new(TcpStream::connect(to.address).await?) as BoxStream) })
    });
    let endpoint = Endpoint { node: "n1".into(), address };
    let limits = Limits { connect: Duration::from_secs(20), reply };
    let options = ClientOptions { limits, retry: RetryPolicy::Never };
    (RespPipeline::new(&Arc::default(), &endpoint, &dial, options), address)
}

fn get(key: &str) -> Invocation {
    Invocation::read(key.into())
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn replies_are_matched_in_order_while_all_requests_are_in_flight() {
    let peer: Peer = Box::new(|mut stream| {
        tokio::spawn(async move {
            // No reply before all have come: they are in flight together.
            let asked = read(&mut stream, 3).await;
            let keys: Vec<&str> = asked.lines().filter(|line| line.starts_with('k')).collect();
            for key in keys {
                let reply = format!("$2\r\n{}7\r\n", &key[1..]);
                stream.write_all(reply.as_bytes()).await.expect("sent");
            }
            let _open = stream;
            std::future::pending::<()>().await;
        })
    });
    let (pipeline, _) = pipeline(LONG, vec![peer]).await;
    let ask = |key: &'static str| {
        let mut client = pipeline.client();
        async move { client.invoke(&get(key)).await }
    };
    let (one, two, three) = tokio::join!(ask("k1"), ask("k2"), ask("k3"));
    let answered = |value: i64| Completion::Answered(value.into());
    assert_eq!((one, two, three), (answered(17), answered(27), answered(37)));
}

#[tokio::test]
async fn a_connection_that_breaks_makes_all_in_flight_unknown_and_another_is_opened() {
    let breaks: Peer = Box::new(|mut stream| {
        tokio::spawn(async move {
            read(&mut stream, 2).await;
            stream.write_all(b"$1\r\n5\r\n").await.expect("sent");
        })
    });
    let answers: Peer = Box::new(|mut stream| {
        tokio::spawn(async move {
            read(&mut stream, 1).await;
            stream.write_all(b"$1\r\n6\r\n").await.expect("sent");
            std::future::pending::<()>().await;
        })
    });
    let (pipeline, _) = pipeline(LONG, vec![breaks, answers]).await;
    let (mut a, mut b) = (pipeline.client(), pipeline.client());
    let (of_a, of_b) = (get("k1"), get("k2"));
    let (one, two) = tokio::join!(a.invoke(&of_a), b.invoke(&of_b));
    assert_eq!(one, Completion::Answered(5.into()));
    assert!(matches!(two, Completion::Unknown(_)), "{two:?}");
    assert_eq!(b.invoke(&of_b).await, Completion::Answered(6.into()));
}

#[tokio::test]
async fn a_late_reply_is_no_answer_to_the_next_request() {
    let slow: Peer = Box::new(|mut stream| {
        tokio::spawn(async move {
            read(&mut stream, 1).await;
            tokio::time::sleep(Duration::from_millis(600)).await;
            let _ = stream.write_all(b"$1\r\n5\r\n").await;
            std::future::pending::<()>().await;
        })
    });
    let answers: Peer = Box::new(|mut stream| {
        tokio::spawn(async move {
            read(&mut stream, 1).await;
            stream.write_all(b"$1\r\n6\r\n").await.expect("sent");
            std::future::pending::<()>().await;
        })
    });
    let (pipeline, _) = pipeline(Duration::from_millis(300), vec![slow, answers]).await;
    let mut client = pipeline.client();
    let late = client.invoke(&get("k1")).await;
    assert!(matches!(&late, Completion::Unknown(why) if why.contains("no reply")), "{late:?}");
    assert_eq!(client.invoke(&get("k2")).await, Completion::Answered(6.into()));
}

#[tokio::test]
async fn what_nobody_asked_for_is_against_the_protocol() {
    let generous: Peer = Box::new(|mut stream| {
        tokio::spawn(async move {
            read(&mut stream, 1).await;
            stream.write_all(b"$1\r\n5\r\n$1\r\n6\r\n").await.expect("sent");
            std::future::pending::<()>().await;
        })
    });
    let (pipeline, _) = pipeline(LONG, vec![generous]).await;
    let mut client = pipeline.client();
    assert_eq!(client.invoke(&get("k1")).await, Completion::Answered(5.into()));
    let mut violations = Vec::new();
    while violations.is_empty() {
        tokio::task::yield_now().await;
        violations = client.protocol_violations();
    }
    assert_eq!(violations[0].sample, r"$1\r\n6\r\n");
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let (pipeline, _) = pipeline(LONG, Vec::new()).await;
    // The listener is gone once its task has run.
    let mut client = pipeline.client();
    let failed = loop {
        match client.invoke(&get("k1")).await {
            Completion::Unknown(_) => tokio::task::yield_now().await,
            other => break other,
        }
    };
    assert!(matches!(failed, Completion::Fail(_)), "{failed:?}");
}
