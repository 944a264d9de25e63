//! Clocks that go too fast or too slowly.

use std::fmt;

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::moved::{Kinds, move_clocks};
use super::{HOLDS, NEEDS, READ};
use crate::clock::Clocks;
use crate::fault::description::{Description, Drawn, ExcludedNodes, Parameter, Victims};
use crate::fault::values::{Value, text_value, words};
use crate::fault::{Aim, FaultType, Injecting, Site, one_of};
use crate::record::Family;

/// Lets the victim's clocks run too fast or too slowly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockRate {
    /// How many times as fast as the truth.
    pub rate: Factor,
    /// Which clocks.
    pub clocks: Clocks,
}

impl Default for ClockRate {
    fn default() -> ClockRate {
        ClockRate { rate: Factor(1.5), clocks: Clocks::Both }
    }
}

impl FaultType for ClockRate {
    const DESCRIPTION: Description = Description {
        name: "clock-rate",
        family: Family::Clock,
        summary: "let one node's clocks run too fast or too slowly",
        was: "on clocks of the wrong rate",
        victims: Victims::ONE,
        parameters: &[
            Parameter::of::<Factor>("rate", "how many times as fast as the truth"),
            Parameter::of::<Clocks>(
                "clocks",
                "which clocks; monotonic ones never go back, not even to heal",
            ),
        ],
        needs: NEEDS,
        holds: HOLDS,
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: false,
        drawn: Drawn { shortest_ms: 2_000, longest_ms: 4_000, keeps: ExcludedNodes::Nobody },
        evidence: READ,
    };

    fn aim(&self) -> Aim {
        Aim::Nodes
    }

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> ClockRate {
        let rate = one_of(rng, &[0.5, 0.8, 1.25, 2.0].map(Factor));
        ClockRate { rate, ..ClockRate::default() }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let (factor, clocks) = (self.rate.0, self.clocks);
        let kinds = Kinds { realtime: clocks.realtime(), monotonic: clocks.monotonic() };
        move_clocks(site, kinds, move |clock| {
            clock.run_at(factor, clocks);
            Ok(None)
        })
    }
}

words!(Clocks, "both, realtime or monotonic",
    "both" => Clocks::Both, "realtime" => Clocks::Realtime, "monotonic" => Clocks::Monotonic);

/// How many times the true rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factor(f64);

impl Value for Factor {
    fn expected() -> String {
        "a number from 0.5 to 2, other than 1".to_owned()
    }

    fn read(text: &str) -> Option<Factor> {
        let factor: f64 = text.trim().parse().ok()?;
        ((0.5..=2.0).contains(&factor) && factor != 1.0).then_some(Factor(factor))
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_value!(Factor);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_go_half_to_twice_as_fast_but_not_as_they_should() {
        for wrong in ["3", "NaN", "1", "0.49", ""] {
            assert!(wrong.parse::<Factor>().is_err(), "{wrong}");
        }
        assert_eq!("0.5".parse(), Ok(Factor(0.5)));
    }
}
