//! Puts the program into namespaces of its own, and takes it out again, whatever happens.
//!
//! The program executes itself again inside: the *outer* process, started by the user, makes a user
//! namespace (unless it is root), a mount, a network and a PID namespace and waits; *init*, PID 1
//! in there, mounts a fresh `/proc` and waits; the *controller* is the same program with the same
//! arguments, and does the work. Nothing survives them: the kernel kills every process of a PID
//! namespace whose init ends (pid_namespaces(7)), and mounts and interfaces go with the last
//! process of their namespace. Init ends when the controller does, and when the outer process does:
//! by PR_SET_PDEATHSIG, and by the end of a pipe that only the outer process holds open, which also
//! covers an outer process that died before the former was set. The outer process ends when init
//! does.
//!
//! A lesser lab ([`enter_backend`]) has a PID namespace as well where the kernel allows one, and then ends
//! the same way. Where it does not, a *guardian* takes init's place. Orphans come to it
//! (PR_SET_CHILD_SUBREAPER, prctl(2)), and before it ends, for whichever reason, it kills everything
//! that comes from it; the outer process does the same should the guardian be killed. Leaves out what
//! survives both being killed at the same moment: nodes die then, but not what left their group.
//!
//! A signal reaches the controller once. Init and controller form a process group that is not the
//! terminal's, so ctrl-C reaches the outer process alone, which passes it on through init; so do
//! SIGTERM, SIGHUP and SIGQUIT. Ctrl-Z is ignored: a suspended run would measure the suspension.

#![expect(unsafe_code, reason = "fork has no safe interface")]

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, kill, pthread_sigmask, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getegid, geteuid, getppid, pipe2};
use tracing::{debug, info};

use super::backend::LabBackend;
use super::init;
use super::netlink::Netlink;
use super::processes;
use crate::forked_probe::in_child;

/// Tells the controller that it is the controller, and in what kind of lab.
pub(crate) const MARKER: &str = "PARTITA_LAB";

/// The signals that are passed on to the controller.
pub(crate) const PASSED_ON: [Signal; 4] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// With what rights the lab was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabKind {
    /// In a user namespace, without any rights outside.
    UserNamespaces,
    /// By root.
    RootNamespaces,
    /// Without namespaces, with relays on loopback.
    Proxies,
    /// Without namespaces and relays.
    Signals,
}

impl LabKind {
    const ALL: [LabKind; 4] =
        [LabKind::UserNamespaces, LabKind::RootNamespaces, LabKind::Proxies, LabKind::Signals];

    /// What such a lab can do.
    pub fn backend(self) -> LabBackend {
        match self {
            LabKind::UserNamespaces | LabKind::RootNamespaces => LabBackend::Namespaces,
            LabKind::Proxies => LabBackend::Proxies,
            LabKind::Signals => LabBackend::Signals,
        }
    }

    pub(crate) fn marker(self) -> &'static str {
        match self {
            LabKind::UserNamespaces => "user",
            LabKind::RootNamespaces => "root",
            LabKind::Proxies => "proxies",
            LabKind::Signals => "signals",
        }
    }

    /// What tells the controller that it is the controller, if its parent has this number.
    pub(crate) fn mark(self, parent: Pid) -> String {
        format!("{} {parent}", self.marker())
    }

    /// The kind that a mark names, if it was made for a child of `parent`.
    fn marked(mark: &str, parent: Pid) -> Option<LabKind> {
        LabKind::ALL.into_iter().find(|kind| kind.mark(parent) == mark)
    }
}

impl fmt::Display for LabKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LabKind::UserNamespaces => "user namespaces",
            LabKind::RootNamespaces => "root namespaces",
            LabKind::Proxies => "loopback proxies",
            LabKind::Signals => "signals only",
        })
    }
}

/// Which process returned from [`enter`].
#[derive(Debug, PartialEq, Eq)]
pub enum Entered {
    /// The controller, inside the lab: go on and do the work.
    Inside(LabKind),
    /// The outer process; the work was done, or not. End with this code: the controller's own, or
    /// 128 plus the number of the signal that killed it.
    Finished(u8),
}

/// A step on the way into the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Making a user namespace.
    UserNamespace,
    /// Mapping this user to root inside it.
    Identity,
    /// Making a mount namespace.
    MountNamespace,
    /// Keeping its mounts from spreading.
    PrivateMounts,
    /// Making a network namespace.
    NetworkNamespace,
    /// Switching on its loopback interface: the first use of power.
    Loopback,
    /// Making a PID namespace for the children.
    PidNamespace,
    /// Blocking and watching signals.
    Signals,
    /// Having orphans come to this process.
    Subreaper,
    /// Forking the lab's first process.
    Init,
    /// Mounting /proc for the PID namespace.
    Proc,
    /// Executing the program again.
    Controller,
}

impl Step {
    const ALL: [Step; 12] = [
        Step::UserNamespace,
        Step::Identity,
        Step::MountNamespace,
        Step::PrivateMounts,
        Step::NetworkNamespace,
        Step::Loopback,
        Step::PidNamespace,
        Step::Signals,
        Step::Subreaper,
        Step::Init,
        Step::Proc,
        Step::Controller,
    ];
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::UserNamespace => "making a user namespace",
            Step::Identity => "becoming root in the user namespace",
            Step::MountNamespace => "making a mount namespace",
            Step::PrivateMounts => "making mounts private",
            Step::NetworkNamespace => "making a network namespace",
            Step::Loopback => "switching on the loopback interface",
            Step::PidNamespace => "making a PID namespace",
            Step::Signals => "setting up signals",
            Step::Subreaper => "having orphans come to this process",
            Step::Init => "starting the lab's first process",
            Step::Proc => "mounting a fresh /proc",
            Step::Controller => "executing the program again inside the lab",
        })
    }
}

/// Why the program cannot enter a lab.
///
/// The process may be half inside: report the error and end.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {source}; `partita doctor` says what this machine allows")]
pub struct EnterError {
    /// What was tried.
    pub step: Step,
    /// What the kernel said.
    pub source: io::Error,
}

impl EnterError {
    pub(crate) fn new(step: Step, source: impl Into<io::Error>) -> EnterError {
        EnterError { step, source: source.into() }
    }

    /// What was refused, for those who know what `partita doctor` says.
    pub(crate) fn refusal(&self) -> String {
        format!("{}: {}", self.step, self.source)
    }
}

/// Adds the step to what the kernel said.
fn at<T>(step: Step, result: Result<T, impl Into<io::Error>>) -> Result<T, EnterError> {
    let result = result.map_err(|source| EnterError::new(step, source));
    match &result {
        Ok(_) => debug!("{step}"),
        Err(refused) => debug!(error = %refused.source, "{step}: refused"),
    }
    result
}

/// Enters a lab: executes the program again inside, and returns twice, once in either process.
///
/// Call it before anything else: the process must have no other thread and nothing buffered.
///
/// # Errors
///
/// Which step the machine refused. The process may then be half inside: report it and end.
pub fn enter() -> Result<Entered, EnterError> {
    enter_backend(LabBackend::Namespaces)
}

/// As [`enter`], with a lab of a lesser kind if so asked: one without namespaces, whose processes
/// are this machine's and end with this program all the same.
///
/// # Errors
///
/// As [`enter`].
pub fn enter_backend(backend: LabBackend) -> Result<Entered, EnterError> {
    if let Some(kind) = inside() {
        return Ok(Entered::Inside(kind));
    }
    let (kind, is_contained) = match backend {
        LabBackend::Namespaces => (separate()?, true),
        LabBackend::Proxies => (LabKind::Proxies, contain()),
        LabBackend::Signals => (LabKind::Signals, contain()),
    };
    info!(%kind, pid_namespace = is_contained, "this process is ready for a lab");
    supervise(kind, is_contained)
}

/// Puts the children of the calling process into a PID namespace if one can be had; whether.
fn contain() -> bool {
    // Tried in a child first: this process must not be left half inside.
    let contained = || {
        separate_processes().map_err(|error| error.refusal())?;
        in_child(|| mount_proc().map_err(|error| error.refusal()))
    };
    in_child(contained).is_ok() && separate_processes().is_ok()
}

/// Puts the children of the calling process into a PID namespace, on this machine's network.
pub(crate) fn separate_processes() -> Result<(), EnterError> {
    separate_mounts()?;
    keep_mounts()?;
    at(Step::PidNamespace, unshare(CloneFlags::CLONE_NEWPID))
}

/// Keeps mounts from spreading out of the calling process's mount namespace.
fn keep_mounts() -> Result<(), EnterError> {
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    at(Step::PrivateMounts, mount(None::<&str>, "/", None::<&str>, private, None::<&str>))
}

/// The kind of lab that this process is the controller of, if it is one.
///
/// The mark in the environment counts only in a child of the process that made it, which one that
/// inherited it by accident is not.
pub fn inside() -> Option<LabKind> {
    LabKind::marked(&std::env::var(MARKER).ok()?, getppid())
}

/// Has orphans come to the calling process, so that none of what it starts gets away.
pub(crate) fn adopt_orphans() -> Result<(), EnterError> {
    at(Step::Subreaper, set_child_subreaper(true))
}

/// Puts the calling process into namespaces of its own, and its children into a PID namespace.
pub(crate) fn separate() -> Result<LabKind, EnterError> {
    let kind = separate_mounts()?;
    keep_mounts()?;
    separate_network()?;
    at(Step::PidNamespace, unshare(CloneFlags::CLONE_NEWPID))?;
    Ok(kind)
}

/// Makes a network namespace and switches on its loopback interface. That is the first operation
/// that needs power over the network: where a security module lets anyone make a user namespace but
/// none in which anything is allowed, it fails here.
pub(crate) fn separate_network() -> Result<(), EnterError> {
    at(Step::NetworkNamespace, unshare(CloneFlags::CLONE_NEWNET))?;
    at(Step::Loopback, Netlink::open().and_then(|mut netlink| netlink.set_up("lo")))
}

/// Shows the processes of the calling process's PID namespace, and only those, in `/proc`.
pub(crate) fn mount_proc() -> Result<(), EnterError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    at(Step::Proc, mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>))
}

/// Makes a mount namespace: as root, where root may, or else in a user namespace.
fn separate_mounts() -> Result<LabKind, EnterError> {
    if geteuid().is_root() {
        match unshare(CloneFlags::CLONE_NEWNS) {
            Ok(()) => return Ok(LabKind::RootNamespaces),
            Err(errno) => debug!(error = %errno, "root may make no mount namespace"),
        }
    }
    become_root()?;
    at(Step::MountNamespace, unshare(CloneFlags::CLONE_NEWNS))?;
    Ok(LabKind::UserNamespaces)
}

/// Puts the calling process into a user namespace in which it is root.
pub(crate) fn become_root() -> Result<(), EnterError> {
    let (user, group) = (geteuid(), getegid());
    at(Step::UserNamespace, unshare(CloneFlags::CLONE_NEWUSER))?;
    // Without this, an unprivileged process may not map its group (user_namespaces(7)).
    at(Step::Identity, fs::write("/proc/self/setgroups", "deny"))?;
    at(Step::Identity, fs::write("/proc/self/uid_map", format!("0 {user} 1")))?;
    at(Step::Identity, fs::write("/proc/self/gid_map", format!("0 {group} 1")))
}

/// What init inherits from the outer process.
pub(crate) struct Inheritance {
    pub(crate) kind: LabKind,
    /// Whether the lab has a PID namespace, and ends with init by the kernel's doing.
    pub(crate) is_contained: bool,
    /// Ends when the outer process does.
    pub(crate) lifeline: OwnedFd,
    /// Where an error on the way to the controller is written, as [`encode`] has it. Ends when the
    /// controller runs.
    pub(crate) report: OwnedFd,
    /// The signals blocked when the program was started.
    pub(crate) original_mask: SigSet,
    /// The signals that init and the outer process wait for.
    pub(crate) awaited: SigSet,
}

/// Starts init, passes signals on to it and waits for its end.
fn supervise(kind: LabKind, is_contained: bool) -> Result<Entered, EnterError> {
    let awaited: SigSet = PASSED_ON.into_iter().chain([Signal::SIGTSTP, Signal::SIGCHLD]).collect();
    let mut original_mask = SigSet::empty();
    let masked = pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&awaited), Some(&mut original_mask));
    at(Step::Signals, masked)?;
    // SAFETY: the default disposition runs no code of ours. It may have been inherited as ignored,
    // and then children could not be waited for.
    at(Step::Signals, unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) })?;
    let signals = at(Step::Signals, SignalFd::with_flags(&awaited, SfdFlags::SFD_CLOEXEC))?;
    // What this process had started before it became this program is none of the lab's.
    let mut spared = BTreeSet::new();
    if !is_contained {
        adopt_orphans()?;
        spared = processes::descendants(Pid::this(), &spared);
    }
    let (lifeline, held) = at(Step::Init, pipe2(nix::fcntl::OFlag::O_CLOEXEC))?;
    let (reported, report) = at(Step::Init, pipe2(nix::fcntl::OFlag::O_CLOEXEC))?;

    // SAFETY: the caller promises that this process has no other thread, so the child may do
    // whatever the parent may.
    match at(Step::Init, unsafe { fork() })? {
        ForkResult::Child => {
            drop((held, reported, signals));
            init::run(Inheritance { kind, is_contained, lifeline, report, original_mask, awaited })
        }
        ForkResult::Parent { child } => {
            drop((lifeline, report));
            debug!(pid = child.as_raw(), "the lab's first process runs");
            let started = read_report(reported);
            let finished = wait_passing_signals_on(child, &signals)
                .map_err(|errno| EnterError::new(Step::Init, errno));
            drop(held);
            if !is_contained {
                // The guardian has done so, unless it was killed.
                processes::sweep(&spared);
            }
            let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&original_mask), None);
            let ended = started.and(finished);
            match &ended {
                Ok(code) => info!(code, "the lab has ended"),
                Err(error) => info!(%error, "the lab has ended"),
            }
            ended.map(Entered::Finished)
        }
    }
}

/// Waits for the controller to run. An error ends init, so waiting for that comes next either way.
fn read_report(reported: OwnedFd) -> Result<(), EnterError> {
    let mut report = Vec::new();
    let read = fs::File::from(reported).read_to_end(&mut report);
    read.map_err(|error| EnterError::new(Step::Init, error))?;
    match decode(&report) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Waits for `child` to end, passing signals on to it; the code it ended with.
pub(crate) fn wait_passing_signals_on(child: Pid, signals: &SignalFd) -> Result<u8, Errno> {
    loop {
        if let Some(code) = ended(child)? {
            return Ok(code);
        }
        pass_on(child, signals)?;
    }
}

/// Takes a signal from `signals`, waiting for one, and passes it on to `child` if it is for it.
pub(crate) fn pass_on(child: Pid, signals: &SignalFd) -> Result<(), Errno> {
    let taken = match signals.read_signal() {
        Ok(taken) => taken,
        Err(Errno::EINTR | Errno::EAGAIN) => None,
        Err(errno) => return Err(errno),
    };
    let number = taken.and_then(|info| i32::try_from(info.ssi_signo).ok());
    let passed_on = number.and_then(|number| Signal::try_from(number).ok());
    if let Some(signal) = passed_on.filter(|signal| PASSED_ON.contains(signal)) {
        match kill(child, signal) {
            // It has just ended.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// The code `child` ended with, if it has.
fn ended(child: Pid) -> Result<Option<u8>, Errno> {
    let status = match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
        Err(Errno::EINTR) => return Ok(None),
        other => other?,
    };
    Ok(code(status))
}

/// The code that says how a process ended, as a shell has it.
pub(crate) fn code(status: WaitStatus) -> Option<u8> {
    match status {
        WaitStatus::Exited(_, code) => Some(code as u8),
        WaitStatus::Signaled(_, signal, _) => Some(128 + signal as u8),
        _ => None,
    }
}

/// Whether the outer process has ended: nothing is ever written to its pipe.
pub(crate) fn is_cut(lifeline: &OwnedFd) -> bool {
    let mut ends = [PollFd::new(lifeline.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut ends, PollTimeout::ZERO), Ok(1..))
}

/// An error as bytes that fit through a pipe in one piece.
pub(crate) fn encode(error: &EnterError) -> [u8; 5] {
    let errno = error.source.raw_os_error().unwrap_or(libc::EIO).to_le_bytes();
    let [a, b, c, d] = errno;
    [error.step as u8, a, b, c, d]
}

fn decode(report: &[u8]) -> Option<EnterError> {
    let [step, errno @ ..] = *report.first_chunk::<5>()?;
    let step = *Step::ALL.get(usize::from(step))?;
    Some(EnterError::new(step, io::Error::from_raw_os_error(i32::from_le_bytes(errno))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_passes_through_a_pipe_unchanged() {
        for step in Step::ALL {
            let error = EnterError::new(step, io::Error::from_raw_os_error(libc::EPERM));
            let text = error.to_string();
            let decoded = decode(&encode(&error)).expect("decodes");
            assert_eq!(decoded.to_string(), text);
            assert!(text.contains("partita doctor"), "{text}");
        }
        assert!(decode(&[]).is_none());
    }

    #[test]
    fn a_marker_names_its_kind_of_lab() {
        let parent = Pid::from_raw(7);
        for kind in LabKind::ALL {
            assert_eq!(LabKind::marked(&kind.mark(parent), parent), Some(kind));
            assert_eq!(LabKind::marked(&kind.mark(parent), Pid::from_raw(1)), None, "inherited");
        }
        assert_eq!(LabKind::marked("1", parent), None);
    }

    #[test]
    fn a_death_by_signal_is_a_code_above_128() {
        let pid = Pid::from_raw(1);
        assert_eq!(code(WaitStatus::Exited(pid, 3)), Some(3));
        assert_eq!(code(WaitStatus::Signaled(pid, Signal::SIGKILL, false)), Some(137));
        assert_eq!(code(WaitStatus::StillAlive), None);
    }
}
