//! Starts real servers on loopback and speaks raw RESP to them.

use std::fs::{self, OpenOptions};
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

/// Servers 1 to n with their data and their logs; killed when dropped.
pub(crate) struct Cluster {
    directory: TempDir,
    peers: Vec<SocketAddr>,
    clients: Vec<SocketAddr>,
    metrics: Vec<SocketAddr>,
    children: Vec<Option<Child>>,
    /// How many servers the cluster began with; later ones join.
    founders: usize,
    /// What every server is told besides.
    more: Vec<String>,
}

impl Cluster {
    pub(crate) fn start(size: usize) -> Self {
        Self::start_with(size, &[])
    }

    /// Starts servers with more arguments than usual.
    pub(crate) fn start_with(size: usize, more: &[&str]) -> Self {
        let mut cluster = Self::prepare(size, more);
        for server in 0..size {
            cluster.restart(server);
        }
        cluster
    }

    /// A cluster of which no server runs yet.
    pub(crate) fn prepare(size: usize, more: &[&str]) -> Self {
        Self {
            directory: TempDir::new().expect("a directory"),
            peers: (0..size).map(|_| address()).collect(),
            clients: (0..size).map(|_| address()).collect(),
            metrics: (0..size).map(|_| address()).collect(),
            children: (0..size).map(|_| None).collect(),
            founders: size,
            more: more.iter().map(|&word| word.to_owned()).collect(),
        }
    }

    /// Starts another server, which is no member yet.
    pub(crate) fn join(&mut self) -> usize {
        for addresses in [&mut self.peers, &mut self.clients, &mut self.metrics] {
            addresses.push(address());
        }
        self.children.push(None);
        self.restart(self.size() - 1);
        self.size() - 1
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

    pub(crate) fn client_addresses(&self) -> Vec<SocketAddr> {
        self.clients.clone()
    }

    pub(crate) fn peer_address(&self, server: usize) -> SocketAddr {
        self.peers[server]
    }

    pub(crate) fn metrics_address(&self, server: usize) -> SocketAddr {
        self.metrics[server]
    }

    /// What a server wrote to standard error, in all its lives.
    pub(crate) fn log(&self, server: usize) -> String {
        fs::read_to_string(self.log_path(server)).unwrap_or_default()
    }

    fn log_path(&self, server: usize) -> PathBuf {
        self.directory.path().join(format!("n{}.log", server + 1))
    }

    /// The words that start a server.
    pub(crate) fn words(&self, server: usize) -> Vec<String> {
        let mut words = vec![env!("CARGO_BIN_EXE_raft-node").to_owned()];
        let id = (server + 1).to_string();
        let data = self.data(server).display().to_string();
        let (listen, metrics) =
            (self.clients[server].to_string(), self.metrics[server].to_string());
        for (name, value) in [
            ("--id", &id),
            ("--data", &data),
            ("--listen", &listen),
            ("--metrics-listen", &metrics),
            ("--seed", &"7".to_owned()),
        ] {
            words.extend([name.to_owned(), value.clone()]);
        }
        // Founders know each other; whoever joins later knows them and itself.
        let known = |index: &usize| *index < self.founders || *index == server;
        for index in (0..self.size()).filter(known) {
            let id = index + 1;
            words.extend(["--peer".to_owned(), format!("{id}={}", self.peers[index])]);
            words.extend(["--client-address".to_owned(), format!("{id}={}", self.clients[index])]);
        }
        if server >= self.founders {
            words.push("--join".to_owned());
        }
        words.extend(self.more.iter().cloned());
        words
    }

    pub(crate) fn command(&self, server: usize) -> Command {
        let words = self.words(server);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null());
        command
    }

    pub(crate) fn restart(&mut self, server: usize) {
        let command = self.command(server);
        self.spawn(server, command);
    }

    /// Runs a server by a command of the test's own.
    pub(crate) fn spawn(&mut self, server: usize, mut command: Command) {
        let log = OpenOptions::new().create(true).append(true).open(self.log_path(server));
        let child = command.stderr(log.expect("a file")).spawn().expect("the server starts");
        self.children[server] = Some(child);
    }

    /// Whether a server's process has not ended.
    pub(crate) fn runs(&mut self, server: usize) -> bool {
        let child = self.children[server].as_mut().expect("started");
        child.try_wait().expect("its own child").is_none()
    }

    /// One number of a server's metrics, if it serves them.
    pub(crate) fn metric(&self, server: usize, name: &str) -> Option<f64> {
        let text = http_get(self.metrics[server], "/metrics")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line?.parse().ok()
    }

    /// The bytes of memory that a server's process has in use.
    pub(crate) fn resident_bytes(&self, server: usize) -> u64 {
        let pid = self.children[server].as_ref().expect("running").id();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a field");
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kibibytes << 10
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

/// How much more than on an ordinary day is asked for.
pub(crate) fn soak() -> usize {
    std::env::var("PARTITA_SOAK").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// The reply to a GET, head and all.
pub(crate) fn http_get(address: SocketAddr, target: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {address}\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
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

    /// Sends a request and waits for a whole reply, however deep: arrays as `[a, b]`, sets as `{a, b}`,
    /// their parts as by [`Client::call`].
    pub(crate) fn ask(&mut self, words: &[&str]) -> Option<String> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.send(request.as_bytes())?;
        self.answer()
    }

    /// The next reply, whole.
    pub(crate) fn answer(&mut self) -> Option<String> {
        let reply = self.reply()?;
        let Some(count) = reply.strip_prefix(['*', '~']).and_then(|count| count.parse().ok())
        else {
            return Some(if matches!(&*reply, "_" | "*-1") { "nil".to_owned() } else { reply });
        };
        let count: usize = count;
        let mut parts: Vec<String> = (0..count).map(|_| self.answer()).collect::<Option<_>>()?;
        if !reply.starts_with('~') {
            return Some(format!("[{}]", parts.join(", ")));
        }
        parts.sort();
        Some(format!("{{{}}}", parts.join(", ")))
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
