//! Named streams of random numbers: each generator draws from its own, so that none disturbs another.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// The stream called `name`, of at most eight letters, of a run's seed.
pub(crate) fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    assert!(name.len() <= 8, "`{name}` is a number of 64 bits");
    let number = name.bytes().fold(0, |number, letter| number << 8 | u64::from(letter));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(number);
    random
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn a_stream_is_its_seeds_and_its_names() {
        let draw = |seed, name| stream(seed, name).next_u64();
        assert_eq!(draw(1, "queue"), draw(1, "queue"));
        assert_ne!(draw(1, "queue"), draw(2, "queue"));
        assert_ne!(draw(1, "queue"), draw(1, "stack"));
    }
}
