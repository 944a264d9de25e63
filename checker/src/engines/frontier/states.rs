//! Interned values: states of the model, and how many unknown operations of each kind were used.

use std::hash::Hash;

use rustc_hash::FxHashMap;

use crate::engines::memory_estimate::{ALLOCATION, discard, map_bytes};
use crate::engines::{Cancellation, Stopped};

/// Gives equal values equal numbers, and reuses the numbers of values that are given up.
pub(super) struct Interned<T> {
    values: Vec<Option<T>>,
    numbers: FxHashMap<T, u32>,
    spare: Vec<u32>,
    /// What the values take beyond their own size.
    heap: usize,
}

impl<T: Clone + Eq + Hash> Interned<T> {
    pub(super) fn new() -> Self {
        Self { values: Vec::new(), numbers: FxHashMap::default(), spare: Vec::new(), heap: 0 }
    }

    /// The value's number. `heap` is what it and a copy take beyond their own sizes, in bytes.
    pub(super) fn intern(&mut self, value: &T, heap: usize) -> u32 {
        if let Some(&number) = self.numbers.get(value) {
            return number;
        }
        self.heap += heap;
        let number = self.spare.pop().unwrap_or_else(|| {
            self.values.push(None);
            u32::try_from(self.values.len() - 1).expect("memory ends before 2^32 values")
        });
        self.values[number as usize] = Some(value.clone());
        self.numbers.insert(value.clone(), number);
        number
    }

    pub(super) fn get(&self, number: u32) -> &T {
        self.values[number as usize].as_ref().expect("a number in use")
    }

    pub(super) const fn len(&self) -> usize {
        self.values.len() - self.spare.len()
    }

    /// Gives up all values but those with these numbers.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the time is up; then some that should be given up are not.
    pub(super) fn retain(
        &mut self,
        numbers: impl Iterator<Item = u32>,
        cancellation: &Cancellation<'_>,
    ) -> Result<(), Stopped> {
        let mut used = vec![false; self.values.len()];
        for number in numbers {
            cancellation.step()?;
            used[number as usize] = true;
        }
        let before = self.len().max(1);
        for (number, used) in (0_u32..).zip(used) {
            cancellation.spend(4)?;
            if !used && let Some(value) = self.values[number as usize].take() {
                self.numbers.remove(&value);
                self.spare.push(number);
            }
        }
        self.heap = self.heap / before * self.len();
        Ok(())
    }

    /// Gives up all values, quickly.
    pub(super) fn discard(&mut self)
    where
        T: Send + 'static,
    {
        let Self { values, numbers, .. } = std::mem::replace(self, Self::new());
        let count = values.len();
        discard(values, count);
        discard(numbers, count);
    }

    pub(super) fn bytes(&self) -> usize {
        self.heap
            + self.values.capacity() * size_of::<Option<T>>()
            + self.spare.capacity() * size_of::<u32>()
            + map_bytes(&self.numbers)
    }
}

/// How many unknown operations of which kind were used: kinds ascending, no count 0.
pub(super) type Usage = Box<[(u32, u32)]>;

/// Bytes of a usage and a copy of it, beyond their own sizes.
pub(super) const fn usage_bytes(usage: &[(u32, u32)]) -> usize {
    2 * (size_of_val(usage) + ALLOCATION)
}

/// The number of the usage of none, in every table of usages.
pub(super) const UNUSED: u32 = 0;

/// Whether nothing is used more in `left` than in `right`.
pub(super) fn is_within(left: &[(u32, u32)], right: &[(u32, u32)]) -> bool {
    let mut right = right.iter();
    left.iter().all(|&(kind, count)| {
        right
            .find(|&&(other, _)| other >= kind)
            .is_some_and(|&(other, most)| other == kind && count <= most)
    })
}

pub(super) fn count_of(usage: &[(u32, u32)], kind: u32) -> u32 {
    usage.binary_search_by_key(&kind, |&(kind, _)| kind).map_or(0, |place| usage[place].1)
}

/// The usage with one more of `kind`.
pub(super) fn with_one_more(usage: &[(u32, u32)], kind: u32) -> Usage {
    let mut more = usage.to_vec();
    match more.binary_search_by_key(&kind, |&(kind, _)| kind) {
        Ok(place) => more[place].1 += 1,
        Err(place) => more.insert(place, (kind, 1)),
    }
    more.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_within_another_if_no_kind_was_used_more() {
        for (left, right, within) in [
            (&[][..], &[(1, 1)][..], true),
            (&[(1, 1)], &[], false),
            (&[(1, 1), (4, 2)], &[(0, 1), (1, 1), (4, 2)], true),
            (&[(1, 1), (4, 3)], &[(0, 1), (1, 1), (4, 2)], false),
            (&[(2, 1)], &[(1, 1), (3, 1)], false),
        ] {
            assert_eq!(is_within(left, right), within, "{left:?} {right:?}");
        }
    }

    #[test]
    fn numbers_of_values_given_up_are_given_out_again() {
        let mut states = Interned::new();
        let [one, two] = ["one", "two"].map(|state| states.intern(&state, 0));
        states.retain([two].into_iter(), &Cancellation::never()).unwrap();
        assert_eq!((states.len(), states.get(two)), (1, &"two"));
        assert_eq!(states.intern(&"three", 0), one);
        assert_eq!(states.intern(&"two", 0), two);
    }
}
