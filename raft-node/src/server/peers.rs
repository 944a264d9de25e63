//! Dials the other servers and sends them messages.
//!
//! Each server has one connection to each other, for what it has to say; the other's words come by
//! the other's connection. A message is sent at most once: what waits when a connection breaks is
//! dropped, and so is what comes while there is none.
//!
//! A partition must not outlast its healing. The kernel would go on retransmitting at ever longer
//! intervals, so a connection whose data is not acknowledged for the silence limit is given up
//! (`TCP_USER_TIMEOUT`, RFC 5482), and idle connections carry an empty frame every heartbeat so
//! that there is data to acknowledge. New attempts start every [`ATTEMPT_EVERY`] while older ones
//! may go on up to [`ATTEMPT_LIMIT`]: the first packet after the healing gets through soon, and a
//! slow network is not mistaken for a dead one.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::frames::{greeting, put_frame};
use super::journal::Journal;
use super::writing::write_all;
use crate::codec::encode_message;
use crate::core::Message;
use crate::core::units::NodeId;

/// Messages that may wait for one connection.
const QUEUE: usize = 1024;
/// Bytes gathered for one write, if that much waits.
const WRITE_BYTES: usize = 256 << 10;
/// How often to try to connect anew.
const ATTEMPT_EVERY: Duration = Duration::from_millis(200);
/// How long one attempt may take.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(1);
/// How long a write may be stuck, because the other end's process does not read.
const WRITE_LIMIT: Duration = Duration::from_secs(2);
/// How often one link's troubles are worth a line.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// The ways to the other servers.
#[derive(Debug)]
pub(super) struct Links {
    links: BTreeMap<NodeId, Link>,
}

#[derive(Debug)]
struct Link {
    queue: Sender<Message>,
    connected: Arc<AtomicBool>,
}

impl Links {
    /// Queues a message; says `false` if it was dropped and thus will certainly never arrive.
    pub(super) fn send(&self, to: NodeId, message: Message) -> bool {
        self.links.get(&to).is_some_and(|link| {
            link.connected.load(Ordering::Relaxed) && link.queue.try_send(message).is_ok()
        })
    }
}

/// Starts a task per other server that keeps a connection to it.
pub(super) fn dial(
    members: impl Iterator<Item = (NodeId, SocketAddr)>,
    own: NodeId,
    heartbeat: Duration,
    silence: Duration,
    journal: &Journal,
) -> Links {
    let mut links = BTreeMap::new();
    for (peer, address) in members {
        let (sender, queue) = channel(QUEUE);
        let connected = Arc::new(AtomicBool::new(false));
        let task = Dialer {
            peer,
            address,
            own,
            heartbeat,
            silence,
            queue,
            connected: Arc::clone(&connected),
            journal: journal.clone(),
        };
        tokio::spawn(task.run());
        links.insert(peer, Link { queue: sender, connected });
    }
    Links { links }
}

struct Dialer {
    peer: NodeId,
    address: SocketAddr,
    own: NodeId,
    heartbeat: Duration,
    silence: Duration,
    queue: Receiver<Message>,
    connected: Arc<AtomicBool>,
    journal: Journal,
}

impl Dialer {
    async fn run(mut self) {
        let mut quiet_until = Instant::now();
        loop {
            let stream = self.connect().await;
            // What was queued for the last connection is older than this one.
            while self.queue.try_recv().is_ok() {}
            self.connected.store(true, Ordering::Relaxed);
            let loud = Instant::now() >= quiet_until;
            if loud {
                self.journal.info(&format!("connected to server {}", self.peer));
            }
            let Err(error) = self.converse(stream).await else { return };
            self.connected.store(false, Ordering::Relaxed);
            if loud {
                self.journal.info(&format!("lost the connection to server {}: {error}", self.peer));
                quiet_until = Instant::now() + LINE_EVERY;
            }
            sleep(ATTEMPT_EVERY / 4).await;
        }
    }

    async fn connect(&self) -> TcpStream {
        let mut attempts = JoinSet::new();
        loop {
            attempts.spawn(timeout(ATTEMPT_LIMIT, TcpStream::connect(self.address)));
            let next_attempt = sleep(ATTEMPT_EVERY);
            tokio::pin!(next_attempt);
            loop {
                tokio::select! {
                    () = &mut next_attempt => break,
                    Some(attempt) = attempts.join_next() => {
                        if let Ok(Ok(Ok(stream))) = attempt
                            && configure(&stream, self.silence).is_ok()
                        {
                            return stream;
                        }
                    }
                }
            }
        }
    }

    /// Sends messages until the connection breaks; `Ok` once no one has anything to send any more.
    async fn converse(&mut self, mut stream: TcpStream) -> io::Result<()> {
        let (mut reader, mut writer) = stream.split();
        let mut bytes = Vec::new();
        put_frame(&mut bytes, |out| out.extend_from_slice(&greeting(self.own, self.peer)));
        let mut unexpected = [0; 16];
        loop {
            write_all(&mut writer, &bytes, WRITE_LIMIT).await?;
            bytes.clear();
            tokio::select! {
                message = self.queue.recv() => match message {
                    Some(message) => self.gather(&message, &mut bytes),
                    None => return Ok(()),
                },
                () = sleep(self.heartbeat) => put_frame(&mut bytes, |_| {}),
                read = reader.read(&mut unexpected) => {
                    // The other end says nothing here, so it can only have closed.
                    read?;
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
            }
        }
    }

    /// Encodes a message and what waits behind it.
    fn gather(&mut self, message: &Message, bytes: &mut Vec<u8>) {
        put_frame(bytes, |out| encode_message(message, out));
        while bytes.len() < WRITE_BYTES
            && let Ok(message) = self.queue.try_recv()
        {
            put_frame(bytes, |out| encode_message(&message, out));
        }
    }
}

/// Sends at once, and gives up when nothing is acknowledged for the silence limit.
pub(super) fn configure(stream: &TcpStream, silence: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_user_timeout(Some(silence))
}
