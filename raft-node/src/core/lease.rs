//! Says whether the leader may answer a read without asking anyone (thesis §6.4.1). Off by default.
//!
//! A follower that took a message from the leader hears no candidate for the least election timeout
//! after, as its own monotonic clock measures it. So once a majority confirmed a round of messages
//! that began at a moment of the leader's monotonic clock, no other leader exists until that
//! timeout has passed since, shortened by how much faster a follower's clock may run
//! ([`Lease::drift_ppm`](super::Lease)). The moment is the round's beginning, not its confirmation.
//!
//! The lease is looked at when the read is served, not when it arrives. It is given up for the rest
//! of the term once a successor was told to stand for election, since that message makes followers
//! hear it whatever they promised, and may be late. A restarted server promises again what it may
//! have promised before. What is left to chance: clocks that drift apart faster than the bound.

use std::time::Duration;

use super::replication::Leadership;
use super::{Core, Role};
use crate::mutations::Mutation;

impl Core {
    /// The clock that leases are measured with.
    pub(super) fn lease_clock(&self) -> Duration {
        if self.mutations.has(Mutation::LeaseWallClock) { self.wall } else { self.now }
    }

    /// How long a lease lasts.
    fn lease_span(&self) -> Option<Duration> {
        let lease = self.config.lease?;
        let promised = *self.config.election_timeout.start();
        if self.mutations.has(Mutation::LeaseNoMargin) {
            return Some(promised);
        }
        Some(promised.mul_f64(1e6 / (1e6 + f64::from(lease.drift_ppm))))
    }

    /// Whether no other server can lead at this moment.
    pub(super) fn holds_lease(&self) -> bool {
        let Role::Leader(leadership) = &self.role else { return false };
        let Some(span) = self.lease_span() else { return false };
        let kept = self.mutations.has(Mutation::LeaseKeptOnTransfer);
        let given_up = leadership.yielded && !kept;
        let since = leadership.confirmed_since;
        !given_up && since.is_some_and(|since| self.lease_clock() < since + span)
    }
}

impl Leadership {
    /// Notes which rounds a majority has confirmed by now.
    pub(super) fn rounds_confirmed(&mut self, confirmed: u64) {
        while let Some((_, began)) = self.rounds.pop_front_if(|(round, _)| *round <= confirmed) {
            self.confirmed_since = Some(began);
        }
    }
}
