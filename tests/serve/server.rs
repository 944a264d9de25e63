//! A server over a folder of runs, and clients of it that say exactly what they are told to.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::stored::write_run;

/// What stands outside of the folder, and must never be sent.
pub(crate) const SECRET: &str = "the-secret-outside-of-the-folder";

/// How long a test waits for what must come.
const BUDGET: Duration = Duration::from_secs(120);

/// A server that is going on.
pub(crate) struct Server {
    child: Child,
    /// What it printed: where it is.
    pub(crate) url: String,
    pub(crate) home: tempfile::TempDir,
}

/// An answer, or as much of it as came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Self { status: status.unwrap_or(0), head: head.to_lowercase(), body: body.to_owned() }
    }
}

impl Server {
    /// A server over two runs, `site/good` and `site/bad`, with a secret beside the folder.
    pub(crate) fn start(listen: &str) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let site = home.path().join("site");
        write_run(&site.join("good"), 1, "n1");
        write_run(&site.join("bad"), 2, "n3");
        fs::write(home.path().join("secret.txt"), SECRET).expect("written");
        fs::write(site.join("beside.txt"), SECRET).expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_partita"))
            .args(["serve", "site", "--listen", listen])
            .current_dir(home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("partita starts");
        let mut url = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        output.read_line(&mut url).expect("its address");
        Self { child, url: url.trim().to_owned(), home }
    }

    pub(crate) fn site(&self) -> std::path::PathBuf {
        self.home.path().join("site")
    }

    /// Its port on loopback.
    pub(crate) fn port(&self) -> u16 {
        let rest = self.url.strip_prefix("http://").expect("an address");
        let authority = rest.split('/').next().expect("an authority");
        authority.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port())).expect("it listens");
        stream.set_read_timeout(Some(BUDGET)).expect("a socket");
        stream.set_write_timeout(Some(BUDGET)).expect("a socket");
        stream
    }

    /// Sends these bytes and reads until the server closes.
    pub(crate) fn send(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        // A server that has heard enough closes before all is sent.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        Answer::of(&answer)
    }

    /// Asks for an address as it is, with more lines of a head.
    pub(crate) fn ask(&self, address: &str, more: &str) -> Answer {
        let host = if more.contains("Host:") { "" } else { "Host: localhost\r\n" };
        let request = format!("GET {address} HTTP/1.1\r\n{host}Connection: close\r\n{more}\r\n");
        self.send(request.as_bytes())
    }

    pub(crate) fn get(&self, address: &str) -> Answer {
        self.ask(address, "")
    }

    /// The most memory that it had so far, in bytes.
    pub(crate) fn most_memory(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("alive");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kibibytes * 1024
    }

    /// How many sockets it has open, the one that it listens on among them.
    pub(crate) fn sockets(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.child.id());
        let entries = fs::read_dir(folder).expect("alive").flatten();
        let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
        links.filter(|link| is_socket(link)).count()
    }

    /// Waits until it has so many sockets.
    pub(crate) fn wait_for_sockets(&self, number: usize) {
        let begun = std::time::Instant::now();
        while self.sockets() != number {
            assert!(begun.elapsed() < BUDGET, "{} sockets, not {number}", self.sockets());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }
}

fn is_socket(link: &Path) -> bool {
    link.to_str().is_some_and(|link| link.starts_with("socket:"))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
