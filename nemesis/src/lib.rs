//! Hosts made of Linux namespaces, and the faults that befall them.
//!
//! A *lab* is one set of namespaces with a host per node, joined by a switch in user space; a
//! *schedule* is a list of timed faults drawn from a seed; the *nemesis* plays it on the lab and
//! records what it did and what that measurably did.

pub mod record;

pub use record::{Effect, Family, FaultRecord};
