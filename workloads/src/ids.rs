//! The `ids` workload: numbers of a few sequences at a time, each unique and greater than all before.
//!
//! A request without an answer may have taken a number, which nobody gets again. In the end every sequence
//! is asked through every node: one that was set back would give out a number a second time.

use partita_checker::Value;
use rand::rngs::ChaCha8Rng;

use crate::generator::{Closing, Generator, Until};
use crate::keys::Keys;
use crate::operation::{Completion, Invocation, Kind};
use crate::random::stream;

/// Sequences in use at a time.
const LIVE_KEYS: u32 = 4;

/// Requests to a sequence before it retires.
const OPERATIONS_PER_KEY: u32 = 200;

/// Draws requests from a seed.
#[derive(Debug)]
pub struct Ids {
    random: ChaCha8Rng,
    keys: Keys<()>,
}

impl Ids {
    /// A generator that draws from the named stream of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut random = stream(seed, "ids");
        let keys = Keys::new(LIVE_KEYS, OPERATIONS_PER_KEY, &mut random);
        Self { random, keys }
    }
}

fn next(key: &Value) -> Invocation {
    Invocation::of(Kind::Next, key.clone(), Value::Null)
}

impl Generator for Ids {
    fn next_invocation(&mut self) -> Invocation {
        let place = self.keys.pick(&mut self.random);
        let invocation = next(&self.keys.at(place).name);
        self.keys.used(place);
        invocation
    }

    /// Nothing looks at a sequence without taking a number.
    fn next_read(&mut self) -> Option<Invocation> {
        None
    }

    fn completed(&mut self, _: &Invocation, _: &Completion) {}

    fn closing(&self) -> Vec<Closing> {
        let ask = |key: &Value| Closing { invocation: next(key), until: Until::Answered };
        self.keys.names().iter().map(ask).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sequence_that_was_in_use_is_asked_in_the_end() {
        let mut ids = Ids::new(5);
        let asked: std::collections::BTreeSet<Value> =
            (0..2_000).map(|_| ids.next_invocation().key).collect();
        let closing: std::collections::BTreeSet<Value> =
            ids.closing().into_iter().map(|it| it.invocation.key).collect();
        assert!(asked.is_subset(&closing) && asked.len() >= 10, "{asked:?}");
        assert!(ids.next_read().is_none());
    }
}
