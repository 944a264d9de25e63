//! Finds out what kind of lab this machine can have, by trying.
//!
//! A lab of namespaces needs one of two kinds of them, and more; where that is refused, there are labs
//! on loopback, which can do less ([`LabBackend`]). Every probe does the real thing in a child process, so that
//! nothing of it remains and the calling process stays where it is: that `unshare` succeeds says little,
//! since a security module may hand out user namespaces in which nothing is allowed. What is refused comes
//! with the command that would allow it, where one is known (`remedy`). Returns data; prints nothing.

#[cfg(target_arch = "x86_64")]
mod clocks;
mod disks;
mod loopback;
mod remedy;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{geteuid, getpid};

use crate::forked_probe::in_child;
use crate::lab::namespaces::{become_root, mount_proc, separate, separate_network};
use crate::lab::{Lab, LabBackend};
use loopback::{loopback_proxies, signals_only};
use remedy::{SystemInfo, remedy};

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

const ATTEMPTS: [(&str, &str, Attempt); 9] = [
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
    (
        PROXIES,
        "relayed a connection between addresses of 127.0.0.0/8, knew the dialler by /proc, cut the link",
        loopback_proxies,
    ),
    (SIGNALS, "adopted orphans, and stopped, continued and killed a process group", signals_only),
    (CLOCKS, "started date(1) through a shell with a clock an hour ahead", clocks_of_nodes),
    (
        DISKS,
        "watched a process's writes and syncs by seccomp user notification, and took its power",
        disk_faults,
    ),
];

/// The name of the probe for labs with relays on loopback.
pub const PROXIES: &str = "loopback proxies";
/// The name of the probe for labs that can do nothing but end, stop and start processes.
pub const SIGNALS: &str = "signals only";
/// The name of the probe for clock faults, without which a lab can be had all the same.
pub const CLOCKS: &str = "clocks of nodes";
/// The name of the probe for disk faults, without which a lab can be had as well.
pub const DISKS: &str = "disks of nodes";

/// Tries everything a lab needs. One of namespaces can be had if the first five work, but for one of
/// the first two; [`PROXIES`] and [`SIGNALS`] stand for one without, [`CLOCKS`] and [`DISKS`] for faults
/// in any.
///
/// Call it before the process has other threads: the probes run in forks of it.
pub fn probe() -> Vec<Probe> {
    let probes = ATTEMPTS.into_iter().map(|(name, tried, attempt)| {
        let span = tracing::error_span!("probe", name);
        let (outcome, remedy) = match span.in_scope(|| in_child(attempt)) {
            Ok(()) => (Outcome::Works, None),
            Err(refusal) => (Outcome::Refused(refusal), remedy(&SystemInfo::look(), name)),
        };
        Probe { name, tried, outcome, remedy }
    });
    probes.collect()
}

/// The best lab that this machine can have, and why no better one: what was refused of each. Takes some
/// tens of milliseconds; call it as [`probe`].
pub fn best_backend() -> (LabBackend, Vec<(LabBackend, String)>) {
    let mut refused = Vec::new();
    for (backend, attempt) in [
        (LabBackend::Namespaces, hosts_and_switch as Attempt),
        (LabBackend::Proxies, loopback_proxies),
    ] {
        match in_child(attempt) {
            Ok(()) => return (backend, refused),
            Err(why) => {
                tracing::info!(lab = %backend, why, "cannot be had");
                refused.push((backend, why));
            }
        }
    }
    (LabBackend::Signals, refused)
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

#[cfg(target_arch = "x86_64")]
fn clocks_of_nodes() -> Result<(), String> {
    in_some_lab(clocks::rehearse)
}

/// Says that there are no clocks to move elsewhere.
#[cfg(not(target_arch = "x86_64"))]
fn clocks_of_nodes() -> Result<(), String> {
    crate::clock::NodeClock::new("rehearsal").map(drop).map_err(|error| error.to_string())
}

fn disk_faults() -> Result<(), String> {
    in_some_lab(disks::probe)
}

/// Tries in namespaces what a node has to bear, or without where there are none.
fn in_some_lab(attempt: Attempt) -> Result<(), String> {
    let inside = || {
        separate().map_err(|error| error.refusal())?;
        in_child(|| {
            mount_proc().map_err(|error| error.refusal())?;
            attempt()
        })
    };
    if in_child(|| separate().map(drop).map_err(|error| error.refusal())).is_ok() {
        return inside();
    }
    attempt()
}
