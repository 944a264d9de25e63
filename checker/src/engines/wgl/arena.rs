//! Keeps rows of words in a few large pieces of memory, which take little time to let go of.
//!
//! A row is found by the number that it got, stays where it is and is given up with all others
//! only. Memory comes in chunks, none of which is moved when more is needed: but for the first,
//! which grows with what is in it, so that a small arena is a small piece of memory.

/// The words of a chunk, at least.
const CHUNK: usize = 1 << 15;

/// The rows, one after another; none lies in two chunks.
pub(super) struct Arena {
    chunks: Vec<Vec<u64>>,
    /// The logarithm of the words of a chunk.
    shift: u32,
}

impl Arena {
    /// No rows; each will be of so many words at most.
    pub(super) fn new(longest: usize) -> Self {
        let size = CHUNK.max(longest.next_power_of_two());
        Self { chunks: vec![Vec::new()], shift: size.trailing_zeros() }
    }

    const fn size(&self) -> usize {
        1 << self.shift
    }

    /// Bytes that the arena takes more if a row of so many words is added.
    pub(super) fn bytes_for(&self, words: usize) -> usize {
        let last = &self.chunks[self.chunks.len() - 1];
        if last.len() + words > self.size() {
            8 * self.size()
        } else if last.len() + words > last.capacity() {
            // The chunk doubles, and is there twice for a moment.
            8 * self.size().min(2 * last.capacity() + words.max(4))
        } else {
            0
        }
    }

    /// Adds a row made of a first word and others. Gives its number.
    pub(super) fn push(&mut self, first: u64, rest: &[u64]) -> u32 {
        let words = 1 + rest.len();
        let size = self.size();
        assert!(words <= size, "a row is no longer than was said");
        if self.chunks[self.chunks.len() - 1].len() + words > size {
            self.chunks.push(Vec::with_capacity(size));
        }
        let number = self.chunks.len() - 1;
        let chunk = &mut self.chunks[number];
        let at = number << self.shift | chunk.len();
        chunk.push(first);
        chunk.extend_from_slice(rest);
        u32::try_from(at).expect("memory ends before 2^32 words")
    }

    /// The row from its first word on, and whatever follows it.
    pub(super) fn from(&self, number: u32) -> &[u64] {
        let chunk = &self.chunks[(number >> self.shift) as usize];
        &chunk[number as usize % self.size()..]
    }

    /// Puts another first word to a row.
    pub(super) fn set_first(&mut self, number: u32, word: u64) {
        let place = number as usize % self.size();
        self.chunks[(number >> self.shift) as usize][place] = word;
    }

    /// Bytes that the arena takes.
    pub(super) fn bytes(&self) -> usize {
        let first = self.chunks[0].capacity();
        8 * (first + (self.chunks.len() - 1) * self.size())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stay_as_they_were_however_many_follow() {
        let mut arena = Arena::new(10);
        let row = |number: u64| vec![number; number as usize % 10];
        let numbers: Vec<u32> = (0..50_000).map(|it| arena.push(it, &row(it))).collect();
        arena.set_first(numbers[7], 70);
        for (number, at) in (0..).zip(numbers) {
            let first = if number == 7 { 70 } else { number };
            let words = arena.from(at);
            assert_eq!((words[0], &words[1..][..number as usize % 10]), (first, &row(number)[..]));
        }
    }

    #[test]
    fn arena_takes_what_it_said_that_it_would() {
        let mut arena = Arena::new(CHUNK + 1);
        assert_eq!(arena.size(), 2 * CHUNK);
        for words in [3, 2 * CHUNK, 2 * CHUNK, 1, 1] {
            let expected = arena.bytes() + arena.bytes_for(words);
            arena.push(0, &vec![0; words - 1]);
            assert!(arena.bytes() <= expected, "{} of {expected}", arena.bytes());
        }
    }
}
