//! When each operation may take effect, and what it must not miss, where some reads may be late.

use rustc_hash::FxHashMap;

use super::stale::EffectInterval;
use super::{Level, Staleness};
use crate::engines::{Cancellation, Stopped};
use crate::event::Nanoseconds;
use crate::history::{Action, History, Outcome, Response};

/// A history some of whose reads may be late.
#[derive(Debug, Default)]
pub(super) struct Relaxed {
    /// By operation.
    pub stretches: Vec<EffectInterval>,
    /// By how many versions an operation may be late when it takes effect.
    pub lags: Vec<u32>,
    /// Operations of one session and key, of which the second must not show less than the first.
    pub promises: Vec<(u32, u32)>,
    /// Whether some read may be late by versions.
    pub lagging: bool,
}

/// Why operations cannot be taken as they were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum UnsupportedOperations {
    /// A level that is about a whole history.
    Whole(Level),
    /// Times in a history without a clock.
    NoClock,
}

/// What may be late when all that is not marked otherwise is of `level`.
pub(super) fn relax(
    history: &History,
    level: Level,
    cancellation: &Cancellation<'_>,
) -> Result<Result<Relaxed, UnsupportedOperations>, Stopped> {
    let count = history.operations.len();
    let mut relaxed = Relaxed { lags: vec![0; count], ..Relaxed::default() };
    relaxed.stretches.reserve(count);
    let mut events: Option<Vec<(Nanoseconds, u64)>> = None;
    let mut last: FxHashMap<(u32, u32), Last> = FxHashMap::default();
    let mut marks = history.levels.iter().peekable();
    let promised = |level| matches!(level, Level::MonotonicReads | Level::ReadYourWrites);
    let promises = history.levels.iter().any(|(_, level)| promised(*level));
    for (place, operation) in (0_u32..).zip(&history.operations) {
        cancellation.step()?;
        let own = marks.next_if(|(marked, _)| *marked == place).map_or(level, |(_, mark)| *mark);
        let until = match operation.outcome {
            Outcome::Ok(moment, _) => moment.position,
            Outcome::Fail(_) | Outcome::Info(_) => u64::MAX,
        };
        let mut from = operation.invoked.position;
        let is_read = operation.action == Action::Read;
        match own {
            _ if !is_read => {}
            Level::Linearizable => {}
            Level::Stale(Staleness::Any) | Level::MonotonicReads | Level::ReadYourWrites => {
                from = 0;
            }
            Level::Stale(Staleness::Versions(number)) => {
                relaxed.lags[place as usize] = number;
                relaxed.lagging |= number > 0;
            }
            Level::Stale(Staleness::Time(time)) => {
                if events.is_none() && !history.has_clock() {
                    return Ok(Err(UnsupportedOperations::NoClock));
                }
                let events = events.get_or_insert_with(|| returns(history));
                let since = Nanoseconds(operation.invoked.time.0.saturating_sub(time.0));
                let at = events.partition_point(|(time, _)| *time < since);
                // Whatever came back before that time came back before it.
                let first = events.get(at).map_or(u64::MAX, |(_, position)| *position);
                from = from.min(first);
            }
            other => return Ok(Err(UnsupportedOperations::Whole(other))),
        }
        relaxed.stretches.push(EffectInterval { from, until });
        if promises && operation.is_ok() {
            let last = last.entry((operation.process.0, operation.key.0)).or_default();
            let must = match own {
                Level::MonotonicReads if is_read => last.read,
                Level::ReadYourWrites if is_read => last.change,
                _ => None,
            };
            relaxed.promises.extend(must.map(|must| (must, place)));
            // A compare-and-set that did not match is neither.
            if is_read {
                last.read = Some(place);
            } else if !matches!(operation.response(), Some(Response::Mismatch(_))) {
                last.change = Some(place);
            }
        }
    }
    Ok(Ok(relaxed))
}

/// What a session did last to a key.
#[derive(Debug, Default, Clone, Copy)]
struct Last {
    read: Option<u32>,
    change: Option<u32>,
}

/// When operations came back, in order.
fn returns(history: &History) -> Vec<(Nanoseconds, u64)> {
    let returned = history.operations.iter().filter_map(|operation| match operation.outcome {
        Outcome::Ok(moment, _) => Some((moment.time, moment.position)),
        _ => None,
    });
    let mut all: Vec<_> = returned.collect();
    all.sort_unstable_by_key(|(_, position)| *position);
    all
}
