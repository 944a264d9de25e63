//! Links that keep everything.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::altered::{Count, alter};
use super::{CARRIED, CLIENTS, DIRECTION, LINKS, drawn, needs};
use crate::fault::description::{Description, ExcludedNodes, Victims};
use crate::fault::site::{Injecting, Site};
use crate::fault::{Aim, Clients, Direction, FaultType, Links, one_of};
use crate::lab::LabBackend;
use crate::record::Family;

/// Lets links keep everything, and deliver it in order when healed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hold {
    /// Which directions of the victims' links are hit.
    pub direction: Direction,
    /// Whether links to clients are hit.
    pub clients: Clients,
    /// The links, if not those of the victims.
    pub links: Links,
}

impl Default for Hold {
    fn default() -> Hold {
        Hold { direction: Direction::Both, clients: Clients::No, links: Links::ByTarget }
    }
}

impl FaultType for Hold {
    const DESCRIPTION: Description = Description {
        name: "hold",
        family: Family::Link,
        summary: "let links keep everything, and deliver it in order when healed",
        was: "behind links that kept everything back",
        victims: Victims::ANY,
        parameters: &[DIRECTION, CLIENTS, LINKS],
        needs: needs(LabBackend::Proxies),
        holds: &[],
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::Victims),
        evidence: CARRIED,
    };

    fn aim(&self) -> Aim {
        super::aim(self.direction, self.clients, &self.links)
    }

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> Hold {
        let direction = one_of(rng, &[Direction::Both, Direction::In, Direction::Out]);
        Hold { direction, ..Hold::default() }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        alter(site, &[HELD], |policy| policy.hold = true)
    }
}

const HELD: Count = Count::new("held", |it| it.delayed);
