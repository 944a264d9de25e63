//! Numbers as JSON writes them: kept exactly or refused, never rounded.

use crate::value::Value;

/// The number that `token` writes; nothing if neither a 64-bit integer nor a double holds it.
///
/// Whole numbers are integers however they are written, so that 5, 5.0 and 5e0 are equal, and -0
/// is 0. Other numbers are doubles; one is refused if it has more digits than its double tells.
pub(super) fn value(token: &str) -> Option<Value> {
    if let Ok(number) = token.parse() {
        return Some(Value::Integer(number));
    }
    let decimal = Decimal::of(token)?;
    if decimal.exponent >= 0 {
        return decimal.integer().map(Value::Integer);
    }
    let number: f64 = token.parse().ok().filter(|number: &f64| number.is_finite())?;
    let tells = |written: String| Decimal::of(&written) == Some(decimal.clone());
    // The shortest digits that lead back to the double, or the 17 that some languages print.
    let held = tells(format!("{number:e}")) || tells(format!("{number:.16e}"));
    held.then(|| Value::Double(number.to_bits()))
}

/// A time in units of which a second, or whatever `token` counts, has 10^9, and whether `token` is
/// no finer; nothing if it is too great. What is finer is cut off, downwards: what was earlier is
/// never later for it, and what was apart by less than a unit is at one time.
pub(super) fn billionths(token: &str) -> Option<(i128, bool)> {
    let decimal = Decimal::of(token)?;
    let digits: i128 = decimal.digits.parse().ok()?;
    let digits = if decimal.negative { -digits } else { digits };
    let power = |exponent: i64| 10_i128.checked_pow(u32::try_from(exponent).ok()?);
    match decimal.exponent + 9 {
        exponent @ 0.. => Some((digits.checked_mul(power(exponent)?)?, true)),
        // Without zeros at its end, a number that is finer is never whole.
        exponent => Some((digits.div_euclid(power(-exponent)?), false)),
    }
}

/// A number as its significant digits times a power of ten.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    /// Without zeros at either end; `0` is the only number that begins with one.
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn of(token: &str) -> Option<Self> {
        let (negative, token) = match token.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, token),
        };
        let (mantissa, exponent) = token.split_once(['e', 'E']).unwrap_or((token, "0"));
        let exponent: i64 = exponent.parse().ok().filter(|it: &i64| it.abs() < 1 << 32)?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = [whole, fraction].concat();
        let digits = digits.trim_start_matches('0');
        let short = digits.trim_end_matches('0');
        if short.is_empty() {
            return Some(Self { negative: false, digits: "0".to_owned(), exponent: 0 });
        }
        let zeros = (digits.len() - short.len()) as i64;
        let exponent = exponent - fraction.len() as i64 + zeros;
        Some(Self { negative, digits: short.to_owned(), exponent })
    }

    fn integer(&self) -> Option<i64> {
        let exponent = u32::try_from(self.exponent).ok().filter(|&exponent| exponent < 19)?;
        let number: i128 = self.digits.parse().ok()?;
        let number = number.checked_mul(10_i128.pow(exponent))?;
        i64::try_from(if self.negative { -number } else { number }).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_integers_however_they_are_written() {
        for (token, number) in [
            ("5", 5),
            ("5.0", 5),
            ("5e0", 5),
            ("50E-1", 5),
            ("0.5e+1", 5),
            ("-0", 0),
            ("-0.0", 0),
            ("0e99", 0),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808.0", i64::MIN),
        ] {
            assert_eq!(value(token), Some(Value::Integer(number)), "{token}");
        }
    }

    #[test]
    fn doubles_keep_every_digit_that_is_written() {
        for token in ["0.1", "-1.5e-300", "5e-324", "3.141592653589793", "0.10000000000000001"] {
            let number: f64 = token.parse().unwrap();
            assert_eq!(value(token), Some(Value::Double(number.to_bits())), "{token}");
        }
    }

    #[test]
    fn number_that_would_be_rounded_is_refused() {
        for token in [
            "9223372036854775808",
            "18446744073709551617",
            "1e19",
            "1e400",
            "1e-400",
            "0.1000000000000000055511151231257827",
            "9007199254740992.5",
            "1e99999999999999999999",
        ] {
            assert_eq!(value(token), None, "{token}");
        }
    }

    #[test]
    fn times_are_kept_to_the_billionth() {
        assert_eq!(billionths("1.25"), Some((1_250_000_000, true)));
        assert_eq!(billionths("1e-9"), Some((1, true)));
        assert_eq!(billionths("-2"), Some((-2_000_000_000, true)));
        assert_eq!(billionths("0.15000000000000002"), Some((150_000_000, false)));
        assert_eq!(billionths("-0.0000000001"), Some((-1, false)));
        assert_eq!(billionths("1e40"), None);
    }
}
