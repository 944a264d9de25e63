//! Cuts a violation of a spec down to the operations that matter.
//!
//! Nothing is known of a spec but what it does, so that is tried out: the states that the calls of
//! the violation lead to are enumerated, which are few where an object is small. A state *covers*
//! another as far as some calls go if it accepts whatever sequence of these the other accepts: the
//! greatest simulation. A call can be left out if, from whatever state it is made, the state before
//! it covers the state after it as far as the calls that are kept go. For then an order of all
//! operations stays an order without it, step by step: what remains of a linearizable history is
//! linearizable.
//!
//! So leaves out, as long as what remains has no order: all that came after the proof was complete,
//! then all but the end and what that needs, then ever smaller parts (delta debugging: Zeller &
//! Hildebrandt, *Simplifying and Isolating Failure-Inducing Input*, 2002, §3).

use std::cell::Cell;
use std::ops::ControlFlow::Continue;
use std::ops::Range;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::engines::reduction::{self, all_but, select};
use crate::engines::wgl::{Limits, Search};
use crate::engines::{Span, frontier};
use crate::model::{Call, Model};

/// How many transitions of states by calls are looked at.
const TRANSITIONS: usize = 500_000;
/// How many transitions of pairs of states all questions together may look at.
const PAIRS: usize = 10_000_000;
/// How many spans all searches together may hold.
const EFFORT: usize = 1_000_000;
/// No state: the call is not legal.
const ILLEGAL: u32 = u32::MAX;

/// A small part of `spans` that is not linearizable on its own; nothing if there are too many states
/// to tell which. `proven_at` is what a search said of them.
pub(crate) fn minimise<M: Model>(
    model: &M,
    spans: &[Span],
    proven_at: u64,
    limits: &Limits<'_>,
) -> Option<Vec<Span>> {
    let is_violation = is_violation(model, limits);
    let part = reduction::cut(model, spans, proven_at, &is_violation);
    let minimiser = Minimiser { covers: Covers::of(model, &part, limits)?, is_violation };
    let part = minimiser.keep_end(part);
    Some(minimiser.leave_out(part))
}

/// The spans, which are not linearizable, without those that are not needed for that; nothing if
/// there are too many states to tell which.
pub(super) fn tighten<M: Model>(
    model: &M,
    spans: &[Span],
    limits: &Limits<'_>,
) -> Option<Vec<Span>> {
    let covers = Covers::of(model, spans, limits)?;
    let minimiser = Minimiser { covers, is_violation: is_violation(model, limits) };
    Some(minimiser.leave_out(spans.to_vec()))
}

/// Whether a part is certainly not linearizable. Says no to all when it was asked too much.
fn is_violation<M: Model>(model: &M, limits: &Limits<'_>) -> impl Fn(&[Span]) -> bool {
    let searched = Cell::new(EFFORT);
    move |part| {
        let left = searched.get().checked_sub(part.len().max(1));
        searched.set(left.unwrap_or(0));
        let search = || frontier::search(model, part, limits);
        left.is_some() && !(limits.stop)() && matches!(search(), Search::Violation { .. })
    }
}

struct Minimiser<V> {
    covers: Covers,
    is_violation: V,
}

impl<V: Fn(&[Span]) -> bool> Minimiser<V> {
    /// Keeps the last few operations and all that they need.
    fn keep_end(&self, part: Vec<Span>) -> Vec<Span> {
        let with_needed = |part: &[Span], mut kept: Vec<bool>| {
            self.keep_what_is_needed(part, &mut kept);
            Continue(Some(kept))
        };
        reduction::keep_end(part, with_needed, &self.is_violation)
    }

    /// Keeps besides what cannot be left out without those that are kept.
    fn keep_what_is_needed(&self, part: &[Span], kept: &mut [bool]) {
        loop {
            let calls = self.covers.calls(part, kept);
            let needed = |span: &Span| !self.covers.can_go(self.covers.number(span), &calls);
            let mut is_needed = FxHashMap::default();
            let before = kept.iter().filter(|kept| **kept).count();
            for (span, kept) in part.iter().zip(&mut *kept).filter(|(_, kept)| !**kept) {
                *kept = *is_needed.entry(span.call).or_insert_with(|| needed(span));
            }
            if before == kept.iter().filter(|kept| **kept).count() {
                return;
            }
        }
    }

    fn leave_out(&self, part: Vec<Span>) -> Vec<Span> {
        let without = |part: &[Span], gone: Range<usize>| {
            let kept = all_but(gone.clone(), part.len());
            let calls = self.covers.calls(part, &kept);
            let mut gone = part[gone].iter().map(|span| self.covers.number(span));
            let can_all_go = gone.all(|call| self.covers.can_go(call, &calls));
            Continue(can_all_go.then(|| select(part, &kept)))
        };
        reduction::leave_out(part, without, &self.is_violation)
    }
}

/// Which states can take the place of which.
struct Covers {
    numbers: FxHashMap<Call, u32>,
    /// For every state the state after each call.
    next: Vec<Vec<u32>>,
    /// How many more transitions of pairs may be looked at.
    left: Cell<usize>,
}

impl Covers {
    /// Enumerates all states that the calls lead to, if these are few enough.
    fn of<M: Model>(model: &M, part: &[Span], limits: &Limits<'_>) -> Option<Self> {
        let mut numbers = FxHashMap::default();
        let mut calls = Vec::new();
        for span in part {
            numbers.entry(span.call).or_insert_with(|| {
                calls.push(span.call);
                calls.len() as u32 - 1
            });
        }
        let initial = model.initial();
        let mut known = FxHashMap::from_iter([(initial.clone(), 0)]);
        let (mut states, mut next) = (vec![initial], Vec::new());
        while let Some(state) = states.get(next.len()).cloned() {
            if (next.len() + 1) * calls.len() > TRANSITIONS || (limits.stop)() {
                return None;
            }
            let mut after = Vec::with_capacity(calls.len());
            for &call in &calls {
                after.push(model.step(&state, call).map_or(ILLEGAL, |state| {
                    *known.entry(state).or_insert_with_key(|state| {
                        states.push(state.clone());
                        states.len() as u32 - 1
                    })
                }));
            }
            next.push(after);
        }
        Some(Self { numbers, next, left: Cell::new(PAIRS) })
    }

    fn number(&self, span: &Span) -> u32 {
        self.numbers[&span.call]
    }

    /// The distinct calls of the spans that are kept.
    fn calls(&self, part: &[Span], kept: &[bool]) -> Vec<u32> {
        let kept = part.iter().zip(kept).filter(|(_, kept)| **kept);
        let calls: FxHashSet<u32> = kept.map(|(span, _)| self.number(span)).collect();
        calls.into_iter().collect()
    }

    /// Whether every state covers the one after `gone`, as far as the calls `kept` go. False if that
    /// takes too long to find out.
    fn can_go(&self, gone: u32, kept: &[u32]) -> bool {
        let mut seen = FxHashSet::default();
        let mut pending: Vec<(u32, u32)> = Vec::new();
        for (before, after) in (0..).zip(&self.next) {
            let after = after[gone as usize];
            if after != ILLEGAL && after != before && seen.insert((after, before)) {
                pending.push((after, before));
            }
        }
        while let Some((one, other)) = pending.pop() {
            let Some(left) = self.left.get().checked_sub(kept.len() + 1) else { return false };
            self.left.set(left);
            let [one, other] = [one, other].map(|state| &self.next[state as usize]);
            for &call in kept {
                match (one[call as usize], other[call as usize]) {
                    (ILLEGAL, _) => {}
                    (_, ILLEGAL) => return false,
                    (one, other) if one == other => {}
                    pair => {
                        if seen.insert(pair) {
                            pending.push(pair);
                        }
                    }
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::spans;
    use crate::event::Event;
    use crate::history::History;
    use crate::model::Register;
    use crate::value::Value;

    /// One client's operations on a register, in their order.
    fn history(operations: &[(&str, i64)]) -> History {
        let event = |index: usize, (f, value): (&str, i64)| {
            let kind = ["invoke", "ok"][index % 2];
            let value = if f == "read" && kind == "invoke" { Value::Null } else { value.into() };
            let value = serde_json::to_string(&value).expect("JSON");
            let line = format!(
                "{{\"index\":{index},\"time\":{index},\"process\":0,\"type\":\"{kind}\",\
                 \"f\":\"{f}\",\"value\":{value}}}"
            );
            serde_json::from_str::<Event>(&line).expect("an event")
        };
        let events = (0..2 * operations.len()).map(|index| event(index, operations[index / 2]));
        History::from_events(events).expect("a history")
    }

    #[test]
    fn what_a_violation_does_not_need_is_left_out_and_nothing_else() {
        let superfluous =
            [("write", 7), ("write", 1), ("read", 1), ("write", 2), ("write", 3), ("read", 1)];
        let history = history(&superfluous);
        let model = Register::new(&Value::Null, &history.values);
        let places: Vec<u32> = (0..6).collect();
        let spans = spans(&history, &places, &model);
        let limits = Limits { memory: 1 << 20, stop: &|| false };
        let part = tighten(&model, &spans, &limits).expect("few states");
        let left: Vec<u32> = part.iter().map(|span| span.operation).collect();
        assert!(matches!(left[..], [1, 3 | 4, 5]), "{left:?}");
        let again = tighten(&model, &part, &limits).expect("few states");
        assert_eq!(again.len(), part.len());
    }
}
