//! Searches the parts of an object that have nothing to do with each other one by one.
//!
//! Registers that no transaction touches together, directly or by others between, are objects of their
//! own, and linearizability is local (Herlihy & Wing 1990, §3.3): the whole is linearizable exactly if
//! every part is. A search of the whole would try every combination of what may have happened in each.
//!
//! The order of the whole is made of the orders of the parts. In each the operations are given moments
//! that never go back: the latest invocation among the operation and those before it. No moment is
//! after the return of its operation, since none is ordered before it that was invoked after that; so
//! an operation that returned before another one was invoked has the earlier moment, whichever parts
//! they are of.

use super::auto::Found;
use super::wgl::Search;
use super::{EngineChoice, Span};

/// What was found about an object.
pub(crate) struct InParts {
    /// The answer. An order is one of places in all of the spans.
    pub(crate) found: Found,
    /// In a violation, the spans of the part that has it, if that is not the whole.
    pub(crate) violated: Option<Vec<Span>>,
}

/// Decides on `spans`, which are in `parts`, places in each by invocation, by deciding on each part.
pub(crate) fn decide(
    spans: &[Span],
    parts: &[Vec<u32>],
    mut decide_one: impl FnMut(&[Span]) -> Found,
) -> InParts {
    if parts.len() < 2 {
        return InParts { found: decide_one(spans), violated: None };
    }
    let mut moments: Vec<(u64, u32)> = Vec::with_capacity(spans.len());
    let (mut engine, mut unknown) = (None, None);
    for part in parts {
        let own: Vec<Span> = part.iter().map(|&place| spans[place as usize]).collect();
        let found = decide_one(&own);
        let by = found.engine;
        match found.search {
            Search::Violation { .. } => return InParts { found, violated: Some(own) },
            Search::Unknown { .. } => unknown = unknown.or(Some(found)),
            Search::Valid(order) => {
                let mut moment = 0;
                moments.extend(order.iter().map(|&place| {
                    moment = own[place as usize].invoked.max(moment);
                    (moment, part[place as usize])
                }));
            }
        }
        engine = Some(if engine.is_none_or(|other| other == by) { by } else { EngineChoice::Auto });
    }
    // Moments of two parts are never equal; those of one stay in their order.
    moments.sort_by_key(|(moment, _)| *moment);
    let order = moments.into_iter().map(|(_, place)| place).collect();
    let valid =
        || Found { search: Search::Valid(order), engine: engine.unwrap_or(EngineChoice::Auto) };
    InParts { found: unknown.unwrap_or_else(valid), violated: None }
}
