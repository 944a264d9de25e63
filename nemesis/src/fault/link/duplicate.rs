//! Links that deliver frames twice.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::altered::{Count, alter};
use super::{CARRIED, CLIENTS, DIRECTION, LINKS, drawn, needs};
use crate::fault::description::{Description, ExcludedNodes, Parameter, Victims};
use crate::fault::site::{Injecting, Site};
use crate::fault::values::Share;
use crate::fault::{Aim, Clients, Direction, FaultType, Links, one_of};
use crate::lab::LabBackend;
use crate::record::Family;

/// Lets frames arrive twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Duplicate {
    /// How many frames arrive twice.
    pub share: Share<100>,
    /// Which directions of the victims' links are hit.
    pub direction: Direction,
    /// Whether links to clients are hit.
    pub clients: Clients,
    /// The links, if not those of the victims.
    pub links: Links,
}

impl Default for Duplicate {
    fn default() -> Duplicate {
        Duplicate {
            share: Share::percent(20),
            direction: Direction::Both,
            clients: Clients::No,
            links: Links::ByTarget,
        }
    }
}

impl FaultType for Duplicate {
    const DESCRIPTION: Description = Description {
        name: "duplicate",
        family: Family::Link,
        summary: "let frames arrive twice",
        was: "behind links that doubled frames",
        victims: Victims::ANY,
        parameters: &[
            Parameter::of::<Share<100>>("share", "how many frames arrive twice"),
            DIRECTION,
            CLIENTS,
            LINKS,
        ],
        needs: needs(LabBackend::Namespaces),
        holds: &[],
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::Nobody),
        evidence: CARRIED,
    };

    fn aim(&self) -> Aim {
        super::aim(self.direction, self.clients, &self.links)
    }

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> Duplicate {
        Duplicate {
            share: one_of(rng, &[10, 50].map(Share::percent)),
            direction: one_of(rng, &[Direction::Both, Direction::In, Direction::Out]),
            ..Duplicate::default()
        }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let share = self.share.probability();
        alter(site, &[DUPLICATED], move |policy| policy.duplicate = share)
    }
}

const DUPLICATED: Count = Count::new("duplicated", |it| it.duplicated);
