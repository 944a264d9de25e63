//! A table from values to numbers that many objects of one history share.

use crate::value::ValueId;

/// Numbers by value, for one object at a time: as good as empty again after one step, however many
/// objects share it.
#[derive(Debug)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    owner: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    owner: u32,
    number: u32,
}

impl Slots {
    /// For histories with `values` distinct values, and an initial one besides.
    pub(crate) fn new(values: usize) -> Self {
        Self { slots: vec![Slot::default(); values + 1], owner: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.owner = self.owner.checked_add(1).unwrap_or_else(|| {
            self.slots.fill(Slot::default());
            1
        });
    }

    pub(super) fn get(&self, value: ValueId) -> Option<u32> {
        let slot = self.slots[value.index()];
        (slot.owner == self.owner).then_some(slot.number)
    }

    /// As [`Self::get`], for values that the history may not name.
    pub(super) fn try_get(&self, value: ValueId) -> Option<u32> {
        if value.index() < self.slots.len() { self.get(value) } else { None }
    }

    pub(super) fn set(&mut self, value: ValueId, number: u32) {
        self.slots[value.index()] = Slot { owner: self.owner, number };
    }
}
