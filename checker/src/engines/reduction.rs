//! What the ways of cutting a violation down have in common: ever smaller parts of it are left out as
//! long as what remains is a violation (delta debugging: Zeller & Hildebrandt, *Simplifying and Isolating
//! Failure-Inducing Input*, 2002, §3). What may be left out, and with what, is the caller's to say.

use std::ops::{ControlFlow, Range};

use super::{NEVER, Span};
use crate::model::Model;

/// A part to try in place of another; nothing if there is none, and `Break` once the time is up.
pub(crate) type Proposal<T> = ControlFlow<(), Option<T>>;

/// The spans as they were when the proof was complete. What was open then and had no effect is left
/// out; of the rest that was open, the outcome was unknown.
pub(crate) fn cut<M: Model>(
    model: &M,
    spans: &[Span],
    proven_at: u64,
    is_violation: impl Fn(&[Span]) -> bool,
) -> Vec<Span> {
    let mut part = Vec::new();
    for span in spans.iter().filter(|span| span.invoked < proven_at) {
        let mut span = *span;
        if span.returned > proven_at {
            if model.is_pure(span.call) {
                continue;
            }
            span.returned = NEVER;
            span.call.response = None;
        }
        part.push(span);
    }
    // A model whose calls do more without a response than with one could accept this.
    if is_violation(&part) { part } else { spans.to_vec() }
}

/// Keeps the last few spans and all that `with_needed` adds to them; twice as many until that suffices.
pub(crate) fn keep_end(
    part: Vec<Span>,
    with_needed: impl Fn(&[Span], Vec<bool>) -> Proposal<Vec<bool>>,
    is_violation: impl Fn(&[Span]) -> bool,
) -> Vec<Span> {
    let mut count = 4;
    while count < part.len() {
        let mut kept = vec![false; part.len()];
        kept[part.len() - count..].fill(true);
        match with_needed(&part, kept) {
            ControlFlow::Break(()) => return part,
            ControlFlow::Continue(None) => {}
            ControlFlow::Continue(Some(kept)) => {
                let smaller = select(&part, &kept);
                if smaller.len() < part.len() && is_violation(&smaller) {
                    return smaller;
                }
            }
        }
        count *= 2;
    }
    part
}

/// Leaves out halves, then ever smaller parts, down to single spans. `without` says what is left of a part
/// without those of a range.
pub(crate) fn leave_out(
    mut part: Vec<Span>,
    without: impl Fn(&[Span], Range<usize>) -> Proposal<Vec<Span>>,
    is_violation: impl Fn(&[Span]) -> bool,
) -> Vec<Span> {
    let mut size = part.len().div_ceil(2).max(1);
    loop {
        let mut shrunk = false;
        let mut from = 0;
        while from < part.len() {
            match without(&part, from..(from + size).min(part.len())) {
                ControlFlow::Break(()) => return part,
                ControlFlow::Continue(Some(smaller)) if is_violation(&smaller) => {
                    part = smaller;
                    shrunk = true;
                }
                ControlFlow::Continue(_) => from += size,
            }
        }
        if size == 1 && !shrunk {
            return part;
        }
        size = (size / 2).max(1);
    }
}

/// The spans of the part that are kept.
pub(crate) fn select(part: &[Span], kept: &[bool]) -> Vec<Span> {
    part.iter().zip(kept).filter(|(_, kept)| **kept).map(|(span, _)| *span).collect()
}

/// Which spans of a part of this length are kept if those of the range are not.
pub(crate) fn all_but(range: Range<usize>, length: usize) -> Vec<bool> {
    let mut kept = vec![true; length];
    kept[range].fill(false);
    kept
}
