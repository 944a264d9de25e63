//! The `bank` workload: transfers between the accounts of a bank, and reads of all its accounts.
//!
//! Money is neither made nor lost, so every read shows the same total, whatever was going on; and a transfer
//! of more than an account holds is refused. A bank retires after a bounded number of operations, which
//! bounds the cost of a check: a transfer of unknown outcome has to be tried done and not done.

use partita_checker::Value;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::generator::{Closing, Generator, Until};
use crate::keys::Keys;
use crate::operation::{Completion, Invocation};
use crate::random::stream;

/// The accounts of a bank, by what their names end with.
const ACCOUNTS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Banks in use at a time.
const LIVE_BANKS: u32 = 4;

/// Operations on a bank before it retires.
const OPERATIONS_PER_BANK: u32 = 80;

/// How many of a hundred operations read all accounts.
const PERCENT_READS: u32 = 40;

/// How much goes from one account to another. It is so much in comparison with what an account holds in the
/// beginning that some accounts are empty before long.
const AMOUNT: std::ops::RangeInclusive<i64> = 1..=60;

/// Draws transfers and reads from a seed.
#[derive(Debug)]
pub struct Bank {
    random: ChaCha8Rng,
    banks: Keys<()>,
}

impl Bank {
    /// A generator that draws from the named stream of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut random = stream(seed, "bank");
        let banks = Keys::new(LIVE_BANKS, OPERATIONS_PER_BANK, &mut random);
        Self { random, banks }
    }
}

fn account(bank: &Value, name: &str) -> Value {
    Value::text(format!("{bank}{name}"))
}

fn read(bank: &Value) -> Invocation {
    Invocation::balances(bank.clone(), ACCOUNTS.map(|name| account(bank, name)).to_vec())
}

impl Generator for Bank {
    fn next_invocation(&mut self) -> Invocation {
        let place = self.banks.pick(&mut self.random);
        let bank = self.banks.at(place).name.clone();
        self.banks.used(place);
        if self.random.random_range(0..100) < PERCENT_READS {
            return read(&bank);
        }
        let from = self.random.random_range(0..ACCOUNTS.len());
        let further = self.random.random_range(1..ACCOUNTS.len());
        let to = (from + further) % ACCOUNTS.len();
        let amount = self.random.random_range(AMOUNT);
        let [from, to] = [from, to].map(|place| account(&bank, ACCOUNTS[place]));
        Invocation::transfer(bank, from, to, amount)
    }

    fn next_read(&mut self) -> Option<Invocation> {
        let place = self.banks.pick(&mut self.random);
        Some(read(&self.banks.at(place).name))
    }

    fn completed(&mut self, _: &Invocation, _: &Completion) {}

    fn closing(&self) -> Vec<Closing> {
        let closing = |bank: &Value| Closing { invocation: read(bank), until: Until::Answered };
        self.banks.names().iter().map(closing).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Kind;

    #[test]
    fn a_transfer_goes_from_one_account_of_a_bank_to_another() {
        let mut bank = Bank::new(5);
        let mut transfers = 0;
        for _ in 0..2_000 {
            let Invocation { kind, key, value, .. } = bank.next_invocation();
            let Value::List(parts) = value else { panic!("{value:?}") };
            if kind == Kind::Balances {
                assert_eq!(parts.len(), ACCOUNTS.len());
                continue;
            }
            let values: Vec<&Value> = parts
                .iter()
                .map(|part| match part {
                    Value::List(pair) => &pair[1],
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_ne!(values[0], values[1]);
            let of_bank = |name: &Value| name.to_string().starts_with(&key.to_string());
            assert!(of_bank(values[0]) && of_bank(values[1]), "{parts:?}");
            assert!(matches!(values[2], Value::Integer(1..=60)), "{parts:?}");
            transfers += 1;
        }
        assert!(transfers > 1_000, "{transfers}");
    }
}
