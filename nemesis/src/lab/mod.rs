//! A lab is a set of hosts joined by a network: the ground on which a cluster is tested.
//!
//! Inside the namespaces that [`namespaces::enter`] made, [`Lab::build`] gives every node, and the
//! clients together, a host: a network namespace with an address on 198.18.0.0/24 (RFC 2544) and a
//! cable to the [`Switch`]. Where namespaces are forbidden, [`Lab::on_loopback`] makes hosts of
//! addresses on 127.0.0.0/8, with [`Proxies`] between them or nothing ([`LabBackend`]). Everything ends with
//! the processes that hold it; there is nothing to clean up.

pub mod account;
mod backend;
mod cables;
pub(crate) mod fabric;
mod frame;
pub mod host;
mod host_process;
mod init;
mod links;
mod loopback;
pub mod namespaces;
pub(crate) mod netlink;
mod network;
mod offload;
mod packet;
pub mod process;
pub(crate) mod processes;
mod proxies;
mod segment;
pub mod switch;

use std::io;

use tracing::{debug, info};

pub use backend::{InvalidBackend, LabBackend};
pub use fabric::{
    Corruption, Counters, Fate, InvalidProbability, Jitter, Loss, Policy, Probability, Rate,
    Reorder,
};
pub use host::{Guest, Host};
pub use links::{Link, Message, Messages, Sample, Series, UnknownLink};
pub use network::{Bare, Network};
pub use proxies::{Proxies, ProxiesError};
pub use switch::{Capture, CaptureError, CaptureLimits, Captured, Switch};

use crate::roles::is_role;
use cables::{Cable, CableError};
use loopback::LoopbackNetwork;
use packet::PacketSocket;
use switch::SwitchError;

/// The name of the host on which clients make their sockets.
pub const CLIENTS: &str = "clients";
/// The most nodes a lab can have.
pub const MOST_NODES: usize = 99;
/// What the clients' address ends in.
const CLIENTS_NUMBER: u8 = 100;
/// What is added to a node's number for the address of the relay before it.
const RELAYS: u8 = 100;
/// What the clients' address ends in on loopback.
const LOOPBACK_CLIENTS: u8 = 200;

/// Hosts joined by a network.
#[derive(Debug)]
pub struct Lab {
    /// The nodes' hosts in order, and the clients' host last.
    hosts: Vec<Host>,
    // Ends before its cables are taken away.
    network: Network,
    ground: LabResources,
}

/// What a lab holds as long as it lasts.
#[derive(Debug)]
enum LabResources {
    Cables { _held: Vec<Cable> },
    Loopback(LoopbackNetwork),
}

/// Why a lab cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A name that a node cannot have.
    #[error(
        "a node cannot be called {0:?}: names are distinct, are made of letters, digits, - and _, \
         and are neither `clients` nor a role such as `leader`"
    )]
    Name(String),
    /// Too many nodes.
    #[error("{0} nodes do not fit into one lab: at most {MOST_NODES} do")]
    TooMany(usize),
    /// The hosts' networks.
    #[error("building the lab: {0}; `partita doctor` says what this machine allows")]
    Network(#[from] CableError),
    /// A host's socket at the switch.
    #[error("listening on the cable of host {host}: {source}")]
    Socket {
        /// The host's name.
        host: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The switch.
    #[error(transparent)]
    Switch(#[from] SwitchError),
    /// Addresses on loopback.
    #[error("finding addresses on 127.0.0.0/8 on which to listen: {0}")]
    Loopback(io::Error),
    /// The relays.
    #[error(transparent)]
    Proxies(#[from] ProxiesError),
}

impl Lab {
    /// Builds a lab with a host for every name, in that order (198.18.0.1 and up), and one for the
    /// clients (198.18.0.100), all links open. Call it inside the lab's namespaces; takes some tens
    /// of milliseconds.
    ///
    /// # Errors
    ///
    /// If the names do not fit, or the kernel refuses an operation; the error says which.
    pub fn build<S: AsRef<str>>(nodes: &[S]) -> Result<Lab, BuildError> {
        Lab::build_with_seed(nodes, 0)
    }

    /// As [`Lab::build`], with the seed that decides what chance does to frames: which are lost,
    /// doubled or late, link by link and frame by frame.
    ///
    /// # Errors
    ///
    /// As [`Lab::build`].
    pub fn build_with_seed<S: AsRef<str>>(nodes: &[S], seed: u64) -> Result<Lab, BuildError> {
        let numbered = numbered(nodes)?;
        info!(hosts = numbered.len(), seed, "building a lab of namespaces");
        let (hosts, cables): (Vec<Host>, Vec<Cable>) =
            cables::build(&numbered)?.into_iter().unzip();
        let mut ports = Vec::new();
        for (host, cable) in hosts.iter().zip(&cables) {
            let Some(own) = &host.own else { continue };
            let socket = PacketSocket::open(&cable.port)
                .map_err(|source| BuildError::Socket { host: host.name.clone(), source })?;
            ports.push((host.name.clone(), own.mac, socket));
        }
        let network = Network::Switch(Switch::start(ports, seed)?);
        Ok(Lab { hosts, network, ground: LabResources::Cables { _held: cables } }.told())
    }

    /// Builds a lab of addresses on this machine's loopback, with a host for every name and one for
    /// the clients. Needs no rights at all. With `relays`, all others reach a node by the relay
    /// before it ([`Host::advertised`]), which is there for these ports; without, there are no links.
    /// Clients dial the first port; nodes may dial all of them.
    ///
    /// # Errors
    ///
    /// If the names do not fit, or the kernel refuses an operation; the error says which.
    pub fn on_loopback<S: AsRef<str>>(
        nodes: &[S],
        ports: &[u16],
        relays: bool,
        seed: u64,
    ) -> Result<Lab, BuildError> {
        info!(hosts = nodes.len() + 1, relays, seed, "building a lab on loopback");
        let claim = LoopbackNetwork::stake(ports).map_err(BuildError::Loopback)?;
        debug!(network = %claim.address(0), ports = ?claim.ports, "claimed a network");
        let mut hosts: Vec<Host> = Vec::new();
        for (name, number) in numbered(nodes)? {
            let relay = if relays { RELAYS } else { 0 };
            let (number, reached) = match number {
                CLIENTS_NUMBER => (LOOPBACK_CLIENTS, LOOPBACK_CLIENTS),
                number => (number, number + relay),
            };
            hosts.push(Host {
                name,
                address: claim.address(number),
                advertised: claim.address(reached),
                occupants: Default::default(),
                own: None,
            });
        }
        let network = match &*hosts {
            [nodes @ .., clients] if relays => {
                Network::Proxies(Proxies::start(nodes, clients, &claim.ports, seed)?)
            }
            _ => Network::Bare(Bare::start()),
        };
        Ok(Lab { hosts, network, ground: LabResources::Loopback(claim) }.told())
    }

    /// The lab, which is now in the log.
    fn told(self) -> Lab {
        for Host { name, address, advertised, .. } in &self.hosts {
            debug!(host = name, %address, %advertised, "has a host");
        }
        info!(hosts = self.hosts.len(), lab = %self.backend(), "the lab is built");
        self
    }

    /// What it can do.
    pub fn backend(&self) -> LabBackend {
        match &self.network {
            Network::Switch(_) => LabBackend::Namespaces,
            Network::Proxies(_) => LabBackend::Proxies,
            Network::Bare(_) => LabBackend::Signals,
        }
    }

    /// The ports on which nodes must listen in place of those `wanted`, in their order: others if another program on this
    /// machine has these, where hosts share its network.
    pub fn ports(&self, wanted: &[u16]) -> Vec<u16> {
        match &self.ground {
            LabResources::Cables { .. } => wanted.to_vec(),
            LabResources::Loopback(claim) => claim.ports.clone(),
        }
    }

    /// The nodes' hosts, in order.
    pub fn nodes(&self) -> &[Host] {
        &self.hosts[..self.hosts.len() - 1]
    }

    /// The clients' host.
    pub fn clients(&self) -> &Host {
        &self.hosts[self.hosts.len() - 1]
    }

    /// The host of that name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// What joins the hosts.
    pub fn network(&self) -> &Network {
        &self.network
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        info!("the lab is taken down");
    }
}

/// Gives every host the number that its addresses end in; the clients' host comes last.
fn numbered<S: AsRef<str>>(nodes: &[S]) -> Result<Vec<(String, u8)>, BuildError> {
    if nodes.len() > MOST_NODES {
        return Err(BuildError::TooMany(nodes.len()));
    }
    let mut numbered: Vec<(String, u8)> = Vec::new();
    for (number, name) in (1_u8..).zip(nodes) {
        let name = name.as_ref();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let taken = numbered.iter().any(|(other, _)| other == name);
        let fits =
            !name.is_empty() && name.chars().all(is_plain) && name != CLIENTS && !is_role(name);
        if taken || !fits {
            return Err(BuildError::Name(name.to_owned()));
        }
        numbered.push((name.to_owned(), number));
    }
    numbered.push((CLIENTS.to_owned(), CLIENTS_NUMBER));
    Ok(numbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_numbered_from_one_and_clients_come_last() {
        let numbered = numbered(&["n1", "n2"]).expect("plain names");
        let expected = [("n1", 1), ("n2", 2), ("clients", 100)];
        assert_eq!(numbered, expected.map(|(name, number)| (name.to_owned(), number)));
    }

    #[test]
    fn names_that_mean_something_else_are_refused() {
        for names in [&["n1", "n1"][..], &["clients"], &["leader"], &[""], &["n 1"], &["n1,n2"]] {
            assert!(matches!(numbered(names), Err(BuildError::Name(_))), "{names:?}");
        }
        assert!(matches!(numbered(&["n"; 100]), Err(BuildError::TooMany(100))));
    }
}
