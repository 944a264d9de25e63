//! The types of the faults' parameters: each knows its unit and its bounds, and is read once.
//!
//! A value is a text in schedules, such as `"250ms"`; a plain number is read as well.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};

use crate::lab::Probability;
use crate::units;

/// What a parameter can be given.
pub(crate) trait Value: fmt::Display + Sized {
    /// What is understood, in words: the unit and its bounds, or the words.
    fn expected() -> String;

    /// The value that a text stands for.
    fn read(text: &str) -> Option<Self>;
}

/// A text that a parameter cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not it: expected {expected}")]
pub struct ValueError {
    /// The text.
    pub found: String,
    /// What would be understood.
    pub expected: String,
}

impl ValueError {
    pub(crate) fn new<V: Value>(found: &str) -> ValueError {
        ValueError { found: found.to_owned(), expected: V::expected() }
    }
}

/// Reads a value from a text or a plain number.
pub(crate) fn deserialize<'de, V: Value, D: Deserializer<'de>>(from: D) -> Result<V, D::Error> {
    struct Text<V>(PhantomData<V>);

    impl<V: Value> Visitor<'_> for Text<V> {
        type Value = V;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&V::expected())
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<V, E> {
            V::read(text).ok_or_else(|| E::custom(ValueError::new::<V>(text)))
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<V, E> {
            self.visit_str(&number.to_string())
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<V, E> {
            self.visit_str(&number.to_string())
        }

        fn visit_f64<E: de::Error>(self, number: f64) -> Result<V, E> {
            self.visit_str(&number.to_string())
        }
    }

    from.deserialize_any(Text(PhantomData))
}

/// Lets serde and `FromStr` read and write a [`Value`] as a text.
macro_rules! text_value {
    ($type:ty $(, $($bound:tt)+)?) => {
        impl $(<$($bound)+>)? serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de $(, $($bound)+)?> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::fault::values::deserialize(from)
            }
        }

        impl $(<$($bound)+>)? std::str::FromStr for $type {
            type Err = $crate::fault::values::ValueError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                use $crate::fault::values::{Value, ValueError};
                <Self as Value>::read(text).ok_or_else(|| ValueError::new::<Self>(text))
            }
        }
    };
}
pub(crate) use text_value;

/// Gives a type whose values are words these words.
macro_rules! words {
    ($type:ty, $expected:literal, $($word:literal => $value:path),+ $(,)?) => {
        impl $crate::fault::values::Value for $type {
            fn expected() -> String {
                $expected.to_owned()
            }

            fn read(text: &str) -> Option<Self> {
                match text {
                    $($word => Some($value),)+
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $($value => $word,)+
                })
            }
        }

        $crate::fault::values::text_value!($type);
    };
}
pub(crate) use words;

/// A time from `MIN_MS` to `MAX_MS` milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time<const MIN_MS: u64, const MAX_MS: u64>(Duration);

impl<const MIN_MS: u64, const MAX_MS: u64> Time<MIN_MS, MAX_MS> {
    /// So many milliseconds.
    ///
    /// # Panics
    ///
    /// If that is out of bounds.
    pub const fn millis(ms: u64) -> Self {
        assert!(MIN_MS <= ms && ms <= MAX_MS, "a time within bounds");
        Self(Duration::from_millis(ms))
    }

    /// The time.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl<const MIN_MS: u64, const MAX_MS: u64> Value for Time<MIN_MS, MAX_MS> {
    fn expected() -> String {
        let written = |ms| match ms {
            0 => "0".to_owned(),
            ms => units::written(Duration::from_millis(ms)),
        };
        format!("a time from {} to {}", written(MIN_MS), written(MAX_MS))
    }

    fn read(text: &str) -> Option<Self> {
        let bounds = Duration::from_millis(MIN_MS)..=Duration::from_millis(MAX_MS);
        units::duration(text).filter(|time| bounds.contains(time)).map(Self)
    }
}

impl<const MIN_MS: u64, const MAX_MS: u64> fmt::Display for Time<MIN_MS, MAX_MS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&units::written(self.0))
    }
}

text_value!(Time<MIN_MS, MAX_MS>, const MIN_MS: u64, const MAX_MS: u64);

/// A whole share of a hundred, from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent<const MIN: u8, const MAX: u8>(u8);

impl<const MIN: u8, const MAX: u8> Percent<MIN, MAX> {
    /// So many of a hundred.
    ///
    /// # Panics
    ///
    /// If that is out of bounds.
    pub const fn new(percent: u8) -> Self {
        assert!(MIN <= percent && percent <= MAX, "a share within bounds");
        Self(percent)
    }

    /// How many of a hundred.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl<const MIN: u8, const MAX: u8> Value for Percent<MIN, MAX> {
    fn expected() -> String {
        format!("percent, {MIN}% to {MAX}%")
    }

    fn read(text: &str) -> Option<Self> {
        let percent = text.trim().strip_suffix('%')?.trim().parse().ok();
        percent.filter(|percent| (MIN..=MAX).contains(percent)).map(Self)
    }
}

impl<const MIN: u8, const MAX: u8> fmt::Display for Percent<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

text_value!(Percent<MIN, MAX>, const MIN: u8, const MAX: u8);

/// Some share of all frames, up to `MAX` in a hundred, decimals included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share<const MAX: u8>(u32);

impl<const MAX: u8> Share<MAX> {
    /// So many of a hundred.
    ///
    /// # Panics
    ///
    /// If that is none, or more than `MAX`.
    pub const fn percent(percent: u8) -> Self {
        assert!(0 < percent && percent <= MAX, "a share within bounds");
        Self(percent as u32 * 10_000)
    }

    /// The share as a probability.
    pub const fn probability(self) -> Probability {
        Probability::per_million(self.0)
    }
}

impl<const MAX: u8> Value for Share<MAX> {
    fn expected() -> String {
        format!("percent, more than 0% up to {MAX}%")
    }

    fn read(text: &str) -> Option<Self> {
        let bounds = 1..=u32::from(MAX) * 10_000;
        units::millionths(text).filter(|share| bounds.contains(share)).map(Self)
    }
}

impl<const MAX: u8> fmt::Display for Share<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&units::millionths_written(self.0))
    }
}

text_value!(Share<MAX>, const MAX: u8);

/// A number of bytes, up to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes<const MAX: u64>(u64);

impl<const MAX: u64> Bytes<MAX> {
    /// So many bytes.
    ///
    /// # Panics
    ///
    /// If they are more than `MAX`.
    pub const fn new(bytes: u64) -> Self {
        assert!(bytes <= MAX, "a size within bounds");
        Self(bytes)
    }

    /// How many.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl<const MAX: u64> Value for Bytes<MAX> {
    fn expected() -> String {
        match MAX {
            u64::MAX => "a size: B, KiB, MiB or GiB".to_owned(),
            most => format!("a size up to {}: B, KiB or MiB", units::size_written(most)),
        }
    }

    fn read(text: &str) -> Option<Self> {
        units::size(text).filter(|bytes| *bytes <= MAX).map(Self)
    }
}

impl<const MAX: u64> fmt::Display for Bytes<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&units::size_written(self.0))
    }
}

text_value!(Bytes<MAX>, const MAX: u64);

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Count<MIN, MAX> {
    /// So many.
    ///
    /// # Panics
    ///
    /// If that is out of bounds.
    pub const fn new(count: u32) -> Self {
        assert!(MIN <= count && count <= MAX, "a number within bounds");
        Self(count)
    }

    /// How many.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> Value for Count<MIN, MAX> {
    fn expected() -> String {
        match MAX {
            u32::MAX => format!("a whole number, {MIN} or more"),
            _ => format!("a number from {MIN} to {MAX}"),
        }
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().filter(|count| (MIN..=MAX).contains(count)).map(Self)
    }
}

impl<const MIN: u32, const MAX: u32> fmt::Display for Count<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_value!(Count<MIN, MAX>, const MIN: u32, const MAX: u32);

/// Whether something is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is.
    Yes,
    /// It is not.
    No,
}

words!(Answer, "yes or no", "yes" => Answer::Yes, "no" => Answer::No);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_bounds_and_say_them() {
        type Period = Time<10, 10_000>;
        assert_eq!("20ms".parse(), Ok(Period::millis(20)));
        let error = "5ms".parse::<Period>().expect_err("too short").to_string();
        assert_eq!(error, "\"5ms\" is not it: expected a time from 10ms to 10s");
        assert_eq!("7 %".parse(), Ok(Percent::<1, 99>::new(7)));
        assert!(
            "100%".parse::<Percent<1, 99>>().is_err() && "7".parse::<Percent<1, 99>>().is_err()
        );
        assert_eq!("0.5%".parse::<Share<50>>().map(|it| it.to_string()), Ok("0.5%".to_owned()));
        assert_eq!(
            "0.5%".parse::<Share<50>>().map(Share::probability),
            Ok(Probability::per_million(5_000))
        );
        for wrong in ["0%", "51%", "-1%", "x"] {
            assert!(wrong.parse::<Share<50>>().is_err(), "{wrong}");
        }
        type Queue = Bytes<{ 64 << 20 }>;
        assert_eq!("64MiB".parse::<Queue>().map(Queue::get), Ok(64 << 20));
        assert_eq!(Queue::expected(), "a size up to 64MiB: B, KiB or MiB");
        assert!("65MiB".parse::<Queue>().is_err());
        assert!("0".parse::<Count<1, 9>>().is_err() && "9".parse::<Count<1, 9>>().is_ok());
        assert_eq!("maybe".parse::<Answer>().map_err(|it| it.expected), Err("yes or no".into()));
    }

    #[test]
    fn a_plain_number_is_read_as_a_text_is() {
        let read = |text: &str| serde_json::from_str::<Count<1, 9>>(text).map(Count::get);
        assert_eq!((read("3").ok(), read("\"3\"").ok()), (Some(3), Some(3)));
        let error = read("12").expect_err("too many").to_string();
        assert!(error.starts_with("\"12\" is not it: expected a number from 1 to 9"), "{error}");
        let error = read("[]").expect_err("a list").to_string();
        assert!(error.contains("expected a number from 1 to 9"), "{error}");
    }
}
