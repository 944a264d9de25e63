//! Gives every use of randomness in here a stream of its own under a seed, so that drawing once more for
//! one changes nothing for the others.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// What a stream is for. The numbers are part of a seed's meaning: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// The events of registers.
    Registers = 1,
    /// The events of all other objects.
    Objects = 2,
    /// Which outcomes are lost in bursts.
    Bursts = 3,
}

/// The randomness of one stream of one seed.
pub(super) fn stream(seed: u64, stream: Stream) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream as u64);
    random
}
