//! Divides a run into equal stretches of a round length.

use partita_checker::Nanoseconds;

/// Equal stretches of time from the run's begin to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Buckets {
    /// The length of one: 1, 2 or 5 times a power of ten nanoseconds.
    pub(crate) width: Nanoseconds,
    /// How many there are, at least one.
    pub(crate) count: usize,
}

impl Buckets {
    /// At most `at_most` buckets, from 0 to `end`, both included.
    pub(crate) fn until(end: Nanoseconds, at_most: u64) -> Self {
        let mut magnitude = 1_u64;
        loop {
            for factor in [1, 2, 5] {
                let width = magnitude.saturating_mul(factor);
                let last = end.0 / width;
                if last < at_most {
                    let count = usize::try_from(last + 1).expect("at most a few hundred buckets");
                    return Self { width: Nanoseconds(width), count };
                }
            }
            magnitude = magnitude.saturating_mul(10);
        }
    }

    /// The bucket that `time` falls into; the last one for times after the end.
    pub(crate) fn index(self, time: Nanoseconds) -> usize {
        usize::try_from(time.0 / self.width.0).map_or(self.count - 1, |i| i.min(self.count - 1))
    }

    /// When the bucket begins.
    pub(crate) fn begin(self, index: usize) -> Nanoseconds {
        Nanoseconds(self.width.0.saturating_mul(index as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_round_and_cover_the_end() {
        let buckets = Buckets::until(Nanoseconds(20_000_000_000), 120);
        assert_eq!(buckets.width, Nanoseconds(200_000_000));
        assert_eq!(buckets.index(Nanoseconds(20_000_000_000)), buckets.count - 1);
        assert_eq!(buckets.index(Nanoseconds(399_999_999)), 1);
        assert_eq!(buckets.begin(2), Nanoseconds(400_000_000));
    }

    #[test]
    fn the_longest_time_there_is_still_gets_buckets() {
        let buckets = Buckets::until(Nanoseconds(u64::MAX), 120);
        assert!(buckets.count <= 120);
        assert_eq!(buckets.index(Nanoseconds(u64::MAX)), buckets.count - 1);
    }
}
