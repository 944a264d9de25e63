//! The `set` workload: elements are added once and removed at most once, asked for and read together.
//!
//! With each element put in once and taken out once, a set is checked element by element, without a
//! search. Additions and removals tell whether they changed anything, so that one that is applied
//! twice or forgotten shows at once.

use partita_checker::Value;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::generator::{Closing, Generator, Until};
use crate::keys::Keys;
use crate::operation::{Completion, Invocation, Kind};
use crate::random::stream;

/// Keys in use at a time.
const LIVE_KEYS: u32 = 3;

/// Operations on a key before it retires, which bounds how long its reads get.
const OPERATIONS_PER_KEY: u32 = 160;

/// How many of a hundred operations are additions, removals and lookups; the rest are reads.
const PERCENT: (u32, u32, u32) = (35, 15, 20);

/// What the workload knows of a set.
#[derive(Debug, Default)]
struct Elements {
    /// Those that were ever to be added.
    named: Vec<Value>,
    /// Those that were added, as far as is known, and never to be removed.
    present: Vec<Value>,
}

/// Draws operations from a seed and from what came back so far.
#[derive(Debug)]
pub struct Set {
    random: ChaCha8Rng,
    keys: Keys<Elements>,
    next_element: i64,
}

impl Set {
    /// A generator that draws from the named stream of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut random = stream(seed, "set");
        let keys = Keys::new(LIVE_KEYS, OPERATIONS_PER_KEY, &mut random);
        Self { random, keys, next_element: 1 }
    }

    /// What to do with the set in this place.
    fn draw(&mut self, place: usize) -> (Kind, Value) {
        let (additions, removals, lookups) = PERCENT;
        let draw = self.random.random_range(0..100);
        let Elements { named, present } = &mut self.keys.at(place).known;
        if draw < additions || named.is_empty() {
            let element = Value::Integer(self.next_element);
            self.next_element += 1;
            named.push(element.clone());
            return (Kind::AddElement, element);
        }
        if draw < additions + removals && !present.is_empty() {
            let chosen = self.random.random_range(0..present.len());
            return (Kind::RemoveElement, present.swap_remove(chosen));
        }
        if draw < additions + removals + lookups {
            // Mostly one of the last, which are the ones that change.
            let chosen = self.random.random_range(named.len().saturating_sub(12)..named.len());
            return (Kind::HasElement, named[chosen].clone());
        }
        (Kind::ReadElements, Value::Null)
    }
}

impl Generator for Set {
    fn next_invocation(&mut self) -> Invocation {
        let place = self.keys.pick(&mut self.random);
        let key = self.keys.at(place).name.clone();
        let (kind, element) = self.draw(place);
        self.keys.used(place);
        Invocation::of(kind, key, element)
    }

    fn next_read(&mut self) -> Option<Invocation> {
        let place = self.keys.pick(&mut self.random);
        let key = self.keys.at(place).name.clone();
        Some(Invocation::of(Kind::ReadElements, key, Value::Null))
    }

    /// Aims removals.
    fn completed(&mut self, invocation: &Invocation, completion: &Completion) {
        let is_done = matches!(completion, Completion::Done | Completion::Answered(_));
        if invocation.kind == Kind::AddElement
            && is_done
            && let Some(key) = self.keys.named(&invocation.key)
        {
            key.known.present.push(invocation.value.clone());
        }
    }

    fn closing(&self) -> Vec<Closing> {
        let read = |key: &Value| Closing {
            invocation: Invocation::of(Kind::ReadElements, key.clone(), Value::Null),
            until: Until::Answered,
        };
        self.keys.names().iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_element_is_added_once_and_removed_at_most_once_after_that() {
        let mut set = Set::new(5);
        let (mut added, mut removed) = (HashSet::new(), HashSet::new());
        for number in 0..10_000 {
            let invocation = set.next_invocation();
            match invocation.kind {
                Kind::AddElement => {
                    assert!(added.insert(invocation.value.clone()), "{invocation:?}");
                    // Some outcomes are never known.
                    if number % 7 > 0 {
                        set.completed(&invocation, &Completion::Answered(Value::Bool(true)));
                    }
                }
                Kind::RemoveElement => {
                    assert!(added.contains(&invocation.value), "{invocation:?}");
                    assert!(removed.insert(invocation.value.clone()), "{invocation:?}");
                }
                _ => {}
            }
        }
        assert!(removed.len() > 1_000 && added.len() > 3_000, "{} {}", removed.len(), added.len());
    }
}
