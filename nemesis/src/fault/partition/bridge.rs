//! Two halves that one node joins.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{cut_links, drawn, evidence, needs};
use crate::fault::description::{Description, ExcludedNodes, Reach, ShownBy, Victims};
use crate::fault::{Aim, FaultType, Injecting, Site, Target};
use crate::record::Family;

/// Splits the nodes into halves joined by one node that hears both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bridge {}

impl FaultType for Bridge {
    const DESCRIPTION: Description = Description {
        name: "bridge",
        family: Family::Partition,
        summary: "split the nodes into halves joined by one node that hears both; needs three nodes",
        was: "the only bridge between two halves",
        victims: Victims::Chosen {
            default: Target::Follower,
            reach: Reach::One,
            summary: "the node that hears both halves",
            unit: "leader, follower, random or a node's name",
            takes_any: true,
            // Halves that do not speak to each other are not cut: the leader is in one of them.
            is_drawn: false,
        },
        parameters: &[],
        needs: needs(3),
        holds: &[],
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::All),
        evidence: evidence(ShownBy::Under),
    };

    fn aim(&self) -> Aim {
        Aim::Bridge
    }

    fn draw(_: &mut ChaCha8Rng, _: &[String]) -> Bridge {
        Bridge {}
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        cut_links(site)
    }
}
