//! Many clients, huge requests, slow clients.

use std::io::{BufRead, BufReader, Read, Write};

use crate::LOOPBACK;
use crate::server::{SECRET, Server};

/// What the server may hold at most, whatever clients do, in bytes: a debug build with two runs has some 30 MiB.
const MOST_MEMORY: u64 = 192 << 20;

/// How many requests are sent: 10,000 with `PARTITA_SOAK`.
fn requests() -> usize {
    if std::env::var_os("PARTITA_SOAK").is_some() { 10_000 } else { 1_000 }
}

const ADDRESSES: &[&str] = &[
    "/",
    "/?text=%00%ff&verdict=x&page=99999999999999999999",
    "/trends",
    "/run/good",
    "/run/bad",
    "/live/bad",
    "/compare?a=good&b=bad",
    "/files/good/",
    "/files/good/history.jsonl",
    "/files/../secret.txt",
    "/files/good/%2e%2e/%2e%2e/secret.txt",
    "/files/..%2f..%2f..%2fetc/passwd",
    "/.git/config",
    "/wp-login.php",
    "/cgi-bin/.%2e/.%2e/bin/sh",
    "/%c0%ae%c0%ae/etc/passwd",
    "/style.css",
    "/live.js",
    "/latest",
    "/?a=<script>alert(1)</script>&text=%3Cscript%3E",
];

/// Sends so many requests, up to 25 over one connection. The server closes after what is no request at
/// all, and is dialled again.
fn scan(server: &Server, from: usize, number: usize) {
    let mut place = from;
    while place < from + number {
        let stream = server.connect();
        let mut output = stream.try_clone().expect("a socket");
        let mut input = BufReader::new(stream);
        let begun = place;
        while place < (begun + 25).min(from + number) {
            let address = ADDRESSES[place % ADDRESSES.len()];
            let request = format!("GET {address} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
            let sent = output.write_all(request.as_bytes());
            let Some(body) = sent.ok().and_then(|()| answer(&mut input)) else { break };
            assert!(!body.contains(SECRET) && !body.contains("root:x:"), "{address}: {body}");
            assert!(!body.contains("<script>alert"), "{address}: {body}");
            place += 1;
        }
        assert!(place > begun, "{} is never answered", ADDRESSES[place % ADDRESSES.len()]);
    }
}

/// The body of the next answer on a connection that stays open.
fn answer(input: &mut impl BufRead) -> Option<String> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        input.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    Some(String::from_utf8_lossy(&body).into_owned())
}

#[test]
fn a_scanner_gets_answers_and_nothing_else() {
    let mut server = Server::start(LOOPBACK);
    const THREADS: usize = 8;
    let each = requests() / THREADS;
    std::thread::scope(|scope| {
        for number in 0..THREADS {
            let server = &server;
            scope.spawn(move || scan(server, number * each, each));
        }
    });
    assert!(server.is_alive());
    assert!(server.most_memory() < MOST_MEMORY, "{} bytes", server.most_memory());
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn huge_heads_are_refused_and_cost_nothing() {
    let mut server = Server::start(LOOPBACK);
    let long = "a".repeat(1 << 20);
    let many = "X: y\r\n".repeat(10_000);
    for (request, what) in [
        (format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"), "an address"),
        (format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n"), "a header"),
        (format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"), "headers"),
        (long.clone(), "no request"),
        ("\u{0}\u{1}\r\n\r\n".repeat(100), "nonsense"),
    ] {
        let answer = server.send(request.as_bytes());
        // The head of a refusal, or a connection that was closed or reset before it was read.
        assert!([0, 400, 414, 431].contains(&answer.status), "{what}: {answer:?}");
    }
    let fair = format!("/?text={}", "a".repeat(9_000));
    assert_eq!(server.get(&fair).status, 414);
    assert!(server.is_alive() && server.most_memory() < MOST_MEMORY);
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn slow_clients_are_cut_off() {
    let server = Server::start(LOOPBACK);
    // A file that no buffer holds, without a byte on disk.
    let large = std::fs::File::create(server.site().join("good/large.bin")).expect("a file");
    large.set_len(256 << 20).expect("a length");
    let idle = server.sockets();
    let mut slow: Vec<_> = (0..10).map(|_| server.connect()).collect();
    for (place, stream) in slow.iter_mut().enumerate() {
        let request: &[u8] = match place % 3 {
            // Nothing is ever sent, a head never ends, and an answer is never read.
            0 => b"",
            1 => b"GET / HTTP/1.1\r\nHost: local",
            _ => b"GET /files/good/large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n",
        };
        stream.write_all(request).expect("sent");
    }
    server.wait_for_sockets(idle + slow.len());
    assert_eq!(server.get("/").status, 200, "others are answered meanwhile");
    server.wait_for_sockets(idle);
    assert!(server.most_memory() < MOST_MEMORY, "{} bytes", server.most_memory());
    let mut unread = slow.swap_remove(2);
    let mut came = Vec::new();
    let _ = unread.read_to_end(&mut came);
    assert!((came.len() as u64) < 256 << 20, "cut off");
}
