//! What nodes used and told, by stretch of time.

use std::collections::BTreeMap;

use crate::samples::NodeSample;
use crate::series::Buckets;

/// How samples of a stretch become one number.
type Fold = fn(Option<f64>, f64) -> Option<f64>;

/// One number for each stretch of time in which it is known, of every node.
pub(super) type Series<'a> = BTreeMap<&'a str, Vec<Option<f64>>>;

/// The CPU time that nodes used, in cores.
pub(super) fn cpu(samples: &[NodeSample], buckets: Buckets) -> Series<'_> {
    // Each tells of the time since the one before that has it.
    let of_each = |take: fn(u64, u64) -> u64| {
        let mut before = BTreeMap::new();
        gathered(samples, buckets, sum, move |sample| {
            let used = sample.cpu_ns?;
            let known = before.insert(sample.node.clone(), sample.at_ns)?;
            Some(take(used, sample.at_ns.since(known).0) as f64)
        })
    };
    let (mut series, covered) = (of_each(|used, _| used), of_each(|_, time| time));
    for (node, used) in &mut series {
        let covered = covered.get(node).into_iter().flatten();
        for (used, covered) in used.iter_mut().zip(covered) {
            *used = used.zip(*covered).map(|(used, covered)| used / covered.max(1.0));
        }
    }
    series
}

/// The most memory that nodes had, in MiB.
pub(super) fn memory(samples: &[NodeSample], buckets: Buckets) -> Series<'_> {
    let mebibytes = |sample: &NodeSample| Some(sample.memory? as f64 / f64::from(1 << 20));
    gathered(samples, buckets, most, mebibytes)
}

/// How many entries nodes at most had yet to apply of those that any had said were committed.
pub(super) fn behind(samples: &[NodeSample], buckets: Buckets) -> Series<'_> {
    let mut committed = 0;
    gathered(samples, buckets, most, |sample| {
        // Samples come by time.
        committed = committed.max(sample.committed.unwrap_or(0)).max(sample.applied.unwrap_or(0));
        Some((committed - sample.applied?) as f64)
    })
}

/// How often nodes asked their disks to sync, a second.
pub(super) fn syncs(samples: &[NodeSample], buckets: Buckets) -> Series<'_> {
    let mut series = grown(samples, buckets, |sample| sample.syncs);
    scale(&mut series, 1e9 / buckets.width.0 as f64);
    series
}

/// By how much the lab delayed a sync on average, in milliseconds.
pub(super) fn sync_delays(samples: &[NodeSample], buckets: Buckets) -> Series<'_> {
    let calls = grown(samples, buckets, |sample| sample.syncs);
    let mut delays = grown(samples, buckets, |sample| sample.sync_delay_ns);
    for (node, delays) in &mut delays {
        let calls = calls.get(node).into_iter().flatten();
        for (delay, calls) in delays.iter_mut().zip(calls) {
            let of_one = |delay: f64| delay / calls.unwrap_or(0.0).max(1.0) / 1e6;
            *delay = delay.map(of_one);
        }
    }
    delays
}

/// How far realtime clocks were from the run's, at the most, in milliseconds.
pub(super) fn realtime(samples: &[NodeSample], buckets: Buckets) -> Series<'_> {
    gathered(samples, buckets, farthest, |sample| Some(sample.realtime_ns? as f64 / 1e6))
}

/// The same of monotonic clocks.
pub(super) fn monotonic(samples: &[NodeSample], buckets: Buckets) -> Series<'_> {
    gathered(samples, buckets, farthest, |sample| Some(sample.monotonic_ns? as f64 / 1e6))
}

fn gathered<'a>(
    samples: &'a [NodeSample],
    buckets: Buckets,
    fold: Fold,
    mut of: impl FnMut(&NodeSample) -> Option<f64>,
) -> Series<'a> {
    let mut series = Series::new();
    for sample in samples {
        let number = of(sample);
        let own = series.entry(&*sample.node).or_insert_with(|| vec![None; buckets.count]);
        if let Some(number) = number {
            let place = &mut own[buckets.index(sample.at_ns)];
            *place = fold(*place, number);
        }
    }
    series
}

/// By how much a count grew.
fn grown<'a>(
    samples: &'a [NodeSample],
    buckets: Buckets,
    of: fn(&NodeSample) -> Option<u64>,
) -> Series<'a> {
    let mut before: BTreeMap<&str, u64> = BTreeMap::new();
    let mut series = Series::new();
    for sample in samples {
        let own = series.entry(&*sample.node).or_insert_with(|| vec![None; buckets.count]);
        let Some(count) = of(sample) else { continue };
        let known = before.insert(&sample.node, count).unwrap_or(count);
        let place = &mut own[buckets.index(sample.at_ns)];
        *place = sum(*place, count.saturating_sub(known) as f64);
    }
    series
}

fn scale(series: &mut Series<'_>, factor: f64) {
    for number in series.values_mut().flatten().flatten() {
        *number *= factor;
    }
}

fn sum(one: Option<f64>, other: f64) -> Option<f64> {
    Some(one.unwrap_or(0.0) + other)
}

fn most(one: Option<f64>, other: f64) -> Option<f64> {
    Some(one.unwrap_or(other).max(other))
}

fn farthest(one: Option<f64>, other: f64) -> Option<f64> {
    Some(one.filter(|one| one.abs() >= other.abs()).unwrap_or(other))
}

#[cfg(test)]
mod tests {
    use partita_checker::Nanoseconds;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn buckets() -> Buckets {
        Buckets { width: Nanoseconds(SECOND), count: 3 }
    }

    fn sample(at: u64, node: &str) -> NodeSample {
        NodeSample { at_ns: Nanoseconds(at), node: node.to_owned(), ..NodeSample::default() }
    }

    #[test]
    fn cpu_time_is_over_the_time_that_samples_tell_of_and_a_stretch_without_a_process_is_unknown() {
        let used = |at, cpu_ns| NodeSample { cpu_ns: Some(cpu_ns), ..sample(at, "n1") };
        let samples = [
            used(SECOND, 7 * SECOND),
            used(SECOND + SECOND / 4, SECOND / 8),
            used(SECOND + SECOND / 2, SECOND / 4),
            sample(2 * SECOND, "n1"),
        ];
        assert_eq!(cpu(&samples, buckets())["n1"], [None, Some(0.75), None]);
    }

    #[test]
    fn a_node_is_behind_by_what_any_other_said_was_committed() {
        let told = |at, node, applied, committed| NodeSample {
            applied: Some(applied),
            committed: Some(committed),
            ..sample(at, node)
        };
        let samples = [
            told(0, "n1", 5, 9),
            told(1, "n2", 9, 9),
            told(SECOND, "n2", 12, 12),
            sample(2 * SECOND, "n2"),
            told(2 * SECOND + 1, "n1", 12, 12),
        ];
        let behind = behind(&samples, buckets());
        assert_eq!(behind["n1"], [Some(4.0), None, Some(0.0)]);
        assert_eq!(behind["n2"], [Some(0.0), Some(0.0), None]);
    }

    #[test]
    fn syncs_are_what_was_added_since_the_sample_before_with_their_mean_delay() {
        let asked = |at, syncs, delay_ms: u64| NodeSample {
            syncs: Some(syncs),
            sync_delay_ns: Some(delay_ms * 1_000_000),
            ..sample(at, "n1")
        };
        let samples = [asked(0, 7, 0), asked(1, 10, 6), asked(SECOND, 14, 26)];
        assert_eq!(syncs(&samples, buckets())["n1"], [Some(3.0), Some(4.0), None]);
        assert_eq!(sync_delays(&samples, buckets())["n1"], [Some(2.0), Some(5.0), None]);
    }

    #[test]
    fn of_clocks_what_is_farthest_from_the_truth_counts_ahead_or_behind() {
        let set =
            |at, ms: i64| NodeSample { realtime_ns: Some(ms * 1_000_000), ..sample(at, "n1") };
        let samples = [set(0, 3), set(1, -7), set(2, 5)];
        assert_eq!(realtime(&samples, buckets())["n1"], [Some(-7.0), None, None]);
    }
}
