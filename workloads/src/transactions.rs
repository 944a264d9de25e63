//! The `transactions` workload: reads and writes of several registers at one moment.
//!
//! Some transactions read a register and write to it. They are done as programs without
//! transactions of several steps do it: by reads, and then by writes on the condition that what was read
//! still stands there; where the store has no such conditions, as the others.
//!
//! Registers come in groups of `REGISTERS`; a transaction works on one group. Every value is
//! written once. A transaction that is seen in part, or that another one comes between, shows in what
//! later ones read together. A group retires after a bounded number of transactions.

use partita_checker::Value;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

use crate::generator::{Closing, Generator, Until};
use crate::keys::Keys;
use crate::operation::{Completion, Invocation};
use crate::random::stream;

/// The registers of a group, by what their names end with.
const REGISTERS: [&str; 3] = ["a", "b", "c"];

/// Groups in use at a time.
const LIVE_GROUPS: u32 = 6;

/// Transactions on a group before it retires.
const TRANSACTIONS_PER_GROUP: u32 = 80;

/// How many of a hundred transactions only read.
const PERCENT_READ_ONLY: u32 = 40;

/// How many of a hundred others write to what they read.
const PERCENT_GUARDED: u32 = 50;

/// Draws transactions from a seed.
#[derive(Debug)]
pub struct Transactions {
    random: ChaCha8Rng,
    groups: Keys<()>,
    next_value: i64,
}

impl Transactions {
    /// A generator that draws from the named stream of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut random = stream(seed, "txn");
        let groups = Keys::new(LIVE_GROUPS, TRANSACTIONS_PER_GROUP, &mut random);
        Self { random, groups, next_value: 1 }
    }

    /// Reads a register and writes to it.
    fn replace(&mut self, group: &Value) -> Vec<Value> {
        let register = REGISTERS[self.random.random_range(0..REGISTERS.len())];
        let value = self.next_value;
        self.next_value += 1;
        vec![read(group, register), write(group, register, value)]
    }

    fn read_and_write(&mut self, group: &Value) -> Vec<Value> {
        let mut registers = REGISTERS;
        registers.shuffle(&mut self.random);
        let count = self.random.random_range(1..=registers.len());
        let written = self.random.random_range(0..count);
        let mut steps = Vec::new();
        for (place, register) in registers[..count].iter().enumerate() {
            let reads = self.random.random_range(0..100) < 50;
            if reads && place != written {
                steps.push(read(group, register));
            } else {
                steps.push(write(group, register, self.next_value));
                self.next_value += 1;
            }
        }
        steps
    }
}

fn register(group: &Value, name: &str) -> Value {
    Value::text(format!("{group}{name}"))
}

fn read(group: &Value, name: &str) -> Value {
    Value::list([Value::text("r"), register(group, name), Value::Null])
}

fn write(group: &Value, name: &str, value: i64) -> Value {
    Value::list([Value::text("w"), register(group, name), value.into()])
}

/// Reads all registers of a group.
fn read_all(group: &Value) -> Invocation {
    let steps = REGISTERS.iter().map(|name| read(group, name)).collect();
    Invocation::transaction(steps)
}

impl Generator for Transactions {
    fn next_invocation(&mut self) -> Invocation {
        let place = self.groups.pick(&mut self.random);
        let group = self.groups.at(place).name.clone();
        self.groups.used(place);
        if self.random.random_range(0..100) < PERCENT_READ_ONLY {
            return read_all(&group);
        }
        if self.random.random_range(0..100) < PERCENT_GUARDED {
            let steps = self.replace(&group);
            return Invocation::guarded_transaction(steps);
        }
        let steps = self.read_and_write(&group);
        Invocation::transaction(steps)
    }

    fn next_read(&mut self) -> Option<Invocation> {
        let place = self.groups.pick(&mut self.random);
        Some(read_all(&self.groups.at(place).name))
    }

    fn completed(&mut self, _: &Invocation, _: &Completion) {}

    fn closing(&self) -> Vec<Closing> {
        let read = |group: &Value| Closing { invocation: read_all(group), until: Until::Answered };
        self.groups.names().iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_transaction_writes_a_register_once_and_no_value_is_written_twice() {
        let mut transactions = Transactions::new(5);
        let (mut written, mut of_several) = (HashSet::new(), 0);
        for _ in 0..5_000 {
            let invocation = transactions.next_invocation();
            let Value::List(steps) = &invocation.value else { panic!("{invocation:?}") };
            let mut registers = HashSet::new();
            for step in steps.iter() {
                let Value::List(parts) = step else { panic!("{step:?}") };
                let [function, register, value] = &parts[..] else { panic!("{step:?}") };
                let is_first = registers.insert(register.clone());
                assert!(is_first || invocation.guarded, "{invocation:?}");
                if *function == Value::text("w") {
                    assert!(written.insert(value.clone()), "{invocation:?}");
                }
            }
            of_several += usize::from(registers.len() > 1);
        }
        assert!(written.len() > 2_500 && of_several > 1_000, "{} {of_several}", written.len());
    }
}
