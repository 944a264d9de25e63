//! Builds counterexamples out of places of spans.

use super::{Span, witness};
use crate::history::History;
use crate::verdict::{Anomaly, Counterexample, Edge, Relation};

/// The counterexample of these members, with a cycle of what must come before what among them.
pub(super) fn of(
    history: &History,
    spans: &[Span],
    members: &[u32],
    cycle: &[(u32, u32, Relation)],
    (anomaly, sentence): (Anomaly, String),
) -> Counterexample {
    let mut members = members.to_vec();
    members.sort_unstable();
    members.dedup();
    let place = |span: u32| members.binary_search(&span).expect("an edge joins members");
    let edges = cycle.iter();
    Counterexample {
        key: history.key(history.operations[spans[0].operation as usize].key).clone(),
        anomaly,
        sentence,
        stale_for: None,
        stale_by_versions: None,
        operations: members
            .iter()
            .map(|&member| witness(history, &spans[member as usize], false))
            .collect(),
        cycle: edges
            .map(|&(from, to, relation)| Edge {
                from: place(from),
                to: place(to),
                relation,
                given: Vec::new(),
            })
            .collect(),
        impasse: None,
        hint: None,
    }
}
