//! Stale or lost: whether what an operation missed is ever seen again.

use rustc_hash::FxHashSet;

use super::{Key, returned};

/// Whether an operation that observes the object shows what was missed, or what can only have come
/// after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Observation {
    /// It shows what was missed.
    Shows,
    /// It shows what can have replaced it.
    Replaced,
    /// It shows neither.
    Misses,
}

/// What became of what was missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MissedWrite {
    /// It is there after all; the place of the operation that shows it, if one does later.
    There(Option<usize>),
    /// It is gone, and was never observed.
    NeverSeen,
    /// It is gone, and somebody had seen it before.
    Gone,
}

/// What became of what `reader` missed. `made` is the operation that made it, `since` the position
/// from which on it must have been there. `sight` says of every operation that observes the object
/// what it shows.
///
/// Something is gone if nothing that came back after the reader was invoked shows it, or what can
/// have replaced it. That is weak evidence if only one node was asked, and not the one that made
/// it: a single node that lags shows the same. So is the absence of something that was seen before
/// and misses later in answers of one node, or of one process where nodes are not known.
pub(super) fn fate(
    key: &Key<'_>,
    reader: usize,
    made: Option<usize>,
    since: u64,
    sight: impl Fn(usize) -> Option<Observation>,
) -> MissedWrite {
    let began = key.get(reader).invoked.position;
    let (mut seen_before, mut last_seen) = (false, since);
    let mut misses = Vec::new();
    for (place, operation) in key.operations.iter().enumerate() {
        if !operation.is_ok() {
            continue;
        }
        let Some(shown) = sight(place) else { continue };
        let is_later = place != reader && returned(operation) > began;
        match shown {
            Observation::Shows | Observation::Replaced if is_later => {
                return MissedWrite::There(Some(place));
            }
            Observation::Shows => {
                seen_before = true;
                last_seen = last_seen.max(returned(operation));
            }
            Observation::Replaced => {}
            Observation::Misses => misses.push(place),
        }
    }
    misses.retain(|&place| place == reader || key.get(place).invoked.position > last_seen);
    let node = |place: &usize| key.get(*place).node;
    let is_known = misses.iter().all(|place| node(place).is_some());
    let nodes: FxHashSet<_> = misses.iter().filter_map(node).collect();
    let processes: FxHashSet<_> = misses.iter().map(|&place| key.get(place).process).collect();
    let witnesses = if is_known { nodes.len() } else { processes.len() };
    if seen_before {
        return if witnesses > 1 { MissedWrite::Gone } else { MissedWrite::There(None) };
    }
    let maker = made.and_then(|place| key.get(place).node);
    let is_elsewhere = maker.is_some_and(|maker| !nodes.contains(&maker));
    if is_known && nodes.len() == 1 && is_elsewhere {
        MissedWrite::There(None)
    } else {
        MissedWrite::NeverSeen
    }
}
