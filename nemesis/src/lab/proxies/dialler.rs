//! Finds out which node dialled a relay, where an address does not tell.
//!
//! All nodes of a lab on loopback dial from 127.0.0.1, and a store may tell all its members one
//! address of each. So a connection's other end is looked up in the kernel's table of sockets, and
//! the descriptor that stands for it among those of the nodes' processes (proc(5)): first of those
//! that each node's programs were started as, then of all that are in their groups. That needs no rights
//! beyond those over one's own processes. Takes some milliseconds, most of them the kernel's, so it is
//! done aside from what relays carry. Leaves out processes that left their node's group, and those
//! that no one may look into (PR_SET_DUMPABLE, prctl(2)).

use std::fs;
use std::net::SocketAddrV4;
use std::path::Path;
use std::sync::Arc;

use super::sockets;
use crate::lab::fabric::Port;
use crate::lab::host::Occupants;
use crate::lab::processes;

/// Whose a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialler {
    /// A process of this host, a node's or the clients'.
    Host(Port),
    /// Nobody's any more.
    Gone,
    /// Somebody else's, or a node's that is only just being started.
    Stranger,
}

/// Whose the end `own` of a connection with `other` is.
pub(super) fn find(
    own: SocketAddrV4,
    other: SocketAddrV4,
    occupants: &[Arc<Occupants>],
) -> Dialler {
    let Some(socket) = sockets::find(own, other).filter(|it| it.inode != 0) else {
        return Dialler::Gone;
    };
    let name = format!("socket:[{}]", socket.inode);
    let pids: Vec<Vec<i32>> = occupants.iter().map(|occupants| occupants.pids()).collect();
    let has_it = |pids: &Vec<i32>| pids.iter().any(|pid| holds(*pid, &name));
    if let Some(node) = pids.iter().position(has_it) {
        return Dialler::Host(node);
    }
    for process in processes::all() {
        let node = pids.iter().position(|pids| pids.contains(&process.group));
        if let Some(node) = node.filter(|_| holds(process.pid, &name)) {
            return Dialler::Host(node);
        }
    }
    Dialler::Stranger
}

/// Whether a process has a descriptor of that name.
fn holds(pid: i32, name: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut links = descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    links.any(|link| link == Path::new(name))
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use super::*;

    fn v4(address: SocketAddr) -> SocketAddrV4 {
        match address {
            SocketAddr::V4(address) => address,
            SocketAddr::V6(address) => panic!("{address}"),
        }
    }

    #[test]
    fn a_connection_is_its_processes_until_it_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let there = listener.local_addr().expect("an address");
        let stream = TcpStream::connect(there).expect("connects");
        let (accepted, here) = listener.accept().expect("comes");
        let occupants = [Arc::new(Occupants::default()), Arc::new(Occupants::default())];
        let look = |occupants: &[Arc<Occupants>]| find(v4(here), v4(there), occupants);
        assert_eq!(look(&occupants), Dialler::Stranger);
        occupants[0].note(0, 0);
        occupants[1].note(1, std::process::id().cast_signed());
        assert_eq!(look(&occupants), Dialler::Host(1));
        occupants[1].forget(1);
        assert_eq!(look(&occupants), Dialler::Stranger);
        drop((stream, accepted));
        assert_eq!(look(&occupants), Dialler::Gone);
    }
}
