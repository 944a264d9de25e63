//! The `lock` workload: acquisitions under a new owner's name each, and releases.
//!
//! A lock that is held refuses; a refusal is recorded as `fail` and proves nothing. What is
//! acquired is released once. An acquisition without an answer may hold the lock, and a release
//! without an answer may have left it held, so both are followed by a release under the same name. In
//! the end each lock is asked for once more: one that was taken and lost has a second owner then.

use partita_checker::Value;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::generator::{Closing, Generator, Until};
use crate::keys::Keys;
use crate::operation::{Completion, Invocation, Kind};
use crate::random::stream;

/// Keys in use at a time.
const LIVE_KEYS: u32 = 6;

/// Operations on a key before it retires. A lock that was acquired after its name had been released
/// in vain stays held: keys are short.
const OPERATIONS_PER_KEY: u32 = 80;

/// How many of a hundred operations on a lock that is held release it.
const PERCENT_RELEASES: u32 = 60;

/// The name under which every lock is asked for in the end.
const LAST_OWNER: &str = "last";

/// What the workload knows of a lock.
#[derive(Debug, Default)]
struct Owners {
    /// The names that hold it or may hold it, and are not being released.
    to_release: Vec<Value>,
}

/// Draws operations from a seed and from what came back so far.
#[derive(Debug)]
pub struct Lock {
    random: ChaCha8Rng,
    keys: Keys<Owners>,
    next_owner: i64,
}

impl Lock {
    /// A generator that draws from the named stream of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut random = stream(seed, "lock");
        let keys = Keys::new(LIVE_KEYS, OPERATIONS_PER_KEY, &mut random);
        Self { random, keys, next_owner: 1 }
    }
}

impl Generator for Lock {
    fn next_invocation(&mut self) -> Invocation {
        let place = self.keys.pick(&mut self.random);
        let releases = self.random.random_range(0..100) < PERCENT_RELEASES;
        let key = self.keys.at(place);
        let name = key.name.clone();
        let owner = if releases { key.known.to_release.pop() } else { None };
        self.keys.used(place);
        if let Some(owner) = owner {
            return Invocation::of(Kind::Release, name, owner);
        }
        let owner = Value::text(format!("owner {}", self.next_owner));
        self.next_owner += 1;
        Invocation::of(Kind::Acquire, name, owner)
    }

    /// Nothing looks at a lock without taking it or giving it back.
    fn next_read(&mut self) -> Option<Invocation> {
        None
    }

    /// Remembers what is to be released.
    fn completed(&mut self, invocation: &Invocation, completion: &Completion) {
        let may_hold = match (invocation.kind, completion) {
            (_, Completion::Refused(_)) => false,
            (Kind::Acquire, Completion::Fail(_)) => false,
            (Kind::Acquire, _) => true,
            // It was not released, or perhaps not.
            (_, Completion::Fail(_) | Completion::Unknown(_)) => true,
            _ => false,
        };
        if may_hold && let Some(key) = self.keys.named(&invocation.key) {
            key.known.to_release.push(invocation.value.clone());
        }
    }

    fn closing(&self) -> Vec<Closing> {
        let ask = |key: &Value| Closing {
            invocation: Invocation::of(Kind::Acquire, key.clone(), Value::text(LAST_OWNER)),
            until: Until::Answered,
        };
        self.keys.names().iter().map(ask).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next release, if one comes within a thousand operations; acquisitions are refused.
    fn next_release(lock: &mut Lock) -> Option<Invocation> {
        (0..1_000).find_map(|_| {
            let invocation = lock.next_invocation();
            match invocation.kind {
                Kind::Release => Some(invocation),
                _ => {
                    lock.completed(&invocation, &Completion::Refused("held".into()));
                    None
                }
            }
        })
    }

    fn acquisition(lock: &mut Lock) -> Invocation {
        let invocation = lock.next_invocation();
        assert_eq!(invocation.kind, Kind::Acquire, "nothing is held");
        invocation
    }

    #[test]
    fn what_is_acquired_or_may_be_is_released_under_the_same_name() {
        for completion in [Completion::Done, Completion::Unknown("no reply".into())] {
            let mut lock = Lock::new(5);
            let acquired = acquisition(&mut lock);
            lock.completed(&acquired, &completion);
            let released = next_release(&mut lock).expect("a release");
            assert_eq!((released.key, released.value), (acquired.key, acquired.value));
        }
    }

    #[test]
    fn what_was_refused_or_released_is_not_released_again() {
        let mut lock = Lock::new(5);
        let acquired = acquisition(&mut lock);
        lock.completed(&acquired, &Completion::Done);
        let released = next_release(&mut lock).expect("a release");
        lock.completed(&released, &Completion::Unknown("no reply".into()));
        let again = next_release(&mut lock).expect("another, since the first may not have been");
        assert_eq!(again.value, acquired.value);
        lock.completed(&again, &Completion::Done);
        assert_eq!(next_release(&mut lock), None);
    }
}
