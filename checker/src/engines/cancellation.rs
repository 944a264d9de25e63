//! Ends long loops when the time is up.
//!
//! A monitor is done with an object in time linear or nearly so, but an object may have ten million
//! operations. Its loops take a [step](Cancellation::step) per operation, searches some per
//! configuration; every so many of them it is asked whether to stop. [Sorts](super::sorting) ask,
//! too. What is not asked about is memory that is filled with one value, moved or let go of as a
//! whole: some milliseconds per hundred megabytes.

use std::cell::Cell;

/// How many steps go by between two questions whether to stop: less than a millisecond.
pub(super) const STEPS_PER_POLL: usize = 1 << 14;

/// What the work was to be ended by.
type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// How long one thread goes on with its work.
pub(crate) struct Cancellation<'a> {
    stop: Stop<'a>,
    steps: Cell<usize>,
}

/// The time is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped;

impl<'a> Cancellation<'a> {
    /// Until `stop` says true.
    pub(crate) fn new(stop: Stop<'a>) -> Self {
        Self { stop, steps: Cell::new(0) }
    }

    /// Without end.
    pub(crate) fn never() -> Self {
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
        self.spend(1)
    }

    /// Takes as much as so many steps of a loop.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the work is to end.
    #[inline]
    pub(crate) fn spend(&self, steps: usize) -> Result<(), Stopped> {
        self.charge(steps);
        if self.steps.get() < STEPS_PER_POLL { Ok(()) } else { self.ask() }
    }

    /// Notes so many steps where the work cannot end. The next that can, asks if it is time.
    #[inline]
    pub(crate) fn charge(&self, steps: usize) {
        self.steps.set(self.steps.get().saturating_add(steps));
    }

    /// Counts the items of which `holds` is true.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the work is to end.
    pub(crate) fn count<T>(
        &self,
        items: impl IntoIterator<Item = T>,
        holds: impl Fn(T) -> bool,
    ) -> Result<usize, Stopped> {
        let mut count = 0;
        for item in items {
            self.step()?;
            count += usize::from(holds(item));
        }
        Ok(count)
    }

    /// Collects the items, of which there are about as many as their iterator says.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the work is to end.
    pub(crate) fn collect<T>(&self, items: impl Iterator<Item = T>) -> Result<Vec<T>, Stopped> {
        let mut collected = Vec::with_capacity(items.size_hint().0);
        for item in items {
            self.step()?;
            collected.push(item);
        }
        Ok(collected)
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
        let cancellation = Cancellation::new(&stop);
        assert!((0..2 * STEPS_PER_POLL).all(|_| cancellation.step().is_ok()));
        over.store(true, Ordering::Relaxed);
        assert!((0..STEPS_PER_POLL).any(|_| cancellation.step().is_err()));
    }
}
