//! Finds out what kind of lab this machine can have, by trying.
//!
//! A lab of namespaces needs one of two kinds of them, and more; where that is refused, there are labs
//! on loopback, which can do less ([`Tier`]). Every probe does the real thing in a child process, so that nothing of it remains and the
//! calling process stays where it is: that `unshare` succeeds says little, since a security module
//! may hand out user namespaces in which nothing is allowed. What is refused comes with the command
//! that would allow it, where one is known. Returns data; prints nothing.

#![expect(unsafe_code, reason = "fork and _exit have no safe interface")]

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, geteuid, getpid, pause, pipe2, setpgid};

#[cfg(target_arch = "x86_64")]
use crate::clock::rehearsal::rehearse;
use crate::lab::namespaces::{
    adopt_orphans, become_root, mount_proc, separate, separate_network, separate_processes,
};
use crate::lab::{Lab, Policy, Ports, Tier};

/// The command that lets processes be traced again where nobody may: that setting cannot be taken
/// back while the machine runs (Yama's admin guide, `ptrace_scope`).
const ALLOW_TRACING: &str =
    "echo kernel.yama.ptrace_scope=1 | sudo tee /etc/sysctl.d/99-ptrace.conf && sudo reboot";
/// The command that lets a container's processes be watched and traced.
const ALLOW_WATCHING: &str = "docker run --cap-add SYS_PTRACE --security-opt seccomp=unconfined …";
/// The command that lets a user of a container have namespaces.
const ALLOW_NAMESPACES: &str = "docker run --security-opt seccomp=unconfined \
     --security-opt apparmor=unconfined --security-opt systempaths=unconfined …, or docker run \
     --privileged …";
/// How long a cut link is listened to.
const CUT: Duration = Duration::from_millis(50);
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
    (CLOCKS, "started date(1) through a shell with a clock an hour ahead", clocks),
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
            Err(refusal) => (Outcome::Refused(refusal), remedy(&Surroundings::look(), name)),
        };
        Probe { name, tried, outcome, remedy }
    });
    probes.collect()
}

/// The best lab that this machine can have, and why no better one: what was refused of each. Takes some
/// tens of milliseconds; call it as [`probe`].
pub fn best_tier() -> (Tier, Vec<(Tier, String)>) {
    let mut refused = Vec::new();
    for (tier, attempt) in
        [(Tier::Namespaces, hosts_and_switch as Attempt), (Tier::Proxies, loopback_proxies)]
    {
        match in_child(attempt) {
            Ok(()) => return (tier, refused),
            Err(why) => {
                tracing::info!(lab = %tier, why, "cannot be had");
                refused.push((tier, why));
            }
        }
    }
    (Tier::Signals, refused)
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

/// Whether processes can be put into a PID namespace on this machine's network. Call it as [`probe`].
pub(crate) fn can_contain() -> bool {
    let contained = || {
        separate_processes().map_err(|error| error.refusal())?;
        in_child(|| mount_proc().map_err(|error| error.refusal()))
    };
    in_child(contained).is_ok()
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
    in_some_lab(rehearse)
}

/// Says that there are no clocks to move elsewhere.
#[cfg(not(target_arch = "x86_64"))]
fn rehearse() -> Result<(), String> {
    crate::clock::NodeClock::new("rehearsal").map(drop).map_err(|error| error.to_string())
}

fn disk_faults() -> Result<(), String> {
    in_some_lab(crate::disk::probe)
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

/// Says a word to a relayed listener, cuts the link and says another.
fn loopback_proxies() -> Result<(), String> {
    let said = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let any = Ports { clients: 0, peers: 0 };
    let lab = Lab::on_loopback(&["n1", "n2"], any, true, 0).map_err(|error| error.to_string())?;
    let [from, to] = lab.nodes() else { return Err("there are no two hosts".to_owned()) };
    // This process stands for the first node.
    from.occupant.is(getpid().as_raw());
    let port = lab.ports(any).peers;
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

fn signals_only() -> Result<(), String> {
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
    /// Whether the machine's loopback interface is off.
    is_cut_off: bool,
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
            is_cut_off: is_loopback_off(),
            forbids_tracing: scope.is_ok_and(|scope| scope.trim() == "3"),
            forbidding: forbidding.map(|(setting, _, allowing)| (setting, allowing)).collect(),
        }
    }
}

/// Whether this network's loopback interface is not up (IFF_UP, netdevice(7)).
fn is_loopback_off() -> bool {
    let flags = fs::read_to_string("/sys/class/net/lo/flags").unwrap_or_default();
    let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16);
    flags.is_ok_and(|flags| flags & 1 == 0)
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
    if [CLOCKS, DISKS].contains(&probe) {
        return surroundings.is_container.then(|| ALLOW_WATCHING.to_owned());
    }
    if probe == PROXIES {
        return surroundings.is_cut_off.then(|| "sudo ip link set lo up".to_owned());
    }
    if probe == SIGNALS {
        return None;
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
        let is_users = probe == "user namespaces";
        let privileged = "docker run --privileged …, or podman run --privileged …";
        return Some(if is_users { ALLOW_NAMESPACES } else { privileged }.to_owned());
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
    fn lesser_labs_need_no_namespaces_to_be_allowed() {
        let restricted = Surroundings { forbidding: vec![APPARMOR], ..Surroundings::default() };
        for probe in [PROXIES, SIGNALS, CLOCKS, DISKS] {
            assert_eq!(remedy(&restricted, probe), None, "{probe}");
        }
        let cut_off = Surroundings { is_cut_off: true, ..restricted };
        assert_eq!(remedy(&cut_off, PROXIES).as_deref(), Some("sudo ip link set lo up"));
    }

    #[test]
    fn a_user_in_a_container_is_told_what_its_profile_must_allow() {
        let container = Surroundings { is_container: true, ..Surroundings::default() };
        let words = |probe| remedy(&container, probe).expect("a command");
        assert!(words("user namespaces").contains("seccomp=unconfined"));
        assert!(words(CLOCKS).contains("SYS_PTRACE"));
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
