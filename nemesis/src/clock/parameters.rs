//! Reads what a clock fault is given: how far, how fast, how often.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fault::Fault;
use crate::fault::units::{duration_in, offset_ns};

/// The name of the parameter that says how far a clock is moved.
pub const BY: &str = "by";
/// The name of the parameter that says how long a strobing clock stays where it is.
pub const PERIOD: &str = "period";
/// The name of the parameter that says how fast a clock goes.
pub const RATE: &str = "rate";
/// The name of the parameter that says which clocks change their rate.
pub const CLOCKS: &str = "clocks";

/// What holds if a schedule does not say.
pub(crate) const DEFAULT_STEP: &str = "1h";
pub(crate) const DEFAULT_STROBE: &str = "200ms";
pub(crate) const DEFAULT_PERIOD: &str = "50ms";
pub(crate) const DEFAULT_RATE: &str = "1.5";
pub(crate) const DEFAULT_CLOCKS: &str = "both";

/// The furthest a clock can be moved, in nanoseconds: a day.
const FURTHEST_NS: u64 = 24 * 3_600 * 1_000_000_000;
/// The shortest and the longest time a strobing clock stays where it is.
const PERIODS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(10);

/// Which clocks change their rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clocks {
    /// Realtime and monotonic.
    Both,
    /// Those that tell the time of day.
    Realtime,
    /// Those that only ever go forward.
    Monotonic,
}

impl Clocks {
    pub(super) fn realtime(self) -> bool {
        self != Clocks::Monotonic
    }

    pub(super) fn monotonic(self) -> bool {
        self != Clocks::Realtime
    }
}

/// What a clock fault does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// Realtime jumps by so many nanoseconds.
    Step {
        /// How far; negative for back.
        by_ns: i64,
    },
    /// Realtime jumps so far and back again and again.
    Strobe {
        /// How far, in nanoseconds; negative for back.
        by_ns: i64,
        /// For how long it stays before it jumps.
        period: Duration,
    },
    /// Clocks go faster or slower.
    Rate {
        /// How many times the true rate.
        factor: f64,
        /// Which clocks.
        clocks: Clocks,
    },
}

/// What a clock fault does that was given `full`, every parameter of its own; none if this is no
/// clock fault, or one of them is not understood.
pub(crate) fn read(fault: Fault, full: &BTreeMap<String, String>) -> Option<Change> {
    let text = |name: &str| full.get(name).map_or("", String::as_str);
    match fault {
        Fault::ClockStep => Some(Change::Step { by_ns: by(text(BY))? }),
        Fault::ClockStrobe => {
            Some(Change::Strobe { by_ns: by(text(BY))?, period: period(text(PERIOD))? })
        }
        Fault::ClockRate => {
            Some(Change::Rate { factor: factor(text(RATE))?, clocks: clocks(text(CLOCKS))? })
        }
        _ => None,
    }
}

/// A signed time other than zero, in nanoseconds.
pub(crate) fn by(text: &str) -> Option<i64> {
    offset_ns(text).filter(|ns| (1..=FURTHEST_NS).contains(&ns.unsigned_abs()))
}

/// For how long a strobing clock stays.
pub(crate) fn period(text: &str) -> Option<Duration> {
    duration_in(text, PERIODS)
}

/// How many times the true rate.
pub(crate) fn factor(text: &str) -> Option<f64> {
    let factor: f64 = text.trim().parse().ok()?;
    ((0.5..=2.0).contains(&factor) && factor != 1.0).then_some(factor)
}

/// Which clocks.
pub(crate) fn clocks(text: &str) -> Option<Clocks> {
    match text {
        "both" => Some(Clocks::Both),
        "realtime" => Some(Clocks::Realtime),
        "monotonic" => Some(Clocks::Monotonic),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clock_fault_has_defaults_that_it_understands() {
        let by_default = |fault: Fault| read(fault, &fault.in_full(&BTreeMap::new()));
        let step = Change::Step { by_ns: 3_600_000_000_000 };
        assert_eq!(by_default(Fault::ClockStep), Some(step));
        let period = Duration::from_millis(50);
        let strobe = Change::Strobe { by_ns: 200_000_000, period };
        assert_eq!(by_default(Fault::ClockStrobe), Some(strobe));
        let rate = Change::Rate { factor: 1.5, clocks: Clocks::Both };
        assert_eq!(by_default(Fault::ClockRate), Some(rate));
        assert_eq!(by_default(Fault::Kill), None);
    }

    #[test]
    fn clocks_are_moved_within_bounds() {
        for wrong in ["0s", "25h", "yesterday"] {
            assert_eq!(by(wrong), None, "{wrong}");
        }
        assert_eq!((period("0ms"), period("11s")), (None, None));
        assert_eq!((factor("3"), factor("NaN"), factor("1")), (None, None, None));
        assert_eq!(clocks("wall"), None);
    }
}
