//! Links that flip bits.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::altered::{Count, alter};
use super::{CARRIED, CLIENTS, DIRECTION, LINKS, drawn, needs};
use crate::fault::description::{Description, ExcludedNodes, Parameter, Victims};
use crate::fault::site::{Injecting, Site};
use crate::fault::values::{Answer, Share};
use crate::fault::{Aim, Clients, Direction, FaultType, LinkChoice, Links, one_of};
use crate::lab::{Corruption, LabBackend};
use crate::record::Family;

/// Flips bits in what links carry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Corrupt {
    /// Of how many frames one bit is flipped.
    pub share: Share<100>,
    /// Whether checksums are made to fit.
    pub mend: Answer,
    /// Which directions of the victims' links are hit.
    pub direction: Direction,
    /// Whether links to clients are hit.
    pub clients: Clients,
    /// The links, if not those of the victims.
    pub links: Links,
}

impl Default for Corrupt {
    fn default() -> Corrupt {
        Corrupt {
            share: Share::percent(10),
            mend: Answer::No,
            direction: Direction::Both,
            clients: Clients::No,
            links: Links::ByTarget,
        }
    }
}

impl FaultType for Corrupt {
    const DESCRIPTION: Description = Description {
        name: "corrupt",
        family: Family::Link,
        summary: "flip bits in what links carry",
        was: "behind links that flipped bits",
        victims: Victims::ANY,
        parameters: &[
            Parameter::of::<Share<100>>("share", "of how many frames one bit is flipped"),
            Parameter::of::<Answer>(
                "mend",
                "whether checksums are made to fit, so that the damage reaches the program and not \
                 only its kernel; never on links to clients",
            ),
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
        match super::aim(self.direction, self.clients, &self.links) {
            Aim::Links(links) => {
                Aim::Links(LinkChoice { is_believed: self.mend == Answer::Yes, ..links })
            }
            aim => aim,
        }
    }

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> Corrupt {
        let share = one_of(rng, &[10, 30].map(Share::percent));
        Corrupt { share, ..Corrupt::default() }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let probability = self.share.probability();
        let corrupt = Corruption { probability, mend: self.mend == Answer::Yes };
        alter(site, &[CORRUPTED], move |policy| policy.corrupt = corrupt)
    }
}

const CORRUPTED: Count = Count::new("corrupted", |it| it.corrupted);
