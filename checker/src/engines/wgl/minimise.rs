//! Cuts a violation down to the operations that matter.
//!
//! First looks near the return that completes the proof for a few operations that have no order
//! *whatever* the object held before: [`frontier::locate`]. Leaving out all that returned before
//! them is sound then, and so is leaving out anything else that has no order without it. Shrinks
//! that stretch from its beginning, then operation by operation, and last puts the latest writers
//! of what it observes back in front, which a reader wants to see.
//!
//! Where there is no such stretch, every step leaves out operations such that what remains of a
//! linearizable history would be linearizable: all events after the proof is complete; operations
//! without effect; and operations with one, together with all that may rely on it
//! ([`Model::relies_on`]). What remains is searched again, and the step is kept if there is still
//! no order. First keeps only the end of the history, then leaves out ever smaller parts (delta
//! debugging: Zeller & Hildebrandt, *Simplifying and Isolating Failure-Inducing Input*, 2002, §3).
//! Last puts calls that rely on less in the place of others ([`Model::relaxed`]), and leaves out
//! what these no longer need.
//!
//! Stops early when told to, or after so many searches; what is left is then a violation still, if
//! not a small one.

use std::cell::Cell;
use std::ops::ControlFlow::{self, Continue};
use std::ops::Range;

use super::{Limits, Search};
use crate::engines::Span;
use crate::engines::frontier::{self, Locality, Part};
use crate::engines::reduction::{self, all_but, select};
use crate::model::Model;

/// How many spans all searches together may hold, of a history of few operations; one of many
/// operations may take a few searches of all.
const EFFORT: usize = 4_000_000;
const LARGE_SEARCHES: usize = 64;

/// So few spans are left out one by one.
const FEW: usize = 8;

/// A small part of `spans` that is not linearizable on its own. `proven_at` is what a search said
/// of them.
pub(crate) fn minimise<M: Model>(
    model: &M,
    spans: &[Span],
    proven_at: u64,
    limits: &Limits<'_>,
) -> Vec<Span> {
    let left = Cell::new(EFFORT.max(LARGE_SEARCHES * spans.len()));
    let minimiser = Minimiser { model, limits, left };
    if let Some(part) = minimiser.near(spans, proven_at) {
        return part;
    }
    let is_violation = |part: &[Span]| minimiser.is_violation(part);
    let part = reduction::cut(model, spans, proven_at, is_violation);
    let with_writers = |part: &[Span], kept| minimiser.with_writers(part, kept).map_continue(Some);
    let part = reduction::keep_end(part, with_writers, is_violation);
    let part = minimiser.leave_out(part);
    let (part, relaxed) = minimiser.relax(part);
    if relaxed { minimiser.leave_out(part) } else { part }
}

/// The spans, which are not linearizable, without those that are not needed for that: without any
/// one of the rest, and all that may rely on it, there is an order.
pub(crate) fn tighten<M: Model>(model: &M, spans: &[Span], limits: &Limits<'_>) -> Vec<Span> {
    let minimiser = Minimiser { model, limits, left: Cell::new(EFFORT) };
    minimiser.leave_out(spans.to_vec())
}

struct Minimiser<'a, M: Model> {
    model: &'a M,
    limits: &'a Limits<'a>,
    /// How many more spans may be searched.
    left: Cell<usize>,
}

impl<M: Model> Minimiser<'_, M> {
    fn is_violation(&self, spans: &[Span]) -> bool {
        self.left.set(self.left.get().saturating_sub(spans.len()));
        let found = frontier::search(self.model, spans, self.limits);
        matches!(found, Search::Violation { .. })
    }

    fn is_over(&self) -> bool {
        self.left.get() == 0 || (self.limits.stop)()
    }

    /// A part near the end that has no order whatever came before.
    fn near(&self, spans: &[Span], proven_at: u64) -> Option<Vec<Span>> {
        let locality = frontier::locate(self.model, spans, proven_at, self.limits)?;
        let holds = |part: &Part| locality.holds_for(self.model, part, self.limits);
        let mut base = self.shorten(&locality);
        let spans = self.with_latest_writers(spans, &base.spans);
        let explained = Part { spans, begins_at: base.begins_at };
        if holds(&explained) {
            base = explained;
        }
        let relations = Relations::new(self.model, &base.spans);
        let count = base.spans.len();
        let mut kept = vec![true; count];
        // Of a few spans, leaving out half of them is not worth the try.
        let mut size = if count <= FEW { 1 } else { count.div_ceil(2) };
        loop {
            for from in (0..count).step_by(size).rev() {
                let mut fewer = kept.clone();
                fewer[from..(from + size).min(count)].fill(false);
                relations.drop_observers(&mut fewer);
                let smaller = Part { spans: select(&base.spans, &fewer), ..base };
                if fewer != kept && holds(&smaller) {
                    kept = fewer;
                }
            }
            if size == 1 {
                break;
            }
            size = size.div_ceil(2);
        }
        // Nothing may be left out now that has happened, so all the more there is no order.
        let part = select(&base.spans, &kept);
        self.is_violation(&part).then_some(part)
    }

    /// Cuts off the beginning: as late as there is no order, which the later ones have.
    fn shorten(&self, locality: &Locality<M>) -> Part {
        let spans = &locality.part.spans;
        let (mut whole, mut cut) = (0, spans.len());
        let mut best = locality.part.clone();
        while whole + 1 < cut {
            let middle = usize::midpoint(whole, cut);
            let part = self.cut_before(spans, spans[middle].invoked.max(best.begins_at));
            if locality.holds_for(self.model, &part, self.limits) {
                (whole, best) = (middle, part);
            } else {
                cut = middle;
            }
        }
        best
    }

    /// What did not return before `moment`, but for what was open then and had no effect.
    fn cut_before(&self, part: &[Span], moment: u64) -> Part {
        let is_left = |span: &&Span| {
            span.invoked >= moment || (span.returned >= moment && !self.model.is_pure(span.call))
        };
        Part { spans: part.iter().filter(is_left).copied().collect(), begins_at: moment }
    }

    /// With the latest writer of every state that an operation observes and none here leads to.
    fn with_latest_writers(&self, spans: &[Span], part: &[Span]) -> Vec<Span> {
        let mut full = part.to_vec();
        for observer in part.iter().filter(|span| self.model.demands(span.call).is_some()) {
            let writes = |span: &&Span| is_earlier_writer(self.model, observer, span);
            if full.iter().any(|span| writes(&span)) || self.is_over() {
                continue;
            }
            if let Some(writer) = spans.iter().rev().find(writes) {
                let relaxed = self.model.relaxed(writer.call).unwrap_or(writer.call);
                full.push(Span { call: relaxed, ..*writer });
            }
        }
        full.sort_unstable_by_key(|span| span.invoked);
        full
    }

    fn leave_out(&self, part: Vec<Span>) -> Vec<Span> {
        let without = |part: &[Span], gone: Range<usize>| {
            let kept = self.without_observers(part, all_but(gone, part.len()))?;
            if self.is_over() {
                ControlFlow::Break(())
            } else {
                Continue(Some(select(part, &kept)))
            }
        };
        reduction::leave_out(part, without, |part| self.is_violation(part))
    }

    /// Relaxes every operation that need not be what it was. Whether there was one.
    fn relax(&self, mut part: Vec<Span>) -> (Vec<Span>, bool) {
        let mut any = false;
        for place in (0..part.len()).rev() {
            let original = part[place].call;
            let Some(relaxed) = self.model.relaxed(original) else { continue };
            if self.is_over() {
                break;
            }
            part[place].call = relaxed;
            if self.is_violation(&part) {
                any = true;
            } else {
                part[place].call = original;
            }
        }
        (part, any)
    }

    /// Keeps besides all that an operation kept may rely on. `Break` if told to stop.
    fn with_writers(&self, part: &[Span], mut kept: Vec<bool>) -> ControlFlow<(), Vec<bool>> {
        let mut pending: Vec<usize> = (0..part.len()).filter(|&place| kept[place]).collect();
        while let Some(observer) = pending.pop() {
            if self.is_over() {
                return ControlFlow::Break(());
            }
            for writer in 0..part.len() {
                if !kept[writer] && self.model.relies_on(part[observer].call, part[writer].call) {
                    kept[writer] = true;
                    pending.push(writer);
                }
            }
        }
        Continue(kept)
    }

    /// Leaves out besides all that may rely on an operation left out. `Break` if told to stop.
    fn without_observers(&self, part: &[Span], mut kept: Vec<bool>) -> ControlFlow<(), Vec<bool>> {
        let mut pending: Vec<usize> = (0..part.len()).filter(|&place| !kept[place]).collect();
        while let Some(writer) = pending.pop() {
            if self.is_over() {
                return ControlFlow::Break(());
            }
            for observer in 0..part.len() {
                if kept[observer] && self.model.relies_on(part[observer].call, part[writer].call) {
                    kept[observer] = false;
                    pending.push(observer);
                }
            }
        }
        Continue(kept)
    }
}

/// Whether the observer may owe its response to the writer, if nothing comes between them.
fn is_earlier_writer<M: Model>(model: &M, observer: &Span, writer: &Span) -> bool {
    writer.operation != observer.operation
        && writer.invoked < observer.returned
        && model.relies_on(observer.call, writer.call)
}

/// Who must go when a writer goes, in a stretch: all that may have seen what it left. An observer
/// has not if it returned before the writer was invoked, or if a blind write surely came in
/// between. Still it keeps the latest writer, or a reader would ask where the value came from.
struct Relations {
    /// For every writer those who rely on it.
    observers: Vec<Vec<u32>>,
}

impl Relations {
    fn new<M: Model>(model: &M, part: &[Span]) -> Self {
        let blind: Vec<&Span> =
            part.iter().filter(|span| model.overwrites(span.call).is_some()).collect();
        let mut observers = vec![Vec::new(); part.len()];
        for (place, observer) in (0..).zip(part) {
            let is_hidden = |writer: &Span| {
                blind.iter().any(|between| {
                    writer.returned < between.invoked && between.returned < observer.invoked
                })
            };
            let mut latest = true;
            for (number, writer) in part.iter().enumerate().rev() {
                if is_earlier_writer(model, observer, writer) {
                    if latest || !is_hidden(writer) {
                        observers[number].push(place);
                    }
                    latest = false;
                }
            }
        }
        Self { observers }
    }

    /// Drops all that may rely on what is dropped.
    fn drop_observers(&self, kept: &mut [bool]) {
        let mut pending: Vec<usize> = (0..kept.len()).filter(|&place| !kept[place]).collect();
        while let Some(writer) = pending.pop() {
            for &observer in &self.observers[writer] {
                if std::mem::replace(&mut kept[observer as usize], false) {
                    pending.push(observer as usize);
                }
            }
        }
    }
}
