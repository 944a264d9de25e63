//! Gives every use of randomness a stream of its own under the run's seed.
//!
//! Two uses never share a generator, so that drawing once more here changes nothing there. The
//! streams are those of ChaCha8 (Bernstein 2008), chosen by the FNV-1a hash of the use's name; both
//! are the same on every machine and in every version.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// The generator for one named use under `seed`.
pub(crate) fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(fnv1a(name.as_bytes()));
    rng
}

pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn streams_of_one_seed_differ_by_name_and_repeat_by_seed() {
        let draw = |seed, name| stream(seed, name).random::<u64>();
        assert_eq!(draw(7, "schedule"), draw(7, "schedule"));
        assert_ne!(draw(7, "schedule"), draw(7, "victims"));
        assert_ne!(draw(7, "schedule"), draw(8, "schedule"));
    }

    #[test]
    fn fnv1a_matches_its_published_vectors() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
