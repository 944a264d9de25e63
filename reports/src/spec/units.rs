//! The units of a run's specification.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A length of time in whole milliseconds; shown as the command line takes it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Milliseconds(pub u64);

impl Milliseconds {
    /// Whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds * 1_000)
    }

    /// The same as a [`Duration`].
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl TryFrom<Duration> for Milliseconds {
    type Error = NotMilliseconds;

    fn try_from(duration: Duration) -> Result<Self, NotMilliseconds> {
        if !duration.subsec_nanos().is_multiple_of(1_000_000) {
            return Err(NotMilliseconds(duration));
        }
        u64::try_from(duration.as_millis()).map(Self).map_err(|_| NotMilliseconds(duration))
    }
}

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            milliseconds if milliseconds.is_multiple_of(1_000) => {
                write!(f, "{}s", milliseconds / 1_000)
            }
            milliseconds => write!(f, "{milliseconds}ms"),
        }
    }
}

/// A duration that is no whole number of milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected whole milliseconds, such as `250ms`; {0:?} is finer than that, or too long")]
pub struct NotMilliseconds(pub Duration);

/// A size in bytes; shown with the largest binary unit that leaves a whole number.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let whole = |(shift, _): &(u32, &str)| self.0 > 0 && self.0.trailing_zeros() >= *shift;
        match units.into_iter().find(whole) {
            Some((shift, unit)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_shown_as_they_are_typed() {
        assert_eq!(Milliseconds::seconds(90).to_string(), "90s");
        assert_eq!(Milliseconds(1_250).to_string(), "1250ms");
        let sizes = [0, 1_000, 512 << 10, 256 << 20, 3 << 30].map(|size| Bytes(size).to_string());
        assert_eq!(sizes, ["0", "1000", "512KiB", "256MiB", "3GiB"]);
    }

    #[test]
    fn what_is_finer_than_a_millisecond_is_refused_and_not_rounded() {
        assert_eq!(Milliseconds::try_from(Duration::from_millis(7)), Ok(Milliseconds(7)));
        assert!(Milliseconds::try_from(Duration::from_micros(7_500)).is_err());
        assert!(Milliseconds::try_from(Duration::from_secs(u64::MAX)).is_err());
    }
}
