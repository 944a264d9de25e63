//! Faults of clocks: whose are wrong, and how.

mod clock_rate;
mod clock_step;
mod clock_strobe;
mod moved;

use std::fmt;

use super::description::{Evidence, Needs, Resource, ShownBy};
use super::values::{Value, text_value};
use crate::lab::LabBackend;
use crate::units;

pub(crate) use moved::MoveError;

pub use clock_rate::Factor;

super::faults! {
    clock_step::ClockStep,
    clock_strobe::ClockStrobe,
    clock_rate::ClockRate,
}

const HOLDS: &[Resource] = &[Resource::Clock];

/// Clocks are moved in a process that runs, and go on being moved in the next one.
const NEEDS: Needs =
    Needs { lab: LabBackend::Signals, nodes: 1, running: true, administrator: false };

const READ: Evidence = Evidence {
    felt: |it| it.unit == "readings",
    or_else: "no program of the victim read the clocks that were moved",
    shown: ShownBy::Under,
};

/// How far a clock jumps: forward or back, a day at most, but not nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jump(i64);

/// The furthest that a clock can jump, in nanoseconds.
const FURTHEST_NS: u64 = 24 * 3_600 * 1_000_000_000;

impl Jump {
    /// So many milliseconds, back if negative.
    ///
    /// # Panics
    ///
    /// If that is nothing, or more than a day.
    pub const fn millis(ms: i64) -> Jump {
        let ns = ms * 1_000_000;
        assert!(ms != 0 && ns.unsigned_abs() <= FURTHEST_NS, "a jump of at most a day");
        Jump(ns)
    }

    /// How far, in nanoseconds; negative for back.
    pub const fn ns(self) -> i64 {
        self.0
    }
}

impl Value for Jump {
    fn expected() -> String {
        "a time like -1h, 90s or 250ms, other than 0, of at most 24h".to_owned()
    }

    fn read(text: &str) -> Option<Jump> {
        let ns = units::offset_ns(text)?;
        (1..=FURTHEST_NS).contains(&ns.unsigned_abs()).then_some(Jump(ns))
    }
}

impl fmt::Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let time = std::time::Duration::from_nanos(self.0.unsigned_abs());
        write!(f, "{sign}{}", units::written(time))
    }
}

text_value!(Jump);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_jump_within_bounds() {
        for wrong in ["0s", "25h", "yesterday"] {
            assert!(wrong.parse::<Jump>().is_err(), "{wrong}");
        }
        for right in ["1h", "-10s", "-500ms", "24h"] {
            assert_eq!(right.parse::<Jump>().map(|it| it.to_string()), Ok(right.to_owned()));
        }
        assert_eq!("-1h".parse::<Jump>().map(Jump::ns), Ok(-3_600_000_000_000));
    }
}
