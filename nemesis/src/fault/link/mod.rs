//! Faults of links: how badly they carry what they carry.
//!
//! What several of them do to one link is put together: delays add up, the narrowest rate holds, and
//! of everything else the one that came last.

pub(crate) mod altered;
mod burst_loss;
mod corrupt;
mod delay;
mod duplicate;
mod hold;
mod loss;
pub(crate) mod overlay;
mod rate;
mod reorder;
mod reset;

use super::description::{Drawn, Evidence, ExcludedNodes, Needs, ShownBy};
use super::{Aim, Clients, Direction, LinkChoice, Links, Parameter};
use crate::lab::LabBackend;
use crate::record::Effect;

pub use burst_loss::BurstLength;
pub use delay::Distribution;
pub use rate::BytesPerSecond;

super::faults! {
    delay::Delay,
    loss::Loss,
    burst_loss::BurstLoss,
    duplicate::Duplicate,
    reorder::Reorder,
    corrupt::Corrupt,
    rate::Rate,
    hold::Hold,
    reset::Reset,
}

const DIRECTION: Parameter = Parameter::of::<Direction>(
    "direction",
    "what is hit: what the victims hear (in), what they say (out), or both",
);

const CLIENTS: Parameter = Parameter::of::<Clients>(
    "clients",
    "whether the victims' links to clients are hit: with those to peers, or alone",
);

const LINKS: Parameter = Parameter::of::<Links>(
    "links",
    "the links by name, instead of the target's: from > to, or <> for both directions; `clients` is \
     a host too",
);

/// What happens to single frames can be had only where links carry frames.
const fn needs(lab: LabBackend) -> Needs {
    Needs { lab, nodes: 2, running: false, administrator: false }
}

const fn drawn(keeps: ExcludedNodes) -> Drawn {
    Drawn { shortest_ms: 2_000, longest_ms: 4_000, keeps }
}

const CARRIED: Evidence = Evidence {
    felt: is_carried,
    or_else: "nothing that these links carried was hit",
    shown: ShownBy::Majority,
};

/// Whether an effect is one on what links carry.
pub(super) fn is_carried(effect: &Effect) -> bool {
    ["frames", "chunks"].contains(&effect.unit.as_str())
}

/// The links of the target, or those that are named instead.
fn aim(direction: Direction, clients: Clients, links: &Links) -> Aim {
    let named = match links {
        Links::ByTarget => None,
        Links::Named(named) => Some(named.clone()),
    };
    Aim::Links(LinkChoice { direction, clients, named, is_believed: false })
}
