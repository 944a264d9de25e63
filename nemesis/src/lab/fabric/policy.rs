//! The policy of one directed link: how it carries frames.
//!
//! A [`Policy`] is plain data: compared, copied and written down exactly, hence probabilities in
//! millionths instead of floating point. What each part does to a frame is decided in the `link`
//! and `luck` modules beside this one.

use std::num::NonZeroU64;
use std::time::Duration;

/// How one directed link carries frames. The default carries them all at once, unchanged.
///
/// The parts work together, in this order: block, loss, corruption, duplication, rate, delay,
/// reordering; a hold stops whatever would leave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether the link carries nothing at all, and loses what it held back.
    pub block: bool,
    /// Whether the link keeps everything until this is lifted, and then lets it go in order.
    pub hold: bool,
    /// How long every frame is held back.
    pub delay: Duration,
    /// What varies the delay from frame to frame. No frame overtakes another for it.
    pub jitter: Jitter,
    /// Which frames are lost.
    pub loss: Loss,
    /// How many frames arrive twice, one copy right behind the other.
    pub duplicate: Probability,
    /// Which frames are held back while others overtake them.
    pub reorder: Reorder,
    /// Which frames arrive with a bit of their payload flipped.
    pub corrupt: Corruption,
    /// How much the link carries, if that is limited.
    pub rate: Option<Rate>,
}

impl Policy {
    /// Carries everything at once: the default.
    pub const OPEN: Policy = Policy {
        block: false,
        hold: false,
        delay: Duration::ZERO,
        jitter: Jitter::None,
        loss: Loss::None,
        duplicate: Probability::NEVER,
        reorder: Reorder { probability: Probability::NEVER, by: Duration::ZERO },
        corrupt: Corruption { probability: Probability::NEVER, mend: false },
        rate: None,
    };

    /// Whether what happens to a frame depends on chance.
    pub(crate) fn is_random(&self) -> bool {
        self.loss != Loss::None
            || self.jitter != Jitter::None
            || [self.duplicate, self.reorder.probability, self.corrupt.probability]
                .iter()
                .any(|probability| *probability != Probability::NEVER)
    }

    /// Whether a frame that leaves the rate limit leaves the link at that same moment.
    pub(crate) fn is_prompt(&self) -> bool {
        !self.hold && self.delay.is_zero() && self.jitter == Jitter::None
    }
}

/// How likely something is, in millionths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Probability(u32);

/// A number that is no probability.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is no probability: expected 0 to 1")]
pub struct InvalidProbability(pub f64);

impl Probability {
    /// It never happens.
    pub const NEVER: Probability = Probability(0);
    /// It always happens.
    pub const ALWAYS: Probability = Probability(1_000_000);

    /// So many in a million; more than a million is always.
    pub const fn per_million(count: u32) -> Probability {
        if count > Probability::ALWAYS.0 { Probability::ALWAYS } else { Probability(count) }
    }

    /// The probability nearest to `share`.
    ///
    /// # Errors
    ///
    /// If `share` is not between 0 and 1.
    pub fn new(share: f64) -> Result<Probability, InvalidProbability> {
        if !(0.0..=1.0).contains(&share) {
            return Err(InvalidProbability(share));
        }
        Ok(Probability((share * f64::from(Probability::ALWAYS.0)).round() as u32))
    }

    /// The probability as a number between 0 and 1.
    pub fn get(self) -> f64 {
        f64::from(self.0) / f64::from(Probability::ALWAYS.0)
    }

    /// Whether it happens this time, by a number drawn evenly from all of `u32`.
    pub(crate) fn befalls(self, draw: u32) -> bool {
        (u64::from(draw) * u64::from(Probability::ALWAYS.0)) >> 32 < u64::from(self.0)
    }
}

/// What varies a link's delay. Distributions are computed with integers and square roots only, so
/// that every machine draws the same delays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Jitter {
    /// Nothing: every frame waits exactly as long.
    #[default]
    None,
    /// Evenly distributed between the delay less `spread`, but not below zero, and the delay plus
    /// `spread`.
    Uniform {
        /// The farthest from the delay.
        spread: Duration,
    },
    /// Normally distributed around the delay, cut off at zero and at six deviations (a sum of
    /// twelve evenly distributed numbers, after Irwin and Hall).
    Normal {
        /// The standard deviation.
        deviation: Duration,
    },
    /// The delay and a heavy tail: Pareto with shape 2, less its minimum. The median adds 0.41
    /// `scale`, one frame in a hundred nine times `scale`; cut off at a hundred times.
    Pareto {
        /// The unit of the tail.
        scale: Duration,
    },
}

/// Which frames a link loses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Loss {
    /// None.
    #[default]
    None,
    /// Each with the same probability, whatever happened to others.
    Independent {
        /// How likely each is lost.
        probability: Probability,
    },
    /// In bursts: the link is in a good or a bad state, which may change before each frame
    /// (Gilbert 1960, Elliott 1963). It begins in the good state when this is set. Bursts last
    /// 1/`to_good` frames on average and to_bad/(to_bad+to_good) of all frames meet a bad state.
    GilbertElliott {
        /// How likely a good link turns bad.
        to_bad: Probability,
        /// How likely a bad link turns good.
        to_good: Probability,
        /// How likely a frame is lost in the good state: never, in Gilbert's model.
        in_good: Probability,
        /// How likely a frame is lost in the bad state.
        in_bad: Probability,
    },
}

/// Which frames are held back while others overtake them. Lifted, it lets them go at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reorder {
    /// How likely a frame is held back.
    pub probability: Probability,
    /// For how long, after it would have left.
    pub by: Duration,
}

/// Which frames arrive with one bit flipped, somewhere in what TCP or UDP carries. Frames that
/// carry nothing, as bare acknowledgements, are left alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Corruption {
    /// How likely a frame is corrupted.
    pub probability: Probability,
    /// Whether the checksum is made to fit, so that the damage reaches the program. Otherwise the
    /// receiver's kernel finds it and drops the frame.
    pub mend: bool,
}

/// How much a link carries: a token bucket with a queue before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// What it carries in the long run, headers included.
    pub bytes_per_second: NonZeroU64,
    /// What passes at once after a pause, in bytes; a frame larger than that passes all the same.
    pub burst_bytes: u32,
    /// What may wait, in bytes; frames beyond it are dropped.
    pub queue_bytes: u32,
}

impl Rate {
    /// A rate with a burst of 32 KiB and a queue of a quarter of a second, or of 128 KiB if that is
    /// more.
    pub fn new(bytes_per_second: NonZeroU64) -> Rate {
        let quarter = u32::try_from(bytes_per_second.get() / 4).unwrap_or(u32::MAX);
        let queue_bytes = quarter.clamp(128 << 10, 64 << 20);
        Rate { bytes_per_second, burst_bytes: 32 << 10, queue_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_is_a_share_of_a_million() {
        assert_eq!(Probability::new(0.25), Ok(Probability::per_million(250_000)));
        assert_eq!(Probability::new(1.0), Ok(Probability::ALWAYS));
        assert_eq!(Probability::per_million(2_000_000), Probability::ALWAYS);
        for share in [-0.1, 1.1, f64::NAN] {
            let error = Probability::new(share).expect_err("no probability").to_string();
            assert!(error.contains("expected 0 to 1"), "{error}");
        }
    }

    #[test]
    fn what_never_happens_never_does_and_what_always_happens_always_does() {
        for draw in [0, 1, u32::MAX / 2, u32::MAX] {
            assert!(!Probability::NEVER.befalls(draw));
            assert!(Probability::ALWAYS.befalls(draw));
        }
        let half = Probability::per_million(500_000);
        assert!(half.befalls(u32::MAX / 2 - 5_000) && !half.befalls(u32::MAX / 2 + 5_000));
    }

    #[test]
    fn the_open_policy_is_the_default() {
        assert_eq!(Policy::OPEN, Policy::default());
        assert!(!Policy::OPEN.is_random() && Policy::OPEN.is_prompt());
    }
}
