//! Cuts a violation down to the operations that matter.
//!
//! Every step leaves out operations such that what remains of a linearizable history would be
//! linearizable: all events after the proof is complete; operations without effect; and operations
//! with one, together with all that may rely on it ([`Model::relies_on`]). What remains is searched
//! again, and the step is kept if there is still no order. First keeps only the end of the history,
//! since most violations are local in time, then leaves out ever smaller parts (delta debugging:
//! Zeller & Hildebrandt, *Simplifying and Isolating Failure-Inducing Input*, 2002, §3). Last puts
//! calls that rely on less in the place of others ([`Model::relaxed`]), and leaves out what these
//! no longer need.
//!
//! Stops early when told to; what is left is then a violation still, if not a small one.

use super::{Limits, Search, search};
use crate::engines::{NEVER, Span};
use crate::model::Model;

/// A small part of `spans` that is not linearizable on its own. `proven_at` is what
/// [`search`] said of them.
pub fn minimise<M: Model>(
    model: &M,
    spans: &[Span],
    proven_at: u64,
    limits: &Limits<'_>,
) -> Vec<Span> {
    let minimiser = Minimiser { model, limits };
    let part = minimiser.cut(spans, proven_at);
    let part = minimiser.keep_end(part);
    let part = minimiser.leave_out(part);
    let (part, relaxed) = minimiser.relax(part);
    if relaxed { minimiser.leave_out(part) } else { part }
}

struct Minimiser<'a, M: Model> {
    model: &'a M,
    limits: &'a Limits<'a>,
}

impl<M: Model> Minimiser<'_, M> {
    fn is_violation(&self, spans: &[Span]) -> bool {
        matches!(search(self.model, spans, self.limits), Search::Violation { .. })
    }

    fn is_over(&self) -> bool {
        (self.limits.stop)()
    }

    /// The spans as they were when the proof was complete. What was open then and had no effect is
    /// left out; of the rest that was open, the outcome was unknown.
    fn cut(&self, spans: &[Span], proven_at: u64) -> Vec<Span> {
        let mut part = Vec::new();
        for span in spans.iter().filter(|span| span.invoked < proven_at) {
            let mut span = *span;
            if span.returned > proven_at {
                if self.model.is_pure(span.call) {
                    continue;
                }
                span.returned = NEVER;
                span.call.response = None;
            }
            part.push(span);
        }
        // A model whose calls do more without a response than with one could accept this.
        if self.is_violation(&part) { part } else { spans.to_vec() }
    }

    /// Keeps the last few operations and all that they rely on; twice as many until that suffices.
    fn keep_end(&self, part: Vec<Span>) -> Vec<Span> {
        let mut count = 4;
        while count < part.len() {
            let mut kept = vec![false; part.len()];
            kept[part.len() - count..].fill(true);
            let Some(kept) = self.with_writers(&part, kept) else { return part };
            let smaller = select(&part, &kept);
            if smaller.len() < part.len() && self.is_violation(&smaller) {
                return smaller;
            }
            count *= 2;
        }
        part
    }

    fn leave_out(&self, mut part: Vec<Span>) -> Vec<Span> {
        let mut size = part.len().div_ceil(2).max(1);
        loop {
            let mut shrunk = false;
            let mut from = 0;
            while from < part.len() {
                let mut kept = vec![true; part.len()];
                kept[from..(from + size).min(part.len())].fill(false);
                let Some(kept) = self.without_observers(&part, kept) else { return part };
                let smaller = select(&part, &kept);
                if self.is_over() {
                    return part;
                }
                if self.is_violation(&smaller) {
                    part = smaller;
                    shrunk = true;
                } else {
                    from += size;
                }
            }
            if size == 1 && !shrunk {
                return part;
            }
            size = (size / 2).max(1);
        }
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

    /// Keeps besides all that an operation kept may rely on. Nothing if told to stop.
    fn with_writers(&self, part: &[Span], mut kept: Vec<bool>) -> Option<Vec<bool>> {
        let mut pending: Vec<usize> = (0..part.len()).filter(|&place| kept[place]).collect();
        while let Some(observer) = pending.pop() {
            if self.is_over() {
                return None;
            }
            for writer in 0..part.len() {
                if !kept[writer] && self.model.relies_on(part[observer].call, part[writer].call) {
                    kept[writer] = true;
                    pending.push(writer);
                }
            }
        }
        Some(kept)
    }

    /// Leaves out besides all that may rely on an operation left out. Nothing if told to stop.
    fn without_observers(&self, part: &[Span], mut kept: Vec<bool>) -> Option<Vec<bool>> {
        let mut pending: Vec<usize> = (0..part.len()).filter(|&place| !kept[place]).collect();
        while let Some(writer) = pending.pop() {
            if self.is_over() {
                return None;
            }
            for observer in 0..part.len() {
                if kept[observer] && self.model.relies_on(part[observer].call, part[writer].call) {
                    kept[observer] = false;
                    pending.push(observer);
                }
            }
        }
        Some(kept)
    }
}

fn select(part: &[Span], kept: &[bool]) -> Vec<Span> {
    part.iter().zip(kept).filter(|(_, kept)| **kept).map(|(span, _)| *span).collect()
}
