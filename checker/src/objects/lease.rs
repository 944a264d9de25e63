//! Keys that vanish when their lease ends.
//!
//! A value that was written may be gone from some time after its write was invoked on, or stay. So of
//! every write an expiry of unknown outcome is added to the history: a compare-and-set from the value
//! that was written to nothing, invoked at that moment, by a process of its own. Then the history is
//! one of plain registers.

use rustc_hash::FxHashMap;

use crate::event::{Nanoseconds, ProcessId};
use crate::history::{Action, History, Moment, Operation, Outcome};
use crate::value::ValueId;

/// How long a value stays at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The time to live of a key after it was written.
    pub time: Nanoseconds,
    /// By how much the store's clock may be fast: so much earlier a key may vanish.
    pub drift: Nanoseconds,
}

/// A history with its expiries.
#[derive(Debug)]
pub struct Leased {
    /// The history.
    pub history: History,
    /// How many positions of it make one of the original.
    pub stride: u64,
}

impl Leased {
    /// The position in the original history.
    pub const fn original(&self, position: u64) -> u64 {
        position / self.stride
    }
}

/// Adds an expiry of every value that was written, one of each value at a time.
pub fn with_expiries(history: &History, lease: Lease) -> Leased {
    let events = events(history);
    let after = lease.time.0.saturating_sub(lease.drift.0);
    let mut expiries: Vec<(u64, Operation)> = Vec::new();
    let last = history.operations.iter().map(|it| it.process.0).max().unwrap_or(0);
    for operation in history.operations.iter().filter(|it| !it.is_failed()) {
        let (Action::Write(value) | Action::Cas { new: value, .. }) = operation.action else {
            continue;
        };
        let time = Nanoseconds(operation.invoked.time.0.saturating_add(after));
        let at = events.partition_point(|(_, event)| *event < time);
        // What would expire after the last event is seen by nobody.
        let Some(&(position, _)) = events.get(at) else { continue };
        if value == ValueId::NULL {
            continue;
        }
        expiries.push((
            position,
            Operation {
                action: Action::Cas { expected: value, new: ValueId::NULL },
                invoked: Moment { position, time },
                outcome: Outcome::Info(None),
                node: None,
                ..*operation
            },
        ));
    }
    let stride = expiries.len() as u64 + 1;
    let mut new = history.clone();
    let moved =
        |moment: Moment| Moment { position: moment.position * stride + stride - 1, ..moment };
    for operation in &mut new.operations {
        operation.invoked = moved(operation.invoked);
        operation.outcome = match operation.outcome {
            Outcome::Ok(moment, response) => Outcome::Ok(moved(moment), response),
            Outcome::Fail(moment) => Outcome::Fail(moved(moment)),
            Outcome::Info(moment) => Outcome::Info(moment.map(moved)),
        };
    }
    // Just before the event at that position, each at one of its own.
    let mut used: FxHashMap<u64, u64> = FxHashMap::default();
    for (number, (position, mut expiry)) in (1_u32..).zip(expiries) {
        let place = used.entry(position).or_insert(0);
        expiry.invoked.position = position * stride + *place;
        expiry.process = ProcessId(last.wrapping_add(number));
        *place += 1;
        new.operations.push(expiry);
    }
    new.operations.sort_by_key(|it| it.invoked.position);
    new.levels.clear();
    new.revisions.clear();
    Leased { history: new, stride }
}

/// The positions and times of all events, in order.
fn events(history: &History) -> Vec<(u64, Nanoseconds)> {
    let both = |it: &Operation| {
        let completed = it.completion().map(|(_, moment)| moment);
        [Some(it.invoked), completed].into_iter().flatten().collect::<Vec<_>>()
    };
    let all = history.operations.iter().flat_map(both);
    let mut all: Vec<_> = all.map(|moment| (moment.position, moment.time)).collect();
    all.sort_unstable();
    all
}
