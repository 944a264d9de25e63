//! Reads the values of parameters as people write them: with units.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::lab::Probability;

/// Units of time, the longer names first where one ends in another, with their nanoseconds.
const TIMES: [(&str, f64); 6] =
    [("ms", 1e6), ("us", 1e3), ("ns", 1.0), ("s", 1e9), ("m", 60e9), ("h", 3_600e9)];

/// Units of size, likewise, with their bytes.
const SIZES: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("B", 1)];

/// A time that is not negative: `250ms`, `1.5s`, `2m`; a bare `0` as well.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (number, unit_ns) =
        TIMES.iter().find_map(|(unit, ns)| Some((text.strip_suffix(unit)?, ns)))?;
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let amount: f64 = number.parse().ok().filter(|_| is_plain)?;
    let ns = (amount * unit_ns).round();
    (ns <= u64::MAX as f64 / 2.0).then(|| Duration::from_nanos(ns as u64))
}

/// A time within bounds.
pub(crate) fn duration_in(text: &str, bounds: RangeInclusive<Duration>) -> Option<Duration> {
    duration(text).filter(|time| bounds.contains(time))
}

/// A time with a sign, in nanoseconds: `-1h`, `+250ms`, `10s`.
pub(crate) fn offset_ns(text: &str) -> Option<i64> {
    let (sign, amount) = match text.trim().strip_prefix('-') {
        Some(amount) => (-1, amount),
        None => (1, text.trim().trim_start_matches('+')),
    };
    let ns = i64::try_from(duration(amount)?.as_nanos()).ok()?;
    Some(sign * ns)
}

/// A number of bytes: `512B`, `64KiB`, `1MiB`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let (number, unit) =
        SIZES.into_iter().find_map(|(name, unit)| Some((text.trim().strip_suffix(name)?, unit)))?;
    number.trim().parse::<u64>().ok()?.checked_mul(unit)
}

/// A whole share of a hundred, as a number of them: `0%` to `100%`.
pub(crate) fn percent(text: &str) -> Option<u8> {
    text.trim().strip_suffix('%')?.trim().parse().ok().filter(|percent| *percent <= 100)
}

/// A share of a hundred, decimals included: `0.5%`, `20%`.
pub(crate) fn percent_of(text: &str) -> Option<Probability> {
    let number = text.trim().strip_suffix('%')?.trim();
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let percent: f64 = number.parse().ok().filter(|_| is_plain)?;
    Probability::new(percent / 100.0).ok()
}

/// A time as [`duration`] reads it: whole milliseconds if it is that.
pub(crate) fn written(time: Duration) -> String {
    let ns = time.as_nanos();
    match () {
        () if ns.is_multiple_of(1_000_000_000) => format!("{}s", ns / 1_000_000_000),
        () if ns.is_multiple_of(1_000_000) => format!("{}ms", ns / 1_000_000),
        () => format!("{ns}ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_sign_and_a_unit() {
        assert_eq!(offset_ns("1h"), Some(3_600_000_000_000));
        assert_eq!(offset_ns("-1.5s"), Some(-1_500_000_000));
        assert_eq!(offset_ns("+250ms"), Some(250_000_000));
        assert_eq!(offset_ns("10m"), Some(600_000_000_000));
        for wrong in ["", "1", "h", "--1s", "1e3s", "infs", "5 parsecs", "1..2s"] {
            assert_eq!(offset_ns(wrong), None, "{wrong}");
        }
        assert_eq!(duration("0"), Some(Duration::ZERO));
        let second = Duration::from_secs(1);
        assert_eq!(duration_in("2s", second..=2 * second), Some(2 * second));
        assert_eq!(duration_in("2.1s", second..=2 * second), None);
    }

    #[test]
    fn sizes_and_shares_have_units() {
        assert_eq!(
            (size("64KiB"), size("3B"), size("64"), size("xB")),
            (Some(65_536), Some(3), None, None)
        );
        assert_eq!(
            (percent("7%"), percent("100 %"), percent("101%"), percent("7")),
            (Some(7), Some(100), None, None)
        );
        let millionths = |text| percent_of(text).map(|share| (share.get() * 1e6).round() as u64);
        assert_eq!(
            (millionths("0.5%"), millionths("100 %"), millionths("101%"), millionths("-1%")),
            (Some(5_000), Some(1_000_000), None, None)
        );
    }

    #[test]
    fn a_time_reads_back_as_it_was_written() {
        for ns in [0, 1, 999, 1_000_000, 1_500_000_000, 3_000_000_000, 90_000_000_000] {
            let time = Duration::from_nanos(ns);
            assert_eq!(duration(&written(time)), Some(time));
        }
    }
}
