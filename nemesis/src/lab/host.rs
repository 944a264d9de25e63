//! A host is a network namespace with a name and an address.
//!
//! The namespace lives as long as something holds it: the host's file descriptor, or a process or
//! socket inside. Nothing is written to `/run/netns`.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::sched::{CloneFlags, setns};

use super::frame::Mac;

/// A machine of the lab, as far as its network goes.
#[derive(Debug)]
pub struct Host {
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) mac: Mac,
    pub(crate) namespace: Arc<OwnedFd>,
}

impl Host {
    /// Its name: `n1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on the lab's network.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Runs `inside` on the calling thread with the host's network. A socket made inside belongs to
    /// the host for good, whoever uses it later. `inside` must not move to another thread: make the
    /// socket, and connect it outside.
    ///
    /// The thread is back in its own network when this returns or unwinds; were that impossible,
    /// the program would abort rather than mistake one network for another.
    ///
    /// # Errors
    ///
    /// If the thread's network cannot be opened or the host's cannot be entered.
    pub fn enter<T>(&self, inside: impl FnOnce() -> T) -> io::Result<T> {
        let home = Home(current_namespace()?);
        setns(&self.namespace, CloneFlags::CLONE_NEWNET)?;
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
