//! Searches with whichever engine is quicker.
//!
//! Begins with the [frontier](super::frontier), which decides easy keys, however long, without the
//! cost of a thread. What turns out to be hard is left to two threads: the frontier goes on, and
//! the [depth-first search](super::wgl) begins. Each beats the other by orders of magnitude on some
//! histories: a frontier where every short stretch has few orders, a lucky search where unknown
//! operations pile up. The first answer wins and stops the other.
//!
//! Time and memory are one budget for both: each engine has half of the memory. Where the frontier
//! alone has used up its half, it ends, and the depth-first search has all of it.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::frontier::{Engine, Plan};
use super::wgl::{self, Cause, Limits, Search};
use super::{EngineChoice, Span};
use crate::model::Model;
use crate::progress::SearchProgress;

/// What was found, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// What was found.
    pub search: Search,
    /// The engine that decided; [`EngineChoice::Auto`] if both tried and neither did.
    pub engine: EngineChoice,
}

/// Searches for an order of `spans`, which are sorted by invocation.
///
/// # Panics
///
/// With 2^30 spans or more.
pub(crate) fn search<M: Model + Sync>(model: &M, spans: &[Span], limits: &Limits<'_>) -> Search {
    decide(model, spans, limits).search
}

/// As [`search`], and says which engine it was.
///
/// # Panics
///
/// With 2^30 spans or more.
pub(crate) fn decide<M: Model + Sync>(model: &M, spans: &[Span], limits: &Limits<'_>) -> Found {
    decide_on(model, spans, limits, None)
}

/// As [`decide`], and says on its `course` how far it has come along time.
pub(crate) fn decide_on<M: Model + Sync>(
    model: &M,
    spans: &[Span],
    limits: &Limits<'_>,
    course: Option<&SearchProgress<'_>>,
) -> Found {
    let by = |engine, search| Found { search, engine };
    let plan = match Plan::new(model, spans, limits) {
        Ok(plan) => plan.on(course),
        Err(unknown @ Search::Unknown { cause: Cause::NoMeaning | Cause::Stopped, .. }) => {
            return by(EngineChoice::Frontier, unknown);
        }
        Err(_) => return by(EngineChoice::Wgl, wgl::search(model, spans, limits)),
    };
    let mut frontier = plan.engine();
    let share = Limits { memory: limits.memory / 2, stop: limits.stop };
    match frontier.easy(&share) {
        Some(Search::Unknown { cause: Cause::Memory, passed, .. }) => {
            // What it had is free again for the other one.
            drop(frontier);
            return alone(wgl::search(model, spans, limits), passed);
        }
        Some(found) => return by(EngineChoice::Frontier, found),
        None => {}
    }
    let deep = |limits: &Limits<'_>| wgl::search(model, spans, limits);
    race(&mut *frontier, &deep, &share)
}

/// What the depth-first search found after the frontier had given up beyond `passed`.
fn alone(deep: Search, passed: u64) -> Found {
    match deep {
        Search::Unknown { cause, ordered, completed, .. } => {
            let search = Search::Unknown { cause, ordered, completed, passed };
            Found { search, engine: EngineChoice::Auto }
        }
        search => Found { search, engine: EngineChoice::Wgl },
    }
}

/// Runs both until one has the answer.
fn race(
    frontier: &mut dyn Engine,
    deep: &(dyn Fn(&Limits<'_>) -> Search + Sync),
    limits: &Limits<'_>,
) -> Found {
    let decided = AtomicBool::new(false);
    let stop = || decided.load(Ordering::Relaxed) || (limits.stop)();
    let limits = Limits { memory: limits.memory, stop: &stop };
    let decide = |found: Search| {
        if !matches!(found, Search::Unknown { .. }) {
            decided.store(true, Ordering::Relaxed);
        }
        found
    };
    thread::scope(|scope| {
        let deep = scope.spawn(|| decide(deep(&limits)));
        let wide = decide(frontier.hard(&limits));
        let deep = deep.join().unwrap_or_else(|panic| resume_unwind(panic));
        merge(wide, deep)
    })
}

/// The one answer there is; without any, how far each got, and the cause that more can be done
/// about: memory, if that ran out for one.
fn merge(wide: Search, deep: Search) -> Found {
    match (wide, deep) {
        (
            Search::Unknown { cause, ordered, completed, passed },
            Search::Unknown { cause: deep_cause, ordered: deep_ordered, .. },
        ) => {
            let memory = cause == Cause::Memory || deep_cause == Cause::Memory;
            let cause = if memory { Cause::Memory } else { cause };
            let ordered = ordered.max(deep_ordered);
            let search = Search::Unknown { cause, ordered, completed, passed };
            Found { search, engine: EngineChoice::Auto }
        }
        (Search::Unknown { .. }, search) => Found { search, engine: EngineChoice::Wgl },
        (search, _) => Found { search, engine: EngineChoice::Frontier },
    }
}
