//! All nodes lose power at once and are started again at once.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::dark::Dark;
use super::{HOW_TORN, NEEDS, POWER, WHICH_NAMES, drawn};
use crate::disk::{NameModel, UnsyncedSurvival};
use crate::fault::description::{Description, ExcludedNodes, Resource, Victims};
use crate::fault::site::Active;
use crate::fault::{Aim, FaultType, Injecting, Site, Target, one_of};
use crate::record::Family;

/// Takes all nodes' power at once and gives it back at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PowerLossAll {
    /// What survives of bytes that were not synced.
    pub tear: UnsyncedSurvival,
    /// Which names survive.
    pub names: NameModel,
}

impl Default for PowerLossAll {
    fn default() -> PowerLossAll {
        PowerLossAll { tear: UnsyncedSurvival::Byte, names: NameModel::Journal }
    }
}

impl FaultType for PowerLossAll {
    const DESCRIPTION: Description = Description {
        name: "power-loss-all",
        family: Family::Disk,
        summary: "take all nodes' power at once and give it back at once; watch them recover",
        was: "without power at once",
        victims: Victims::Fixed(Target::All),
        parameters: &[HOW_TORN, WHICH_NAMES],
        needs: NEEDS,
        holds: &[Resource::Power],
        explains_exit: true,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::All),
        evidence: POWER,
    };

    fn aim(&self) -> Aim {
        Aim::Nodes
    }

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> PowerLossAll {
        let tear = one_of(
            rng,
            &[UnsyncedSurvival::Nothing, UnsyncedSurvival::Sector, UnsyncedSurvival::Byte],
        );
        PowerLossAll { tear, ..PowerLossAll::default() }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let (names, tear) = (self.names, self.tear);
        Box::pin(async move {
            let mut dark = Dark::begin(&site, names, tear).await?;
            // Were all of them down all the time, nothing could be done under this fault.
            dark.power_up()?;
            Ok(Box::new(dark) as Box<dyn Active + 'a>)
        })
    }
}
