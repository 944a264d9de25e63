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

mod arena;
mod memo;
mod minimise;
mod table;
mod timeline;

pub(crate) use minimise::minimise;
pub(crate) use minimise::tighten;

use rustc_hash::FxHashMap;

use super::{Cancellation, Span, Stopped};
use crate::history::Action;
use crate::model::Model;
use memo::{Memo, Pair};
use timeline::{Event, Timeline};

/// A step of the search in steps of [`Cancellation`]: it calls the model, and looks at the memory.
const EFFORT: usize = 16;

/// How many words of the memory are looked at in one step of [`Cancellation`].
const WORDS: usize = 8;

/// What a search may use.
#[derive(Clone, Copy)]
pub(crate) struct Limits<'a> {
    /// Bytes of memory that the search may use.
    pub memory: usize,
    /// Asked every thousand steps or so; the search ends when it says true.
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Search {
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
pub(crate) enum Cause {
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
pub(crate) fn search<M: Model>(model: &M, spans: &[Span], limits: &Limits<'_>) -> Search {
    let cancellation = Cancellation::new(limits.stop);
    let survey = match Survey::of(model, spans, &cancellation) {
        Ok(survey) => survey,
        Err(unknown) => return unknown,
    };
    let completed = survey.completed;
    match Searcher::new(model, spans, completed, limits.memory, &cancellation) {
        Ok(searcher) => searcher.run(),
        Err(Stopped) => survey.unknown(Cause::Stopped),
    }
}

/// A first look at all spans.
pub(super) struct Survey {
    completed: usize,
}

impl Survey {
    /// Counts the spans; or says why they cannot be searched.
    pub(super) fn of<M: Model>(
        model: &M,
        spans: &[Span],
        cancellation: &Cancellation<'_>,
    ) -> Result<Self, Search> {
        let mut survey = Self { completed: 0 };
        for span in spans {
            if !model.knows(span.call) {
                return Err(survey.unknown(Cause::NoMeaning));
            }
            survey.completed += usize::from(span.is_completed());
            cancellation.step().map_err(|Stopped| survey.unknown(Cause::Stopped))?;
        }
        Ok(survey)
    }

    /// That nothing was found, for want of something.
    pub(super) const fn unknown(&self, cause: Cause) -> Search {
        Search::Unknown { cause, ordered: 0, completed: self.completed, passed: 0 }
    }
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
fn twins(spans: &[Span], cancellation: &Cancellation<'_>) -> Result<Vec<u32>, Stopped> {
    let mut counts: FxHashMap<Action, (u32, u32)> = FxHashMap::default();
    for span in spans {
        cancellation.step()?;
        let number = counts.len() as u32;
        counts.entry(span.call.action).or_insert((number, 0)).1 += 1;
    }
    let mut twins = Vec::with_capacity(spans.len());
    for span in spans {
        cancellation.step()?;
        twins.push(match counts[&span.call.action] {
            (_, 1) => SINGLE,
            (number, _) => number,
        });
    }
    Ok(twins)
}

/// A step that the search took, and can take back.
struct Step {
    span: u32,
    state_before: u32,
    /// How many states there were.
    states_before: u32,
}

struct Searcher<'a, M: Model> {
    cancellation: &'a Cancellation<'a>,
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
    fn new(
        model: &'a M,
        spans: &'a [Span],
        completed: usize,
        memory: usize,
        cancellation: &'a Cancellation<'a>,
    ) -> Result<Self, Stopped> {
        let timeline = Timeline::new(spans, cancellation)?;
        let twins = twins(spans, cancellation)?;
        let steps = Vec::with_capacity(spans.len());
        let mut pair = Pair::new(spans, 0, cancellation)?;
        let tables = timeline.bytes() + pair.bytes() + 4 * twins.capacity() + STEP * spans.len();
        let mut memo = Memo::new(memory.saturating_sub(tables), spans.len());
        let initial = model.initial();
        let heap = model.heap_bytes(&initial);
        pair.state = memo.intern(initial, heap);
        Ok(Self {
            cancellation,
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
        })
    }

    fn run(mut self) -> Search {
        if !self.fits {
            return self.unknown(Cause::Memory);
        }
        let mut at = self.timeline.first();
        let mut count: u64 = 0;
        let mut full_at = None;
        while self.left > 0 {
            count += 1;
            if self.cancellation.spend(EFFORT) == Err(Stopped) {
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
                        Ok(Some(span)) => self.timeline.after(Timeline::invocation(span)),
                        Ok(None) => return Search::Violation { proven_at: self.stuck_at },
                        Err(Stopped) => return self.unknown(Cause::Stopped),
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
        if !span.is_completed() && state == *self.memo.state(before) {
            return false;
        }
        if self.has_better_twin(number, &state) {
            return false;
        }
        let states_before = self.memo.count();
        let heap = self.model.heap_bytes(&state);
        self.pair.state = self.memo.intern(state, heap);
        self.pair.insert(number);
        let is_new = self.memo.insert(&self.pair);
        self.cancellation.charge(self.memo.effort() / WORDS);
        if !is_new {
            self.pair.remove(number);
            self.pair.state = before;
            self.memo.forget(states_before);
            return false;
        }
        self.timeline.lift(number, span.is_completed());
        self.steps.push(Step { span: number, state_before: before, states_before });
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
            self.cancellation.charge(1);
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
    fn take_back(&mut self) -> Result<Option<u32>, Stopped> {
        while let Some(step) = self.steps.pop() {
            self.cancellation.spend(EFFORT)?;
            let span = &self.spans[step.span as usize];
            self.pair.remove(step.span);
            self.pair.state = step.state_before;
            self.memo.forget(step.states_before);
            self.timeline.put_back(step.span, span.is_completed());
            if span.is_completed() {
                self.left += 1;
            }
            if !self.model.is_pure(span.call) {
                return Ok(Some(step.span));
            }
        }
        Ok(None)
    }

    fn unknown(&mut self, cause: Cause) -> Search {
        if matches!(cause, Cause::Stopped) {
            self.memo.discard();
        }
        let ordered = self.completed - self.fewest_left;
        Search::Unknown { cause, ordered, completed: self.completed, passed: 0 }
    }
}
