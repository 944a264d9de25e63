//! A host is a name with an address, and a network namespace where there are any.
//!
//! The namespace lives as long as something holds it: the host's file descriptor, or a process or
//! socket inside. Nothing is written to `/run/netns`. On loopback, all hosts share the machine's
//! network, and have two addresses: one on which to listen, and one on which others reach them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sched::{CloneFlags, setns};

use super::frame::Mac;

/// A machine of the lab, as far as its network goes.
#[derive(Debug)]
pub struct Host {
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
    /// Where others reach it: the same, or the address of the relay before it.
    pub(crate) advertised: Ipv4Addr,
    pub(crate) occupants: Arc<Occupants>,
    /// What it has to itself, if anything.
    pub(crate) own: Option<Own>,
}

/// What a host of namespaces has to itself.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) mac: Mac,
    pub(crate) namespace: Arc<OwnedFd>,
}

/// The processes that a node's programs were started as last, by program.
#[derive(Debug, Default)]
pub(crate) struct Occupants(Mutex<BTreeMap<u32, i32>>);

impl Occupants {
    /// Notes a process of a program.
    pub(crate) fn note(&self, program: u32, pid: i32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(program, pid);
    }

    /// Forgets a program that has ended.
    pub(crate) fn forget(&self, program: u32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&program);
    }

    /// Their numbers.
    pub(crate) fn pids(&self) -> Vec<i32> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect()
    }
}

/// A process that was started on a host beside its node: as long as this is there, its connections and those
/// of its group are the host's. Where there are namespaces they are so anyway.
#[derive(Debug)]
pub struct Guest {
    occupants: Arc<Occupants>,
    number: u32,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.occupants.forget(self.number);
    }
}

impl Host {
    /// Takes the process `pid`, the leader of its group, for one of this host's.
    pub fn guest(&self, pid: i32) -> Guest {
        // No number of a node's programs, which are few.
        let number = pid.unsigned_abs() | 1 << 31;
        self.occupants.note(number, pid);
        Guest { occupants: Arc::clone(&self.occupants), number }
    }

    /// Its name: `n1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on the lab's network, on which its node listens.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The address on which others reach its node. Differs from [`Host::address`] where relays carry
    /// what nodes and clients say to each other: a connection to the latter bypasses all links.
    pub fn advertised(&self) -> Ipv4Addr {
        self.advertised
    }

    /// The address to which a socket must be bound to be the host's, if nothing else makes it so: on
    /// loopback. Needed of clients only.
    pub fn source(&self) -> Option<Ipv4Addr> {
        self.own.is_none().then_some(self.address)
    }

    /// Runs `inside` on the calling thread with the host's network; on loopback, that is the
    /// machine's. A socket made inside belongs to
    /// the host for good, on whichever thread it is used. `inside` must not move to another thread: make the
    /// socket, and connect it outside.
    ///
    /// The thread is back in its own network when this returns or unwinds; were that impossible,
    /// the program would abort rather than mistake one network for another.
    ///
    /// # Errors
    ///
    /// If the thread's network cannot be opened or the host's cannot be entered.
    pub fn enter<T>(&self, inside: impl FnOnce() -> T) -> io::Result<T> {
        let Some(own) = &self.own else { return Ok(inside()) };
        let home = Home(current_namespace()?);
        setns(&own.namespace, CloneFlags::CLONE_NEWNET)?;
        let result = inside();
        drop(home);
        Ok(result)
    }
}

/// The calling thread's network namespace.
pub(crate) fn current_namespace() -> io::Result<OwnedFd> {
    Ok(File::open("/proc/thread-self/ns/net")?.into())
}

/// Brings the thread back when dropped.
struct Home(OwnedFd);

impl Drop for Home {
    fn drop(&mut self) {
        if setns(&self.0, CloneFlags::CLONE_NEWNET).is_err() {
            std::process::abort();
        }
    }
}
