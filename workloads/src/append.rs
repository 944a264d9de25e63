//! The `append` workload: appends of unique texts to a few keys at a time, and reads of the whole.
//!
//! A key that only grows remembers everything that was done to it: a text that was lost, doubled or
//! moved shows in every later read, where a register forgets with the next write. Texts are numbers
//! with a comma, so that none is part of another. A key retires after a bounded number of operations,
//! which bounds the length of its reads; the final reads look at all of them.

use partita_checker::Value;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::generator::{Closing, Generator, reads};
use crate::keys::Keys;
use crate::operation::{Completion, Invocation};
use crate::random::stream;

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
    keys: Keys<()>,
    next_token: u64,
}

impl Append {
    /// A generator that draws from the named stream of `seed`.
    ///
    /// # Panics
    ///
    /// If `options` has no key or no operation per key.
    pub fn new(options: AppendOptions, seed: u64) -> Self {
        let mut random = stream(seed, "append");
        let keys = Keys::new(options.live_keys, options.operations_per_key, &mut random);
        Self { random, options, keys, next_token: 1 }
    }
}

impl Generator for Append {
    fn next_invocation(&mut self) -> Invocation {
        let place = self.keys.pick(&mut self.random);
        let key = self.keys.at(place).name.clone();
        self.keys.used(place);
        if self.random.random_range(0..100) < self.options.percent_appends {
            let token = Value::text(format!("{},", self.next_token));
            self.next_token += 1;
            Invocation::append(key, token)
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
