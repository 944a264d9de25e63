//! Describes the partitions: who cannot hear whom.

use super::links::{self, CLIENTS, LINKS};
use super::units::duration_in;
use super::{ANY_TARGET, DIRECTION, Description, Fault, Parameter, Reach, TARGET, is_target};
use crate::record::Family;
use std::time::Duration;

/// The names of the parameters.
pub(crate) const SIZE: &str = "size";
pub(crate) const DOWN: &str = "down";
pub(crate) const UP: &str = "up";

/// How many nodes are cut off from a majority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// As many as can be.
    Largest,
    /// Any number from one to that.
    Random,
    /// So many.
    Exactly(usize),
}

/// The size of a minority.
pub(crate) fn size(text: &str) -> Option<Size> {
    match text {
        "largest" => Some(Size::Largest),
        "random" => Some(Size::Random),
        number => number.parse().ok().filter(|size| *size > 0).map(Size::Exactly),
    }
}

/// How long a partition that comes and goes is there, or is not.
pub(crate) fn spell(text: &str) -> Option<Duration> {
    duration_in(text, Duration::from_millis(10)..=Duration::from_secs(60))
}

const WITH_CLIENTS: Parameter = Parameter {
    name: CLIENTS,
    summary: "whether the victims' clients are cut off: with their peers, or alone",
    unit: "no, too or only",
    default: "no",
    accepts: |text| links::clients(text).is_some(),
};

const EITHER_WAY: Parameter = Parameter {
    name: DIRECTION,
    summary: "what is cut: what the victims hear (in), what they say (out), or both",
    unit: "in, out or both",
    default: "both",
    accepts: |text| links::direction(text).is_some(),
};

/// Their rows of [`super::FAULTS`], in its order.
pub(super) const ROWS: [Description; 10] = [
    row(
        Fault::Isolate,
        "isolate",
        "cut one node off from its peers; clients still reach it",
        &[ANY_TARGET, WITH_CLIENTS],
    ),
    row(
        Fault::Halves,
        "halves",
        "split the nodes as evenly as can be; clients still reach both halves",
        &[Parameter {
            name: TARGET,
            summary: "who is in the smaller half; a random choice fills it up",
            unit: "leader, follower, random, minority or names of nodes",
            default: "random",
            accepts: is_target,
        }],
    ),
    row(
        Fault::MajorityMinority,
        "majority-minority",
        "cut a minority off from the majority; clients still reach both",
        &[
            Parameter {
                name: TARGET,
                summary: "who is in the minority; a random choice fills it up",
                unit: "leader, follower, random, minority or names of nodes",
                default: "random",
                accepts: is_target,
            },
            Parameter {
                name: SIZE,
                summary: "how many nodes the minority has",
                unit: "largest, random or a number",
                default: "largest",
                accepts: |text| size(text).is_some(),
            },
        ],
    ),
    row(
        Fault::MajoritiesRing,
        "majorities-ring",
        "let every node hear a majority, each another one; needs four nodes, better five",
        &[],
    ),
    row(
        Fault::Bridge,
        "bridge",
        "split the nodes into halves joined by one node that hears both; needs three nodes",
        &[Parameter {
            name: TARGET,
            summary: "the node that hears both halves",
            unit: "leader, follower, random or a node's name",
            default: "follower",
            accepts: is_target,
        }],
    ),
    row(
        Fault::OneWay,
        "one-way",
        "let one node hear its peers but not be heard by them, or the reverse",
        &[
            ANY_TARGET,
            Parameter {
                name: DIRECTION,
                summary: "what is cut: what the node hears (in) or what it says (out)",
                unit: "in or out",
                default: "out",
                accepts: |text| matches!(text, "in" | "out"),
            },
            WITH_CLIENTS,
        ],
    ),
    row(
        Fault::LeaderFromFollowers,
        "leader-from-followers",
        "cut the leader off from its followers; clients still reach it: isolate of the leader",
        &[],
    ),
    row(
        Fault::ClientsFromLeader,
        "clients-from-leader",
        "cut the clients off from the leader; its followers still hear it",
        &[EITHER_WAY],
    ),
    row(
        Fault::Flapping,
        "flapping",
        "cut one node off from its peers again and again",
        &[
            ANY_TARGET,
            Parameter {
                name: DOWN,
                summary: "how long it is cut off each time",
                unit: "a time from 10ms to 60s",
                default: "300ms",
                accepts: |text| spell(text).is_some(),
            },
            Parameter {
                name: UP,
                summary: "how long it is not, in between",
                unit: "a time from 10ms to 60s",
                default: "300ms",
                accepts: |text| spell(text).is_some(),
            },
            EITHER_WAY,
            WITH_CLIENTS,
        ],
    ),
    row(
        Fault::Cut,
        "cut",
        "cut the links that are named, and no other",
        &[Parameter {
            name: LINKS,
            summary: "the links: from > to, or <> for both directions; `clients` is a host too",
            unit: "links like n1>n2,n2<>n3",
            default: "n1<>n2",
            accepts: |text| links::links(text).is_some(),
        }],
    ),
];

const fn row(
    fault: Fault,
    name: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
) -> Description {
    let family = Family::Partition;
    let reach = match fault {
        Fault::MajorityMinority => Reach::Minority,
        Fault::Halves => Reach::Half,
        Fault::Bridge => Reach::One,
        _ => Reach::Any,
    };
    // Long enough for the others to elect a leader and for both leaders to be asked.
    let (shortest_ms, longest_ms) = (2_500, 4_000);
    Description { fault, name, family, summary, reach, shortest_ms, longest_ms, parameters }
}
