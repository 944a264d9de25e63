//! Links that carry little.

use std::fmt;
use std::num::NonZeroU64;

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::altered::{Count, DROPPED, alter};
use super::{CARRIED, CLIENTS, DIRECTION, LINKS, drawn, needs};
use crate::fault::description::{Description, ExcludedNodes, Parameter, Victims};
use crate::fault::site::{Injecting, Site};
use crate::fault::values::{Bytes, Value, text_value};
use crate::fault::{Aim, Clients, Direction, FaultType, Links, one_of};
use crate::lab::{self, LabBackend, Policy};
use crate::record::Family;
use crate::units;

/// Lets links carry so many bytes a second only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rate {
    /// What each link carries in the long run.
    pub rate: BytesPerSecond,
    /// What passes at once after a pause.
    pub burst: Bytes<LARGEST>,
    /// What may wait; more is dropped.
    pub queue: Bytes<LARGEST>,
    /// Which directions of the victims' links are hit.
    pub direction: Direction,
    /// Whether links to clients are hit.
    pub clients: Clients,
    /// The links, if not those of the victims.
    pub links: Links,
}

impl Default for Rate {
    fn default() -> Rate {
        Rate {
            rate: BytesPerSecond::kibibytes(32),
            burst: Bytes::new(8 << 10),
            queue: Bytes::new(128 << 10),
            direction: Direction::Both,
            clients: Clients::No,
            links: Links::ByTarget,
        }
    }
}

impl FaultType for Rate {
    const DESCRIPTION: Description = Description {
        name: "rate",
        family: Family::Link,
        summary: "let links carry so many bytes a second only",
        was: "behind links that carried little",
        victims: Victims::ANY,
        parameters: &[
            Parameter::of::<BytesPerSecond>("rate", "what each link carries in the long run"),
            Parameter::of::<Bytes<LARGEST>>("burst", "what passes at once after a pause"),
            Parameter::of::<Bytes<LARGEST>>("queue", "what may wait; more is dropped"),
            DIRECTION,
            CLIENTS,
            LINKS,
        ],
        needs: needs(LabBackend::Proxies),
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

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> Rate {
        let rate = one_of(rng, &[4, 16].map(BytesPerSecond::kibibytes));
        Rate { rate, ..Rate::default() }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let bytes = |size: Bytes<LARGEST>| u32::try_from(size.get()).unwrap_or(u32::MAX);
        let rate = lab::Rate {
            bytes_per_second: self.rate.0,
            burst_bytes: bytes(self.burst),
            queue_bytes: bytes(self.queue),
        };
        // A relay holds senders back and drops nothing.
        let is_switched = site.ground.overlays.unit() == "frames";
        let counts: &[Count] =
            if is_switched { &[Count::DELAYED, OVERFLOWED] } else { &[Count::DELAYED] };
        alter(site, counts, move |policy| narrow(policy, rate))
    }
}

/// Of several rates, the narrowest holds.
fn narrow(policy: &mut Policy, rate: lab::Rate) {
    let narrower = |it: &lab::Rate| it.bytes_per_second <= rate.bytes_per_second;
    policy.rate = Some(policy.rate.filter(narrower).unwrap_or(rate));
}

const OVERFLOWED: Count = Count::new(DROPPED, |it| it.overflowed);

/// The largest burst or queue.
const LARGEST: u64 = 64 << 20;

/// What a link carries in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BytesPerSecond(NonZeroU64);

impl BytesPerSecond {
    /// So many KiB a second.
    ///
    /// # Panics
    ///
    /// If that is nothing, or more than a number can say.
    pub const fn kibibytes(kibibytes: u64) -> BytesPerSecond {
        BytesPerSecond(NonZeroU64::new(kibibytes * 1_024).expect("more than nothing"))
    }
}

impl Value for BytesPerSecond {
    fn expected() -> String {
        "a size a second: B/s, KiB/s or MiB/s".to_owned()
    }

    fn read(text: &str) -> Option<BytesPerSecond> {
        NonZeroU64::new(units::size(text.trim().strip_suffix("/s")?)?).map(BytesPerSecond)
    }
}

impl fmt::Display for BytesPerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", units::size_written(self.0.get()))
    }
}

text_value!(BytesPerSecond);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_rate_of_one_link_holds() {
        let rate = |kibibytes| lab::Rate::new(BytesPerSecond::kibibytes(kibibytes).0);
        let mut policy = Policy::OPEN;
        for kibibytes in [20, 10, 30] {
            narrow(&mut policy, rate(kibibytes));
        }
        assert_eq!(policy.rate, Some(rate(10)));
    }

    #[test]
    fn a_rate_is_a_size_a_second() {
        assert_eq!("64KiB/s".parse(), Ok(BytesPerSecond::kibibytes(64)));
        for wrong in ["64KiB", "0B/s", "fast"] {
            assert!(wrong.parse::<BytesPerSecond>().is_err(), "{wrong}");
        }
    }
}
