//! What a cluster of cores does, in virtual time.

mod chaos;
mod election;
mod leases;
mod members;
#[cfg(feature = "mutations")]
mod mutations;
mod reads;
mod replication;
mod requests;
mod scenarios;
mod snapshots;
