//! Measures how long operations took: quantiles per stretch of time, and how densely they lie.
//!
//! An operation belongs to the stretch in which it was invoked, so that a stall shows where it
//! began. Over time, quantiles are exact (nearest rank over the sorted latencies) and taken of `ok`
//! operations only; what was never answered is drawn apart, by how long its client waited.
//!
//! To compare times with faults and times without, that would mislead: the slowest operations under a
//! fault are those that are never answered, and one that a fault held up comes back once the fault is
//! over. There, an operation is under faults if any fault was in force at any time while it was open,
//! and one without an answer counts with the time its client waited, which is a lower bound; a
//! quantile that such an operation may have moved is [one, too](Bound). Operations that certainly did
//! not happen are left out: how fast a node refuses says nothing of how fast it answers.
//!
//! Times run from the invocation, not from the moment the client had meant to invoke: a client that
//! was held up hides that wait.

use std::fmt;

use partita_checker::{History, Nanoseconds, Operation, Outcome};

use super::{Buckets, Windows};
use crate::text::number::duration;

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
    /// Of all operations that were open while no fault was in force.
    pub(crate) calm: Option<Waits>,
    /// Of all operations that were open while one was, for part of the time at least.
    pub(crate) faulty: Option<Waits>,
}

/// How long clients waited for answers, those included that never came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waits {
    /// How many operations were answered.
    pub(crate) answered: u64,
    /// How many were not.
    pub(crate) unanswered: u64,
    /// Half of them took at most this long.
    pub(crate) p50: Bound,
    /// 95 % of them did.
    pub(crate) p95: Bound,
    /// 99 % of them did.
    pub(crate) p99: Bound,
    /// All of them did.
    pub(crate) max: Bound,
}

/// A latency, or the least that it can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    /// The time.
    pub(crate) time: Nanoseconds,
    /// Whether it may be longer: an operation that was given up no later than this may have taken
    /// any time.
    pub(crate) at_least: bool,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.at_least { "≥ " } else { "" };
        write!(f, "{sign}{}", duration(self.time))
    }
}

impl Waits {
    /// Of operations by how long they waited and whether they were answered then.
    pub(crate) fn of(waits: &mut [(u64, bool)]) -> Option<Self> {
        waits.sort_unstable();
        let first_given_up = waits.iter().position(|(_, answered)| !answered);
        let at = |percent: usize| {
            let rank = (waits.len() * percent).div_ceil(100).max(1);
            let (time, _) = waits[rank - 1];
            let at_least = first_given_up.is_some_and(|place| waits[place].0 <= time);
            Bound { time: Nanoseconds(time), at_least }
        };
        let answered = waits.iter().filter(|(_, answered)| *answered).count();
        (!waits.is_empty()).then(|| Self {
            answered: answered as u64,
            unanswered: (waits.len() - answered) as u64,
            p50: at(50),
            p95: at(95),
            p99: at(99),
            max: at(100),
        })
    }
}

/// How long operations took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quantiles {
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
        Some(Self { p50: at(50), p95: at(95), p99: at(99), max: Nanoseconds(max) })
    }
}

impl Latency {
    /// `is_answered_later` tells the operations that are on record as without an answer though the
    /// store accepted them; how long they took is not known.
    pub(crate) fn of(
        history: &History,
        buckets: Buckets,
        windows: &Windows,
        is_answered_later: impl Fn(&Operation) -> bool,
    ) -> Self {
        let wanted = history.operations().len() as u64 / OPERATIONS_PER_STRETCH;
        let end = Nanoseconds(buckets.begin(buckets.count).0 - 1);
        let stretches = Buckets::until(end, wanted.clamp(LEAST_STRETCHES, MOST_STRETCHES));
        let mut per_stretch = vec![Vec::new(); stretches.count];
        let mut answers = Vec::new();
        let (mut calm, mut faulty) = (Vec::new(), Vec::new());
        let mut waits = Vec::new();
        let last = last_event(history);
        for operation in history.operations() {
            let ended = operation.completed().map_or(last, |moment| moment.time);
            let is_under_fault = windows.overlap(operation.invoked.time, ended);
            let apart = if is_under_fault { &mut faulty } else { &mut calm };
            if !operation.is_failed() && !is_answered_later(operation) {
                apart.push((ended.since(operation.invoked.time).0, operation.is_ok()));
            }
            let Some(moment) = operation.completed() else { continue };
            let latency = moment.time.since(operation.invoked.time).0;
            let bucket = buckets.index(operation.invoked.time);
            match operation.outcome {
                Outcome::Ok(..) => {
                    per_stretch[stretches.index(operation.invoked.time)].push(latency);
                    answers.push((bucket, latency));
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
            calm: Waits::of(&mut calm),
            faulty: Waits::of(&mut faulty),
        }
    }

    /// Rows of the densities.
    pub(crate) fn rows(&self) -> usize {
        rows(self.decades)
    }
}

/// The time of the last event on record.
fn last_event(history: &History) -> Nanoseconds {
    let times = history.operations().iter().map(|operation| {
        operation.completed().map_or(operation.invoked.time, |moment| moment.time)
    });
    times.max().unwrap_or_default()
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
    use partita_checker::{Event, EventKind, Function, ProcessId, Value};

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

    /// A history of reads by their invocation, their end and its kind.
    fn reads(operations: &[(u64, Option<(u64, EventKind)>)]) -> History {
        let mut events = Vec::new();
        for (process, &(invoked, ended)) in (0..).zip(operations) {
            events.push((invoked, process, EventKind::Invoke));
            events.extend(ended.map(|(at, kind)| (at, process, kind)));
        }
        events.sort_by_key(|(time, ..)| *time);
        let event = |(index, (time, process, kind))| Event {
            index,
            time: Nanoseconds(time),
            process: ProcessId(process),
            kind,
            function: Function::Read,
            key: "k".into(),
            value: Value::Null,
            swapped: None,
            saw: None,
            node: None,
            error: None,
        };
        History::from_events((0..).zip(events).map(event)).expect("well-formed")
    }

    fn latency(history: &History, faults: &[(u64, u64)]) -> Latency {
        let windows = Windows::of_spans(faults);
        Latency::of(history, Buckets::until(Nanoseconds(10_000), 10), &windows, |_| false)
    }

    #[test]
    fn an_operation_is_under_faults_if_any_was_in_force_while_it_was_open() {
        use EventKind::Ok;
        let history = reads(&[
            (100, Some((150, Ok))),
            // Held up, and back only after the fault was over.
            (180, Some((900, Ok))),
            (250, Some((260, Ok))),
            // Open from before the fault until after it.
            (190, Some((800, Ok))),
            (850, Some((860, Ok))),
        ]);
        let latency = latency(&history, &[(200, 700)]);
        let counted = [latency.calm, latency.faulty].map(|it| it.map(|it| it.answered));
        assert_eq!(counted, [Some(2), Some(3)]);
        assert_eq!(latency.faulty.expect("three").max.time, Nanoseconds(720));
        assert_eq!(latency.calm.expect("two").max.time, Nanoseconds(50));
    }

    #[test]
    fn an_operation_without_an_answer_counts_with_the_time_it_waited() {
        use EventKind::{Fail, Info, Ok};
        let mut operations = vec![(300, Some((310, Ok))); 97];
        // Given up; never given up, with the last event at 2,000; certainly not done.
        operations.extend([(300, Some((1_300, Info))), (300, None), (300, Some((301, Fail)))]);
        operations.push((1_990, Some((2_000, Ok))));
        let waits = latency(&reads(&operations), &[(0, 2_000)]).faulty.expect("a hundred");
        assert_eq!((waits.answered, waits.unanswered), (98, 2));
        let exact = |time| Bound { time: Nanoseconds(time), at_least: false };
        let at_least = |time| Bound { time: Nanoseconds(time), at_least: true };
        assert_eq!((waits.p50, waits.p95), (exact(10), exact(10)));
        assert_eq!((waits.p99, waits.max), (at_least(1_000), at_least(1_700)));
    }

    #[test]
    fn what_was_given_up_early_makes_every_longer_quantile_a_bound() {
        let mut waits: Vec<_> = (10..20).map(|wait| (wait, true)).collect();
        waits.push((1, false));
        let waits = Waits::of(&mut waits).expect("some");
        assert!([waits.p50, waits.p95, waits.max].iter().all(|bound| bound.at_least), "{waits:?}");
        assert_eq!(Waits::of(&mut []), None);
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
