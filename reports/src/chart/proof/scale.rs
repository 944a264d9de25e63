//! A time scale that leaves out long stretches in which nothing happens.
//!
//! A stale read may be milliseconds long and come minutes after the write that it misses. On a
//! plain scale both would be specks. Here the stretches between events are taken longest first, and
//! as many of them are cut as are each more than twice as long as everything shorter together. What
//! remains is to one scale.

use partita_checker::Nanoseconds;

use crate::chart::axis::{Tick, TimeAxis, round_step};
use crate::text::unit::TimeUnit;

/// The width of a cut.
const GAP: f64 = 76.0;
/// No axis is cut more often.
const MOST_GAPS: usize = 5;

/// Time to the right, to one scale but for its gaps.
#[derive(Debug)]
pub(crate) struct BrokenScale {
    stretches: Vec<TimeSegment>,
    /// What its times count.
    pub(crate) unit: TimeUnit,
}

/// The time between two events.
#[derive(Debug, Clone, Copy)]
struct TimeSegment {
    axis: TimeAxis,
    cut: bool,
}

impl BrokenScale {
    /// A scale from the first of `times` to the last, between `left` and `right`.
    pub(crate) fn over(mut times: Vec<Nanoseconds>, unit: TimeUnit, left: f64, right: f64) -> Self {
        times.sort_unstable();
        times.dedup();
        if let [only] = times.as_slice() {
            let width = match unit {
                TimeUnit::Clock => 1_000,
                TimeUnit::Events => 1,
            };
            times.push(Nanoseconds(only.0.saturating_add(width)));
        }
        let lengths: Vec<u64> = times.windows(2).map(|pair| pair[1].since(pair[0]).0).collect();
        let cuts = cuts(&lengths);
        let whole: u64 = lengths.iter().zip(&cuts).filter(|(_, cut)| !**cut).map(|(l, _)| l).sum();
        let room = right - left - GAP * cuts.iter().filter(|cut| **cut).count() as f64;
        let mut x = left;
        let mut stretches = Vec::new();
        for (pair, (&length, &cut)) in times.windows(2).zip(lengths.iter().zip(&cuts)) {
            let width = if cut { GAP } else { length as f64 / whole.max(1) as f64 * room };
            let axis = TimeAxis { begin: pair[0], end: pair[1], left: x, right: x + width, unit };
            stretches.push(TimeSegment { axis, cut });
            x += width;
        }
        Self { stretches, unit }
    }

    /// The place of `time`; the nearer end for times outside.
    pub(crate) fn x(&self, time: Nanoseconds) -> f64 {
        let place = self.stretches.partition_point(|stretch| stretch.axis.end < time);
        let stretch = self.stretches.get(place).or(self.stretches.last());
        stretch.map_or(0.0, |stretch| stretch.axis.x(time))
    }

    /// The first and the last time.
    pub(crate) fn span(&self) -> (Nanoseconds, Nanoseconds) {
        let first = self.stretches.first().map_or(Nanoseconds(0), |stretch| stretch.axis.begin);
        let last = self.stretches.last().map_or(first, |stretch| stretch.axis.end);
        (first, last)
    }

    /// The cuts: left edge, right edge, how much time is left out.
    pub(crate) fn gaps(&self) -> impl Iterator<Item = (f64, f64, Nanoseconds)> + '_ {
        self.stretches
            .iter()
            .filter(|stretch| stretch.cut)
            .map(|TimeSegment { axis, .. }| (axis.left, axis.right, axis.end.since(axis.begin)))
    }

    /// Round times outside the gaps, far enough apart to be read.
    pub(crate) fn ticks(&self) -> Vec<Tick> {
        let apart = apart(self.unit);
        let mut ticks: Vec<Tick> = Vec::new();
        for axis in self.to_scale() {
            let width = axis.right - axis.left;
            let wanted = (width / apart) as u64;
            let length = axis.end.since(axis.begin).0;
            let wanted = if round_step(length, wanted.max(1)) > length { 1 } else { wanted };
            for tick in axis.ticks(wanted.max(1)) {
                let clear = |x: f64| (tick.at - x).abs() >= apart * 0.8;
                let free = ticks.last().is_none_or(|before| clear(before.at))
                    && self.gaps().all(|(x, right, _)| clear(f64::midpoint(x, right)));
                if free {
                    ticks.push(tick);
                }
            }
        }
        ticks
    }

    /// The parts between gaps, each as one axis.
    fn to_scale(&self) -> Vec<TimeAxis> {
        let mut parts: Vec<TimeAxis> = Vec::new();
        let mut joined = false;
        for stretch in &self.stretches {
            match parts.last_mut() {
                Some(part) if joined && !stretch.cut => {
                    (part.end, part.right) = (stretch.axis.end, stretch.axis.right);
                }
                _ if !stretch.cut => parts.push(stretch.axis),
                _ => {}
            }
            joined = !stretch.cut;
        }
        parts
    }
}

/// The distance to aim at between two labels: `12 events later` is longer than `12.3 ms later`.
const fn apart(unit: TimeUnit) -> f64 {
    match unit {
        TimeUnit::Clock => 96.0,
        TimeUnit::Events => 128.0,
    }
}

/// Which of the stretches are cut.
fn cuts(lengths: &[u64]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(lengths[index]));
    let rest = |from: usize| order[from..].iter().map(|&index| lengths[index]).sum::<u64>();
    let cut = (1..=MOST_GAPS.min(lengths.len().saturating_sub(1)))
        .filter(|&cut| lengths[order[cut - 1]] / 2 > rest(cut) && rest(cut) > 0)
        .max()
        .unwrap_or(0);
    let mut cuts = vec![false; lengths.len()];
    for &index in &order[..cut] {
        cuts[index] = true;
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(times: &[u64]) -> BrokenScale {
        let times = times.iter().copied().map(Nanoseconds).collect();
        BrokenScale::over(times, TimeUnit::Clock, 0.0, 1_000.0)
    }

    #[test]
    fn what_happens_evenly_is_to_one_scale() {
        let scale = scale(&[0, 10, 20, 40]);
        assert_eq!(scale.gaps().count(), 0);
        assert_eq!([0, 10, 40].map(|at| scale.x(Nanoseconds(at))), [0.0, 250.0, 1_000.0]);
    }

    #[test]
    fn an_hour_between_two_short_operations_is_cut_out() {
        let hour = 3_600_000_000_000;
        let scale = scale(&[0, 1_000_000, hour, hour + 1_000_000]);
        let gaps: Vec<_> = scale.gaps().collect();
        assert_eq!(gaps.len(), 1);
        assert_eq!(gaps[0].2.0, hour - 1_000_000);
        let width = |from, to| scale.x(Nanoseconds(to)) - scale.x(Nanoseconds(from));
        assert!((width(0, 1_000_000) - width(hour, hour + 1_000_000)).abs() < 1e-6);
    }

    #[test]
    fn several_bursts_are_all_seen() {
        let scale = scale(&[0, 1_000, 2_000_000, 2_001_000, 5_000_000, 5_001_000]);
        assert_eq!(scale.gaps().count(), 2);
    }

    #[test]
    fn a_single_moment_has_a_place() {
        let scale = scale(&[77]);
        assert_eq!(scale.x(Nanoseconds(77)), 0.0);
        assert_eq!(scale.span().0, Nanoseconds(77));
    }

    #[test]
    fn later_is_never_further_left() {
        let times = [0, 3, 4, 1_000_000, 1_000_001, 1_000_050, 90_000_000];
        let scale = scale(&times);
        assert!(
            times
                .windows(2)
                .all(|pair| { scale.x(Nanoseconds(pair[0])) <= scale.x(Nanoseconds(pair[1])) })
        );
    }
}
