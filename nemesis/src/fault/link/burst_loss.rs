//! Links that lose frames in bursts.

use std::fmt;

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::altered::alter;
use super::loss::LOST;
use super::{CARRIED, CLIENTS, DIRECTION, LINKS, drawn, needs};
use crate::fault::description::{Description, ExcludedNodes, Parameter, Victims};
use crate::fault::site::{Injecting, Site};
use crate::fault::values::{Share, Value, text_value};
use crate::fault::{Aim, Clients, Direction, FaultType, Links, one_of};
use crate::lab::{LabBackend, Loss, Probability};
use crate::record::Family;

/// Lets links lose frames in bursts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BurstLoss {
    /// How many frames are lost, all bursts together.
    pub share: Share<50>,
    /// How many frames a burst takes on average.
    pub length: BurstLength,
    /// Which directions of the victims' links are hit.
    pub direction: Direction,
    /// Whether links to clients are hit.
    pub clients: Clients,
    /// The links, if not those of the victims.
    pub links: Links,
}

impl Default for BurstLoss {
    fn default() -> BurstLoss {
        BurstLoss {
            share: Share::percent(20),
            length: BurstLength(10.0),
            direction: Direction::Both,
            clients: Clients::No,
            links: Links::ByTarget,
        }
    }
}

impl FaultType for BurstLoss {
    const DESCRIPTION: Description = Description {
        name: "burst-loss",
        family: Family::Link,
        summary: "let links lose frames in bursts",
        was: "behind links that lost frames in bursts",
        victims: Victims::ANY,
        parameters: &[
            Parameter::of::<Share<50>>("share", "how many frames are lost, all bursts together"),
            Parameter::of::<BurstLength>("length", "how many frames a burst takes on average"),
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

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> BurstLoss {
        BurstLoss {
            share: one_of(rng, &[30, 50].map(Share::percent)),
            length: one_of(rng, &[BurstLength(5.0), BurstLength(20.0)]),
            ..BurstLoss::default()
        }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let loss = bursts(self.share.probability(), self.length.0);
        alter(site, &[LOST], move |policy| policy.loss = loss)
    }
}

/// How many frames a burst takes on average.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BurstLength(f64);

impl Value for BurstLength {
    fn expected() -> String {
        "a number from 1 to 1000".to_owned()
    }

    fn read(text: &str) -> Option<BurstLength> {
        text.parse().ok().filter(|length| (1.0..=1_000.0).contains(length)).map(BurstLength)
    }
}

impl fmt::Display for BurstLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_value!(BurstLength);

/// Bursts of `length` frames on average, in which everything is lost, so that `share` of all frames
/// is: the model of Gilbert (1960).
fn bursts(share: Probability, length: f64) -> Loss {
    let to_good = 1.0 / length;
    let to_bad = to_good * share.get() / (1.0 - share.get());
    let probability = |share: f64| Probability::new(share.min(1.0)).unwrap_or(Probability::ALWAYS);
    Loss::GilbertElliott {
        to_bad: probability(to_bad),
        to_good: probability(to_good),
        in_good: Probability::NEVER,
        in_bad: Probability::ALWAYS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_make_up_the_share_that_was_asked_for() {
        for (text, length) in [("20%", 10.0), ("50%", 1.0), ("0.5%", 100.0)] {
            let share = text.parse::<Share<50>>().expect("a share").probability();
            let Loss::GilbertElliott { to_bad, to_good, .. } = bursts(share, length) else {
                panic!("bursts")
            };
            let (bad, wanted) = (to_bad.get() / (to_bad.get() + to_good.get()), share.get());
            assert!((bad - wanted).abs() < wanted / 50.0, "{text}: {bad}");
            assert!((1.0 / to_good.get() - length).abs() < length / 100.0);
        }
    }
}
