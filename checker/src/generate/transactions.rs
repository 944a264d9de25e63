//! Histories of transactions over lists or registers.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rustc_hash::FxHashMap;

use crate::event::{Event, EventKind, Function, Nanoseconds, ProcessId};
use crate::value::Value;

/// What history of transactions to make. They take effect one after another, each between its
/// invocation and its return, unless an anomaly is planted.
#[derive(Debug, Clone, PartialEq)]
pub struct TransactionPlan {
    /// Whether keys hold lists, which are appended to, or registers.
    pub lists: bool,
    /// How many transactions are invoked.
    pub transactions: usize,
    /// The most micro-operations of a transaction; at least 1.
    pub micro_operations: u32,
    /// How many clients are at work at once; at least 1.
    pub clients: u32,
    /// How many keys are in use at once; at least 1.
    pub keys: u32,
    /// After how many writes a key is given up for a new one; at least 1.
    pub writes_per_key: u32,
    /// The share of micro-operations that are reads, from 0 to 1.
    pub reads: f64,
    /// The share of transactions whose outcome is unknown, from 0 to 1.
    pub unknown: f64,
    /// The share of transactions that fail, from 0 to 1.
    pub failed: f64,
    /// What goes wrong, in the middle of the history.
    pub anomaly: Option<PlantedAnomaly>,
    /// Where everything random comes from.
    pub seed: u64,
}

/// What can go wrong in a history that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlantedAnomaly {
    /// Two transactions overwrite each other: G0.
    DirtyWrite,
    /// What an aborted transaction wrote is read: G1a.
    AbortedRead,
    /// What is replaced by its own writer is read: G1b.
    IntermediateRead,
    /// Two transactions read from each other: G1c.
    CircularFlow,
    /// A transaction is seen in part: G-single.
    ReadSkew,
    /// Two transactions replace the same version: lost update.
    LostUpdate,
    /// Two transactions read what the other overwrites.
    WriteSkew,
    /// Two readers see two writers in different orders.
    LongFork,
    /// What was written before is missed: G-single-realtime.
    StaleRead,
    /// A process misses what it wrote itself: G-single-process.
    ForgottenWrite,
}

impl PlantedAnomaly {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::DirtyWrite,
        Self::AbortedRead,
        Self::IntermediateRead,
        Self::CircularFlow,
        Self::ReadSkew,
        Self::LostUpdate,
        Self::WriteSkew,
        Self::LongFork,
        Self::StaleRead,
        Self::ForgottenWrite,
    ];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DirtyWrite => "dirty-write",
            Self::AbortedRead => "aborted-read",
            Self::IntermediateRead => "intermediate-read",
            Self::CircularFlow => "circular-flow",
            Self::ReadSkew => "read-skew",
            Self::LostUpdate => "lost-update",
            Self::WriteSkew => "write-skew",
            Self::LongFork => "long-fork",
            Self::StaleRead => "stale-read",
            Self::ForgottenWrite => "forgotten-write",
        }
    }

    /// The transactions that show it: the process of each, what it does to the keys 0 and 1, what it
    /// answers, and how it ends. They overlap, but for those of one process and those after a pause.
    fn script(self) -> &'static [Scripted] {
        match self {
            Self::DirtyWrite => &DIRTY_WRITE,
            Self::AbortedRead => &ABORTED_READ,
            Self::IntermediateRead => &INTERMEDIATE_READ,
            Self::CircularFlow => &CIRCULAR_FLOW,
            Self::ReadSkew => &READ_SKEW,
            Self::LostUpdate => &LOST_UPDATE,
            Self::WriteSkew => &WRITE_SKEW,
            Self::LongFork => &LONG_FORK,
            Self::StaleRead => &STALE_READ,
            Self::ForgottenWrite => &FORGOTTEN_WRITE,
        }
    }
}

/// There is no anomaly of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an anomaly of transactions; found `{0}`")]
pub struct UnknownAnomaly(pub String);

impl FromStr for PlantedAnomaly {
    type Err = UnknownAnomaly;

    fn from_str(name: &str) -> Result<Self, UnknownAnomaly> {
        let found = Self::ALL.into_iter().find(|anomaly| anomaly.name() == name);
        found.ok_or_else(|| UnknownAnomaly(name.to_owned()))
    }
}

impl fmt::Display for PlantedAnomaly {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A transaction of a script.
struct Scripted {
    process: u32,
    /// Those of a round overlap, those of a later one are invoked after they have returned.
    round: u32,
    micro: &'static [Micro],
    kind: EventKind,
}

#[derive(Clone, Copy)]
enum Micro {
    /// Reads the list, or its last element.
    Read(u32, &'static [i64]),
    Write(u32, i64),
}

use Micro::{Read, Write};

const fn one(process: u32, round: u32, micro: &'static [Micro]) -> Scripted {
    Scripted { process, round, micro, kind: EventKind::Ok }
}

const DIRTY_WRITE: [Scripted; 3] = [
    one(0, 0, &[Write(0, 1), Write(1, 1)]),
    one(1, 0, &[Write(0, 2), Write(1, 2)]),
    one(2, 1, &[Read(0, &[1, 2]), Read(1, &[2, 1])]),
];
const ABORTED_READ: [Scripted; 2] =
    [Scripted { kind: EventKind::Fail, ..one(0, 0, &[Write(0, 1)]) }, one(1, 0, &[Read(0, &[1])])];
const INTERMEDIATE_READ: [Scripted; 2] =
    [one(0, 0, &[Write(0, 1), Write(0, 2)]), one(1, 0, &[Read(0, &[1])])];
const CIRCULAR_FLOW: [Scripted; 2] =
    [one(0, 0, &[Write(0, 1), Read(1, &[1])]), one(1, 0, &[Write(1, 1), Read(0, &[1])])];
const READ_SKEW: [Scripted; 2] =
    [one(0, 0, &[Write(0, 1), Write(1, 1)]), one(1, 0, &[Read(0, &[1]), Read(1, &[])])];
const LOST_UPDATE: [Scripted; 3] = [
    one(0, 0, &[Read(0, &[]), Write(0, 1)]),
    one(1, 0, &[Read(0, &[]), Write(0, 2)]),
    one(2, 1, &[Read(0, &[1, 2])]),
];
const WRITE_SKEW: [Scripted; 3] = [
    one(0, 0, &[Read(0, &[]), Write(1, 1)]),
    one(1, 0, &[Read(1, &[]), Write(0, 1)]),
    one(2, 1, &[Read(0, &[1]), Read(1, &[1])]),
];
const LONG_FORK: [Scripted; 4] = [
    one(0, 0, &[Write(0, 1)]),
    one(1, 0, &[Write(1, 1)]),
    one(2, 0, &[Read(0, &[1]), Read(1, &[])]),
    one(3, 0, &[Read(0, &[]), Read(1, &[1])]),
];
const STALE_READ: [Scripted; 2] = [one(0, 0, &[Write(0, 1)]), one(1, 1, &[Read(0, &[])])];
const FORGOTTEN_WRITE: [Scripted; 2] = [one(0, 0, &[Write(0, 1)]), one(0, 1, &[Read(0, &[])])];

impl TransactionPlan {
    /// A plan like those of Elle's users: up to four micro-operations, half of them reads, ten keys
    /// that get 32 writes each.
    pub const fn new(lists: bool) -> Self {
        Self {
            lists,
            transactions: 1000,
            micro_operations: 4,
            clients: 10,
            keys: 10,
            writes_per_key: 32,
            reads: 0.5,
            unknown: 0.0,
            failed: 0.0,
            anomaly: None,
            seed: 0,
        }
    }

    /// The events of the history, in order, made as they are asked for.
    ///
    /// # Panics
    ///
    /// If there is no client, key or micro-operation.
    pub fn events(&self) -> TransactionEvents {
        assert!(self.clients > 0 && self.keys > 0 && self.micro_operations > 0, "nothing to do");
        TransactionEvents {
            plan: self.clone(),
            random: ChaCha8Rng::seed_from_u64(self.seed),
            index: 0,
            begun: 0,
            clients: (0..self.clients).map(Client::idle).collect(),
            next_process: self.clients,
            keys: (0..i64::from(self.keys)).map(|key| (key, 0)).collect(),
            next_key: i64::from(self.keys),
            store: FxHashMap::default(),
            late: Vec::new(),
            ready: VecDeque::new(),
        }
    }
}

/// What a client is at.
struct Client {
    process: u32,
    open: Option<Open>,
}

/// A transaction that has not returned: what it asks for, and once it took effect, its answer.
struct Open {
    asked: Vec<Value>,
    answer: Option<Vec<Value>>,
    end: EventKind,
}

impl Client {
    const fn idle(process: u32) -> Self {
        Self { process, open: None }
    }
}

/// See [`TransactionPlan::events`].
pub struct TransactionEvents {
    plan: TransactionPlan,
    random: ChaCha8Rng,
    index: u64,
    begun: usize,
    clients: Vec<Client>,
    next_process: u32,
    /// The keys in use, with how often each was written.
    keys: Vec<(i64, i64)>,
    next_key: i64,
    store: FxHashMap<i64, Vec<Value>>,
    /// Transactions that take effect after their clients gave up.
    late: Vec<Vec<Value>>,
    ready: VecDeque<Event>,
}

impl Iterator for TransactionEvents {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        while self.ready.is_empty() {
            if self.begun >= self.plan.transactions
                && self.clients.iter().all(|client| client.open.is_none())
            {
                return None;
            }
            self.turn();
        }
        self.ready.pop_front()
    }
}

impl TransactionEvents {
    /// One of the clients goes a step further.
    fn turn(&mut self) {
        if self.plan.anomaly.is_some() && self.begun >= self.plan.transactions / 2 {
            self.plant();
        }
        let number = self.random.random_range(0..self.clients.len());
        match self.clients[number].open.take() {
            None if self.begun < self.plan.transactions => self.begin(number),
            None => {}
            Some(open) if open.answer.is_none() => self.take_effect(number, open),
            Some(open) => self.end(number, open),
        }
    }

    fn begin(&mut self, number: usize) {
        self.begun += 1;
        let count = self.random.random_range(1..=self.plan.micro_operations);
        let asked: Vec<Value> = (0..count).map(|_| self.micro()).collect();
        let draw: f64 = self.random.random();
        let end = if draw < self.plan.unknown {
            EventKind::Info
        } else if draw < self.plan.unknown + self.plan.failed {
            EventKind::Fail
        } else {
            EventKind::Ok
        };
        let process = self.clients[number].process;
        self.push(process, EventKind::Invoke, &asked);
        self.clients[number].open = Some(Open { asked, answer: None, end });
    }

    fn micro(&mut self) -> Value {
        let place = self.random.random_range(0..self.keys.len());
        let key = self.keys[place].0;
        if self.random.random_bool(self.plan.reads) {
            return Value::list([Value::from("r"), Value::Integer(key), Value::Null]);
        }
        self.keys[place].1 += 1;
        let value = self.keys[place].1;
        if value >= i64::from(self.plan.writes_per_key) {
            self.keys[place] = (self.next_key, 0);
            self.next_key += 1;
        }
        self.write(key, value)
    }

    fn write(&self, key: i64, value: i64) -> Value {
        let name = if self.plan.lists { "append" } else { "w" };
        Value::list([Value::from(name), Value::Integer(key), Value::Integer(value)])
    }

    fn take_effect(&mut self, number: usize, open: Open) {
        let happens = match open.end {
            EventKind::Fail => false,
            EventKind::Info => self.random.random_bool(0.5),
            _ => true,
        };
        let answer = if happens {
            self.apply(&open.asked)
        } else {
            if open.end == EventKind::Info && self.random.random_bool(0.5) {
                self.late.push(open.asked.clone());
            }
            open.asked.clone()
        };
        if !self.late.is_empty() && self.random.random_bool(0.1) {
            let late = self.late.swap_remove(0);
            self.apply(&late);
        }
        self.clients[number].open = Some(Open { answer: Some(answer), ..open });
    }

    /// Executes micro-operations; the answer.
    fn apply(&mut self, asked: &[Value]) -> Vec<Value> {
        let mut answer = Vec::with_capacity(asked.len());
        for item in asked {
            let Value::List(parts) = item else { continue };
            let [name, Value::Integer(key), value] = &**parts else { continue };
            let held = self.store.entry(*key).or_default();
            if value.is_null() {
                let shown = match self.plan.lists {
                    true => Value::list(held.clone()),
                    false => held.last().cloned().unwrap_or_default(),
                };
                answer.push(Value::list([name.clone(), Value::Integer(*key), shown]));
            } else {
                held.push(value.clone());
                answer.push(item.clone());
            }
        }
        answer
    }

    fn end(&mut self, number: usize, open: Open) {
        let process = self.clients[number].process;
        let said = open.answer.filter(|_| open.end == EventKind::Ok).unwrap_or(open.asked);
        self.push(process, open.end, &said);
        if open.end == EventKind::Info {
            self.clients[number].process = self.next_process;
            self.next_process += 1;
        }
    }

    fn push(&mut self, process: u32, kind: EventKind, micro: &[Value]) {
        self.ready.push_back(Event {
            index: self.index,
            time: Nanoseconds(self.index * 1_000),
            process: ProcessId(process),
            kind,
            function: Function::Txn,
            key: Value::Null,
            value: Value::list(micro.to_vec()),
            swapped: None,
            saw: None,
            node: None,
            error: None,
            level: None,
            revision: None,
        });
        self.index += 1;
    }

    /// Plays the script of the anomaly on two keys of its own.
    fn plant(&mut self) {
        let Some(anomaly) = self.plan.anomaly.take() else { return };
        let script = anomaly.script();
        let (keys, process) = (self.next_key, self.next_process);
        self.next_key += 2;
        self.next_process += 4;
        for round in 0..=1 {
            let of_round = || script.iter().filter(|one| one.round == round);
            for one in of_round() {
                let asked = self.scripted(one, keys, false);
                self.push(process + one.process, EventKind::Invoke, &asked);
            }
            for one in of_round() {
                let answer = self.scripted(one, keys, one.kind == EventKind::Ok);
                self.push(process + one.process, one.kind, &answer);
            }
        }
    }

    fn scripted(&self, one: &Scripted, keys: i64, answered: bool) -> Vec<Value> {
        let micro = one.micro.iter().map(|micro| match *micro {
            Micro::Write(key, value) => self.write(keys + i64::from(key), value),
            Micro::Read(key, shown) => {
                let shown: Vec<Value> = shown.iter().copied().map(Value::Integer).collect();
                let shown = match (answered, self.plan.lists) {
                    (false, _) => Value::Null,
                    (true, true) => Value::list(shown),
                    (true, false) => shown.last().cloned().unwrap_or_default(),
                };
                Value::list([Value::from("r"), Value::Integer(keys + i64::from(key)), shown])
            }
        });
        micro.collect()
    }
}
