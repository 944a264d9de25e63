//! A small program that talks to its peers all the time and says what it hears: the victim of faults
//! of links and processes.
//!
//! Every 10 ms it sends each peer a datagram with its number, its process and the time, and it notes
//! every one that it receives, its own as well, a line each. It keeps a TCP connection to each peer and notes resets.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

/// Holds the probe's own address and those of its peers; with it set, this program is a probe.
pub(crate) const PROBE: &str = "PARTITA_TEST_PROBE";
const DATAGRAMS: u16 = 9000;
const CONNECTIONS: u16 = 9001;
const PAUSE: Duration = Duration::from_millis(10);
const LENGTH: usize = 120;

/// A clock that all processes of a machine share.
pub(crate) fn now_ns() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).expect("a clock");
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

/// Becomes a probe and never returns, if this process was started to be one.
pub(crate) fn run_if_asked() {
    let Ok(addresses) = std::env::var(PROBE) else { return };
    let mut addresses = addresses.split(',').map(|text| text.parse().expect("an address"));
    let own: Ipv4Addr = addresses.next().expect("its own");
    let mut peers: Vec<Ipv4Addr> = addresses.collect();
    let listener = TcpListener::bind((own, CONNECTIONS)).expect("listens");
    thread::spawn(move || accept(&listener));
    for peer in peers.clone() {
        thread::spawn(move || hold_on(peer));
    }
    let socket = UdpSocket::bind((own, DATAGRAMS)).expect("binds");
    // What it hears of itself, past every link, shows that it had a processor.
    peers.push(own);
    chat(&socket, &peers, |lines| say(&lines));
}

fn say(lines: &str) {
    static OUT: Mutex<()> = Mutex::new(());
    let _whole = OUT.lock();
    let mut stdout = std::io::stdout();
    stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush()).expect("somebody listens");
}

/// Sends and receives for ever; gives what it noted to `note`.
pub(crate) fn chat(socket: &UdpSocket, peers: &[Ipv4Addr], mut note: impl FnMut(String)) -> ! {
    socket.set_nonblocking(true).expect("an option");
    for number in 0_u64.. {
        for peer in peers {
            let sent = datagram(number);
            // A full buffer, or a peer that has no socket at the moment.
            let _ = socket.send_to(&sent, (*peer, DATAGRAMS));
        }
        let mut lines = String::new();
        let mut buffer = [0; 256];
        while let Ok((length, SocketAddr::V4(from))) = socket.recv_from(&mut buffer) {
            let now = now_ns();
            let _ = match understood(&buffer[..length]) {
                Some([number, process, sent]) => {
                    writeln!(lines, "heard {} {process} {number} {sent} {now}", from.ip())
                }
                None => writeln!(lines, "damaged {} {now}", from.ip()),
            };
        }
        if !lines.is_empty() {
            note(lines);
        }
        thread::sleep(PAUSE);
    }
    unreachable!("numbers do not end")
}

fn datagram(number: u64) -> Vec<u8> {
    let process = u64::from(std::process::id());
    let mut bytes: Vec<u8> =
        [number, process, now_ns()].iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.resize(LENGTH, b'.');
    bytes.extend(sum(&bytes).to_be_bytes());
    bytes
}

fn understood(bytes: &[u8]) -> Option<[u64; 3]> {
    let (content, sum_of_it) = bytes.split_at_checked(LENGTH)?;
    let word =
        |place: usize| Some(u64::from_be_bytes(content[place * 8..place * 8 + 8].try_into().ok()?));
    (sum_of_it == sum(content).to_be_bytes()).then_some([word(0)?, word(1)?, word(2)?])
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(7, |sum, byte| sum * 31 % 1_000_000_007 + u64::from(*byte))
}

fn accept(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        thread::spawn(move || await_end(stream));
    }
}

fn hold_on(peer: Ipv4Addr) {
    loop {
        let limit = Duration::from_millis(500);
        if let Ok(stream) = TcpStream::connect_timeout(&(peer, CONNECTIONS).into(), limit) {
            await_end(stream);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn await_end(mut stream: TcpStream) {
    let Ok(SocketAddr::V4(peer)) = stream.peer_addr() else { return };
    let mut byte = [0];
    if let Err(error) = stream.read(&mut byte)
        && error.kind() == ErrorKind::ConnectionReset
    {
        say(&format!("reset {} {}\n", peer.ip(), now_ns()));
    }
}

/// A datagram that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Heard {
    pub(crate) number: u64,
    pub(crate) process: u64,
    pub(crate) sent_ns: u64,
    pub(crate) heard_ns: u64,
}

/// What one probe noted, by peer, in the order in which it did.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) heard: BTreeMap<Ipv4Addr, Vec<Heard>>,
    pub(crate) damaged: BTreeMap<Ipv4Addr, Vec<u64>>,
    pub(crate) resets: BTreeMap<Ipv4Addr, Vec<u64>>,
}

impl Notes {
    pub(crate) fn read(text: &str) -> Notes {
        let mut notes = Notes::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |place: usize| words[place].parse::<u64>().ok();
            let peer = words.get(1).and_then(|word| word.parse().ok());
            let Some(peer) = peer else { continue };
            match (words[0], words.len()) {
                ("heard", 6) => {
                    let all = [number(2), number(3), number(4), number(5)];
                    let [Some(process), Some(number), Some(sent_ns), Some(heard_ns)] = all else {
                        continue;
                    };
                    let heard = Heard { number, process, sent_ns, heard_ns };
                    notes.heard.entry(peer).or_default().push(heard);
                }
                ("damaged", 3) => notes.damaged.entry(peer).or_default().extend(number(2)),
                ("reset", 3) => notes.resets.entry(peer).or_default().extend(number(2)),
                _ => {}
            }
        }
        notes
    }
}
