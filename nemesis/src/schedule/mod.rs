//! Lists the faults of one run with their times: the plan that the nemesis plays.
//!
//! A schedule is drawn from a seed ([`Schedule::for_hunt`]) or comes from a [`Script`] that a person
//! wrote; either way it is written beside the run as a script without anything open but the victims
//! ([`Schedule::written`]), and can be edited and played again. Which node leads and which are random
//! is settled by the cluster and by one random stream *per fault*, so that leaving one fault out does
//! not change the others. Faults may overlap; two that need one thing of one node may not, as far as
//! that can be told beforehand ([`Schedule::check`]).

mod check;
mod draw;
mod error;
mod script;
mod trigger;

use std::time::Duration;

use crate::fault::{Fault, Target};
use crate::record::Family;

pub use error::ScheduleError;
pub use script::{PlannedCommand, Script, ScriptError};
pub use trigger::{Trigger, TriggerWatch, USUAL_WAIT_MS, When};

/// The plan of one run's faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What victims are drawn from where the plan leaves them open.
    pub seed: u64,
    /// The faults, by time.
    pub faults: Vec<PlannedFault>,
    /// When clients only read, by time.
    pub read_only: Vec<ReadOnlyPhase>,
}

/// A time in which clients write nothing: what a new leader does that is not asked to write, and what
/// readers see of entries that no leader of its own term has written, shows only then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOnlyPhase {
    /// When it begins, in milliseconds since the schedule began.
    pub at_ms: u64,
    /// How long it lasts, in milliseconds.
    pub duration_ms: u64,
}

impl ReadOnlyPhase {
    /// Whether it is on, so long after the schedule began.
    pub const fn is_on(&self, at_ms: u64) -> bool {
        self.at_ms <= at_ms && at_ms - self.at_ms < self.duration_ms
    }
}

/// One fault to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFault {
    /// Its number in the schedule; also names the random stream its victims are drawn from.
    pub id: u32,
    /// When it begins, or begins to wait, in milliseconds since the schedule began.
    pub at_ms: u64,
    /// What it waits for, if it waits.
    pub trigger: Option<Trigger>,
    /// For how long it is in force, in milliseconds.
    pub duration_ms: u64,
    /// What it is, with its parameters.
    pub fault: Fault,
    /// How its victims are chosen.
    pub target: Target,
}

impl Schedule {
    /// When the last fault has ended, from the schedule's beginning.
    pub fn end(&self) -> Duration {
        let last = self.faults.iter().filter_map(PlannedFault::until_ms).max();
        Duration::from_millis(last.unwrap_or(0))
    }

    /// Whether a fault of `family` is planned.
    pub fn has_any(&self, family: Family) -> bool {
        self.faults.iter().any(|planned| planned.fault.kind().family() == family)
    }
}

impl PlannedFault {
    /// For how long it may wait, in milliseconds.
    pub(crate) fn wait_ms(&self) -> u64 {
        self.trigger.map_or(0, |trigger| trigger.wait_ms)
    }

    /// When it ends at the latest, in milliseconds since the schedule began, unless that overflows.
    fn until_ms(&self) -> Option<u64> {
        let until_ms = self.at_ms.checked_add(self.wait_ms())?.checked_add(self.duration_ms)?;
        // Played times are nanoseconds.
        until_ms.checked_mul(1_000_000).map(|_| until_ms)
    }
}
