//! Makes linearizable histories of all objects, for tests and benchmarks.
//!
//! As [`Plan`](super::Plan) does for registers: clients of a real object take turns at random, each
//! operation takes effect at one moment between its invocation and its completion, and one of
//! unknown outcome before its client gives up, any time after, or never. Values are new ones, or from
//! a small domain.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::fault::{Fault, Injection, Store};
use super::random::{Stream, stream};
use crate::event::{Event, EventKind, Function, Nanoseconds, ProcessId};
use crate::model::ModelKind;
use crate::value::Value;

/// What history to make.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectPlan {
    /// What the object is; for registers there is [`Plan`](super::Plan) besides.
    pub model: ModelKind,
    /// How many operations are invoked.
    pub operations: usize,
    /// How many clients are at work at once; at least 1.
    pub clients: u32,
    /// How many objects there are, each under a key of its own; at least 1.
    pub keys: u32,
    /// The share of operations that put something in, from 0 to 1; of locks and transactions it
    /// says nothing.
    pub puts: f64,
    /// The share of operations whose outcome is unknown, from 0 to 1.
    pub unknown: f64,
    /// The share of operations that fail, from 0 to 1.
    pub failed: f64,
    /// How many distinct values are put in; absent if every one is new.
    pub values: Option<u32>,
    /// Of sets: whether they are read whole, and never shrink.
    pub grows: bool,
    /// What the objects do wrong, if anything.
    pub fault: Option<Fault>,
    /// Where everything random comes from.
    pub seed: u64,
}

impl Default for ObjectPlan {
    /// A thousand operations on a queue by ten clients, with new values and known outcomes.
    fn default() -> Self {
        Self {
            model: ModelKind::Queue,
            operations: 1_000,
            clients: 10,
            keys: 1,
            puts: 0.5,
            unknown: 0.0,
            failed: 0.0,
            values: None,
            grows: false,
            fault: None,
            seed: 0,
        }
    }
}

impl ObjectPlan {
    /// The events of the history, in order.
    ///
    /// # Panics
    ///
    /// If there are no clients or no keys.
    pub fn events(&self) -> ObjectEvents {
        assert!(self.clients > 0 && self.keys > 0, "a plan needs clients and keys");
        let random = stream(self.seed, Stream::Objects);
        let client = |process| Client { process: ProcessId(process), task: None };
        ObjectEvents {
            random,
            index: 0,
            time: 0,
            left: self.operations,
            clients: (0..self.clients).map(client).collect(),
            next_process: self.clients,
            last: vec![0; self.keys as usize],
            objects: Objects {
                model: self.model,
                objects: vec![Object::default(); self.keys as usize],
            },
            injection: self
                .fault
                .map(|fault| Injection::new(fault, self.operations, self.clients, self.keys)),
            late: Vec::new(),
            plan: self.clone(),
        }
    }
}

/// Appends after which a put starts over, about: contents are as long as that.
const APPENDS_PER_PUT: u32 = 30;

/// How many registers transactions choose from.
const REGISTERS: i64 = 5;

/// How many turns a client waits for a lock before it gives up, about.
const PATIENCE: f64 = 200.0;

/// The events of an [`ObjectPlan`].
#[derive(Debug)]
pub struct ObjectEvents {
    plan: ObjectPlan,
    random: ChaCha8Rng,
    index: u64,
    time: u64,
    left: usize,
    clients: Vec<Client>,
    next_process: u32,
    /// The last new value of every key.
    last: Vec<i64>,
    objects: Objects,
    injection: Option<Injection<Objects>>,
    /// Operations whose clients gave up, and which may take effect yet.
    late: Vec<Task>,
}

#[derive(Debug)]
struct Client {
    process: ProcessId,
    task: Option<Task>,
}

#[derive(Debug, Clone)]
struct Task {
    key: usize,
    function: Function,
    argument: Value,
    end: EventKind,
    /// What it answered, once it has taken effect.
    answer: Option<Value>,
}

/// Objects of one kind, each under its key.
#[derive(Debug, Clone)]
struct Objects {
    model: ModelKind,
    objects: Vec<Object>,
}

/// Whatever the object is, what it holds.
#[derive(Debug, Clone, Default)]
struct Object {
    items: VecDeque<Value>,
    elements: BTreeSet<Value>,
    content: String,
    sum: i64,
    holder: Option<Value>,
    registers: BTreeMap<Value, Value>,
}

impl Object {
    /// What the operation answers; nothing if it cannot happen now.
    fn perform(&mut self, function: Function, argument: &Value) -> Option<Value> {
        let argument = argument.clone();
        Some(match function {
            Function::Enqueue | Function::Push => {
                self.items.push_back(argument.clone());
                argument
            }
            Function::Dequeue => self.items.pop_front().unwrap_or_default(),
            Function::Pop => self.items.pop_back().unwrap_or_default(),
            Function::Contains => Value::Bool(self.elements.contains(&argument)),
            Function::Remove => Value::Bool(self.elements.remove(&argument)),
            Function::Acquire if self.holder.is_some() => return None,
            Function::Acquire => {
                self.holder = Some(argument.clone());
                argument
            }
            Function::Release => {
                self.holder = None;
                argument
            }
            Function::Append => {
                self.content.push_str(piece(&argument));
                argument
            }
            Function::Write => {
                piece(&argument).clone_into(&mut self.content);
                argument
            }
            Function::Txn => self.transact(&argument),
            _ => argument,
        })
    }

    fn transact(&mut self, steps: &Value) -> Value {
        let Value::List(steps) = steps else { return Value::Null };
        let answered = steps.iter().map(|step| match step {
            Value::List(parts) => {
                let [function, register, value] = &**parts else { return step.clone() };
                let value = if *function == Value::from("w") {
                    self.registers.insert(register.clone(), value.clone());
                    value.clone()
                } else {
                    self.registers.get(register).cloned().unwrap_or_default()
                };
                Value::list([function.clone(), register.clone(), value])
            }
            step => step.clone(),
        });
        Value::list(answered.collect::<Vec<_>>())
    }
}

impl Store for Objects {
    type Task = Task;
    type Answer = Value;

    fn perform(&mut self, task: &Task) -> Option<Value> {
        let Task { function, argument, .. } = task;
        let object = &mut self.objects[task.key];
        Some(match (self.model, function) {
            (ModelKind::Counter, Function::Add) => {
                if let Value::Integer(amount) = argument {
                    object.sum += amount;
                }
                argument.clone()
            }
            (ModelKind::Counter, _) => Value::Integer(object.sum),
            (ModelKind::Append, Function::Read) => Value::text(object.content.as_str()),
            (ModelKind::Set, Function::Add) => {
                object.elements.insert(argument.clone());
                Value::Null
            }
            (ModelKind::Set, Function::Read) => {
                Value::list(object.elements.iter().cloned().collect::<Vec<_>>())
            }
            _ => return object.perform(*function, argument),
        })
    }

    fn only_looks(task: &Task) -> bool {
        match (task.function, &task.argument) {
            (Function::Read | Function::Contains, _) => true,
            (Function::Txn, Value::List(steps)) => steps.iter().all(|step| {
                matches!(step, Value::List(parts) if parts.first() == Some(&Value::from("r")))
            }),
            _ => false,
        }
    }

    fn is_acknowledged(task: &Task) -> bool {
        task.end == EventKind::Ok
    }
}

impl ObjectEvents {
    fn perform(&mut self, task: &Task) -> Option<Value> {
        match &mut self.injection {
            Some(injection) => injection.perform(&mut self.objects, task),
            None => self.objects.perform(task),
        }
    }

    fn value(&mut self, key: usize) -> i64 {
        match self.plan.values {
            Some(values) => self.random.random_range(1..=i64::from(values.max(1))),
            None => {
                self.last[key] += 1;
                self.last[key]
            }
        }
    }

    fn token(&mut self, key: usize) -> Value {
        let value = self.value(key);
        Value::text(format!("{value};"))
    }

    /// A value that was put in before, most likely lately.
    fn known(&mut self, key: usize) -> Value {
        let newest = self.plan.values.map_or(self.last[key], i64::from).max(1);
        let oldest = if self.random.random_bool(0.9) { (newest - 20).max(1) } else { 1 };
        Value::Integer(self.random.random_range(oldest..=newest))
    }

    fn choose(&mut self, process: ProcessId, key: usize) -> (Function, Value) {
        let first = self.random.random_bool(self.plan.puts);
        match self.plan.model {
            ModelKind::Queue if first => (Function::Enqueue, self.value(key).into()),
            ModelKind::Queue => (Function::Dequeue, Value::Null),
            ModelKind::Stack if first => (Function::Push, self.value(key).into()),
            ModelKind::Stack => (Function::Pop, Value::Null),
            ModelKind::Set if first => (Function::Add, self.value(key).into()),
            ModelKind::Set if self.plan.grows && self.random.random_bool(0.5) => {
                (Function::Read, Value::Null)
            }
            ModelKind::Set if !self.plan.grows && self.random.random_bool(0.4) => {
                (Function::Remove, self.known(key))
            }
            ModelKind::Set => (Function::Contains, self.known(key)),
            ModelKind::Counter if first => (Function::Add, Value::Integer(1)),
            ModelKind::Append if first => {
                let again = self.random.random_range(0..APPENDS_PER_PUT) == 0;
                (if again { Function::Write } else { Function::Append }, self.token(key))
            }
            ModelKind::Counter | ModelKind::Append => (Function::Read, Value::Null),
            ModelKind::Lock => {
                let own = Value::Integer(process.0.into());
                let held = self.objects.objects[key].holder.as_ref() == Some(&own);
                (if held { Function::Release } else { Function::Acquire }, own)
            }
            ModelKind::MultiRegister
            | ModelKind::Register
            | ModelKind::ListAppend
            | ModelKind::RwRegister => (Function::Txn, self.steps(key)),
        }
    }

    fn steps(&mut self, key: usize) -> Value {
        let count = self.random.random_range(1..=3);
        let steps = (0..count).map(|_| {
            let register = Value::Integer(self.random.random_range(0..REGISTERS));
            if self.random.random_bool(0.5) {
                Value::list([Value::from("r"), register, Value::Null])
            } else {
                Value::list([Value::from("w"), register, self.value(key).into()])
            }
        });
        Value::list(steps.collect::<Vec<_>>())
    }

    fn invoke(&mut self, client: usize) -> Event {
        self.left -= 1;
        let process = self.clients[client].process;
        let key = match self.plan.keys {
            1 => 0,
            keys => self.random.random_range(0..keys) as usize,
        };
        let (function, argument) = self.choose(process, key);
        let end = if self.random.random_bool(self.plan.unknown) {
            EventKind::Info
        } else if self.random.random_bool(self.plan.failed) {
            EventKind::Fail
        } else {
            EventKind::Ok
        };
        let task = Task { key, function, argument, end, answer: None };
        self.clients[client].task = Some(task.clone());
        self.event(process, EventKind::Invoke, &task)
    }

    /// Gives one client its turn; an event may come of it.
    fn turn(&mut self) -> Option<Event> {
        if !self.late.is_empty() && self.random.random_bool(0.05) {
            let chosen = self.random.random_range(0..self.late.len());
            let task = self.late.swap_remove(chosen);
            self.perform(&task);
        }
        let client = self.random.random_range(0..self.clients.len());
        let Some(task) = self.clients[client].task.clone() else {
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
            let answer = self.perform(&task);
            if answer.is_some() || !self.random.random_bool(1.0 / PATIENCE) {
                self.clients[client].task = Some(Task { answer, ..task });
                return None;
            }
            self.clients[client].task = None;
            return Some(self.event(self.clients[client].process, EventKind::Fail, &task));
        }
        Some(self.complete(client, task))
    }

    fn complete(&mut self, client: usize, task: Task) -> Event {
        let process = self.clients[client].process;
        self.clients[client].task = None;
        let event = self.event(process, task.end, &task);
        if task.end == EventKind::Info {
            self.clients[client].process = ProcessId(self.next_process);
            self.next_process += 1;
            if task.answer.is_none() && self.random.random_bool(0.5) {
                self.late.push(task);
            }
        }
        event
    }

    fn event(&mut self, process: ProcessId, kind: EventKind, task: &Task) -> Event {
        let answer = task.answer.clone().filter(|_| kind == EventKind::Ok);
        let (index, time) = (self.index, Nanoseconds(self.time));
        self.index += 1;
        self.time += self.random.random_range(1..100_000);
        Event {
            index,
            time,
            process,
            kind,
            function: task.function,
            key: if self.plan.keys == 1 {
                Value::Null
            } else {
                Value::text(format!("k{}", task.key))
            },
            value: answer.unwrap_or_else(|| task.argument.clone()),
            swapped: None,
            saw: None,
            node: None,
            error: None,
            level: None,
            revision: None,
        }
    }
}

impl Iterator for ObjectEvents {
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

/// What a put or append adds to a text.
fn piece(argument: &Value) -> &str {
    if let Value::Text(text) = argument { text } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Expected, History, Options, Verdict, check, verify};

    #[test]
    fn history_of_every_object_is_valid() {
        let kinds = crate::model::MODELS.iter().map(|entry| entry.kind);
        let objects = kinds.filter(|model| !model.is_transactional());
        for model in objects.filter(|&model| model != ModelKind::Register) {
            for seed in 0..5 {
                let plan = ObjectPlan {
                    model,
                    operations: 200,
                    clients: 4,
                    seed,
                    ..ObjectPlan::default()
                };
                let history = History::from_events(plan.events()).unwrap();
                let options = Options { model, ..Options::default() };
                let (analysis, certificate) = check(&history, &options, &|| false);
                assert_eq!(analysis.verdict, Verdict::Valid, "{model}: {:?}", analysis.reasons);
                let expected = Expected { model, initial: Value::Null, ..Expected::default() };
                assert_eq!(verify(&history, &certificate.unwrap(), &expected), Ok(()));
            }
        }
    }

    #[test]
    fn same_seed_makes_the_same_history() {
        let plan = ObjectPlan { unknown: 0.1, failed: 0.1, ..ObjectPlan::default() };
        let events: Vec<Event> = plan.events().collect();
        assert_eq!(events, plan.events().collect::<Vec<_>>());
        let other = ObjectPlan { seed: 1, ..plan };
        assert_ne!(events, other.events().collect::<Vec<_>>());
    }
}
