//! Carries bytes between hosts that share one machine's loopback: a relay before every node.
//!
//! Where no namespace can be had, hosts are nothing but addresses of 127.0.0.0/8. A node listens on
//! its own, and all others are given another, behind which a *relay* accepts, finds out who dialled
//! ([`dialler`]) and dials the node in turn. So every connection passes one relay, which governs each
//! direction by the policy of the link on which its bytes travel ([`streams`]): a request by the link
//! from the dialler to the node, its answer by the link back.
//!
//! One thread with an event loop of its own carries everything. It sends while it holds the lock on
//! the policies: once a change has returned, not one byte passes by the old policy. A link that is
//! shut looks like silence: connections are accepted, and nothing comes of them until it is mended.
//! A node that is down looks like one, too: its relay does not listen, so that connections are
//! refused ([`relay_listener`]).
//!
//! Costs two copies and two wake-ups for each message, and one look into `/proc`, some milliseconds
//! on a thread aside, for each connection of a node. What a relay cannot do: see [`streams`]; and the
//! kernel acknowledges bytes as soon as a relay has them, so no sender notices a partition by TCP's
//! own means. Leaves out UDP.

mod connection;
mod dialler;
mod relay_listener;
mod sockets;
mod streams;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tracing::debug;

use super::fabric::{Counters, Policy, Port};
use super::host::{Host, Occupants};
use super::links::{Hosts, Link, Messages, Series, UnknownLink};
use relay_listener::RelayListener;
use streams::Streams;

/// The most connections of one link that wait for it after their diallers have hung up, as those of
/// clients that lost their patience. The oldest beyond are given up, as a kernel gives up sending
/// again for a program that has ended.
const ORPHANS: usize = 256;

/// As many descriptors as will do for any run.
const DESCRIPTORS: u64 = 1 << 16;

/// The relays of a lab; they end with this handle.
#[derive(Debug)]
pub struct Proxies {
    shared: Arc<Shared>,
    hosts: Hosts,
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

/// Why relays cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("starting the relays: {0}")]
pub struct ProxiesError(#[from] io::Error);

#[derive(Debug)]
struct Shared {
    core: Mutex<Core>,
    /// Counts the changes of policies.
    changes: watch::Sender<u64>,
    start: Instant,
    /// The hosts' names, for the log.
    names: Vec<String>,
    /// The nodes' processes, and those that speak for clients.
    occupants: Vec<Arc<Occupants>>,
    /// From where clients dial.
    clients: Ipv4Addr,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Core {
    streams: Streams,
    open: BTreeMap<u64, Open>,
    opened: u64,
}

/// A connection that a relay has accepted.
#[derive(Debug)]
struct Open {
    /// From the dialler to the node.
    link: (Port, Port),
    dialler: Arc<TcpStream>,
    /// The connection to the node, once there is one.
    node: Option<Arc<TcpStream>>,
}

#[derive(Debug, Default)]
struct State {
    failure: Option<String>,
    strangers: u64,
}

impl Proxies {
    /// Starts a relay for each port of each of `nodes`. What chance does depends on `seed`.
    pub(super) fn start(
        nodes: &[Host],
        clients: &Host,
        ports: &[u16],
        seed: u64,
    ) -> Result<Proxies, ProxiesError> {
        let names: Vec<String> =
            nodes.iter().chain([clients]).map(|host| host.name.clone()).collect();
        allow_descriptors();
        let streams = Streams::new(nodes.len() + 1, seed);
        let shared = Arc::new(Shared {
            core: Mutex::new(Core { streams, open: BTreeMap::new(), opened: 0 }),
            changes: watch::Sender::new(0),
            start: Instant::now(),
            names: names.clone(),
            occupants: nodes
                .iter()
                .chain([clients])
                .map(|host| Arc::clone(&host.occupants))
                .collect(),
            clients: clients.address,
            state: Mutex::default(),
        });
        let mut gates = Vec::new();
        for (place, host) in nodes.iter().enumerate() {
            for (of_port, port) in ports.iter().copied().enumerate() {
                let serves_clients = of_port == 0;
                let relay = SocketAddrV4::new(host.advertised, port);
                let target = SocketAddrV4::new(host.address, port);
                gates.push(RelayListener::new(
                    Arc::clone(&shared),
                    place,
                    relay,
                    target,
                    serves_clients,
                ));
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("relays".to_owned()).spawn(move || {
            runtime.block_on(async {
                for gate in gates {
                    tokio::spawn(Arc::new(gate).keep());
                }
                stopped.notified().await;
            });
        })?;
        debug!(nodes = nodes.len(), "the relays run");
        Ok(Proxies { shared, hosts: Hosts::new(names), stop, thread: Some(thread) })
    }

    /// Changes the policies of several links at one moment: no byte passes in between. Of a policy,
    /// block, hold, delay, jitter and rate count; each fault says what of a lab it needs.
    ///
    /// # Errors
    ///
    /// If the lab lacks one of the links; then none is changed.
    pub fn change(&self, links: &[Link], change: impl Fn(&mut Policy)) -> Result<(), UnknownLink> {
        let places = self.hosts.places(links)?;
        let mut core = lock(&self.shared.core);
        let now_ns = self.shared.now_ns();
        for at in places {
            let mut policy = core.streams.policy(at);
            change(&mut policy);
            core.streams.set(at, policy, now_ns);
        }
        drop(core);
        self.shared.changes.send_modify(|count| *count += 1);
        Ok(())
    }

    /// A link's policy.
    ///
    /// # Errors
    ///
    /// If the lab has no such link.
    pub fn policy(&self, from: &str, to: &str) -> Result<Policy, UnknownLink> {
        let at = self.hosts.place(from, to)?;
        Ok(lock(&self.shared.core).streams.policy(at))
    }

    /// What a link did since the lab was built, in chunks of at most 16 KiB.
    ///
    /// # Errors
    ///
    /// If the lab has no such link.
    pub fn counters(&self, from: &str, to: &str) -> Result<Counters, UnknownLink> {
        let at = self.hosts.place(from, to)?;
        Ok(lock(&self.shared.core).streams.counters(at))
    }

    /// Resets every connection between the ends of one of these links, in either direction: sends a reset
    /// to both of its ends, past all policies. The number of connections; each counts once.
    ///
    /// # Errors
    ///
    /// If the lab lacks one of the links; then nothing is reset.
    pub fn reset(&self, links: &[Link]) -> Result<u64, UnknownLink> {
        let places = self.hosts.places(links)?;
        let mut core = lock(&self.shared.core);
        let now_ns = self.shared.now_ns();
        let mut connections = 0;
        for (from, to) in places {
            let between = [(from, to), (to, from)];
            let is_hit = |_: &u64, open: &mut Open| between.contains(&open.link);
            for (_, open) in core.open.extract_if(.., is_hit).collect::<Vec<_>>() {
                open.abort();
                core.streams.reset((from, to), now_ns);
                connections += 1;
            }
        }
        drop(core);
        // Connections that wait for a link check whether they still exist.
        self.shared.changes.send_modify(|count| *count += 1);
        Ok(connections)
    }

    /// What became of the latest chunks between nodes: up to 1,048,576, an equal share for each link.
    pub fn messages(&self) -> Messages {
        let (messages, forgotten) = lock(&self.shared.core).streams.messages();
        self.hosts.messages(messages, forgotten)
    }

    /// What every link did in each period of 100 ms: up to 262,144 samples, newest kept.
    pub fn series(&self) -> Series {
        let (samples, forgotten) = lock(&self.shared.core).streams.series();
        self.hosts.series(samples, forgotten)
    }

    /// When the relays began, from which their series counts.
    pub fn started(&self) -> Instant {
        self.shared.start
    }

    /// Why a relay has stopped serving, if so: a run on a dead network proves nothing.
    pub fn failure(&self) -> Option<String> {
        lock(&self.shared.state).failure.clone()
    }

    /// How many connections came from processes that are no nodes and no clients. They were reset.
    pub fn strangers(&self) -> u64 {
        lock(&self.shared.state).strangers
    }
}

impl Drop for Proxies {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic in there was already reported as one.
            let _ = thread.join();
        }
    }
}

impl Open {
    /// Ends it at both ends.
    fn abort(&self) {
        abort(&self.dialler);
        if let Some(node) = &self.node {
            abort(node);
        }
    }

    /// Whether its dialler sends nothing more and only waits for its end.
    fn is_orphan(&self) -> bool {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        let gone =
            PollFlags::from_bits_retain(libc::POLLRDHUP) | PollFlags::POLLHUP | PollFlags::POLLERR;
        let mut ends = [PollFd::new(self.dialler.as_fd(), gone)];
        matches!(poll(&mut ends, PollTimeout::ZERO), Ok(1..))
    }
}

/// Raises the limit on open descriptors to what this user may have: a relayed connection takes two,
/// and clients one. If that is not enough, accepting pauses when they run out.
fn allow_descriptors() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard.min(DESCRIPTORS).max(soft), hard);
    }
}

/// Ends a connection by a reset. One that is over already needs none.
fn abort(stream: &TcpStream) {
    let _ = sockets::abort(stream.as_fd());
}

/// Locks even after a panic elsewhere: healing must go on, and no update is left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Nanoseconds since the relays began.
    fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The moment that is so many nanoseconds after the relays began.
    fn moment(&self, at_ns: u64) -> tokio::time::Instant {
        (self.start + Duration::from_nanos(at_ns)).into()
    }

    /// The host from which clients dial, as a port of links.
    fn clients_port(&self) -> Port {
        self.occupants.len() - 1
    }

    /// Notes a connection from the link's beginning to its end, until the result is dropped.
    fn register(self: &Arc<Self>, link: (Port, Port), dialler: &Arc<TcpStream>) -> Entry {
        let mut core = lock(&self.core);
        let same = |open: &&Open| open.link == link;
        if core.open.values().filter(same).count() > ORPHANS {
            let orphan = core.open.iter().find(|(_, open)| open.link == link && open.is_orphan());
            if let Some(number) = orphan.map(|(number, _)| *number)
                && let Some(open) = core.open.remove(&number)
            {
                debug!(connection = number, "given up: its dialler is gone, as are many others'");
                open.abort();
            }
        }
        let number = core.opened;
        core.opened += 1;
        core.open.insert(number, Open { link, dialler: Arc::clone(dialler), node: None });
        drop(core);
        let (from, to) = (&self.names[link.0], &self.names[link.1]);
        debug!(connection = number, from, to, "accepted");
        Entry { shared: Arc::clone(self), number }
    }
}

/// A connection's place among those that are open.
#[derive(Debug)]
struct Entry {
    shared: Arc<Shared>,
    number: u64,
}

impl Entry {
    /// Notes the connection to the node; false if the connection was reset meanwhile.
    fn join(&self, node: &Arc<TcpStream>) -> bool {
        let mut core = lock(&self.shared.core);
        let open = core.open.get_mut(&self.number);
        open.map(|open| open.node = Some(Arc::clone(node))).is_some()
    }

    /// Whether it was reset.
    fn is_reset(&self) -> bool {
        !lock(&self.shared.core).open.contains_key(&self.number)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let left = lock(&self.shared.core).open.remove(&self.number);
        let how = if left.is_some() { "closed" } else { "closed: it was reset" };
        debug!(connection = self.number, "{how}");
    }
}

#[cfg(test)]
mod tests;
