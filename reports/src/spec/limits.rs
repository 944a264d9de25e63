//! What a store is to keep while a run is under way: `memory < 512MiB`, `unavailable < 2s under isolate`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::{Bytes, Milliseconds};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Time without an answered update on a cluster that could work.
    Recovery,
    /// Time without an answered update while clients ask for some.
    Unavailable,
    /// The latency that 99 of 100 answered operations keep.
    Latency,
    /// Resident memory of one node, in bytes.
    Memory,
    /// Files that one node has open.
    OpenFiles,
    /// What one node's data directory holds, in bytes.
    LogSize,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Recovery,
        Self::Unavailable,
        Self::Latency,
        Self::Memory,
        Self::OpenFiles,
        Self::LogSize,
    ];

    /// Its name in limits.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recovery => "recovery",
            Self::Unavailable => "unavailable",
            Self::Latency => "latency",
            Self::Memory => "memory",
            Self::OpenFiles => "open-files",
            Self::LogSize => "log-size",
        }
    }

    /// Whether it is a length of time, in milliseconds.
    pub const fn is_time(self) -> bool {
        matches!(self, Self::Recovery | Self::Unavailable | Self::Latency)
    }

    /// Whether it can be kept for the time of a fault only.
    pub const fn can_be_under(self) -> bool {
        matches!(self, Self::Unavailable | Self::Latency)
    }

    /// A number of it, in words.
    pub fn amount(self, amount: u64) -> String {
        match self {
            Self::OpenFiles => amount.to_string(),
            Self::Memory | Self::LogSize => Bytes(amount).to_string(),
            Self::Recovery | Self::Unavailable | Self::Latency => Milliseconds(amount).to_string(),
        }
    }

    fn parse_amount(self, text: &str) -> Option<u64> {
        let unit = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(unit);
        let number: u64 = number.parse().ok()?;
        let factor = match (self, unit) {
            (Self::OpenFiles, "") => 1,
            (Self::Memory | Self::LogSize, unit) => match unit {
                "" => 1,
                "KiB" => 1 << 10,
                "MiB" => 1 << 20,
                "GiB" => 1 << 30,
                _ => return None,
            },
            (it, "ms") if it.is_time() => 1,
            (it, "s") if it.is_time() => 1_000,
            (it, "min") if it.is_time() => 60_000,
            _ => return None,
        };
        number.checked_mul(factor).filter(|amount| *amount > 0)
    }

    const fn example(self) -> &'static str {
        match self {
            Self::OpenFiles => "1000",
            Self::Memory | Self::LogSize => "512MiB",
            Self::Recovery | Self::Unavailable | Self::Latency => "2s",
        }
    }
}

/// A limit that the store is to keep: what is measured stays below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Limit {
    /// What is measured.
    pub measure: Measure,
    /// What it stays below: milliseconds, bytes or a number.
    pub below: u64,
    /// The fault while which it is to be kept; always, if none.
    pub under: Option<String>,
}

/// Why a text is no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// It has not this form.
    #[error(
        "expected a limit such as `recovery < 5s` or `unavailable < 2s under isolate`, not `{0}`"
    )]
    Form(String),
    /// Nothing of that name is measured.
    #[error("nothing called `{0}` is measured; known are {known}", known = known())]
    Measure(String),
    /// A number without its unit, or with another's.
    #[error("{0}: expected an amount such as `{1}`, not `{2}`")]
    Amount(&'static str, &'static str, String),
    /// What cannot be kept for the time of a fault only.
    #[error("{0} is kept always, and not `under` a fault")]
    Under(&'static str),
}

fn known() -> String {
    Measure::ALL.map(Measure::name).join(", ")
}

impl Limit {
    /// The limit of a measure by its name, as descriptions have them: `memory = "512MiB"`.
    ///
    /// # Errors
    ///
    /// [`LimitError`] if there is no such measure, or the amount is none of it.
    pub fn of(name: &str, amount: &str) -> Result<Self, LimitError> {
        let measure = Measure::ALL.into_iter().find(|it| it.name() == name);
        let measure = measure.ok_or_else(|| LimitError::Measure(name.to_owned()))?;
        let below = measure.parse_amount(amount).ok_or_else(|| {
            LimitError::Amount(measure.name(), measure.example(), amount.to_owned())
        })?;
        Ok(Self { measure, below, under: None })
    }

    /// A limit on a length of time, as one.
    pub const fn duration(&self) -> Duration {
        Duration::from_millis(self.below)
    }

    /// Whether it is about the same as `other`.
    pub fn replaces(&self, other: &Self) -> bool {
        (self.measure, &self.under) == (other.measure, &other.under)
    }
}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let form = || LimitError::Form(text.to_owned());
        let (name, rest) = text.split_once('<').ok_or_else(form)?;
        let words: Vec<&str> = rest.split_whitespace().collect();
        let (amount, under) = match words[..] {
            [amount] => (amount, None),
            [amount, "under", fault] => (amount, Some(fault.to_owned())),
            _ => return Err(form()),
        };
        let limit = Self::of(name.trim(), amount)?;
        if under.is_some() && !limit.measure.can_be_under() {
            return Err(LimitError::Under(limit.measure.name()));
        }
        Ok(Self { under, ..limit })
    }
}

impl TryFrom<String> for Limit {
    type Error = LimitError;

    fn try_from(text: String) -> Result<Self, LimitError> {
        text.parse()
    }
}

impl From<Limit> for String {
    fn from(limit: Limit) -> Self {
        limit.to_string()
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} < {}", self.measure.name(), self.measure.amount(self.below))?;
        self.under.as_ref().map_or(Ok(()), |fault| write!(f, " under {fault}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_as_it_is_shown() {
        for text in [
            "recovery < 5s",
            "unavailable < 250ms under isolate",
            "latency < 2s",
            "memory < 512MiB",
            "open-files < 100",
            "log-size < 1GiB",
        ] {
            assert_eq!(text.parse::<Limit>().expect(text).to_string(), text);
        }
        assert_eq!("memory<1KiB".parse::<Limit>().expect("a limit").below, 1_024);
        assert_eq!("recovery < 2min".parse::<Limit>().expect("a limit").below, 120_000);
    }

    #[test]
    fn a_mistake_is_named_with_what_was_expected() {
        let problem = |text: &str| text.parse::<Limit>().expect_err(text).to_string();
        assert!(problem("recovery 5s").contains("`recovery < 5s`"));
        assert!(problem("memroy < 5MiB").contains("open-files"));
        assert!(problem("memory < 5s").contains("`512MiB`"));
        assert!(problem("recovery < 5").contains("`2s`"));
        assert!(problem("recovery < 0s").contains("`2s`"));
        assert!(problem("memory < 5MiB under kill").contains("under"));
        assert!(problem("latency < 5s after kill").contains("expected a limit"));
    }
}
