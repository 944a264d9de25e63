//! Has a process's system calls reported, and lets them wait for an answer (`seccomp_unotify(2)`).
//!
//! The [`filter`] is what a process puts on itself, and what all its descendants inherit; the
//! [`listener`] is where its reports are heard and answered. Who is asked for an answer is not said here:
//! clocks and disks take what concerns them, and the supervisor of a node hands it to them
//! (`crate::watch`).

pub(crate) mod filter;
pub(crate) mod listener;
