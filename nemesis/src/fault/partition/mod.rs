//! Partitions: who cannot hear whom.

mod bridge;
mod clients_from_leader;
mod cut;
mod flapping;
mod halves;
mod isolate;
mod leader_from_followers;
mod majorities_ring;
mod majority_minority;
mod one_way;

use super::description::{Drawn, Evidence, ExcludedNodes, Needs, ShownBy};
use super::link::altered::{Count, alter};
use super::link::is_carried;
use super::{Aim, Clients, Direction, Injecting, LinkChoice, Parameter, Site};
use crate::lab::LabBackend;

pub use majority_minority::MinoritySize;
pub use one_way::OneDirection;

super::faults! {
    isolate::Isolate,
    halves::Halves,
    majority_minority::MajorityMinority,
    majorities_ring::MajoritiesRing,
    bridge::Bridge,
    one_way::OneWay,
    leader_from_followers::LeaderFromFollowers,
    clients_from_leader::ClientsFromLeader,
    flapping::Flapping,
    cut::Cut,
}

const WITH_CLIENTS: Parameter = Parameter::of::<Clients>(
    "clients",
    "whether the victims' clients are cut off: with their peers, or alone",
);

const EITHER_WAY: Parameter = Parameter::of::<Direction>(
    "direction",
    "what is cut: what the victims hear (in), what they say (out), or both",
);

const fn needs(nodes: usize) -> Needs {
    Needs { lab: LabBackend::Proxies, nodes, running: false, administrator: false }
}

/// Long enough for the others to elect a leader and for both leaders to be asked.
const fn drawn(keeps: ExcludedNodes) -> Drawn {
    Drawn { shortest_ms: 2_500, longest_ms: 4_000, keeps }
}

const fn evidence(shown: ShownBy) -> Evidence {
    Evidence { felt: is_carried, or_else: "nothing was sent on the links that it cut", shown }
}

/// The links of the victims.
fn aim(direction: Direction, clients: Clients) -> Aim {
    Aim::Links(LinkChoice { direction, clients, named: None, is_believed: false })
}

/// Cuts the links of `site` until the heal.
fn cut_links(site: Site<'_>) -> Injecting<'_> {
    alter(site, &[Count::BLOCKED], |policy| policy.block = true)
}
