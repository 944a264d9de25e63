//! Shows how far `replay` and `shrink` have come, on standard error, and how long the rest may take.
//!
//! A terminal gets one line that lives while something is played; anything else, such as the log of
//! a CI job, a line before it.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{errln, terminal};

/// How often a terminal's line changes.
const TERMINAL_STEP: Duration = Duration::from_millis(200);

/// Measures how long it takes to play something.
pub struct Pace {
    /// How long it is thought to take until it was measured.
    guess: Duration,
    spent: Duration,
    played: u32,
}

impl Pace {
    /// A pace of which only a guess is known: how long it takes once.
    pub fn new(guess: Duration) -> Self {
        Self { guess, spent: Duration::ZERO, played: 0 }
    }

    /// Does `work`, which plays something once; `what` says what, and `rounds` how often something
    /// is still to be played, this time included.
    pub fn play<T>(&mut self, what: &str, rounds: u32, work: impl FnOnce() -> T) -> T {
        let line = format!("{what}; some {} to go", in_words(self.left(rounds)));
        let bar = ProgressBar::new_spinner().with_style(
            ProgressStyle::with_template("{spinner} {elapsed}  {msg}").expect("a template"),
        );
        if bar.is_hidden() {
            errln!("{line}");
        } else {
            bar.set_message(terminal::shown(&line));
            bar.enable_steady_tick(TERMINAL_STEP);
        }
        let began = Instant::now();
        let done = work();
        self.spent += began.elapsed();
        self.played += 1;
        bar.finish_and_clear();
        done
    }

    /// How long so many rounds will take, by the mean of those so far.
    fn left(&self, rounds: u32) -> Duration {
        let once = self.spent.checked_div(self.played).unwrap_or(self.guess);
        once.saturating_mul(rounds)
    }
}

/// `40 s`, `12 min`, `3 h`: an estimate.
fn in_words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h", seconds.div_ceil(3_600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_judged_by_what_was_measured() {
        let mut pace = Pace::new(Duration::from_secs(10));
        assert_eq!(pace.left(3), Duration::from_secs(30));
        assert_eq!(pace.play("one", 3, || 7), 7);
        assert!(pace.left(2) < Duration::from_secs(10), "it took no time");
        (pace.spent, pace.played) = (Duration::from_secs(8), 2);
        assert_eq!(pace.left(3), Duration::from_secs(12));
    }

    #[test]
    fn an_estimate_is_as_precise_as_it_can_be() {
        let words = [5, 119, 120, 3_000, 7_200].map(|it| in_words(Duration::from_secs(it)));
        assert_eq!(words, ["5 s", "119 s", "2 min", "50 min", "2 h"]);
    }
}
