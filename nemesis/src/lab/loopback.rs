//! Finds addresses on this machine's loopback for a lab, and ports that are free on all of them.
//!
//! Every address of 127.0.0.0/8 is this machine's, and any user may listen there. A lab has a network
//! of three bytes to itself: node `k` listens on `k`, is reached by others on `100 + k`, and clients
//! dial from `200`. A listener on `254` claims the network as long as the lab lasts, so that labs
//! side by side never meet. A port is the one that was asked for unless this user may not have it, or
//! another program on this machine listens to it on every address, as many servers do by default; then it is
//! one that is free.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};

/// How many networks are tried before a lab gives up.
const ATTEMPTS: u64 = 32;
/// What the address ends in by which a network is claimed.
const CLAIM: u8 = 254;

/// A network on loopback that belongs to one lab until this is dropped.
#[derive(Debug)]
pub(super) struct LoopbackNetwork {
    network: [u8; 3],
    /// In the order in which they were wanted.
    pub(super) ports: Vec<u16>,
    _listeners: Vec<TcpListener>,
}

impl LoopbackNetwork {
    /// Claims a network on which `ports`, or others in their place, are free.
    pub(super) fn stake(ports: &[u16]) -> io::Result<LoopbackNetwork> {
        let mut refusal = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for attempt in 0..ATTEMPTS {
            // Any will do, and the next lab on this machine should begin with another.
            let draw = RandomState::new().hash_one(attempt);
            let network = [127, 16 + (draw % 224) as u8, (draw >> 8) as u8];
            match LoopbackNetwork::of(network, ports) {
                Ok(claim) => return Ok(claim),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    fn of(network: [u8; 3], wanted: &[u16]) -> io::Result<LoopbackNetwork> {
        let listeners: Vec<TcpListener> =
            wanted.iter().map(|port| listen(network, *port)).collect::<io::Result<_>>()?;
        let port = |listener: &TcpListener| Ok(listener.local_addr()?.port());
        let ports = listeners.iter().map(port).collect::<io::Result<_>>()?;
        Ok(LoopbackNetwork { network, ports, _listeners: listeners })
    }

    /// The network's address that ends in this number.
    pub(super) fn address(&self, number: u8) -> Ipv4Addr {
        let [a, b, c] = self.network;
        Ipv4Addr::new(a, b, c, number)
    }
}

/// Listens on the claiming address: on this port, or on any if this one cannot be had.
fn listen([a, b, c]: [u8; 3], port: u16) -> io::Result<TcpListener> {
    let address = Ipv4Addr::new(a, b, c, CLAIM);
    match TcpListener::bind(SocketAddrV4::new(address, port)) {
        Err(error)
            if error.kind() == io::ErrorKind::PermissionDenied
                || (error.kind() == io::ErrorKind::AddrInUse && is_taken_everywhere(port)) =>
        {
            TcpListener::bind(SocketAddrV4::new(address, 0))
        }
        other => other,
    }
}

/// Whether a port is in use on an address that no lab has.
fn is_taken_everywhere(port: u16) -> bool {
    let nobodys = SocketAddrV4::new(Ipv4Addr::new(127, 255, 255, CLAIM), port);
    TcpListener::bind(nobodys).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: [u16; 2] = [6379, 7000];

    #[test]
    fn labs_side_by_side_have_networks_of_their_own() {
        let claims: Vec<LoopbackNetwork> =
            (0..8).map(|_| LoopbackNetwork::stake(&PORTS).expect("a network")).collect();
        for (place, claim) in claims.iter().enumerate() {
            assert_eq!(claim.address(7).octets()[0], 127);
            assert!(claims[..place].iter().all(|other| other.network != claim.network));
        }
        let taken = claims[0].network;
        assert!(
            LoopbackNetwork::of(taken, &claims[0].ports).is_err(),
            "claimed as long as it lasts"
        );
    }

    #[test]
    fn a_port_that_somebody_has_on_every_address_is_replaced() {
        let everywhere = TcpListener::bind("0.0.0.0:0").expect("listens");
        let port = everywhere.local_addr().expect("an address").port();
        let claim = LoopbackNetwork::stake(&[port, 7000]).expect("a network");
        assert_ne!(claim.ports[0], port);
        assert_ne!(claim.ports[0], claim.ports[1]);
    }
}
