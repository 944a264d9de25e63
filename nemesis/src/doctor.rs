//! Finds out what kind of lab this machine can have, by trying.
//!
//! Every probe does the real thing in a child process, so that nothing of it remains and the
//! calling process stays where it is: that `unshare` succeeds says little, since a security module
//! may hand out user namespaces in which nothing is allowed. What is refused comes with the command
//! that would allow it, where one is known. Returns data; prints nothing.

#![expect(unsafe_code, reason = "fork and _exit have no safe interface")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, geteuid, getpid, pipe2};

#[cfg(target_arch = "x86_64")]
use crate::clock::rehearsal::rehearse;
use crate::lab::Lab;
use crate::lab::namespaces::{become_root, mount_proc, separate, separate_network};

/// The command that lets processes be traced again where nobody may: that setting cannot be taken
/// back while the machine runs (Yama's admin guide, `ptrace_scope`).
const ALLOW_TRACING: &str =
    "echo kernel.yama.ptrace_scope=1 | sudo tee /etc/sysctl.d/99-ptrace.conf && sudo reboot";
/// How long a probe may take. None waits for anything but the kernel.
const LIMIT: Duration = Duration::from_secs(10);

/// One thing that a lab needs, and whether this machine has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What it is: `user namespaces`.
    pub name: &'static str,
    /// What was done to find out.
    pub tried: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// The command that would allow it, if it is refused and one is known.
    pub remedy: Option<String>,
}

/// What came of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It worked.
    Works,
    /// It did not; which operation failed and what the kernel said.
    Refused(String),
}

type Attempt = fn() -> Result<(), String>;

const ATTEMPTS: [(&str, &str, Attempt); 7] = [
    (
        "user namespaces",
        "became root in a user namespace and switched on an interface there",
        user_namespaces,
    ),
    (
        "root namespaces",
        "made a mount and a network namespace as root and switched on an interface there",
        root_namespaces,
    ),
    ("PID namespaces", "started a process as number 1 of its own PID namespace", pid_namespaces),
    ("a fresh /proc", "mounted /proc inside new namespaces", fresh_proc),
    (
        "hosts and switch",
        "built a lab of one host: veth pair, addresses, offloads, AF_PACKET socket",
        hosts_and_switch,
    ),
    (CLOCKS, "started date(1) through a shell with a clock an hour ahead", clocks),
    (
        DISKS,
        "watched a process's writes and syncs by seccomp user notification, and took its power",
        disk_faults,
    ),
];

/// The name of the probe for clock faults, without which a lab can be had all the same.
pub const CLOCKS: &str = "clocks of nodes";
/// The name of the probe for disk faults, without which a lab can be had as well.
pub const DISKS: &str = "disks of nodes";

/// Tries everything a lab needs. A lab can be had if all but one of the first two work, [`CLOCKS`]
/// and [`DISKS`] left out.
///
/// Call it before the process has other threads: the probes run in forks of it.
pub fn probe() -> Vec<Probe> {
    let probes = ATTEMPTS.into_iter().map(|(name, tried, attempt)| {
        let (outcome, remedy) = match in_child(attempt) {
            Ok(()) => (Outcome::Works, None),
            Err(refusal) => (Outcome::Refused(refusal), remedy(&Surroundings::look(), name)),
        };
        Probe { name, tried, outcome, remedy }
    });
    probes.collect()
}

fn user_namespaces() -> Result<(), String> {
    become_root().and_then(|()| separate_network()).map_err(|error| error.refusal())
}

fn root_namespaces() -> Result<(), String> {
    if !geteuid().is_root() {
        return Err("this user is not root".to_owned());
    }
    unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|errno| format!("making a mount namespace: {}", errno.desc()))?;
    separate_network().map_err(|error| error.refusal())
}

fn pid_namespaces() -> Result<(), String> {
    separate().map_err(|error| error.refusal())?;
    in_child(|| match getpid().as_raw() {
        1 => Ok(()),
        other => Err(format!("the first process of the namespace has number {other}")),
    })
}

fn fresh_proc() -> Result<(), String> {
    separate().map_err(|error| error.refusal())?;
    in_child(|| mount_proc().map_err(|error| error.refusal()))
}

fn hosts_and_switch() -> Result<(), String> {
    separate().map_err(|error| error.refusal())?;
    in_child(|| {
        mount_proc().map_err(|error| error.refusal())?;
        Lab::build(&["probe"]).map(drop).map_err(|error| error.to_string())
    })
}

fn clocks() -> Result<(), String> {
    separate().map_err(|error| error.refusal())?;
    in_child(|| {
        mount_proc().map_err(|error| error.refusal())?;
        rehearse()
    })
}

/// Says that there are no clocks to move elsewhere.
#[cfg(not(target_arch = "x86_64"))]
fn rehearse() -> Result<(), String> {
    crate::clock::NodeClock::new("rehearsal").map(drop).map_err(|error| error.to_string())
}

fn disk_faults() -> Result<(), String> {
    separate().map_err(|error| error.refusal())?;
    in_child(|| {
        mount_proc().map_err(|error| error.refusal())?;
        crate::disk::probe()
    })
}

/// Runs `attempt` in a child process; what it returned there.
fn in_child(attempt: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
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
            Err(nix::errno::Errno::EINTR) => continue,
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
fn end(child: Pid) {
    let _ = kill(child, Signal::SIGKILL);
    while waitpid(child, None) == Err(nix::errno::Errno::EINTR) {}
}

/// What the machine says about itself that may explain a refusal.
#[derive(Debug, Default)]
struct Surroundings {
    is_root: bool,
    is_container: bool,
    /// Whether the kernel lets nobody trace another process, not even root.
    forbids_tracing: bool,
    /// Kernel settings that forbid namespaces as they are now, with the value that would not.
    forbidding: Vec<(&'static str, &'static str)>,
}

/// Kernel settings, the value with which each forbids namespaces, and one with which it does not.
const SETTINGS: [(&str, &str, &str); 6] = [
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("user.max_user_namespaces", "0", "65536"),
    ("user.max_mnt_namespaces", "0", "65536"),
    ("user.max_net_namespaces", "0", "65536"),
    ("user.max_pid_namespaces", "0", "65536"),
];

impl Surroundings {
    fn look() -> Surroundings {
        let forbids = |(setting, value, _): &(&str, &str, &str)| {
            let path = format!("/proc/sys/{}", setting.replace('.', "/"));
            fs::read_to_string(path).is_ok_and(|text| text.trim() == *value)
        };
        let forbidding = SETTINGS.into_iter().filter(forbids);
        let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
        Surroundings {
            is_root: geteuid().is_root(),
            is_container: ["/.dockerenv", "/run/.containerenv"]
                .iter()
                .any(|path| Path::new(path).exists()),
            forbids_tracing: scope.is_ok_and(|scope| scope.trim() == "3"),
            forbidding: forbidding.map(|(setting, _, allowing)| (setting, allowing)).collect(),
        }
    }
}

/// The command that would allow what the probe of that name was refused.
fn remedy(surroundings: &Surroundings, probe: &str) -> Option<String> {
    let for_root = probe == "root namespaces";
    if probe == CLOCKS && !cfg!(target_arch = "x86_64") {
        return None;
    }
    if probe == CLOCKS && surroundings.forbids_tracing {
        return Some(ALLOW_TRACING.to_owned());
    }
    // These two bind unprivileged users only.
    let applies = |setting: &str| !(for_root && setting.contains("unprivileged"));
    let settings: Vec<String> = surroundings
        .forbidding
        .iter()
        .filter(|(setting, _)| applies(setting))
        .map(|(setting, allowing)| format!("{setting}={allowing}"))
        .collect();
    if for_root && !surroundings.is_root {
        return Some("sudo partita doctor".to_owned());
    }
    if !settings.is_empty() {
        return Some(format!("sudo sysctl -w {}", settings.join(" ")));
    }
    if surroundings.is_container {
        return Some("docker run --privileged …, or podman run --privileged …".to_owned());
    }
    (!surroundings.is_root).then(|| "sudo partita doctor".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const APPARMOR: (&str, &str) = ("kernel.apparmor_restrict_unprivileged_userns", "0");

    #[test]
    fn a_remedy_is_the_command_that_lifts_what_is_in_the_way() {
        let restricted = Surroundings { forbidding: vec![APPARMOR], ..Surroundings::default() };
        let sysctl = "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
        assert_eq!(remedy(&restricted, "user namespaces").as_deref(), Some(sysctl));
        let sudo = Some("sudo partita doctor".to_owned());
        assert_eq!(remedy(&restricted, "root namespaces"), sudo);
        assert_eq!(remedy(&Surroundings::default(), "a fresh /proc"), sudo);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn forbidden_tracing_stands_in_the_way_of_clocks_alone() {
        let root = Surroundings { is_root: true, ..Surroundings::default() };
        let untraceable = Surroundings { forbids_tracing: true, ..root };
        assert_eq!(remedy(&untraceable, CLOCKS).as_deref(), Some(ALLOW_TRACING));
        assert_eq!(remedy(&untraceable, "hosts and switch"), None);
    }

    #[test]
    fn root_in_a_container_needs_a_privileged_one() {
        let container = Surroundings { is_container: true, ..Surroundings::default() };
        let mut container = Surroundings { is_root: true, ..container };
        let privileged = remedy(&container, "root namespaces").expect("a command");
        assert!(privileged.contains("--privileged"), "{privileged}");
        container.forbidding.push(("user.max_net_namespaces", "65536"));
        let sysctl = remedy(&container, "hosts and switch").expect("a command");
        assert_eq!(sysctl, "sudo sysctl -w user.max_net_namespaces=65536");
    }

    #[test]
    fn nothing_is_promised_where_nothing_is_known() {
        let root = Surroundings { is_root: true, ..Surroundings::default() };
        assert_eq!(remedy(&root, "hosts and switch"), None);
    }
}
