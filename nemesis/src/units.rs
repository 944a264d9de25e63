//! Reads and writes times, sizes and shares as people write them: with units.
//!
//! There is one grammar for schedules, parameters of faults and, where it is asked to, the command
//! line: `250ms`, `1.5s`, `1m30s` or `1m 30s`; `512B`, `64KiB`, `1GiB`; `20%`, `0.5%`.

use std::time::Duration;

/// Units of time with their nanoseconds, the longest first.
const TIMES: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Units of size with their bytes, the largest first.
const SIZES: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// A time that is not negative: `250ms`, `1.5s`, `1m30s`; a bare `0` as well. Of several parts, each
/// has a smaller unit than the one before.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let (mut total_ns, mut larger_ns) = (None, u64::MAX);
    while !rest.is_empty() {
        let (number, unit, after) = part(rest)?;
        let (_, unit_ns) = *TIMES.iter().find(|(name, _)| *name == unit)?;
        let amount: f64 = number.parse().ok()?;
        if unit_ns >= larger_ns {
            return None;
        }
        total_ns = Some(total_ns.unwrap_or(0.0) + (amount * unit_ns as f64).round());
        (rest, larger_ns) = (after, unit_ns);
    }
    let total_ns = total_ns.filter(|ns| *ns <= u64::MAX as f64 / 2.0)?;
    Some(Duration::from_nanos(total_ns as u64))
}

/// The first number of a text, the unit after it, and the rest.
fn part(text: &str) -> Option<(&str, &str, &str)> {
    let (number, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.')?);
    let rest = rest.trim_start();
    let (unit, rest) =
        rest.split_at(rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len()));
    Some((number, unit, rest.trim_start()))
}

/// A time with a sign, in nanoseconds: `-1h`, `+250ms`, `10s`.
pub fn offset_ns(text: &str) -> Option<i64> {
    let (sign, amount) = match text.trim().strip_prefix('-') {
        Some(amount) => (-1, amount),
        None => (1, text.trim().trim_start_matches('+')),
    };
    let ns = i64::try_from(duration(amount)?.as_nanos()).ok()?;
    Some(sign * ns)
}

/// A number of bytes: `512B`, `64KiB`, `1GiB`; a bare number means bytes.
pub fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = (&text[..digits], text[digits..].trim_start());
    let (_, bytes) = *SIZES.iter().find(|(name, _)| *name == unit || (unit, *name) == ("", "B"))?;
    number.parse::<u64>().ok()?.checked_mul(bytes)
}

/// A share of a hundred in millionths of the whole, decimals included: `0.5%` is 5,000.
pub fn millionths(text: &str) -> Option<u32> {
    let number = text.trim().strip_suffix('%')?.trim();
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let percent: f64 = number.parse().ok().filter(|_| is_plain)?;
    (percent <= 100.0).then(|| (percent * 10_000.0).round() as u32)
}

/// A time as [`duration`] reads it, in the largest unit of which it is a whole number.
pub fn written(time: Duration) -> String {
    let ns = time.as_nanos();
    if ns == 0 {
        return "0s".to_owned();
    }
    let is_whole = |(_, unit_ns): &&(&str, u64)| ns.is_multiple_of(u128::from(*unit_ns));
    // A nanosecond divides every time.
    let (unit, unit_ns) = TIMES.iter().find(is_whole).unwrap_or(&("ns", 1));
    format!("{}{unit}", ns / u128::from(*unit_ns))
}

/// A number of bytes as [`size`] reads it, in the largest unit of which it is a whole number.
pub fn size_written(bytes: u64) -> String {
    let is_whole = |(_, unit): &&(&str, u64)| bytes > 0 && bytes.is_multiple_of(*unit);
    let (unit, per_unit) = SIZES.iter().find(is_whole).unwrap_or(&("B", 1));
    format!("{}{unit}", bytes / per_unit)
}

/// Millionths as [`millionths`] reads them.
pub fn millionths_written(millionths: u32) -> String {
    format!("{}%", f64::from(millionths) / 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_sign_and_units() {
        assert_eq!(offset_ns("1h"), Some(3_600_000_000_000));
        assert_eq!(offset_ns("-1.5s"), Some(-1_500_000_000));
        assert_eq!(offset_ns("+250ms"), Some(250_000_000));
        assert_eq!(offset_ns("10m"), Some(600_000_000_000));
        assert_eq!(duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("1m 30s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("1h 0.5s 20ms"), Some(Duration::from_millis(3_600_520)));
        assert_eq!(duration("0"), Some(Duration::ZERO));
        for wrong in [
            "",
            "1",
            "h",
            "--1s",
            "1e3s",
            "infs",
            "5 parsecs",
            "1..2s",
            "30s1m",
            "1s1s",
            "1s 2",
            "-1s",
        ] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_and_shares_have_units() {
        assert_eq!((size("64KiB"), size("3 B"), size("64")), (Some(65_536), Some(3), Some(64)));
        assert_eq!((size("1GiB"), size("2TiB")), (Some(1 << 30), Some(2 << 40)));
        assert_eq!(
            (size("xB"), size("1KB"), size(""), size("99999999TiB")),
            (None, None, None, None)
        );
        assert_eq!((millionths("0.5%"), millionths("100 %")), (Some(5_000), Some(1_000_000)));
        assert_eq!((millionths("101%"), millionths("-1%"), millionths("7")), (None, None, None));
    }

    #[test]
    fn what_is_written_reads_back() {
        for ns in [0, 1, 999, 1_500, 1_000_000, 1_500_000_000, 90_000_000_000, 3_600_000_000_000] {
            let time = Duration::from_nanos(ns);
            assert_eq!(duration(&written(time)), Some(time));
        }
        for bytes in [0, 1, 1_023, 1_024, 3 << 20, 1 << 30] {
            assert_eq!(size(&size_written(bytes)), Some(bytes));
        }
        for share in [1, 5_000, 123_456, 200_000, 1_000_000] {
            assert_eq!(millionths(&millionths_written(share)), Some(share));
        }
        let second = Duration::from_secs(1);
        let times = [60, 90, 7_200, 0].map(|seconds| written(second * seconds));
        assert_eq!(times, ["1m", "90s", "2h", "0s"]);
        assert_eq!(written(Duration::from_micros(1_500)), "1500us");
        assert_eq!(size_written(8_192), "8KiB");
    }
}
