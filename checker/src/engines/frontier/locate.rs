//! Shows a violation on a short stretch of the history, whatever state it began in.
//!
//! Cuts everything that returned before some moment, and lets the object begin in any state that
//! it can ever have: in any linearization of the whole, the cut operations come before all that
//! were invoked after them, so what is left has an order from *some* state. Operations open at that
//! moment may have happened before it, so they may be left out. What plays no part is relaxed
//! besides: operations without effect are dropped, and others stand as what they are at least
//! ([`Model::relaxed`]). Each of these only allows more orders; where still none is left, the whole
//! has none.
//!
//! Only for models all of whose states can be named: every operation with an effect is, or relaxes
//! to, a blind write.

use std::ops::Range;

use rustc_hash::FxHashSet;

use super::layout::Layout;
use super::rules::Rules;
use super::sweep::Sweep;
use crate::engines::wgl::Limits;
use crate::engines::{Cancellation, NEVER, Span, Stopped};
use crate::model::Model;

/// All states that the object can ever have; nothing if they cannot be named.
///
/// # Errors
///
/// [`Stopped`] if the time is up.
pub(super) fn all_states<M: Model>(
    model: &M,
    spans: &[Span],
    cancellation: &Cancellation<'_>,
) -> Result<Option<Vec<M::State>>, Stopped> {
    let mut states: FxHashSet<M::State> = FxHashSet::default();
    states.insert(model.initial());
    for span in spans {
        cancellation.step()?;
        if model.is_pure(span.call) {
            continue;
        }
        let written = model
            .overwrites(span.call)
            .or_else(|| model.relaxed(span.call).and_then(|relaxed| model.overwrites(relaxed)));
        let Some(written) = written else { return Ok(None) };
        states.insert(written);
    }
    cancellation.collect(states.into_iter()).map(Some)
}

/// A stretch of a history on its own.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// The spans, by invocation.
    pub spans: Vec<Span>,
    /// Where the stretch begins: what was invoked before may have happened before, and be left out.
    pub begins_at: u64,
}

/// Whether `part` has no order from any of the `states`. No is not certain: the search gives up at
/// more than `width` configurations.
pub(super) fn has_no_order<M: Model>(
    model: &M,
    part: &Part,
    states: &[M::State],
    width: usize,
    limits: &Limits<'_>,
) -> bool {
    let cancellation = Cancellation::new(limits.stop);
    let layout = Layout::new(model, &part.spans, part.begins_at, true, &cancellation);
    let Ok(layout) = layout else { return false };
    let observers: Vec<_> =
        (0..).zip(&part.spans).filter(|&(place, _): &(usize, _)| !layout.blind[place]).collect();
    let mut starts: Vec<M::State> = Vec::new();
    let mut unseen = None;
    for state in states {
        if cancellation.spend(1 + observers.len()) == Err(Stopped) {
            return false;
        }
        if observers.iter().any(|(_, span)| model.step(state, span.call).is_some()) {
            starts.push(state.clone());
        } else {
            unseen = unseen.or(Some(state));
        }
    }
    // All others are one: nobody sees them.
    starts.extend(unseen.cloned());
    if starts.len() > width {
        return false;
    }
    let run = match layout.slots {
        0..=64 => dies::<M, 1>,
        65..=256 => dies::<M, 4>,
        257..=2_048 => dies::<M, 32>,
        _ => return false,
    };
    run(&Sweeping { model, part: &part.spans, layout: &layout, starts: &starts, width }, limits)
}

/// A sweep of a stretch.
struct Sweeping<'a, M: Model> {
    model: &'a M,
    part: &'a [Span],
    layout: &'a Layout,
    starts: &'a [M::State],
    width: usize,
}

/// Whether no configuration is left in the end, and none was cut.
fn dies<M: Model, const W: usize>(it: &Sweeping<'_, M>, limits: &Limits<'_>) -> bool {
    let mut sweep: Sweep<'_, M, W> =
        Sweep::new(it.model, it.part, it.layout, Rules::ALL, it.starts);
    while sweep.returning().is_some() {
        match sweep.advance(it.width, limits) {
            Ok(true) if sweep.now.complete => {}
            Ok(false) if sweep.now.complete => return true,
            _ => return false,
        }
    }
    false
}

/// How many returns of a stretch are tried unrelaxed, and how many configurations a search of it
/// may keep.
const LOOKS: [(usize, usize); 8] = [
    (1, 256),
    (2, 256),
    (4, 512),
    (16, 1_024),
    (16, WIDEST),
    (64, WIDEST),
    (256, WIDEST),
    (1_024, WIDEST),
];
/// How many of them there are, and how many are quick.
pub(super) const ALL: usize = LOOKS.len();
pub(super) const QUICK: usize = 4;
/// The most configurations that a search of a stretch may keep.
pub(super) const WIDEST: usize = 8_192;

/// How many spans can be searched without meeting any width.
const SHORT: usize = 8;

/// A stretch of the history that ends with the return at `proven_at` and has no order.
pub(super) fn find<M: Model>(
    model: &M,
    spans: &[Span],
    layout: &Layout,
    states: &[M::State],
    proven_at: u64,
    limits: &Limits<'_>,
) -> Option<Part> {
    let round = layout
        .returns
        .binary_search_by_key(&proven_at, |&span| spans[span as usize].returned)
        .ok()?;
    let cancellation = Cancellation::new(limits.stop);
    let mut open = Vec::new();
    for (place, span) in (0..).zip(spans) {
        cancellation.step().ok()?;
        if span.is_completed() && span.invoked < proven_at && span.returned > proven_at {
            open.push(place);
        }
    }
    let stretch = EventRange { spans, layout, round, open: &open };
    stretch.find(model, states, 0..ALL, limits)
}

/// The stretch that ends with a return.
pub(super) struct EventRange<'a> {
    /// All spans of the key.
    pub spans: &'a [Span],
    /// The tables for them.
    pub layout: &'a Layout,
    /// Which return.
    pub round: usize,
    /// The completed spans that are open then.
    pub open: &'a [u32],
}

impl EventRange<'_> {
    /// Tries to show, at some expense, that the stretch has no order.
    pub(super) fn find<M: Model>(
        &self,
        model: &M,
        states: &[M::State],
        looks: Range<usize>,
        limits: &Limits<'_>,
    ) -> Option<Part> {
        let cancellation = Cancellation::new(limits.stop);
        for &(exact, width) in &LOOKS[looks] {
            let length = exact + 2 * self.layout.slots + 16;
            let part = self.part(model, length, exact, &cancellation).ok()?;
            if has_no_order(model, &part, states, width, limits) {
                return Some(part);
            }
            // All of a short history was looked at as it is.
            if exact > self.round && part.spans.len() < SHORT {
                break;
            }
        }
        None
    }

    /// The last `exact` returns as they are, and relaxed what came before: back to `length` returns
    /// before the first invocation among them.
    fn part<M: Model>(
        &self,
        model: &M,
        length: usize,
        exact: usize,
        cancellation: &Cancellation<'_>,
    ) -> Result<Part, Stopped> {
        let returns = &self.layout.returns;
        let exact = &returns[(self.round + 1).saturating_sub(exact)..=self.round];
        let earliest = exact.iter().map(|&span| self.spans[span as usize].invoked).min();
        // What returned long before any of them was invoked has surely been overwritten.
        let before = returns.partition_point(|&span| Some(self.returned(span)) < earliest);
        let first = before.saturating_sub(length);
        let start = first.checked_sub(1).map_or(0, |last| self.returned(returns[last]));
        let exact_from = exact.first().map_or(NEVER, |&span| self.returned(span));
        let mut part = Vec::new();
        for &span in &returns[first..=self.round] {
            let span = self.spans[span as usize];
            let relax = span.returned < exact_from;
            if span.invoked > start || !model.is_pure(span.call) {
                push(model, &mut part, span, relax);
            }
        }
        let end = self.returned(returns[self.round]);
        let unknown = self.layout.kinds.iter().flat_map(|kind| &kind.members);
        for &span in unknown.chain(self.open) {
            cancellation.step()?;
            let mut span = self.spans[span as usize];
            if span.invoked < end && span.returned > end && !model.is_pure(span.call) {
                span.returned = NEVER;
                push(model, &mut part, span, exact.len() < 16);
            }
        }
        part.sort_unstable_by_key(|span| span.invoked);
        Ok(Part { spans: part, begins_at: start })
    }

    fn returned(&self, span: u32) -> u64 {
        self.spans[span as usize].returned
    }
}

fn push<M: Model>(model: &M, part: &mut Vec<Span>, mut span: Span, relax: bool) {
    let pure = model.is_pure(span.call);
    if pure && (relax || !span.is_completed()) {
        return;
    }
    if relax && let Some(relaxed) = model.relaxed(span.call) {
        span.call = relaxed;
    }
    if !span.is_completed() {
        span.call.response = None;
    }
    part.push(span);
}
