//! Puts a node's clocks into a program that is about to begin.
//!
//! The program has just been loaded and has not run yet: not even its dynamic linker has looked
//! into the vDSO. It is made to map the two pages and a page of code, the code is written, and the
//! vDSO's symbols are pointed at it. Forks and threads share all that; an exec leaves it behind,
//! and is caught like the first one. Leaves out programs of 32 bits.

use std::fs;
use std::io::{self, IoSliceMut};

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use super::page::PAGE;
use super::stub::{self, Addresses};
use super::tracee::{RESTART, Tracee};
use super::vdso::{self, Function, Layout};

/// The code segment of a 64-bit program.
const USER_CODE_64: u64 = 0x33;
/// The largest vDSO there may be, in bytes: today's have two or three pages.
const LARGEST_VDSO: u64 = 1 << 20;

/// Why a program did not get its node's clocks.
#[derive(Debug, thiserror::Error)]
pub(super) enum InstallError {
    #[error("{step}: {source}")]
    Refused { step: &'static str, source: Errno },
    #[error("reading its memory map: {0}")]
    Map(#[from] io::Error),
    #[error("it is a 32-bit program")]
    Bits,
    #[error("{0}")]
    Vdso(&'static str),
}

/// Adds the step to what the kernel said.
pub(super) fn at<T>(step: &'static str, result: Result<T, Errno>) -> Result<T, InstallError> {
    result.map_err(|source| InstallError::Refused { step, source })
}

/// Installs into a process that has just become another program, and in which `file` is the node's
/// page; that descriptor is closed whatever happens. The process stands still afterwards, as it
/// was.
pub(super) fn install(tracee: &mut Tracee, file: u64) -> Result<(), InstallError> {
    let blocked = at("blocking its signals", tracee.block_signals())?;
    at("ending its exec", tracee.run_to_system_call())?;
    let registers = at("reading its registers", tracee.registers())?;
    let installed =
        if registers.cs == USER_CODE_64 { put_in(tracee, file) } else { Err(InstallError::Bits) };
    at("restoring its registers", tracee.set_registers(registers))?;
    at("restoring its signals", tracee.restore_signals(blocked))?;
    installed
}

fn put_in(tracee: &mut Tracee, file: u64) -> Result<(), InstallError> {
    let (base, layout) = vdso_of(tracee.pid())?;
    let site = base + layout.syscall;
    let mapped = map_pages(tracee, site, file);
    let closed = tracee.call(site, libc::SYS_close, [file, 0, 0, 0, 0, 0]);
    let (control, seen) = mapped?;
    at("closing the page's file", closed)?;

    let read_execute = (libc::PROT_READ | libc::PROT_EXEC) as u64;
    let anonymous = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
    let code = [0, PAGE as u64, read_execute, anonymous, u64::MAX, 0];
    let code = at("mapping code", tracee.call(site, libc::SYS_mmap, code))?;
    let (image, entries) = stub::image(Addresses {
        control,
        seen,
        clock_gettime: base + layout.clock_gettime,
        gettimeofday: base + layout.gettimeofday,
    });
    at("writing code", tracee.write(code, &image))?;
    for (symbol, function) in layout.symbols {
        let entry = match function {
            Function::ClockGettime => entries.clock_gettime,
            Function::Gettimeofday => entries.gettimeofday,
            Function::Time => entries.time,
        };
        // Programs add the vDSO's address to a symbol's value, round the top if need be.
        let value = (code + entry).wrapping_sub(base);
        at("redirecting a symbol", tracee.write(base + symbol, &value.to_le_bytes()))?;
    }
    Ok(())
}

/// Maps the control page, which the program may only read, and the page of what it saw.
fn map_pages(tracee: &mut Tracee, site: u64, file: u64) -> Result<(u64, u64), InstallError> {
    let (shared, read) = (libc::MAP_SHARED as u64, libc::PROT_READ as u64);
    let control = [0, PAGE as u64, read, shared, file, 0];
    let control = at("mapping the control page", tracee.call(site, libc::SYS_mmap, control))?;
    let write = libc::PROT_WRITE as u64;
    let seen = [0, PAGE as u64, read | write, shared, file, PAGE as u64];
    let seen = at("mapping the page of what it saw", tracee.call(site, libc::SYS_mmap, seen))?;
    Ok((control, seen))
}

/// Where a process has its vDSO, and what is in it.
fn vdso_of(pid: Pid) -> Result<(u64, Layout), InstallError> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let line = maps.lines().find(|line| line.ends_with("[vdso]"));
    let range = line.and_then(|line| line.split_once(' ')?.0.split_once('-'));
    let address = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = range
        .and_then(|(start, end)| Some((address(start)?, address(end)?)))
        .filter(|(start, end)| end > start && end - start <= LARGEST_VDSO)
        .ok_or(InstallError::Vdso("it has no vDSO"))?;
    let mut image = vec![0; (end - start) as usize];
    let remote = RemoteIoVec { base: start as usize, len: image.len() };
    let read = process_vm_readv(pid, &mut [IoSliceMut::new(&mut image)], &[remote]);
    image.truncate(at("reading its vDSO", read)?);
    Ok((start, vdso::read(&image).map_err(InstallError::Vdso)?))
}

/// Makes a process that stands on its way back from a failed exec close a descriptor.
pub(super) fn close(tracee: &mut Tracee, file: u64) -> Result<(), InstallError> {
    let (base, layout) = vdso_of(tracee.pid())?;
    let blocked = at("blocking its signals", tracee.block_signals())?;
    let mut registers = at("reading its registers", tracee.registers())?;
    let closed = tracee.call(base + layout.syscall, libc::SYS_close, [file, 0, 0, 0, 0, 0]);
    // The kernel would have begun an interrupted call anew, but no longer knows of it.
    if RESTART.contains(&registers.rax.cast_signed()) {
        registers.rax = registers.orig_rax;
        registers.rip -= 2;
    }
    at("restoring its registers", tracee.set_registers(registers))?;
    at("restoring its signals", tracee.restore_signals(blocked))?;
    at("closing the page's file", closed).map(drop)
}
