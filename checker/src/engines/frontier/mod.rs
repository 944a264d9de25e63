//! Decides whether the spans of one key are linearizable, breadth first along time.

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
mod sweep;
#[cfg(test)]
mod tests;
mod trail;
mod views;

use super::Span;
use super::wgl::{Cause, Limits, Search};
use crate::model::Model;
use driver::{Driver, NARROW};
use layout::{Layout, NONE};
use rules::Rules;

/// Searches for an order of `spans`, which are sorted by invocation.
///
/// # Panics
///
/// With 2^32 - 1 spans or more.
pub fn search<M: Model>(model: &M, spans: &[Span], limits: &Limits<'_>) -> Search {
    let plan = match Plan::new(model, spans) {
        Ok(plan) => plan,
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
    let states = locate::all_states(model, spans)?;
    let layout = Layout::new(model, spans, true);
    let part = locate::find(model, spans, &layout, &states, proven_at, limits);
    part.map(|part| Locality { part, states })
}

/// A violation that does not depend on what came before.
pub(super) struct Locality<M: Model> {
    /// The spans, by invocation.
    pub part: Vec<Span>,
    states: Vec<M::State>,
}

impl<M: Model> Locality<M> {
    /// Whether these spans, too, surely have no order whatever came before.
    pub(super) fn holds_for(&self, model: &M, part: &[Span], limits: &Limits<'_>) -> bool {
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
}

impl<'a, M: Model> Plan<'a, M> {
    /// Prepares a search; or says why there can be none.
    pub(super) fn new(model: &'a M, spans: &'a [Span]) -> Result<Self, Search> {
        Self::with_rules(model, spans, Rules::ALL, NARROW)
    }

    fn with_rules(
        model: &'a M,
        spans: &'a [Span],
        rules: Rules,
        narrow: usize,
    ) -> Result<Self, Search> {
        let completed = spans.iter().filter(|span| span.is_completed()).count();
        let unknown = |cause| Err(Search::Unknown { cause, ordered: 0, completed, passed: 0 });
        if spans.iter().any(|span| !model.knows(span.call)) {
            return unknown(Cause::NoMeaning);
        }
        let layout = Layout::new(model, spans, rules.forget);
        if layout.slots > 64 * 32 {
            return unknown(Cause::Memory);
        }
        Ok(Self { model, spans, layout, rules, narrow })
    }

    pub(super) fn engine(&self) -> Box<dyn Engine + '_> {
        match self.layout.slots {
            0..=64 => Box::new(Driver::<M, 1>::new(self)),
            65..=256 => Box::new(Driver::<M, 4>::new(self)),
            _ => Box::new(Driver::<M, 32>::new(self)),
        }
    }
}
