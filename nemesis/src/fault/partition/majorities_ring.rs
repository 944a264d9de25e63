//! A ring in which every node hears another majority.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{cut_links, drawn, evidence, needs};
use crate::fault::description::{Description, ExcludedNodes, ShownBy, Victims};
use crate::fault::{Aim, FaultType, Injecting, Site, Target};
use crate::record::Family;

/// Lets every node hear a majority, each another one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MajoritiesRing {}

impl FaultType for MajoritiesRing {
    const DESCRIPTION: Description = Description {
        name: "majorities-ring",
        family: Family::Partition,
        summary: "let every node hear a majority, each another one; needs four nodes, better five",
        was: "in a ring of majorities",
        victims: Victims::Fixed(Target::All),
        parameters: &[],
        needs: needs(4),
        holds: &[],
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::All),
        evidence: evidence(ShownBy::Under),
    };

    fn aim(&self) -> Aim {
        Aim::Ring
    }

    fn draw(_: &mut ChaCha8Rng, _: &[String]) -> MajoritiesRing {
        MajoritiesRing {}
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        cut_links(site)
    }
}
