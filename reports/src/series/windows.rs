//! Knows when any fault was in force.

use partita_checker::Nanoseconds;
use partita_nemesis::FaultRecord;

/// The times during which at least one fault was in force: disjoint, in order, ends included.
#[derive(Debug, Clone, Default)]
pub(crate) struct Windows(Vec<(Nanoseconds, Nanoseconds)>);

impl Windows {
    /// The times of `faults`. One without an end lasts until `end`; one that could not be injected
    /// and had no effect was never in force.
    pub(crate) fn of<'a>(
        faults: impl IntoIterator<Item = &'a FaultRecord>,
        end: Nanoseconds,
    ) -> Self {
        let mut spans: Vec<_> = faults
            .into_iter()
            .filter(|fault| fault.error.is_none() || fault.had_effect())
            .map(|fault| span(fault, end))
            .collect();
        spans.sort_unstable();
        let mut windows: Vec<(Nanoseconds, Nanoseconds)> = Vec::new();
        for (began, ended) in spans {
            match windows.last_mut() {
                Some(last) if began <= last.1 => last.1 = last.1.max(ended),
                _ => windows.push((began, ended)),
            }
        }
        Self(windows)
    }

    /// Whether any fault was in force at any time from `from` to `to`, both included.
    pub(crate) fn overlap(&self, from: Nanoseconds, to: Nanoseconds) -> bool {
        let after = self.0.partition_point(|&(began, _)| began <= to);
        after > 0 && self.0[after - 1].1 >= from
    }

    /// Windows that are known already: disjoint and in order.
    #[cfg(test)]
    pub(crate) fn of_spans(spans: &[(u64, u64)]) -> Self {
        let window = |&(began, ended)| (Nanoseconds(began), Nanoseconds(ended));
        Self(spans.iter().map(window).collect())
    }

    /// The windows in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Nanoseconds, Nanoseconds)> + '_ {
        self.0.iter().copied()
    }
}

/// When a fault began and ended; one that is still in force ends with the run.
pub(crate) fn span(fault: &FaultRecord, end: Nanoseconds) -> (Nanoseconds, Nanoseconds) {
    let ended = fault.ended_ns.unwrap_or(end.0).max(fault.began_ns);
    (Nanoseconds(fault.began_ns), Nanoseconds(ended))
}

#[cfg(test)]
mod tests {
    use super::*;
    use partita_nemesis::{Effect, Family};
    use std::collections::BTreeMap;

    fn fault(began_ns: u64, ended_ns: Option<u64>) -> FaultRecord {
        FaultRecord {
            id: 0,
            fault: "kill".into(),
            family: Family::Process,
            target: "leader".into(),
            nodes: vec!["n1".into()],
            parameters: BTreeMap::new(),
            began_ns,
            ended_ns,
            effects: Vec::new(),
            error: None,
            unhealed: false,
        }
    }

    fn windows(faults: &[FaultRecord]) -> Vec<(u64, u64)> {
        let windows = Windows::of(faults, Nanoseconds(100));
        windows.iter().map(|(began, ended)| (began.0, ended.0)).collect()
    }

    #[test]
    fn overlapping_faults_make_one_window() {
        let faults = [fault(50, Some(60)), fault(10, Some(20)), fault(15, Some(30))];
        assert_eq!(windows(&faults), [(10, 30), (50, 60)]);
    }

    #[test]
    fn a_fault_that_never_healed_lasts_until_the_end() {
        assert_eq!(windows(&[fault(40, None)]), [(40, 100)]);
    }

    #[test]
    fn a_fault_that_could_not_be_injected_was_not_in_force() {
        let failed = FaultRecord { error: Some("no such process".into()), ..fault(10, Some(20)) };
        assert_eq!(windows(std::slice::from_ref(&failed)), []);
        let effect = Effect { what: "killed".into(), amount: 3.0, unit: "processes".into() };
        let half_healed = FaultRecord { effects: vec![effect], ..failed };
        assert_eq!(windows(&[half_healed]), [(10, 20)]);
    }

    #[test]
    fn whatever_touches_a_window_overlaps_it() {
        let faults = [fault(10, Some(20)), fault(40, Some(50))];
        let windows = Windows::of(&faults, Nanoseconds(100));
        let overlaps = |(from, to)| windows.overlap(Nanoseconds(from), Nanoseconds(to));
        let under_faults = [(0, 10), (12, 13), (20, 30), (0, 100), (30, 41), (50, 50)];
        assert_eq!(under_faults.map(overlaps), [true; 6]);
        assert_eq!([(0, 9), (21, 39), (51, 100)].map(overlaps), [false; 3]);
    }
}
