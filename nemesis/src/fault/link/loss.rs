//! Links that lose frames.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::altered::{Count, alter};
use super::{CARRIED, CLIENTS, DIRECTION, LINKS, drawn, needs};
use crate::fault::description::{Description, ExcludedNodes, Parameter, Victims};
use crate::fault::site::{Injecting, Site};
use crate::fault::values::Share;
use crate::fault::{Aim, Clients, Direction, FaultType, Links, one_of};
use crate::lab::{self, LabBackend};
use crate::record::Family;

/// Lets links lose frames, each by chance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Loss {
    /// How many frames are lost.
    pub share: Share<100>,
    /// Which directions of the victims' links are hit.
    pub direction: Direction,
    /// Whether links to clients are hit.
    pub clients: Clients,
    /// The links, if not those of the victims.
    pub links: Links,
}

impl Default for Loss {
    fn default() -> Loss {
        Loss {
            share: Share::percent(20),
            direction: Direction::Both,
            clients: Clients::No,
            links: Links::ByTarget,
        }
    }
}

impl FaultType for Loss {
    const DESCRIPTION: Description = Description {
        name: "loss",
        family: Family::Link,
        summary: "let links lose frames, each by chance",
        was: "behind links that lost frames",
        victims: Victims::ANY,
        parameters: &[
            Parameter::of::<Share<100>>("share", "how many frames are lost, each by itself"),
            DIRECTION,
            CLIENTS,
            LINKS,
        ],
        needs: needs(LabBackend::Namespaces),
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

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> Loss {
        Loss {
            share: one_of(rng, &[10, 20, 40].map(Share::percent)),
            direction: one_of(rng, &[Direction::Both, Direction::In, Direction::Out]),
            ..Loss::default()
        }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let loss = lab::Loss::Independent { probability: self.share.probability() };
        alter(site, &[LOST], move |policy| policy.loss = loss)
    }
}

/// Frames that a link lost.
pub(super) const LOST: Count = Count::new("lost", |it| it.dropped);
