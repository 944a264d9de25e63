//! Watches a node's system calls for whoever breaks its clocks or its disk.
//!
//! A seccomp filter (`crate::seccomp`) that the node's first process puts on itself, and that all its
//! descendants inherit, reports some calls to a thread of the controller ([`supervisor`]) and lets
//! them wait for its answer: execs for the node's clocks, writes and syncs for its disk. A task can have one filter that reports, so a node that has both has
//! one filter, with the calls of both, and one supervisor that hands each report to whom it concerns.
//! A node that has neither has no filter.
//!
//! Costs 3 µs for a call that is reported, beside what is made of the report, and nothing
//! measurable for the others. A node that brings a reporting filter of its own is refused it with
//! EBUSY.

#![expect(unsafe_code, reason = "what runs between fork and exec has no safe interface")]

mod supervisor;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use crate::clock::NodeClock;
use crate::disk::Disk;
use crate::seccomp::filter::{self, Filter, Reported};

/// What a process needs to be watched. Dropping it unused ends the supervisor.
#[derive(Debug)]
pub(crate) struct Watch {
    filter: Filter,
    socket: OwnedFd,
}

impl Watch {
    /// Prepares to watch a process of `node` that is about to be started, and all it will start.
    pub(crate) fn new(
        node: &str,
        clock: Option<Arc<NodeClock>>,
        disk: Option<Disk>,
    ) -> io::Result<Watch> {
        let reported = Reported { execs: clock.is_some(), disk: disk.is_some() };
        let (ours, theirs) = UnixStream::pair()?;
        thread::Builder::new().name(format!("watch {node}")).spawn(move || {
            // Without a listener there is no process, and whoever starts it is told by itself.
            let heard = filter::receive(ours.as_fd()).and_then(|listener| match listener {
                Some(listener) => {
                    drop(ours);
                    supervisor::watch(&listener, clock.as_deref(), disk.as_ref())
                }
                None => Ok(()),
            });
            if let (Err(error), Some(disk)) = (heard, disk) {
                disk.lose_track(&error);
            }
        })?;
        Ok(Watch { filter: Filter::new(reported), socket: theirs.into() })
    }

    /// Watches what `command` will start, from just before its exec on.
    pub(crate) fn attach(self, command: &mut Command) {
        // SAFETY: between fork and exec, this makes system calls only, and allocates nothing.
        unsafe { command.pre_exec(move || self.begin()) };
    }

    /// Puts the calling process, between fork and exec, under the supervisor's eyes.
    pub(crate) fn begin(&self) -> io::Result<()> {
        self.filter.install(self.socket.as_fd())
    }
}
