//! Remembers which pairs of linearized set and state the search has been in.
//!
//! States are interned. A set is stored from the first operation that it lacks: all before are in
//! it. Operations of unknown outcome, most of which are never in it, are numbered apart, so that
//! one of them does not hold that window open to the end; and a set that has them besides another
//! one is as good as remembered, since they need never happen.
//!
//! Once the memory for it is used up, remembers no more, but still knows what it has seen.

use std::hash::Hash;

use rustc_hash::FxHashMap;

use super::Span;

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
    pub(super) fn new(spans: &[Span], state: u32) -> Self {
        let mut counts = [0_u32; 2];
        let mut numbers = Vec::with_capacity(spans.len());
        let kinds: Vec<bool> = spans.iter().map(Span::is_completed).collect();
        for &kind in &kinds {
            let count = &mut counts[usize::from(kind)];
            numbers.push(*count);
            *count += 1;
        }
        let [unknown, completed] = counts.map(Bits::new);
        Self { state, completed, unknown, numbers, kinds }
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
    states: Vec<S>,
    numbers: FxHashMap<S, u32>,
    /// For states and sets of completed operations the sets of unknown ones, none within another
    /// that came later.
    pairs: FxHashMap<Box<[u64]>, Vec<Box<[u64]>>>,
    scratch: Vec<u64>,
    bytes: usize,
    most: usize,
    full: bool,
}

/// What the allocator adds to a piece of memory, about.
const ALLOCATION: usize = 16;

impl<S: Clone + Eq + Hash> Memo<S> {
    /// An empty memory of at most so many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self {
            states: Vec::new(),
            numbers: FxHashMap::default(),
            pairs: FxHashMap::default(),
            scratch: Vec::new(),
            bytes: 0,
            most,
            full: false,
        }
    }

    /// The state's number. `heap` is what it and a copy take beyond their own sizes, in bytes.
    pub(super) fn intern(&mut self, state: &S, heap: usize) -> u32 {
        if let Some(&number) = self.numbers.get(state) {
            return number;
        }
        let number = u32::try_from(self.states.len()).expect("memory ends before 2^32 states");
        self.states.push(state.clone());
        self.numbers.insert(state.clone(), number);
        self.bytes += 4 * size_of::<S>() + ALLOCATION + heap;
        number
    }

    pub(super) fn state(&self, number: u32) -> &S {
        &self.states[number as usize]
    }

    /// Whether the pair is new, as far as remembered. From now on it is not, if there is room.
    pub(super) fn insert(&mut self, pair: &Pair) -> bool {
        pair.write(&mut self.scratch);
        let (_, unknown) = pair.unknown.trimmed(0);
        let known = self.pairs.get_mut(self.scratch.as_slice());
        if known.as_ref().is_some_and(|known| known.iter().any(|it| is_within(it, unknown))) {
            return false;
        }
        let own = size_of_val(unknown) + 2 * (ALLOCATION + size_of::<Box<[u64]>>());
        // The words, the allocator's own, and a table that is half full; that is twice as large
        // for a moment when it grows.
        let entry = 3 * (size_of::<Box<[u64]>>() + size_of::<Vec<u64>>() + 1);
        let key = size_of_val(self.scratch.as_slice()) + 2 * ALLOCATION + entry;
        let bytes = if known.is_some() { own } else { own + key };
        if self.bytes + bytes > self.most {
            self.full = true;
            return true;
        }
        self.bytes += bytes;
        match known {
            Some(known) => known.push(unknown.into()),
            None => {
                self.pairs.insert(self.scratch.as_slice().into(), vec![unknown.into()]);
            }
        }
        true
    }

    /// Whether something was not remembered for want of memory.
    pub(super) const fn is_full(&self) -> bool {
        self.full
    }
}

/// Whether all that is in `left` is in `right`, neither of which ends with a zero.
fn is_within(left: &[u64], right: &[u64]) -> bool {
    left.len() <= right.len() && left.iter().zip(right).all(|(left, right)| left & !right == 0)
}
