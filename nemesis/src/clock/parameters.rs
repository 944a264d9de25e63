//! Reads what a clock fault is given: how far, how fast, how often.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fault::Fault;

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

/// Units of time, the longer names first where one ends in another, with their nanoseconds.
const UNITS: [(&str, f64); 6] =
    [("ms", 1e6), ("us", 1e3), ("ns", 1.0), ("s", 1e9), ("m", 60e9), ("h", 3_600e9)];

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

/// A parameter that is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misunderstood {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) expected: &'static str,
}

const EXPECTED_BY: &str = "a time like -1h, 90s or 250ms, other than 0, of at most 24h";
const EXPECTED_PERIOD: &str = "a time from 1ms to 10s";
const EXPECTED_RATE: &str = "a number from 0.5 to 2, other than 1";
const EXPECTED_CLOCKS: &str = "both, realtime or monotonic";

/// What a planned clock fault does.
pub(crate) fn read(
    fault: Fault,
    given: &BTreeMap<String, String>,
) -> Result<Change, Misunderstood> {
    let known: &[&str] = match fault {
        Fault::ClockStep => &[BY],
        Fault::ClockStrobe => &[BY, PERIOD],
        Fault::ClockRate => &[RATE, CLOCKS],
        _ => return Err(misunderstood("fault", fault.name(), "a clock fault")),
    };
    if let Some((name, value)) = given.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        let expected = match fault {
            Fault::ClockStep => "the parameter by",
            Fault::ClockStrobe => "the parameters by and period",
            _ => "the parameters rate and clocks",
        };
        return Err(misunderstood(name, value, expected));
    }
    let full = fault.in_full(given);
    let text = |name: &str| full.get(name).map_or("", String::as_str);
    let by_ns = || offset(text(BY)).ok_or_else(|| misunderstood(BY, text(BY), EXPECTED_BY));
    Ok(match fault {
        Fault::ClockStep => Change::Step { by_ns: by_ns()? },
        Fault::ClockStrobe => {
            let period = period(text(PERIOD));
            let expected = || misunderstood(PERIOD, text(PERIOD), EXPECTED_PERIOD);
            Change::Strobe { by_ns: by_ns()?, period: period.ok_or_else(expected)? }
        }
        _ => {
            let factor = factor(text(RATE));
            let clocks = match text(CLOCKS) {
                "both" => Some(Clocks::Both),
                "realtime" => Some(Clocks::Realtime),
                "monotonic" => Some(Clocks::Monotonic),
                _ => None,
            };
            Change::Rate {
                factor: factor.ok_or_else(|| misunderstood(RATE, text(RATE), EXPECTED_RATE))?,
                clocks: clocks
                    .ok_or_else(|| misunderstood(CLOCKS, text(CLOCKS), EXPECTED_CLOCKS))?,
            }
        }
    })
}

fn misunderstood(name: &str, value: &str, expected: &'static str) -> Misunderstood {
    Misunderstood { name: name.to_owned(), value: value.to_owned(), expected }
}

/// A signed time other than zero, in nanoseconds.
fn offset(text: &str) -> Option<i64> {
    let (sign, amount) = match text.trim().strip_prefix('-') {
        Some(amount) => (-1, amount),
        None => (1, text.trim().trim_start_matches('+')),
    };
    let ns = nanoseconds(amount).filter(|ns| (1..=FURTHEST_NS).contains(ns))?;
    i64::try_from(ns).ok().map(|ns| sign * ns)
}

fn period(text: &str) -> Option<Duration> {
    nanoseconds(text.trim()).map(Duration::from_nanos).filter(|period| PERIODS.contains(period))
}

fn factor(text: &str) -> Option<f64> {
    let factor: f64 = text.trim().parse().ok()?;
    ((0.5..=2.0).contains(&factor) && factor != 1.0).then_some(factor)
}

/// A time with its unit, in nanoseconds.
fn nanoseconds(text: &str) -> Option<u64> {
    let (number, unit_ns) =
        UNITS.iter().find_map(|(unit, ns)| Some((text.strip_suffix(unit)?, ns)))?;
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let amount: f64 = number.parse().ok().filter(|_| is_plain)?;
    let ns = (amount * unit_ns).round();
    (ns <= u64::MAX as f64 / 2.0).then_some(ns as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(parameters: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        parameters.iter().map(owned).collect()
    }

    #[test]
    fn times_have_a_sign_and_a_unit() {
        assert_eq!(offset("1h"), Some(3_600_000_000_000));
        assert_eq!(offset("-1.5s"), Some(-1_500_000_000));
        assert_eq!(offset("+250ms"), Some(250_000_000));
        assert_eq!(offset("10m"), Some(600_000_000_000));
        for wrong in ["", "1", "h", "0s", "25h", "--1s", "1e3s", "infs", "5 parsecs"] {
            assert_eq!(offset(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_clock_fault_has_defaults_that_it_understands() {
        let none = BTreeMap::new();
        let step = Change::Step { by_ns: 3_600_000_000_000 };
        assert_eq!(read(Fault::ClockStep, &none), Ok(step));
        let period = Duration::from_millis(50);
        let strobe = Change::Strobe { by_ns: 200_000_000, period };
        assert_eq!(read(Fault::ClockStrobe, &none), Ok(strobe));
        let rate = Change::Rate { factor: 1.5, clocks: Clocks::Both };
        assert_eq!(read(Fault::ClockRate, &none), Ok(rate));
        assert!(read(Fault::Kill, &none).is_err());
    }

    #[test]
    fn what_a_clock_fault_cannot_take_is_named_with_what_it_can() {
        let cases = [
            (Fault::ClockStep, ("by", "yesterday"), "-1h"),
            (Fault::ClockStep, ("rate", "2"), "the parameter by"),
            (Fault::ClockStrobe, ("period", "0ms"), "1ms to 10s"),
            (Fault::ClockRate, ("rate", "3"), "0.5 to 2"),
            (Fault::ClockRate, ("rate", "NaN"), "0.5 to 2"),
            (Fault::ClockRate, ("clocks", "wall"), "monotonic"),
        ];
        for (fault, parameter, expected) in cases {
            let error = read(fault, &given(&[parameter])).expect_err("not understood");
            assert_eq!((error.name.as_str(), error.value.as_str()), parameter);
            assert!(error.expected.contains(expected), "{error:?}");
        }
    }
}
