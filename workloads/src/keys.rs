//! The keys that a workload has in use.
//!
//! A few keys are live at a time, shared by all clients: contention on one key is what brings out
//! stale reads. A key retires after a bounded number of operations, which bounds the cost of a check
//! by search, and leaves keys behind whose last state must survive everything that comes later.

use partita_checker::Value;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// The live keys, each with what the workload knows of it, and the names of all that ever were.
#[derive(Debug)]
pub(crate) struct Keys<T> {
    live: Vec<Key<T>>,
    names: Vec<Value>,
    operations_per_key: u32,
}

/// A key in use.
#[derive(Debug)]
pub(crate) struct Key<T> {
    /// Its name.
    pub(crate) name: Value,
    /// What the workload knows of it.
    pub(crate) known: T,
    remaining: u32,
}

impl<T: Default> Keys<T> {
    /// `live` keys at a time, each for so many operations; the first ones for fewer, drawn from
    /// `random`, so that they do not all retire at the same moment.
    ///
    /// # Panics
    ///
    /// If there is no key, or no operation per key.
    pub(crate) fn new(live: u32, operations_per_key: u32, random: &mut ChaCha8Rng) -> Self {
        assert!(live > 0, "a workload needs a key");
        assert!(operations_per_key > 0, "a key needs operations");
        let mut keys = Self { live: Vec::new(), names: Vec::new(), operations_per_key };
        for _ in 0..live {
            let remaining = random.random_range(1..=operations_per_key);
            let key = keys.fresh(remaining);
            keys.live.push(key);
        }
        keys
    }

    fn fresh(&mut self, remaining: u32) -> Key<T> {
        let name = Value::from(format!("k{}", self.names.len() + 1).as_str());
        self.names.push(name.clone());
        Key { name, known: T::default(), remaining }
    }

    /// The place of one of the live keys.
    pub(crate) fn pick(&self, random: &mut ChaCha8Rng) -> usize {
        random.random_range(0..self.live.len())
    }

    /// The live key in this place.
    pub(crate) fn at(&mut self, place: usize) -> &mut Key<T> {
        &mut self.live[place]
    }

    /// Counts an operation on the key in this place, which retires after its last.
    pub(crate) fn used(&mut self, place: usize) {
        self.live[place].remaining -= 1;
        if self.live[place].remaining == 0 {
            self.live[place] = self.fresh(self.operations_per_key);
        }
    }

    /// The live key of that name, if it has not retired.
    pub(crate) fn named(&mut self, name: &Value) -> Option<&mut Key<T>> {
        self.live.iter_mut().find(|key| key.name == *name)
    }

    /// The names of all keys that were ever in use, in order.
    pub(crate) fn names(&self) -> &[Value] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_key_retires_after_its_operations_and_another_takes_its_place() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut keys: Keys<u32> = Keys::new(2, 5, &mut random);
        for _ in 0..40 {
            let place = keys.pick(&mut random);
            let key = keys.at(place);
            key.known += 1;
            assert!(key.known <= 5, "{key:?}");
            keys.used(place);
        }
        assert!(keys.names().len() >= 40 / 5, "{:?}", keys.names());
        let last = keys.names().last().expect("a key").clone();
        assert!(keys.named(&last).is_some());
        assert!(keys.named(&"k1".into()).is_none(), "it has retired");
    }
}
