//! Says what a clock of a node shows at every moment of the true clock.
//!
//! A timeline is a line of straight pieces over the true clock: where a piece begins, what is shown
//! there, how fast it goes on. Evaluating one is a multiplication, with the same rounding here and
//! in the stub that runs inside the node. A change of rate continues where the piece before it
//! stands, so a clock that only ever changes its rate never goes back. Pieces that began earlier
//! are kept for readers of the coarse clocks, which lag behind the fine ones by a tick. Reads no
//! clock: the true time is passed in.

/// How many pieces a timeline has room for: two that have passed, the present one, and one to come.
pub(super) const PIECES: usize = 4;

/// How fast a clock goes, in 2^-32 of the true clock's speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate(pub(super) i64);

impl Rate {
    /// As fast as the true clock.
    pub(super) const TRUE: Rate = Rate(1 << 32);
    /// How fast a clock that is behind catches up.
    const CATCH_UP: Rate = Rate(2 << 32);
    /// How fast a clock that is ahead waits for the true one.
    const HOLD_BACK: Rate = Rate(1 << 31);

    /// So many times the true clock's speed.
    pub(super) fn times(factor: f64) -> Rate {
        Rate((factor * Rate::TRUE.0 as f64).round() as i64)
    }
}

/// One straight piece; times in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// The true time at which it begins.
    pub(super) from: i64,
    /// What is shown then.
    pub(super) shown: i64,
    /// How fast it goes on.
    pub(super) rate: Rate,
}

impl Piece {
    /// A piece that never begins.
    pub(super) const NEVER: Piece = Piece { from: i64::MAX, shown: i64::MAX, rate: Rate::TRUE };

    fn at(&self, true_ns: i64) -> i64 {
        let passed = i128::from(true_ns - self.from) * i128::from(self.rate.0);
        // Rounds down for times before the piece, too: that keeps it monotonic.
        self.shown + (passed >> 32) as i64
    }
}

/// What one clock of a node shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timeline {
    /// At least one, by where they begin; the first also holds for all time before it.
    pieces: Vec<Piece>,
}

impl Timeline {
    /// The true clock.
    pub(super) fn truth() -> Timeline {
        Timeline { pieces: vec![Piece { from: 0, shown: 0, rate: Rate::TRUE }] }
    }

    /// What is shown at a true time.
    pub(super) fn at(&self, true_ns: i64) -> i64 {
        let present = self.pieces.iter().rev().find(|piece| true_ns >= piece.from);
        present.unwrap_or(&self.pieces[0]).at(true_ns)
    }

    /// Shows, from now on and for what lags behind, the true time and `offset_ns`.
    pub(super) fn jump(&mut self, now: i64, offset_ns: i64) {
        self.pieces = vec![Piece { from: now, shown: now + offset_ns, rate: Rate::TRUE }];
    }

    /// Goes on from what is shown now at another rate.
    pub(super) fn run_at(&mut self, now: i64, rate: Rate) {
        let shown = self.at(now);
        self.go_on(&[Piece { from: now, shown, rate }]);
    }

    /// Approaches the true clock without going back, and follows it from then on: ahead of it by n
    /// seconds, it goes at half speed for 2n seconds; behind, at double speed for n.
    pub(super) fn slew(&mut self, now: i64) {
        let shown = self.at(now);
        let ahead = shown - now;
        let (rate, lasts) = match ahead {
            0 => (Rate::TRUE, 0),
            1.. => (Rate::HOLD_BACK, 2 * ahead),
            ..0 => (Rate::CATCH_UP, -ahead),
        };
        let (met, slewing) = (now + lasts, Piece { from: now, shown, rate });
        self.go_on(&[slewing, Piece { from: met, shown: met, rate: Rate::TRUE }]);
    }

    /// Replaces what is to come by `next`, and keeps the two pieces before it.
    fn go_on(&mut self, next: &[Piece]) {
        let from = next[0].from;
        self.pieces.retain(|piece| piece.from <= from);
        let passed = self.pieces.len().saturating_sub(PIECES - 2);
        self.pieces.drain(..passed);
        self.pieces.extend(next);
    }

    /// The pieces in the order of time, filled up with such that never begin.
    pub(super) fn pieces(&self) -> [Piece; PIECES] {
        let mut pieces = [Piece::NEVER; PIECES];
        pieces[..self.pieces.len()].copy_from_slice(&self.pieces);
        pieces
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_jump_moves_a_clock_and_another_brings_it_back() {
        let mut clock = Timeline::truth();
        assert_eq!(clock.at(5 * SECOND), 5 * SECOND);
        clock.jump(10 * SECOND, -3_600 * SECOND);
        assert_eq!(clock.at(11 * SECOND), -3_589 * SECOND);
        clock.jump(20 * SECOND, 0);
        assert_eq!(clock.at(21 * SECOND), 21 * SECOND);
    }

    #[test]
    fn a_fast_clock_slews_back_to_the_truth_and_stays_there() {
        let mut clock = Timeline::truth();
        clock.run_at(10 * SECOND, Rate::times(1.5));
        assert_eq!(clock.at(14 * SECOND), 16 * SECOND);
        clock.slew(14 * SECOND);
        assert_eq!(clock.at(16 * SECOND), 17 * SECOND);
        assert_eq!(clock.at(18 * SECOND), 18 * SECOND);
        assert_eq!(clock.at(99 * SECOND), 99 * SECOND);
    }

    #[test]
    fn a_slow_clock_catches_up() {
        let mut clock = Timeline::truth();
        clock.run_at(10 * SECOND, Rate::times(0.5));
        clock.slew(14 * SECOND);
        assert_eq!(clock.at(15 * SECOND), 14 * SECOND);
        assert_eq!(clock.at(16 * SECOND), 16 * SECOND);
        assert_eq!(clock.at(17 * SECOND), 17 * SECOND);
    }

    proptest! {
        /// Whatever is done to a monotonic clock: two readings in order, each of the fine clock or
        /// of one that lags by up to 10 ms, never show time going back if each clock is compared
        /// with itself, and the lagging one never overtakes.
        #[test]
        fn a_clock_that_only_changes_its_rate_never_goes_back(
            changes in prop::collection::vec(
                (20_000_000_i64..3_000_000_000, 0_u8..3, 0.5_f64..2.0), 1..12
            ),
            steps in prop::collection::vec(0_i64..40_000_000, 1..200),
        ) {
            let mut clock = Timeline::truth();
            let mut changes = changes.into_iter();
            let (mut now, mut due) = (SECOND, SECOND);
            let (mut fine_before, mut coarse_before) = (i64::MIN, i64::MIN);
            for step in steps {
                now += step;
                if now >= due && let Some((pause, kind, factor)) = changes.next() {
                    match kind {
                        0 => clock.slew(now),
                        _ => clock.run_at(now, Rate::times(factor)),
                    }
                    // The next change is never sooner than the lag of the coarse clock.
                    due = now + pause;
                }
                let (fine, coarse) = (clock.at(now), clock.at(now - now % 10_000_000));
                prop_assert!(fine >= fine_before && coarse >= coarse_before && coarse <= fine);
                (fine_before, coarse_before) = (fine, coarse);
                prop_assert!(clock.pieces().is_sorted_by_key(|piece| piece.from));
            }
        }
    }
}
