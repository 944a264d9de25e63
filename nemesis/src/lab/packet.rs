//! Takes whole Ethernet frames from an interface and puts them on it.
//!
//! One AF_PACKET socket per interface (packet(7)). It does not see what it sends itself, and never
//! blocks.

#![expect(unsafe_code, reason = "neither std nor nix binds a packet socket to an interface")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, recv, send, setsockopt, socket, sockopt,
};

/// What each socket may buffer in either direction, in bytes: some thousand full frames.
const BUFFER: usize = 8 << 20;

/// A raw socket on one interface.
#[derive(Debug)]
pub(crate) struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// Opens a socket on `interface`, in the calling thread's network namespace.
    pub(crate) fn open(interface: &str) -> io::Result<PacketSocket> {
        // Without a protocol it receives nothing until bind names protocol and interface together;
        // with one it would see the frames of every other interface in between.
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
        let socket = PacketSocket(fd);
        socket.switch_on(libc::PACKET_IGNORE_OUTGOING)?;
        // An interface's queue opens some time after the interface is switched on, whenever the
        // kernel gets round to noticing that the cable is plugged in. Frames need not wait for it.
        socket.switch_on(libc::PACKET_QDISC_BYPASS)?;
        socket.enlarge_buffers();
        socket.bind(if_nametoindex(interface)?)?;
        Ok(socket)
    }

    /// The next frame, cut off at the end of `buffer`; its length, or none if none is waiting.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_TRUNC) {
                Ok(length) => return Ok(Some(length)),
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Puts a frame on the interface.
    pub(crate) fn send(&self, frame: &[u8]) -> Result<(), Errno> {
        loop {
            match send(self.0.as_raw_fd(), frame, MsgFlags::empty()) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    fn switch_on(&self, option: libc::c_int) -> io::Result<()> {
        let on: libc::c_int = 1;
        // SAFETY: the options given here take an int, which outlives the call.
        let result = unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                libc::SOL_PACKET,
                option,
                (&raw const on).cast(),
                size_of_val(&on) as libc::socklen_t,
            )
        };
        Errno::result(result)?;
        Ok(())
    }

    /// Takes the buffers it can get: short ones cost throughput, not correctness, since what does
    /// not fit is lost as it would be on any wire.
    fn enlarge_buffers(&self) {
        if setsockopt(&self.0, sockopt::RcvBufForce, &BUFFER).is_err() {
            let _ = setsockopt(&self.0, sockopt::RcvBuf, &BUFFER);
        }
        if setsockopt(&self.0, sockopt::SndBufForce, &BUFFER).is_err() {
            let _ = setsockopt(&self.0, sockopt::SndBuf, &BUFFER);
        }
    }

    fn bind(&self, interface: u32) -> io::Result<()> {
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
            sll_ifindex: interface as i32,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        // SAFETY: the address is a sockaddr_ll of the length given, and outlives the call.
        let result = unsafe {
            libc::bind(
                self.0.as_raw_fd(),
                (&raw const address).cast(),
                size_of_val(&address) as libc::socklen_t,
            )
        };
        Errno::result(result)?;
        Ok(())
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
