//! Decides whether the spans of one key are linearizable, breadth first along time.
//!
//! After Lowe's just-in-time linearization (*Testing for Linearizability*, Concurrency and
//! Computation 29(4), 2017, §5). Goes from return to return with all *configurations* that are
//! possible: a state, and what is known of the operations open at that moment. At each return the
//! operation that returns is ordered, after whatever other open operations must come before it;
//! everything else waits. What returned is forgotten, so a configuration is as large as there are
//! operations open at once, however long the history. If no configuration is left, no order exists,
//! and this return is the first event to prove it.
//!
//! # What is left out, and why that is exact
//!
//! Call a configuration *promising* if the rest of the history can follow it: if the operations
//! that must still be ordered, and any that may, have an order within their times, from its state.
//! The history is linearizable exactly if the first configuration is promising. Each rule keeps a
//! promising configuration wherever there was one, up to every event: that is all that exactness
//! needs, and it makes the rules independent of one another.
//!
//! - **Silent operations** change nothing where they are legal: reads, compare-and-sets that did
//!   not match, writes of what is there. Wherever an open one is silent it gets its place at once.
//!   It becomes *free*: its obligation is met, and it may still be ordered later instead, for its
//!   effect. Whatever follows the configuration without that place follows it with it.
//! - **Burial.** When a *blind write* ([`Model::overwrites`]) is ordered, every other open blind
//!   write could have come just before it, unseen: it is legal in every state, and the one that
//!   follows looks at none. So all of them become free. Before those, in the state at hand, one
//!   other operation that is legal there has a place too; the one that returns first is taken. Only
//!   one, since it may change the state for a second; and never before an operation that is not
//!   blind. Free operations do not depend on each other's places, so each can be ordered later
//!   without disturbing the rest.
//! - **Useful writes only.** Before its own return, an operation is ordered only if somebody at
//!   work may notice what it leaves: if that makes an operation silent that is not blind, or
//!   another one legal that is not blind. Else the next operation with an effect is a blind write,
//!   and buries it. This holds for blind writes, for what is free or of unknown outcome and can be
//!   left out, and for the one operation that burial has a place for; any other is always tried.
//! - **Interchangeable operations.** Of open operations that ask and answer the same, and are both
//!   free or both not, the one that returns first is ordered: in an order that has another one
//!   here, the two can change places, and both stay within their times. One of unknown outcome
//!   comes last: where a completed one asks the same and leads to the same state, they can change
//!   places too. Unknown operations are a count per call.
//! - **Dominance.** A configuration is dropped if another one with the same state has used no more
//!   unknown operations of any kind, and agrees on every open operation or has it free: the same
//!   rest can follow.
//! - **Nobody looks any more.** A state is *dead* if no open operation other than blind writes is
//!   legal in it and changes it, and no operation that is not blind and is invoked before the next
//!   blind write must have happened (the first return of those yet to be invoked) is legal in it:
//!   whatever is ordered next is blind, so the state makes no difference. A dead state is covered
//!   by every other. A free operation that leads to a dead state, and makes nothing silent that is
//!   not blind, is not ordered at its return. An unknown operation is dropped, and its count
//!   forgotten, after the last return of what may notice it ([`Model::demands`]).
//! - **Widening.** At first at most 16 configurations are kept, chosen by what the near future
//!   demands, and unknown operations are used only where nothing else helps. What survives to the
//!   end shows an order, whatever was cut. What dies after a cut proves nothing: the sweep goes
//!   back some way and comes again with 64, 256, 4,096, and at last, from where nothing had been
//!   cut, with all.
//! - **Short stretches.** Where a sweep died, a violation may show within the last few returns,
//!   whatever the object held before; see `locate.rs`. That no sweep could go past this return while
//!   one came up to it makes it the first to prove the violation.
//!
//! # Cost
//!
//! A sweep of width w takes O(n·w·c) steps for n operations of which c are open at once, and memory
//! for c·w, and for the steps of the order: configurations hang on a forest of steps, of which
//! those that no configuration needs are given up. Uncut, both can be exponential in c.
//!
//! Leaves out histories with more than 2,048 completed operations open at once: unknown. Models
//! that tell nothing of blind writes and demands are searched with less pruning.

mod bits;
mod configuration;
mod cut;
mod driver;
mod layout;
mod locate;
mod order;
mod rules;
mod snapshots;
mod states;
mod successors;
mod sweep;
#[cfg(test)]
mod tests;
mod trail;

use super::wgl::{Cause, Limits, Search, Survey};
use super::{Cancellation, Span, Stopped};
use crate::model::Model;
use crate::progress::SearchProgress;
use driver::{Driver, NARROW};
use layout::{Layout, NONE};
pub(super) use locate::Part;
use rules::Rules;

/// Searches for an order of `spans`, which are sorted by invocation.
///
/// # Panics
///
/// With 2^32 - 1 spans or more.
pub(crate) fn search<M: Model>(model: &M, spans: &[Span], limits: &Limits<'_>) -> Search {
    search_on(model, spans, limits, None)
}

/// As [`search`], and says on its `course` how far it has come.
pub(crate) fn search_on<M: Model>(
    model: &M,
    spans: &[Span],
    limits: &Limits<'_>,
    course: Option<&SearchProgress<'_>>,
) -> Search {
    let plan = match Plan::new(model, spans, limits) {
        Ok(plan) => plan.on(course),
        Err(unknown) => return unknown,
    };
    let mut engine = plan.engine();
    engine.easy(limits).unwrap_or_else(|| engine.hard(limits))
}

/// A small part of `spans` that is not linearizable whatever the object held before, if one is
/// found near the return at `proven_at`, which the operations up to it cannot explain.
pub(super) fn locate<M: Model>(
    model: &M,
    spans: &[Span],
    proven_at: u64,
    limits: &Limits<'_>,
) -> Option<Locality<M>> {
    let cancellation = Cancellation::new(limits.stop);
    let states = locate::all_states(model, spans, &cancellation).ok()??;
    let layout = Layout::new(model, spans, 0, true, &cancellation).ok()?;
    let part = locate::find(model, spans, &layout, &states, proven_at, limits);
    part.map(|part| Locality { part, states })
}

/// A violation that does not depend on what came before.
pub(super) struct Locality<M: Model> {
    /// The spans.
    pub part: Part,
    states: Vec<M::State>,
}

impl<M: Model> Locality<M> {
    /// Whether this part, too, surely has no order whatever came before.
    pub(super) fn holds_for(&self, model: &M, part: &Part, limits: &Limits<'_>) -> bool {
        locate::has_no_order(model, part, &self.states, locate::WIDEST, limits)
    }
}

/// A search that can be had in two parts.
pub(super) trait Engine {
    /// Decides if that is easy.
    fn easy(&mut self, limits: &Limits<'_>) -> Option<Search>;
    /// Decides what was not easy.
    fn hard(&mut self, limits: &Limits<'_>) -> Search;
}

/// What is prepared for a search of spans.
pub(super) struct Plan<'a, M: Model> {
    model: &'a M,
    spans: &'a [Span],
    layout: Layout,
    rules: Rules,
    narrow: usize,
    /// Where to say how far the search has come.
    course: Option<&'a SearchProgress<'a>>,
}

impl<'a, M: Model> Plan<'a, M> {
    /// Prepares a search; or says why there can be none.
    pub(super) fn new(
        model: &'a M,
        spans: &'a [Span],
        limits: &Limits<'_>,
    ) -> Result<Self, Search> {
        Self::with_rules(model, spans, Rules::ALL, NARROW, limits)
    }

    /// The same, to say on `course` how far the search has come.
    pub(super) fn on(self, course: Option<&'a SearchProgress<'a>>) -> Self {
        Self { course, ..self }
    }

    fn with_rules(
        model: &'a M,
        spans: &'a [Span],
        rules: Rules,
        narrow: usize,
        limits: &Limits<'_>,
    ) -> Result<Self, Search> {
        let cancellation = Cancellation::new(limits.stop);
        let survey = Survey::of(model, spans, &cancellation)?;
        let layout = Layout::new(model, spans, 0, rules.forget, &cancellation)
            .map_err(|Stopped| survey.unknown(Cause::Stopped))?;
        if layout.slots > 64 * 32 {
            return Err(survey.unknown(Cause::Memory));
        }
        Ok(Self { model, spans, layout, rules, narrow, course: None })
    }

    pub(super) fn engine(&self) -> Box<dyn Engine + '_> {
        match self.layout.slots {
            0..=64 => Box::new(Driver::<M, 1>::new(self)),
            65..=256 => Box::new(Driver::<M, 4>::new(self)),
            _ => Box::new(Driver::<M, 32>::new(self)),
        }
    }
}
