//! Small histories of transactions, drawn at random.

use std::fmt;

use partita_checker::{Event, EventKind, Function, Nanoseconds, ProcessId, Value};
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

/// How many histories a test draws: as many as the environment says, for longer runs.
pub(crate) fn count(usual: u64) -> u64 {
    let said = std::env::var("PARTITA_DRAWN").ok();
    said.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// A micro-operation; of a read, what it answered: the list, or at most one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Micro {
    Read(usize, Vec<i64>),
    Write(usize, i64),
}

#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    pub(crate) process: u32,
    pub(crate) invoked: u64,
    pub(crate) returned: u64,
    pub(crate) kind: EventKind,
    pub(crate) micro: Vec<Micro>,
}

#[derive(Debug, Clone)]
pub(crate) struct Drawn {
    pub(crate) lists: bool,
    pub(crate) transactions: Vec<Transaction>,
}

pub(crate) const KEYS: usize = 2;

impl Drawn {
    /// The history of that number: up to three transactions, sometimes four, of up to two
    /// micro-operations, sometimes three.
    pub(crate) fn new(seed: u64, lists: bool) -> Self {
        let random = &mut ChaCha8Rng::seed_from_u64(seed);
        let count = *[2, 3, 3, 3, 4].get(random.random_range(0..5)).unwrap();
        let most = if random.random_bool(0.3) { 3 } else { 2 };
        let mut written = vec![0; KEYS];
        let mut transactions: Vec<Transaction> = Vec::new();
        let processes = random.random_range(1..=count as u32);
        for _ in 0..count {
            let kind = match random.random_range(0..12) {
                0 => EventKind::Fail,
                1 | 2 => EventKind::Info,
                _ => EventKind::Ok,
            };
            let micro = (0..random.random_range(1..=most)).map(|_| {
                let key = random.random_range(0..KEYS);
                if random.random_bool(0.5) {
                    return Micro::Read(key, Vec::new());
                }
                written[key] += 1;
                Micro::Write(key, written[key])
            });
            let micro = micro.collect();
            transactions.push(Transaction { process: 0, invoked: 0, returned: 0, kind, micro });
        }
        let mut drawn = Self { lists, transactions };
        drawn.schedule(random, processes);
        drawn.answer(random, &written);
        drawn
    }

    /// Gives every transaction a process and times.
    fn schedule(&mut self, random: &mut ChaCha8Rng, processes: u32) {
        let mut names: Vec<u32> = (0..processes).collect();
        let mut next_name = processes;
        let mut open: Vec<Option<usize>> = vec![None; processes as usize];
        let (mut next, mut index) = (0, 0);
        while next < self.transactions.len() || open.iter().any(Option::is_some) {
            let lane = random.random_range(0..open.len());
            match open[lane].take() {
                Some(at) => {
                    self.transactions[at].returned = index;
                    if self.transactions[at].kind == EventKind::Info {
                        names[lane] = next_name;
                        next_name += 1;
                    }
                }
                None if next < self.transactions.len() => {
                    self.transactions[next].invoked = index;
                    self.transactions[next].process = names[lane];
                    open[lane] = Some(next);
                    next += 1;
                }
                None => continue,
            }
            index += 1;
        }
    }

    /// Gives reads answers: mostly a beginning of one order of the key's values, or the end of one,
    /// so that many histories have some level; sometimes anything.
    fn answer(&mut self, random: &mut ChaCha8Rng, written: &[i64]) {
        let mut orders: Vec<Vec<i64>> = written.iter().map(|last| (1..=*last).collect()).collect();
        for order in &mut orders {
            if random.random_bool(0.4) {
                order.shuffle(random);
            }
            if random.random_bool(0.4) {
                order.truncate(random.random_range(0..=order.len()));
            }
        }
        let lists = self.lists;
        for transaction in &mut self.transactions {
            let mut own: Vec<(usize, i64)> = Vec::new();
            for micro in &mut transaction.micro {
                match micro {
                    Micro::Write(key, value) => own.push((*key, *value)),
                    Micro::Read(key, answer) => {
                        let order = &orders[*key];
                        let mine: Vec<i64> =
                            own.iter().filter(|one| one.0 == *key).map(|one| one.1).collect();
                        *answer = order[..random.random_range(0..=order.len())].to_vec();
                        if random.random_bool(0.75) && !mine.is_empty() {
                            // Up to its own writes, as an honest store answers.
                            answer.retain(|value| !mine.contains(value));
                            let before = order.iter().position(|value| *value == mine[0]);
                            answer.truncate(before.unwrap_or(answer.len()));
                            answer.extend(&mine);
                        }
                        if random.random_bool(0.03) {
                            answer.push(99);
                        }
                        if !lists {
                            answer.drain(..answer.len().saturating_sub(1));
                        }
                    }
                }
            }
        }
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for one in &self.transactions {
            let event = |index, kind, answered| Event {
                index,
                time: Nanoseconds(index),
                process: ProcessId(one.process),
                kind,
                function: Function::Txn,
                key: Value::Null,
                value: self.value(one, answered),
                swapped: None,
                saw: None,
                node: None,
                error: None,
                level: None,
                revision: None,
            };
            events.push(event(one.invoked, EventKind::Invoke, false));
            events.push(event(one.returned, one.kind, one.kind == EventKind::Ok));
        }
        events.sort_by_key(|event| event.index);
        events
    }

    fn value(&self, transaction: &Transaction, answered: bool) -> Value {
        let micro = transaction.micro.iter().map(|micro| match micro {
            Micro::Write(key, value) => Value::list([
                Value::from(if self.lists { "append" } else { "w" }),
                Value::Integer(*key as i64),
                Value::Integer(*value),
            ]),
            Micro::Read(key, answer) => {
                let items: Vec<Value> = answer.iter().copied().map(Value::Integer).collect();
                let shown = match (answered, self.lists) {
                    (false, _) => Value::Null,
                    (true, true) => Value::list(items),
                    (true, false) => items.last().cloned().unwrap_or_default(),
                };
                Value::list([Value::from("r"), Value::Integer(*key as i64), shown])
            }
        });
        Value::list(micro.collect::<Vec<_>>())
    }
}

impl fmt::Display for Drawn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for one in &self.transactions {
            let Transaction { process, invoked, returned, kind, micro } = one;
            writeln!(out, "process {process}, {invoked} to {returned}, {kind:?}: {micro:?}")?;
        }
        Ok(())
    }
}
