//! What all orders of a few operations have in common in which their answers are possible.
//!
//! Goes forward through all pairs of a set of operations that came first and a state that they
//! leave, and back from those that hold all completed operations. At most so many pairs.

use rustc_hash::FxHashMap;

use crate::engines::Span;
use crate::model::Model;
use crate::verdict::LongestPrefix;

/// How many pairs all questions together may visit.
const PAIRS: usize = 200_000;

/// How many operations fit a set.
const MOST: usize = 64;

pub(super) struct LinearizationSpace<'a, M: Model> {
    model: &'a M,
    spans: &'a [Span],
    /// The operations that every order holds.
    required: u64,
    left: std::cell::Cell<usize>,
}

/// What all orders have in common.
#[derive(Debug)]
pub(super) struct ForcedOrder {
    /// What they all hold.
    always: u64,
    /// What comes before each operation in all orders that hold it.
    before: Vec<u64>,
}

impl ForcedOrder {
    /// Whether both operations are in all orders, the one before the other.
    pub(super) fn is_forced(&self, from: usize, to: usize) -> bool {
        self.always & 1 << to != 0 && self.before[to] & 1 << from != 0
    }
}

/// A set of operations that came first, with the state that they left.
struct SearchState<S> {
    set: u64,
    state: S,
    /// The pair and the operation that first led here.
    came: Option<(usize, usize)>,
    /// The pairs that led here, each with the operation that did.
    from: Vec<(usize, usize)>,
}

impl<'a, M: Model> LinearizationSpace<'a, M> {
    /// Nothing if there are too many operations.
    pub(super) fn new(model: &'a M, spans: &'a [Span]) -> Option<Self> {
        let completed = spans.iter().enumerate().filter(|(_, span)| span.is_completed());
        (spans.len() <= MOST).then(|| Self {
            model,
            spans,
            required: completed.fold(0, |set, (place, _)| set | 1 << place),
            left: std::cell::Cell::new(PAIRS),
        })
    }

    /// What all orders have in common that have the first of each pair before the second; or how
    /// far any gets, if there is none. Nothing if that takes too long to find out.
    pub(super) fn common(&self, keep: &[[usize; 2]]) -> Option<Result<ForcedOrder, LongestPrefix>> {
        let pairs = self.reach(keep)?;
        let is_whole = |pair: &SearchState<M::State>| pair.set & self.required == self.required;
        let mut pending: Vec<usize> =
            (0..pairs.len()).filter(|&number| is_whole(&pairs[number])).collect();
        if pending.is_empty() {
            return Some(Err(self.impasse(&pairs)));
        }
        let mut always = u64::MAX;
        for &number in &pending {
            always &= pairs[number].set;
        }
        let mut before = vec![u64::MAX; self.spans.len()];
        let mut leads = vec![false; pairs.len()];
        for &number in &pending {
            leads[number] = true;
        }
        while let Some(number) = pending.pop() {
            for &(previous, operation) in &pairs[number].from {
                before[operation] &= pairs[previous].set;
                if !std::mem::replace(&mut leads[previous], true) {
                    pending.push(previous);
                }
            }
        }
        Some(Ok(ForcedOrder { always, before }))
    }

    fn reach(&self, keep: &[[usize; 2]]) -> Option<Vec<SearchState<M::State>>> {
        let mut wait = vec![0_u64; self.spans.len()];
        for &[first, then] in keep {
            wait[then] |= 1 << first;
        }
        let initial = self.model.initial();
        let mut numbers = FxHashMap::from_iter([((0, initial.clone()), 0)]);
        let mut pairs = vec![SearchState { set: 0, state: initial, came: None, from: Vec::new() }];
        let mut number = 0;
        while number < pairs.len() {
            for (place, span) in self.spans.iter().enumerate() {
                let (bit, set) = (1 << place, pairs[number].set);
                if set & bit != 0 || wait[place] & !set != 0 {
                    continue;
                }
                let Some(state) = self.model.step(&pairs[number].state, span.call) else {
                    continue;
                };
                let set = set | bit;
                let next = *numbers.entry((set, state.clone())).or_insert(pairs.len());
                if next == pairs.len() {
                    self.left.set(self.left.get().checked_sub(1)?);
                    let came = Some((number, place));
                    pairs.push(SearchState { set, state, came, from: Vec::new() });
                }
                pairs[next].from.push((number, place));
            }
            number += 1;
        }
        Some(pairs)
    }

    /// The order that holds the most completed operations.
    fn impasse(&self, pairs: &[SearchState<M::State>]) -> LongestPrefix {
        let held = |number: &usize| (pairs[*number].set & self.required).count_ones();
        let best = (0..pairs.len()).rev().max_by_key(held).unwrap_or(0);
        let mut order = Vec::new();
        let mut came = pairs[best].came;
        while let Some((previous, operation)) = came {
            order.push(operation);
            came = pairs[previous].came;
        }
        order.reverse();
        let missing = self.required & !pairs[best].set;
        let refused = (0..self.spans.len()).filter(|&place| missing & 1 << place != 0).collect();
        LongestPrefix { order, refused }
    }
}
