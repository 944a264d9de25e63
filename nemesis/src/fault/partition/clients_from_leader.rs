//! Clients that do not hear the leader, nor it them.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{EITHER_WAY, aim, cut_links, drawn, evidence, needs};
use crate::fault::description::{Description, ExcludedNodes, ShownBy, Victims};
use crate::fault::{Aim, Clients, Direction, FaultType, Injecting, Site, Target, one_of};
use crate::record::Family;

/// Cuts the clients off from the leader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientsFromLeader {
    /// What is cut, as seen from the leader.
    pub direction: Direction,
}

impl Default for ClientsFromLeader {
    fn default() -> ClientsFromLeader {
        ClientsFromLeader { direction: Direction::Both }
    }
}

impl FaultType for ClientsFromLeader {
    const DESCRIPTION: Description = Description {
        name: "clients-from-leader",
        family: Family::Partition,
        summary: "cut the clients off from the leader; its followers still hear it",
        was: "cut off from clients",
        victims: Victims::Fixed(Target::Leader),
        parameters: &[EITHER_WAY],
        needs: needs(1),
        holds: &[],
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::Nobody),
        evidence: evidence(ShownBy::Under),
    };

    fn aim(&self) -> Aim {
        aim(self.direction, Clients::Only)
    }

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> ClientsFromLeader {
        ClientsFromLeader {
            direction: one_of(rng, &[Direction::Both, Direction::In, Direction::Out]),
        }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        cut_links(site)
    }
}
