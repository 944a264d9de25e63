//! A disk that fails writes or syncs.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::troubled::{AtHeal, Troubled};
use super::{NEEDS, calls, drawn};
use crate::disk::{DiskFault, FailingCalls};
use crate::fault::description::{
    Description, ExcludedNodes, Parameter, Resource, ShownBy, Victims,
};
use crate::fault::values::{Percent, words};
use crate::fault::{Aim, FaultType, Injecting, Site, one_of};
use crate::record::Family;

/// Lets the victim's writes or syncs fail with EIO; starts it again if it ends of that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskError {
    /// Which calls fail.
    pub operation: FailingCalls,
    /// How many of them fail, at random.
    pub share: Percent<1, 100>,
}

impl Default for DiskError {
    fn default() -> DiskError {
        DiskError { operation: FailingCalls::Sync, share: Percent::new(100) }
    }
}

impl FaultType for DiskError {
    const DESCRIPTION: Description = Description {
        name: "disk-error",
        family: Family::Disk,
        summary: "let one node's writes or syncs fail with EIO; start it again if it ends of that",
        was: "on a failing disk",
        victims: Victims::ONE,
        parameters: &[
            Parameter::of::<FailingCalls>("operation", "which calls fail"),
            Parameter::of::<Percent<1, 100>>("share", "how many of them fail, at random"),
        ],
        needs: NEEDS,
        holds: &[Resource::Disk, Resource::Process],
        // A node may end of what its disk says, and is started again.
        explains_exit: true,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::Victims),
        evidence: calls(ShownBy::Majority),
    };

    fn aim(&self) -> Aim {
        Aim::Nodes
    }

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> DiskError {
        DiskError {
            operation: one_of(rng, &[FailingCalls::Write, FailingCalls::Sync, FailingCalls::Both]),
            share: one_of(rng, &[100, 30].map(Percent::new)),
        }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let trouble = DiskFault::Error { on: self.operation, share_percent: self.share.get() };
        Troubled::inject(site, trouble, AtHeal::StartAgain)
    }
}

words!(FailingCalls, "write, sync or both",
    "write" => FailingCalls::Write, "sync" => FailingCalls::Sync, "both" => FailingCalls::Both);
