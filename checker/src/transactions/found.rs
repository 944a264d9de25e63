//! What was found of the levels, and the proofs.

use super::cycles::{self, DependencyEdge, Pattern};
use super::finding::Finding;
use super::graph::{Graph, kind};
use super::saturate::Inferred;
use crate::isolation::{IsolationLevel, LevelFindings};

/// Why a level does not hold.
#[derive(Debug, Clone)]
pub(super) enum Proof {
    /// A cycle.
    Cycle(Vec<DependencyEdge>),
    /// A cycle in which some links are inferred, with the reasons for these.
    Commits(Vec<DependencyEdge>, Vec<Inferred>),
    /// Something that is wrong by itself.
    Finding(Finding),
    /// All orders of what these transactions wrote were tried.
    Tried(Vec<u32>),
}

/// What was found of the levels.
#[derive(Default)]
pub(super) struct Found {
    pub(super) ladder: LevelFindings,
    /// Why levels do not hold, for the weakest each.
    pub(super) against: Vec<(IsolationLevel, Proof)>,
    /// Orders that show that levels hold.
    pub(super) orders: Vec<(IsolationLevel, Vec<u32>)>,
    /// Why levels are undecided.
    pub(super) reasons: Vec<String>,
}

impl Found {
    /// What these findings say.
    pub(super) fn of(findings: Vec<Finding>) -> Self {
        let mut found = Self::default();
        for finding in findings {
            found.violate(finding.breaks(), Some(Proof::Finding(finding)));
        }
        found
    }

    /// The level holds, as the order shows.
    pub(super) fn hold(&mut self, level: IsolationLevel, order: Vec<u32>) {
        self.ladder.hold(level);
        self.orders.push((level, order));
    }

    /// The level does not hold.
    pub(super) fn violate(&mut self, level: IsolationLevel, proof: Option<Proof>) {
        self.ladder.violate(level);
        self.against.extend(proof.map(|proof| (level, proof)));
    }
}

/// The transactions among nodes.
pub(super) fn transactions_of(graph: &Graph, order: &[u32]) -> Vec<u32> {
    let nodes = order.iter().filter(|node| graph.is_transaction(**node));
    nodes.map(|node| graph.transactions[*node as usize]).collect()
}

/// A cycle that says most: one with the fewest reads of what was overwritten, then the shortest.
pub(super) fn named_cycle(graph: &Graph, besides: u8) -> Option<Vec<DependencyEdge>> {
    let patterns = [
        Pattern { first: kind::WW, rest: kind::WW | besides },
        Pattern { first: kind::WR, rest: kind::WW | kind::WR | besides },
        Pattern { first: kind::RW, rest: kind::WW | kind::WR | besides },
        Pattern { first: kind::RW, rest: kind::DEPENDENCIES | besides },
    ];
    patterns.into_iter().find_map(|pattern| cycles::shortest(graph, pattern))
}
