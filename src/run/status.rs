//! What a person sees while a run is on: a live line on a terminal, plain lines elsewhere.
//!
//! It goes to standard error, so that standard output holds the verdict alone.

use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::clock::RunClock;
use super::recorder::Tally;
use crate::{telemetry, terminal};

/// Time between two refreshes of the live line.
pub const REFRESH: Duration = Duration::from_millis(100);

/// Tells of a run's progress.
pub struct StatusLine {
    clock: RunClock,
    bar: ProgressBar,
}

impl StatusLine {
    /// A status line on standard error; hidden unless that is a terminal.
    ///
    /// # Panics
    ///
    /// Never: the template is a constant.
    pub fn new(clock: RunClock) -> Self {
        let bar = match terminal::is_quiet() {
            true => ProgressBar::hidden(),
            false => ProgressBar::new_spinner(),
        };
        let style = ProgressStyle::with_template("{spinner} {wide_msg}");
        bar.set_style(style.expect("a well-formed template"));
        terminal::set_live_line(Some(&bar));
        Self { clock, bar }
    }

    /// Says that something happened, with the time since the run began.
    pub fn say(&self, text: &str) {
        tracing::info!(target: telemetry::SHOWN, "{text}");
        terminal::progress(&format!("[{:6.2} s] {text}", self.clock.now().as_seconds()));
    }

    /// Refreshes the live line.
    pub fn refresh(&self, tally: &Tally, left: Duration, leader: Option<&str>, faults: &[String]) {
        use std::sync::atomic::Ordering::Relaxed;
        let count = |counter: &std::sync::atomic::AtomicU64| HumanCount(counter.load(Relaxed));
        let leader = leader.unwrap_or("none");
        let faults = if faults.is_empty() { "no fault".to_owned() } else { faults.join(", ") };
        self.bar.set_message(format!(
            "{:.0} s left  {} ok  {} fail  {} unknown  leader {leader}  {faults}",
            left.as_secs_f64(),
            count(&tally.ok),
            count(&tally.fail),
            count(&tally.info),
        ));
        self.bar.tick();
    }

    /// Clears the live line.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
        terminal::set_live_line(None);
    }
}
