//! A leader that does not hear its followers, nor they it.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{aim, cut_links, drawn, evidence, needs};
use crate::fault::description::{Description, ExcludedNodes, ShownBy, Victims};
use crate::fault::{Aim, Clients, Direction, FaultType, Injecting, Site, Target};
use crate::record::Family;

/// Cuts the leader off from its followers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaderFromFollowers {}

impl FaultType for LeaderFromFollowers {
    const DESCRIPTION: Description = Description {
        name: "leader-from-followers",
        family: Family::Partition,
        summary: "cut the leader off from its followers; clients still reach it: isolate of the leader",
        was: "cut off",
        victims: Victims::Fixed(Target::Leader),
        parameters: &[],
        needs: needs(2),
        holds: &[],
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::Victims),
        evidence: evidence(ShownBy::Majority),
    };

    fn aim(&self) -> Aim {
        aim(Direction::Both, Clients::No)
    }

    fn draw(_: &mut ChaCha8Rng, _: &[String]) -> LeaderFromFollowers {
        LeaderFromFollowers {}
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        cut_links(site)
    }
}
