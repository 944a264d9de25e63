//! The one clock of a run.

use std::time::Instant;

use partita_checker::Nanoseconds;

/// Monotonic time since the run began. Every record of a run is stamped by copies of one clock, so
/// that operations, faults and roles share their time axis.
#[derive(Debug, Clone, Copy)]
pub struct RunClock {
    began: Instant,
}

impl RunClock {
    /// Starts the clock: the run begins now.
    pub fn start() -> Self {
        Self { began: Instant::now() }
    }

    /// The time since the run began.
    ///
    /// # Panics
    ///
    /// After 584 years.
    pub fn now(&self) -> Nanoseconds {
        self.at(Instant::now())
    }

    /// A moment on this clock; its beginning for all that was before.
    ///
    /// # Panics
    ///
    /// After 584 years.
    pub fn at(&self, moment: Instant) -> Nanoseconds {
        let since = moment.saturating_duration_since(self.began).as_nanos();
        Nanoseconds(u64::try_from(since).expect("a run ends within centuries"))
    }
}
