//! One node that does not hear its peers, nor they it.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{WITH_CLIENTS, aim, cut_links, drawn, evidence, needs};
use crate::fault::description::{Description, ExcludedNodes, ShownBy, Victims};
use crate::fault::{Aim, Clients, Direction, FaultType, Injecting, Site};
use crate::record::Family;

/// Cuts the victims off from their peers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Isolate {
    /// Whether the victims' clients are cut off.
    pub clients: Clients,
}

impl Default for Isolate {
    fn default() -> Isolate {
        Isolate { clients: Clients::No }
    }
}

impl FaultType for Isolate {
    const DESCRIPTION: Description = Description {
        name: "isolate",
        family: Family::Partition,
        summary: "cut one node off from its peers; clients still reach it",
        was: "cut off",
        victims: Victims::ANY,
        parameters: &[WITH_CLIENTS],
        needs: needs(2),
        holds: &[],
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::Victims),
        evidence: evidence(ShownBy::Majority),
    };

    fn aim(&self) -> Aim {
        aim(Direction::Both, self.clients)
    }

    fn draw(_: &mut ChaCha8Rng, _: &[String]) -> Isolate {
        Isolate::default()
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        cut_links(site)
    }
}
