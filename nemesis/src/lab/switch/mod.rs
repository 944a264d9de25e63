//! Carries frames between the hosts, as far as each link's policy lets them.
//!
//! One thread, the `carrier`, waits on a packet socket per host and asks the fabric what to do
//! with every frame. It sends while it holds the fabric's lock: once a change of policy has
//! returned, not one frame passes by the old policy. A full receiver is waited for, but not for
//! long, since every other link waits too.

mod capture;
mod carrier;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nix::sys::eventfd::{EfdFlags, EventFd};
use tracing::{debug, error};

use super::fabric::{Counters, Fabric, Policy, Port};
use super::frame::Mac;
use super::links::{Hosts, Link, Messages, Series, UnknownLink};
use super::packet::PacketSocket;
use capture::Sink;

pub use capture::{Capture, CaptureError, CaptureLimits, Captured};

/// The thread that carries frames; it ends with this handle.
#[derive(Debug)]
pub struct Switch {
    shared: Arc<Shared>,
    hosts: Hosts,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    core: Mutex<Core>,
    sockets: Vec<PacketSocket>,
    start: Instant,
    /// The start, in nanoseconds since 1970: for captures only.
    wall_ns: u64,
    /// Ends the thread's sleep when a policy changed or the switch is to end.
    wake: EventFd,
    state: Mutex<State>,
}

/// What decides about frames, and what copies them.
#[derive(Debug)]
struct Core {
    fabric: Fabric,
    /// Where copies of delivered frames go while there is a capture.
    sink: Option<Sink>,
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
    /// Starts to carry frames between hosts: name, hardware address and socket of each. What chance
    /// does to frames depends on `seed`.
    pub(crate) fn start(
        hosts: Vec<(String, Mac, PacketSocket)>,
        seed: u64,
    ) -> Result<Switch, SwitchError> {
        let mut names = Vec::new();
        let (mut addresses, mut sockets) = (Vec::new(), Vec::new());
        for (name, mac, socket) in hosts {
            names.push(name);
            addresses.push(mac);
            sockets.push(socket);
        }
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let wake = EventFd::from_flags(flags).map_err(io::Error::from)?;
        let core = Mutex::new(Core { fabric: Fabric::new(&addresses, seed), sink: None });
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let shared = Arc::new(Shared {
            core,
            sockets,
            start: Instant::now(),
            wall_ns: u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX),
            wake,
            state: Mutex::default(),
        });
        let carrier = Arc::clone(&shared);
        let thread = thread::Builder::new().name("switch".into()).spawn(move || {
            if let Err(error) = carrier.carry() {
                error!(%error, "the switch carries nothing any more");
                lock(&carrier.state).failure = Some(error.to_string());
            }
        })?;
        debug!(ports = names.len(), "the switch runs");
        Ok(Switch { shared, hosts: Hosts::new(names), thread: Some(thread) })
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
        let places = self.hosts.places(links)?;
        let mut core = lock(&self.shared.core);
        for (from, to) in places {
            let mut policy = core.fabric.policy(from, to);
            change(&mut policy);
            core.fabric.set(from, to, policy, self.shared.now_ns());
        }
        drop(core);
        self.shared.wake();
        Ok(())
    }

    /// A link's policy.
    ///
    /// # Errors
    ///
    /// If the lab has no such link.
    pub fn policy(&self, from: &str, to: &str) -> Result<Policy, UnknownLink> {
        let (from, to) = self.hosts.place(from, to)?;
        Ok(lock(&self.shared.core).fabric.policy(from, to))
    }

    /// What a link did since the lab was built.
    ///
    /// # Errors
    ///
    /// If the lab has no such link.
    pub fn counters(&self, from: &str, to: &str) -> Result<Counters, UnknownLink> {
        let (from, to) = self.hosts.place(from, to)?;
        Ok(lock(&self.shared.core).fabric.counters(from, to))
    }

    /// Resets every TCP connection seen on one of these links: sends a reset to both of its ends,
    /// past all policies. The number of connections; one seen on several of the links counts once.
    /// Connections opened from now on are not concerned.
    ///
    /// # Errors
    ///
    /// If the lab lacks one of the links; then nothing is reset.
    pub fn reset(&self, links: &[Link]) -> Result<u64, UnknownLink> {
        let places = self.hosts.places(links)?;
        let mut core = lock(&self.shared.core);
        let now_ns = self.shared.now_ns();
        let reset = |(from, to): &(Port, Port)| core.fabric.reset(*from, *to, now_ns);
        let connections = places.iter().map(reset).sum();
        self.shared.send_forged(&mut core);
        Ok(connections)
    }

    /// What every link did in each period of 100 ms: up to 262,144 samples, newest kept.
    pub fn series(&self) -> Series {
        let (samples, forgotten) = lock(&self.shared.core).fabric.series();
        self.hosts.series(samples, forgotten)
    }

    /// What became of the latest frames with data between nodes: up to 1,048,576, an equal share for each
    /// link.
    pub fn messages(&self) -> Messages {
        let (messages, forgotten) = lock(&self.shared.core).fabric.messages();
        self.hosts.messages(messages, forgotten)
    }

    /// When the switch began, from which its series counts.
    pub fn started(&self) -> Instant {
        self.shared.start
    }

    /// Writes the frames that links deliver from now on into files in `folder`, which is made if it
    /// is not there: `n1-to-n2.pcap` for each directed link.
    ///
    /// # Errors
    ///
    /// If there is a capture already or the folder cannot be made.
    pub fn capture(&self, folder: &Path, limits: CaptureLimits) -> Result<Capture, CaptureError> {
        debug!(folder = %folder.display(), "capturing frames");
        Capture::start(&self.shared, self.hosts.names(), folder, limits)
    }

    /// Why the switch carries nothing any more, if so: a run on a dead network proves nothing.
    pub fn failure(&self) -> Option<String> {
        lock(&self.shared.state).failure.clone()
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

    /// Nanoseconds since the switch began.
    fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
