//! Configurations, and sets of them in which none makes another superfluous.

use rustc_hash::FxHashSet;

use super::bits::Bits;
use super::rules::Rules;
use super::states::{Interned, Usage, is_within};
use crate::engines::memory_estimate::set_bytes;

/// The state of a configuration whose state is overwritten before it can be observed.
pub(super) const DEAD: u32 = u32::MAX;

/// Of how many configurations each newcomer is compared with: beyond, only equals are found.
const COMPARED: usize = 512;

/// What may have happened up to some moment. An open operation is *free* if it has its place in
/// the order already but may be ordered elsewhere instead, later; *used* if it has been ordered for
/// good; and else it *must* be ordered yet, before it returns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Configuration<const W: usize> {
    /// The interned state; [`DEAD`] if it makes no difference.
    pub state: u32,
    /// The interned numbers of unknown operations used.
    pub usage: u32,
    /// The open operations that were ordered for good.
    pub used: Bits<W>,
    /// The open operations that have a place and may leave it.
    pub free: Bits<W>,
    /// The last step of its trail.
    pub trail: u32,
}

/// What makes configurations equal: all but how they came about.
type Key<const W: usize> = (u32, u32, Bits<W>, Bits<W>);

impl<const W: usize> Configuration<W> {
    const fn key(&self) -> Key<W> {
        (self.state, self.usage, self.used, self.free)
    }

    /// Whether everything that can follow `other` can follow this one.
    fn covers(&self, other: &Self, usages: &Interned<Usage>) -> bool {
        (self.state == other.state || other.state == DEAD)
            && self.used.differs(&other.used).or(&other.free).minus(&self.free).is_empty()
            && (self.usage == other.usage
                || is_within(usages.get(self.usage), usages.get(other.usage)))
    }
}

/// A set of configurations.
pub(super) struct Configurations<const W: usize> {
    /// The configurations, in no order.
    pub items: Vec<Configuration<W>>,
    keys: FxHashSet<Key<W>>,
}

impl<const W: usize> Configurations<W> {
    pub(super) fn new() -> Self {
        Self { items: Vec::new(), keys: FxHashSet::default() }
    }

    pub(super) fn clear(&mut self) {
        self.items.clear();
        if !self.keys.is_empty() {
            self.keys.clear();
        }
    }

    /// Adds a configuration unless it is there already. Whether it was added.
    pub(super) fn add(&mut self, new: Configuration<W>) -> bool {
        let added = self.keys.insert(new.key());
        if added {
            self.items.push(new);
        }
        added
    }

    /// Says how the configuration that was added last came about.
    pub(super) fn set_last_trail(&mut self, trail: u32) {
        self.items.last_mut().expect("one was added").trail = trail;
    }

    /// Adds a configuration unless one that is there covers it, and drops those that it covers.
    pub(super) fn admit(
        &mut self,
        new: Configuration<W>,
        usages: &Interned<Usage>,
        rules: Rules,
    ) -> bool {
        if !rules.dominance {
            return self.add(new);
        }
        if self.items.len() >= COMPARED {
            if self.keys.is_empty() {
                self.keys.extend(self.items.iter().map(Configuration::key));
            }
            let covered = self.items[..COMPARED].iter().any(|old| old.covers(&new, usages));
            return !covered && self.add(new);
        }
        let mut place = 0;
        while place < self.items.len() {
            if self.items[place].covers(&new, usages) {
                return false;
            }
            if new.covers(&self.items[place], usages) {
                self.items.swap_remove(place);
            } else {
                place += 1;
            }
        }
        self.items.push(new);
        true
    }

    /// Bytes that the set takes.
    pub(super) fn bytes(&self) -> usize {
        self.items.capacity() * size_of::<Configuration<W>>() + set_bytes(&self.keys)
    }
}
