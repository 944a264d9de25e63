//! Decides whether the spans of one key are linearizable, for any [`Model`].
//!
//! Searches depth first for an order that the model accepts (Wing & Gong, *Testing and Verifying
//! Concurrent Objects*, 1993) and never enters the same pair of linearized set and state twice
//! (Lowe, *Testing for Linearizability*, 2017, §4). An operation of unknown outcome may be ordered
//! anywhere after its invocation, or left out. Visits at most n·2^c·s pairs for n operations, c
//! open at once and s states; every unknown outcome stays open to the end, so crashes raise c.
//!
//! What is not tried, and why nothing is lost:
//!
//! - An operation without an effect ([`Model::is_pure`]) is ordered as soon as it is legal, and no
//!   other place is tried for it: whatever order has it later can have it here.
//! - Of open operations that ask and answer the same, the one that returns first is tried, of
//!   unknown ones the one invoked first: in an order that has another one here, the two can change
//!   places. An unknown one is not tried where a completed one that asks the same does the same:
//!   they can change places too, or the unknown one be left out.
//! - An operation of unknown outcome is not considered where it changes nothing, and a pair is not
//!   entered if one with the same state and completed operations and fewer unknown ones was: what
//!   follows the one can follow the other.
//!
//! Memory for pairs is bounded. Beyond, the search goes on without remembering more, for some time:
//! it may then do work twice, but what it says holds.
//!
//! Leaves out what [frontier](super::frontier) does beside it: blind writes hidden by others, and
//! looking ahead. Does not fall back on recursion: histories may be long.

mod memo;
mod minimise;
mod timeline;

pub use minimise::minimise;

use rustc_hash::FxHashMap;

use super::Span;
use crate::history::Action;
use crate::model::Model;
use memo::{Memo, Pair};
use timeline::{Event, Timeline};

/// How many steps go by between two questions whether to stop.
const STEPS_PER_POLL: u64 = 1_024;

/// What a search may use.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Bytes of memory that the search may use.
    pub memory: usize,
    /// Asked every thousand steps or so; the search ends when it says true.
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
    /// The memory is used up.
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
    Searcher::new(model, spans, completed, limits.memory).run(limits)
}

/// How many steps a search goes on once its memory is full, at least, and as a multiple of those
/// before.
const STEPS_BEYOND: u64 = 1_000_000;
const MULTIPLE_BEYOND: u64 = 8;

/// The number of a call that occurs once.
const SINGLE: u32 = u32::MAX;

/// Bytes of a step.
const STEP: usize = size_of::<Step>();

/// For every span a number that it shares with those that ask the same, if there are any.
fn twins(spans: &[Span]) -> Vec<u32> {
    let mut counts: FxHashMap<Action, (u32, u32)> = FxHashMap::default();
    for span in spans {
        let number = counts.len() as u32;
        counts.entry(span.call.action).or_insert((number, 0)).1 += 1;
    }
    let number = |span: &Span| match counts[&span.call.action] {
        (_, 1) => SINGLE,
        (number, _) => number,
    };
    spans.iter().map(number).collect()
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
    /// For every span the number of its call among those that occur twice; [`SINGLE`] if it does
    /// not.
    twins: Vec<u32>,
    /// Whether the tables fit the memory at all.
    fits: bool,
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
    fn new(model: &'a M, spans: &'a [Span], completed: usize, memory: usize) -> Self {
        let timeline = Timeline::new(spans);
        let twins = twins(spans);
        let steps = Vec::with_capacity(spans.len());
        let mut pair = Pair::new(spans, 0);
        let tables = timeline.bytes() + pair.bytes() + 4 * twins.capacity() + STEP * spans.len();
        let mut memo = Memo::new(memory.saturating_sub(tables));
        pair.state = memo.intern(&model.initial(), 0);
        Self {
            model,
            spans,
            timeline,
            twins,
            memo,
            pair,
            steps,
            fits: tables <= memory,
            completed,
            left: completed,
            fewest_left: completed,
            stuck_at: 0,
        }
    }

    fn run(mut self, limits: &Limits<'_>) -> Search {
        if !self.fits {
            return self.unknown(Cause::Memory);
        }
        let mut at = self.timeline.first();
        let mut count: u64 = 0;
        let mut full_at = None;
        while self.left > 0 {
            count += 1;
            if count.is_multiple_of(STEPS_PER_POLL) && (limits.stop)() {
                return self.unknown(Cause::Stopped);
            }
            if self.memo.is_full() {
                let since = *full_at.get_or_insert(count);
                if count - since > STEPS_BEYOND.max(MULTIPLE_BEYOND * since) {
                    return self.unknown(Cause::Memory);
                }
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
        if self.has_better_twin(number, &state) {
            return false;
        }
        let state = self.memo.intern(&state, self.model.heap_bytes(&state));
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

    /// Whether an operation that may be ordered next, too, does the same and should go first.
    fn has_better_twin(&self, number: u32, after: &M::State) -> bool {
        let twin = self.twins[number as usize];
        if twin == SINGLE {
            return false;
        }
        let span = &self.spans[number as usize];
        let state = self.memo.state(self.pair.state);
        let mut at = self.timeline.first();
        while let Event::Invoked(other) = self.timeline.event(at) {
            at = self.timeline.after(at);
            if other == number || self.twins[other as usize] != twin {
                continue;
            }
            let other = &self.spans[other as usize];
            let better = if other.call == span.call {
                (other.returned, other.invoked) < (span.returned, span.invoked)
            } else {
                !span.is_completed()
                    && other.is_completed()
                    && self.model.step(state, other.call).as_ref() == Some(after)
            };
            if better {
                return true;
            }
        }
        false
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
