//! Decides whether the spans of one key are linearizable, for any [`Model`].
//!
//! Searches depth first for an order that the model accepts (Wing & Gong, *Testing and Verifying
//! Concurrent Objects*, 1993) and never enters the same pair of linearized set and state twice
//! (Lowe, *Testing for Linearizability*, 2017, §4). An operation of unknown outcome may be ordered
//! anywhere after its invocation, or left out. Visits at most n·2^c·s pairs for n operations, c
//! open at once and s states; every unknown outcome stays open to the end, so crashes raise c.
//!
//! An operation without an effect is ordered as soon as it is legal, and no other place is tried
//! for it: whatever order has it later can have it here. An operation of unknown outcome is not
//! considered where it changes nothing.
//!
//! Leaves out a breadth-first frontier, which copes better with many open operations, and the
//! pruning that goes with it. Does not fall back on recursion: histories may be long.

mod memo;
mod minimise;
mod timeline;

pub use minimise::minimise;

use super::Span;
use crate::model::Model;
use memo::{Memo, Pair};
use timeline::{Event, Timeline};

/// How many steps go by between two questions whether to stop.
const STEPS_PER_POLL: u64 = 4096;

/// What a search may use.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Bytes of memory for pairs seen before.
    pub memory: usize,
    /// Asked every few thousand steps; the search ends when it says true.
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// Linearizable in this order of places in the spans.
    Valid(Vec<u32>),
    /// No order exists.
    Violation {
        /// The position, as in [`Span::returned`], of the return that completes the proof: up to
        /// the event before there is an order.
        proven_at: u64,
    },
    /// The search ended early.
    Unknown {
        /// What ran out.
        cause: Cause,
        /// How many of the completed operations the longest order found held.
        ordered: usize,
        /// How many completed operations there are.
        completed: usize,
        /// The position of the last return up to which there surely is an order; 0 if no search
        /// along time said so.
        passed: u64,
    },
}

/// Why a search ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It was told to stop.
    Stopped,
    /// The memory for pairs seen before is full.
    Memory,
    /// The model gives one of the calls no meaning.
    NoMeaning,
}

/// Searches for an order of `spans`, which are sorted by invocation.
///
/// # Panics
///
/// With 2^30 spans or more.
pub fn search<M: Model>(model: &M, spans: &[Span], limits: &Limits<'_>) -> Search {
    let completed = spans.iter().filter(|span| span.is_completed()).count();
    if spans.iter().any(|span| !model.knows(span.call)) {
        return Search::Unknown { cause: Cause::NoMeaning, ordered: 0, completed, passed: 0 };
    }
    Searcher::new(model, spans, completed).run(limits)
}

/// A step that the search took, and can take back.
struct Step {
    span: u32,
    state_before: u32,
}

struct Searcher<'a, M: Model> {
    model: &'a M,
    spans: &'a [Span],
    timeline: Timeline,
    memo: Memo<M::State>,
    pair: Pair,
    steps: Vec<Step>,
    completed: usize,
    /// Completed operations that are in no step yet.
    left: usize,
    fewest_left: usize,
    /// The latest return at which the search was stuck.
    stuck_at: u64,
}

impl<'a, M: Model> Searcher<'a, M> {
    fn new(model: &'a M, spans: &'a [Span], completed: usize) -> Self {
        let mut memo = Memo::default();
        let state = memo.intern(&model.initial());
        Self {
            model,
            spans,
            timeline: Timeline::new(spans),
            memo,
            pair: Pair::new(spans, state),
            steps: Vec::with_capacity(spans.len()),
            completed,
            left: completed,
            fewest_left: completed,
            stuck_at: 0,
        }
    }

    fn run(mut self, limits: &Limits<'_>) -> Search {
        let mut at = self.timeline.first();
        let mut count: u64 = 0;
        while self.left > 0 {
            count += 1;
            if count.is_multiple_of(STEPS_PER_POLL) && (limits.stop)() {
                return self.unknown(Cause::Stopped);
            }
            if self.memo.bytes() > limits.memory {
                return self.unknown(Cause::Memory);
            }
            at = match self.timeline.event(at) {
                Event::Invoked(span) if self.take(span) => self.timeline.first(),
                Event::Invoked(_) => self.timeline.after(at),
                // Everything that can take effect before this return was tried.
                Event::Returned(span) => {
                    self.stuck_at = self.stuck_at.max(self.spans[span as usize].returned);
                    match self.take_back() {
                        Some(span) => self.timeline.after(Timeline::invocation(span)),
                        None => return Search::Violation { proven_at: self.stuck_at },
                    }
                }
            };
        }
        Search::Valid(self.steps.iter().map(|step| step.span).collect())
    }

    /// Orders the operation next, if the model accepts it and that leads to a new pair.
    fn take(&mut self, number: u32) -> bool {
        let span = &self.spans[number as usize];
        let before = self.pair.state;
        let Some(state) = self.model.step(self.memo.state(before), span.call) else {
            return false;
        };
        let state = self.memo.intern(&state);
        if state == before && !span.is_completed() {
            return false;
        }
        self.pair.insert(number);
        self.pair.state = state;
        if !self.memo.insert(&self.pair) {
            self.pair.remove(number);
            self.pair.state = before;
            return false;
        }
        self.timeline.lift(number, span.is_completed());
        self.steps.push(Step { span: number, state_before: before });
        if span.is_completed() {
            self.left -= 1;
            self.fewest_left = self.fewest_left.min(self.left);
        }
        true
    }

    /// Takes back the last step to which there is an alternative, with all after it.
    fn take_back(&mut self) -> Option<u32> {
        loop {
            let step = self.steps.pop()?;
            let span = &self.spans[step.span as usize];
            self.pair.remove(step.span);
            self.pair.state = step.state_before;
            self.timeline.put_back(step.span, span.is_completed());
            if span.is_completed() {
                self.left += 1;
            }
            if !self.model.is_pure(span.call) {
                return Some(step.span);
            }
        }
    }

    fn unknown(&self, cause: Cause) -> Search {
        let ordered = self.completed - self.fewest_left;
        Search::Unknown { cause, ordered, completed: self.completed, passed: 0 }
    }
}
