//! Draws every frame's luck from the run's seed and the frame's place in its link's order.
//!
//! Each link has a ChaCha8 stream under the seed (Bernstein 2008), and its n-th frame owns the
//! stream's n-th block of sixteen words: what befalls a frame depends on the seed, the link, n and
//! the policy, and not on when the frame came, what other links carried or what policies were in
//! force before. The one exception is the state of a bursty loss, which lives from frame to frame.
//! A block costs about 100 ns, and is drawn only while a policy leaves something to chance.

use std::time::Duration;

use rand::Rng;
use rand::rngs::ChaCha8Rng;

use super::policy::{Jitter, Loss};
use crate::random::stream;

/// The words of a stream that belong to one frame: a block of ChaCha.
const WORDS: usize = 16;
/// The most of its scale that a heavy tail may add.
const LONGEST_TAIL: f64 = 100.0;

/// A link's source of chance.
#[derive(Debug)]
pub(crate) struct FrameRandom(Box<ChaCha8Rng>);

impl FrameRandom {
    /// The dice of the link between two ports.
    pub(crate) fn new(seed: u64, from: usize, to: usize) -> FrameRandom {
        FrameRandom(Box::new(stream(seed, &format!("link {from} to {to}"))))
    }

    /// The luck of the link's frame of that number, from 0.
    pub(crate) fn roll(&mut self, number: u64) -> FrameDraws {
        self.0.set_word_pos(u128::from(number) * WORDS as u128);
        let mut word = || self.0.next_u32();
        FrameDraws {
            turn: word(),
            loss: word(),
            corruption: word(),
            bit: word(),
            duplicate: word(),
            reorder: word(),
            delay: std::array::from_fn(|_| word()),
        }
    }
}

/// Numbers drawn evenly from all of `u32`, one for each thing that may befall a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FrameDraws {
    /// Whether a bursty loss changes its state.
    pub(super) turn: u32,
    pub(super) loss: u32,
    pub(super) corruption: u32,
    /// Which bit is flipped.
    pub(super) bit: u32,
    pub(super) duplicate: u32,
    pub(super) reorder: u32,
    pub(super) delay: [u32; 6],
}

impl FrameDraws {
    /// How long the frame waits, in nanoseconds.
    pub(crate) fn delay_ns(&self, delay: Duration, jitter: Jitter) -> u64 {
        let base = nanoseconds(delay);
        match jitter {
            Jitter::None => base,
            Jitter::Uniform { spread } => {
                let spread = nanoseconds(spread);
                let low = base.saturating_sub(spread);
                let width = u128::from(base.saturating_add(spread) - low);
                low + ((width * u128::from(self.delay[0])) >> 32) as u64
            }
            Jitter::Normal { deviation } => {
                // Twelve numbers of sixteen bits, each evenly distributed over one: their sum has
                // deviation one around six.
                let halves = self.delay.iter().map(|word| (word >> 16) + (word & 0xffff));
                let offset = i128::from(halves.sum::<u32>()) - 6 * 0xffff;
                let moved = offset * i128::from(nanoseconds(deviation)) / 0xffff;
                u64::try_from((i128::from(base) + moved).max(0)).unwrap_or(u64::MAX)
            }
            Jitter::Pareto { scale } => {
                let share = (f64::from(self.delay[0]) + 1.0) / (f64::from(u32::MAX) + 1.0);
                let tail = (1.0 / share.sqrt() - 1.0).min(LONGEST_TAIL);
                base.saturating_add((tail * nanoseconds(scale) as f64) as u64)
            }
        }
    }
}

/// Whether a link that loses in bursts is in a bad state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Burst {
    bad: bool,
}

impl Burst {
    /// Whether the next frame is lost.
    pub(super) fn takes(&mut self, loss: Loss, luck: &FrameDraws) -> bool {
        match loss {
            Loss::None => false,
            Loss::Independent { probability } => probability.befalls(luck.loss),
            Loss::GilbertElliott { to_bad, to_good, in_good, in_bad } => {
                let change = if self.bad { to_good } else { to_bad };
                self.bad ^= change.befalls(luck.turn);
                let lost = if self.bad { in_bad } else { in_good };
                lost.befalls(luck.loss)
            }
        }
    }
}

/// A duration in nanoseconds, at most some 584 years.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::fabric::policy::Probability;

    const MS: u64 = 1_000_000;

    fn delays(jitter: Jitter) -> Vec<u64> {
        let mut dice = FrameRandom::new(7, 0, 1);
        let delay = Duration::from_millis(20);
        let mut delays: Vec<u64> =
            (0..20_000).map(|number| dice.roll(number).delay_ns(delay, jitter)).collect();
        delays.sort_unstable();
        delays
    }

    fn close(found: u64, expected: u64) -> bool {
        found.abs_diff(expected) < expected / 20
    }

    #[test]
    fn a_frames_luck_depends_on_seed_link_and_number_only() {
        let mut dice = FrameRandom::new(7, 0, 1);
        let in_order: Vec<FrameDraws> = (0..20).map(|number| dice.roll(number)).collect();
        assert_eq!(dice.roll(3), in_order[3], "looking back");
        assert_eq!(FrameRandom::new(7, 0, 1).roll(19), in_order[19], "looking ahead");
        assert_ne!(FrameRandom::new(8, 0, 1).roll(3), in_order[3], "another seed");
        assert_ne!(FrameRandom::new(7, 1, 0).roll(3), in_order[3], "another link");
        assert_ne!(in_order[3], in_order[4]);
    }

    #[test]
    fn uniform_jitter_spreads_evenly_around_the_delay() {
        let delays = delays(Jitter::Uniform { spread: Duration::from_millis(10) });
        assert!(delays[0] >= 10 * MS && delays[delays.len() - 1] <= 30 * MS);
        assert!(close(delays[5_000], 15 * MS) && close(delays[15_000], 25 * MS));
    }

    #[test]
    fn normal_jitter_has_the_deviation_it_is_given() {
        let delays = delays(Jitter::Normal { deviation: Duration::from_millis(5) });
        assert!(close(delays[10_000], 20 * MS), "{}", delays[10_000]);
        // One deviation below and above the mean: Φ(-1) = 0.1587.
        assert!(close(delays[3_173], 15 * MS) && close(delays[16_827], 25 * MS));
    }

    #[test]
    fn pareto_jitter_has_a_heavy_tail() {
        let delays = delays(Jitter::Pareto { scale: Duration::from_millis(10) });
        assert!(delays[0] >= 20 * MS);
        assert!(close(delays[10_000], 24 * MS + 142_136), "{}", delays[10_000]);
        assert!(close(delays[19_800] - 20 * MS, 90 * MS), "{}", delays[19_800]);
    }

    #[test]
    fn no_delay_is_negative() {
        let mut dice = FrameRandom::new(7, 0, 1);
        let jitter = Jitter::Normal { deviation: Duration::from_secs(1) };
        let delays = (0..1_000).map(|n| dice.roll(n).delay_ns(Duration::ZERO, jitter));
        assert!(delays.filter(|delay| *delay == 0).count() > 400);
    }

    #[test]
    fn bursty_loss_comes_in_bursts_of_the_length_it_is_given() {
        let loss = Loss::GilbertElliott {
            to_bad: Probability::per_million(10_000),
            to_good: Probability::per_million(100_000),
            in_good: Probability::NEVER,
            in_bad: Probability::ALWAYS,
        };
        let (mut dice, mut burst) = (FrameRandom::new(7, 0, 1), Burst::default());
        let lost: Vec<bool> = (0..200_000).map(|n| burst.takes(loss, &dice.roll(n))).collect();
        let total = lost.iter().filter(|lost| **lost).count() as f64;
        let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count() as f64;
        assert!((8.0..12.0).contains(&(total / bursts)), "{total} lost in {bursts} bursts");
        let share = total / lost.len() as f64;
        assert!((0.07..0.11).contains(&share), "{share}");
    }
}
