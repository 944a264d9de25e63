//! Hosts made of Linux namespaces, and the faults that are injected into them.
//!
//! A *lab* is one set of namespaces with a host per node, joined by a switch in user space; a
//! *schedule* is a list of timed faults drawn from a seed; the *nemesis* plays it on the lab and
//! records what it did and what that measurably did.
//!
//! # A lab in a test of one's own
//!
//! With the feature `testing`, `#[partita_nemesis::test]` gives an ordinary test of `cargo test` a
//! lab, without root: start a [`Command`](std::process::Command) on a host, cut it off, see it heal.
//! See `testing` for an example, and for what happens where no lab can be made.

pub mod administration;
pub mod clock;
pub mod cluster;
pub mod disk;
pub mod doctor;
pub mod evidence;
pub mod fault;
mod forked_probe;
pub mod guide;
mod hunt;
mod join_all;
pub mod lab;
pub mod names;
pub mod nemesis;
mod random;
pub mod recipes;
pub mod record;
mod roles;
pub mod schedule;
mod seccomp;
pub mod shrink;
#[cfg(feature = "testing")]
pub mod testing;
pub mod units;
mod watch;

pub use administration::{Administration, AdministrationError, Configuration, View};
pub use clock::NodeClock;
pub use cluster::Cluster;
pub use disk::Disk;
pub use evidence::Shows;
pub use fault::set::{FAULT_SETS, FaultSet};
pub use fault::{FAULTS, Fault, FaultKind, Target};
pub use guide::{CoverageGain, FeedbackScheduler};
pub use hunt::{HuntContext, is_hunt};
pub use lab::namespaces::{Entered, LabKind, enter, enter_backend, inside};
pub use lab::process::{HostProcess, NodeProcess, Program, Sidecar};
pub use lab::{Lab, LabBackend, Network, Policy, Switch};
pub use nemesis::{Ending, Moment, Nemesis, Roles, Stop};
#[cfg(feature = "testing")]
pub use partita_nemesis_macros::test;
pub use record::{Effect, Family, FaultRecord};
pub use roles::NodeSeen;
pub use schedule::{
    PlannedCommand, PlannedFault, ReadOnlyPhase, Schedule, Script, ScriptError, Trigger, When,
};
