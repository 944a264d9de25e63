//! Named streams of random numbers: each generator draws from its own, so that none disturbs another.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// The stream called `name` of a run's seed.
///
/// # Panics
///
/// If the name has more than eight letters.
pub fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    assert!(name.len() <= 8, "`{name}` is a number of 64 bits");
    numbered(seed, bits(name))
}

/// The stream called `name` of one of many clients.
///
/// # Panics
///
/// If the name has more than four letters.
pub fn stream_of_client(seed: u64, name: &str, client: u32) -> ChaCha8Rng {
    assert!(name.len() <= 4, "`{name}` is a number of 32 bits");
    numbered(seed, bits(name) << 32 | u64::from(client))
}

fn bits(name: &str) -> u64 {
    name.bytes().fold(0, |number, letter| number << 8 | u64::from(letter))
}

fn numbered(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream);
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
        let of_client = |client| stream_of_client(1, "pace", client).next_u64();
        assert_eq!(of_client(3), of_client(3));
        assert_ne!(of_client(3), of_client(4));
    }
}
