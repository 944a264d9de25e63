//! Ends long loops when the time is up.
//!
//! A monitor is done with an object in time linear or nearly so, but an object may have ten million
//! operations. Its loops take a [step](Patience::step) per operation; every so many of them it is
//! asked whether to stop. What is not asked about are sorts, which take some tenths of a second for
//! ten million operations.

use std::cell::Cell;

/// How many steps go by between two questions whether to stop: less than a millisecond.
const STEPS_PER_POLL: u32 = 1 << 14;

/// What the work was to be ended by.
type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// How long one thread goes on with its work.
pub struct Patience<'a> {
    stop: Stop<'a>,
    steps: Cell<u32>,
}

/// The time is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

impl<'a> Patience<'a> {
    /// Until `stop` says true.
    pub fn new(stop: Stop<'a>) -> Self {
        Self { stop, steps: Cell::new(0) }
    }

    /// Without end.
    pub fn endless() -> Self {
        Self::new(&|| false)
    }

    /// What it is that ends the work.
    pub(crate) const fn stop(&self) -> Stop<'a> {
        self.stop
    }

    /// Takes a step of a loop.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the work is to end.
    #[inline]
    pub(crate) fn step(&self) -> Result<(), Stopped> {
        let steps = self.steps.get() + 1;
        if steps < STEPS_PER_POLL {
            self.steps.set(steps);
            return Ok(());
        }
        self.ask()
    }

    /// Asks now, before what takes long and cannot be ended.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the work is to end.
    #[cold]
    pub(crate) fn ask(&self) -> Result<(), Stopped> {
        self.steps.set(0);
        if (self.stop)() { Err(Stopped) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_loop_ends_soon_after_it_is_told_to() {
        let over = AtomicBool::new(false);
        let stop = || over.load(Ordering::Relaxed);
        let patience = Patience::new(&stop);
        assert!((0..2 * STEPS_PER_POLL).all(|_| patience.step().is_ok()));
        over.store(true, Ordering::Relaxed);
        assert!((0..STEPS_PER_POLL).any(|_| patience.step().is_err()));
    }
}
