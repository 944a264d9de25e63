//! Relays on this machine, with real sockets: what the ends of connections see.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;

use crate::lab::{CLIENTS, Lab, LabBackend, Link, Policy, Rate};

const PORTS: [u16; 2] = [6379, 7000];
/// Longer than any wait that should end.
const LONG: Duration = Duration::from_secs(10);
/// Long enough for what should not come to have come.
const WHILE: Duration = Duration::from_millis(150);
const DELAY: Duration = Duration::from_millis(60);

/// Clients of one node, and the node, which is this process.
struct TestBed {
    lab: Lab,
    runtime: tokio::runtime::Runtime,
}

impl TestBed {
    fn new() -> TestBed {
        let lab = Lab::on_loopback(&["n1"], &PORTS, true, 1).expect("a lab");
        assert_eq!(lab.backend(), LabBackend::Proxies);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        TestBed { lab, runtime: runtime.expect("a runtime") }
    }

    fn listens(&self) -> TcpListener {
        let port = self.lab.ports(&PORTS)[0];
        let listener = TcpListener::bind((self.lab.nodes()[0].address(), port)).expect("listens");
        listener.set_nonblocking(true).expect("an option");
        listener
    }

    fn dials(&self) -> std::io::Result<TcpStream> {
        let port = self.lab.ports(&PORTS)[0];
        let there = SocketAddrV4::new(self.lab.nodes()[0].advertised(), port);
        let own = self.lab.clients().source().expect("an address to dial from");
        let stream = self.runtime.block_on(async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((own, 0).into())?;
            socket.connect(there.into()).await
        })?;
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        Ok(stream)
    }

    /// Dials until the relay has noticed that the node listens.
    fn reaches(&self) -> TcpStream {
        eventually("a relay that listens", || self.dials().ok())
    }

    /// A connection, as the client and as the node have it.
    fn connected(&self, listener: &TcpListener) -> (TcpStream, TcpStream) {
        let mut client = self.reaches();
        client.write_all(b"!").expect("sent");
        (client, accepted(listener, b"!"))
    }

    fn there(&self, change: impl Fn(&mut Policy)) {
        self.lab.network().change(&[Link::new(CLIENTS, "n1")], change).expect("a link");
    }

    fn back(&self, change: impl Fn(&mut Policy)) {
        self.lab.network().change(&[Link::new("n1", CLIENTS)], change).expect("a link");
    }

    fn counters(&self, from: &str, to: &str) -> crate::lab::Counters {
        self.lab.network().counters(from, to).expect("a link")
    }
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < LONG {
        if let Some(seen) = look() {
            return seen;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("{what}: not within {LONG:?}");
}

/// The connection that begins with this word. Others are a relay's, which looks whether anybody
/// listens, and end at once.
fn accepted(listener: &TcpListener, word: &[u8]) -> TcpStream {
    eventually("a connection", || {
        let (mut stream, _) = listener.accept().ok()?;
        stream.set_nonblocking(false).expect("an option");
        (bytes(&mut stream) == word).then_some(stream)
    })
}

/// What comes within a limit; nothing if nothing does.
fn hears(stream: &mut TcpStream, limit: Duration) -> Option<std::io::Result<Vec<u8>>> {
    stream.set_read_timeout(Some(limit)).expect("a limit");
    let mut buffer = [0; 1 << 16];
    match stream.read(&mut buffer) {
        Ok(length) => Some(Ok(buffer[..length].to_vec())),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(error) => Some(Err(error)),
    }
}

fn bytes(stream: &mut TcpStream) -> Vec<u8> {
    hears(stream, LONG).expect("something comes").expect("bytes")
}

fn is_reset(stream: &mut TcpStream) -> bool {
    let heard = hears(stream, LONG).expect("something comes");
    heard.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

#[test]
fn an_open_link_carries_both_ways_and_passes_the_end_on() {
    let ground = TestBed::new();
    let listener = ground.listens();
    let (mut client, mut node) = ground.connected(&listener);
    client.write_all(b"request").expect("sent");
    assert_eq!(bytes(&mut node), b"request");
    node.write_all(b"answer").expect("sent");
    assert_eq!(bytes(&mut client), b"answer");
    client.shutdown(std::net::Shutdown::Write).expect("finished");
    assert_eq!(bytes(&mut node), b"", "its end");
    node.write_all(b"more").expect("sent");
    assert_eq!(bytes(&mut client), b"more", "one end may be open when the other is not");
    drop(node);
    assert_eq!(bytes(&mut client), b"");
    let there = ground.counters(CLIENTS, "n1");
    assert_eq!((there.forwarded_bytes, there.blocked, there.delayed), (8, 0, 0));
    assert_eq!(ground.counters("n1", CLIENTS).forwarded_bytes, 10);
    let series = ground.lab.network().series();
    let carried: u64 = series.samples.iter().map(|it| it.counters.forwarded_bytes).sum();
    assert_eq!(carried, 18, "{series:?}");
}

#[test]
fn a_blocked_request_is_silence_and_arrives_when_the_link_is_mended() {
    let ground = TestBed::new();
    let listener = ground.listens();
    let (mut client, mut node) = ground.connected(&listener);
    ground.there(|policy| policy.block = true);
    client.write_all(b"one").expect("sent");
    assert!(hears(&mut node, WHILE).is_none());
    client.write_all(b"two").expect("sent");
    node.write_all(b"the other way").expect("sent");
    assert_eq!(bytes(&mut client), b"the other way");
    eventually("it is counted", || (ground.counters(CLIENTS, "n1").blocked > 0).then_some(()));
    ground.there(|policy| policy.block = false);
    let mut heard = Vec::new();
    while heard.len() < 6 {
        heard.extend(bytes(&mut node));
    }
    assert_eq!(heard, b"onetwo", "in order, and once");
}

#[test]
fn a_blocked_answer_leaves_requests_alone() {
    let ground = TestBed::new();
    let listener = ground.listens();
    let (mut client, mut node) = ground.connected(&listener);
    ground.back(|policy| policy.block = true);
    client.write_all(b"request").expect("sent");
    assert_eq!(bytes(&mut node), b"request");
    node.write_all(b"answer").expect("sent");
    assert!(hears(&mut client, WHILE).is_none());
    ground.back(|policy| policy.block = false);
    assert_eq!(bytes(&mut client), b"answer");
}

#[test]
fn a_connection_through_a_blocked_link_is_silence_and_not_a_refusal() {
    let ground = TestBed::new();
    let listener = ground.listens();
    drop(ground.connected(&listener));
    ground.there(|policy| policy.block = true);
    let mut client = ground.dials().expect("accepted");
    client.write_all(b"request").expect("sent");
    assert!(hears(&mut client, WHILE).is_none());
    while let Ok((mut stream, _)) = listener.accept() {
        stream.set_nonblocking(false).expect("an option");
        assert_eq!(bytes(&mut stream), b"", "the node hears nothing of it");
    }
    ground.there(|policy| policy.block = false);
    accepted(&listener, b"request");
}

#[test]
fn a_node_that_does_not_listen_refuses() {
    let ground = TestBed::new();
    let refused = |ground: &TestBed| {
        let error = ground.dials().err()?;
        (error.kind() == ErrorKind::ConnectionRefused).then_some(())
    };
    assert!(refused(&ground).is_some(), "not yet");
    let listener = ground.listens();
    let (client, node) = ground.connected(&listener);
    drop((listener, node));
    eventually("a refusal", || refused(&ground));
    drop(client);
    let listener = ground.listens();
    ground.connected(&listener);
}

#[test]
fn nobody_can_tell_behind_a_blocked_link_whether_a_node_listens() {
    let ground = TestBed::new();
    ground.there(|policy| policy.block = true);
    let mut client = ground.reaches();
    assert!(hears(&mut client, WHILE).is_none());
    ground.there(|policy| policy.block = false);
    assert!(is_reset(&mut client), "now it can");
}

#[test]
fn a_delay_is_the_links_own() {
    let ground = TestBed::new();
    let listener = ground.listens();
    let (mut client, mut node) = ground.connected(&listener);
    let trip = |client: &mut TcpStream, node: &mut TcpStream| {
        let begun = Instant::now();
        client.write_all(b"request").expect("sent");
        bytes(node);
        let there = begun.elapsed();
        node.write_all(b"answer").expect("sent");
        bytes(client);
        (there, begun.elapsed() - there)
    };
    ground.back(|policy| policy.delay = DELAY);
    let (_, back) = trip(&mut client, &mut node);
    assert!(back >= DELAY, "{back:?}");
    ground.back(|policy| policy.delay = Duration::ZERO);
    ground.there(|policy| policy.delay = DELAY);
    let (there, _) = trip(&mut client, &mut node);
    assert!(there >= DELAY, "{there:?}");
    assert_eq!(ground.counters(CLIENTS, "n1").delayed, 1);
    assert_eq!(ground.counters("n1", CLIENTS).delayed, 1);
}

#[test]
fn a_held_link_lets_everything_go_in_order() {
    let ground = TestBed::new();
    let listener = ground.listens();
    let (mut client, mut node) = ground.connected(&listener);
    ground.there(|policy| policy.hold = true);
    for word in [&b"one "[..], b"two ", b"three"] {
        client.write_all(word).expect("sent");
        assert!(hears(&mut node, Duration::from_millis(20)).is_none());
    }
    eventually("it is counted", || (ground.counters(CLIENTS, "n1").delayed > 0).then_some(()));
    drop(client);
    ground.there(|policy| policy.hold = false);
    let mut heard = Vec::new();
    while !heard.ends_with(b"three") {
        heard.extend(bytes(&mut node));
    }
    assert_eq!(heard, b"one two three");
    assert_eq!(bytes(&mut node), b"", "and then the end");
}

#[test]
fn a_reset_reaches_both_ends_past_a_blocked_link() {
    let ground = TestBed::new();
    let listener = ground.listens();
    let (mut client, mut node) = ground.connected(&listener);
    let link = Link::new(CLIENTS, "n1");
    ground.there(|policy| policy.block = true);
    client.write_all(b"lost").expect("sent");
    let reset = ground.lab.network().reset(&[link.clone(), Link::new("n1", CLIENTS)]);
    assert_eq!(reset, Ok(1), "counted once");
    assert!(is_reset(&mut client) && is_reset(&mut node));
    ground.there(|policy| policy.block = false);
    assert_eq!(ground.lab.network().reset(&[link]), Ok(0));
    assert_eq!(ground.counters(CLIENTS, "n1").reset, 1);
    let (mut client, mut node) = ground.connected(&listener);
    client.write_all(b"anew").expect("sent");
    assert_eq!(bytes(&mut node), b"anew");
}

#[test]
fn a_nodes_reset_reaches_the_client_as_one() {
    let ground = TestBed::new();
    let listener = ground.listens();
    let (mut client, node) = ground.connected(&listener);
    client.write_all(b"never read").expect("sent");
    eventually("it arrives", || {
        let mut byte = [0];
        (node.peek(&mut byte).ok()? == 1).then_some(())
    });
    // With something unread, closing is a reset.
    drop(node);
    assert!(is_reset(&mut client));
}

#[test]
fn a_rate_spreads_what_is_sent() {
    let ground = TestBed::new();
    let listener = ground.listens();
    let (mut client, mut node) = ground.connected(&listener);
    let rate = Rate::new(std::num::NonZeroU64::new(200_000).expect("not zero"));
    ground.there(|policy| policy.rate = Some(rate));
    let begun = Instant::now();
    let sent = 32_000 + 60_000;
    client.write_all(&vec![7; sent]).expect("sent");
    let mut heard = 0;
    while heard < sent {
        heard += bytes(&mut node).len();
    }
    // All but the burst and one chunk.
    let least = Duration::from_millis(200);
    assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
}

#[test]
fn a_receiver_that_does_not_read_holds_its_sender_back_and_loses_nothing() {
    let ground = TestBed::new();
    let listener = ground.listens();
    let (mut client, mut node) = ground.connected(&listener);
    let sent: Vec<u8> = (0..24_u32 << 20).map(|number| (number % 251) as u8).collect();
    let sender = std::thread::spawn({
        let sent = sent.clone();
        move || client.write_all(&sent).map(|()| client)
    });
    std::thread::sleep(WHILE);
    assert!(!sender.is_finished(), "nobody keeps that much");
    let mut heard = Vec::new();
    while heard.len() < sent.len() {
        heard.extend(bytes(&mut node));
    }
    assert!(heard == sent);
    sender.join().expect("no panic").expect("sent");
}

#[test]
fn a_stranger_is_turned_away() {
    let ground = TestBed::new();
    let _listener = ground.listens();
    drop(ground.reaches());
    let port = ground.lab.ports(&PORTS)[0];
    let there = (ground.lab.nodes()[0].advertised(), port);
    let mut stranger = TcpStream::connect(there).expect("accepted");
    assert!(is_reset(&mut stranger));
    let crate::lab::Network::Proxies(proxies) = ground.lab.network() else { panic!("relays") };
    assert_eq!(proxies.strangers(), 1);
}

#[test]
fn clients_that_gave_up_behind_a_blocked_link_do_not_pile_up_for_ever() {
    let ground = TestBed::new();
    let listener = ground.listens();
    drop(ground.connected(&listener));
    ground.there(|policy| policy.block = true);
    let mut patient = ground.dials().expect("accepted");
    for _ in 0..super::ORPHANS + 40 {
        drop(ground.dials().expect("accepted"));
    }
    let crate::lab::Network::Proxies(proxies) = ground.lab.network() else { panic!("relays") };
    eventually("they are bounded", || {
        let open = super::lock(&proxies.shared.core).open.len();
        (open == super::ORPHANS + 1).then_some(())
    });
    assert!(hears(&mut patient, WHILE).is_none(), "whoever waits still waits");
}
