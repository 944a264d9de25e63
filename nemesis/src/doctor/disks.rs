//! Finds out whether disks can lose power here, by letting one lose it.

#![expect(unsafe_code, reason = "fork and _exit have no safe interface")]

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

use crate::disk::{Disk, NameModel, UnsyncedSurvival};
use crate::random::stream;
use crate::watch::Watch;

/// Lets a process write twice and sync once, takes its power, and looks at what is left. Call it in
/// a process without other threads, whose `/proc` shows its own PID namespace.
///
/// # Errors
///
/// What was refused, or what was seen instead.
pub(super) fn probe() -> Result<(), String> {
    let directory = std::env::temp_dir().join(format!("partita-doctor-{}", std::process::id()));
    let cannot = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    fs::create_dir(&directory).map_err(|error| cannot("making a directory", &error))?;
    let outcome = lose(&directory);
    let removed = fs::remove_dir_all(&directory);
    outcome.and(removed.map_err(|error| cannot("removing a directory", &error)))
}

fn lose(directory: &Path) -> Result<(), String> {
    let disk = Disk::new(directory).map_err(|error| error.to_string())?;
    let watch = Watch::new("probe", None, Some(disk.clone()))
        .map_err(|error| format!("starting a supervisor: {error}"))?;
    // SAFETY: the child makes system calls and small allocations only, and the one other thread
    // waits in the kernel.
    match unsafe { fork() }.map_err(|errno| format!("starting a process: {}", errno.desc()))? {
        ForkResult::Child => {
            let code = match watch.begin().and_then(|()| work(directory)) {
                Ok(()) => 0,
                Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
            };
            // SAFETY: ends the process without running anything that belongs to the parent.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => {
            drop(watch);
            match waitpid(child, None) {
                Ok(WaitStatus::Exited(_, 0)) => {}
                Ok(WaitStatus::Exited(_, code)) => {
                    let why = io::Error::from_raw_os_error(code);
                    return Err(format!("installing a seccomp user-notification filter: {why}"));
                }
                other => return Err(format!("the watched process ended: {other:?}")),
            }
        }
    }
    let mut rng = stream(0, "probe");
    disk.lose_power(NameModel::Posix, UnsyncedSurvival::Nothing, &mut rng)
        .map_err(|error| error.to_string())?;
    match fs::read_to_string(directory.join("file")).as_deref() {
        Ok("synced") => Ok(()),
        other => Err(format!("of \"synced\", synced, and \" or not\", {other:?} was left")),
    }
}

/// What the watched process does.
fn work(directory: &Path) -> io::Result<()> {
    let mut file = File::create(directory.join("file"))?;
    file.write_all(b"synced")?;
    file.sync_all()?;
    File::open(directory)?.sync_all()?;
    file.write_all(b" or not")
}
