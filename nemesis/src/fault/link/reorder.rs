//! Links that deliver frames out of order.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::altered::{Count, alter};
use super::{CARRIED, CLIENTS, DIRECTION, LINKS, drawn, needs};
use crate::fault::description::{Description, ExcludedNodes, Parameter, Victims};
use crate::fault::site::{Injecting, Site};
use crate::fault::values::{Share, Time};
use crate::fault::{Aim, Clients, Direction, FaultType, Links, one_of};
use crate::lab::{self, LabBackend};
use crate::record::Family;

/// Lets frames overtake others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reorder {
    /// How many frames are held back so that others overtake them.
    pub share: Share<100>,
    /// For how long.
    pub by: Time<0, 60_000>,
    /// Which directions of the victims' links are hit.
    pub direction: Direction,
    /// Whether links to clients are hit.
    pub clients: Clients,
    /// The links, if not those of the victims.
    pub links: Links,
}

impl Default for Reorder {
    fn default() -> Reorder {
        Reorder {
            share: Share::percent(20),
            by: Time::millis(20),
            direction: Direction::Both,
            clients: Clients::No,
            links: Links::ByTarget,
        }
    }
}

impl FaultType for Reorder {
    const DESCRIPTION: Description = Description {
        name: "reorder",
        family: Family::Link,
        summary: "let frames overtake others",
        was: "behind links that reordered frames",
        victims: Victims::ANY,
        parameters: &[
            Parameter::of::<Share<100>>(
                "share",
                "how many frames are held back so that others overtake them",
            ),
            Parameter::of::<Time<0, 60_000>>("by", "for how long"),
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

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> Reorder {
        Reorder {
            share: one_of(rng, &[20, 50].map(Share::percent)),
            by: one_of(rng, &[20, 50, 100].map(Time::millis)),
            ..Reorder::default()
        }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let reorder = lab::Reorder { probability: self.share.probability(), by: self.by.get() };
        alter(site, &[OVERTAKEN], move |policy| policy.reorder = reorder)
    }
}

const OVERTAKEN: Count = Count::new("overtaken", |it| it.reordered);
