//! Holds a process of a node still and makes it do system calls (ptrace(2)).
//!
//! Only the thread that seized a process may use it, and it seizes one at a time. Waiting is for
//! the kernel alone: a seized process that was interrupted stops or ends.
//!
//! Whether a seized process is also a child of this program makes one difference: its end is left
//! for its keeper to collect, whose child it is.

#![expect(unsafe_code, reason = "some requests of ptrace have no safe interface")]

use std::fs;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::unistd::{Pid, getpid};

/// How often a foreign process's end that hides this one's is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// What a call that was interrupted, to be begun anew, has for an answer inside the kernel:
/// `ERESTARTSYS`, `ERESTARTNOINTR`, `ERESTARTNOHAND` and `ERESTART_RESTARTBLOCK`.
pub(super) const RESTART: [i64; 4] = [-512, -513, -514, -516];
/// Every signal that can be blocked.
const ALL_SIGNALS: u64 = u64::MAX;

/// A process that this thread has seized.
#[derive(Debug)]
pub(super) struct Tracee {
    pid: Pid,
    is_own_child: bool,
    /// A signal that arrived at the wrong moment, to be delivered in the end.
    held: libc::c_int,
}

/// Why a seized process stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PtraceStop {
    /// It has become another program.
    Exec,
    /// It is at the beginning or end of a system call.
    SystemCall,
    /// It was interrupted.
    Interrupted,
    /// It is about to be given a signal.
    Signal(libc::c_int),
}

impl Tracee {
    /// Seizes the thread `thread`, which goes on running. If this program or its thread ends, the
    /// process does: nobody goes on half changed.
    pub(super) fn seize(thread: Pid) -> Result<Tracee, Errno> {
        let options = Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(thread, options)?;
        Ok(Tracee { pid: thread, is_own_child: is_own_child(thread), held: 0 })
    }

    /// Its number; that of its first thread after an exec.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Asks it to stop.
    pub(super) fn interrupt(&self) -> Result<(), Errno> {
        ptrace::interrupt(self.pid)
    }

    /// Waits until it stands still. ESRCH if it ends instead.
    pub(super) fn next_stop(&mut self) -> Result<PtraceStop, Errno> {
        loop {
            let Some(event) = look(libc::WEXITED | libc::WSTOPPED | libc::WNOWAIT)? else {
                continue;
            };
            if event.code == libc::CLD_TRAPPED {
                look(libc::WSTOPPED)?;
                // An exec gives the thread that did it its process's number.
                self.pid = event.pid;
                return Ok(match (event.status >> 8, event.status & 0xff) {
                    (libc::PTRACE_EVENT_EXEC, _) => PtraceStop::Exec,
                    (libc::PTRACE_EVENT_STOP, _) => PtraceStop::Interrupted,
                    (_, signal) if signal == libc::SIGTRAP | 0x80 => PtraceStop::SystemCall,
                    (_, signal) => PtraceStop::Signal(signal),
                });
            }
            if event.pid == self.pid {
                if !self.is_own_child {
                    look(libc::WEXITED)?;
                }
                return Err(Errno::ESRCH);
            }
            // One that was seized before and has ended; its keeper is about to collect it.
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Lets it run to the beginning or end of its next system call.
    pub(super) fn run_to_system_call(&mut self) -> Result<(), Errno> {
        loop {
            resume(libc::PTRACE_SYSCALL, self.pid, 0)?;
            match self.next_stop()? {
                PtraceStop::SystemCall => return Ok(()),
                PtraceStop::Signal(signal) => self.held = signal,
                PtraceStop::Interrupted | PtraceStop::Exec => {}
            }
        }
    }

    /// Lets it run, and gives it the signal it was stopped for.
    pub(super) fn deliver(&self, signal: libc::c_int) -> Result<(), Errno> {
        resume(libc::PTRACE_CONT, self.pid, signal)
    }

    /// Its registers, if it stands still.
    pub(super) fn registers(&self) -> Result<libc::user_regs_struct, Errno> {
        ptrace::getregs(self.pid)
    }

    /// Sets its registers.
    pub(super) fn set_registers(&self, registers: libc::user_regs_struct) -> Result<(), Errno> {
        ptrace::setregs(self.pid, registers)
    }

    /// Makes it do a system call, by a `syscall` instruction at `site`; the kernel's answer. It
    /// must stand at the end of a system call or on its way out of the kernel, and does so
    /// afterwards, but with other registers.
    ///
    /// A stop signal cannot be blocked, and one that arrives while the call waits for a supervisor
    /// interrupts it: the signal is kept for the end, and the call is made anew.
    pub(super) fn call(
        &mut self,
        site: u64,
        number: libc::c_long,
        arguments: [u64; 6],
    ) -> Result<u64, Errno> {
        loop {
            let answer = self.try_call(site, number, arguments)?;
            match answer {
                _ if RESTART.contains(&answer) => {}
                -4_095..=-1 => return Err(Errno::from_raw(-(answer as i32))),
                _ => return Ok(answer.cast_unsigned()),
            }
        }
    }

    fn try_call(
        &mut self,
        site: u64,
        number: libc::c_long,
        arguments: [u64; 6],
    ) -> Result<i64, Errno> {
        let mut registers = self.registers()?;
        registers.rip = site;
        registers.rax = number.cast_unsigned();
        // Not in a system call: nothing for the kernel to restart.
        registers.orig_rax = u64::MAX;
        [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9] =
            arguments;
        self.set_registers(registers)?;
        self.run_to_system_call()?;
        self.run_to_system_call()?;
        Ok(self.registers()?.rax.cast_signed())
    }

    /// Writes into its memory, whatever the protection, a multiple of eight bytes.
    pub(super) fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        let (words, rest) = bytes.as_chunks::<8>();
        assert!(rest.is_empty(), "whole words");
        for (place, word) in (address..).step_by(8).zip(words) {
            let word = libc::c_long::from_le_bytes(*word);
            ptrace::write(self.pid, place as ptrace::AddressType, word)?;
        }
        Ok(())
    }

    /// Blocks all its signals; those that were blocked before.
    pub(super) fn block_signals(&self) -> Result<u64, Errno> {
        let mut before = 0_u64;
        self.signal_mask(libc::PTRACE_GETSIGMASK, &mut before)?;
        self.signal_mask(libc::PTRACE_SETSIGMASK, &mut { ALL_SIGNALS })?;
        Ok(before)
    }

    /// Blocks these signals and no others.
    pub(super) fn restore_signals(&self, mut blocked: u64) -> Result<(), Errno> {
        self.signal_mask(libc::PTRACE_SETSIGMASK, &mut blocked)
    }

    fn signal_mask(&self, request: libc::c_uint, mask: &mut u64) -> Result<(), Errno> {
        let pid = self.pid.as_raw();
        // SAFETY: the kernel reads or writes as many bytes as it is told the mask has.
        let result = unsafe { libc::ptrace(request, pid, size_of::<u64>(), &raw mut *mask) };
        Errno::result(result).map(drop)
    }

    /// Lets it go. It must stand still or have ended.
    pub(super) fn detach(self) {
        // Fails only if it has ended.
        let _ = resume(libc::PTRACE_DETACH, self.pid, self.held);
    }
}

/// Something that happened to a process that this thread has seized.
struct Event {
    pid: Pid,
    code: libc::c_int,
    status: libc::c_int,
}

/// Waits for something to happen to a process that this thread has seized.
fn look(what: libc::c_int) -> Result<Option<Event>, Errno> {
    // Children of other threads, which are the keepers', are not looked at.
    let what = what | libc::__WALL | libc::__WNOTHREAD;
    // SAFETY: all zeroes are valid for this structure of numbers.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one such structure.
    let result = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, what) };
    match Errno::result(result) {
        Ok(_) => {}
        Err(Errno::EINTR) => return Ok(None),
        // It has ended, and its keeper has collected it.
        Err(Errno::ECHILD) => return Err(Errno::ESRCH),
        Err(errno) => return Err(errno),
    }
    // SAFETY: waitid fills in the fields of SIGCHLD.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok(Some(Event { pid: Pid::from_raw(pid), code: info.si_code, status }))
}

fn resume(request: libc::c_uint, pid: Pid, signal: libc::c_int) -> Result<(), Errno> {
    // SAFETY: takes numbers, and touches no memory of this process.
    let result = unsafe { libc::ptrace(request, pid.as_raw(), 0, signal) };
    Errno::result(result).map(drop)
}

/// Whether a thread is the first of a process that this program started itself.
fn is_own_child(thread: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse::<i32>().ok()
    };
    field("PPid:") == Some(getpid().as_raw()) && field("Tgid:") == Some(thread.as_raw())
}
