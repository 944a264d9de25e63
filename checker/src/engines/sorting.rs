//! Sorts that end when the time is up.
//!
//! Sorts short runs, and merges them in pairs (Knuth, *The Art of Computer Programming* 3, §5.2.4);
//! asks between runs and in merges. Of two runs only what is out of place is moved, so that rows
//! in which everything is near its place, as most of the histories' are, cost little more than the
//! runs. Equal items may change places. Needs memory for half of the row.

use super::cancellation::{Cancellation, STEPS_PER_POLL, Stopped};

impl Cancellation<'_> {
    /// Sorts the items. What was stopped leaves them as good as lost.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the work is to end.
    pub(crate) fn sort<T: Copy + Ord>(&self, items: &mut [T]) -> Result<(), Stopped> {
        self.sort_by_key(items, |&item| item)
    }

    /// As [`Self::sort`], by a key.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the work is to end.
    pub(crate) fn sort_by_key<T: Copy, K: Ord>(
        &self,
        items: &mut [T],
        key: impl Fn(&T) -> K,
    ) -> Result<(), Stopped> {
        for run in items.chunks_mut(STEPS_PER_POLL) {
            self.spend(run.len())?;
            run.sort_unstable_by_key(&key);
        }
        let mut spare = Vec::new();
        let mut width = STEPS_PER_POLL;
        while width < items.len() {
            for pair in items.chunks_mut(2 * width).filter(|pair| pair.len() > width) {
                self.merge(pair, width, &mut spare, &key)?;
            }
            width *= 2;
        }
        Ok(())
    }

    /// Merges the first `width` items with the rest; both are sorted.
    fn merge<T: Copy, K: Ord>(
        &self,
        items: &mut [T],
        width: usize,
        spare: &mut Vec<T>,
        key: &impl Fn(&T) -> K,
    ) -> Result<(), Stopped> {
        let (left, right) = items.split_at(width);
        let (last, first) = (key(&left[width - 1]), key(&right[0]));
        let from = left.partition_point(|item| key(item) <= first);
        let until = width + right.partition_point(|item| key(item) < last);
        spare.clear();
        spare.extend_from_slice(&left[from..]);
        let (mut to, mut right) = (from, width);
        for item in &*spare {
            while right < until && key(&items[right]) < key(item) {
                self.step()?;
                items[to] = items[right];
                (to, right) = (to + 1, right + 1);
            }
            self.step()?;
            items[to] = *item;
            to += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Numbers below `most`, in no order.
    fn numbers(count: usize, most: u64) -> Vec<u64> {
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            (state >> 33) % most
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    fn rows_of_all_lengths_and_orders_are_sorted() {
        let run = STEPS_PER_POLL;
        for count in [0, 1, 2, run - 1, run, run + 1, 2 * run, 2 * run + 1, 5 * run + 77] {
            let random = numbers(count, 1_000);
            let near = (0..).zip(&random).map(|(place, it)| place + it % 50).collect();
            let back = (0..count as u64).rev().collect();
            for mut row in [random.clone(), near, back, vec![3; count]] {
                let mut expected = row.clone();
                expected.sort_unstable();
                Cancellation::never().sort(&mut row).unwrap();
                assert!(row == expected, "{count} numbers");
            }
        }
    }

    #[test]
    fn sort_looks_at_few_items_between_two_questions() {
        let (looks, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let stop = || {
            most.fetch_max(looks.swap(0, Ordering::Relaxed), Ordering::Relaxed);
            false
        };
        let cancellation = Cancellation::new(&stop);
        let mut row = numbers(20 * STEPS_PER_POLL, u64::MAX);
        let key = |item: &u64| {
            looks.fetch_add(1, Ordering::Relaxed);
            *item
        };
        cancellation.sort_by_key(&mut row, key).unwrap();
        let most = most.into_inner();
        // A run is compared in about n log n steps.
        assert!(most <= 4 * 14 * STEPS_PER_POLL, "{most} looks");
    }

    #[test]
    fn sort_ends_when_it_is_told_to() {
        let row = numbers(8 * STEPS_PER_POLL, u64::MAX);
        for enough in 0..40 {
            let told = AtomicUsize::new(0);
            let stop = || told.fetch_add(1, Ordering::Relaxed) >= enough;
            let found = Cancellation::new(&stop).sort(&mut row.clone());
            let told = told.into_inner();
            assert!(told <= enough + 1, "told {told} times");
            assert_eq!(found.is_err(), told > enough);
        }
    }
}
