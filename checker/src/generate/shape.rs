//! The shapes that a history can have over time: all keys at once, one key after another, or with
//! bursts of faults.
//!
//! Works on the events of a plan as they are made, in memory by clients.

use std::fmt;
use std::str::FromStr;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rustc_hash::FxHashMap;
use thiserror::Error;

use super::random::{Stream, stream};
use super::{Events, ObjectEvents, Recipe};
use crate::event::{Event, EventKind, Function, Nanoseconds, ProcessId};
use crate::value::Value;

/// What a history looks like over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Shape {
    /// The same all the time, on all keys at once.
    #[default]
    Steady,
    /// One key after another, as in Jepsen's workloads, 200 operations on each.
    Jepsen,
    /// Ten times a network fault: for a tenth of the time in all, the outcome of half of the
    /// changes is lost.
    Bursts,
}

/// How many operations the shape [`Shape::Jepsen`] has on each key.
pub(super) const PER_KEY: usize = 200;

/// How many bursts there are in a history.
const BURSTS: u64 = 10;

/// The part of the time that bursts take: one in so many.
const CALM: u64 = 10;

impl Shape {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Steady, Self::Jepsen, Self::Bursts];

    /// The name that people give it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Jepsen => "jepsen",
            Self::Bursts => "bursts",
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// There is no shape of that name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected steady, jepsen or bursts; found `{name}`")]
pub struct UnknownShape {
    /// The name.
    pub name: String,
}

impl FromStr for Shape {
    type Err = UnknownShape;

    fn from_str(name: &str) -> Result<Self, UnknownShape> {
        let found = Self::ALL.into_iter().find(|shape| shape.name() == name);
        found.ok_or_else(|| UnknownShape { name: name.to_owned() })
    }
}

/// The events of a [`Recipe`], in order.
#[derive(Debug)]
pub struct RecipeEvents {
    recipe: Recipe,
    part: Part,
    /// How many operations the parts so far invoke.
    planned: usize,
    /// The key of the part, where keys come one after another.
    key: u32,
    /// What is added to indexes, times and processes of the part.
    base: Base,
    next: Base,
    burst: Option<Burst>,
}

/// The events of one plan.
#[derive(Debug)]
pub(super) enum Part {
    Registers(Box<Events>),
    Objects(Box<ObjectEvents>),
}

#[derive(Debug, Clone, Copy, Default)]
struct Base {
    index: u64,
    time: u64,
    process: u32,
}

impl RecipeEvents {
    pub(super) fn new(recipe: &Recipe) -> Self {
        let planned = recipe.part_size(0);
        Self {
            part: recipe.part(0, planned),
            planned,
            key: 0,
            base: Base::default(),
            next: Base::default(),
            burst: (recipe.shape == Shape::Bursts).then(|| Burst::new(recipe)),
            recipe: recipe.clone(),
        }
    }

    /// Begins with the next key, if operations are left.
    fn advance(&mut self) -> Option<()> {
        let size = self.recipe.part_size(self.planned);
        if size == 0 {
            return None;
        }
        self.key += 1;
        self.planned += size;
        self.part = self.recipe.part(self.key.into(), size);
        self.base = self.next;
        Some(())
    }

    fn place(&mut self, mut event: Event) -> Event {
        event.index += self.base.index;
        event.time = Nanoseconds(event.time.0 + self.base.time);
        event.process = ProcessId(event.process.0 + self.base.process);
        self.next = Base {
            index: event.index + 1,
            time: event.time.0 + 1,
            process: self.next.process.max(event.process.0 + 1),
        };
        if self.recipe.shape == Shape::Jepsen {
            event.key = Value::text(format!("k{}", self.key));
        }
        event
    }
}

impl Iterator for RecipeEvents {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            let event = match &mut self.part {
                Part::Registers(events) => events.next(),
                Part::Objects(events) => events.next(),
            };
            if let Some(event) = event {
                let event = self.place(event);
                return Some(match &mut self.burst {
                    Some(burst) => burst.pass(event),
                    None => event,
                });
            }
            self.advance()?;
        }
    }
}

/// Loses outcomes in bursts.
#[derive(Debug)]
struct Burst {
    random: ChaCha8Rng,
    /// How many events there are from one burst to the next.
    period: u64,
    /// Under which number a client goes on, and what it asked last.
    clients: FxHashMap<ProcessId, (ProcessId, Value)>,
    next: u32,
}

impl Burst {
    fn new(recipe: &Recipe) -> Self {
        let random = stream(recipe.seed, Stream::Bursts);
        let period = (2 * recipe.operations as u64 / BURSTS).max(1);
        Self { random, period, clients: FxHashMap::default(), next: 0 }
    }

    fn pass(&mut self, mut event: Event) -> Event {
        let inner = event.process;
        let (process, asked) = self.clients.entry(inner).or_insert_with(|| {
            self.next += 1;
            (ProcessId(self.next - 1), Value::Null)
        });
        event.process = *process;
        if event.kind == EventKind::Invoke {
            asked.clone_from(&event.value);
            return event;
        }
        let middle = self.period / 2;
        let moment = event.index % self.period;
        let is_burst = (middle..middle + (self.period / CALM).max(1)).contains(&moment);
        let looks = matches!(event.function, Function::Read | Function::Contains);
        let refused = event.swapped == Some(false);
        if is_burst
            && event.kind == EventKind::Ok
            && !looks
            && !refused
            && self.random.random_bool(0.5)
        {
            event.kind = EventKind::Info;
            event.value = std::mem::take(asked);
            (event.swapped, event.saw) = (None, None);
        }
        if event.kind == EventKind::Info {
            self.clients.remove(&inner);
        }
        event
    }
}
