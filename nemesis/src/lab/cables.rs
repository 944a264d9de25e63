//! Makes the hosts' networks: a namespace each, and a cable from each to the switch.
//!
//! A host sees one Ethernet interface, `eth0`, on which every other host's hardware address is
//! known beforehand: a cut link then means silence, not an unreachable host. The other end of the
//! cable, in the calling thread's namespace, is where the switch listens. IPv6 is off, since no
//! link-local chatter must be mistaken for traffic.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;

use nix::sched::{CloneFlags, unshare};
use tracing::debug;

use super::frame::Mac;
use super::host::{Host, Own, current_namespace};
use super::netlink::Netlink;
use super::offload;

/// The first three bytes of every address: benchmarking range of RFC 2544.
const NETWORK: [u8; 3] = [198, 18, 0];
const PREFIX_LEN: u8 = 24;
const INTERFACE: &str = "eth0";
/// The most that a frame carries, in bytes: that of jumbo frames in a data centre. The cost of the
/// switch is per frame, so long transfers need them long; small messages do not notice.
pub(crate) const MTU: u32 = 9_000;

/// What could not be done for which host.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {source}")]
pub struct CableError {
    /// What was tried.
    pub operation: String,
    /// What the kernel said.
    pub source: io::Error,
}

/// Adds what was tried to what the kernel said.
fn trying<T>(operation: impl Into<String>, result: io::Result<T>) -> Result<T, CableError> {
    let operation = operation.into();
    match result {
        Ok(done) => {
            debug!("{operation}");
            Ok(done)
        }
        Err(source) => {
            debug!(error = %source, "{operation}: refused");
            Err(CableError { operation, source })
        }
    }
}

/// The switch's end of the cable to a host. Dropping it takes the cable away at once, where the end
/// of the host's namespace would do so only some time later: the next lab needs the name.
#[derive(Debug)]
pub(crate) struct Cable {
    pub(crate) port: String,
}

impl Drop for Cable {
    fn drop(&mut self) {
        // If it cannot be taken away now, it goes with either of its namespaces.
        let _ = Netlink::open().and_then(|mut netlink| netlink.remove(&self.port));
    }
}

/// Makes a host for every name, with the number that ends its address, in that order.
pub(crate) fn build(names: &[(String, u8)]) -> Result<Vec<(Host, Cable)>, CableError> {
    trying("switching IPv6 off in the lab", disable_ipv6())?;
    let namespaces = new_namespaces(names.len())?;
    let hosts: Vec<Host> = names
        .iter()
        .zip(namespaces)
        .map(|((name, number), namespace)| {
            let address = Ipv4Addr::new(NETWORK[0], NETWORK[1], NETWORK[2], *number);
            Host {
                name: name.clone(),
                address,
                advertised: address,
                occupants: Arc::default(),
                own: Some(Own { mac: Mac::local(*number), namespace: Arc::new(namespace) }),
            }
        })
        .collect();
    let mut netlink = trying("opening a netlink socket", Netlink::open())?;
    let mut cables = Vec::new();
    for (host, (_, number)) in hosts.iter().zip(names) {
        let Some(Own { mac, namespace }) = &host.own else { continue };
        let port = format!("lab-{number}");
        let far = (INTERFACE, *mac);
        // Numbers are below 128, so the two ends' addresses differ.
        let near = (&*port, Mac::local(number | 0x80));
        let made = netlink.add_veth(near, far, Some(namespace.as_fd()), MTU);
        trying(format!("joining {port} and {INTERFACE} of {}", host.name), made)?;
        let cable = Cable { port };
        let port = &cable.port;
        trying(format!("switching off the offloads of {port}"), offload::switch_off(port))?;
        trying(format!("switching on {port}"), netlink.set_up(port))?;
        cables.push(cable);
    }
    for host in &hosts {
        let entered = host.enter(|| configure(host, &hosts));
        trying(format!("entering {}", host.name), entered)??;
    }
    Ok(hosts.into_iter().zip(cables).collect())
}

/// Makes network namespaces, with loopback on and IPv6 off.
fn new_namespaces(count: usize) -> Result<Vec<OwnedFd>, CableError> {
    let make = || {
        trying(
            "making a network namespace",
            unshare(CloneFlags::CLONE_NEWNET).map_err(Into::into),
        )?;
        trying("switching IPv6 off in a host", disable_ipv6())?;
        let loopback = Netlink::open().and_then(|mut netlink| netlink.set_up("lo"));
        trying("switching on a host's loopback", loopback)?;
        trying("opening a host's network namespace", current_namespace())
    };
    // On a thread of its own: a thread that makes a namespace ends up inside it.
    thread::scope(|scope| {
        let maker = scope.spawn(|| (0..count).map(|_| make()).collect());
        maker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Configures the network of the host that the calling thread is in.
fn configure(host: &Host, all: &[Host]) -> Result<(), CableError> {
    let what = |action: &str| format!("{action} {INTERFACE} of {}", host.name);
    let mut netlink = trying(what("opening a netlink socket for"), Netlink::open())?;
    trying(what("switching off the offloads of"), offload::switch_off(INTERFACE))?;
    let added = netlink.add_address(INTERFACE, host.address, PREFIX_LEN);
    trying(what("giving an address to"), added)?;
    trying(what("switching on"), netlink.set_up(INTERFACE))?;
    for other in all.iter().filter(|other| other.address != host.address) {
        let Some(own) = &other.own else { continue };
        let added = netlink.add_neighbour(INTERFACE, other.address, own.mac);
        trying(what("naming a neighbour on"), added)?;
    }
    Ok(())
}

/// Switches IPv6 off in the calling thread's network namespace, for interfaces to come too.
fn disable_ipv6() -> io::Result<()> {
    for scope in ["all", "default"] {
        match fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1") {
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}
