//! The `queue` and `stack` workloads: items are put in once, and taken out.
//!
//! Every item is a new one, so that an item that comes out twice, never or out of order shows, and the
//! checker needs no search. In the end each container is taken from through every node until it is
//! empty: what was put in must be there.

use partita_checker::Value;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::generator::{Closing, Generator, Until};
use crate::keys::Keys;
use crate::operation::{Completion, Invocation, Kind};
use crate::random::stream;

/// Which container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// First in, first out.
    Queue,
    /// Last in, first out.
    Stack,
}

impl Container {
    const fn put(self) -> Kind {
        match self {
            Self::Queue => Kind::Enqueue,
            Self::Stack => Kind::Push,
        }
    }

    const fn take(self) -> Kind {
        match self {
            Self::Queue => Kind::Dequeue,
            Self::Stack => Kind::Pop,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Stack => "stack",
        }
    }
}

/// Keys in use at a time.
const LIVE_KEYS: u32 = 4;

/// Operations on a key before it retires. One that takes and gets no answer may have taken anything:
/// keys are short.
const OPERATIONS_PER_KEY: u32 = 60;

/// How many of a hundred operations put something in: more than are taken out, so that containers
/// are mostly not empty.
const PERCENT_PUT: u32 = 54;

/// Draws operations from a seed.
#[derive(Debug)]
pub struct Containers {
    container: Container,
    random: ChaCha8Rng,
    keys: Keys<()>,
    next_item: i64,
}

impl Containers {
    /// A generator that draws from the named stream of `seed`.
    pub fn new(container: Container, seed: u64) -> Self {
        let mut random = stream(seed, container.name());
        let keys = Keys::new(LIVE_KEYS, OPERATIONS_PER_KEY, &mut random);
        Self { container, random, keys, next_item: 1 }
    }
}

impl Generator for Containers {
    fn next_invocation(&mut self) -> Invocation {
        let place = self.keys.pick(&mut self.random);
        let key = self.keys.at(place).name.clone();
        self.keys.used(place);
        if self.random.random_range(0..100) < PERCENT_PUT {
            let item = Value::Integer(self.next_item);
            self.next_item += 1;
            Invocation::of(self.container.put(), key, item)
        } else {
            Invocation::of(self.container.take(), key, Value::Null)
        }
    }

    /// Nothing looks into a container without taking something out.
    fn next_read(&mut self) -> Option<Invocation> {
        None
    }

    fn completed(&mut self, _: &Invocation, _: &Completion) {}

    fn closing(&self) -> Vec<Closing> {
        let drain = |key: &Value| Closing {
            invocation: Invocation::of(self.container.take(), key.clone(), Value::Null),
            until: Until::Nothing,
        };
        self.keys.names().iter().map(drain).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_item_is_put_in_twice_and_each_container_is_drained() {
        for container in [Container::Queue, Container::Stack] {
            let mut containers = Containers::new(container, 5);
            let (mut items, mut keys) = (HashSet::new(), HashSet::new());
            for _ in 0..5_000 {
                let invocation = containers.next_invocation();
                keys.insert(invocation.key.clone());
                if invocation.kind == container.put() {
                    assert!(items.insert(invocation.value.clone()), "{invocation:?}");
                }
            }
            let drained = containers.closing().into_iter().map(|closing| {
                assert_eq!(closing.invocation.kind, container.take());
                assert_eq!(closing.until, Until::Nothing);
                closing.invocation.key
            });
            assert!(keys.is_subset(&drained.collect()));
        }
    }
}
