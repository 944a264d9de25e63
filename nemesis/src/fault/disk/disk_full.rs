//! A disk that has no room.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::troubled::{AtHeal, Troubled};
use super::{NEEDS, calls, drawn};
use crate::disk::{AllocationMode, DiskFault};
use crate::fault::description::{
    Description, ExcludedNodes, Parameter, Resource, ShownBy, Victims,
};
use crate::fault::values::{Bytes, words};
use crate::fault::{Aim, FaultType, Injecting, Site, one_of};
use crate::record::Family;

/// Lets what needs room on the victim's disk fail with ENOSPC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskFull {
    /// How much can still be added before.
    pub room: Bytes<{ u64::MAX }>,
    /// What needs room.
    pub writes: AllocationMode,
}

impl Default for DiskFull {
    fn default() -> DiskFull {
        DiskFull { room: Bytes::new(0), writes: AllocationMode::InPlace }
    }
}

impl FaultType for DiskFull {
    const DESCRIPTION: Description = Description {
        name: "disk-full",
        family: Family::Disk,
        summary: "let what needs room on one node's disk fail with ENOSPC",
        was: "on a full disk",
        victims: Victims::ONE,
        parameters: &[
            Parameter::of::<Bytes<{ u64::MAX }>>("room", "how much can still be added before"),
            Parameter::of::<AllocationMode>(
                "writes",
                "what needs room: what makes a file longer (in-place), or every write, what is \
                 overwritten or was allocated ahead as well (copy-on-write)",
            ),
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

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> DiskFull {
        // A store that allocates ahead needs no room in place for longer than such a spell lasts.
        let writes = one_of(rng, &[AllocationMode::CopyOnWrite]);
        DiskFull { writes, room: one_of(rng, &[0, 16 << 10].map(Bytes::new)) }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let trouble = DiskFault::Full { room: self.room.get(), writes: self.writes };
        Troubled::inject(site, trouble, AtHeal::StartAgain)
    }
}

words!(AllocationMode, "in-place, as ext4 and XFS, or copy-on-write, as btrfs and ZFS",
    "in-place" => AllocationMode::InPlace, "copy-on-write" => AllocationMode::CopyOnWrite);
