//! One node that hears its peers and is not heard, or the reverse.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{WITH_CLIENTS, aim, cut_links, drawn, evidence, needs};
use crate::fault::description::{Description, ExcludedNodes, Parameter, ShownBy, Victims};
use crate::fault::values::words;
use crate::fault::{Aim, Clients, Direction, FaultType, Injecting, Site, one_of};
use crate::record::Family;

/// Cuts one direction of the links between the victims and their peers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OneWay {
    /// What is cut.
    pub direction: OneDirection,
    /// Whether the victims' clients are cut off.
    pub clients: Clients,
}

impl Default for OneWay {
    fn default() -> OneWay {
        OneWay { direction: OneDirection::Out, clients: Clients::No }
    }
}

impl FaultType for OneWay {
    const DESCRIPTION: Description = Description {
        name: "one-way",
        family: Family::Partition,
        summary: "let one node hear its peers but not be heard by them, or the reverse",
        was: "cut off in one direction",
        victims: Victims::ANY,
        parameters: &[
            Parameter::of::<OneDirection>(
                "direction",
                "what is cut: what the node hears (in) or what it says (out)",
            ),
            WITH_CLIENTS,
        ],
        needs: needs(2),
        holds: &[],
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::Victims),
        evidence: evidence(ShownBy::Under),
    };

    fn aim(&self) -> Aim {
        let direction = match self.direction {
            OneDirection::In => Direction::In,
            OneDirection::Out => Direction::Out,
        };
        aim(direction, self.clients)
    }

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> OneWay {
        let direction = one_of(rng, &[OneDirection::In, OneDirection::Out]);
        OneWay { direction, ..OneWay::default() }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        cut_links(site)
    }
}

/// One direction of a victim's links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneDirection {
    /// What the victim hears.
    In,
    /// What the victim says.
    Out,
}

words!(OneDirection, "in or out", "in" => OneDirection::In, "out" => OneDirection::Out);
