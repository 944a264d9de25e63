//! A disk that takes long to sync.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::troubled::{AtHeal, Troubled};
use super::{NEEDS, calls, drawn};
use crate::disk::DiskFault;
use crate::fault::description::{
    Description, ExcludedNodes, Parameter, Resource, ShownBy, Victims,
};
use crate::fault::values::Time;
use crate::fault::{Aim, FaultType, Injecting, Site, one_of};
use crate::record::Family;

/// Lets every sync of the victim take longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskSlow {
    /// By how much.
    pub delay: Time<0, 10_000>,
}

impl Default for DiskSlow {
    fn default() -> DiskSlow {
        DiskSlow { delay: Time::millis(100) }
    }
}

impl FaultType for DiskSlow {
    const DESCRIPTION: Description = Description {
        name: "disk-slow",
        family: Family::Disk,
        summary: "let every sync of one node take longer",
        was: "on a slow disk",
        victims: Victims::ONE,
        parameters: &[Parameter::of::<Time<0, 10_000>>("delay", "by how much")],
        needs: NEEDS,
        holds: &[Resource::Disk],
        // A sync that takes long says nothing of which a node could end.
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::Nobody),
        evidence: calls(ShownBy::Under),
    };

    fn aim(&self) -> Aim {
        Aim::Nodes
    }

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> DiskSlow {
        DiskSlow { delay: one_of(rng, &[20, 100, 300].map(Time::millis)) }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let trouble = DiskFault::Slow { delay: self.delay.get() };
        Troubled::inject(site, trouble, AtHeal::LeaveAlone)
    }
}
