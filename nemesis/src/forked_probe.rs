//! Tries in a child process what would leave its mark on this one.

#![expect(unsafe_code, reason = "fork and _exit have no safe interface")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe2};

/// How long an attempt may take. None waits for anything but the kernel.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Runs `attempt` in a child process; what it returned there. Call it in a process that has one thread.
pub(crate) fn in_child(attempt: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let cannot = |what: &str, why: &dyn std::fmt::Display| format!("{what}: {why}");
    let (answer, mut question) = {
        let (read, write) =
            pipe2(OFlag::O_CLOEXEC).map_err(|errno| cannot("making a pipe", &errno.desc()))?;
        (read, File::from(write))
    };
    // SAFETY: the caller promises that this process has no other thread, so the child may do
    // whatever the parent may.
    match unsafe { fork() }.map_err(|errno| cannot("starting a process", &errno.desc()))? {
        ForkResult::Child => {
            let text = match attempt() {
                Ok(()) => "works".to_owned(),
                Err(refusal) => format!("refused {refusal}"),
            };
            let _ = question.write_all(text.as_bytes());
            // SAFETY: ends the process without running anything that belongs to the parent.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            drop(question);
            let text = read_within(answer, LIMIT);
            end(child);
            match text.as_deref().map(|text| text.split_once(' ').unwrap_or((text, ""))) {
                Some(("works", _)) => Ok(()),
                Some(("refused", refusal)) => Err(refusal.to_owned()),
                Some(_) => Err("the probing process ended without an answer".to_owned()),
                None => Err(format!("no answer within {LIMIT:?}")),
            }
        }
    }
}

/// Everything that is written into a pipe, if it ends within the limit.
fn read_within(pipe: OwnedFd, limit: Duration) -> Option<String> {
    let start = Instant::now();
    let mut pipe = File::from(pipe);
    let mut text = Vec::new();
    loop {
        let left = PollTimeout::try_from(limit.saturating_sub(start.elapsed())).ok()?;
        let mut ends = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ends, left) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(_) => return None,
        }
        let mut chunk = [0; 512];
        match pipe.read(&mut chunk).ok()? {
            0 => return Some(String::from_utf8_lossy(&text).into_owned()),
            length => text.extend_from_slice(&chunk[..length]),
        }
    }
}

/// Makes sure that a child has ended, and reaps it.
pub(crate) fn end(child: Pid) {
    let _ = kill(child, Signal::SIGKILL);
    while waitpid(child, None) == Err(Errno::EINTR) {}
}
