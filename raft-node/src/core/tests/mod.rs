//! What a cluster of cores does, in virtual time, in situations that are set up step by step.
//!
//! Random faults and the judgement of whole histories are the [simulator](crate::sim)'s.

mod election;
mod leases;
mod members;
#[cfg(feature = "mutations")]
mod mutations;
mod network;
mod reads;
mod replication;
mod requests;
mod scenarios;
mod snapshots;
