//! Makes an interface send complete frames.
//!
//! A veth passes packets on with their checksum still to be computed and TCP segments still to be
//! cut, since both ends are the same kernel. A switch in user space would carry them as they are,
//! the receiver would drop them, and TCP would hang. Source: `ethtool -K`, linux/ethtool.h.

#![expect(unsafe_code, reason = "SIOCETHTOOL takes a pointer inside a union")]

use std::io;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// What is set: transmit checksums, TCP segmentation, generic segmentation, generic receive.
const SETTERS: [u32; 4] = [0x17, 0x1f, 0x24, 0x2c];

/// linux/ethtool.h: struct ethtool_value.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// Switches off all offloads of an interface of the calling thread's network namespace.
pub(crate) fn switch_off(interface: &str) -> io::Result<()> {
    let control = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    for command in SETTERS {
        let mut value = EthtoolValue { command, data: 0 };
        let mut request = libc::ifreq {
            ifr_name: name(interface)?,
            ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_data: (&raw mut value).cast() },
        };
        // SAFETY: the request is an ifreq with a terminated name and a pointer to an ethtool_value,
        // and both outlive the call.
        let result =
            unsafe { libc::ioctl(control.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) };
        Errno::result(result)?;
    }
    Ok(())
}

fn name(interface: &str) -> io::Result<[libc::c_char; libc::IFNAMSIZ]> {
    let mut name = [0; libc::IFNAMSIZ];
    if interface.len() >= name.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "interface name is too long"));
    }
    for (to, from) in name.iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(name)
}
