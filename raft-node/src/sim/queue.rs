//! Holds what is yet to happen, in order of time; what is due at the same moment comes in the order
//! in which it was put in.
//!
//! A binary heap of small keys over a pool of events: an event is moved twice, into its slot and
//! out, and slots are used again, so that a run in its stride allocates nothing here. O(log n) an
//! event. A key is one number, compared at once: the moment, the order of arrival, the slot. A timing
//! wheel was not needed: the heap holds tens of events, not thousands.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::moment::Moment;

/// The bits of a key that number its slot, and those that number its arrival; the moment has the
/// other 64.
const SLOT_BITS: u32 = 24;
const ARRIVAL_BITS: u32 = 40;

/// Events in order of time.
#[derive(Debug)]
pub(super) struct Queue<E> {
    keys: BinaryHeap<Reverse<u128>>,
    slots: Vec<Option<E>>,
    free: Vec<u32>,
    pushed: u64,
}

impl<E> Queue<E> {
    pub(super) fn new() -> Self {
        Self {
            keys: BinaryHeap::with_capacity(256),
            slots: Vec::with_capacity(256),
            free: Vec::with_capacity(256),
            pushed: 0,
        }
    }

    pub(super) fn push(&mut self, at: Moment, event: E) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(event);
                slot
            }
            None => {
                self.slots.push(Some(event));
                u32::try_from(self.slots.len() - 1).expect("events fit in memory")
            }
        };
        self.pushed += 1;
        assert!(self.pushed < 1 << ARRIVAL_BITS && slot < 1 << SLOT_BITS, "a run is short");
        let arrival = u128::from(self.pushed << SLOT_BITS | u64::from(slot));
        self.keys.push(Reverse(u128::from(at.0) << 64 | arrival));
    }

    /// When the next event is due.
    pub(super) fn next(&self) -> Option<Moment> {
        self.keys.peek().map(|Reverse(key)| moment(*key))
    }

    pub(super) fn pop(&mut self) -> Option<(Moment, E)> {
        let Reverse(key) = self.keys.pop()?;
        let slot = key as u32 & ((1 << SLOT_BITS) - 1);
        self.free.push(slot);
        let event = self.slots[slot as usize].take().expect("a key has its event");
        Some((moment(key), event))
    }
}

fn moment(key: u128) -> Moment {
    Moment((key >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_one_moment_keep_their_order() {
        let mut queue = Queue::new();
        for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b'), (5, 'e')] {
            queue.push(Moment(at), event);
        }
        let order: String = std::iter::from_fn(|| queue.pop()).map(|(_, event)| event).collect();
        assert_eq!(order, "abcde");
    }

    #[test]
    fn slots_are_used_again() {
        let mut queue = Queue::new();
        for round in 0..1000 {
            queue.push(Moment(round), round);
            assert_eq!(queue.pop(), Some((Moment(round), round)));
        }
        assert_eq!(queue.slots.len(), 1);
    }
}
