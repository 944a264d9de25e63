//! Keeps two faults from breaking the same thing of the same node at once.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::fault::Fault;
use crate::record::Family;
use crate::schedule::{Resource, holds};

/// What faults in force have to themselves.
#[derive(Debug, Default)]
pub(super) struct Claims {
    held: Mutex<BTreeMap<(String, Resource), u32>>,
}

impl Claims {
    /// Whether nothing that `fault` needs of `node` is taken.
    pub(super) fn is_free(&self, fault: Fault, node: &str) -> bool {
        self.holder(fault, node).is_none()
    }

    /// The fault that keeps another from befalling `node`.
    fn holder(&self, fault: Fault, node: &str) -> Option<u32> {
        let held = self.lock();
        let holder = |what| held.get(&(node.to_owned(), what)).copied();
        // Clocks are moved in a process that runs, and go on being moved in the next one. Who is to
        // lead or to catch up must run as well.
        let runs: &[Resource] = match (fault, fault.family()) {
            (_, Family::Clock) | (Fault::TransferLeadership | Fault::AddNode, _) => {
                &[Resource::Process, Resource::Power]
            }
            _ => &[],
        };
        holds(fault).iter().chain(runs).copied().find_map(holder)
    }

    /// Takes what `fault`, number `id`, needs of `nodes` until the claim is dropped.
    ///
    /// # Errors
    ///
    /// The first of `nodes` of which it is taken, and by which fault.
    pub(super) fn take(
        &self,
        id: u32,
        fault: Fault,
        nodes: &[String],
    ) -> Result<Claim<'_>, (String, u32)> {
        for node in nodes {
            if let Some(by) = self.holder(fault, node) {
                return Err((node.clone(), by));
            }
        }
        let mut taken = Vec::new();
        for what in holds(fault) {
            taken.extend(nodes.iter().map(|node| (node.clone(), *what)));
        }
        self.lock().extend(taken.iter().cloned().map(|it| (it, id)));
        Ok(Claim { claims: self, taken })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, Resource), u32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one fault has to itself.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    claims: &'a Claims,
    taken: Vec<(String, Resource)>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut held = self.claims.lock();
        for it in &self.taken {
            held.remove(it);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_free_again_after_the_heal() {
        let claims = Claims::default();
        let nodes = ["n1", "n2"].map(String::from);
        let killed = claims.take(0, Fault::Kill, &nodes).expect("free");
        assert!(!claims.is_free(Fault::Pause, "n1") && claims.is_free(Fault::Pause, "n3"));
        assert!(claims.is_free(Fault::Isolate, "n1"), "links are shared");
        assert!(!claims.is_free(Fault::ClockStep, "n1"), "nothing runs there");
        assert!(!claims.is_free(Fault::TransferLeadership, "n1"), "the dead do not lead");
        assert!(claims.is_free(Fault::RemoveNode, "n1"), "the dead can be removed");
        let taken = claims.take(1, Fault::PowerLoss, &nodes[1..]).expect_err("taken");
        assert_eq!(taken, ("n2".to_owned(), 0));
        drop(killed);
        let _slow = claims.take(3, Fault::DiskSlow, &nodes[1..]).expect("free");
        assert!(claims.is_free(Fault::PowerLoss, "n2"), "power goes while a disk is slow");
        assert!(!claims.is_free(Fault::DiskError, "n2"), "a disk has one trouble at a time");
        let _moved = claims.take(2, Fault::ClockStep, &nodes[..1]).expect("free");
        assert!(claims.is_free(Fault::Kill, "n1") && !claims.is_free(Fault::ClockRate, "n1"));
    }
}
