//! Starts real servers on loopback and speaks raw RESP2 to them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take that is expected to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// An address no other process listens on: every process has loopback addresses of its own, made
/// from its number, and counts the ports itself.
pub(crate) fn address() -> SocketAddr {
    static PORT: AtomicU16 = AtomicU16::new(7001);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let port = PORT.fetch_add(1, Ordering::Relaxed);
    SocketAddr::from(([127, 64 + (high & 0x3f), middle, low], port))
}

/// Servers 1 to n with their data; killed when dropped.
pub(crate) struct Cluster {
    directory: TempDir,
    peers: Vec<SocketAddr>,
    clients: Vec<SocketAddr>,
    children: Vec<Option<Child>>,
}

impl Cluster {
    pub(crate) fn start(size: usize) -> Self {
        let mut cluster = Self {
            directory: TempDir::new().expect("a directory"),
            peers: (0..size).map(|_| address()).collect(),
            clients: (0..size).map(|_| address()).collect(),
            children: (0..size).map(|_| None).collect(),
        };
        for server in 0..size {
            cluster.restart(server);
        }
        cluster
    }

    pub(crate) fn size(&self) -> usize {
        self.clients.len()
    }

    pub(crate) fn data(&self, server: usize) -> PathBuf {
        self.directory.path().join(format!("n{}", server + 1))
    }

    pub(crate) fn client_address(&self, server: usize) -> SocketAddr {
        self.clients[server]
    }

    pub(crate) fn peer_address(&self, server: usize) -> SocketAddr {
        self.peers[server]
    }

    pub(crate) fn command(&self, server: usize) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_raft-node"));
        command.args(["--id", &(server + 1).to_string(), "--seed", "7"]);
        command.arg("--data").arg(self.data(server));
        command.args(["--listen", &self.clients[server].to_string()]);
        for (id, peer) in (1..).zip(&self.peers) {
            command.args(["--peer", &format!("{id}={peer}")]);
        }
        for (id, client) in (1..).zip(&self.clients) {
            command.args(["--client-address", &format!("{id}={client}")]);
        }
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn restart(&mut self, server: usize) {
        let child = self.command(server).spawn().expect("the server starts");
        self.children[server] = Some(child);
    }

    pub(crate) fn kill(&mut self, server: usize) {
        if let Some(mut child) = self.children[server].take() {
            child.kill().expect("its own child");
            child.wait().expect("its own child");
        }
    }

    /// Sends a signal by name, such as `TERM`.
    pub(crate) fn signal(&self, server: usize, name: &str) {
        let pid = self.children[server].as_ref().expect("running").id();
        let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
        assert!(status.expect("kill is a command").success());
    }

    /// Waits for a server to end.
    pub(crate) fn wait(&mut self, server: usize) -> ExitStatus {
        let mut child = self.children[server].take().expect("running");
        let mut status = None;
        eventually("the server's end", || {
            status = child.try_wait().expect("its own child");
            status.is_some()
        });
        status.expect("just seen")
    }

    /// The leader, once a majority's worth of servers agrees on who it is.
    pub(crate) fn leader(&self) -> usize {
        let mut leader = None;
        eventually("a leader", || {
            leader = (0..self.size()).find(|server| self.info(*server, "role") == "leader");
            leader.is_some()
        });
        leader.expect("just seen")
    }

    /// One line of a server's INFO; empty if it does not answer.
    pub(crate) fn info(&self, server: usize, name: &str) -> String {
        let Some(mut client) = Client::connect(self.clients[server]) else { return String::new() };
        let Some(info) = client.call(&["INFO"]) else { return String::new() };
        let line = info.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
        line.unwrap_or_default().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for server in 0..self.size() {
            self.kill(server);
        }
    }
}

/// Polls until the condition holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "no {what} within {PATIENCE:?}");
        sleep(Duration::from_millis(20));
    }
}

/// One connection to a server.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects, if the server listens.
    pub(crate) fn connect(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self { stream: BufReader::new(stream) })
    }

    /// Sends a request and waits for the reply, in a short notation: `+OK`, `-ERR …`, `:1`, a value
    /// as it is, `nil`. Nothing if the connection breaks.
    pub(crate) fn call(&mut self, words: &[&str]) -> Option<String> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.send(request.as_bytes())?;
        self.reply()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.get_mut().write_all(bytes).ok()
    }

    pub(crate) fn reply(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let line = line.trim_end().to_owned();
        match line.strip_prefix('$') {
            None => Some(line),
            Some("-1") => Some("nil".to_owned()),
            Some(length) => {
                let mut value = vec![0; length.parse::<usize>().ok()? + 2];
                self.stream.read_exact(&mut value).ok()?;
                value.truncate(value.len() - 2);
                String::from_utf8(value).ok()
            }
        }
    }
}
