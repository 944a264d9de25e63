//! The `append` workload: appends of unique texts to a few keys at a time, and reads of the whole.
//!
//! A key that only grows remembers everything that was done to it: a text that was lost, doubled or
//! moved shows in every later read, where a register forgets with the next write. Texts are numbers
//! with a comma, so that none is part of another. A key retires after a bounded number of operations,
//! which bounds the length of its reads; the final reads look at all of them.

use partita_checker::Value;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use crate::catalogue::{Closing, Generator, reads};
use crate::operation::{Completion, Invocation};

/// The stream of the run's seed that this generator draws from.
const STREAM: u64 = 0x6170_7065_6e64; // "append"

/// How an [`Append`] workload behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendOptions {
    /// Keys in use at a time, at least 1.
    pub live_keys: u32,
    /// Operations on a key before it retires, at least 1.
    pub operations_per_key: u32,
    /// How many of a hundred operations are appends.
    pub percent_appends: u32,
}

impl Default for AppendOptions {
    fn default() -> Self {
        Self { live_keys: 3, operations_per_key: 240, percent_appends: 50 }
    }
}

/// Draws operations from a seed.
#[derive(Debug)]
pub struct Append {
    random: ChaCha8Rng,
    options: AppendOptions,
    /// The keys in use, and how many operations each still has.
    live: Vec<(Value, u32)>,
    keys: Vec<Value>,
    next_token: u64,
}

impl Append {
    /// A generator that draws from the named stream of `seed`.
    ///
    /// # Panics
    ///
    /// If `options` has no key or no operation per key.
    pub fn new(options: AppendOptions, seed: u64) -> Self {
        assert!(options.live_keys > 0, "an append workload needs a key");
        assert!(options.operations_per_key > 0, "a key needs operations");
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(STREAM);
        let mut append =
            Self { random, options, live: Vec::new(), keys: Vec::new(), next_token: 1 };
        for _ in 0..options.live_keys {
            // Staggered, so that keys do not all retire in the same moment.
            let remaining = append.random.random_range(1..=options.operations_per_key);
            let key = append.fresh_key();
            append.live.push((key, remaining));
        }
        append
    }

    fn fresh_key(&mut self) -> Value {
        let name = Value::from(format!("k{}", self.keys.len() + 1).as_str());
        self.keys.push(name.clone());
        name
    }
}

impl Generator for Append {
    fn next_invocation(&mut self) -> Invocation {
        let slot = self.random.random_range(0..self.live.len());
        let key = self.live[slot].0.clone();
        let invocation = if self.random.random_range(0..100) < self.options.percent_appends {
            let token = Value::text(format!("{},", self.next_token));
            self.next_token += 1;
            Invocation::append(key, token)
        } else {
            Invocation::read(key)
        };
        self.live[slot].1 -= 1;
        if self.live[slot].1 == 0 {
            self.live[slot] = (self.fresh_key(), self.options.operations_per_key);
        }
        invocation
    }

    fn next_read(&mut self) -> Option<Invocation> {
        let slot = self.random.random_range(0..self.live.len());
        Some(Invocation::read(self.live[slot].0.clone()))
    }

    fn completed(&mut self, _: &Invocation, _: &Completion) {}

    fn closing(&self) -> Vec<Closing> {
        reads(&self.keys)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;
    use crate::operation::Kind;

    fn draw(seed: u64) -> Vec<Invocation> {
        let mut append = Append::new(AppendOptions::default(), seed);
        (0..10_000).map(|_| append.next_invocation()).collect()
    }

    #[test]
    fn the_same_seed_draws_the_same_operations() {
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn no_text_is_appended_twice_and_none_ends_another() {
        let mut tokens = HashSet::new();
        for invocation in draw(1).into_iter().filter(|it| it.kind == Kind::Append) {
            let Value::Text(token) = invocation.value else { panic!("a text") };
            assert_eq!(token.find(','), Some(token.len() - 1));
            assert!(tokens.insert(token));
        }
        assert!(tokens.len() > 4_000);
    }

    #[test]
    fn a_key_retires_after_its_operations() {
        let mut per_key: HashMap<Value, u32> = HashMap::new();
        for invocation in draw(3) {
            *per_key.entry(invocation.key).or_default() += 1;
        }
        assert!(per_key.values().all(|&count| count <= 240));
        assert!(per_key.len() >= 10_000 / 240);
    }
}
