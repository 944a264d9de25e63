//! Errors after which clients believe that nothing happened: a real node is made to answer with each
//! that can be had by asking, and what it holds must be as it was.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use partita_workloads::client::resp::DEFINITE;
use tempfile::TempDir;

/// Longer than anything should take.
const LIMIT: Duration = Duration::from_secs(30);

/// A node of a cluster of so many, of which no other is ever started.
struct Node {
    process: Child,
    client: SocketAddr,
    _folder: TempDir,
}

impl Node {
    fn start(members: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Held until all are known, so that they differ.
        let free = || TcpListener::bind("127.0.0.1:0").expect("a free port");
        let held: Vec<TcpListener> = (0..=members).map(|_| free()).collect();
        let address = |place: usize| held[place].local_addr().expect("bound");
        let (client, peer) = (address(0), address(1));
        let mut command = Command::new(env!("CARGO_BIN_EXE_partita"));
        command.args(["node", "--id", "1", "--data"]).arg(folder.path().join("data"));
        command.args(["--listen", &client.to_string(), "--peer-listen", &peer.to_string()]);
        for id in 1..=members {
            command.args(["--peer", &format!("{id}={}", address(id))]);
        }
        drop(held);
        let process = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        Self { process, client, _folder: folder }
    }

    fn connect(&self) -> Connection {
        let began = Instant::now();
        loop {
            if let Ok(stream) = TcpStream::connect(self.client) {
                stream.set_read_timeout(Some(LIMIT)).expect("a time");
                return Connection(BufReader::new(stream));
            }
            assert!(began.elapsed() < LIMIT, "the node does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    /// The reply to an inline command, its lines joined by blanks.
    fn ask(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).expect("sent");
        self.reply()
    }

    fn reply(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a reply");
        let line = line.trim_end().to_owned();
        let count = || line[1..].parse::<i64>().expect("a number");
        match line.as_bytes()[0] {
            b'$' if count() >= 0 => {
                let mut bytes = vec![0; usize::try_from(count()).expect("a length") + 2];
                self.0.read_exact(&mut bytes).expect("all of it");
                String::from_utf8_lossy(&bytes).trim_end().to_owned()
            }
            b'*' => (0..count()).map(|_| self.reply()).collect::<Vec<_>>().join(" "),
            _ => line,
        }
    }

    /// Asks until there is a leader.
    fn ask_when_ready(&mut self, line: &str) -> String {
        let began = Instant::now();
        loop {
            let reply = self.ask(line);
            if !reply.starts_with("-NOLEADER") {
                return reply;
            }
            assert!(began.elapsed() < LIMIT, "{reply}");
        }
    }
}

fn assert_definite(reply: &str, word: &str) {
    assert!(reply.starts_with(&format!("-{word} ")), "{reply}");
    assert!(DEFINITE.iter().any(|row| row.word == word), "{word} is not in the table");
}

#[test]
fn what_is_refused_with_a_definite_error_changed_nothing() {
    let node = Node::start(1);
    let mut node = node.connect();
    assert_eq!(node.ask_when_ready("SET text old"), "+OK");
    assert_eq!(node.ask("RPUSH list a"), ":1");

    assert_definite(&node.ask("INCRBY text 1"), "ERR");
    assert_definite(&node.ask("SET text new NONSENSE"), "ERR");
    assert_definite(&node.ask("APPEND list b"), "WRONGTYPE");
    assert_definite(&node.ask("RPUSH text b"), "WRONGTYPE");
    assert_definite(&node.ask("ONCE 999999 1 SET text new"), "NOSESSION");

    assert_eq!(node.ask("MULTI"), "+OK");
    assert_eq!(node.ask("SET text new"), "+QUEUED");
    assert_definite(&node.ask("NONSENSE"), "ERR");
    assert_eq!(node.ask("RPUSH list b"), "+QUEUED");
    assert_definite(&node.ask("EXEC"), "EXECABORT");
    assert_eq!(node.ask("GET text"), "old");
    assert_eq!(node.ask("LRANGE list 0 -1"), "a");

    let session = node.ask("SESSION")[1..].to_owned();
    assert_eq!(node.ask(&format!("ONCE {session} 5 SET text five")), "+OK");
    assert_definite(&node.ask(&format!("ONCE {session} 4 SET text four")), "STALESEQUENCE");
    assert_eq!(node.ask("GET text"), "five");
}

#[test]
fn without_a_quorum_nothing_is_submitted() {
    let node = Node::start(3);
    let mut connection = node.connect();
    assert_definite(&connection.ask("SET text new"), "NOLEADER");
}
