//! What would allow what a machine refuses: the command, where one is known.

use std::fs;
use std::path::Path;

use nix::unistd::geteuid;

use super::{CLOCKS, DISKS, PROXIES, SIGNALS};

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

/// What the machine says about itself that may explain a refusal.
#[derive(Debug, Default)]
pub(super) struct SystemInfo {
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

impl SystemInfo {
    /// Looks at this machine.
    pub(super) fn look() -> SystemInfo {
        let forbids = |(setting, value, _): &(&str, &str, &str)| {
            let path = format!("/proc/sys/{}", setting.replace('.', "/"));
            fs::read_to_string(path).is_ok_and(|text| text.trim() == *value)
        };
        let forbidding = SETTINGS.into_iter().filter(forbids);
        let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
        SystemInfo {
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
pub(super) fn remedy(surroundings: &SystemInfo, probe: &str) -> Option<String> {
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
        let restricted = SystemInfo { forbidding: vec![APPARMOR], ..SystemInfo::default() };
        let sysctl = "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
        assert_eq!(remedy(&restricted, "user namespaces").as_deref(), Some(sysctl));
        let sudo = Some("sudo partita doctor".to_owned());
        assert_eq!(remedy(&restricted, "root namespaces"), sudo);
        assert_eq!(remedy(&SystemInfo::default(), "a fresh /proc"), sudo);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn forbidden_tracing_stands_in_the_way_of_clocks_alone() {
        let root = SystemInfo { is_root: true, ..SystemInfo::default() };
        let untraceable = SystemInfo { forbids_tracing: true, ..root };
        assert_eq!(remedy(&untraceable, CLOCKS).as_deref(), Some(ALLOW_TRACING));
        assert_eq!(remedy(&untraceable, "hosts and switch"), None);
    }

    #[test]
    fn lesser_labs_need_no_namespaces_to_be_allowed() {
        let restricted = SystemInfo { forbidding: vec![APPARMOR], ..SystemInfo::default() };
        for probe in [PROXIES, SIGNALS, CLOCKS, DISKS] {
            assert_eq!(remedy(&restricted, probe), None, "{probe}");
        }
        let cut_off = SystemInfo { is_cut_off: true, ..restricted };
        assert_eq!(remedy(&cut_off, PROXIES).as_deref(), Some("sudo ip link set lo up"));
    }

    #[test]
    fn a_user_in_a_container_is_told_what_its_profile_must_allow() {
        let container = SystemInfo { is_container: true, ..SystemInfo::default() };
        let words = |probe| remedy(&container, probe).expect("a command");
        assert!(words("user namespaces").contains("seccomp=unconfined"));
        assert!(words(CLOCKS).contains("SYS_PTRACE"));
    }

    #[test]
    fn root_in_a_container_needs_a_privileged_one() {
        let container = SystemInfo { is_container: true, ..SystemInfo::default() };
        let mut container = SystemInfo { is_root: true, ..container };
        let privileged = remedy(&container, "root namespaces").expect("a command");
        assert!(privileged.contains("--privileged"), "{privileged}");
        container.forbidding.push(("user.max_net_namespaces", "65536"));
        let sysctl = remedy(&container, "hosts and switch").expect("a command");
        assert_eq!(sysctl, "sudo sysctl -w user.max_net_namespaces=65536");
    }

    #[test]
    fn nothing_is_promised_where_nothing_is_known() {
        let root = SystemInfo { is_root: true, ..SystemInfo::default() };
        assert_eq!(remedy(&root, "hosts and switch"), None);
    }
}
