//! A complete search for an order of operations, for what no faster way decides: depth first, with a
//! memory of where it has been, within a budget.
//!
//! The operations are a partial order: each has operations that must come before it, if they come at
//! all. A [`Machine`] says what each may do in a state. What changes nothing is taken as soon as it
//! is possible, which loses no order: it is in nobody's way. Of unknown outcome an operation may be
//! left out, so that nothing must come after it.

use std::collections::BTreeSet;
use std::hash::Hash;

use rustc_hash::FxHashSet;

use crate::engines::wgl::Limits;
use crate::engines::{Cancellation, Stopped};

/// What operations do, by their numbers.
pub(super) trait Machine {
    /// What they do it to.
    type State: Clone + Eq + Hash;
    /// The state after `item`, if it is possible in `state`.
    fn step(&self, state: &Self::State, item: u32) -> Option<Self::State>;
    /// Whether it changes no state.
    fn is_pure(&self, item: u32) -> bool;
    /// About how many bytes a state takes beyond its own size.
    fn heap_bytes(&self, state: &Self::State) -> usize;
}

/// The operations and what must come before what.
#[derive(Debug, Default)]
pub(super) struct Problem {
    /// The object of each operation.
    pub object: Vec<u32>,
    /// Whether it has to take effect.
    pub required: Vec<bool>,
    /// The operations that come after each.
    pub after: Vec<Vec<u32>>,
    /// How many come before each.
    pub before: Vec<u32>,
}

impl Problem {
    /// Adds an operation; its number.
    pub(super) fn add(&mut self, object: u32, required: bool) -> u32 {
        let item = self.object.len() as u32;
        self.object.push(object);
        self.required.push(required);
        self.after.push(Vec::new());
        self.before.push(0);
        item
    }

    /// Demands that `first` comes before `second`.
    pub(super) fn order(&mut self, first: u32, second: u32) {
        self.after[first as usize].push(second);
        self.before[second as usize] += 1;
    }
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// An order of all operations that are required, and some others.
    Order(Vec<u32>),
    /// There is none.
    None,
    /// The budget ran out; at most so many of the required operations fitted into an order.
    Unknown(usize),
}

/// Searches an order of `problem`'s operations that `machine` accepts from the states `initial` on.
pub(super) fn search<M: Machine>(
    problem: &Problem,
    machine: &M,
    initial: Vec<M::State>,
    limits: &Limits<'_>,
) -> Answer {
    let words = problem.object.len().div_ceil(64);
    let ready = (0..problem.object.len() as u32).filter(|&it| problem.before[it as usize] == 0);
    let mut search = Search {
        ready: ready.collect(),
        waits: problem.before.clone(),
        left: problem.required.iter().filter(|required| **required).count(),
        states: initial,
        done: vec![0; words],
        trail: Vec::new(),
        frames: Vec::new(),
        seen: FxHashSet::default(),
        bytes: 0,
        best: 0,
        problem,
        machine,
    };
    let cancellation = Cancellation::new(limits.stop);
    match search.run(limits.memory, &cancellation) {
        Ok(true) => Answer::Order(search.trail.iter().map(|(item, _)| *item).collect()),
        Ok(false) => Answer::None,
        Err(Stopped) => Answer::Unknown(search.best),
    }
}

/// A place where there was a choice.
struct Frame {
    choices: Vec<u32>,
    /// How many operations had been taken.
    taken: usize,
}

type Seen<S> = (Box<[u64]>, Box<[S]>);

struct Search<'a, M: Machine> {
    problem: &'a Problem,
    machine: &'a M,
    /// What may come next.
    ready: BTreeSet<u32>,
    /// How many operations each still waits for.
    waits: Vec<u32>,
    /// How many required operations are left.
    left: usize,
    states: Vec<M::State>,
    done: Vec<u64>,
    /// What was taken, each with the state before it if it changed that.
    trail: Vec<(u32, Option<M::State>)>,
    frames: Vec<Frame>,
    seen: FxHashSet<Seen<M::State>>,
    bytes: usize,
    best: usize,
}

impl<M: Machine> Search<'_, M> {
    fn run(&mut self, memory: usize, cancellation: &Cancellation<'_>) -> Result<bool, Stopped> {
        let required = self.left;
        loop {
            cancellation.step()?;
            self.take_pure(cancellation)?;
            if self.left == 0 {
                return Ok(true);
            }
            self.best = self.best.max(required - self.left);
            if self.is_new() {
                if self.bytes > memory {
                    return Err(Stopped);
                }
                let choices = self.choices();
                self.frames.push(Frame { choices, taken: self.trail.len() });
            }
            loop {
                let Some(frame) = self.frames.last_mut() else { return Ok(false) };
                let (next, taken) = (frame.choices.pop(), frame.taken);
                while self.trail.len() > taken {
                    self.give_back();
                }
                if let Some(item) = next {
                    self.take(item);
                    break;
                }
                self.frames.pop();
            }
        }
    }

    /// Takes all that changes nothing and is possible now.
    fn take_pure(&mut self, cancellation: &Cancellation<'_>) -> Result<(), Stopped> {
        loop {
            cancellation.spend(self.ready.len())?;
            let possible = |&&item: &&u32| {
                let state = &self.states[self.problem.object[item as usize] as usize];
                self.machine.is_pure(item) && self.machine.step(state, item).is_some()
            };
            let found: Vec<u32> = self.ready.iter().filter(possible).copied().collect();
            if found.is_empty() {
                return Ok(());
            }
            for item in found {
                self.take(item);
            }
        }
    }

    /// What may be taken next and changes something, the last first.
    fn choices(&self) -> Vec<u32> {
        let possible = |&&item: &&u32| {
            let state = &self.states[self.problem.object[item as usize] as usize];
            let after =
                if self.machine.is_pure(item) { None } else { self.machine.step(state, item) };
            match after {
                Some(after) => self.problem.required[item as usize] || after != *state,
                None => false,
            }
        };
        self.ready.iter().rev().filter(possible).copied().collect()
    }

    fn is_new(&mut self) -> bool {
        let heap: usize = self.states.iter().map(|state| self.machine.heap_bytes(state)).sum();
        let size = size_of::<Seen<M::State>>() + size_of_val(&*self.states) + heap;
        let here = (self.done.clone().into_boxed_slice(), self.states.clone().into_boxed_slice());
        let is_new = self.seen.insert(here);
        if is_new {
            self.bytes += size + self.done.len() * 8 + 16;
        }
        is_new
    }

    fn take(&mut self, item: u32) {
        let place = item as usize;
        let state = &mut self.states[self.problem.object[place] as usize];
        let after = self.machine.step(state, item).expect("it was possible");
        let before = (after != *state).then(|| std::mem::replace(state, after));
        self.trail.push((item, before));
        self.done[place / 64] |= 1 << (place % 64);
        self.left -= usize::from(self.problem.required[place]);
        self.ready.remove(&item);
        for &next in &self.problem.after[place] {
            self.waits[next as usize] -= 1;
            if self.waits[next as usize] == 0 {
                self.ready.insert(next);
            }
        }
    }

    fn give_back(&mut self) {
        let Some((item, before)) = self.trail.pop() else { return };
        let place = item as usize;
        if let Some(before) = before {
            self.states[self.problem.object[place] as usize] = before;
        }
        self.done[place / 64] &= !(1 << (place % 64));
        self.left += usize::from(self.problem.required[place]);
        for &next in &self.problem.after[place] {
            if self.waits[next as usize] == 0 {
                self.ready.remove(&next);
            }
            self.waits[next as usize] += 1;
        }
        self.ready.insert(item);
    }
}
