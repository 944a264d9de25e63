//! The `counter` workload: additions to a few sums at a time, and reads of them.
//!
//! What was added stays in every later sum, so that an addition that was lost, doubled or undone shows
//! for as long as its key is read. Amounts differ, so that few other additions explain a wrong sum.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::generator::{Closing, Generator, reads};
use crate::keys::Keys;
use crate::operation::{Completion, Invocation, Kind};
use crate::random::stream;

/// Keys in use at a time.
const LIVE_KEYS: u32 = 4;

/// Operations on a key before it retires. A check is a search that tries every addition of unknown
/// outcome done and not done: keys are short.
const OPERATIONS_PER_KEY: u32 = 100;

/// How many of a hundred operations are additions.
const PERCENT_ADDITIONS: u32 = 50;

/// What is added at once.
const AMOUNTS: std::ops::RangeInclusive<i64> = 1..=99;

/// Draws operations from a seed.
#[derive(Debug)]
pub struct Counter {
    random: ChaCha8Rng,
    keys: Keys<()>,
}

impl Counter {
    /// A generator that draws from the named stream of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut random = stream(seed, "counter");
        let keys = Keys::new(LIVE_KEYS, OPERATIONS_PER_KEY, &mut random);
        Self { random, keys }
    }
}

impl Generator for Counter {
    fn next_invocation(&mut self) -> Invocation {
        let place = self.keys.pick(&mut self.random);
        let key = self.keys.at(place).name.clone();
        self.keys.used(place);
        if self.random.random_range(0..100) < PERCENT_ADDITIONS {
            let amount = self.random.random_range(AMOUNTS);
            Invocation::of(Kind::Increment, key, amount.into())
        } else {
            Invocation::read(key)
        }
    }

    fn next_read(&mut self) -> Option<Invocation> {
        let place = self.keys.pick(&mut self.random);
        Some(Invocation::read(self.keys.at(place).name.clone()))
    }

    fn completed(&mut self, _: &Invocation, _: &Completion) {}

    fn closing(&self) -> Vec<Closing> {
        reads(self.keys.names())
    }
}
