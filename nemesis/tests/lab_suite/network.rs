//! Real sockets on real hosts: what the switch carries, and what it does not.

mod policies;
mod records;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::panic::AssertUnwindSafe;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::Scenario;
use partita_nemesis::lab::{Host, Link};
use partita_nemesis::{Lab, Policy};

/// Long enough for what is under way to arrive, if it arrives at all.
const SILENCE: Duration = Duration::from_millis(300);
const BLOCK: Policy = Policy { block: true, ..Policy::OPEN };

/// What is tested inside a lab.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "a_tcp_connection_passes_through_the_switch", run: tcp },
    Scenario { name: "large_transfers_arrive_unchanged", run: large_transfer },
    Scenario { name: "a_block_silences_one_direction_until_it_is_lifted", run: block },
    Scenario { name: "a_blocked_peer_is_silent_not_unreachable", run: silence },
    Scenario { name: "a_connection_outlives_a_partition", run: outlive },
    Scenario { name: "a_delay_holds_every_frame_and_keeps_their_order", run: delay },
    Scenario { name: "a_thread_returns_from_a_host_even_by_a_panic", run: enter },
    Scenario { name: "hosts_have_loopback_and_no_ipv6", run: interfaces },
    Scenario { name: "a_link_of_an_unknown_host_is_refused", run: unknown_host },
    Scenario { name: "a_second_lab_may_follow_the_first", run: twice },
    Scenario { name: "a_lossy_link_loses_its_share_and_tcp_makes_up_for_it", run: policies::loss },
    Scenario { name: "a_bursty_link_loses_frames_in_bursts", run: policies::bursty_loss },
    Scenario { name: "one_seed_loses_the_same_frames_again", run: policies::seed },
    Scenario { name: "a_duplicated_datagram_arrives_twice", run: policies::duplicate },
    Scenario { name: "a_reordered_datagram_arrives_late_but_once", run: policies::reorder },
    Scenario { name: "a_mended_corruption_reaches_the_program", run: policies::corrupt_mended },
    Scenario {
        name: "an_unmended_corruption_stops_at_the_kernel",
        run: policies::corrupt_unmended,
    },
    Scenario { name: "a_rate_slows_a_transfer_down", run: policies::rate },
    Scenario { name: "jitter_varies_the_delay_and_keeps_the_order", run: policies::jitter },
    Scenario { name: "a_held_link_keeps_everything_and_releases_it_in_order", run: policies::hold },
    Scenario { name: "a_reset_ends_a_links_connections_at_both_ends", run: policies::reset },
    Scenario { name: "a_reset_ends_a_connection_under_load", run: policies::reset_under_load },
    Scenario { name: "a_reset_passes_a_partition", run: policies::reset_while_cut },
    Scenario { name: "a_clients_link_is_a_link_like_any_other", run: policies::clients },
    Scenario { name: "counters_are_kept_in_periods_of_100_ms", run: records::series },
    Scenario { name: "a_capture_holds_what_a_link_delivered", run: records::capture },
    Scenario { name: "a_capture_keeps_within_its_limits", run: records::limited_capture },
];

fn lab() -> Lab {
    Lab::build(&["n1", "n2", "n3"]).expect("a lab")
}

fn host<'a>(lab: &'a Lab, name: &str) -> &'a Host {
    lab.host(name).expect("a host of the lab")
}

fn listen(host: &Host) -> TcpListener {
    host.enter(|| TcpListener::bind((host.address(), 7000))).expect("inside").expect("listens")
}

fn connect(from: &Host, to: &Host) -> std::io::Result<TcpStream> {
    let address = SocketAddr::from((to.address(), 7000));
    from.enter(|| TcpStream::connect_timeout(&address, Duration::from_secs(10))).expect("inside")
}

fn udp(host: &Host) -> UdpSocket {
    let socket = host.enter(|| UdpSocket::bind((host.address(), 9000))).expect("inside");
    let socket = socket.expect("binds");
    socket.set_read_timeout(Some(SILENCE)).expect("a timeout");
    socket
}

fn send(from: &UdpSocket, to: &Host, byte: u8) {
    from.send_to(&[byte], (to.address(), 9000)).expect("sends");
}

fn received(socket: &UdpSocket) -> Option<u8> {
    let mut byte = [0];
    match socket.recv(&mut byte) {
        Ok(_) => Some(byte[0]),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error}"),
    }
}

/// Answers every byte with itself.
fn echo(listener: TcpListener) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.set_nodelay(true).expect("a socket option");
        let mut buffer = [0; 64];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            stream.write_all(&buffer[..length]).expect("answers");
        }
    })
}

fn tcp() {
    let start = Instant::now();
    let lab = lab();
    let built = start.elapsed();
    let (clients, n1) = (lab.clients(), host(&lab, "n1"));
    let server = echo(listen(n1));
    let mut stream = connect(clients, n1).expect("connects");
    println!("built in {built:?}, first connection after {:?}", start.elapsed());
    stream.set_nodelay(true).expect("a socket option");
    assert_eq!(stream.local_addr().expect("an address").ip(), clients.address());

    let mut round_trips: Vec<Duration> = (0..2_000)
        .map(|_| {
            let sent = Instant::now();
            let mut answer = [0; 64];
            stream.write_all(&[7; 64]).expect("sends");
            stream.read_exact(&mut answer).expect("receives");
            assert_eq!(answer, [7; 64]);
            sent.elapsed()
        })
        .collect();
    round_trips.sort();
    println!("round trip: median {:?}, 99 % {:?}", round_trips[1_000], round_trips[1_980]);
    drop(stream);
    server.join().expect("the server");

    let there = lab.network().counters("clients", "n1").expect("a link");
    let back = lab.network().counters("n1", "clients").expect("a link");
    assert!(there.forwarded >= 2_000 && back.forwarded >= 2_000, "{there:?} {back:?}");
    assert!(there.forwarded_bytes > there.forwarded * 14);
    assert_eq!((there.lost, there.blocked, there.delayed, there.overflowed), (0, 0, 0, 0));
    assert_eq!(lab.network().failure(), None);
}

fn large_transfer() {
    let lab = lab();
    let (n1, n2) = (host(&lab, "n1"), host(&lab, "n2"));
    let listener = listen(n2);
    let sent: Vec<u8> =
        (0..8 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let receiver = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut received = Vec::new();
        stream.read_to_end(&mut received).expect("receives");
        received
    });
    let start = Instant::now();
    let mut stream = connect(n1, n2).expect("connects");
    stream.write_all(&sent).expect("sends");
    drop(stream);
    assert!(receiver.join().expect("the receiver") == sent, "the bytes differ");
    println!("8 MiB in {:?}", start.elapsed());
}

fn block() {
    let lab = lab();
    let (n1, n2) = (host(&lab, "n1"), host(&lab, "n2"));
    let (one, two) = (udp(n1), udp(n2));
    lab.network().set("n1", "n2", BLOCK).expect("a link");
    send(&one, n2, 1);
    send(&two, n1, 2);
    assert_eq!(received(&two), None, "blocked");
    assert_eq!(received(&one), Some(2), "the other direction is open");
    assert_eq!(lab.network().counters("n1", "n2").expect("a link").blocked, 1);
    assert_eq!(lab.network().policy("n1", "n2"), Ok(BLOCK));

    lab.network().set("n1", "n2", Policy::default()).expect("a link");
    send(&one, n2, 3);
    assert_eq!(received(&two), Some(3), "lifted, and nothing from before comes late");
}

fn silence() {
    let lab = lab();
    let (n1, n2) = (host(&lab, "n1"), host(&lab, "n2"));
    let _listener = listen(n2);
    let links = [Link::new("n1", "n2"), Link::new("n2", "n1")];
    lab.network().change(&links, |policy| policy.block = true).expect("links");
    let address = SocketAddr::from((n2.address(), 7000));
    let refused = n1.enter(|| TcpStream::connect_timeout(&address, SILENCE)).expect("inside");
    assert_eq!(refused.expect_err("a partition").kind(), ErrorKind::TimedOut);
}

fn outlive() {
    let lab = lab();
    let (n1, n2) = (host(&lab, "n1"), host(&lab, "n2"));
    let server = echo(listen(n2));
    let mut stream = connect(n1, n2).expect("connects");
    stream.set_read_timeout(Some(SILENCE)).expect("a timeout");
    let links = [Link::new("n1", "n2"), Link::new("n2", "n1")];
    lab.network().change(&links, |policy| policy.block = true).expect("links");
    stream.write_all(b"x").expect("goes into the buffer");
    let mut answer = [0];
    assert_eq!(stream.read(&mut answer).expect_err("cut off").kind(), ErrorKind::WouldBlock);
    lab.network().change(&links, |policy| policy.block = false).expect("links");
    stream.set_read_timeout(Some(crate::harness::LIMIT)).expect("a timeout");
    stream.read_exact(&mut answer).expect("sent again by TCP");
    assert_eq!(answer, *b"x");
    drop(stream);
    server.join().expect("the server");
}

fn delay() {
    let lab = lab();
    let (n1, n2) = (host(&lab, "n1"), host(&lab, "n2"));
    let (one, two) = (udp(n1), udp(n2));
    let held = Duration::from_millis(80);
    lab.network().set("n1", "n2", Policy { delay: held, ..Policy::OPEN }).expect("a link");
    let sent = Instant::now();
    for number in 0..50 {
        send(&one, n2, number);
    }
    assert_eq!(received(&two), Some(0));
    let took = sent.elapsed();
    assert!(took >= held, "{took:?}");
    println!("a delay of {held:?} took {took:?}");
    // Lifted halfway: nothing is lost, doubled or overtaken.
    lab.network().set("n1", "n2", Policy::default()).expect("a link");
    for number in 50..100 {
        send(&one, n2, number);
    }
    let rest: Vec<u8> = std::iter::from_fn(|| received(&two)).collect();
    assert_eq!(rest, (1..100).collect::<Vec<u8>>());
    assert!(lab.network().counters("n1", "n2").expect("a link").delayed >= 50);
    assert_eq!(lab.network().counters("n2", "n1").expect("a link").delayed, 0);
}

fn namespace() -> std::path::PathBuf {
    std::fs::read_link("/proc/thread-self/ns/net").expect("a namespace")
}

fn enter() {
    let lab = lab();
    let home = namespace();
    let inside = host(&lab, "n1").enter(namespace).expect("inside");
    assert_ne!(inside, home);
    assert_eq!(namespace(), home);
    std::panic::set_hook(Box::new(|_| {}));
    let panicked =
        std::panic::catch_unwind(AssertUnwindSafe(|| host(&lab, "n1").enter(|| panic!("inside"))));
    let _ = std::panic::take_hook();
    assert!(panicked.is_err());
    assert_eq!(namespace(), home);
}

fn interfaces() {
    let lab = lab();
    let n1 = host(&lab, "n1");
    let devices = n1.enter(|| std::fs::read_to_string("/proc/thread-self/net/dev"));
    let devices = devices.expect("inside").expect("readable");
    let names: Vec<&str> = devices
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim())
        .collect();
    assert_eq!(names, ["lo", "eth0"]);
    let addresses = n1.enter(|| std::fs::read_to_string("/proc/thread-self/net/if_inet6"));
    assert_eq!(addresses.expect("inside").unwrap_or_default(), "");
    let local = n1.enter(|| TcpListener::bind("127.0.0.1:0")).expect("inside").expect("binds");
    let address = local.local_addr().expect("an address");
    n1.enter(|| TcpStream::connect(address)).expect("inside").expect("loopback is on");
}

fn unknown_host() {
    let lab = lab();
    for (from, to) in [("n1", "n9"), ("n9", "n1"), ("n1", "n1")] {
        let error = lab.network().set(from, to, BLOCK).expect_err("no link").to_string();
        assert!(error.contains("n1, n2, n3, clients"), "{error}");
    }
    let links = [Link::new("n1", "n2"), Link::new("n1", "n9")];
    assert!(lab.network().change(&links, |policy| policy.block = true).is_err());
    assert_eq!(lab.network().policy("n1", "n2"), Ok(Policy::default()), "all or nothing");
}

fn twice() {
    let first = lab();
    drop(first);
    let second =
        crate::harness::eventually(|| Lab::build(&["n1", "n2", "n3"]).ok()).expect("a lab");
    let server = echo(listen(host(&second, "n2")));
    connect(host(&second, "n1"), host(&second, "n2")).expect("connects");
    server.join().expect("the server");
}
