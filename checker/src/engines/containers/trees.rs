//! Trees over places in a row, for minima and for zeros of a range.

use crate::engines::{Cancellation, Stopped};

/// A row of keys of which any range's least is found in O(log n).
pub(super) struct RangeMinimum {
    size: usize,
    /// The least key below each node, the places themselves from `size` on.
    nodes: Vec<u64>,
}

impl RangeMinimum {
    /// A row of keys; the greatest number stands for none.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the time is up.
    pub(super) fn new(
        keys: impl ExactSizeIterator<Item = u64>,
        cancellation: &Cancellation<'_>,
    ) -> Result<Self, Stopped> {
        let size = keys.len().next_power_of_two();
        let mut nodes = vec![u64::MAX; 2 * size];
        for (place, key) in keys.enumerate() {
            cancellation.step()?;
            nodes[size + place] = key;
        }
        for node in (1..size).rev() {
            cancellation.step()?;
            nodes[node] = nodes[2 * node].min(nodes[2 * node + 1]);
        }
        Ok(Self { size, nodes })
    }

    pub(super) fn set(&mut self, place: usize, key: u64) {
        let mut node = self.size + place;
        self.nodes[node] = key;
        while node > 1 {
            node /= 2;
            self.nodes[node] = self.nodes[2 * node].min(self.nodes[2 * node + 1]);
        }
    }

    /// The least key from `from` until, and without, `until`.
    pub(super) fn least(&self, from: usize, until: usize) -> u64 {
        let (mut left, mut right) = (self.size + from, self.size + until);
        let mut least = u64::MAX;
        while left < right {
            if left % 2 == 1 {
                least = least.min(self.nodes[left]);
                left += 1;
            }
            if right % 2 == 1 {
                right -= 1;
                least = least.min(self.nodes[right]);
            }
            (left, right) = (left / 2, right / 2);
        }
        least
    }

    /// A place from `from` until, and without, `until` whose key is below `bound`.
    pub(super) fn below(&self, bound: u64, from: usize, until: usize) -> Option<usize> {
        let (mut left, mut right) = (self.size + from, self.size + until);
        while left < right {
            if left % 2 == 1 {
                if self.nodes[left] < bound {
                    return Some(self.descend(left, bound));
                }
                left += 1;
            }
            if right % 2 == 1 {
                right -= 1;
                if self.nodes[right] < bound {
                    return Some(self.descend(right, bound));
                }
            }
            (left, right) = (left / 2, right / 2);
        }
        None
    }

    fn descend(&self, mut node: usize, bound: u64) -> usize {
        while node < self.size {
            node *= 2;
            if self.nodes[node] >= bound {
                node += 1;
            }
        }
        node - self.size
    }
}

/// A row of counters that stretches cover; each zero is found once.
pub(super) struct Coverage {
    size: usize,
    /// The least counter below each node, but for what `added` of the nodes above says.
    least: Vec<u32>,
    added: Vec<u32>,
}

/// A counter whose zero was found.
const FOUND: u32 = u32::MAX / 2;

impl Coverage {
    /// A row of these counters.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the time is up.
    pub(super) fn new(
        counters: impl ExactSizeIterator<Item = u32>,
        cancellation: &Cancellation<'_>,
    ) -> Result<Self, Stopped> {
        let size = counters.len().next_power_of_two();
        let mut least = vec![FOUND; 2 * size];
        for (place, counter) in counters.enumerate() {
            cancellation.step()?;
            least[size + place] = counter;
        }
        for node in (1..size).rev() {
            cancellation.step()?;
            least[node] = least[2 * node].min(least[2 * node + 1]);
        }
        Ok(Self { size, least, added: vec![0; 2 * size] })
    }

    /// Takes a cover off the places from `from` until, and without, `until`. Calls `zero` with
    /// every place among them that is without a cover now, in order.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if `zero` says so; then the row is of no more use.
    pub(super) fn uncover(
        &mut self,
        from: usize,
        until: usize,
        zero: &mut impl FnMut(usize) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        self.subtract(1, 0, self.size, (from, until), zero)
    }

    fn subtract(
        &mut self,
        node: usize,
        begin: usize,
        width: usize,
        range: (usize, usize),
        zero: &mut impl FnMut(usize) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        if range.1 <= begin || begin + width <= range.0 {
            return Ok(());
        }
        if range.0 <= begin && begin + width <= range.1 && self.least[node] > 1 {
            self.least[node] -= 1;
            self.added[node] += 1;
            return Ok(());
        }
        if width == 1 {
            self.least[node] = FOUND;
            return zero(begin);
        }
        self.push_down(node);
        let half = width / 2;
        self.subtract(2 * node, begin, half, range, zero)?;
        self.subtract(2 * node + 1, begin + half, half, range, zero)?;
        self.least[node] = self.least[2 * node].min(self.least[2 * node + 1]);
        Ok(())
    }

    fn push_down(&mut self, node: usize) {
        let added = std::mem::take(&mut self.added[node]);
        for child in [2 * node, 2 * node + 1] {
            self.least[child] -= added;
            self.added[child] += added;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn least_finds_what_a_scan_finds(
            keys in proptest::collection::vec(0_u64..20, 1..40),
            changes in proptest::collection::vec((0_usize..40, 0_u64..20), 0..20),
            bound in 0_u64..20,
            (from, until) in (0_usize..40, 0_usize..40),
        ) {
            let mut keys = keys;
            let mut tree = RangeMinimum::new(keys.iter().copied(), &Cancellation::never()).unwrap();
            for (place, key) in changes {
                let place = place % keys.len();
                keys[place] = key;
                tree.set(place, key);
            }
            let (from, until) = (from.min(keys.len()), until.min(keys.len()));
            let found = tree.below(bound, from, until);
            let exists = (from..until).any(|place| keys[place] < bound);
            prop_assert_eq!(found.is_some(), exists);
            let least = keys.get(from..until).and_then(|keys| keys.iter().copied().min());
            prop_assert_eq!(tree.least(from, until), least.unwrap_or(u64::MAX));
            if let Some(place) = found {
                prop_assert!((from..until).contains(&place) && keys[place] < bound);
            }
        }

        #[test]
        fn coverage_finds_every_zero_once(
            stretches in proptest::collection::vec((0_usize..30, 1_usize..10), 1..20)
        ) {
            let mut counters = [0_u32; 40];
            for &(from, length) in &stretches {
                counters[from..from + length].iter_mut().for_each(|counter| *counter += 1);
            }
            let tree = Coverage::new(counters.iter().copied(), &Cancellation::never());
            let mut tree = tree.unwrap();
            for (from, length) in stretches {
                let mut found = Vec::new();
                let mut zero = |place| {
                    found.push(place);
                    Ok(())
                };
                tree.uncover(from, from + length, &mut zero).unwrap();
                let mut expected = Vec::new();
                for (place, counter) in counters.iter_mut().enumerate().skip(from).take(length) {
                    *counter -= 1;
                    if *counter == 0 {
                        expected.push(place);
                    }
                }
                prop_assert_eq!(found, expected);
            }
        }
    }
}
