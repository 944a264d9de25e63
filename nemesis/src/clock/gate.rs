//! Watches a node's execs, so that no program of the node begins without the node's clocks.
//!
//! A seccomp filter that the node's first process puts on itself, and that all its descendants
//! inherit, reports execve and execveat and nothing else (seccomp_unotify(2)). For each, a thread
//! of the controller seizes the caller, gives it the page's file, lets the exec go on, installs the
//! clocks when the new program has been loaded ([`super::install`]) and lets go of it: between
//! execs nobody traces anything, and strace or gdb can be used on a node as on any program. Costs
//! nothing but at an exec, which it makes less than 1 ms longer.
//!
//! A program that somebody else traces, or that cannot take the clocks, begins without them; it is
//! noted and the fault that meets it says so ([`super::in_force`]).
//!
//! A task can have one such filter only: a second one, be it another's, is refused with EBUSY.
//! Whoever needs a filter of its own on the same node includes the two calls and hands their
//! reports to [`NodeClock::attend`], on a thread other than the one that answers the node's further
//! calls.

#![expect(unsafe_code, reason = "seccomp has no safe interface")]

use std::io::{self, Read, Write};
use std::mem::{offset_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use libc::{sock_filter, sock_fprog};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;

use super::NodeClock;
use super::install::{InstallError, at, close, install};
use super::tracee::{Stop, Tracee};

/// `AUDIT_ARCH_X86_64`: the kernel's name for system calls of 64-bit programs.
const X86_64: u32 = 0xc000_003e;

/// Puts a gate before the execs of what `command` will start, its own included. The gate's thread
/// ends with the last process behind it.
pub(super) fn erect(clock: &Arc<NodeClock>, command: &mut Command) -> io::Result<()> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let filter = filter();
    // SAFETY: between fork and exec, this makes system calls only, and allocates nothing.
    unsafe { command.pre_exec(move || pass_through(&filter, &theirs)) };
    let clock = Arc::clone(clock);
    thread::Builder::new().name(format!("clock gate {}", clock.node)).spawn(move || {
        // Without a listener there is no process, and whoever starts it is told by itself.
        if let Ok(listener) = take_listener(&mut ours) {
            drop(ours);
            keep(&listener, &clock);
        }
    })?;
    Ok(())
}

/// Reports execs, allows everything.
fn filter() -> [sock_filter; 7] {
    let load = |offset: usize| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset as u32);
    let equals = |value: u32, then, otherwise| sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt: then,
        jf: otherwise,
        k: value,
    };
    [
        load(offset_of!(libc::seccomp_data, arch)),
        equals(X86_64, 0, 3),
        load(offset_of!(libc::seccomp_data, nr)),
        equals(libc::SYS_execve as u32, 2, 0),
        equals(libc::SYS_execveat as u32, 1, 0),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_USER_NOTIF),
    ]
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

/// In the child, before exec: puts the filter on, and waits until the gate is manned.
fn pass_through(filter: &[sock_filter], mut gate: &UnixStream) -> io::Result<()> {
    let listener = put_on(filter)?;
    let mut message = [0; 8];
    message[..4].copy_from_slice(&std::process::id().to_le_bytes());
    message[4..].copy_from_slice(&listener.to_le_bytes());
    gate.write_all(&message)?;
    // Nobody at the gate would mean to wait there for ever.
    gate.read_exact(&mut [0])
}

/// Puts a filter on the calling thread; the descriptor on which it reports.
fn put_on(filter: &[sock_filter]) -> Result<RawFd, Errno> {
    let mut program = sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    let basic = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    // Where the kernel has it, signals do not make a caller at the gate turn back.
    let patient = basic | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let mut install = |flags: libc::c_ulong| {
        let mode = libc::SECCOMP_SET_MODE_FILTER;
        // SAFETY: the program outlives the call, which copies it.
        Errno::result(unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw mut program) })
    };
    let mut install_any = || match install(patient) {
        Err(Errno::EINVAL) => install(basic),
        other => other,
    };
    let listener = match install_any() {
        // Without power over its namespace, a process must give up gaining any by exec.
        Err(Errno::EACCES) => {
            nix::sys::prctl::set_no_new_privs()?;
            install_any()
        }
        other => other,
    };
    Ok(listener? as RawFd)
}

/// Takes the listener from the child, and tells it that it may go on.
fn take_listener(gate: &mut UnixStream) -> io::Result<OwnedFd> {
    let mut message = [0; 8];
    gate.read_exact(&mut message)?;
    let [pid @ .., _, _, _, _] = message;
    let [_, _, _, _, listener @ ..] = message;
    let descriptor = |number: libc::c_long| {
        let number = Errno::result(number)? as RawFd;
        // SAFETY: the kernel has just made it for us.
        Ok::<OwnedFd, Errno>(unsafe { OwnedFd::from_raw_fd(number) })
    };
    // SAFETY: takes numbers.
    let child = unsafe { libc::syscall(libc::SYS_pidfd_open, i32::from_le_bytes(pid), 0) };
    let child = descriptor(child)?;
    let theirs = i32::from_le_bytes(listener);
    // SAFETY: takes numbers.
    let listener = unsafe { libc::syscall(libc::SYS_pidfd_getfd, child.as_raw_fd(), theirs, 0) };
    let listener = descriptor(listener)?;
    gate.write_all(&[1])?;
    Ok(listener)
}

/// Serves the gate until nobody is left behind it.
fn keep(listener: &OwnedFd, clock: &NodeClock) {
    loop {
        let mut ends = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ends, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return,
        }
        let seen = ends[0].revents().unwrap_or(PollFlags::empty());
        if seen.contains(PollFlags::POLLIN) {
            if let Some(caller) = receive(listener) {
                clock.attend(listener.as_fd(), caller.id, caller.pid);
            }
        } else if seen.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL) {
            return;
        }
    }
}

/// Takes the next report, unless its caller has turned back or died.
fn receive(listener: &OwnedFd) -> Option<libc::seccomp_notif> {
    // SAFETY: all zeroes are valid for this structure of numbers, and what the kernel wants.
    let mut report: libc::seccomp_notif = unsafe { zeroed() };
    let request = libc::SECCOMP_IOCTL_NOTIF_RECV;
    // SAFETY: the kernel writes one such structure.
    let received = unsafe { libc::ioctl(listener.as_raw_fd(), request, &raw mut report) };
    (received == 0).then_some(report)
}

/// Lets one caller through, whose report has this number. Whether there is a new program, which
/// then has the clocks.
pub(super) fn attend(
    listener: BorrowedFd<'_>,
    report: u64,
    caller: u32,
    clock: &NodeClock,
) -> Result<bool, InstallError> {
    let tracee = Tracee::seize(Pid::from_raw(caller.cast_signed()));
    let file = if tracee.is_ok() { give(listener, report, clock) } else { Err(Errno::EBADF) };
    let mut answer = libc::seccomp_notif_resp {
        id: report,
        val: 0,
        error: 0,
        flags: libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
    };
    // SAFETY: the kernel reads one such structure. If this fails, the caller is no longer there.
    unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer);
    }
    let result = at("seizing it", tracee).and_then(|mut tracee| {
        let result = escort(&mut tracee, file);
        tracee.detach();
        result
    });
    match result {
        // It has ended: nobody to miss the clocks.
        Err(InstallError::Refused { source: Errno::ESRCH, .. }) => Ok(false),
        other => other,
    }
}

/// Gives the caller the page's file; the descriptor's number there.
fn give(listener: BorrowedFd<'_>, report: u64, clock: &NodeClock) -> Result<u64, Errno> {
    let mut gift = libc::seccomp_notif_addfd {
        id: report,
        flags: 0,
        srcfd: clock.page.file().as_raw_fd().cast_unsigned(),
        newfd: 0,
        newfd_flags: 0,
    };
    let request = libc::SECCOMP_IOCTL_NOTIF_ADDFD;
    // SAFETY: the kernel reads one such structure.
    let number = unsafe { libc::ioctl(listener.as_raw_fd(), request, &raw mut gift) };
    Errno::result(number).map(|number| u64::from(number.cast_unsigned()))
}

/// Follows a caller into its new program and installs the clocks there. Without a new program, the
/// caller is left as it was.
fn escort(tracee: &mut Tracee, file: Result<u64, Errno>) -> Result<bool, InstallError> {
    // A caller whose exec fails stops on its way back, for this; one whose exec succeeds stops
    // before that, in its new program.
    at("interrupting it", tracee.interrupt())?;
    loop {
        let stop = at("waiting for its exec", tracee.next_stop())?;
        match (stop, file) {
            (Stop::Exec, Ok(file)) => return install(tracee, file).map(|()| true),
            (Stop::Exec, Err(errno)) => return at("giving it the page", Err(errno)),
            (Stop::Interrupted, Ok(file)) => return close(tracee, file).map(|()| false),
            (Stop::Interrupted, Err(_)) => return Ok(false),
            (Stop::Signal(signal), _) => at("passing a signal on", tracee.deliver(signal))?,
            // It is never told to stop there.
            (Stop::SystemCall, _) => at("letting it run", tracee.deliver(0))?,
        }
    }
}
