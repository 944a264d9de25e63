//! The table of how the cluster recovered from each fault.

use crate::recovery::{NodeOutage, Outage, Quantiles, Recovery};
use crate::text::number::duration;
use crate::text::operation::name;

/// One fault's row.
pub(super) struct RecoveryRow {
    pub(super) fault: String,
    pub(super) victims: String,
    /// Without an ok answer: all clients together, and those of the victims.
    pub(super) cluster: String,
    pub(super) nodes: String,
    /// From the heal to the first ok answer, in the same way.
    pub(super) first: String,
    pub(super) first_of_nodes: String,
    /// Median and 99th percentile, during and after.
    pub(super) during: [String; 2],
    pub(super) after: [String; 2],
}

impl RecoveryRow {
    pub(super) fn of(recovery: &[Recovery], at_most: usize) -> Vec<Self> {
        recovery.iter().take(at_most).map(Self::of_one).collect()
    }

    fn of_one(recovery: &Recovery) -> Self {
        let cluster = recovery.cluster.as_ref();
        let of_nodes = |words: fn(&Outage) -> String| {
            let node = |it: &NodeOutage| format!("{} {}", name(&it.node), words(&it.outage));
            let nodes: Vec<_> = recovery.of_victims().map(node).collect();
            if nodes.is_empty() { NOTHING.to_owned() } else { nodes.join(", ") }
        };
        Self {
            fault: format!("#{} {}", recovery.fault, name(&recovery.name)),
            victims: recovery.victims_in_words(),
            cluster: cluster.map_or(NOTHING.to_owned(), Outage::in_words),
            nodes: of_nodes(Outage::in_words),
            first: cluster.map_or(NOTHING.to_owned(), first),
            first_of_nodes: of_nodes(first),
            during: quantiles(recovery.during.as_ref()),
            after: quantiles(recovery.after.as_ref()),
        }
    }
}

const NOTHING: &str = "–";

fn first(outage: &Outage) -> String {
    outage.first_ok_after_heal_ns.map_or("never".to_owned(), duration)
}

fn quantiles(quantiles: Option<&Quantiles>) -> [String; 2] {
    quantiles.map_or([NOTHING.to_owned(), NOTHING.to_owned()], Quantiles::in_words)
}
