//! Keeps two faults from breaking the same thing of the same node at once.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::fault::{FaultKind, Resource};

/// What faults in force have to themselves.
#[derive(Debug, Default)]
pub(super) struct ResourceLocks {
    held: Mutex<BTreeMap<(String, Resource), u32>>,
}

impl ResourceLocks {
    /// Whether nothing that `fault` needs of `node` is taken.
    pub(super) fn is_free(&self, fault: FaultKind, node: &str) -> bool {
        self.holder(fault, node).is_none()
    }

    /// What keeps `fault` from `node`, and the number of the fault that holds it.
    fn holder(&self, fault: FaultKind, node: &str) -> Option<(Resource, u32)> {
        let held = self.lock();
        let holder = |what| Some((what, *held.get(&(node.to_owned(), what))?));
        let running: &[Resource] = match fault.description().needs.running {
            true => &[Resource::Process, Resource::Power],
            false => &[],
        };
        fault.description().holds.iter().chain(running).copied().find_map(holder)
    }

    /// Takes what `fault`, number `id`, needs of `nodes` until the lock is dropped.
    ///
    /// # Errors
    ///
    /// The first of `nodes` of which something is taken, what, and by which fault.
    pub(super) fn take(
        &self,
        id: u32,
        fault: FaultKind,
        nodes: &[String],
    ) -> Result<ResourceGuard<'_>, (String, Resource, u32)> {
        for node in nodes {
            if let Some((what, by)) = self.holder(fault, node) {
                return Err((node.clone(), what, by));
            }
        }
        let mut taken = Vec::new();
        for what in fault.description().holds {
            taken.extend(nodes.iter().map(|node| (node.clone(), *what)));
        }
        self.lock().extend(taken.iter().cloned().map(|it| (it, id)));
        Ok(ResourceGuard { locks: self, taken })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, Resource), u32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one fault has to itself.
#[derive(Debug)]
pub(super) struct ResourceGuard<'a> {
    locks: &'a ResourceLocks,
    taken: Vec<(String, Resource)>,
}

impl Drop for ResourceGuard<'_> {
    fn drop(&mut self) {
        let mut held = self.locks.lock();
        for it in &self.taken {
            held.remove(it);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::clock::{ClockRate, ClockStep};
    use crate::fault::disk::{DiskError, DiskSlow, PowerLoss};
    use crate::fault::membership::{RemoveNode, TransferLeadership};
    use crate::fault::partition::Isolate;
    use crate::fault::process::{Kill, Pause};

    #[test]
    fn what_is_taken_is_free_again_after_the_heal() {
        let locks = ResourceLocks::default();
        let nodes = ["n1", "n2"].map(String::from);
        let killed = locks.take(0, Kill::KIND, &nodes).expect("free");
        assert!(!locks.is_free(Pause::KIND, "n1") && locks.is_free(Pause::KIND, "n3"));
        assert!(locks.is_free(Isolate::KIND, "n1"), "links are shared");
        assert!(!locks.is_free(ClockStep::KIND, "n1"), "nothing runs there");
        assert!(!locks.is_free(TransferLeadership::KIND, "n1"), "the dead do not lead");
        assert!(locks.is_free(RemoveNode::KIND, "n1"), "the dead can be removed");
        let taken = locks.take(1, PowerLoss::KIND, &nodes[1..]).expect_err("taken");
        assert_eq!(taken, ("n2".to_owned(), Resource::Power, 0));
        drop(killed);
        let _slow = locks.take(3, DiskSlow::KIND, &nodes[1..]).expect("free");
        assert!(locks.is_free(PowerLoss::KIND, "n2"), "power goes while a disk is slow");
        assert!(!locks.is_free(DiskError::KIND, "n2"), "a disk has one trouble at a time");
        let _moved = locks.take(2, ClockStep::KIND, &nodes[..1]).expect("free");
        assert!(locks.is_free(Kill::KIND, "n1") && !locks.is_free(ClockRate::KIND, "n1"));
    }
}
