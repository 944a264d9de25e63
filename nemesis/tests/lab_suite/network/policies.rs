//! What the policies of a link look like to the hosts at its ends, in force and lifted.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::num::NonZeroU64;
use std::thread;
use std::time::{Duration, Instant};

use partita_nemesis::lab::{
    Corruption, Counters, Host, Jitter, Link, Loss, Probability, Rate, Reorder,
};
use partita_nemesis::{Lab, Policy};

use super::{SILENCE, connect, echo, host, lab, listen, udp};
use crate::harness::{LIMIT, eventually};

const HALF: Probability = Probability::per_million(500_000);

/// The lab once its hosts know each other's hardware addresses: while one is asked for, in frames that
/// get lost as any do, the sender's kernel keeps a few datagrams and drops more.
fn acquainted(lab: Lab) -> Lab {
    assert_eq!(datagrams(&lab, 0..1), [0]);
    lab
}

fn set(lab: &Lab, policy: Policy) {
    lab.network().set("n1", "n2", policy).expect("a link");
}

fn counters(lab: &Lab) -> Counters {
    lab.network().counters("n1", "n2").expect("a link")
}

/// Sends numbered datagrams from n1 to n2; what n2 receives until it hears no more.
fn datagrams(lab: &Lab, numbers: std::ops::Range<u16>) -> Vec<u16> {
    Pair::new(lab).exchange(numbers)
}

/// Datagrams sent at once.
const LOT: u16 = 50;

/// A socket on n1 and one on n2.
struct Pair<'a> {
    one: UdpSocket,
    two: UdpSocket,
    to: &'a Host,
}

impl<'a> Pair<'a> {
    fn new(lab: &'a Lab) -> Pair<'a> {
        let to = host(lab, "n2");
        Pair { one: udp(host(lab, "n1")), two: udp(to), to }
    }

    fn send(&self, numbers: std::ops::Range<u16>) {
        for number in numbers {
            let bytes = [&number.to_be_bytes()[..], &[0; 30]].concat();
            self.one.send_to(&bytes, (self.to.address(), 9000)).expect("sends");
        }
    }

    /// Sends few enough at once for the receiver's buffer, which would lose what is too much.
    fn exchange(&self, numbers: std::ops::Range<u16>) -> Vec<u16> {
        let lots = numbers.clone().step_by(LOT.into());
        lots.flat_map(|first| self.exchange_lot(first..numbers.end.min(first + LOT))).collect()
    }

    fn exchange_lot(&self, numbers: std::ops::Range<u16>) -> Vec<u16> {
        thread::scope(|scope| {
            let receiver = scope.spawn(|| self.receive());
            self.send(numbers);
            receiver.join().expect("the receiver")
        })
    }

    /// What arrives until it has been silent for a while.
    fn receive(&self) -> Vec<u16> {
        let mut received = Vec::new();
        let mut bytes = [0; 64];
        loop {
            match self.two.recv(&mut bytes) {
                Ok(length) => {
                    assert_eq!(length, 32);
                    received.push(u16::from_be_bytes([bytes[0], bytes[1]]));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return received,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

pub(super) fn loss() {
    let lab = acquainted(lab());
    set(&lab, Policy { loss: Loss::Independent { probability: HALF }, ..Policy::OPEN });
    let received = datagrams(&lab, 0..400);
    assert!((120..280).contains(&received.len()), "{} of 400", received.len());
    assert_eq!(received.len() as u64 + counters(&lab).dropped, 400);
    // TCP makes up for it.
    let server = echo(listen(host(&lab, "n2")));
    let mut stream = connect(host(&lab, "n1"), host(&lab, "n2")).expect("connects, if late");
    let mut answer = [0; 3];
    stream.write_all(b"yes").expect("sends");
    stream.read_exact(&mut answer).expect("receives, if late");
    assert_eq!(&answer, b"yes");
    set(&lab, Policy::OPEN);
    drop(stream);
    server.join().expect("the server");
    let dropped = counters(&lab).dropped;
    assert_eq!(datagrams(&lab, 0..100), (0..100).collect::<Vec<_>>());
    assert_eq!(counters(&lab).dropped, dropped);
}

pub(super) fn bursty_loss() {
    let lab = acquainted(lab());
    let loss = Loss::GilbertElliott {
        to_bad: Probability::per_million(50_000),
        to_good: Probability::per_million(100_000),
        in_good: Probability::NEVER,
        in_bad: Probability::ALWAYS,
    };
    set(&lab, Policy { loss, ..Policy::OPEN });
    let received: BTreeSet<u16> = datagrams(&lab, 0..800).into_iter().collect();
    let lost: Vec<bool> = (0..800).map(|number| !received.contains(&number)).collect();
    let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
    let total = lost.iter().filter(|lost| **lost).count();
    assert_eq!(total as u64, counters(&lab).dropped);
    assert!(bursts > 0 && total > 3 * bursts, "{total} lost in {bursts} bursts");
    set(&lab, Policy::OPEN);
    assert_eq!(datagrams(&lab, 0..100).len(), 100);
}

pub(super) fn seed() {
    let lost = |seed| {
        let built = eventually(|| Lab::build_with_seed(&["n1", "n2"], seed).ok());
        let lab = acquainted(built.expect("a lab, once the one before has gone"));
        set(&lab, Policy { loss: Loss::Independent { probability: HALF }, ..Policy::OPEN });
        datagrams(&lab, 0..300)
    };
    let first = lost(7);
    assert_eq!(lost(7), first);
    assert_ne!(lost(8), first);
}

pub(super) fn duplicate() {
    let lab = acquainted(lab());
    set(&lab, Policy { duplicate: Probability::ALWAYS, ..Policy::OPEN });
    let twice: Vec<u16> = (0..100).flat_map(|number| [number, number]).collect();
    assert_eq!(datagrams(&lab, 0..100), twice);
    assert_eq!(counters(&lab).duplicated, 100);
    set(&lab, Policy::OPEN);
    assert_eq!(datagrams(&lab, 0..100), (0..100).collect::<Vec<_>>());
}

pub(super) fn reorder() {
    let lab = acquainted(lab());
    let reorder = Reorder { probability: HALF, by: Duration::from_millis(50) };
    set(&lab, Policy { reorder, ..Policy::OPEN });
    let mut received = datagrams(&lab, 0..100);
    let late = received.windows(2).filter(|pair| pair[0] > pair[1]).count();
    assert!(late > 0, "{received:?}");
    assert!(counters(&lab).reordered > 0);
    received.sort_unstable();
    assert_eq!(received, (0..100).collect::<Vec<_>>(), "none is lost or doubled");
    set(&lab, Policy::OPEN);
    assert_eq!(datagrams(&lab, 0..100), (0..100).collect::<Vec<_>>());
}

pub(super) fn corrupt_mended() {
    let lab = acquainted(lab());
    let corrupt = Corruption { probability: Probability::ALWAYS, mend: true };
    let (n1, n2) = (host(&lab, "n1"), host(&lab, "n2"));
    let server = echo(listen(n2));
    let mut stream = connect(n1, n2).expect("connects: there is nothing in it to corrupt");
    stream.set_nodelay(true).expect("a socket option");
    let mut ask = || {
        let mut answer = [0; 40];
        stream.write_all(&[0; 40]).expect("sends");
        stream.read_exact(&mut answer).expect("receives");
        answer.iter().map(|byte| byte.count_ones()).sum::<u32>()
    };
    assert_eq!(ask(), 0);
    set(&lab, Policy { corrupt, ..Policy::OPEN });
    assert_eq!(ask(), 1, "one bit has reached the program and come back");
    let wrong = datagrams(&lab, 0..1);
    assert_eq!(wrong.len(), 1, "a datagram, too");
    assert!(counters(&lab).corrupted >= 2);
    set(&lab, Policy::OPEN);
    assert_eq!(ask(), 0);
    drop(stream);
    server.join().expect("the server");
}

pub(super) fn corrupt_unmended() {
    let lab = acquainted(lab());
    let corrupt = Corruption { probability: Probability::ALWAYS, mend: false };
    set(&lab, Policy { corrupt, ..Policy::OPEN });
    assert!(datagrams(&lab, 0..20).is_empty(), "the kernel drops what does not add up");
    assert_eq!(counters(&lab).corrupted, 20);
    set(&lab, Policy::OPEN);
    assert_eq!(datagrams(&lab, 0..20).len(), 20);
}

/// How long a TCP transfer from n1 to n2 takes.
fn transfer(lab: &Lab, bytes: usize) -> Duration {
    let (n1, n2) = (host(lab, "n1"), host(lab, "n2"));
    let listener = listen(n2);
    let receiver = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut received = Vec::new();
        stream.read_to_end(&mut received).expect("receives");
        received.len()
    });
    let start = Instant::now();
    let mut stream = connect(n1, n2).expect("connects");
    stream.write_all(&vec![7; bytes]).expect("sends");
    drop(stream);
    assert_eq!(receiver.join().expect("the receiver"), bytes);
    start.elapsed()
}

pub(super) fn rate() {
    let lab = acquainted(lab());
    let limit = Rate::new(NonZeroU64::new(1_000_000).expect("more than nothing"));
    set(&lab, Policy { rate: Some(limit), ..Policy::OPEN });
    let limited = transfer(&lab, 600_000);
    // The burst passes at once, and the rest not faster than the rate.
    let least = Duration::from_millis(600 - 33 - 10);
    assert!(limited >= least, "{limited:?}");
    assert!(counters(&lab).delayed > 0);
    set(&lab, Policy::OPEN);
    let open = transfer(&lab, 600_000);
    assert!(open < limited, "{open:?} {limited:?}");
}

pub(super) fn jitter() {
    let lab = acquainted(lab());
    let jitter = Jitter::Normal { deviation: Duration::from_millis(20) };
    let delay = Duration::from_millis(60);
    set(&lab, Policy { delay, jitter, ..Policy::OPEN });
    let pair = Pair::new(&lab);
    pair.two.set_read_timeout(Some(LIMIT)).expect("a timeout");
    let mut times: Vec<Duration> = (0..30)
        .map(|number| {
            let sent = Instant::now();
            pair.send(number..number + 1);
            let mut bytes = [0; 64];
            pair.two.recv(&mut bytes).expect("receives");
            assert_eq!(u16::from_be_bytes([bytes[0], bytes[1]]), number);
            sent.elapsed()
        })
        .collect();
    times.sort();
    println!("a normal delay of {delay:?}: {:?} to {:?}", times[0], times[29]);
    assert!(times[29] > delay && times[0] + Duration::from_millis(20) < times[29], "{times:?}");
    pair.two.set_read_timeout(Some(SILENCE)).expect("a timeout");
    // Sent in one go, they keep their order.
    assert_eq!(pair.exchange(0..100), (0..100).collect::<Vec<_>>());
    set(&lab, Policy::OPEN);
    let delayed = counters(&lab).delayed;
    assert_eq!(pair.exchange(0..100).len(), 100);
    assert_eq!(counters(&lab).delayed, delayed);
}

pub(super) fn hold() {
    let lab = acquainted(lab());
    let pair = Pair::new(&lab);
    set(&lab, Policy { hold: true, ..Policy::OPEN });
    assert!(pair.exchange(0..80).is_empty());
    assert_eq!(counters(&lab).delayed, 80);
    set(&lab, Policy::OPEN);
    pair.send(80..100);
    assert_eq!(pair.receive(), (0..100).collect::<Vec<_>>(), "all, once, in order");
}

fn both_ways() -> [Link; 2] {
    [Link::new("n1", "n2"), Link::new("n2", "n1")]
}

/// Both ends of a connection from one host to another.
fn connection(lab: &Lab, from: &str, to: &str) -> (TcpStream, TcpStream) {
    let listener = listen(host(lab, to));
    let near = connect(host(lab, from), host(lab, to)).expect("connects");
    let (far, _) = listener.accept().expect("a connection");
    for stream in [&near, &far] {
        stream.set_nodelay(true).expect("a socket option");
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
    }
    (near, far)
}

fn pass(from: &mut TcpStream, to: &mut TcpStream) {
    let mut byte = [0];
    from.write_all(b"x").expect("sends");
    to.read_exact(&mut byte).expect("receives");
}

fn is_reset(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 64];
    loop {
        match stream.read(&mut buffer) {
            // What was under way.
            Ok(1..) => {}
            Ok(0) => return false,
            Err(error) => return error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

pub(super) fn reset() {
    let lab = acquainted(lab());
    let (mut idle, mut its_server) = connection(&lab, "n1", "n2");
    let (mut used, mut its_peer) = connection(&lab, "n2", "n1");
    let (mut other, mut its_end) = connection(&lab, "n1", "n3");
    pass(&mut used, &mut its_peer);
    pass(&mut its_peer, &mut used);
    let links = [Link::new("n1", "n2")];
    assert_eq!(lab.network().reset(&links), Ok(2));
    for stream in [&mut idle, &mut its_server, &mut used, &mut its_peer] {
        assert!(is_reset(stream));
    }
    assert_eq!(counters(&lab).reset, 2);
    pass(&mut other, &mut its_end);
    assert_eq!(lab.network().reset(&links), Ok(0), "they are over");
    let (mut again, mut its_server) = connection(&lab, "n1", "n2");
    pass(&mut again, &mut its_server);
    assert!(lab.network().reset(&[Link::new("n1", "n9")]).is_err());
}

pub(super) fn reset_under_load() {
    let lab = acquainted(lab());
    for round in 0..20 {
        let (mut near, mut far) = connection(&lab, "n1", "n2");
        let writer = thread::spawn(move || {
            let chunk = [7; 32 << 10];
            loop {
                if let Err(error) = near.write_all(&chunk) {
                    // Written to after the reset was noticed, it is a broken pipe.
                    return error.kind();
                }
            }
        });
        let mut buffer = vec![0; 1 << 20];
        far.read_exact(&mut buffer).expect("receives");
        assert_eq!(lab.network().reset(&both_ways()), Ok(1), "round {round}");
        assert!(is_reset(&mut far), "round {round}");
        let ended = writer.join().expect("the writer");
        assert!(
            matches!(ended, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
            "round {round}: {ended:?}"
        );
    }
}

pub(super) fn reset_while_cut() {
    let lab = acquainted(lab());
    let (mut near, mut far) = connection(&lab, "n1", "n2");
    pass(&mut near, &mut far);
    lab.network().change(&both_ways(), |policy| policy.block = true).expect("links");
    near.write_all(b"lost").expect("goes into the buffer");
    assert_eq!(lab.network().reset(&both_ways()), Ok(1));
    assert!(is_reset(&mut near) && is_reset(&mut far), "past the partition");
}

pub(super) fn clients() {
    let lab = acquainted(lab());
    let server = echo(listen(host(&lab, "n1")));
    let mut stream = connect(lab.clients(), host(&lab, "n1")).expect("connects");
    stream.set_read_timeout(Some(SILENCE)).expect("a timeout");
    let links = [Link::new("n1", "clients")];
    lab.network().change(&links, |policy| policy.hold = true).expect("a client's link");
    let mut answer = [0];
    stream.write_all(b"x").expect("sends");
    assert_eq!(stream.read(&mut answer).expect_err("held").kind(), ErrorKind::WouldBlock);
    lab.network().change(&links, |policy| policy.hold = false).expect("a client's link");
    stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
    stream.read_exact(&mut answer).expect("released");
    drop(stream);
    server.join().expect("the server");
}
