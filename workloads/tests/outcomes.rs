//! What a client makes of a store that misbehaves on the wire: *fail* only when nothing can have
//! happened, *unknown* whenever something may have.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use partita_workloads::client::{
    BoxStream, Client, ClientOptions, Dial, Endpoint, Limits, RetryPolicy, Tables, resp,
};
use partita_workloads::{Completion, Invocation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const LIMITS: Limits =
    Limits { connect: Duration::from_secs(5), reply: Duration::from_millis(300) };

fn client_of(address: SocketAddr) -> Box<dyn Client> {
    client_with(address, RetryPolicy::Never)
}

fn client_with(address: SocketAddr, retry: RetryPolicy) -> Box<dyn Client> {
    let dial: Dial = Arc::new(|to: Endpoint| {
        Box::pin(async move { Ok(Box::new(TcpStream::connect(to.address).await?) as BoxStream) })
    });
    let protocol = (resp::ENTRY.open)(&mut Tables::default()).expect("needs no table");
    let endpoint = Endpoint { node: "n1".into(), address };
    protocol.client(&endpoint, &dial, ClientOptions { limits: LIMITS, retry })
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

async fn read_request(stream: &mut TcpStream) {
    let mut buffer = [0; 1024];
    let count = stream.read(&mut buffer).await.expect("a request");
    assert!(count > 0, "the client closed before it asked");
}

fn write() -> Invocation {
    Invocation::write("k1".into(), 1.into())
}

#[tokio::test]
async fn a_refused_connection_certainly_changed_nothing() {
    let (listener, address) = listener().await;
    drop(listener);
    let completion = client_of(address).invoke(&write()).await;
    assert!(matches!(completion, Completion::Fail(_)), "{completion:?}");
}

#[tokio::test]
async fn a_request_without_reply_may_have_happened() {
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        read_request(&mut stream).await;
        stream // Kept open and silent.
    });
    let completion = client_of(address).invoke(&write()).await;
    assert!(matches!(completion, Completion::Unknown(_)), "{completion:?}");
    server.await.expect("served");
}

#[tokio::test]
async fn a_connection_lost_after_the_request_may_have_carried_it() {
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        read_request(&mut stream).await;
    });
    let completion = client_of(address).invoke(&write()).await;
    assert!(matches!(completion, Completion::Unknown(_)), "{completion:?}");
    server.await.expect("served");
}

#[tokio::test]
async fn a_late_reply_is_never_taken_for_the_next_answer() {
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.expect("a client");
        read_request(&mut first).await;
        let (mut second, _) = listener.accept().await.expect("the client again");
        let late = first.write_all(b"$5\r\nstale\r\n").await;
        read_request(&mut second).await;
        second.write_all(b"$5\r\nfresh\r\n").await.expect("answered");
        drop(late);
    });
    let mut client = client_of(address);
    let read = Invocation::read("k1".into());
    assert!(matches!(client.invoke(&read).await, Completion::Unknown(_)));
    assert_eq!(client.invoke(&read).await, Completion::Answered("fresh".into()));
    server.await.expect("served");
}

#[tokio::test]
async fn a_connection_closed_between_requests_costs_no_operation() {
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.expect("a client");
            read_request(&mut stream).await;
            stream.write_all(b"+OK\r\n").await.expect("answered");
        }
    });
    let mut client = client_of(address);
    assert_eq!(client.invoke(&write()).await, Completion::Done);
    // Long enough for the close to arrive; if it has not, the outcome is open, never a fail.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let second = client.invoke(&write()).await;
    assert!(!matches!(second, Completion::Fail(_)), "{second:?}");
    server.abort();
}

#[tokio::test]
async fn garbage_instead_of_a_reply_leaves_the_outcome_open() {
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("answered");
        stream
    });
    let completion = client_of(address).invoke(&write()).await;
    assert!(matches!(completion, Completion::Unknown(_)), "{completion:?}");
    server.await.expect("served");
}

/// Answers one request on a new connection: with these bytes, or by closing it. What was asked.
async fn serve(listener: &TcpListener, answer: Option<&str>) -> String {
    let (mut stream, _) = listener.accept().await.expect("a client");
    answer_on(&mut stream, answer).await
}

async fn answer_on(stream: &mut TcpStream, answer: Option<&str>) -> String {
    let mut buffer = [0; 1024];
    let count = stream.read(&mut buffer).await.expect("a request");
    if let Some(answer) = answer {
        stream.write_all(answer.as_bytes()).await.expect("answered");
    }
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

fn append() -> Invocation {
    Invocation::append("k1".into(), "7,".into())
}

#[tokio::test]
async fn in_a_session_a_lost_answer_is_asked_for_again_under_the_same_number() {
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        assert!(answer_on(&mut stream, Some(":42\r\n")).await.contains("SESSION"));
        let first = answer_on(&mut stream, None).await;
        drop(stream);
        // The store cannot say whether the first arrived either; the third answers for all.
        let second = serve(&listener, Some("-UNCERTAIN lost\r\n"));
        let second = second.await;
        let third = serve(&listener, Some(":2\r\n")).await;
        (first, second, third)
    });
    let mut client = client_with(address, RetryPolicy::InSession);
    // The second answer came on a connection that is closed by now, so each asks on a new one.
    assert_eq!(client.invoke(&append()).await, Completion::Done);
    let (first, second, third) = server.await.expect("served");
    assert!(first.contains("ONCE\r\n$2\r\n42\r\n$1\r\n1\r\n$6\r\nAPPEND"), "{first}");
    assert_eq!((&first, &first), (&second, &third));
}

#[tokio::test]
async fn in_a_session_a_refusal_after_a_lost_answer_leaves_the_outcome_open() {
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        answer_on(&mut stream, Some(":42\r\n")).await;
        answer_on(&mut stream, None).await;
        drop(stream);
        loop {
            serve(&listener, Some("-NOLEADER nobody leads\r\n")).await;
        }
    });
    let mut client = client_with(address, RetryPolicy::InSession);
    let completion = client.invoke(&append()).await;
    assert!(matches!(completion, Completion::Unknown(_)), "{completion:?}");
    server.abort();
}

#[tokio::test]
async fn without_a_session_nothing_was_asked_for_in_one() {
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move { serve(&listener, Some("-UNCERTAIN lost\r\n")).await });
    let mut client = client_with(address, RetryPolicy::InSession);
    let completion = client.invoke(&append()).await;
    assert!(matches!(completion, Completion::Fail(_)), "{completion:?}");
    assert!(server.await.expect("served").contains("SESSION"));
}
