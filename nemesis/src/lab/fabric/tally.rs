//! Counts what a link did, in all and in periods of 100 ms.
//!
//! A period is closed by whatever is counted next: nothing has to wake up ten times a second for a
//! lab that is idle, and a link that did nothing in a period has no sample of it.

use std::collections::VecDeque;

use super::Port;

/// The length of a period, in nanoseconds.
pub(crate) const PERIOD_NS: u64 = 100_000_000;
/// The most samples kept of one lab, some 30 MB: over ten minutes of thirty busy links.
pub(super) const SAMPLES: usize = 1 << 18;

/// Declares the counters once, for the two shapes in which they are kept.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// What a directed link did since the lab was built, or within one period.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl Counters {
            /// What was counted since `earlier`, a reading of the same link.
            pub fn since(&self, earlier: &Counters) -> Counters {
                Counters { $($name: self.$name.saturating_sub(earlier.$name),)+ }
            }

            /// Every count with its name, in the order of the fields.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)+].into_iter()
            }
        }
    };
}

counters! {
    /// Frames delivered to the receiver's interface, duplicates included.
    forwarded,
    /// Bytes in those frames, headers included.
    forwarded_bytes,
    /// Frames dropped because the link was blocked.
    blocked,
    /// Frames that were held back for a while, whatever became of them then.
    delayed,
    /// Frames dropped because too many were held back already.
    overflowed,
    /// Frames the kernel did not take.
    lost,
    /// Frames dropped by the policy's loss.
    dropped,
    /// Frames of which a second copy was made.
    duplicated,
    /// Frames that left after one that had been sent later.
    reordered,
    /// Frames in which a bit was flipped.
    corrupted,
    /// Connections of which both ends were sent a reset.
    reset,
}

/// What a link did within one period of 100 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// The period's number, from 0 when the lab was built.
    pub(crate) period: u64,
    pub(crate) from: Port,
    pub(crate) to: Port,
    pub(crate) counters: Counters,
}

/// The latest samples of a lab, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Series {
    pub(crate) samples: VecDeque<Sample>,
    /// How many older ones were given up.
    pub(crate) forgotten: u64,
}

impl Series {
    fn push(&mut self, sample: Sample) {
        if self.samples.len() >= SAMPLES {
            self.samples.pop_front();
            self.forgotten += 1;
        }
        self.samples.push_back(sample);
    }
}

/// A link's counters.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) counters: Counters,
    /// What they were when the current period began.
    before: Counters,
    period: u64,
}

impl Tally {
    /// Closes the period if it is over at `now_ns`. Call it before counting.
    pub(crate) fn turn(&mut self, link: (Port, Port), now_ns: u64, series: &mut Series) {
        let period = now_ns / PERIOD_NS;
        if period != self.period {
            if let Some(sample) = self.open(link) {
                series.push(sample);
            }
            self.before = self.counters;
            self.period = period;
        }
    }

    /// What was counted in the latest period that anything was counted in, if not in the series.
    pub(crate) fn open(&self, (from, to): (Port, Port)) -> Option<Sample> {
        let counters = self.counters.since(&self.before);
        let sample = Sample { period: self.period, from, to, counters };
        (counters != Counters::default()).then_some(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_holds_what_was_counted_within_it() {
        let (mut tally, mut series) = (Tally::default(), Series::default());
        for (now_ns, frames) in [(0, 1), (PERIOD_NS - 1, 2), (PERIOD_NS, 4), (9 * PERIOD_NS, 8)] {
            tally.turn((0, 1), now_ns, &mut series);
            tally.counters.forwarded += frames;
        }
        let samples = series.samples.iter().copied().chain(tally.open((0, 1)));
        let found: Vec<_> = samples.map(|s| (s.period, s.counters.forwarded)).collect();
        assert_eq!(found, [(0, 3), (1, 4), (9, 8)]);
    }

    #[test]
    fn a_series_forgets_its_oldest_samples_first() {
        let (mut tally, mut series) = (Tally::default(), Series::default());
        for period in 0..SAMPLES as u64 + 5 {
            tally.turn((0, 1), period * PERIOD_NS, &mut series);
            tally.counters.dropped += 1;
        }
        // The last period is still open.
        assert_eq!((series.samples.len(), series.forgotten), (SAMPLES, 4));
        assert_eq!(series.samples[0].period, 4);
    }
}
