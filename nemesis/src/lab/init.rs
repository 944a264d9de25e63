//! The lab's first process: starts the controller, reaps every orphan, and ends with the controller.
//!
//! In a lab with a PID namespace it is PID 1 of the lab, and its end is the end of everything in there;
//! in one without it is the guardian, which kills everything itself before it ends.
//!
//! Either way, it does nothing that could fail halfway: it has one thread, allocates nothing that matters
//! after its start, and waits for two things only, signals and the end of the outer process.

#![expect(unsafe_code, reason = "fork and signal have no safe interface")]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, exit};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigHandler, SigmaskHow, Signal, pthread_sigmask, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getppid, setpgid};

use super::namespaces::{
    EnterError, Inheritance, MARKER, Step, adopt_orphans, code, encode, is_cut, mount_proc, pass_on,
};
use super::processes;

/// What init ends with if it cannot go on, the code for a harness that failed.
const FAILED: i32 = 4;

/// Runs as the lab's first process. Never returns: the process ends with the controller's code.
pub(crate) fn run(inheritance: Inheritance) -> ! {
    let result = prepare(&inheritance).and_then(|()| start(&inheritance));
    let controller = match result {
        Ok(controller) => controller,
        Err(error) => report(&inheritance, &error),
    };
    // The outer process reads to the end of the report, so only the controller may hold it now.
    let Inheritance { is_contained, lifeline, report, awaited, .. } = inheritance;
    drop(report);
    let ended = SignalFd::with_flags(&awaited, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .and_then(|signals| wait(is_contained, controller, &signals, &lifeline));
    end(is_contained, ended.map_or(FAILED, i32::from))
}

/// Ends the lab and this process.
fn end(is_contained: bool, code: i32) -> ! {
    if !is_contained {
        processes::sweep(&BTreeSet::new());
    }
    exit(code)
}

/// Ties init to the outer process and, in namespaces, gives the lab its own view of processes.
fn prepare(inheritance: &Inheritance) -> Result<(), EnterError> {
    let start = |result: Result<(), Errno>| result.map_err(|e| EnterError::new(Step::Init, e));
    let is_contained = inheritance.is_contained;
    if is_contained {
        start(set_pdeathsig(Signal::SIGKILL))?;
    } else {
        // It must outlive the outer process for as long as it takes to end everything else.
        adopt_orphans()?;
    }
    // The outer process may have ended before that; it then never closed the pipe by itself.
    if is_cut(&inheritance.lifeline) {
        exit(FAILED);
    }
    start(setpgid(Pid::from_raw(0), Pid::from_raw(0)))?;
    if is_contained { mount_proc() } else { Ok(()) }
}

/// Starts the controller: this program with its own arguments.
fn start(inheritance: &Inheritance) -> Result<Pid, EnterError> {
    let failed = |source: io::Error| EnterError::new(Step::Controller, source);
    // SAFETY: this process was forked from one without other threads and has started none, so the
    // child may do whatever the parent may.
    match unsafe { fork() }.map_err(|errno| failed(errno.into()))? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let error = failed(become_controller(inheritance));
            report(inheritance, &error)
        }
    }
}

/// Replaces the calling process by the controller; returns only the reason why it could not.
fn become_controller(inheritance: &Inheritance) -> io::Error {
    let mask = &inheritance.original_mask;
    // SAFETY: ignoring a signal runs no code of ours. The controller is not in the terminal's
    // foreground group, and writing to it must not stop it.
    let prepared = unsafe { signal(Signal::SIGTTOU, SigHandler::SigIgn) }
        .and_then(|_| set_pdeathsig(Signal::SIGKILL))
        .and_then(|()| pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(mask), None));
    if let Err(errno) = prepared {
        return errno.into();
    }
    let mut arguments = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments).env(MARKER, inheritance.kind.mark(getppid())).exec()
}

/// Tells the outer process why there is no controller, and ends.
fn report(inheritance: &Inheritance, error: &EnterError) -> ! {
    if let Ok(report) = inheritance.report.try_clone() {
        // If the outer process has ended, no one reads this.
        let _ = File::from(report).write_all(&encode(error));
    }
    exit(FAILED)
}

/// Waits for the controller to end; its code. Ends by itself when the outer process has ended.
fn wait(
    is_contained: bool,
    controller: Pid,
    signals: &SignalFd,
    lifeline: &std::os::fd::OwnedFd,
) -> Result<u8, Errno> {
    loop {
        if let Some(code) = reap(controller)? {
            return Ok(code);
        }
        let mut waiting = [
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(lifeline.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut waiting, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        if is_cut(lifeline) {
            end(is_contained, FAILED);
        }
        pass_on(controller, signals)?;
    }
}

/// Reaps every process that has ended; the controller's code, if it is among them.
fn reap(controller: Pid) -> Result<Option<u8>, Errno> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(status) if status.pid().is_none() => return Ok(None),
            Ok(status) if status.pid() == Some(controller) => {
                if let Some(code) = code(status) {
                    return Ok(Some(code));
                }
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
