//! Writes counts and durations the way people read them.

use partita_checker::Nanoseconds;

/// A count with thousands set apart: `23,456`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 key`, `12 keys`.
pub fn counted(number: u64, singular: &str) -> String {
    let plural = match number {
        1 => "",
        _ if singular.ends_with("sh") => "es",
        _ => "s",
    };
    format!("{} {singular}{plural}", count(number))
}

/// A duration to three significant digits in the unit that suits it: `812 µs`, `2.31 s`, `5 min 12
/// s`.
pub(crate) fn duration(length: Nanoseconds) -> String {
    let Nanoseconds(nanoseconds) = length;
    match nanoseconds {
        0 => "0 s".to_owned(),
        1..1_000 => format!("{nanoseconds} ns"),
        1_000..999_500 => significant(nanoseconds as f64 / 1e3, "µs"),
        999_500..999_500_000 => significant(nanoseconds as f64 / 1e6, "ms"),
        999_500_000..120_000_000_000 => significant(nanoseconds as f64 / 1e9, "s"),
        _ => {
            let seconds = nanoseconds / 1_000_000_000;
            match seconds % 60 {
                0 => format!("{} min", seconds / 60),
                rest => format!("{} min {rest} s", seconds / 60),
            }
        }
    }
}

/// A measured amount to three significant digits, without an exponent: `0.02`, `3.1`, `1,234`.
pub(crate) fn amount(number: f64) -> String {
    let size = number.abs();
    if !number.is_finite() {
        return number.to_string();
    }
    if size >= 100.0 {
        let sign = if number < 0.0 { "-" } else { "" };
        return format!("{sign}{}", count(size.round() as u64));
    }
    let decimals = if size >= 10.0 { 1 } else { 2 };
    trimmed(format!("{number:.decimals$}"))
}

/// A point in time as seconds since the run began, to the microsecond: `12.345678 s`.
pub(crate) fn instant(time: Nanoseconds) -> String {
    format!("{:.6} s", time.as_seconds())
}

/// A point in time as seconds since the run began, to the hundredth: `12.35 s`.
pub(crate) fn instant_short(time: Nanoseconds) -> String {
    format!("{:.2} s", time.as_seconds())
}

fn significant(number: f64, unit: &str) -> String {
    let decimals = match number {
        ..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    format!("{} {unit}", trimmed(format!("{number:.decimals$}")))
}

/// Drops zeros, and then a point, from the end of a number with a fraction.
pub(crate) fn trimmed(number: String) -> String {
    if !number.contains('.') {
        return number;
    }
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_set_thousands_apart() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(23_456), "23,456");
        assert_eq!(count(1_000_000), "1,000,000");
        assert_eq!(counted(1, "key"), "1 key");
        assert_eq!(counted(1_200, "key"), "1,200 keys");
    }

    #[test]
    fn durations_pick_the_unit_that_suits_them() {
        let cases = [
            (0, "0 s"),
            (999, "999 ns"),
            (812_000, "812 µs"),
            (999_700, "1 ms"),
            (12_340_000, "12.3 ms"),
            (999_600_000, "1 s"),
            (2_310_000_000, "2.31 s"),
            (312_000_000_000, "5 min 12 s"),
            (600_000_000_000, "10 min"),
        ];
        for (nanoseconds, text) in cases {
            assert_eq!(duration(Nanoseconds(nanoseconds)), text);
        }
    }

    #[test]
    fn amounts_never_show_an_exponent() {
        assert_eq!(amount(0.021), "0.02");
        assert_eq!(amount(3.1), "3.1");
        assert_eq!(amount(1_234.4), "1,234");
        assert_eq!(amount(-1_234.4), "-1,234");
        assert_eq!(amount(1e12), "1,000,000,000,000");
    }
}
