//! A file in which one bit is wrong.

use std::fmt;

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::damaged::Damaged;
use super::{DAMAGED, DataFile, NEEDS, WHICH_FILE, drawn};
use crate::disk::BitLocation;
use crate::disk::damage::Damage;
use crate::fault::description::{Description, ExcludedNodes, Parameter, Resource, Victims};
use crate::fault::site::Active;
use crate::fault::values::{Value, text_value};
use crate::fault::{Aim, FaultType, Injecting, Site};
use crate::record::Family;
use crate::units;

/// Kills the victim, flips one bit of a file of its, and starts it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BitFlip {
    /// The file.
    pub file: DataFile,
    /// Which byte.
    pub place: Place,
}

impl Default for BitFlip {
    fn default() -> BitFlip {
        BitFlip { file: DataFile::Largest, place: Place(BitLocation::Random) }
    }
}

impl FaultType for BitFlip {
    const DESCRIPTION: Description = Description {
        name: "bit-flip",
        family: Family::Disk,
        summary: "kill one node, flip one bit of a file of its, and start it again",
        was: "running on a file with a flipped bit",
        victims: Victims::ONE,
        parameters: &[
            WHICH_FILE,
            Parameter::of::<Place>(
                "place",
                "which byte; by default one of the first half, where no store can take the damage \
                 for a torn end",
            ),
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

    fn draw(_: &mut ChaCha8Rng, _: &[String]) -> BitFlip {
        BitFlip::default()
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        Box::pin(async move {
            let damage = |path, rng: &mut ChaCha8Rng| Damage::flip(path, self.place.0, rng);
            let damaged = Damaged::begin(&site, &self.file, damage).await?;
            Ok(Box::new(damaged) as Box<dyn Active + 'a>)
        })
    }
}

/// Which byte of a file is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(pub BitLocation);

impl Value for Place {
    fn expected() -> String {
        "a size from the file's start, or random".to_owned()
    }

    fn read(text: &str) -> Option<Place> {
        match text {
            "random" => Some(Place(BitLocation::Random)),
            place => units::size(place).map(|byte| Place(BitLocation::At(byte))),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            BitLocation::Random => f.write_str("random"),
            BitLocation::At(byte) => f.write_str(&units::size_written(byte)),
        }
    }
}

text_value!(Place);
