//! Two halves that do not hear each other.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{cut_links, drawn, evidence, needs};
use crate::fault::description::{Description, ExcludedNodes, Reach, ShownBy, Victims};
use crate::fault::{Aim, FaultType, Injecting, Site, SplitSize, Target};
use crate::record::Family;

/// Splits the nodes as evenly as can be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Halves {}

impl FaultType for Halves {
    const DESCRIPTION: Description = Description {
        name: "halves",
        family: Family::Partition,
        summary: "split the nodes as evenly as can be; clients still reach both halves",
        was: "cut off from the other half",
        victims: Victims::Chosen {
            default: Target::Random,
            reach: Reach::Half,
            summary: "who is in the smaller half; a random choice fills it up",
            unit: "leader, follower, random, minority or names of nodes",
            takes_any: true,
            is_drawn: true,
        },
        parameters: &[],
        needs: needs(2),
        holds: &[],
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::All),
        evidence: evidence(ShownBy::Majority),
    };

    fn aim(&self) -> Aim {
        Aim::Split(SplitSize::Half)
    }

    fn draw(_: &mut ChaCha8Rng, _: &[String]) -> Halves {
        Halves {}
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        cut_links(site)
    }
}
