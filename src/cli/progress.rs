//! Shows how far a long check has come, on standard error.
//!
//! A terminal gets one line that is written over and over, and goes away in the end; anything else,
//! such as the log of a CI job, a line now and then. Short checks say nothing.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::{errln, terminal};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use partita_checker::Progress;
use partita_reports::event::CheckProgress;

/// A check that is over by then was not long.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a terminal's line changes.
const TERMINAL_STEP: Duration = Duration::from_millis(200);
/// How often a log gets a line.
const LOG_STEP: Duration = Duration::from_secs(10);

/// Does `work`, a check of the history called `name` that ends at `deadline`, and shows its
/// `progress` meanwhile.
pub fn watch<T>(name: &str, progress: &Progress, deadline: Instant, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let budget = deadline.saturating_duration_since(began);
    // Dropped when the work is over, also if it panics.
    let (over, is_over) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if is_over.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let bar = ProgressBar::new_spinner()
                .with_style(ProgressStyle::with_template("{spinner} {msg}").expect("a template"));
            let step = if bar.is_hidden() { LOG_STEP } else { TERMINAL_STEP };
            loop {
                let now = CheckProgress::of(progress.report(), began.elapsed(), budget);
                let line = line(name, &now);
                if bar.is_hidden() {
                    errln!("{line}");
                } else {
                    bar.set_message(terminal::shown(&line));
                    bar.tick();
                }
                if is_over.recv_timeout(step) != Err(RecvTimeoutError::Timeout) {
                    bar.finish_and_clear();
                    return;
                }
            }
        });
        let _over = over;
        work()
    })
}

/// How far the check of a history has come.
pub fn line(name: &str, now: &CheckProgress) -> String {
    let passed = match now.passed_operations {
        0 => String::new(),
        passed => format!(", and {} passed in others", HumanCount(passed)),
    };
    format!(
        "{name}: {} of {} keys decided, with {} of {} operations{passed}; {} s of {} s",
        HumanCount(now.decided_keys),
        HumanCount(now.keys),
        HumanCount(now.decided_operations),
        HumanCount(now.operations),
        now.elapsed_ms / 1_000,
        now.budget_ms / 1_000,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_check_is_not_waited_for() {
        let deadline = Instant::now() + Duration::from_secs(3600);
        assert_eq!(watch("short", &Progress::default(), deadline, || 7), 7);
    }

    #[test]
    fn a_line_says_how_far_how_long_and_how_much_longer() {
        let now = CheckProgress {
            keys: 12,
            decided_keys: 3,
            operations: 2_400,
            decided_operations: 1_200,
            passed_operations: 1_100,
            elapsed_ms: 7_900,
            budget_ms: 60_000,
        };
        assert_eq!(
            line("a.edn", &now),
            "a.edn: 3 of 12 keys decided, with 1,200 of 2,400 operations, and 1,100 passed in \
             others; 7 s of 60 s"
        );
    }
}
