//! Follows an exec of a node, so that no program of the node begins without the node's clocks.
//!
//! A seccomp filter reports execve and execveat ([`crate::seccomp`]). For each, a thread of the
//! controller seizes the caller, gives it the page's file, lets the exec go on, installs the
//! clocks when the new program has been loaded ([`super::install`]) and lets go of it: between
//! execs nobody traces anything, and strace or gdb can be used on a node as on any program. Costs
//! nothing but at an exec, which it makes less than 1 ms longer.
//!
//! A program that somebody else traces, or that cannot take the clocks, begins without them; it is
//! noted and the fault that meets it says so (`fault::clock::moved`).

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::NodeClock;
use super::install::{InstallError, at, close, install};
use super::tracee::{PtraceStop, Tracee};
use crate::seccomp::listener::{Listener, Notice};

/// Lets the caller of `exec` go on. Whether there is a new program, which then has the clocks.
pub(super) fn attend(
    listener: &Listener,
    exec: &Notice,
    clock: &NodeClock,
) -> Result<bool, InstallError> {
    let tracee = Tracee::seize(Pid::from_raw(exec.thread.cast_signed()));
    let page = || listener.give(exec, clock.page.file().as_fd());
    let file = if tracee.is_ok() { page() } else { Err(Errno::EBADF) };
    let interrupted = match &tracee {
        Ok(tracee) if listener.is_patient() => tracee.interrupt(),
        _ => Ok(()),
    };
    let was_there = listener.answer(exec, None);
    if tracee.is_err() && !was_there {
        return Ok(false);
    }
    let result = at("seizing it", tracee).and_then(|mut tracee| {
        // A caller whose exec fails stops on its way back, for this; one whose exec succeeds stops
        // before that, in its new program. If it had gone as far as its next exec (a search along
        // PATH), whose report has been received, it could not stop any more: so it is told to while
        // it waits for the answer, where that does not make it turn back.
        let interrupted = if listener.is_patient() { interrupted } else { tracee.interrupt() };
        let result = at("interrupting it", interrupted).and_then(|()| escort(&mut tracee, file));
        tracee.detach();
        result
    });
    match result {
        // It has ended: nobody to miss the clocks.
        Err(InstallError::Refused { source: Errno::ESRCH, .. }) => Ok(false),
        other => other,
    }
}

/// Follows an interrupted caller into its new program and installs the clocks there. Without a new program, the
/// caller is left as it was.
fn escort(tracee: &mut Tracee, file: Result<u64, Errno>) -> Result<bool, InstallError> {
    loop {
        let stop = at("waiting for its exec", tracee.next_stop())?;
        match (stop, file) {
            (PtraceStop::Exec, Ok(file)) => return install(tracee, file).map(|()| true),
            (PtraceStop::Exec, Err(errno)) => return at("giving it the page", Err(errno)),
            (PtraceStop::Interrupted, Ok(file)) => return close(tracee, file).map(|()| false),
            (PtraceStop::Interrupted, Err(_)) => return Ok(false),
            (PtraceStop::Signal(signal), _) => at("passing a signal on", tracee.deliver(signal))?,
            // It is never told to stop there.
            (PtraceStop::SystemCall, _) => at("letting it run", tracee.deliver(0))?,
        }
    }
}
