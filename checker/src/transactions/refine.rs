//! Looks for an order of the versions of registers, and of transactions with it.
//!
//! Most pairs of versions are never in doubt: in an order of transactions that is likely, readers of the
//! older one come before the writer of the newer. So only those are tried either way of which that is
//! not so, and where that leads to an order in which others are in doubt, those as well:
//! abstraction that is refined by what contradicts it (Clarke et al., *Counterexample-Guided Abstraction
//! Refinement*, CAV 2000). Pairs that cannot be put into an order contradict each other whatever the
//! others are; an order in which no two neighbours are in doubt is one of all.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashSet;

use super::data::NONE;
use super::graph::Graph;
use super::judge_registers::KnownRegisters;
use super::polygraph::{Choice, Polygraph, Side, Solved};
use crate::engines::{Cancellation, Stopped};

/// The most pairs of versions of which either is tried as the older one.
const MOST_CHOICES: usize = 2_000_000;

/// How many nodes a search may look at.
const BUDGET: usize = 400_000_000;

/// What came of it.
pub(super) enum Refined {
    /// All nodes in an order.
    Order(Vec<u32>),
    /// There is none: these pairs of versions contradict each other.
    Impossible(Vec<[u32; 2]>),
    /// The budget was used up with so many pairs of versions in doubt.
    Undecided(usize),
}

/// What has to be put into an order.
pub(super) struct Refinement<'a, 'h> {
    pub(super) known: &'a KnownRegisters<'a, 'h>,
    /// What is certain, between transactions or, for snapshots, their starts and commits.
    pub(super) certain: &'a Graph,
    /// The same with all versions in a likely order.
    pub(super) likely: &'a Graph,
    /// The kinds of edges that count.
    pub(super) kinds: u8,
    pub(super) is_snapshots: bool,
    pub(super) cancellation: &'a Cancellation<'a>,
}

impl Refinement<'_, '_> {
    /// Looks for an order.
    pub(super) fn run(&self) -> Result<Refined, Stopped> {
        let Some(first) = self.first_order() else { return Ok(Refined::Impossible(Vec::new())) };
        let nodes = self.nodes();
        let edges = (0..self.certain.len() as u32).flat_map(|node| {
            let leaving = self.certain.edges(node).filter(|(_, kind)| kind & self.kinds != 0);
            leaving.map(move |(to, _)| (node, to))
        });
        let mut graph = Polygraph::new(&first, edges, BUDGET, self.cancellation);
        let (mut pairs, mut known) = (Vec::new(), FxHashSet::default());
        loop {
            let doubtful = self.in_doubt(&graph, &nodes, &known)?;
            if doubtful.is_empty() {
                return Ok(Refined::Order(graph.order()));
            }
            if pairs.len() + doubtful.len() > MOST_CHOICES {
                return Ok(Refined::Undecided(pairs.len() + doubtful.len()));
            }
            for pair @ [a, b] in doubtful {
                known.insert([a.min(b), a.max(b)]);
                pairs.push(pair);
                graph.add(Choice([self.side(&nodes, [a, b]), self.side(&nodes, [b, a])]));
            }
            match graph.solve()? {
                Solved::Ordered => {}
                Solved::Impossible => return Ok(Refined::Impossible(pairs)),
                Solved::Undecided => return Ok(Refined::Undecided(pairs.len())),
            }
        }
    }

    /// An order that all certain edges follow and, where it goes with these, all likely ones that are in no
    /// cycle.
    fn first_order(&self) -> Option<Vec<u32>> {
        let mut rank = vec![0; self.certain.len()];
        let likely = finishing(self.likely, self.kinds);
        for (place, node) in (1..).zip(likely.into_iter().rev()) {
            // What stands between transactions differs between the two graphs.
            if self.likely.is_transaction(node) {
                rank[node as usize] = place;
            }
        }
        let mut waits = vec![0_u32; self.certain.len()];
        for node in 0..self.certain.len() as u32 {
            for (to, kind) in self.certain.edges(node) {
                waits[to as usize] += u32::from(kind & self.kinds != 0);
            }
        }
        let entry = |node: u32| Reverse((rank[node as usize], node));
        let free = (0..waits.len() as u32).filter(|node| waits[*node as usize] == 0);
        let mut next: BinaryHeap<_> = free.map(entry).collect();
        let mut order = Vec::with_capacity(waits.len());
        while let Some(Reverse((_, node))) = next.pop() {
            order.push(node);
            for (to, kind) in self.certain.edges(node) {
                if kind & self.kinds != 0 {
                    waits[to as usize] -= 1;
                    if waits[to as usize] == 0 {
                        next.push(entry(to));
                    }
                }
            }
        }
        (order.len() == waits.len()).then_some(order)
    }

    /// The number of every transaction among those that took effect.
    fn nodes(&self) -> Vec<u32> {
        let registers = self.known.registers;
        let mut nodes = vec![NONE; registers.effective.len()];
        let effective = (0..registers.effective.len()).filter(|one| registers.effective[*one]);
        for (node, transaction) in (0..).zip(effective) {
            nodes[transaction] = node;
        }
        nodes
    }

    /// The nodes of a transaction's start and commit, which are one if it has no snapshot.
    fn events(&self, node: u32) -> [u32; 2] {
        if self.is_snapshots { [2 * node, 2 * node + 1] } else { [node, node] }
    }

    fn writer(&self, nodes: &[u32], version: u32) -> [u32; 2] {
        let transaction = self.known.read.versions[version as usize].transaction;
        self.events(nodes[transaction as usize])
    }

    /// The edges of the first version being older: its writer and readers come before the other's
    /// writer.
    fn side(&self, nodes: &[u32], [first, second]: [u32; 2]) -> Side {
        let [one, other] = [first, second].map(|version| self.writer(nodes, version));
        let readers = self.known.registers.readers.of(first).iter();
        let readers = readers.map(|reader| self.events(nodes[*reader as usize]));
        let readers = readers.filter(|reader| *reader != other);
        let edges = readers.map(|[start, _]| (start, other[1]));
        std::iter::once((one[1], other[0])).chain(edges).collect()
    }

    /// Pairs of versions that are not in the order in which their writers commit, as far as they are not
    /// known to be in doubt.
    fn in_doubt(
        &self,
        graph: &Polygraph<'_>,
        nodes: &[u32],
        known: &FxHashSet<[u32; 2]>,
    ) -> Result<Vec<[u32; 2]>, Stopped> {
        let mut doubtful = Vec::new();
        for of_key in &self.known.blocks {
            let mut versions: Vec<(u32, u32)> = of_key
                .iter()
                .map(|block| {
                    let [_, commit] = self.writer(nodes, block.version);
                    (graph.place(commit), block.version)
                })
                .collect();
            versions.sort_unstable();
            for (at, &(_, older)) in versions.iter().enumerate() {
                for &(_, newer) in &versions[at + 1..] {
                    self.cancellation.step()?;
                    let side = self.side(nodes, [older, newer]);
                    let fits = |(from, to): &(u32, u32)| graph.place(*from) < graph.place(*to);
                    if side.iter().all(fits) {
                        break;
                    }
                    if !known.contains(&[older.min(newer), older.max(newer)]) {
                        doubtful.push([older, newer]);
                    }
                }
            }
        }
        Ok(doubtful)
    }
}

/// The nodes as a search in depth is done with them. One from which no way leads back comes after all that
/// it leads to.
fn finishing(graph: &Graph, kinds: u8) -> Vec<u32> {
    let mut is_seen = vec![false; graph.len()];
    let mut finished = Vec::with_capacity(graph.len());
    let mut path: Vec<(u32, usize)> = Vec::new();
    for root in (0..graph.len() as u32).rev() {
        if std::mem::replace(&mut is_seen[root as usize], true) {
            continue;
        }
        path.push((root, 0));
        while let Some((node, at)) = path.last_mut() {
            if *at == graph.degree(*node) {
                finished.push(*node);
                path.pop();
                continue;
            }
            let (to, kind) = graph.edge(*node, *at);
            *at += 1;
            if kind & kinds != 0 && !std::mem::replace(&mut is_seen[to as usize], true) {
                path.push((to, 0));
            }
        }
    }
    finished
}
