//! Carries frames between the hosts, as far as each link's policy lets them.
//!
//! One thread waits on a packet socket per host and asks the fabric what to do with every
//! frame. It sends while it holds the fabric's lock: once a change of policy has returned, not one
//! frame passes by the old policy. A frame costs two system calls and a copy in each direction; a
//! full receiver is waited for, but not for long, since every other link waits too.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;

use super::fabric::{Counters, Decision, Due, Fabric, Policy, Port, Route};
use super::frame::Mac;
use super::packet::PacketSocket;

/// Frames taken from one host before the others get their turn.
const BATCH: usize = 64;
/// Longer than any frame: offloads are off, so none is longer than the MTU and a header.
const LONGEST_FRAME: usize = 65_536;
/// How often a frame is offered to a receiver without room, a millisecond apart.
const ATTEMPTS: usize = 5;

/// One direction between two hosts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Link {
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: String,
}

impl Link {
    /// The link from one host to another.
    pub fn new(from: impl Into<String>, to: impl Into<String>) -> Link {
        Link { from: from.into(), to: to.into() }
    }
}

/// A link between hosts that the lab does not have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no link leads from {from:?} to {to:?}; the hosts are {known}")]
pub struct UnknownLink {
    /// Who should send.
    pub from: String,
    /// Who should receive.
    pub to: String,
    /// The hosts' names, joined by commas.
    pub known: String,
}

/// The thread that carries frames; it ends with this handle.
#[derive(Debug)]
pub struct Switch {
    shared: Arc<Shared>,
    ports: HashMap<String, Port>,
    names: Vec<String>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    fabric: Mutex<Fabric>,
    sockets: Vec<PacketSocket>,
    /// Ends the thread's sleep when a policy changed or the switch shall end.
    wake: EventFd,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stop: bool,
    failure: Option<String>,
}

/// Why a switch cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("starting the switch: {0}")]
pub struct SwitchError(#[from] io::Error);

impl Switch {
    /// Starts to carry frames between hosts: name, hardware address and socket of each.
    pub(crate) fn start(hosts: Vec<(String, Mac, PacketSocket)>) -> Result<Switch, SwitchError> {
        let mut names = Vec::new();
        let (mut addresses, mut sockets) = (Vec::new(), Vec::new());
        for (name, mac, socket) in hosts {
            names.push(name);
            addresses.push(mac);
            sockets.push(socket);
        }
        let ports = names.iter().cloned().zip(0..).collect();
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let wake = EventFd::from_flags(flags).map_err(io::Error::from)?;
        let fabric = Mutex::new(Fabric::new(&addresses));
        let shared = Arc::new(Shared { fabric, sockets, wake, state: Mutex::default() });
        let carrier = Arc::clone(&shared);
        let thread = thread::Builder::new().name("switch".into()).spawn(move || {
            if let Err(error) = carrier.carry() {
                lock(&carrier.state).failure = Some(error.to_string());
            }
        })?;
        Ok(Switch { shared, ports, names, thread: Some(thread) })
    }

    /// Sets a link's policy. Once this returns, no frame passes by the old one.
    ///
    /// # Errors
    ///
    /// If the lab has no such link.
    pub fn set(&self, from: &str, to: &str, policy: Policy) -> Result<(), UnknownLink> {
        self.change(&[Link::new(from, to)], |old| *old = policy)
    }

    /// Changes the policies of several links at one moment: no frame passes in between.
    ///
    /// # Errors
    ///
    /// If the lab lacks one of the links; then none is changed.
    pub fn change(&self, links: &[Link], change: impl Fn(&mut Policy)) -> Result<(), UnknownLink> {
        let places: Vec<(Port, Port)> =
            links.iter().map(|link| self.place(&link.from, &link.to)).collect::<Result<_, _>>()?;
        let mut fabric = lock(&self.shared.fabric);
        for (from, to) in places {
            let mut policy = fabric.policy(from, to);
            change(&mut policy);
            fabric.set(from, to, policy);
        }
        drop(fabric);
        self.shared.wake();
        Ok(())
    }

    /// A link's policy.
    ///
    /// # Errors
    ///
    /// If the lab has no such link.
    pub fn policy(&self, from: &str, to: &str) -> Result<Policy, UnknownLink> {
        let (from, to) = self.place(from, to)?;
        Ok(lock(&self.shared.fabric).policy(from, to))
    }

    /// What a link did since the lab was built.
    ///
    /// # Errors
    ///
    /// If the lab has no such link.
    pub fn counters(&self, from: &str, to: &str) -> Result<Counters, UnknownLink> {
        let (from, to) = self.place(from, to)?;
        Ok(lock(&self.shared.fabric).counters(from, to))
    }

    /// Why the switch carries nothing any more, if so: a run on a dead network proves nothing.
    pub fn failure(&self) -> Option<String> {
        lock(&self.shared.state).failure.clone()
    }

    fn place(&self, from: &str, to: &str) -> Result<(Port, Port), UnknownLink> {
        match (self.ports.get(from), self.ports.get(to)) {
            (Some(a), Some(b)) if a != b => Ok((*a, *b)),
            _ => Err(UnknownLink {
                from: from.to_owned(),
                to: to.to_owned(),
                known: self.names.join(", "),
            }),
        }
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        lock(&self.shared.state).stop = true;
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            // A panic in there was already reported as one.
            let _ = thread.join();
        }
    }
}

/// Locks even after a panic elsewhere: healing must go on, and no update is left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn wake(&self) {
        // Fails only if the counter is full, and then the thread is being woken already.
        let _ = self.wake.write(1);
    }

    /// Carries frames until told to stop.
    fn carry(&self) -> io::Result<()> {
        // Held frames shall leave on time, not up to 50 µs late to save power.
        nix::sys::prctl::set_timerslack(1)?;
        let start = Instant::now();
        let now_ns = || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut buffer = vec![0; LONGEST_FRAME];
        let mut waiting: Vec<PollFd<'_>> =
            self.sockets.iter().map(|socket| readable(socket.as_fd())).collect();
        waiting.push(readable(self.wake.as_fd()));
        loop {
            let next_due_ns = lock(&self.fabric).next_due_ns();
            let timeout = next_due_ns.map(|due_ns| {
                TimeSpec::from_duration(Duration::from_nanos(due_ns.saturating_sub(now_ns())))
            });
            match ppoll(&mut waiting, timeout, None) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            // Reading resets the counter; an error says that it was zero.
            let _ = self.wake.read();
            if lock(&self.state).stop {
                return Ok(());
            }
            self.release(now_ns());
            for (port, socket) in self.sockets.iter().enumerate() {
                if waiting[port].revents().is_some_and(|events| !events.is_empty()) {
                    self.drain(port, socket, &mut buffer, &now_ns)?;
                }
            }
        }
    }

    /// Takes the frames that wait at a port, up to a batch.
    fn drain(
        &self,
        port: Port,
        socket: &PacketSocket,
        buffer: &mut [u8],
        now_ns: &impl Fn() -> u64,
    ) -> io::Result<()> {
        for _ in 0..BATCH {
            let Some(length) = socket.receive(buffer)? else { break };
            if let Some(frame) = buffer.get(..length) {
                self.forward(port, frame, now_ns());
            }
        }
        Ok(())
    }

    fn forward(&self, from: Port, frame: &[u8], now_ns: u64) {
        let mut fabric = lock(&self.fabric);
        match fabric.route(from, frame) {
            Route::To(to) => self.pass(&mut fabric, (from, to), frame, now_ns),
            Route::All => {
                for to in (0..fabric.ports()).filter(|to| *to != from) {
                    self.pass(&mut fabric, (from, to), frame, now_ns);
                }
            }
            Route::Nowhere => {}
        }
    }

    fn pass(&self, fabric: &mut Fabric, (from, to): (Port, Port), frame: &[u8], now_ns: u64) {
        match fabric.admit(from, to, frame, now_ns) {
            Decision::Forward => self.transmit(fabric, (from, to), frame),
            Decision::Hold | Decision::Drop => {}
        }
    }

    /// Sends the frames that have waited long enough.
    fn release(&self, now_ns: u64) {
        let mut fabric = lock(&self.fabric);
        while let Some(Due { from, to, frame }) = fabric.pop_due(now_ns) {
            self.transmit(&mut fabric, (from, to), &frame);
        }
    }

    fn transmit(&self, fabric: &mut Fabric, (from, to): (Port, Port), frame: &[u8]) {
        if self.offer(to, frame) {
            fabric.delivered(from, to, frame.len());
        } else {
            fabric.lost(from, to);
        }
    }

    /// Whether the receiver's interface took the frame, given a few milliseconds to make room.
    fn offer(&self, to: Port, frame: &[u8]) -> bool {
        let socket = &self.sockets[to];
        for _ in 0..ATTEMPTS {
            match socket.send(frame) {
                Ok(()) => return true,
                Err(Errno::EAGAIN) => {
                    let mut room = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
                    let _ = poll(&mut room, PollTimeout::from(1_u8));
                }
                Err(Errno::ENOBUFS) => thread::sleep(Duration::from_millis(1)),
                Err(_) => return false,
            }
        }
        false
    }
}

fn readable(fd: std::os::fd::BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::new(fd, PollFlags::POLLIN)
}
