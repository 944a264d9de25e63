//! Dials the other servers and sends them messages.
//!
//! Each server has one connection to each other, for what it has to say; the other's words come by
//! the other's connection. A message is sent at most once: what waits when a connection breaks is
//! dropped, and so is what comes while there is none.
//!
//! Whom to dial changes with the members. A server that is no member may still have to be answered:
//! a leader that is to go and waits for the others to agree, a new leader that this server, lagging
//! behind, has not heard of being added, or one that was removed and does not know it. Who was a
//! member, or says in its greeting where it is reached, is a guest; a few are dialed as well.
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

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::frames::{Greeting, put_frame};
use super::writing::write_all;
use crate::codec::encode_message;
use crate::core::Message;
use crate::core::membership::Configuration;
use crate::core::units::NodeId;

/// Messages that may wait for one connection.
const QUEUE: usize = 1024;
/// Bytes gathered for one write, if that much waits.
const WRITE_BYTES: usize = 256 << 10;
/// How often to try to reconnect.
const ATTEMPT_EVERY: Duration = Duration::from_millis(200);
/// How long one attempt may take.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(1);
/// How long a write may be stuck, because the other end's process does not read.
const WRITE_LIMIT: Duration = Duration::from_secs(2);
/// How often one link's troubles are worth a line.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// Servers that are no members but are answered.
const MAX_GUESTS: usize = 8;

/// The address of a member that was added, as the configuration carries it: where the servers reach
/// it, then perhaps where clients do.
pub(super) fn address_words(peers: SocketAddr, clients: Option<SocketAddr>) -> Bytes {
    let clients = clients.map(|clients| format!(" {clients}")).unwrap_or_default();
    Bytes::from(format!("{peers}{clients}"))
}

fn nth_address(words: &[u8], n: usize) -> Option<SocketAddr> {
    std::str::from_utf8(words).ok()?.split(' ').nth(n)?.parse().ok()
}

/// Where clients reach the member with these words.
pub(super) fn client_address(words: &[u8]) -> Option<SocketAddr> {
    nth_address(words, 1)
}

/// What every link needs.
#[derive(Clone, Debug)]
pub(super) struct Dialing {
    pub(super) own: NodeId,
    /// Where this server is reached by the others.
    pub(super) own_address: SocketAddr,
    pub(super) heartbeat: Duration,
    pub(super) silence: Duration,
}

/// The ways to the other servers.
#[derive(Debug)]
pub(super) struct Links {
    dialing: Dialing,
    /// Where the servers are reached that the command line names.
    named: BTreeMap<NodeId, SocketAddr>,
    members: BTreeMap<NodeId, Link>,
    guests: BTreeMap<NodeId, Link>,
}

#[derive(Debug)]
struct Link {
    address: SocketAddr,
    queue: Sender<Message>,
    connected: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Links {
    pub(super) fn new(dialing: Dialing, named: BTreeMap<NodeId, SocketAddr>) -> Self {
        Self { dialing, named, members: BTreeMap::new(), guests: BTreeMap::new() }
    }

    /// Queues a message; says `false` if it was dropped and thus will certainly never arrive.
    pub(super) fn send(&self, to: NodeId, message: Message) -> bool {
        self.members.get(&to).or_else(|| self.guests.get(&to)).is_some_and(|link| {
            link.connected.load(Ordering::Relaxed) && link.queue.try_send(message).is_ok()
        })
    }

    /// Where a member is reached: as the configuration has it, else as the command line does.
    fn address(&self, id: NodeId, configuration: &Configuration) -> Option<SocketAddr> {
        let told = configuration.addresses.get(&id).and_then(|words| nth_address(words, 0));
        told.or_else(|| self.named.get(&id).copied())
    }

    /// Where the members are reached, in words; empty where that is unknown.
    pub(super) fn addresses(&self, configuration: &Configuration) -> Vec<(NodeId, String)> {
        let shown = |id| {
            let address = self.address(id, configuration);
            (id, address.map(|address| address.to_string()).unwrap_or_default())
        };
        configuration.members().into_iter().map(shown).collect()
    }

    /// Connects to these members from now on, and to no others but guests. Members that go are
    /// such: their removal may have to be committed by themselves.
    pub(super) fn follow(&mut self, configuration: &Configuration) {
        let mut members = BTreeMap::new();
        for id in configuration.members() {
            if id == self.dialing.own {
                continue;
            }
            let Some(address) = self.address(id, configuration) else {
                warn!("nobody said where server {id} is reached");
                continue;
            };
            let known = self.members.remove(&id).or_else(|| self.guests.remove(&id));
            let link = known.filter(|link| link.address == address);
            members.insert(id, link.unwrap_or_else(|| self.dialing.dial(id, address)));
        }
        for (id, link) in std::mem::replace(&mut self.members, members) {
            self.host(id, link);
        }
    }

    /// Reaches a server that is no member.
    fn host(&mut self, id: NodeId, link: Link) {
        if self.guests.len() >= MAX_GUESTS && !self.guests.contains_key(&id) {
            self.guests.pop_first();
        }
        self.guests.insert(id, link);
    }

    /// Makes sure that a server that introduced itself can be answered.
    pub(super) fn meet(&mut self, id: NodeId, address: SocketAddr) {
        let met = self.guests.get(&id).is_some_and(|link| link.address == address);
        if met || id == self.dialing.own || self.members.contains_key(&id) {
            return;
        }
        let link = self.dialing.dial(id, address);
        self.host(id, link);
    }
}

impl Dialing {
    /// Starts a task that keeps a connection to a server.
    fn dial(&self, peer: NodeId, address: SocketAddr) -> Link {
        let (sender, queue) = channel(QUEUE);
        let connected = Arc::new(AtomicBool::new(false));
        let dialing = self.clone();
        let dialer = Dialer { peer, address, dialing, queue, connected: Arc::clone(&connected) };
        let task = tokio::spawn(dialer.run()).abort_handle();
        Link { address, queue: sender, connected, task }
    }
}

struct Dialer {
    peer: NodeId,
    address: SocketAddr,
    dialing: Dialing,
    queue: Receiver<Message>,
    connected: Arc<AtomicBool>,
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
                info!("connected to server {}", self.peer);
            }
            let Err(error) = self.converse(stream).await else { return };
            self.connected.store(false, Ordering::Relaxed);
            if loud {
                info!("lost the connection to server {}: {error}", self.peer);
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
                            && configure(&stream, self.dialing.silence).is_ok()
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
        let Dialing { own, own_address, heartbeat, .. } = self.dialing;
        let greeting = Greeting { from: own, to: self.peer, address: own_address };
        put_frame(&mut bytes, |out| greeting.put(out));
        let mut unexpected = [0; 16];
        loop {
            write_all(&mut writer, &bytes, WRITE_LIMIT).await?;
            bytes.clear();
            bytes.shrink_to(2 * WRITE_BYTES);
            tokio::select! {
                message = self.queue.recv() => match message {
                    Some(message) => self.gather(&message, &mut bytes),
                    None => return Ok(()),
                },
                () = sleep(heartbeat) => put_frame(&mut bytes, |_| {}),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_an_added_member_say_where_servers_and_clients_reach_it() {
        let (peers, clients) = (SocketAddr::from(([10, 0, 0, 1], 1)), ([10, 0, 0, 2], 2).into());
        let both = address_words(peers, Some(clients));
        assert_eq!(nth_address(&both, 0), Some(peers));
        assert_eq!(client_address(&both), Some(clients));
        assert_eq!(client_address(&address_words(peers, None)), None);
        assert_eq!(nth_address(b"nonsense", 0), None);
    }
}
