//! The `register` workload: reads, unique-valued writes and compare-and-set over several keys.
//!
//! Every value is written at most once in a run, so that a read names the one write it saw and the
//! checker needs no search (its zones engine).
//!
//! A compare-and-set expects the value that was last seen on its key, so that most of them match
//! when nobody else is at it and mismatch under contention; both outcomes are evidence.

use std::time::Duration;

use partita_checker::Value;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::generator::{Closing, Generator, reads};
use crate::keys::Keys;
use crate::operation::{Completion, Invocation, Kind};
use crate::random::stream;

/// The shares of the operations, in any unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// Reads.
    pub read: u32,
    /// Writes.
    pub write: u32,
    /// Compare-and-sets.
    pub cas: u32,
    /// Deletes.
    pub delete: u32,
    /// Deletes that happen after a while, as keys expire.
    pub expire: u32,
    /// Reads that may be stale.
    pub stale_read: u32,
}

impl Mix {
    const fn sum(self) -> u32 {
        self.read + self.write + self.cas + self.delete + self.expire + self.stale_read
    }
}

/// How a [`Register`] workload behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterOptions {
    /// Keys in use at a time, at least 1.
    pub live_keys: u32,
    /// Operations on a key before it retires, at least 1.
    pub operations_per_key: u32,
    /// Which share each operation has.
    pub mix: Mix,
    /// How many bytes a value has, at least; 0 for numbers, which take as few as they can.
    pub value_bytes: usize,
}

impl Default for RegisterOptions {
    fn default() -> Self {
        let mix = Mix { read: 50, write: 30, cas: 20, delete: 0, expire: 0, stale_read: 0 };
        Self { live_keys: 4, operations_per_key: 400, mix, value_bytes: 0 }
    }
}

impl RegisterOptions {
    /// Registers that are deleted now and then. Several deletes leave the same behind, so that a
    /// read of nothing does not name the one it saw, and a check is a search: keys are shorter.
    pub fn deleting() -> Self {
        let mix = Mix { read: 55, write: 28, cas: 5, delete: 12, expire: 0, stale_read: 0 };
        Self { live_keys: 6, operations_per_key: 120, mix, value_bytes: 0 }
    }

    /// Registers that expire now and then. Each such end stays open for the checker, which must
    /// try it everywhere: keys are shorter still.
    pub fn expiring() -> Self {
        let mix = Mix { read: 80, write: 14, cas: 0, delete: 0, expire: 6, stale_read: 0 };
        // Many at a time, so that each is in use when another node has come to lead.
        Self { live_keys: 32, operations_per_key: 60, mix, value_bytes: 0 }
    }

    /// Registers that are read strictly, and as whatever node is asked has them.
    pub fn mixed_reads() -> Self {
        let mix = Mix { read: 25, write: 30, cas: 10, delete: 0, expire: 0, stale_read: 35 };
        Self { live_keys: 4, operations_per_key: 400, mix, value_bytes: 0 }
    }

    /// Registers whose values are longer than a disk's sector, so that a write that was cut short
    /// between two sectors shows in the value.
    pub fn large() -> Self {
        Self { value_bytes: 700, ..Self::default() }
    }
}

/// How long keys live that are to expire, in milliseconds: about as long as they are in use.
const LIFE_MS: std::ops::RangeInclusive<u64> = 20..=400;

/// Draws operations from a seed and from what came back so far.
#[derive(Debug)]
pub struct Register {
    random: ChaCha8Rng,
    options: RegisterOptions,
    /// The keys, with the value that was last seen on each.
    keys: Keys<Value>,
    next_value: i64,
}

impl Register {
    /// A generator that draws from the named stream of `seed`.
    ///
    /// # Panics
    ///
    /// If `options` has no key, no operation per key or an empty mix.
    pub fn new(options: RegisterOptions, seed: u64) -> Self {
        assert!(options.mix.sum() > 0, "a mix needs a share");
        let mut random = stream(seed, "register");
        let keys = Keys::new(options.live_keys, options.operations_per_key, &mut random);
        Self { random, options, keys, next_value: 1 }
    }

    /// A value that was never written: a number, and as much behind it as it takes.
    fn fresh_value(&mut self) -> Value {
        let number = self.next_value;
        self.next_value += 1;
        match self.options.value_bytes {
            0 => Value::Integer(number),
            bytes => Value::text(format!("{:.<bytes$}", format!("{number}."))),
        }
    }

    /// An operation on a key on which `last_seen` was seen last.
    fn draw(&mut self, key: Value, last_seen: Value) -> Invocation {
        let Mix { read, write, cas, delete, stale_read, .. } = self.options.mix;
        let draw = self.random.random_range(0..self.options.mix.sum());
        if draw < read {
            return Invocation::read(key);
        }
        let draw = draw - read;
        if draw < stale_read {
            return Invocation::of(Kind::StaleRead, key, Value::Null);
        }
        let draw = draw - stale_read;
        if draw < write + cas {
            let new = self.fresh_value();
            // Redis' SET … IFEQ cannot expect a missing key, so a first write comes before a swap.
            return if draw < write || last_seen.is_null() {
                Invocation::write(key, new)
            } else {
                Invocation::cas(key, last_seen, new)
            };
        }
        if draw < write + cas + delete {
            return Invocation::delete(key);
        }
        Invocation::expire(key, Duration::from_millis(self.random.random_range(LIFE_MS)))
    }
}

impl Generator for Register {
    fn next_invocation(&mut self) -> Invocation {
        let place = self.keys.pick(&mut self.random);
        let key = self.keys.at(place);
        let (name, last_seen) = (key.name.clone(), key.known.clone());
        self.keys.used(place);
        self.draw(name, last_seen)
    }

    fn next_read(&mut self) -> Option<Invocation> {
        let place = self.keys.pick(&mut self.random);
        Some(Invocation::read(self.keys.at(place).name.clone()))
    }

    /// Aims compare-and-sets.
    fn completed(&mut self, invocation: &Invocation, completion: &Completion) {
        let Some(seen) = completion.observed(invocation) else { return };
        if let Some(key) = self.keys.named(&invocation.key) {
            key.known = seen.clone();
        }
    }

    fn closing(&self) -> Vec<Closing> {
        reads(self.keys.names())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    fn draw(seed: u64, count: usize) -> (Register, Vec<Invocation>) {
        let mut register = Register::new(RegisterOptions::default(), seed);
        let invocations = (0..count)
            .map(|_| {
                let invocation = register.next_invocation();
                if invocation.kind == Kind::Write {
                    register.completed(&invocation, &Completion::Done);
                }
                invocation
            })
            .collect();
        (register, invocations)
    }

    #[test]
    fn the_same_seed_draws_the_same_operations() {
        assert_eq!(draw(7, 5_000).1, draw(7, 5_000).1);
        assert_ne!(draw(7, 5_000).1, draw(8, 5_000).1);
    }

    #[test]
    fn no_value_is_written_twice() {
        let mut written = HashSet::new();
        for invocation in draw(1, 20_000).1 {
            let new = match (&invocation.kind, &invocation.value) {
                (Kind::Write, value) => value.clone(),
                (Kind::Cas, Value::List(operands)) => operands[1].clone(),
                _ => continue,
            };
            assert!(written.insert(new), "{invocation:?}");
        }
    }

    #[test]
    fn a_key_retires_after_its_operations() {
        let (register, invocations) = draw(3, 20_000);
        let mut per_key: HashMap<Value, u32> = HashMap::new();
        for invocation in &invocations {
            *per_key.entry(invocation.key.clone()).or_default() += 1;
        }
        assert!(per_key.values().all(|&count| count <= 400));
        assert!(register.keys.names().len() >= 20_000 / 400);
        assert!(per_key.keys().all(|key| register.keys.names().contains(key)));
    }

    #[test]
    fn a_swap_expects_what_was_last_seen() {
        let mut register = Register::new(RegisterOptions::default(), 5);
        let mut seen: HashMap<Value, Value> = HashMap::new();
        let mut swaps = 0;
        for _ in 0..5_000 {
            let invocation = register.next_invocation();
            if let (Kind::Cas, Value::List(operands)) = (invocation.kind, &invocation.value) {
                assert_eq!(seen.get(&invocation.key), Some(&operands[0]));
                swaps += 1;
            }
            if invocation.kind == Kind::Write {
                register.completed(&invocation, &Completion::Done);
                seen.insert(invocation.key.clone(), invocation.value.clone());
            }
        }
        assert!(swaps > 500, "{swaps} swaps of 5,000 operations");
    }

    #[test]
    fn a_delete_is_for_now_and_an_expiry_for_later() {
        let count = |options: RegisterOptions| {
            let mut register = Register::new(options, 5);
            let drawn: Vec<Invocation> = (0..2_000).map(|_| register.next_invocation()).collect();
            let of = |kind| drawn.iter().filter(|it| it.kind == kind).count();
            assert!(drawn.iter().all(|it| it.after.is_some() == (it.kind == Kind::Expire)));
            (of(Kind::Delete), of(Kind::Expire))
        };
        let (deletes, expiries) = count(RegisterOptions::deleting());
        assert!(deletes > 100 && expiries == 0, "{deletes} {expiries}");
        let (deletes, expiries) = count(RegisterOptions::expiring());
        assert!(deletes == 0 && expiries > 60, "{deletes} {expiries}");
        assert_eq!(count(RegisterOptions::default()), (0, 0));
    }

    #[test]
    fn stale_reads_are_marked_and_stand_beside_strict_ones() {
        let mut register = Register::new(RegisterOptions::mixed_reads(), 5);
        let drawn: Vec<Invocation> = (0..2_000).map(|_| register.next_invocation()).collect();
        let of = |kind| drawn.iter().filter(|it| it.kind == kind).count();
        assert!(of(Kind::Read) > 300 && of(Kind::StaleRead) > 500, "{drawn:?}");
        for invocation in drawn {
            let event =
                invocation.event(0, partita_checker::Nanoseconds(0), partita_checker::ProcessId(0));
            assert_eq!(event.level.is_some(), invocation.kind == Kind::StaleRead);
        }
    }

    #[test]
    fn a_large_value_is_a_number_and_what_fills_it_up() {
        let mut register = Register::new(RegisterOptions::large(), 5);
        let written: Vec<_> = (0..1_000)
            .filter_map(|_| match register.next_invocation() {
                Invocation { kind: Kind::Write, value: Value::Text(text), .. } => Some(text),
                _ => None,
            })
            .collect();
        for text in &written {
            assert_eq!(text.len(), 700);
            assert!(text.trim_end_matches('.').parse::<u32>().is_ok(), "{text}");
        }
        assert_eq!(written.iter().collect::<HashSet<_>>().len(), written.len());
        assert!(written.len() > 200);
    }

    #[test]
    fn a_swap_that_failed_does_not_move_the_aim() {
        let invocation = Invocation::cas("k1".into(), 1.into(), 2.into());
        assert_eq!(Completion::Fail("refused".into()).observed(&invocation), None);
        assert_eq!(Completion::Unknown("timeout".into()).observed(&invocation), None);
        assert_eq!(Completion::Swapped.observed(&invocation), Some(&2.into()));
        assert_eq!(
            Completion::Mismatch { saw: Some(9.into()) }.observed(&invocation),
            Some(&9.into())
        );
    }
}
