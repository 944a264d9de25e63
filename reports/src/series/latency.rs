//! Measures how long operations took: quantiles per stretch of time, and how densely they lie.
//!
//! An operation belongs to the stretch in which it was invoked, so that a stall shows where it
//! began. Quantiles are exact (nearest rank over the sorted latencies) and taken of `ok` operations
//! only; what never came back has no latency, and the time its client waited is a lower bound,
//! drawn apart. Times run from the invocation, not from the moment the client had meant to invoke:
//! a client that was held up hides that wait.

use partita_checker::{History, Nanoseconds, Outcome};

use super::{Buckets, Windows};
use crate::run::completion;

/// Rows of the density per decade of latency.
pub(crate) const ROWS_PER_DECADE: usize = 10;

/// On average, at least so many operations lie in one stretch, if there are enough of them.
const OPERATIONS_PER_STRETCH: u64 = 100;
const LEAST_STRETCHES: u64 = 20;
const MOST_STRETCHES: u64 = 120;

/// Latencies over time.
#[derive(Debug, Clone)]
pub(crate) struct Latency {
    /// The stretches of time that densities are counted in.
    pub(crate) buckets: Buckets,
    /// The longer stretches that quantiles are taken of: long enough for a hundred operations each
    /// on average, without which a 99th percentile is but the slowest.
    pub(crate) stretches: Buckets,
    /// Per stretch, of the `ok` operations invoked in it; `None` where there were none.
    pub(crate) quantiles: Vec<Option<Quantiles>>,
    /// The decades that hold every latency: from 10^first to 10^last nanoseconds.
    pub(crate) decades: (u32, u32),
    /// `ok` operations per bucket and row, bucket by bucket.
    pub(crate) ok_density: Vec<u32>,
    /// The same of `info` operations whose clients gave up, by how long they had waited.
    pub(crate) info_density: Vec<u32>,
    /// Of all `ok` operations that came back while no fault was in force.
    pub(crate) calm: Option<Quantiles>,
    /// Of all `ok` operations that came back while one was.
    pub(crate) faulty: Option<Quantiles>,
}

/// How long operations took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quantiles {
    /// How many operations.
    pub(crate) count: u64,
    /// Half of them were at most this slow.
    pub(crate) p50: Nanoseconds,
    /// 95 % of them were at most this slow.
    pub(crate) p95: Nanoseconds,
    /// 99 % of them were at most this slow.
    pub(crate) p99: Nanoseconds,
    /// All of them were.
    pub(crate) max: Nanoseconds,
}

impl Quantiles {
    fn of(latencies: &mut [u64]) -> Option<Self> {
        latencies.sort_unstable();
        let &max = latencies.last()?;
        let at = |percent: usize| {
            let rank = (latencies.len() * percent).div_ceil(100).max(1);
            Nanoseconds(latencies[rank - 1])
        };
        Some(Self {
            count: latencies.len() as u64,
            p50: at(50),
            p95: at(95),
            p99: at(99),
            max: Nanoseconds(max),
        })
    }
}

impl Latency {
    pub(crate) fn of(history: &History, buckets: Buckets, windows: &Windows) -> Self {
        let wanted = history.operations.len() as u64 / OPERATIONS_PER_STRETCH;
        let end = Nanoseconds(buckets.begin(buckets.count).0 - 1);
        let stretches = Buckets::until(end, wanted.clamp(LEAST_STRETCHES, MOST_STRETCHES));
        let mut per_stretch = vec![Vec::new(); stretches.count];
        let mut answers = Vec::new();
        let (mut calm, mut faulty) = (Vec::new(), Vec::new());
        let mut waits = Vec::new();
        for operation in &history.operations {
            let Some(moment) = completion(operation) else { continue };
            let latency = moment.time.since(operation.invoked.time).0;
            let bucket = buckets.index(operation.invoked.time);
            match operation.outcome {
                Outcome::Ok(..) => {
                    per_stretch[stretches.index(operation.invoked.time)].push(latency);
                    answers.push((bucket, latency));
                    let apart = if windows.contains(moment.time) { &mut faulty } else { &mut calm };
                    apart.push(latency);
                }
                Outcome::Info(_) => waits.push((bucket, latency)),
                Outcome::Fail(_) => {}
            }
        }
        let decades = decades(answers.iter().chain(&waits).map(|&(_, latency)| latency));
        Self {
            buckets,
            stretches,
            quantiles: per_stretch.iter_mut().map(|latencies| Quantiles::of(latencies)).collect(),
            decades,
            ok_density: density(&answers, buckets, decades),
            info_density: density(&waits, buckets, decades),
            calm: Quantiles::of(&mut calm),
            faulty: Quantiles::of(&mut faulty),
        }
    }

    /// Rows of the densities.
    pub(crate) fn rows(&self) -> usize {
        rows(self.decades)
    }
}

/// How many of the latencies, each with its bucket, lie in each row of each bucket.
fn density(latencies: &[(usize, u64)], buckets: Buckets, decades: (u32, u32)) -> Vec<u32> {
    let rows = rows(decades);
    let mut density = vec![0; rows * buckets.count];
    for &(bucket, latency) in latencies {
        density[bucket * rows + row(latency, decades)] += 1;
    }
    density
}

fn rows((first, last): (u32, u32)) -> usize {
    (last - first) as usize * ROWS_PER_DECADE
}

/// The decades around all latencies, at least one of them; a quiet millisecond if there are none.
fn decades(latencies: impl Iterator<Item = u64>) -> (u32, u32) {
    let (mut least, mut greatest) = (u64::MAX, 0);
    for latency in latencies {
        least = least.min(latency.max(1));
        greatest = greatest.max(latency.max(1));
    }
    if greatest == 0 {
        return (5, 6);
    }
    let first = least.ilog10();
    let last = if greatest == 10_u64.pow(greatest.ilog10()) {
        greatest.ilog10()
    } else {
        greatest.ilog10() + 1
    };
    (first, last.max(first + 1))
}

fn row(latency: u64, decades: (u32, u32)) -> usize {
    let above = (latency.max(1) as f64).log10() - f64::from(decades.0);
    ((above * ROWS_PER_DECADE as f64) as usize).min(rows(decades) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let mut latencies: Vec<u64> = (1..=200).rev().collect();
        let quantiles = Quantiles::of(&mut latencies).expect("latencies");
        let shown = [quantiles.p50, quantiles.p95, quantiles.p99, quantiles.max].map(|time| time.0);
        assert_eq!(shown, [100, 190, 198, 200]);
    }

    #[test]
    fn the_worst_of_few_operations_is_their_high_quantile() {
        let quantiles = Quantiles::of(&mut [7, 5]).expect("latencies");
        assert_eq!([quantiles.p50.0, quantiles.p99.0, quantiles.max.0], [5, 7, 7]);
        assert_eq!(Quantiles::of(&mut []), None);
    }

    #[test]
    fn decades_enclose_every_latency() {
        assert_eq!(decades([250_000, 3_000_000_000].into_iter()), (5, 10));
        assert_eq!(decades([1_000_000].into_iter()), (6, 7));
        assert_eq!(decades([].into_iter()), (5, 6));
        assert_eq!(decades([0].into_iter()), (0, 1));
        assert_eq!(decades([u64::MAX].into_iter()), (19, 20));
    }

    #[test]
    fn every_latency_has_a_row_of_its_decade() {
        let decades = (5, 8);
        assert_eq!(row(100_000, decades), 0);
        assert_eq!(row(1_000_000, decades), ROWS_PER_DECADE);
        assert_eq!(row(100_000_000, decades), 3 * ROWS_PER_DECADE - 1);
    }
}
