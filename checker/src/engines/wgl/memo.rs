//! Remembers which pairs of linearized set and state the search has been in.
//!
//! States are interned. A set is stored from the first operation that it lacks: all before are in
//! it. Operations of unknown outcome, most of which are never in it, are numbered apart, so that
//! one of them does not hold that window open to the end; and a set that has them besides another
//! one is as good as remembered, since they need never happen.
//!
//! Once the memory for it is used up, remembers no more, but still knows what it has seen. States
//! that it meets from then on stay as long as the search has use for them.
//!
//! All of it is in a few large pieces of memory, except what a state has beyond its own size: a
//! search that is told to stop does not take long to let go of a hundred million words, and leaves the
//! states to somebody else.

use std::hash::Hash;

use super::arena::Arena;
use super::table::{Table, hash};
use super::{Cancellation, Span, Stopped};
use crate::engines::memory_estimate::discard;

/// A set of linearized operations and the state that they lead to.
pub(super) struct Pair {
    /// The interned state.
    pub state: u32,
    completed: Bits,
    unknown: Bits,
    /// For every span its number among those of its kind.
    numbers: Vec<u32>,
    kinds: Vec<bool>,
}

impl Pair {
    pub(super) fn new(
        spans: &[Span],
        state: u32,
        cancellation: &Cancellation<'_>,
    ) -> Result<Self, Stopped> {
        let mut counts = [0_u32; 2];
        let mut numbers = Vec::with_capacity(spans.len());
        let mut kinds = Vec::with_capacity(spans.len());
        for span in spans {
            cancellation.step()?;
            let kind = span.is_completed();
            let count = &mut counts[usize::from(kind)];
            numbers.push(*count);
            kinds.push(kind);
            *count += 1;
        }
        let [unknown, completed] = counts.map(Bits::new);
        Ok(Self { state, completed, unknown, numbers, kinds })
    }

    pub(super) fn insert(&mut self, span: u32) {
        let number = self.numbers[span as usize];
        self.bits(span).insert(number);
    }

    pub(super) fn remove(&mut self, span: u32) {
        let number = self.numbers[span as usize];
        self.bits(span).remove(number);
    }

    fn bits(&mut self, span: u32) -> &mut Bits {
        if self.kinds[span as usize] { &mut self.completed } else { &mut self.unknown }
    }

    /// Writes all but the unknown operations as words: equal exactly if the rest is.
    fn write(&self, words: &mut Vec<u64>) {
        words.clear();
        let (start, window) = self.completed.window();
        words.push(u64::from(self.state) << 32 | start as u64);
        words.extend_from_slice(window);
    }

    /// Bytes that the pair takes.
    pub(super) const fn bytes(&self) -> usize {
        4 * self.numbers.capacity()
            + self.kinds.capacity()
            + 8 * (self.completed.words.capacity() + self.unknown.words.capacity())
    }
}

/// A set of small numbers.
struct Bits {
    words: Vec<u64>,
    /// The first word that lacks a number.
    first: usize,
    /// One past the last word that has a number.
    end: usize,
}

impl Bits {
    fn new(count: u32) -> Self {
        Self { words: vec![0; count.div_ceil(64) as usize], first: 0, end: 0 }
    }

    fn insert(&mut self, number: u32) {
        let word = (number / 64) as usize;
        self.words[word] |= 1 << (number % 64);
        self.end = self.end.max(word + 1);
        while self.words.get(self.first) == Some(&u64::MAX) {
            self.first += 1;
        }
    }

    fn remove(&mut self, number: u32) {
        let word = (number / 64) as usize;
        self.words[word] &= !(1 << (number % 64));
        self.first = self.first.min(word);
        while self.end > 0 && self.words[self.end - 1] == 0 {
            self.end -= 1;
        }
    }

    fn window(&self) -> (usize, &[u64]) {
        self.trimmed(self.first)
    }

    fn trimmed(&self, start: usize) -> (usize, &[u64]) {
        (start, &self.words[start..self.end.max(start)])
    }
}

/// The pairs and the states met so far.
pub(super) struct Memo<S> {
    /// The states, those first that are remembered.
    states: Vec<S>,
    numbers: Table,
    /// Two sorts of rows. A state and a set of completed operations, as [`Pair::write`] writes
    /// them, after a word with their number and the last set of unknown ones that came with them.
    /// Such a set, after a word with its length and the set before.
    rows: Arena,
    /// The rows of the first sort.
    pairs: Table,
    scratch: Vec<u64>,
    /// What states take beyond their own size.
    heap: usize,
    most: usize,
    /// How many states are remembered, once no more are.
    full: Option<usize>,
    /// How many words were looked at for the last pair.
    effort: usize,
}

/// In the place of the last set of unknown operations: the empty one, within which none is, but
/// which is within all.
const EMPTY: u32 = u32::MAX;
/// In the place of the set before: there is none.
const LAST: u32 = u32::MAX - 1;

/// The most bytes that are of use: rows have numbers of 32 bits, and a word for each.
const MOST: usize = 30 << 30;

impl<S: Clone + Eq + Hash> Memo<S> {
    /// An empty memory of at most so many bytes, for sets of so many operations.
    pub(super) fn new(most: usize, spans: usize) -> Self {
        Self {
            states: Vec::new(),
            numbers: Table::new(),
            rows: Arena::new(spans.div_ceil(64) + 2),
            pairs: Table::new(),
            scratch: Vec::new(),
            heap: 0,
            most: most.min(MOST),
            full: None,
            effort: 0,
        }
    }

    /// The state's number: the same for equal ones, as long as they are remembered. `heap` is what
    /// it and a copy take beyond their own sizes, in bytes.
    pub(super) fn intern(&mut self, state: S, heap: usize) -> u32 {
        let hash = hash(&state);
        let known = self.numbers.find(hash, |number| self.states[number as usize] == state);
        if let Some(number) = known {
            return number;
        }
        let number = self.states.len() as u32;
        if self.full.is_none() && self.keep_to_limit(0, heap) {
            self.heap += heap;
            self.numbers.insert(hash, number);
        }
        self.states.push(state);
        number
    }

    pub(super) fn state(&self, number: u32) -> &S {
        &self.states[number as usize]
    }

    /// Gives up what is not remembered of the states, but for so many: those that were met since.
    pub(super) fn forget(&mut self, count: u32) {
        if let Some(kept) = self.full {
            self.states.truncate(kept.max(count as usize));
        }
    }

    /// How many states there are.
    pub(super) fn count(&self) -> u32 {
        self.states.len() as u32
    }

    /// Whether the pair is new, as far as remembered. From now on it is not, if there is room.
    pub(super) fn insert(&mut self, pair: &Pair) -> bool {
        pair.write(&mut self.scratch);
        let (_, unknown) = pair.unknown.trimmed(0);
        let hash = hash(&self.scratch);
        let row = &self.scratch[..];
        let known = self.pairs.find(hash, |number| {
            let words = self.rows.from(number);
            words[0] as u32 as usize == row.len() && words[1..][..row.len()] == *row
        });
        let last = known.map_or(LAST, |number| (self.rows.from(number)[0] >> 32) as u32);
        self.effort = self.scratch.len();
        if self.has_within(last, unknown) {
            return false;
        }
        if self.full.is_some() || !self.keep_to_limit(self.scratch.len() + unknown.len() + 2, 0) {
            return true;
        }
        let last = if unknown.is_empty() {
            EMPTY
        } else {
            self.rows.push(u64::from(last) << 32 | unknown.len() as u64, unknown)
        };
        let first = u64::from(last) << 32 | self.scratch.len() as u64;
        match known {
            Some(number) => self.rows.set_first(number, first),
            None => {
                let number = self.rows.push(first, &self.scratch);
                self.pairs.insert(hash, number);
            }
        }
        true
    }

    /// Whether a set from `last` on is within this one.
    fn has_within(&mut self, last: u32, unknown: &[u64]) -> bool {
        let mut at = last;
        while at != LAST {
            if at == EMPTY {
                return true;
            }
            let words = self.rows.from(at);
            let length = words[0] as u32 as usize;
            self.effort += 1 + length;
            if is_within(&words[1..][..length], unknown) {
                return true;
            }
            at = (words[0] >> 32) as u32;
        }
        false
    }

    /// Whether there is room for rows of so many words, or for a state that takes so much beyond its
    /// own size. If not, nothing is remembered from now on.
    fn keep_to_limit(&mut self, words: usize, heap: usize) -> bool {
        let states = &self.states;
        // What doubles is there twice for a moment.
        let doubles = states.len() == states.capacity();
        let growth = if doubles { 2 * size_of::<S>() * states.len().max(4) } else { 0 };
        let more = self.rows.bytes_for(words)
            + self.pairs.bytes_to_grow()
            + self.numbers.bytes_to_grow()
            + growth
            + heap;
        let has_room = self.bytes() + more <= self.most;
        if !has_room {
            self.full.get_or_insert(self.states.len());
        }
        has_room
    }

    fn bytes(&self) -> usize {
        size_of::<S>() * self.states.capacity()
            + self.heap
            + self.numbers.bytes()
            + self.pairs.bytes()
            + self.rows.bytes()
    }

    /// How many words were looked at for the last pair.
    pub(super) const fn effort(&self) -> usize {
        self.effort
    }

    /// Gives up all states, quickly.
    pub(super) fn discard(&mut self)
    where
        S: Send + 'static,
    {
        let states = std::mem::take(&mut self.states);
        let count = states.len();
        discard(states, count);
    }

    /// Whether something was not remembered for want of memory.
    pub(super) const fn is_full(&self) -> bool {
        self.full.is_some()
    }
}

/// Whether all that is in `left` is in `right`, neither of which ends with a zero.
fn is_within(left: &[u64], right: &[u64]) -> bool {
    left.len() <= right.len() && left.iter().zip(right).all(|(left, right)| left & !right == 0)
}
