//! The only file of this crate that reads a clock: it stamps what a recorder sees, and ends a check
//! whose time is up. Verdicts do not depend on it.

use std::time::{Duration, Instant};

/// A clock that begins now.
pub(super) fn stopwatch() -> impl Fn() -> Duration + Send + Sync + 'static {
    let began = Instant::now();
    move || began.elapsed()
}
