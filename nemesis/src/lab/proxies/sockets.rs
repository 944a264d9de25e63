//! Reads what the kernel says of this machine's TCP sockets, and ends connections at once.

#![expect(unsafe_code, reason = "dissolving a connection has no safe interface")]

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, BorrowedFd};

/// The tables of sockets: those of IPv6 hold IPv4's as well, where a program asked for both.
const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
/// What precedes an IPv4 address in IPv6 (RFC 4291 §2.5.5.2), as the table writes it.
const MAPPED: &str = "0000000000000000FFFF0000";
/// A socket in the kernel's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) own: SocketAddrV4,
    pub(super) other: SocketAddrV4,
    /// By which the descriptors are found that stand for it; 0 if there are none any more.
    pub(super) inode: u64,
}

/// The IPv4 socket of TCP with these ends, in this network namespace. The kernel walks all of its
/// table for that, which takes some milliseconds.
pub(super) fn find(own: SocketAddrV4, other: SocketAddrV4) -> Option<Socket> {
    TABLES.iter().find_map(|path| {
        let table = fs::read_to_string(path).ok()?;
        table.lines().filter_map(read).find(|socket| socket.own == own && socket.other == other)
    })
}

/// A line of a table; see proc_net_tcp in the kernel's documentation.
fn read(line: &str) -> Option<Socket> {
    let mut words = line.split_whitespace().skip(1);
    let (own, other) = (endpoint(words.next()?)?, endpoint(words.next()?)?);
    let inode = words.nth(6)?.parse().ok()?;
    Some(Socket { own, other, inode })
}

/// An address and a port: the former in the machine's order of bytes, the latter as one reads it.
fn endpoint(word: &str) -> Option<SocketAddrV4> {
    let (address, port) = word.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let digits = match address.len() {
        8 => address,
        32 if address.bytes().all(|digit| digit == b'0') => &address[24..],
        _ => address.strip_prefix(MAPPED)?,
    };
    let octets = u32::from_str_radix(digits, 16).ok()?.to_ne_bytes();
    Some(SocketAddrV4::new(Ipv4Addr::from(octets), port))
}

/// Ends a connection at once: what was not sent is lost, and the other end gets a reset.
/// A task that waits for the socket gets an error. Does nothing to a connection that is over.
pub(super) fn abort(socket: BorrowedFd<'_>) -> io::Result<()> {
    let nowhere =
        libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
    let length = size_of::<libc::sockaddr>() as libc::socklen_t;
    // SAFETY: the address is valid for the length that goes with it. Connecting to no address
    // dissolves a connection, which TCP does by a reset (connect(2), RFC 9293 §3.10.5).
    match unsafe { libc::connect(socket.as_raw_fd(), &raw const nowhere, length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    fn v4(address: std::net::SocketAddr) -> SocketAddrV4 {
        match address {
            std::net::SocketAddr::V4(address) => address,
            std::net::SocketAddr::V6(address) => panic!("{address}"),
        }
    }

    #[test]
    fn a_line_of_the_table_is_read() {
        let address = u32::from_ne_bytes([127, 1, 2, 3]);
        let line = format!(
            "   0: {address:08X}:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000  \
             1000 0 4711 1 0000000000000000 100 0 0 10 0"
        );
        let socket = read(&line).expect("a socket");
        assert_eq!(socket.own, "127.1.2.3:3306".parse().expect("an address"));
        assert_eq!(socket.inode, 4711);
        let mapped = line.replacen(&format!("{address:08X}"), &format!("{MAPPED}{address:08X}"), 1);
        assert_eq!(read(&mapped), Some(socket));
        let foreign = line.replacen(&format!("{address:08X}"), &"1".repeat(32), 1);
        assert_eq!(read(&foreign), None);
        assert_eq!(read("  sl  local_address rem_address   st tx_queue"), None);
    }

    #[test]
    fn a_connection_is_found_by_its_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let near = TcpStream::connect(listener.local_addr().expect("an address")).expect("there");
        let ends = (v4(near.local_addr().expect("one")), v4(near.peer_addr().expect("the other")));
        let socket = find(ends.0, ends.1).expect("a socket");
        assert_ne!(socket.inode, 0);
        let nobody = SocketAddrV4::new(*ends.0.ip(), 1);
        assert_eq!(find(nobody, ends.1), None);
    }

    #[test]
    fn aborting_resets_the_other_end() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let near = TcpStream::connect(listener.local_addr().expect("an address")).expect("there");
        let (mut far, _) = listener.accept().expect("comes");
        abort(near.as_fd()).expect("dissolved");
        let error = far.read(&mut [0]).expect_err("a reset");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
