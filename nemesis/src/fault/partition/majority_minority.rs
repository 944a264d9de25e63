//! A minority and the majority that do not hear each other.

use std::fmt;

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{cut_links, drawn, evidence, needs};
use crate::fault::description::{Description, ExcludedNodes, Parameter, Reach, ShownBy, Victims};
use crate::fault::values::{Value, text_value};
use crate::fault::{Aim, FaultType, Injecting, Site, SplitSize, Target, one_of};
use crate::record::Family;

/// Cuts a minority off from the majority.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MajorityMinority {
    /// How many nodes the minority has.
    pub size: MinoritySize,
}

impl Default for MajorityMinority {
    fn default() -> MajorityMinority {
        MajorityMinority { size: MinoritySize::Largest }
    }
}

impl FaultType for MajorityMinority {
    const DESCRIPTION: Description = Description {
        name: "majority-minority",
        family: Family::Partition,
        summary: "cut a minority off from the majority; clients still reach both",
        was: "cut off from the majority",
        victims: Victims::Chosen {
            default: Target::Random,
            reach: Reach::Minority,
            summary: "who is in the minority; a random choice fills it up",
            unit: "leader, follower, random, minority or names of nodes",
            takes_any: true,
            is_drawn: true,
        },
        parameters: &[Parameter::of::<MinoritySize>("size", "how many nodes the minority has")],
        needs: needs(2),
        holds: &[],
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::All),
        evidence: evidence(ShownBy::Under),
    };

    fn aim(&self) -> Aim {
        Aim::Split(match self.size {
            MinoritySize::Largest => SplitSize::LargestMinority,
            MinoritySize::Random => SplitSize::AnyMinority,
            MinoritySize::Exactly(nodes) => SplitSize::Exactly(nodes),
        })
    }

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> MajorityMinority {
        let size = one_of(rng, &[MinoritySize::Largest, MinoritySize::Random]);
        MajorityMinority { size }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        cut_links(site)
    }
}

/// How many nodes are cut off from a majority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinoritySize {
    /// As many as can be.
    Largest,
    /// Any number from one to that.
    Random,
    /// So many.
    Exactly(usize),
}

impl Value for MinoritySize {
    fn expected() -> String {
        "largest, random or a number".to_owned()
    }

    fn read(text: &str) -> Option<MinoritySize> {
        match text {
            "largest" => Some(MinoritySize::Largest),
            "random" => Some(MinoritySize::Random),
            number => number.parse().ok().filter(|size| *size > 0).map(MinoritySize::Exactly),
        }
    }
}

impl fmt::Display for MinoritySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MinoritySize::Largest => f.write_str("largest"),
            MinoritySize::Random => f.write_str("random"),
            MinoritySize::Exactly(nodes) => nodes.fmt(f),
        }
    }
}

text_value!(MinoritySize);
