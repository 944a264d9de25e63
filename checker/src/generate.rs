//! Makes histories of every object, linearizable or damaged on purpose, for tests and benchmarks.
//!
//! A [`Recipe`] says what history to make, of whatever object and shape; a [`Plan`] is the part of it
//! for registers, an [`ObjectPlan`] that for all other objects. All of them simulate clients of a real object that take turns at random: each operation is invoked, takes
//! effect at one moment and comes back, and between these moments others get their turns. So the
//! history is linearizable by construction, and as concurrent as there are clients. An operation of
//! unknown outcome takes effect before its client gives up, any time after, or never. With a
//! [`Fault`], the object misbehaves once. Everything random comes from the plan's seed. One step per
//! moment; memory by clients and by what the object holds, not by operations.
//!
//! Does not imitate the pace of a real store: times only grow.

mod fault;
mod objects;
mod random;
mod recipe;
mod shape;
mod transactions;

pub use fault::{Fault, UnknownFault};
pub use objects::{ObjectEvents, ObjectPlan};
pub use recipe::{Recipe, RecipeError};
pub use shape::{RecipeEvents, Shape, UnknownShape};
pub use transactions::{PlantedAnomaly, TransactionEvents, TransactionPlan, UnknownAnomaly};

use fault::{Injection, Store};
use random::{Stream, stream};

use std::sync::Arc;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::event::{Event, EventKind, Function, Nanoseconds, ProcessId};
use crate::value::Value;

/// What history to make.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// How many operations are invoked.
    pub operations: usize,
    /// How many clients are at work at once; at least 1.
    pub clients: u32,
    /// How many keys there are; at least 1.
    pub keys: u32,
    /// How likely each kind of operation is.
    pub mix: Mix,
    /// The share of operations whose outcome is unknown, from 0 to 1.
    pub unknown: f64,
    /// The share of operations that fail, from 0 to 1.
    pub failed: f64,
    /// How many distinct values are written; absent if every write writes a new one.
    pub values: Option<u32>,
    /// Whether a compare-and-set that does not match tells what it saw.
    pub tells: bool,
    /// What the register does wrong, if anything.
    pub fault: Option<Fault>,
    /// Where everything random comes from.
    pub seed: u64,
}

/// The weights of kinds of operations; one of them at least is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// Reads.
    pub reads: u32,
    /// Writes.
    pub writes: u32,
    /// Compare-and-sets, of which some match.
    pub swaps: u32,
    /// Deletes.
    pub deletes: u32,
}

impl Default for Plan {
    /// A thousand operations by ten clients on one key; half of them reads, all values new, all
    /// outcomes known.
    fn default() -> Self {
        Self {
            operations: 1_000,
            clients: 10,
            keys: 1,
            mix: Mix { reads: 50, writes: 30, swaps: 20, deletes: 0 },
            unknown: 0.0,
            failed: 0.0,
            values: None,
            tells: true,
            fault: None,
            seed: 0,
        }
    }
}

impl Plan {
    /// The events of the history, in order.
    ///
    /// # Panics
    ///
    /// If there are no clients, no keys, or all weights are 0.
    pub fn events(&self) -> Events {
        Events::new(self.clone())
    }
}

/// How many of the latest values a compare-and-set expects one of, if not the current one.
const RECENT: i64 = 8;

/// The events of a [`Plan`].
#[derive(Debug)]
pub struct Events {
    plan: Plan,
    random: ChaCha8Rng,
    index: u64,
    time: u64,
    left: usize,
    clients: Vec<Client>,
    next_process: u32,
    last_value: i64,
    registers: Registers,
    injection: Option<Injection<Registers>>,
    /// Operations whose clients gave up, and which may take effect yet.
    late: Vec<Task>,
}

/// What every register holds.
#[derive(Debug, Clone)]
struct Registers(Vec<Option<i64>>);

impl Store for Registers {
    type Task = Task;
    type Answer = Answer;

    fn perform(&mut self, task: &Task) -> Option<Answer> {
        let register = &mut self.0[task.key as usize];
        let held = *register;
        let swapped = matches!(task.kind, Kind::Swap(expected, _) if expected == held);
        match task.kind {
            Kind::Write(value) => *register = Some(value),
            Kind::Swap(_, new) if swapped => *register = Some(new),
            Kind::Delete => *register = None,
            Kind::Read | Kind::Swap(..) => {}
        }
        Some(Answer { swapped, held })
    }

    fn only_looks(task: &Task) -> bool {
        matches!(task.kind, Kind::Read)
    }

    fn is_acknowledged(task: &Task) -> bool {
        task.end == EventKind::Ok
    }
}

#[derive(Debug)]
struct Client {
    process: ProcessId,
    task: Option<Task>,
}

#[derive(Debug, Clone, Copy)]
struct Task {
    key: u32,
    kind: Kind,
    end: EventKind,
    /// What it answered, once it has taken effect.
    answer: Option<Answer>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Read,
    Write(i64),
    Swap(Option<i64>, i64),
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer {
    swapped: bool,
    held: Option<i64>,
}

impl Events {
    fn new(plan: Plan) -> Self {
        assert!(plan.clients > 0 && plan.keys > 0, "a plan needs clients and keys");
        let random = stream(plan.seed, Stream::Registers);
        let client = |process| Client { process: ProcessId(process), task: None };
        Self {
            random,
            index: 0,
            time: 0,
            left: plan.operations,
            clients: (0..plan.clients).map(client).collect(),
            next_process: plan.clients,
            last_value: 0,
            registers: Registers(vec![None; plan.keys as usize]),
            injection: plan
                .fault
                .map(|fault| Injection::new(fault, plan.operations, plan.clients, plan.keys)),
            late: Vec::new(),
            plan,
        }
    }

    fn invoke(&mut self, client: usize) -> Event {
        self.left -= 1;
        let key = self.random.random_range(0..self.plan.keys);
        let kind = self.kind(key);
        let end = if self.random.random_bool(self.plan.unknown) {
            EventKind::Info
        } else if self.random.random_bool(self.plan.failed) {
            EventKind::Fail
        } else {
            EventKind::Ok
        };
        let task = Task { key, kind, end, answer: None };
        self.clients[client].task = Some(task);
        let process = self.clients[client].process;
        self.event(process, EventKind::Invoke, task)
    }

    fn kind(&mut self, key: u32) -> Kind {
        let Mix { reads, writes, swaps, deletes } = self.plan.mix;
        let ticket = self.random.random_range(0..reads + writes + swaps + deletes);
        if ticket < reads {
            Kind::Read
        } else if ticket < reads + writes {
            Kind::Write(self.value())
        } else if ticket < reads + writes + swaps {
            let expected = if self.random.random_bool(0.5) {
                self.registers.0[key as usize]
            } else {
                let newest = self.plan.values.map_or(self.last_value, i64::from);
                let oldest = newest.saturating_sub(RECENT).max(0);
                Some(self.random.random_range(oldest..=newest)).filter(|&value| value > 0)
            };
            Kind::Swap(expected, self.value())
        } else {
            Kind::Delete
        }
    }

    fn value(&mut self) -> i64 {
        match self.plan.values {
            Some(values) => self.random.random_range(1..=i64::from(values)),
            None => {
                self.last_value += 1;
                self.last_value
            }
        }
    }

    fn perform(&mut self, task: Task) -> Option<Answer> {
        match &mut self.injection {
            Some(injection) => injection.perform(&mut self.registers, &task),
            None => self.registers.perform(&task),
        }
    }

    /// Gives one client its turn; an event may come of it.
    fn turn(&mut self) -> Option<Event> {
        self.wake_late();
        let client = self.random.random_range(0..self.clients.len());
        let Some(task) = self.clients[client].task else {
            if self.left > 0 {
                return Some(self.invoke(client));
            }
            self.clients.swap_remove(client);
            return None;
        };
        let happens = match task.end {
            EventKind::Ok => true,
            EventKind::Info => self.random.random_bool(0.4),
            EventKind::Fail | EventKind::Invoke => false,
        };
        if task.answer.is_none() && happens {
            let answer = self.perform(task);
            self.clients[client].task = Some(Task { answer, ..task });
            return None;
        }
        let process = self.clients[client].process;
        self.clients[client].task = None;
        if task.end == EventKind::Info {
            self.clients[client].process = ProcessId(self.next_process);
            self.next_process += 1;
            if task.answer.is_none() && self.random.random_bool(0.5) {
                self.late.push(task);
            }
        }
        Some(self.event(process, task.end, task))
    }

    fn wake_late(&mut self) {
        if !self.late.is_empty() && self.random.random_bool(0.05) {
            let chosen = self.random.random_range(0..self.late.len());
            let task = self.late.swap_remove(chosen);
            self.perform(task);
        }
    }

    fn event(&mut self, process: ProcessId, kind: EventKind, task: Task) -> Event {
        let integer = |value: Option<i64>| value.map_or(Value::Null, Value::Integer);
        let answer = task.answer.filter(|_| kind == EventKind::Ok);
        let (function, argument) = match task.kind {
            Kind::Read => (Function::Read, integer(answer.and_then(|answer| answer.held))),
            Kind::Write(value) => (Function::Write, Value::Integer(value)),
            Kind::Swap(expected, new) => {
                (Function::Cas, Value::list([integer(expected), Value::Integer(new)]))
            }
            Kind::Delete => (Function::Delete, Value::Null),
        };
        let answer = answer.filter(|_| function == Function::Cas);
        let mismatch = answer.filter(|answer| !answer.swapped && self.plan.tells);
        let (index, time) = (self.index, Nanoseconds(self.time));
        self.index += 1;
        self.time += self.random.random_range(1..100_000);
        Event {
            index,
            time,
            process,
            kind,
            function,
            key: self.key(task.key),
            value: argument,
            swapped: answer.map(|answer| answer.swapped),
            saw: mismatch.map(|answer| integer(answer.held)),
            node: None,
            error: None,
            level: None,
            revision: None,
        }
    }

    fn key(&self, key: u32) -> Value {
        if self.plan.keys == 1 { Value::Null } else { Value::Text(Arc::from(format!("k{key}"))) }
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        while !self.clients.is_empty() {
            if let Some(event) = self.turn() {
                return Some(event);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;

    #[test]
    fn same_seed_makes_the_same_history() {
        let plan = Plan { unknown: 0.1, failed: 0.1, keys: 3, ..Plan::default() };
        let events: Vec<Event> = plan.events().collect();
        assert_eq!(events, plan.events().collect::<Vec<_>>());
        let other = Plan { seed: 1, ..plan };
        assert_ne!(events, other.events().collect::<Vec<_>>());
    }

    #[test]
    fn plan_is_kept_to() {
        let plan = Plan { unknown: 0.1, failed: 0.2, ..Plan::default() };
        let history = History::from_events(plan.events()).unwrap();
        let counts = history.counts();
        assert_eq!(counts.invoked, 1_000);
        assert!((50..200).contains(&counts.info), "{counts:?}");
        assert!((100..300).contains(&counts.fail), "{counts:?}");
    }
}
