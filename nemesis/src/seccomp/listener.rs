//! Hears of a node's calls and answers them: the supervisor's end of a seccomp filter.

#![expect(unsafe_code, reason = "seccomp's ioctls have no safe interface")]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Lets the kernel carry the call out (`SECCOMP_USER_NOTIF_FLAG_CONTINUE`).
const CONTINUE: u32 = 1;

nix::ioctl_readwrite!(notif_recv, b'!', 0, libc::seccomp_notif);
nix::ioctl_readwrite!(notif_send, b'!', 1, libc::seccomp_notif_resp);
nix::ioctl_write_ptr!(notif_id_valid, b'!', 2, u64);
nix::ioctl_write_ptr!(notif_addfd, b'!', 3, libc::seccomp_notif_addfd);

/// The supervisor's end.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: OwnedFd,
    is_patient: bool,
}

/// A call that waits for its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notice {
    id: u64,
    /// The thread that called, by its number in the controller's PID namespace.
    pub(crate) thread: u32,
    /// The call's number.
    pub(crate) number: libc::c_long,
    /// What it was given.
    pub(crate) arguments: [u64; 6],
}

/// A call, and on whose list it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report<'a> {
    pub(crate) listener: &'a Listener,
    /// The call.
    pub(crate) notice: &'a Notice,
}

/// What a wait came to.
#[derive(Debug)]
pub(crate) enum WaitResult {
    /// A call.
    Call(Notice),
    /// Nothing in time.
    Nothing,
    /// No process has the filter any more.
    End,
}

impl Report<'_> {
    /// Whether the caller still waits for the answer: it may have been killed.
    pub(crate) fn is_awaited(self) -> bool {
        let listener = self.listener.listener.as_raw_fd();
        // SAFETY: the number is the caller's own and lives through the call.
        unsafe { notif_id_valid(listener, &raw const self.notice.id) }.is_ok()
    }
}

impl Notice {
    /// Whether the caller is about to become another program.
    pub(crate) fn is_exec(&self) -> bool {
        matches!(self.number, libc::SYS_execve | libc::SYS_execveat)
    }
}

impl Listener {
    /// Whether a signal does not make a caller turn back whose call was heard of.
    pub(crate) fn is_patient(&self) -> bool {
        self.is_patient
    }

    pub(crate) fn new(listener: OwnedFd, is_patient: bool) -> Listener {
        Listener { listener, is_patient }
    }

    /// Waits for a call, or until `limit` has passed.
    pub(crate) fn hear(&self, limit: Option<Duration>) -> io::Result<WaitResult> {
        let limit = limit.map_or(PollTimeout::NONE, |limit| {
            // Rounded up, or a wait for less than a millisecond would spin.
            PollTimeout::try_from(limit.as_millis() + 1).unwrap_or(PollTimeout::MAX)
        });
        let mut ends = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ends, limit) {
            Ok(0) | Err(Errno::EINTR) => return Ok(WaitResult::Nothing),
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        let events = ends[0].revents().unwrap_or(PollFlags::POLLHUP);
        if !events.contains(PollFlags::POLLIN) {
            return Ok(WaitResult::End);
        }
        // SAFETY: all zeros is what the kernel wants to be given.
        let mut notice: libc::seccomp_notif = unsafe { mem::zeroed() };
        // SAFETY: the structure is the kernel's own and lives through the call.
        match unsafe { notif_recv(self.listener.as_raw_fd(), &raw mut notice) } {
            // The caller was killed meanwhile.
            Err(Errno::ENOENT | Errno::EINTR) => Ok(WaitResult::Nothing),
            Err(errno) => Err(errno.into()),
            Ok(_) => Ok(WaitResult::Call(Notice {
                id: notice.id,
                thread: notice.pid,
                number: notice.data.nr.into(),
                arguments: notice.data.args,
            })),
        }
    }

    /// Lets a call go on, or fails it. Whether the caller was still there.
    pub(crate) fn answer(&self, notice: &Notice, failure: Option<Errno>) -> bool {
        let (error, flags) = match failure {
            Some(errno) => (-(errno as i32), 0),
            None => (0, CONTINUE),
        };
        let mut answer = libc::seccomp_notif_resp { id: notice.id, val: 0, error, flags };
        // SAFETY: the structure is the kernel's own and lives through the call. It fails only if
        // the caller was killed meanwhile.
        unsafe { notif_send(self.listener.as_raw_fd(), &raw mut answer) }.is_ok()
    }

    /// Gives the caller `file`; the descriptor's number there.
    pub(crate) fn give(&self, notice: &Notice, file: BorrowedFd<'_>) -> Result<u64, Errno> {
        let gift = libc::seccomp_notif_addfd {
            id: notice.id,
            flags: 0,
            srcfd: file.as_raw_fd().cast_unsigned(),
            newfd: 0,
            newfd_flags: 0,
        };
        // SAFETY: the structure is the kernel's own and lives through the call.
        let number = unsafe { notif_addfd(self.listener.as_raw_fd(), &raw const gift) }?;
        Ok(u64::from(number.cast_unsigned()))
    }
}
