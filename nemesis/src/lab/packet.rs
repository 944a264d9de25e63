//! Takes whole Ethernet frames from an interface and puts them on it.
//!
//! One AF_PACKET socket per interface (packet(7)). It does not see what it sends itself, and never
//! blocks. Frames move in batches, a system call for many (recvmmsg(2), sendmmsg(2)).

#![expect(unsafe_code, reason = "neither std nor nix binds a packet socket to an interface")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket, sockopt};

/// What each socket may buffer in either direction, in bytes: some thousand full frames.
const BUFFER: usize = 8 << 20;

/// The most frames that one call moves: more would be no faster, and others wait meanwhile.
pub(crate) const BATCH: usize = 32;
/// Room for the longest frame that hosts send: the MTU and an Ethernet header.
const FRAME_ROOM: usize = super::cables::MTU as usize + 18;

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

    /// Takes the frames that wait, as many as fit; none if none is waiting.
    pub(crate) fn receive(&self, batch: &mut Batch) -> io::Result<()> {
        batch.frames = 0;
        // SAFETY: an mmsghdr without name, buffers and control data is all zeros.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        for ((header, vector), room) in
            headers.iter_mut().zip(&mut vectors).zip(batch.storage.chunks_exact_mut(FRAME_ROOM))
        {
            *vector = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: every header names one buffer, which is writable for the length given and
        // outlives the call, as do the headers.
        let received = retry(|| unsafe {
            let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
            let (first, count) = (headers.as_mut_ptr(), BATCH as libc::c_uint);
            libc::recvmmsg(self.0.as_raw_fd(), first, count, flags as _, std::ptr::null_mut())
        });
        match received {
            Ok(count) => {
                for (length, header) in batch.lengths.iter_mut().zip(&headers[..count]) {
                    *length = header.msg_len as usize;
                }
                batch.frames = count;
                Ok(())
            }
            Err(Errno::EAGAIN) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Puts frames on the interface, at most a batch; how many of them, counted from the first, it
    /// took.
    pub(crate) fn send(&self, frames: &[&[u8]]) -> Result<usize, Errno> {
        // SAFETY: an mmsghdr without name, buffers and control data is all zeros.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        for ((header, vector), frame) in headers.iter_mut().zip(&mut vectors).zip(frames) {
            *vector =
                libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }
        let count = frames.len().min(BATCH);
        // SAFETY: every header names one frame, which sending only reads and which outlives the
        // call, as do the headers.
        retry(|| unsafe {
            let flags = libc::MSG_DONTWAIT;
            libc::sendmmsg(self.0.as_raw_fd(), headers.as_mut_ptr(), count as _, flags as _)
        })
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

/// Calls the kernel until no signal comes in between; the count it returned.
fn retry(mut call: impl FnMut() -> libc::c_int) -> Result<usize, Errno> {
    loop {
        match Errno::result(call()) {
            Ok(count) => return Ok(usize::try_from(count).unwrap_or(0)),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Frames as they came from one socket.
#[derive(Debug)]
pub(crate) struct Batch {
    storage: Vec<u8>,
    lengths: [usize; BATCH],
    frames: usize,
}

impl Batch {
    /// Room for a batch of frames.
    pub(crate) fn new() -> Batch {
        Batch { storage: vec![0; BATCH * FRAME_ROOM], lengths: [0; BATCH], frames: 0 }
    }

    /// The frames received last, without any that did not fit.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &[u8]> {
        let rooms = self.storage.chunks_exact(FRAME_ROOM);
        let lengths = &self.lengths[..self.frames];
        rooms.zip(lengths).filter_map(|(room, length)| room.get(..*length))
    }

    /// Whether none were received.
    pub(crate) fn is_empty(&self) -> bool {
        self.frames == 0
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
