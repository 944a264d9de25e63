//! Links that carry nothing.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom;
use serde::{Deserialize, Serialize};

use super::{cut_links, drawn, evidence, needs};
use crate::fault::description::{Description, ExcludedNodes, Parameter, ShownBy, Victims};
use crate::fault::{
    Aim, Clients, Direction, FaultType, Injecting, LinkChoice, NamedLinks, Site, Target,
};
use crate::lab::Link;
use crate::record::Family;

/// Cuts the links that are named, and no other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cut {
    /// The links.
    pub links: NamedLinks,
}

impl Default for Cut {
    fn default() -> Cut {
        Cut { links: NamedLinks::new([Link::new("n1", "n2"), Link::new("n2", "n1")]) }
    }
}

impl FaultType for Cut {
    const DESCRIPTION: Description = Description {
        name: "cut",
        family: Family::Partition,
        summary: "cut the links that are named, and no other",
        was: "at the ends of cut links",
        victims: Victims::Fixed(Target::All),
        parameters: &[Parameter::of::<NamedLinks>(
            "links",
            "the links: from > to, or <> for both directions; `clients` is a host too",
        )],
        needs: needs(2),
        holds: &[],
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::One),
        evidence: evidence(ShownBy::Under),
    };

    fn aim(&self) -> Aim {
        Aim::Links(LinkChoice {
            direction: Direction::Both,
            clients: Clients::No,
            named: Some(self.links.clone()),
            is_believed: false,
        })
    }

    fn draw(rng: &mut ChaCha8Rng, nodes: &[String]) -> Cut {
        // One direction of each link of one node: whichever leads, one of them would have carried
        // something.
        let centre = nodes.choose(rng).expect("nodes");
        let others = nodes.iter().filter(|name| *name != centre);
        let links = others.map(|other| {
            let is_out: bool = rng.random();
            if is_out { Link::new(centre, other) } else { Link::new(other, centre) }
        });
        Cut { links: NamedLinks::new(links) }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        cut_links(site)
    }
}
