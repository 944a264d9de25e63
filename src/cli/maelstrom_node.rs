//! The adapter between Maelstrom's protocol and a lab: a program that was written for Maelstrom speaks JSON lines on
//! its standard input and output, to clients and to other nodes alike. This carries them.
//!
//! It runs as the node, one on each host. It starts the program, tells it who it is, carries its messages to the
//! adapters of other nodes over TCP, so that what happens to links happens to them, and takes the requests of clients
//! ([plug-ins](../../docs/plugins.md) speak the same lines) as operations of `lin-kv`. A connection that breaks loses
//! what was on its way, and is made again for the next message. It ends when the program does.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::errln;
use crate::exit::{Exit, Failure, FailureContext};

/// Messages to one node that wait for its connection; of more, each is lost.
const WAITING: usize = 10_000;

/// How long a connection to another node, or writing to it, may take.
const PEER_LIMIT: Duration = Duration::from_millis(500);

/// Time between two tries to connect.
const BEFORE_AGAIN: Duration = Duration::from_millis(50);

/// The errors of Maelstrom after which an operation has not happened and will not.
const DEFINITE: [i64; 9] = [1, 10, 11, 12, 14, 20, 21, 22, 30];
/// There is no such key.
const NO_KEY: i64 = 20;
/// A compare-and-set found another value.
const PRECONDITION: i64 = 22;

/// Runs a program that was written for Maelstrom as a node.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The node's name.
    #[arg(long)]
    id: String,
    /// Where to listen for clients.
    #[arg(long)]
    listen: SocketAddr,
    /// Where to listen for other nodes.
    #[arg(long)]
    peer_listen: SocketAddr,
    /// Every node of the cluster and where others reach it.
    #[arg(long, value_name = "NAME=ADDRESS,…", value_delimiter = ',', value_parser = peer)]
    peers: Vec<(String, SocketAddr)>,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    program: Vec<String>,
}

fn peer(text: &str) -> Result<(String, SocketAddr), String> {
    let expected = || "expected a name and an address, such as n1=198.18.0.1:7000".to_owned();
    let (name, address) = text.split_once('=').ok_or_else(expected)?;
    Ok((name.to_owned(), address.parse().map_err(|_| expected())?))
}

/// What all threads share.
struct Node {
    id: String,
    input: Mutex<ChildStdin>,
    /// Senders to the other nodes.
    peers: BTreeMap<String, SyncSender<String>>,
    /// Who waits for the answer to which message.
    waiting: Mutex<BTreeMap<u64, Sender<Value>>>,
    last_message: AtomicU64,
    is_ready: AtomicBool,
}

/// Performs the command: returns when the program has ended.
///
/// # Errors
///
/// [`Failure`] if the program cannot be started, or an address cannot be listened on.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let program = &arguments.program[0];
    let mut child = Command::new(program)
        .args(&arguments.program[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .or_harness(|| format!("starting {program}"))?;
    let node = Arc::new(Node::of(arguments, &mut child)?);
    let output = child.stdout.take();
    let listen =
        |address| TcpListener::bind(address).or_harness(|| format!("listening on {address}"));
    let (peers, clients) = (listen(arguments.peer_listen)?, listen(arguments.listen)?);
    let for_peers = Arc::clone(&node);
    thread::spawn(move || accept(&peers, |stream| for_peers.take_messages(stream)));
    let for_clients = Arc::clone(&node);
    thread::spawn(move || accept(&clients, |stream| for_clients.serve(&stream)));
    let names: Vec<&String> = arguments.peers.iter().map(|(name, _)| name).collect();
    let init = json!({ "type": "init", "node_id": node.id, "node_ids": names });
    let starting = Arc::clone(&node);
    thread::spawn(move || {
        let answer = starting.ask("c0", init, Duration::from_secs(60));
        starting
            .is_ready
            .store(answer.is_some_and(|it| it["type"] == "init_ok"), Ordering::Release);
    });
    for line in output.into_iter().flat_map(|output| BufReader::new(output).lines()) {
        node.dispatch(&line.or_harness(|| format!("what {program} says"))?);
    }
    let status = child.wait().or_harness(|| program.clone())?;
    Err(Failure::harness(miette::miette!("{program} has ended: {status}")))
}

/// Serves each connection on a thread of its own, for ever.
fn accept(listener: &TcpListener, serve: impl Fn(TcpStream) + Send + Sync) {
    thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            let serve = &serve;
            scope.spawn(move || serve(stream));
        }
    });
}

impl Node {
    fn of(arguments: &Arguments, child: &mut Child) -> Result<Self, Failure> {
        let input = child.stdin.take().ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe));
        let input = input.or_harness(|| "the program's standard input".to_owned())?;
        let others = arguments.peers.iter().filter(|(name, _)| *name != arguments.id);
        let senders = others.map(|(name, address)| {
            let (sender, messages) = sync_channel(WAITING);
            let address = *address;
            thread::spawn(move || carry(&messages, address));
            (name.clone(), sender)
        });
        Ok(Self {
            id: arguments.id.clone(),
            input: Mutex::new(input),
            peers: senders.collect(),
            waiting: Mutex::default(),
            last_message: AtomicU64::new(0),
            is_ready: AtomicBool::new(false),
        })
    }

    /// Takes a message of the program to where it is for.
    fn dispatch(&self, line: &str) {
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            errln!("no message in JSON: {line}");
            return;
        };
        let to = message["dest"].as_str().unwrap_or_default();
        if to == self.id {
            self.tell(line);
        } else if let Some(peer) = self.peers.get(to) {
            if let Err(TrySendError::Full(_)) = peer.try_send(line.to_owned()) {
                errln!("a message to {to} is lost: too many wait");
            }
        } else if let Some(answered) = message["body"]["in_reply_to"].as_u64() {
            if let Some(waiting) = locked(&self.waiting).remove(&answered) {
                // Nobody waits any more if its time was up.
                let _ = waiting.send(message["body"].clone());
            }
        } else {
            errln!("a message to {to}, which is none of the nodes, is lost: {line}");
        }
    }

    /// Gives the program a message.
    fn tell(&self, line: &str) {
        let mut input = locked(&self.input);
        // It has ended: so does this.
        let _ = input.write_all(format!("{line}\n").as_bytes()).and_then(|()| input.flush());
    }

    /// Asks the program in the name of a client; what it answers within `limit`.
    fn ask(&self, client: &str, mut body: Value, limit: Duration) -> Option<Value> {
        let id = self.last_message.fetch_add(1, Ordering::Relaxed) + 1;
        body["msg_id"] = json!(id);
        let (sender, answer) = channel();
        locked(&self.waiting).insert(id, sender);
        self.tell(&json!({ "src": client, "dest": self.id, "body": body }).to_string());
        let answer = answer.recv_timeout(limit).ok();
        locked(&self.waiting).remove(&id);
        answer
    }

    /// Gives the program what another node says.
    fn take_messages(&self, stream: TcpStream) {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            self.tell(&line);
        }
    }

    /// Answers the requests of a client, one after the other.
    fn serve(&self, stream: &TcpStream) {
        let _ = stream.set_nodelay(true);
        let client = format!("c{}", self.last_message.fetch_add(1, Ordering::Relaxed) + 1);
        let mut write = stream;
        let hello = json!({ "format": 1, "operations": ["read", "write", "cas", "status"] });
        if write.write_all(format!("{hello}\n").as_bytes()).is_err() {
            return;
        }
        for line in BufReader::new(stream).lines() {
            let Some(request) = line.ok().and_then(|it| serde_json::from_str::<Value>(&it).ok())
            else {
                return;
            };
            let mut reply = self.answer(&client, &request);
            reply["id"] = request["id"].clone();
            if write.write_all(format!("{reply}\n").as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, client: &str, request: &Value) -> Value {
        if !self.is_ready.load(Ordering::Acquire) {
            return json!({ "fail": "the program has not answered `init`" });
        }
        let Some(body) = body(request) else { return json!({ "ok": {} }) };
        let limit = Duration::from_millis(request["limit-ms"].as_u64().unwrap_or(1000));
        match self.ask(client, body, limit) {
            Some(answer) => read(&request["op"], &answer),
            None => json!({ "unknown": format!("no answer within {} ms", limit.as_millis()) }),
        }
    }
}

/// What `lin-kv` is asked for a client's request; none if it is a question for the status.
fn body(request: &Value) -> Option<Value> {
    let (key, value) = (&request["key"], &request["value"]);
    match request["op"].as_str()? {
        "read" => Some(json!({ "type": "read", "key": key })),
        "write" => Some(json!({ "type": "write", "key": key, "value": value })),
        "cas" => {
            let (from, to) = (&request["old"], &request["new"]);
            Some(json!({ "type": "cas", "key": key, "from": from, "to": to }))
        }
        _ => None,
    }
}

/// What an answer of the program says of an operation.
fn read(operation: &Value, answer: &Value) -> Value {
    match (operation.as_str(), answer["type"].as_str()) {
        (Some("read"), Some("read_ok")) => json!({ "ok": { "value": answer["value"] } }),
        (Some("write"), Some("write_ok")) => json!({ "ok": {} }),
        (Some("cas"), Some("cas_ok")) => json!({ "ok": { "swapped": true } }),
        (Some(operation), Some("error")) => refused(operation, answer),
        _ => json!({ "unknown": format!("an answer that is none: {answer}") }),
    }
}

fn refused(operation: &str, error: &Value) -> Value {
    let code = error["code"].as_i64().unwrap_or_default();
    let why = format!("{code} {}", error["text"].as_str().unwrap_or_default());
    match (operation, code) {
        ("read", NO_KEY) => json!({ "ok": { "value": null } }),
        ("cas", NO_KEY) => json!({ "ok": { "swapped": false, "saw": null } }),
        ("cas", PRECONDITION) => json!({ "ok": { "swapped": false } }),
        (_, code) if DEFINITE.contains(&code) => json!({ "fail": why }),
        _ => json!({ "unknown": why }),
    }
}

/// Carries messages to the node at `address`. One that cannot be written is lost, and with it what the connection
/// had on its way.
fn carry(messages: &Receiver<String>, address: SocketAddr) {
    let mut connection: Option<TcpStream> = None;
    let mut tried = None;
    for line in messages {
        if connection.is_none() && tried.is_none_or(|it: Instant| it.elapsed() > BEFORE_AGAIN) {
            connection = TcpStream::connect_timeout(&address, PEER_LIMIT).ok();
            tried = Some(Instant::now());
            if let Some(stream) = &connection {
                let _ = stream.set_nodelay(true).and(stream.set_write_timeout(Some(PEER_LIMIT)));
            }
        }
        let Some(stream) = &mut connection else { continue };
        if stream.write_all(format!("{line}\n").as_bytes()).is_err() {
            connection = None;
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_operations_of_lin_kv() {
        let cas = json!({ "id": 7, "op": "cas", "key": "k1", "old": 3, "new": 4, "limit-ms": 9 });
        let expected = json!({ "type": "cas", "key": "k1", "from": 3, "to": 4 });
        assert_eq!(body(&cas), Some(expected));
        assert_eq!(body(&json!({ "id": 8, "op": "status" })), None);
    }

    #[test]
    fn errors_are_failures_only_if_maelstrom_says_so() {
        let of = |operation: &str, code: i64| {
            let error = json!({ "type": "error", "code": code, "text": "why" });
            read(&json!(operation), &error)
        };
        assert_eq!(of("read", 20), json!({ "ok": { "value": null } }));
        assert_eq!(of("cas", 20), json!({ "ok": { "swapped": false, "saw": null } }));
        assert_eq!(of("cas", 22), json!({ "ok": { "swapped": false } }));
        for code in DEFINITE {
            let is_failure = of("write", code).get("fail").is_some();
            assert!(is_failure, "{code}");
        }
        for code in [0, 13, 1000, 1001, 2, -1] {
            assert_eq!(of("write", code), json!({ "unknown": format!("{code} why") }));
        }
        let other = read(&json!("write"), &json!({ "type": "read_ok", "value": 3 }));
        assert!(other.get("unknown").is_some(), "{other}");
    }
}
