//! Links that take long.

use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::altered::{Count, alter};
use super::{CARRIED, CLIENTS, DIRECTION, LINKS, drawn, needs};
use crate::fault::description::{Description, ExcludedNodes, Parameter, Victims};
use crate::fault::site::{Injecting, Site};
use crate::fault::values::{Time, words};
use crate::fault::{Aim, Clients, Direction, FaultType, Links, one_of};
use crate::lab::{Jitter, LabBackend, Policy};
use crate::record::Family;

/// Lets links take longer, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delay {
    /// How long every frame is held back.
    pub delay: Time<0, 60_000>,
    /// How much that varies: the spread, the deviation or the scale.
    pub jitter: Time<0, 60_000>,
    /// How it varies.
    pub distribution: Distribution,
    /// Which directions of the victims' links are hit.
    pub direction: Direction,
    /// Whether links to clients are hit.
    pub clients: Clients,
    /// The links, if not those of the victims.
    pub links: Links,
}

impl Default for Delay {
    fn default() -> Delay {
        Delay {
            delay: Time::millis(50),
            jitter: Time::millis(10),
            distribution: Distribution::Uniform,
            direction: Direction::Both,
            clients: Clients::No,
            links: Links::ByTarget,
        }
    }
}

impl FaultType for Delay {
    const DESCRIPTION: Description = Description {
        name: "delay",
        family: Family::Link,
        summary: "let links take longer, in order",
        was: "behind links that took longer",
        victims: Victims::ANY,
        parameters: &[
            Parameter::of::<Time<0, 60_000>>("delay", "how long every frame is held back"),
            Parameter::of::<Time<0, 60_000>>(
                "jitter",
                "how much that varies: the spread, the deviation or the scale",
            ),
            Parameter::of::<Distribution>("distribution", "how it varies"),
            DIRECTION,
            CLIENTS,
            LINKS,
        ],
        needs: needs(LabBackend::Proxies),
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

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> Delay {
        Delay {
            delay: one_of(rng, &[5, 20, 100, 300].map(Time::millis)),
            jitter: one_of(rng, &[0, 5, 50].map(Time::millis)),
            distribution: one_of(
                rng,
                &[Distribution::Uniform, Distribution::Normal, Distribution::Pareto],
            ),
            direction: one_of(rng, &[Direction::Both, Direction::In, Direction::Out]),
            ..Delay::default()
        }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let (delay, jitter) = (self.delay.get(), self.distribution.jitter(self.jitter.get()));
        alter(site, &[Count::DELAYED], move |policy| add(policy, delay, jitter))
    }
}

/// Delays add up, and jitter is that of the last one that has some.
fn add(policy: &mut Policy, delay: Duration, jitter: Jitter) {
    policy.delay += delay;
    if jitter != Jitter::None {
        policy.jitter = jitter;
    }
}

/// How the delays of frames vary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// Evenly.
    Uniform,
    /// As the normal distribution has it.
    Normal,
    /// With a heavy tail.
    Pareto,
}

words!(Distribution, "uniform, normal or pareto",
    "uniform" => Distribution::Uniform,
    "normal" => Distribution::Normal,
    "pareto" => Distribution::Pareto);

impl Distribution {
    fn jitter(self, by: Duration) -> Jitter {
        match self {
            _ if by.is_zero() => Jitter::None,
            Distribution::Uniform => Jitter::Uniform { spread: by },
            Distribution::Normal => Jitter::Normal { deviation: by },
            Distribution::Pareto => Jitter::Pareto { scale: by },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_of_one_link_add_up() {
        let (ms, mut policy) = (Duration::from_millis, Policy::OPEN);
        let spread = Distribution::Uniform.jitter(ms(3));
        add(&mut policy, ms(20), spread);
        add(&mut policy, ms(30), Distribution::Pareto.jitter(ms(0)));
        assert_eq!((policy.delay, policy.jitter), (ms(50), Jitter::Uniform { spread: ms(3) }));
    }
}
