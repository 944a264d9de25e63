//! Finds numbers by the hashes of what they stand for.
//!
//! What they stand for is kept elsewhere, so the table is flat: eight bytes a place, open addressing
//! (Knuth, *The Art of Computer Programming* 3, §6.4, algorithm L). A large table is made of parts,
//! each of which grows on its own. So no addition moves more than a small part of what is there,
//! which would take long, nor needs memory for twice the whole.

use std::hash::{BuildHasher, Hash};

use rustc_hash::FxBuildHasher;

/// A table of more numbers than this is in parts.
const WHOLE: usize = 1 << 12;
const PARTS: usize = 1 << 8;
/// Places of the smallest part.
const SMALLEST: usize = 16;

/// The hash of a value, all bits of which are good.
pub(super) fn hash(value: &impl Hash) -> u64 {
    let hash = FxBuildHasher.hash_one(value);
    // Of the product of an odd constant, the upper half depends on all bits.
    (hash ^ hash >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Numbers below 2^32 - 1.
pub(super) struct Table {
    parts: Vec<Part>,
    /// Places of all parts.
    places: usize,
}

/// Places, a power of two or none: 0, or the upper half of the hash and one more than the number.
#[derive(Default)]
struct Part {
    places: Vec<u64>,
    len: usize,
}

impl Table {
    pub(super) fn new() -> Self {
        Self { parts: vec![Part::default()], places: 0 }
    }

    /// A number with this hash of which `is_it` holds.
    pub(super) fn find(&self, hash: u64, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.parts[self.part(hash)].find(upper(hash), is_it)
    }

    /// Adds a number that is not there.
    pub(super) fn insert(&mut self, hash: u64, number: u32) {
        if self.parts.len() == 1 && self.parts[0].len == WHOLE {
            self.split();
        }
        let part = self.part(hash);
        let part = &mut self.parts[part];
        self.places -= part.places.len();
        part.insert(upper(hash), number);
        self.places += part.places.len();
    }

    /// Bytes that the table takes.
    pub(super) const fn bytes(&self) -> usize {
        8 * self.places
    }

    /// Bytes that the table takes more, if only for a moment, when it grows next.
    pub(super) fn bytes_to_grow(&self) -> usize {
        match self.parts.len() {
            1 if self.parts[0].len == WHOLE => 8 * 4 * SMALLEST * PARTS,
            1 => 16 * SMALLEST.max(self.places),
            // Some parts are larger than others.
            _ => 2 * 16 * (self.places / PARTS),
        }
    }

    const fn part(&self, hash: u64) -> usize {
        if self.parts.len() == 1 { 0 } else { (hash >> 56) as usize }
    }

    /// Puts what is in the one part there is in many.
    fn split(&mut self) {
        let whole = std::mem::take(&mut self.parts[0]);
        self.parts.resize_with(PARTS, Part::default);
        for place in whole.places.into_iter().filter(|&place| place != 0) {
            let part = (place >> 56) as usize;
            self.parts[part].insert((place >> 32) as u32, place as u32 - 1);
        }
        self.places = self.parts.iter().map(|part| part.places.len()).sum();
    }
}

impl Part {
    fn find(&self, upper: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = self.first(upper)?;
        loop {
            let place = self.places[at];
            if place == 0 {
                return None;
            }
            let number = place as u32 - 1;
            if (place >> 32) as u32 == upper && is_it(number) {
                return Some(number);
            }
            at = (at + 1) % self.places.len();
        }
    }

    fn insert(&mut self, upper: u32, number: u32) {
        // A quarter of the places is free, so that a search soon meets one that is.
        if 4 * (self.len + 1) > 3 * self.places.len() {
            let places = vec![0; SMALLEST.max(2 * self.places.len())];
            for place in std::mem::replace(&mut self.places, places) {
                if place != 0 {
                    self.put((place >> 32) as u32, place);
                }
            }
        }
        self.put(upper, u64::from(upper) << 32 | u64::from(number + 1));
        self.len += 1;
    }

    fn put(&mut self, upper: u32, place: u64) {
        let mut at = self.first(upper).expect("there are places");
        while self.places[at] != 0 {
            at = (at + 1) % self.places.len();
        }
        self.places[at] = place;
    }

    /// The place where a number with this hash is looked for first.
    fn first(&self, upper: u32) -> Option<usize> {
        (upper as usize).checked_rem(self.places.len())
    }
}

/// The half of a hash that a place keeps. Its first byte chooses the part.
const fn upper(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_finds_what_was_added_and_nothing_else() {
        let count = 20 * WHOLE as u32;
        let mut table = Table::new();
        for number in 0..count {
            assert_eq!(table.find(hash(&number), |other| other == number), None);
            table.insert(hash(&number), number);
            if number.is_power_of_two() || number + 1 == count {
                let is_there = |it: u32| table.find(hash(&it), |other| other == it) == Some(it);
                assert!((0..=number).all(is_there), "with {number}");
            }
        }
    }

    #[test]
    fn numbers_of_equal_hashes_are_told_apart() {
        let mut table = Table::new();
        for number in 0..3 * WHOLE as u32 / 2 {
            table.insert(5, number);
        }
        let last = 3 * WHOLE as u32 / 2 - 1;
        assert_eq!(table.find(5, |other| other == last), Some(last));
    }

    #[test]
    fn addition_moves_a_small_part_of_a_large_table() {
        let mut table = Table::new();
        for number in 0..40 * WHOLE as u32 {
            let (before, extra) = (table.bytes(), table.bytes_to_grow());
            table.insert(hash(&number), number);
            let grown = table.bytes().saturating_sub(before);
            assert!(grown <= extra, "{grown} of {extra} at {number}");
            assert!(grown <= 8 * 4 * SMALLEST * PARTS, "{grown} at {number}");
        }
    }
}
