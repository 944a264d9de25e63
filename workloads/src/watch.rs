//! The `watch` workload: writes of new values, reads, and watches that follow a register's changes.
//!
//! A watch answers all changes that its client has been told of since the first, so that one that was broken
//! off and taken up again has to go on where it ended. Every value is written once.

use partita_checker::Value;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::generator::{Closing, Generator, Until};
use crate::keys::Keys;
use crate::operation::{Completion, Invocation, Kind};
use crate::random::stream;

/// Registers in use at a time.
const LIVE_KEYS: u32 = 4;

/// Operations on a register before it retires.
const OPERATIONS_PER_KEY: u32 = 80;

/// How many of a hundred operations write, and how many read; the others watch.
const PERCENT_WRITES: u32 = 50;
const PERCENT_READS: u32 = 20;

/// Draws operations from a seed.
#[derive(Debug)]
pub struct Watch {
    random: ChaCha8Rng,
    keys: Keys<()>,
    next_value: i64,
}

impl Watch {
    /// A generator that draws from the named stream of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut random = stream(seed, "watch");
        let keys = Keys::new(LIVE_KEYS, OPERATIONS_PER_KEY, &mut random);
        Self { random, keys, next_value: 1 }
    }
}

fn watch(key: &Value) -> Invocation {
    Invocation::of(Kind::Watch, key.clone(), Value::Null)
}

impl Generator for Watch {
    fn next_invocation(&mut self) -> Invocation {
        let place = self.keys.pick(&mut self.random);
        let key = self.keys.at(place).name.clone();
        self.keys.used(place);
        match self.random.random_range(0..100) {
            draw if draw < PERCENT_WRITES => {
                let value = self.next_value;
                self.next_value += 1;
                Invocation::of(Kind::WatchedWrite, key, value.into())
            }
            draw if draw < PERCENT_WRITES + PERCENT_READS => Invocation::read(key),
            _ => watch(&key),
        }
    }

    fn next_read(&mut self) -> Option<Invocation> {
        let place = self.keys.pick(&mut self.random);
        let key = self.keys.at(place).name.clone();
        let reads = self.random.random_range(0..100) < 50;
        Some(if reads { Invocation::read(key) } else { watch(&key) })
    }

    fn completed(&mut self, _: &Invocation, _: &Completion) {}

    fn closing(&self) -> Vec<Closing> {
        let both = |key: &Value| {
            [Invocation::read(key.clone()), watch(key)]
                .map(|invocation| Closing { invocation, until: Until::Answered })
        };
        self.keys.names().iter().flat_map(both).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_value_is_written_twice_and_every_key_is_watched_in_the_end() {
        let mut watch = Watch::new(5);
        let mut written = HashSet::new();
        let mut keys = HashSet::new();
        for _ in 0..2_000 {
            let invocation = watch.next_invocation();
            if invocation.kind == Kind::WatchedWrite {
                assert!(written.insert(invocation.value.clone()), "{invocation:?}");
            }
            keys.insert(invocation.key);
        }
        assert!(written.len() > 800, "{}", written.len());
        let closing = watch.closing();
        let watched: HashSet<Value> = closing
            .into_iter()
            .filter(|it| it.invocation.kind == Kind::Watch)
            .map(|it| it.invocation.key)
            .collect();
        assert!(keys.is_subset(&watched));
    }
}
