//! A node whose machine loses power and that is started again.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::dark::Dark;
use super::{HOW_TORN, NEEDS, POWER, WHICH_NAMES, drawn};
use crate::disk::{NameModel, UnsyncedSurvival};
use crate::fault::description::{Description, ExcludedNodes, Resource, Victims};
use crate::fault::site::Active;
use crate::fault::{Aim, FaultType, Injecting, Site, one_of};
use crate::record::Family;

/// Takes power from the victims at once: what they had not synced is gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PowerLoss {
    /// What survives of bytes that were not synced.
    pub tear: UnsyncedSurvival,
    /// Which names survive.
    pub names: NameModel,
}

impl Default for PowerLoss {
    fn default() -> PowerLoss {
        PowerLoss { tear: UnsyncedSurvival::Byte, names: NameModel::Journal }
    }
}

impl FaultType for PowerLoss {
    const DESCRIPTION: Description = Description {
        name: "power-loss",
        family: Family::Disk,
        summary: "take power from nodes at once: what they had not synced is gone; later start it again",
        was: "without power",
        victims: Victims::ANY,
        parameters: &[HOW_TORN, WHICH_NAMES],
        needs: NEEDS,
        holds: &[Resource::Power],
        explains_exit: true,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::Victims),
        evidence: POWER,
    };

    fn aim(&self) -> Aim {
        Aim::Nodes
    }

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> PowerLoss {
        let tear = one_of(
            rng,
            &[UnsyncedSurvival::Nothing, UnsyncedSurvival::Sector, UnsyncedSurvival::Byte],
        );
        PowerLoss { tear, ..PowerLoss::default() }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let (names, tear) = (self.names, self.tear);
        Box::pin(async move {
            let dark = Dark::begin(&site, names, tear).await?;
            Ok(Box::new(dark) as Box<dyn Active + 'a>)
        })
    }
}
