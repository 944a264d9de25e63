//! Gives each server clocks of its own: a monotonic one that may run fast or slow, and a wall clock
//! that may be stepped.
//!
//! The monotonic clock shows `anchor + (now − since) · rate`; changing the rate moves the anchor so
//! that the clock never jumps nor goes back. The wall clock shows the monotonic one plus an offset
//! that anyone may set. Rates are in parts per million, exact integer arithmetic, so that the same
//! run gives the same nanoseconds on every machine.

use std::time::Duration;

use super::moment::Moment;

const MILLION: u64 = 1_000_000;

/// One server's clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    anchor_ns: u64,
    since: Moment,
    /// How fast it runs, in parts per million of true time.
    rate_ppm: u64,
    /// What the wall clock shows beyond the monotonic one, in nanoseconds.
    wall_offset_ns: i64,
}

impl Clock {
    /// A clock that shows true time.
    pub(super) fn exact() -> Self {
        Self { anchor_ns: 0, since: Moment::START, rate_ppm: MILLION, wall_offset_ns: EPOCH_NS }
    }

    /// What the monotonic clock shows at `now`.
    pub(super) fn monotonic(&self, now: Moment) -> Duration {
        let passed = now.0 - self.since.0;
        if self.rate_ppm == MILLION {
            return Duration::from_nanos(self.anchor_ns + passed);
        }
        // Whole and fraction apart, so that nothing overflows.
        let whole = passed / MILLION * self.rate_ppm;
        let fraction = passed % MILLION * self.rate_ppm / MILLION;
        Duration::from_nanos(self.anchor_ns + whole + fraction)
    }

    /// What the wall clock shows at `now`.
    pub(super) fn wall(&self, now: Moment) -> Duration {
        let shown = i64::try_from(super::moment::nanos(self.monotonic(now))).unwrap_or(i64::MAX);
        let shown = shown.saturating_add(self.wall_offset_ns);
        Duration::from_nanos(u64::try_from(shown).unwrap_or(0))
    }

    /// The first moment at which the monotonic clock shows at least `due`.
    pub(super) fn moment_of(&self, due: Duration) -> Moment {
        let due = super::moment::nanos(due);
        let Some(ahead) = due.checked_sub(self.anchor_ns) else { return self.since };
        if self.rate_ppm == MILLION {
            return Moment(self.since.0.saturating_add(ahead));
        }
        let whole = ahead / self.rate_ppm * MILLION;
        let fraction = (ahead % self.rate_ppm * MILLION).div_ceil(self.rate_ppm);
        Moment(self.since.0.saturating_add(whole).saturating_add(fraction))
    }

    /// Runs at another rate from now on.
    pub(super) fn set_rate(&mut self, now: Moment, rate_ppm: u64) {
        assert!(rate_ppm > 0, "a monotonic clock does not stand still");
        self.anchor_ns = super::moment::nanos(self.monotonic(now));
        self.since = now;
        self.rate_ppm = rate_ppm;
    }

    /// Shows a later time from now on, as if the server had slept.
    pub(super) fn skip(&mut self, now: Moment, ahead: Duration) {
        self.anchor_ns = super::moment::nanos(self.monotonic(now) + ahead);
        self.since = now;
    }

    /// Moves the wall clock, and it alone.
    pub(super) fn step_wall(&mut self, by_ns: i64) {
        self.wall_offset_ns = self.wall_offset_ns.saturating_add(by_ns);
    }
}

/// Where wall clocks stand when a run begins: far enough from zero to be stepped back.
const EPOCH_NS: i64 = 1_000_000_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::super::moment::ms;
    use super::*;

    #[test]
    fn clock_never_jumps_when_its_rate_changes() {
        let mut clock = Clock::exact();
        let now = Moment::START.plus(ms(1234));
        clock.set_rate(now, 1_250_000);
        assert_eq!(clock.monotonic(now), ms(1234));
        assert_eq!(clock.monotonic(now.plus(ms(100))), ms(1234 + 125));
    }

    #[test]
    fn timer_set_by_a_drifting_clock_fires_when_that_clock_shows_its_time() {
        for rate in [700_000, 999_999, 1_000_000, 1_000_001, 1_300_007] {
            let mut clock = Clock::exact();
            clock.set_rate(Moment(17), rate);
            for due in [18, 1_000, 123_456_789, 987_654_321_012] {
                let due = Duration::from_nanos(due);
                let at = clock.moment_of(due);
                assert!(clock.monotonic(at) >= due);
                assert!(clock.monotonic(Moment(at.0 - 1)) < due);
            }
        }
    }

    #[test]
    fn step_moves_the_wall_clock_alone() {
        let mut clock = Clock::exact();
        let (monotonic, wall) = (clock.monotonic(Moment(5)), clock.wall(Moment(5)));
        clock.step_wall(-3);
        assert_eq!(clock.monotonic(Moment(5)), monotonic);
        assert_eq!(clock.wall(Moment(5)), wall - Duration::from_nanos(3));
    }
}
