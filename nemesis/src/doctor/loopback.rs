//! Probes of labs without namespaces: relays on loopback, and signals alone.

#![expect(unsafe_code, reason = "fork has no safe interface")]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, pause, setpgid};

use crate::forked_probe::{LIMIT, end};
use crate::lab::namespaces::adopt_orphans;
use crate::lab::{Lab, Policy};

/// How long a cut link is listened to.
const CUT: Duration = Duration::from_millis(50);

/// Says a word to a relayed listener, cuts the link and says another.
pub(super) fn loopback_proxies() -> Result<(), String> {
    let said = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let any = &[0, 0];
    let lab = Lab::on_loopback(&["n1", "n2"], any, true, 0).map_err(|error| error.to_string())?;
    let [from, to] = lab.nodes() else { return Err("there are no two hosts".to_owned()) };
    // This process stands for the first node.
    from.occupants.note(0, getpid().as_raw());
    let port = lab.ports(any)[1];
    let listener = TcpListener::bind((to.address(), port)).map_err(said("listening"))?;
    let begun = Instant::now();
    let mut dialled = loop {
        match TcpStream::connect((to.advertised(), port)) {
            Ok(stream) => break stream,
            Err(error) if begun.elapsed() > LIMIT / 4 => return Err(said("dialling")(error)),
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    };
    dialled.write_all(b"a").map_err(said("sending"))?;
    let mut byte = [0];
    let mut accepted = loop {
        let mut waiting = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        let limit = PollTimeout::try_from(LIMIT / 4).unwrap_or(PollTimeout::MAX);
        if poll(&mut waiting, limit) != Ok(1) {
            return Err("the relay did not find out in /proc who dialled it".to_owned());
        }
        let (mut accepted, _) = listener.accept().map_err(said("accepting"))?;
        accepted.set_read_timeout(Some(LIMIT / 4)).map_err(said("setting a limit"))?;
        match accepted.read_exact(&mut byte) {
            Ok(()) => break accepted,
            // The relay only looked whether somebody listens.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(said("receiving")(error)),
        }
    };
    let cut = Policy { block: true, ..Policy::OPEN };
    lab.network().set("n1", "n2", cut).map_err(|error| error.to_string())?;
    dialled.write_all(b"b").map_err(said("sending"))?;
    accepted.set_read_timeout(Some(CUT)).map_err(said("setting a limit"))?;
    match accepted.read_exact(&mut byte) {
        Ok(()) => Err("a cut link carried a byte".to_owned()),
        Err(_) => Ok(()),
    }
}

pub(super) fn signals_only() -> Result<(), String> {
    let said = |what: &'static str| move |errno: Errno| format!("{what}: {}", errno.desc());
    adopt_orphans().map_err(|error| error.refusal())?;
    // SAFETY: this process was forked from one without other threads and has started none, and the
    // child makes system calls only.
    let child = match unsafe { fork() }.map_err(said("starting a process"))? {
        ForkResult::Child => loop {
            let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
            pause();
        },
        ForkResult::Parent { child } => child,
    };
    // Both do it, so that whoever comes first has done it for both.
    let _ = setpgid(child, child);
    let course = || {
        killpg(child, Signal::SIGSTOP).map_err(said("stopping it"))?;
        let flags = WaitPidFlag::WUNTRACED | WaitPidFlag::WCONTINUED;
        let next = |what| waitpid(child, Some(flags)).map_err(said(what));
        if !matches!(next("waiting for it to stop")?, WaitStatus::Stopped(..)) {
            return Err("a process did not stop when told to".to_owned());
        }
        killpg(child, Signal::SIGCONT).map_err(said("continuing it"))?;
        if !matches!(next("waiting for it to go on")?, WaitStatus::Continued(_)) {
            return Err("a process did not go on when told to".to_owned());
        }
        Ok(())
    };
    let result = course();
    end(child);
    result
}
