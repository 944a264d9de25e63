//! A file that is cut short.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::damaged::Damaged;
use super::{DAMAGED, DataFile, NEEDS, WHICH_FILE, drawn};
use crate::disk::damage::Damage;
use crate::fault::description::{Description, ExcludedNodes, Parameter, Resource, Victims};
use crate::fault::site::Active;
use crate::fault::values::Percent;
use crate::fault::{Aim, FaultType, Injecting, Site};
use crate::record::Family;

/// Kills the victim, cuts a file of its short, and starts it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Truncate {
    /// The file.
    pub file: DataFile,
    /// How much of it is left.
    pub keep: Percent<0, 99>,
}

impl Default for Truncate {
    fn default() -> Truncate {
        Truncate { file: DataFile::Largest, keep: Percent::new(50) }
    }
}

impl FaultType for Truncate {
    const DESCRIPTION: Description = Description {
        name: "truncate",
        family: Family::Disk,
        summary: "kill one node, cut a file of its short, and start it again",
        was: "running on a file that was cut short",
        victims: Victims::ONE,
        parameters: &[
            WHICH_FILE,
            Parameter::of::<Percent<0, 99>>("keep", "how much of the file is left"),
        ],
        needs: NEEDS,
        holds: &[Resource::Disk, Resource::Process, Resource::Power],
        explains_exit: true,
        destroys_synced_data: true,
        changes_members: false,
        drawn: drawn(ExcludedNodes::All),
        evidence: DAMAGED,
    };

    fn aim(&self) -> Aim {
        Aim::Nodes
    }

    fn draw(_: &mut ChaCha8Rng, _: &[String]) -> Truncate {
        Truncate::default()
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        Box::pin(async move {
            let damage = |path, _: &mut ChaCha8Rng| Damage::cut(path, self.keep.get());
            let damaged = Damaged::begin(&site, &self.file, damage).await?;
            Ok(Box::new(damaged) as Box<dyn Active + 'a>)
        })
    }
}
