//! Installs, in a node before its program runs, the filter that reports its calls to a supervisor.
//!
//! A classic BPF program (seccomp(2)) lets nearly every call pass. For clocks it *notifies* of execs
//! and nothing else. For a disk it notifies of calls that change a file, promise that a change is
//! durable, or take a durable name away, and denies with ENOSYS those behind which such changes
//! would go unseen (`io_uring`, Linux AIO, `openat2`), as a kernel without them does: programs fall
//! back. Arguments that are plain numbers are judged here, so that opening for reading, private
//! mappings and asynchronous `msync` cost nothing more.
//!
//! The filter is inherited by everything the node starts. Calls of another architecture (32-bit
//! programs on a 64-bit kernel) pass unseen.

#![expect(
    unsafe_code,
    reason = "seccomp and SCM_RIGHTS between fork and exec have no safe interface"
)]

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_long, c_uint, sock_filter};

use super::listener::Listener;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Where the kernel's `seccomp_data` has the call's number, architecture, and arguments.
const NUMBER: u32 = 0;
const MACHINE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`, Linux 5.19: a signal does not restart a call that the
/// supervisor is at.
const WAIT_KILLABLE: c_uint = 1 << 5;

/// Calls after which a thread runs another program.
const EXECS: &[c_long] = &[libc::SYS_execve, libc::SYS_execveat];

/// Calls on a disk of which the supervisor hears, whatever their arguments.
const NOTIFIED: &[c_long] = &[
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_sendfile,
    libc::SYS_copy_file_range,
    libc::SYS_splice,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_syncfs,
    libc::SYS_sync,
    libc::SYS_ftruncate,
    libc::SYS_truncate,
    libc::SYS_fallocate,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
];

/// Their ancestors, which newer architectures lack.
#[cfg(target_arch = "x86_64")]
const NOTIFIED_OLD: &[c_long] =
    &[libc::SYS_creat, libc::SYS_mkdir, libc::SYS_unlink, libc::SYS_rename];
#[cfg(not(target_arch = "x86_64"))]
const NOTIFIED_OLD: &[c_long] = &[];

/// Calls that would get past the filter, or whose arguments it cannot judge.
const DENIED: &[c_long] = &[
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_setup,
    libc::SYS_openat2,
];

/// Which calls a filter reports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reported {
    /// Execs.
    pub(crate) execs: bool,
    /// What changes files and what makes changes durable.
    pub(crate) disk: bool,
}

/// The filter, ready to be installed.
#[derive(Debug)]
pub(crate) struct Filter(Vec<sock_filter>);

impl Filter {
    /// The program, whose every rule leaves the number in the accumulator or returns.
    pub(crate) fn new(reported: Reported) -> Filter {
        let mut rules = vec![
            load(MACHINE),
            jump(libc::BPF_JEQ, ARCHITECTURE, 1, 0),
            answer(libc::SECCOMP_RET_ALLOW),
            load(NUMBER),
        ];
        if reported.execs {
            rules.extend(if_any_of(EXECS, libc::SECCOMP_RET_USER_NOTIF));
        }
        if reported.disk {
            rules.extend(disk_rules());
        }
        rules.push(answer(libc::SECCOMP_RET_ALLOW));
        Filter(rules)
    }

    /// Installs the filter in the calling process, between fork and exec, and passes the listener
    /// through `socket`. Makes system calls only.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub(crate) fn install(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let (listener, is_patient) = match self.listen(WAIT_KILLABLE) {
            // A kernel before 5.19.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => (self.listen(0)?, false),
            other => (other?, true),
        };
        send(socket, listener.as_raw_fd(), is_patient)
    }

    fn listen(&self, flags: c_uint) -> io::Result<OwnedFd> {
        self.try_listen(flags).or_else(|error| {
            // Only root of a user namespace may filter a process that may gain power by exec.
            if error.raw_os_error() != Some(libc::EACCES) {
                return Err(error);
            }
            // SAFETY: takes numbers only.
            if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
                return Err(io::Error::last_os_error());
            }
            self.try_listen(flags)
        })
    }

    fn try_listen(&self, flags: c_uint) -> io::Result<OwnedFd> {
        let program = libc::sock_fprog {
            len: u16::try_from(self.0.len()).expect("a filter holds fewer than 4096 rules"),
            filter: self.0.as_ptr().cast_mut(),
        };
        // Without the second, some kernels guard a filtered program against speculation, at a cost.
        let always = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
        let flags = c_long::from(flags) | always as c_long;
        let mode = c_long::from(libc::SECCOMP_SET_MODE_FILTER);
        // SAFETY: the program outlives the call, which only reads it.
        let listener = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) };
        if listener < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for the caller.
        Ok(unsafe { OwnedFd::from_raw_fd(listener as RawFd) })
    }
}

/// What a disk's supervisor must hear of, or must not miss.
fn disk_rules() -> Vec<sock_filter> {
    let mut rules = if_any_of(NOTIFIED, libc::SECCOMP_RET_USER_NOTIF);
    rules.extend(if_any_of(NOTIFIED_OLD, libc::SECCOMP_RET_USER_NOTIF));
    rules.extend(if_any_of(DENIED, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32));
    let creating = (libc::O_CREAT | libc::O_TRUNC) as u32;
    rules.extend(if_any(libc::SYS_openat, 2, creating));
    #[cfg(target_arch = "x86_64")]
    rules.extend(if_any(libc::SYS_open, 1, creating));
    rules.extend(if_any(libc::SYS_msync, 2, libc::MS_SYNC as u32));
    rules.extend(if_shared_and_writable());
    rules
}

/// Gives the calls of these numbers that answer.
fn if_any_of(numbers: &[c_long], with: u32) -> Vec<sock_filter> {
    let rule = |number: &c_long| [jump(libc::BPF_JEQ, *number as u32, 0, 1), answer(with)];
    numbers.iter().flat_map(rule).collect()
}

fn load(offset: u32) -> sock_filter {
    let code = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    sock_filter { code, jt: 0, jf: 0, k: offset }
}

/// The lower half of an argument, on a little-endian machine.
fn argument(place: u32) -> sock_filter {
    load(ARGUMENTS + 8 * place)
}

fn jump(test: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: (libc::BPF_JMP | test | libc::BPF_K) as u16, jt, jf, k }
}

fn answer(k: u32) -> sock_filter {
    sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k }
}

/// Notifies of the call if an argument has any of these bits.
fn if_any(number: c_long, place: u32, bits: u32) -> [sock_filter; 5] {
    [
        jump(libc::BPF_JEQ, number as u32, 0, 4),
        argument(place),
        jump(libc::BPF_JSET, bits, 0, 1),
        answer(libc::SECCOMP_RET_USER_NOTIF),
        answer(libc::SECCOMP_RET_ALLOW),
    ]
}

/// Notifies of a mapping through which a file can be written.
fn if_shared_and_writable() -> [sock_filter; 8] {
    let kinds = (libc::MAP_SHARED | libc::MAP_ANONYMOUS) as u32;
    [
        jump(libc::BPF_JEQ, libc::SYS_mmap as u32, 0, 7),
        argument(2),
        jump(libc::BPF_JSET, libc::PROT_WRITE as u32, 0, 4),
        argument(3),
        sock_filter {
            code: (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16,
            jt: 0,
            jf: 0,
            k: kinds,
        },
        jump(libc::BPF_JEQ, libc::MAP_SHARED as u32, 0, 1),
        answer(libc::SECCOMP_RET_USER_NOTIF),
        answer(libc::SECCOMP_RET_ALLOW),
    ]
}

/// Room for the header of a control message and one descriptor, aligned as the kernel wants it.
#[derive(Default)]
#[repr(C, align(8))]
struct Control([u8; 24]);

/// A message of one byte, with room for a descriptor.
fn message(byte: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: all zeros is an empty message.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = byte;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len();
    message
}

fn send(socket: BorrowedFd<'_>, descriptor: RawFd, is_patient: bool) -> io::Result<()> {
    let mut data = [u8::from(is_patient)];
    let mut byte = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: 1 };
    let mut control = Control::default();
    let message = message(&mut byte, &mut control);
    // SAFETY: the control buffer has room for one header and one descriptor, and everything that
    // the message points to outlives the call.
    let sent = unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as usize;
        libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(descriptor);
        libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Waits for the listener that [`Filter::install`] passes; none if the node ended before.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<Listener>> {
    let mut data = [0_u8];
    let mut byte = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: 1 };
    let mut control = Control::default();
    let mut message = message(&mut byte, &mut control);
    loop {
        // SAFETY: everything that the message points to outlives the call.
        let got =
            unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        match got {
            0 => return Ok(None),
            1.. => break,
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
    // SAFETY: the kernel has filled the control buffer in; the descriptor in it is new and ours.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if header.is_null() || (*header).cmsg_type != libc::SCM_RIGHTS {
            return Ok(None);
        }
        let descriptor = libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned();
        Ok(Some(Listener::new(OwnedFd::from_raw_fd(descriptor), data[0] == 1)))
    }
}
