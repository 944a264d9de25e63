//! Draws everything random of a run from its seed, one named stream per use, so that a change in
//! what one part draws does not shift what the others get.

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::moment::nanos;

/// What a stream is for. The numbers are part of a seed's meaning: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// Delays, losses and copies of messages.
    Network = 1,
    /// How long the disk takes, and what it does wrong.
    Disk = 2,
    /// What clients ask, whom and when.
    Clients = 3,
    /// What goes wrong when, and whom it hits.
    Faults = 4,
    /// What kind of run it is: cluster size, families of faults, rates.
    Plan = 5,
    /// What the clients of lists, sets and transactions ask, whom and when.
    Mixed = 6,
}

/// The randomness of one stream of one seed.
pub(super) fn stream(seed: u64, stream: Stream) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream as u64);
    random
}

/// A duration in a range, uniformly.
pub(super) fn between(random: &mut ChaCha8Rng, range: &RangeInclusive<Duration>) -> Duration {
    Duration::from_nanos(random.random_range(nanos(*range.start())..=nanos(*range.end())))
}

/// Whether something of this probability happens; draws nothing when it never does.
pub(super) fn chance(random: &mut ChaCha8Rng, probability: f64) -> bool {
    probability > 0.0 && random.random_bool(probability)
}

/// One of several, uniformly; `None` of none.
pub(super) fn pick<T: Copy>(random: &mut ChaCha8Rng, from: &[T]) -> Option<T> {
    (!from.is_empty()).then(|| from[random.random_range(0..from.len())])
}
