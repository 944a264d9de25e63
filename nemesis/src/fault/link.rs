//! Describes the faults of links: how badly they carry what they carry.

use std::num::NonZeroU64;
use std::time::Duration;

use super::links::{self, BY_TARGET, CLIENTS, LINKS};
use super::units::{duration_in, percent_of, size};
use super::{ANY_TARGET, DIRECTION, Description, Fault, Parameter, Reach};
use crate::lab::{Corruption, Jitter, Loss, Policy, Probability, Rate, Reorder};
use crate::record::Family;
use crate::schedule::PlannedFault;

/// The names of the parameters.
pub(crate) const DELAY: &str = "delay";
pub(crate) const JITTER: &str = "jitter";
pub(crate) const DISTRIBUTION: &str = "distribution";
pub(crate) const SHARE: &str = "share";
pub(crate) const LENGTH: &str = "length";
pub(crate) const BY: &str = "by";
pub(crate) const MEND: &str = "mend";
pub(crate) const RATE: &str = "rate";
pub(crate) const BURST: &str = "burst";
pub(crate) const QUEUE: &str = "queue";
pub(crate) const EVERY: &str = "every";

const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// What a fault makes of a link's policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alteration {
    Block,
    Hold,
    Delay { delay: Duration, jitter: Jitter },
    Loss(Loss),
    Duplicate(Probability),
    Reorder(Reorder),
    Corrupt(Corruption),
    Rate(Rate),
}

impl Alteration {
    /// Alters what other faults have made of the policy: delays add up, the narrowest rate holds, and
    /// of everything else the one that came last.
    pub(crate) fn apply(self, policy: &mut Policy) {
        match self {
            Alteration::Block => policy.block = true,
            Alteration::Hold => policy.hold = true,
            Alteration::Delay { delay, jitter } => {
                policy.delay += delay;
                if jitter != Jitter::None {
                    policy.jitter = jitter;
                }
            }
            Alteration::Loss(loss) => policy.loss = loss,
            Alteration::Duplicate(probability) => policy.duplicate = probability,
            Alteration::Reorder(reorder) => policy.reorder = reorder,
            Alteration::Corrupt(corruption) => policy.corrupt = corruption,
            Alteration::Rate(rate) => {
                let narrower = |other: &Rate| other.bytes_per_second <= rate.bytes_per_second;
                policy.rate = Some(policy.rate.filter(narrower).unwrap_or(rate));
            }
        }
    }
}

/// What a planned fault makes of its links; none if it does nothing to policies or is given what it
/// does not understand.
pub(crate) fn alteration(planned: &PlannedFault) -> Option<Alteration> {
    let word = |name| planned.word(name);
    Some(match planned.fault {
        Fault::Hold => Alteration::Hold,
        Fault::Delay => {
            let jitter = jitter(word(DISTRIBUTION), delay(word(JITTER))?)?;
            Alteration::Delay { delay: delay(word(DELAY))?, jitter }
        }
        Fault::Loss => Alteration::Loss(Loss::Independent { probability: share(word(SHARE))? }),
        Fault::BurstLoss => {
            Alteration::Loss(bursts(burst_share(word(SHARE))?, length(word(LENGTH))?))
        }
        Fault::Duplicate => Alteration::Duplicate(share(word(SHARE))?),
        Fault::Reorder => {
            Alteration::Reorder(Reorder { probability: share(word(SHARE))?, by: delay(word(BY))? })
        }
        Fault::Corrupt => Alteration::Corrupt(Corruption {
            probability: share(word(SHARE))?,
            mend: word(MEND) == "yes",
        }),
        Fault::Rate => Alteration::Rate(Rate {
            bytes_per_second: rate(word(RATE))?,
            burst_bytes: bytes(word(BURST))?,
            queue_bytes: bytes(word(QUEUE))?,
        }),
        fault if fault.family() == Family::Partition => Alteration::Block,
        _ => return None,
    })
}

/// A time that frames are held back.
fn delay(text: &str) -> Option<Duration> {
    duration_in(text, Duration::ZERO..=LONGEST_DELAY)
}

/// Some share of all frames.
fn share(text: &str) -> Option<Probability> {
    percent_of(text).filter(|share| *share > Probability::NEVER)
}

/// A share that bursts of any length can make up.
fn burst_share(text: &str) -> Option<Probability> {
    share(text).filter(|share| share.get() <= 0.5)
}

/// How many frames a burst takes on average.
fn length(text: &str) -> Option<f64> {
    text.parse().ok().filter(|length| (1.0..=1_000.0).contains(length))
}

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

fn jitter(distribution: &str, by: Duration) -> Option<Jitter> {
    match distribution {
        "uniform" | "normal" | "pareto" if by.is_zero() => Some(Jitter::None),
        "uniform" => Some(Jitter::Uniform { spread: by }),
        "normal" => Some(Jitter::Normal { deviation: by }),
        "pareto" => Some(Jitter::Pareto { scale: by }),
        _ => None,
    }
}

/// What a link carries in a second.
fn rate(text: &str) -> Option<NonZeroU64> {
    NonZeroU64::new(size(text.trim().strip_suffix("/s")?)?)
}

/// A size that a queue can have.
fn bytes(text: &str) -> Option<u32> {
    size(text)?.try_into().ok().filter(|bytes| *bytes <= 64 << 20)
}

/// How often connections are reset.
pub(crate) fn every(text: &str) -> Option<Duration> {
    duration_in(text, Duration::from_millis(10)..=Duration::from_secs(60))
}

const WHICH_LINKS: [Parameter; 4] = [
    ANY_TARGET,
    Parameter {
        name: DIRECTION,
        summary: "what is hit: what the victims hear (in), what they say (out), or both",
        unit: "in, out or both",
        default: "both",
        accepts: |text| links::direction(text).is_some(),
    },
    Parameter {
        name: CLIENTS,
        summary: "whether the victims' links to clients are hit: with those to peers, or alone",
        unit: "no, too or only",
        default: "no",
        accepts: |text| links::clients(text).is_some(),
    },
    Parameter {
        name: LINKS,
        summary: "the links by name, instead of the target's: from > to, or <> for both directions; \
                  `clients` is a host too",
        unit: "by-target, or links like n1>n2,n2<>n3",
        default: BY_TARGET,
        accepts: |text| text == BY_TARGET || links::links(text).is_some(),
    },
];

/// The parameters of all faults of links, and these.
const fn and<const MORE: usize, const ALL: usize>(more: [Parameter; MORE]) -> [Parameter; ALL] {
    let mut all = [WHICH_LINKS[0]; ALL];
    let mut place = 0;
    while place < ALL {
        all[place] = if place < MORE { more[place] } else { WHICH_LINKS[place - MORE] };
        place += 1;
    }
    all
}

const fn a_share(summary: &'static str, default: &'static str) -> Parameter {
    let unit = "percent, more than 0% up to 100%";
    Parameter { name: SHARE, summary, unit, default, accepts: |text| share(text).is_some() }
}

const fn a_delay(name: &'static str, summary: &'static str, default: &'static str) -> Parameter {
    let unit = "a time from 0 to 60s";
    Parameter { name, summary, unit, default, accepts: |text| delay(text).is_some() }
}

const fn a_size(name: &'static str, summary: &'static str, default: &'static str) -> Parameter {
    let unit = "a size up to 64MiB: B, KiB or MiB";
    Parameter { name, summary, unit, default, accepts: |text| bytes(text).is_some() }
}

static OF_DELAY: [Parameter; 7] = and([
    a_delay(DELAY, "how long every frame is held back", "50ms"),
    a_delay(JITTER, "how much that varies: the spread, the deviation or the scale", "10ms"),
    Parameter {
        name: DISTRIBUTION,
        summary: "how it varies",
        unit: "uniform, normal or pareto",
        default: "uniform",
        accepts: |text| jitter(text, Duration::ZERO).is_some(),
    },
]);
static OF_LOSS: [Parameter; 5] = and([a_share("how many frames are lost, each by itself", "20%")]);
static OF_BURST_LOSS: [Parameter; 6] = and([
    Parameter {
        name: SHARE,
        summary: "how many frames are lost, all bursts together",
        unit: "percent, more than 0% up to 50%",
        default: "20%",
        accepts: |text| burst_share(text).is_some(),
    },
    Parameter {
        name: LENGTH,
        summary: "how many frames a burst takes on average",
        unit: "a number from 1 to 1000",
        default: "10",
        accepts: |text| length(text).is_some(),
    },
]);
static OF_DUPLICATE: [Parameter; 5] = and([a_share("how many frames arrive twice", "20%")]);
static OF_REORDER: [Parameter; 6] = and([
    a_share("how many frames are held back so that others overtake them", "20%"),
    a_delay(BY, "for how long", "20ms"),
]);
static OF_CORRUPT: [Parameter; 6] = and([
    a_share("of how many frames one bit is flipped", "10%"),
    Parameter {
        name: MEND,
        summary: "whether checksums are made to fit, so that the damage reaches the program and not \
                  only its kernel; never on links to clients",
        unit: "yes or no",
        default: "no",
        accepts: |text| matches!(text, "yes" | "no"),
    },
]);
static OF_RATE: [Parameter; 7] = and([
    Parameter {
        name: RATE,
        summary: "what each link carries in the long run",
        unit: "a size a second: B/s, KiB/s or MiB/s",
        default: "32KiB/s",
        accepts: |text| rate(text).is_some(),
    },
    a_size(BURST, "what passes at once after a pause", "8KiB"),
    a_size(QUEUE, "what may wait; more is dropped", "128KiB"),
]);
static OF_RESET: [Parameter; 5] = and([Parameter {
    name: EVERY,
    summary: "how often all connections are reset, from the beginning on",
    unit: "a time from 10ms to 60s",
    default: "200ms",
    accepts: |text| every(text).is_some(),
}]);

/// Their rows of [`super::FAULTS`], in its order.
pub(super) const ROWS: [Description; 9] = [
    row(Fault::Delay, "delay", "let links take longer, in order", &OF_DELAY),
    row(Fault::Loss, "loss", "let links lose frames, each by chance", &OF_LOSS),
    row(Fault::BurstLoss, "burst-loss", "let links lose frames in bursts", &OF_BURST_LOSS),
    row(Fault::Duplicate, "duplicate", "let frames arrive twice", &OF_DUPLICATE),
    row(Fault::Reorder, "reorder", "let frames overtake others", &OF_REORDER),
    row(Fault::Corrupt, "corrupt", "flip bits in what links carry", &OF_CORRUPT),
    row(Fault::Rate, "rate", "let links carry so many bytes a second only", &OF_RATE),
    row(
        Fault::Hold,
        "hold",
        "let links keep everything, and deliver it in order when healed",
        &WHICH_LINKS_ALONE,
    ),
    row(
        Fault::Reset,
        "reset",
        "end the TCP connections of links with a reset to both ends, again and again",
        &OF_RESET,
    ),
];
static WHICH_LINKS_ALONE: [Parameter; 4] = WHICH_LINKS;

const fn row(
    fault: Fault,
    name: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
) -> Description {
    let (family, reach) = (Family::Link, Reach::Any);
    let (shortest_ms, longest_ms) = (2_000, 4_000);
    Description { fault, name, family, summary, reach, shortest_ms, longest_ms, parameters }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_make_up_the_share_that_was_asked_for() {
        for (text, length) in [("20%", 10.0), ("50%", 1.0), ("0.5%", 100.0)] {
            let wanted = share(text).expect("a share").get();
            let Loss::GilbertElliott { to_bad, to_good, .. } = bursts(share(text).unwrap(), length)
            else {
                panic!("bursts")
            };
            let bad = to_bad.get() / (to_bad.get() + to_good.get());
            assert!((bad - wanted).abs() < wanted / 50.0, "{text}: {bad}");
            assert!((1.0 / to_good.get() - length).abs() < length / 100.0);
        }
    }

    #[test]
    fn faults_of_one_link_add_up() {
        let ms = Duration::from_millis;
        let mut policy = Policy::OPEN;
        let rate = |rate: u64| Alteration::Rate(Rate::new(NonZeroU64::new(rate).unwrap()));
        let delay = Alteration::Delay { delay: ms(20), jitter: Jitter::None };
        for alteration in [delay, delay, rate(10), rate(20), Alteration::Hold] {
            alteration.apply(&mut policy);
        }
        assert_eq!((policy.delay, policy.hold, policy.block), (ms(40), true, false));
        assert_eq!(policy.rate.map(|rate| rate.bytes_per_second.get()), Some(10));
    }

    #[test]
    fn what_a_link_cannot_suffer_is_not_understood() {
        assert_eq!((share("0%"), share("101%"), burst_share("60%")), (None, None, None));
        assert_eq!((length("0"), rate("64KiB"), bytes("65MiB")), (None, None, None));
        assert_eq!(rate("64KiB/s").map(NonZeroU64::get), Some(65_536));
        assert_eq!(share("0.5%"), Some(Probability::per_million(5_000)));
    }
}
