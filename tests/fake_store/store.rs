//! The store: one thread for each connection, one way to misbehave.

use std::io::{self, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::requests::{self, Data, bulk, is_swap, is_write};

/// Closes elements, opens others, moves a terminal's cursor and turns text around.
const HOSTILE: &str = "</script><img src=x onerror=alert(1)><script>alert(2)</script>\x1b[31m\x1b[2J\u{202e}\"']]>&amp;";

/// Something that ends a terminal's patience.
const COLOURFUL: &str = "\x1b[31mHELLO\x1b]0;title\x07 </script><script>alert(3)</script> \
    [server 1, term=1, commit index=1] became leader, votes=[\x1b[2J]\n]]> <b>&amp; \u{202e} evil\n";

/// Requests before a store that ends midway does so.
const BEFORE_THE_END: u64 = 60;

struct Store {
    mode: String,
    data: Mutex<Data>,
    /// Requests of clients so far.
    requests: AtomicU64,
}

/// What becomes of a connection after a reply.
enum Next {
    Go,
    Close,
}

/// Listens on `ip` and `port` until it is killed, or until its mode says so.
pub(crate) fn serve(mode: &str, ip: &str, port: &str) -> ExitCode {
    match mode {
        "exits-at-once" => return ExitCode::FAILURE,
        "slow-start" => thread::sleep(Duration::from_secs(2)),
        "daemons" => leave_daemons(),
        "chatty" => {
            thread::spawn(|| {
                while io::stdout().write_all(&[b'x'; 1 << 16]).is_ok() {
                    thread::sleep(Duration::from_millis(10));
                }
            });
        }
        "colourful" => {
            print!("{}", COLOURFUL.repeat(5));
            eprint!("{}", COLOURFUL.repeat(5));
        }
        _ => {}
    }
    let listener = TcpListener::bind(format!("{ip}:{port}")).expect("a free port");
    let store = Arc::new(Store {
        mode: mode.to_owned(),
        data: Mutex::default(),
        requests: AtomicU64::new(0),
    });
    for stream in listener.incoming().flatten() {
        match mode {
            "accepts-and-closes" => continue,
            "banner" => {
                let _ = (&stream).write_all(b"+hello\r\n");
            }
            _ => {}
        }
        let store = Arc::clone(&store);
        // Fails when the other side has gone.
        thread::spawn(move || store.talk(&stream).and_then(|()| stream.shutdown(Shutdown::Both)));
    }
    ExitCode::SUCCESS
}

/// Starts processes that leave the session and ignore what asks them to end.
fn leave_daemons() {
    let data = std::env::args().next_back().unwrap_or_default();
    let script = "trap '' TERM HUP INT; setsid sh -c 'while :; do sleep 1; done' \"$0\" &";
    for _ in 0..3 {
        let started = Command::new("sh").args(["-c", script, &data]).spawn();
        let _ = started.and_then(|mut child| child.wait());
    }
}

impl Store {
    fn talk(&self, mut stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut requests = BufReader::new(stream);
        while let Some(words) = requests::next(&mut requests)? {
            let next = if words[0] == b"INFO" {
                self.tell_status(&mut stream)?
            } else {
                let number = self.requests.fetch_add(1, Ordering::Relaxed);
                self.end_midway(number);
                self.reply(&mut stream, &words, number)?
            };
            if matches!(next, Next::Close) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn tell_status(&self, stream: &mut impl Write) -> io::Result<Next> {
        const STATUS: &[u8] = b"role:leader\r\nterm:1\r\ncommit_index:1\r\napplied_index:1\r\n";
        match self.mode.as_str() {
            "info-never" => thread::sleep(Duration::from_secs(1_000)),
            "info-error" => stream.write_all(b"-ERR no INFO here\r\n")?,
            "info-binary" => stream.write_all(&bulk(Some(
                b"\xff\xfe role:emperor\r\nterm:99999999999999999999\r\n",
            )))?,
            "info-endless" => endless(stream, b"$2000000000\r\n", b"role:leader\r\n")?,
            _ => stream.write_all(&bulk(Some(STATUS)))?,
        }
        Ok(Next::Go)
    }

    fn end_midway(&self, number: u64) {
        match self.mode.as_str() {
            "exits-midway" if number > BEFORE_THE_END => std::process::exit(0),
            "aborts-midway" if number > BEFORE_THE_END => std::process::abort(),
            _ => {}
        }
    }

    fn honest(&self, words: &[Vec<u8>]) -> Vec<u8> {
        self.lock().answer(words)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers as the mode wants it; what a mode does not mention is answered honestly.
    fn reply(&self, to: &mut impl Write, words: &[Vec<u8>], number: u64) -> io::Result<Next> {
        let mode = self.mode.as_str();
        if let Some(sent) = self.whatever_was_asked(to, mode, words, number) {
            return sent;
        }
        let command = words[0].as_slice();
        let of_kind = if is_write(words) {
            self.to_write(to, mode, words, number)
        } else if is_swap(words) {
            self.to_swap(to, mode, words)
        } else if command == b"GET" {
            self.to_get(to, mode, words)
        } else {
            self.to_other(to, mode, words)
        };
        of_kind.unwrap_or_else(|| to.write_all(&self.honest(words))).map(|()| Next::Go)
    }

    /// Modes for which all commands are the same.
    fn whatever_was_asked(
        &self,
        to: &mut impl Write,
        mode: &str,
        words: &[Vec<u8>],
        number: u64,
    ) -> Option<io::Result<Next>> {
        let send = |to: &mut dyn Write, bytes: &[u8]| Some(to.write_all(bytes).map(|()| Next::Go));
        let after = |to: &mut dyn Write, more: &[u8]| {
            let reply = self.honest(words);
            Some(to.write_all(&[&reply, more].concat()).map(|()| Next::Go))
        };
        let before = |to: &mut dyn Write, less: &[u8]| {
            let reply = self.honest(words);
            Some(to.write_all(&[less, &reply].concat()).map(|()| Next::Go))
        };
        match mode {
            "never" => {
                thread::sleep(Duration::from_secs(1_000));
                Some(Ok(Next::Close))
            }
            "half" => {
                let reply = self.honest(words);
                Some(to.write_all(&reply[..reply.len() - 1]).map(|()| Next::Close))
            }
            "closes-at-times" if number.is_multiple_of(20) => Some(Ok(Next::Close)),
            "slow-bytes" => Some(self.honest(words).chunks(1).try_for_each(|byte| {
                thread::sleep(Duration::from_millis(3));
                to.write_all(byte)
            }))
            .map(|sent| sent.map(|()| Next::Go)),
            "slow-at-times" => {
                let pause = if number.is_multiple_of(20) { 150 } else { 0 };
                thread::sleep(Duration::from_millis(pause));
                None
            }
            "error-at-times" if number.is_multiple_of(10) => send(to, b"-BUSY try later\r\n"),
            "error-always" => send(to, b"-ERR no\r\n"),
            "error-moved" => send(to, b"-MOVED 3999 127.0.0.1:6381\r\n"),
            "error-loading" => send(to, b"-LOADING\r\n"),
            "error-hostile" => send(to, format!("-WEIRD {HOSTILE}\r\n").as_bytes()),
            "error-varied" => send(to, format!("-WEIRD number {number}\r\n").as_bytes()),
            "error-flood" => send(to, &b"-ERR flood\r\n".repeat(100_000)),
            "double" => {
                let reply = self.honest(words);
                send(to, &reply.repeat(2))
            }
            "nul-after" => after(to, b"\0"),
            "nul-later" => {
                let sent = to.write_all(&self.honest(words));
                thread::sleep(Duration::from_millis(15));
                Some(sent.and_then(|()| to.write_all(b"\0")).map(|()| Next::Go))
            }
            "unasked-at-times" if number.is_multiple_of(30) => before(to, b"$1\r\n7\r\n"),
            "push" => before(to, b">2\r\n+invalidate\r\n$1\r\nk\r\n"),
            "attribute" => before(to, b"|1\r\n+a\r\n+b\r\n"),
            "line-feed" => {
                let reply = self.honest(words);
                let bare: Vec<u8> = reply.into_iter().filter(|byte| *byte != b'\r').collect();
                send(to, &bare)
            }
            _ => None,
        }
    }

    fn to_get(&self, to: &mut impl Write, mode: &str, words: &[Vec<u8>]) -> Option<io::Result<()>> {
        let honest = self.honest(words);
        let value = honest.split(|byte| *byte == b'\n').nth(1).unwrap_or_default();
        let value = value.strip_suffix(b"\r").unwrap_or(value);
        let has_value = honest != b"$-1\r\n";
        let altered = |before: &[u8], after: &[u8]| bulk(Some(&[before, value, after].concat()));
        let typed = |kind: &[u8]| [kind, value, b"\r\n"].concat();
        let reply = match mode {
            "get-padded" if has_value => altered(b"0", b""),
            "get-plus" if has_value => altered(b"+", b""),
            "get-space" if has_value => altered(b" ", b""),
            "get-float" if has_value => altered(b"", b".0"),
            "get-line-end" if has_value => altered(b"", b"\n"),
            "get-integer" if has_value => typed(b":"),
            "get-simple" if has_value => typed(b"+"),
            "get-ok" => b"+OK\r\n".to_vec(),
            "get-array" => [b"*1\r\n", honest.as_slice()].concat(),
            "get-null-array" => b"*-1\r\n".to_vec(),
            "get-null-resp3" => b"_\r\n".to_vec(),
            "get-nan" => bulk(Some(b"NaN")),
            "get-empty" => bulk(Some(b"")),
            "get-binary" => bulk(Some(b"\xff\0\xfe")),
            "get-hostile" => bulk(Some(HOSTILE.as_bytes())),
            "get-megabyte" => bulk(Some(&vec![b'A'; 1_000_000])),
            "get-stale" => self.lock().stale(&words[1]),
            "get-nothing" => bulk(None),
            "get-error" => b"-ERR no reads\r\n".to_vec(),
            "long-bulk" if has_value => [b"$1\r\n".as_slice(), value, b"99\r\n"].concat(),
            "negative-length" => b"$-5\r\n".to_vec(),
            "overflowing-length" => b"$99999999999999999999999\r\n".to_vec(),
            "deep-array" => b"*1\r\n".repeat(2_000_000),
            "wide-array" => [b"*2147483647\r\n".to_vec(), b":1\r\n".repeat(1_000_000)].concat(),
            "endless-bulk" => return Some(endless(to, b"$9223372036854775807\r\n", b"z")),
            "gigabyte-bulk" => return Some(endless(to, b"$1073741824\r\n", b"z")),
            "endless-line" => return Some(endless(to, b"+", b"z")),
            "endless-array" => return Some(endless(to, b"*9223372036854775807\r\n", b":1\r\n")),
            _ => honest,
        };
        Some(to.write_all(&reply))
    }

    fn to_write(
        &self,
        to: &mut impl Write,
        mode: &str,
        words: &[Vec<u8>],
        number: u64,
    ) -> Option<io::Result<()>> {
        let instead: &[u8] = match mode {
            "set-dropped" => return Some(to.write_all(b"+OK\r\n")),
            "set-error-though-done" if number.is_multiple_of(3) => b"-ERR no\r\n",
            "set-integer" => b":1\r\n",
            "set-queued" => b"+QUEUED\r\n",
            "set-bulk" => b"$2\r\nOK\r\n",
            "set-nil" => b"$-1\r\n",
            _ => return None,
        };
        self.honest(words);
        Some(to.write_all(instead))
    }

    fn to_swap(
        &self,
        to: &mut impl Write,
        mode: &str,
        words: &[Vec<u8>],
    ) -> Option<io::Result<()>> {
        let reply = match mode {
            "swap-error" => b"-ERR syntax error\r\n".to_vec(),
            "swap-dropped" => bulk(Some(&words[4])),
            "swap-ok" | "swap-nil" => {
                self.honest(words);
                if mode == "swap-ok" { b"+OK\r\n".to_vec() } else { bulk(None) }
            }
            _ => return None,
        };
        Some(to.write_all(&reply))
    }

    fn to_other(
        &self,
        to: &mut impl Write,
        mode: &str,
        words: &[Vec<u8>],
    ) -> Option<io::Result<()>> {
        let reply = match (mode, words[0].as_slice()) {
            ("append-twice", b"APPEND") => {
                self.honest(words);
                self.honest(words)
            }
            ("append-short", b"APPEND") => {
                self.honest(words);
                b":0\r\n".to_vec()
            }
            ("delete-two", b"DEL") => {
                self.honest(words);
                b":2\r\n".to_vec()
            }
            ("delete-error", b"DEL") => b"-ERR no deletes\r\n".to_vec(),
            _ => return None,
        };
        Some(to.write_all(&reply))
    }
}

/// Sends `begin`, and then the same again and again until the other side has enough.
fn endless(to: &mut impl Write, begin: &[u8], piece: &[u8]) -> io::Result<()> {
    to.write_all(begin)?;
    let pieces = piece.repeat((1 << 16) / piece.len());
    loop {
        to.write_all(&pieces)?;
    }
}
