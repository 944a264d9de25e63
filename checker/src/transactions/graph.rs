//! Which transaction must come before which: a graph in two flat vectors.
//!
//! Real time would need an edge for every two transactions that do not overlap. Instead every moment
//! at which something has returned before something is invoked is a node: who returned leads to it,
//! it leads to the next such node and to who is invoked then. So there are some four edges for each
//! transaction, however many run at once. What comes before all unseen writes of a key is said by
//! nodes of that kind, too.

use rustc_hash::FxHashMap;

use super::cycles::components;
use super::data::{NONE, Transactions};

/// The kinds of edges, one bit each.
pub(crate) mod kind {
    /// The second wrote the version after one of the first.
    pub(crate) const WW: u8 = 1;
    /// The second read a version of the first.
    pub(crate) const WR: u8 = 2;
    /// The second wrote what comes after a version that the first read.
    pub(crate) const RW: u8 = 4;
    /// A process did the first before the second.
    pub(crate) const SESSION: u8 = 8;
    /// The first came back before the second was invoked.
    pub(crate) const REAL_TIME: u8 = 16;
    /// A reader of the second has the first in its past, which wrote the same key.
    pub(crate) const COMMIT: u8 = 32;
    /// What happened before, by processes and by time.
    pub(crate) const TIMES: u8 = SESSION | REAL_TIME;
    /// What follows from reads and writes alone.
    pub(crate) const DEPENDENCIES: u8 = WW | WR | RW;
}

/// Nodes for transactions that took effect, by their invocations, and after them others that only
/// stand between those.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// The transaction of every node that is one.
    pub(crate) transactions: Vec<u32>,
    starts: Vec<u32>,
    targets: Vec<u32>,
    kinds: Vec<u8>,
}

impl Graph {
    /// How many nodes there are.
    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether the node is a transaction.
    pub(crate) fn is_transaction(&self, node: u32) -> bool {
        (node as usize) < self.transactions.len()
    }

    /// The edges that leave a node: where they lead, and their kinds.
    pub(crate) fn edges(&self, node: u32) -> impl Iterator<Item = (u32, u8)> + Clone + '_ {
        let span = self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize;
        self.targets[span.clone()].iter().copied().zip(self.kinds[span].iter().copied())
    }

    /// How many edges there are.
    pub(crate) fn edges_count(&self) -> usize {
        self.targets.len()
    }

    /// How many edges leave a node.
    pub(crate) fn degree(&self, node: u32) -> usize {
        (self.starts[node as usize + 1] - self.starts[node as usize]) as usize
    }

    /// Where the edge leads that is number `at` of a node, and its kind.
    pub(crate) fn edge(&self, node: u32, at: usize) -> (u32, u8) {
        let place = self.starts[node as usize] as usize + at;
        (self.targets[place], self.kinds[place])
    }

    /// This graph's edges of the `kinds`, with those of the `more` kinds of another graph of the same nodes
    /// that close no cycle with anything. This graph's edges are among the other's, and have no cycle.
    pub(crate) fn with_all_that_fits(&self, other: &Graph, kinds: u8, more: u8) -> Graph {
        let component = components(other, more);
        let mut edges = Edges::of_nodes(self.transactions.clone(), self.len() as u32);
        for node in 0..self.len() as u32 {
            for (to, kind) in self.edges(node).filter(|(_, kind)| kind & kinds != 0) {
                edges.push(node, to, kind);
            }
        }
        for node in 0..other.len() as u32 {
            for (to, kind) in other.edges(node).filter(|(_, kind)| kind & more != 0) {
                let ends = [node, to].map(|one| component[one as usize]);
                if ends[0] == NONE || ends[0] != ends[1] {
                    edges.push(node, to, kind);
                }
            }
        }
        edges.graph()
    }

    /// An order of all nodes that all edges of those kinds follow, if there is one: Kahn 1962.
    pub(crate) fn sorted(&self, kinds: u8) -> Option<Vec<u32>> {
        let mut waits = vec![0_u32; self.len()];
        for (target, kind) in self.targets.iter().zip(&self.kinds) {
            waits[*target as usize] += u32::from(kind & kinds != 0);
        }
        let mut order: Vec<u32> = Vec::with_capacity(self.len());
        order.extend((0..self.len() as u32).filter(|node| waits[*node as usize] == 0));
        let mut next = 0;
        while let Some(&node) = order.get(next) {
            next += 1;
            for (target, kind) in self.edges(node) {
                if kind & kinds != 0 {
                    waits[target as usize] -= 1;
                    if waits[target as usize] == 0 {
                        order.push(target);
                    }
                }
            }
        }
        (order.len() == self.len()).then_some(order)
    }
}

/// Edges that become a [`Graph`].
pub(crate) struct Edges {
    transactions: Vec<u32>,
    /// The node of every transaction, or [`NONE`].
    node_of: Vec<u32>,
    nodes: u32,
    list: Vec<(u32, u32, u8)>,
}

impl Edges {
    /// None yet, between the transactions that took effect.
    pub(crate) fn new(effective: &[bool], expected: usize) -> Self {
        let mut node_of = vec![NONE; effective.len()];
        let mut transactions = Vec::with_capacity(effective.len());
        for (transaction, _) in (0..).zip(effective).filter(|(_, is)| **is) {
            node_of[transaction as usize] = transactions.len() as u32;
            transactions.push(transaction);
        }
        let nodes = transactions.len() as u32;
        Self { transactions, node_of, nodes, list: Vec::with_capacity(expected) }
    }

    /// None yet, between so many nodes, the first of which belong to those transactions.
    pub(crate) const fn of_nodes(transactions: Vec<u32>, nodes: u32) -> Self {
        Self { transactions, node_of: Vec::new(), nodes, list: Vec::new() }
    }

    /// The first node must come before the second.
    pub(crate) fn push(&mut self, first: u32, second: u32, kind: u8) {
        self.list.push((first, second, kind));
    }

    /// The first transaction must come before the second. Of one and the same nothing is said, nor of
    /// one that did not take effect.
    pub(crate) fn add(&mut self, first: u32, second: u32, kind: u8) {
        let [from, to] = [first, second].map(|one| self.node_of[one as usize]);
        if from != to && from != NONE && to != NONE {
            self.list.push((from, to, kind));
        }
    }

    /// A node between transactions.
    fn between(&mut self) -> u32 {
        self.nodes += 1;
        self.nodes - 1
    }

    /// Each of `first` must come before each of `second`, all of which are different, except before
    /// itself.
    pub(crate) fn add_all(&mut self, first: &[u32], second: &[u32], kind: u8) {
        if first.len() * second.len() <= 4 * (first.len() + second.len()) {
            for &one in first {
                second.iter().for_each(|&other| self.add(one, other, kind));
            }
            return;
        }
        // A node before each beginning of the list, and one before each end of it.
        let places: FxHashMap<u32, usize> = second.iter().copied().zip(0..).collect();
        let beginnings = self.chain(second.iter().copied(), kind);
        let mut ends = self.chain(second.iter().rev().copied(), kind);
        ends.reverse();
        for &one in first {
            let from = self.node_of[one as usize];
            if from == NONE {
                continue;
            }
            let (before, after) = match places.get(&one) {
                None => (None, ends.first()),
                Some(&place) => {
                    (place.checked_sub(1).map(|before| &beginnings[before]), ends.get(place + 1))
                }
            };
            for to in before.into_iter().chain(after) {
                self.list.push((from, *to, kind));
            }
        }
    }

    /// A node for each of the transactions, which comes before that one and all before it in the list.
    fn chain(&mut self, transactions: impl Iterator<Item = u32>, kind: u8) -> Vec<u32> {
        let mut chain: Vec<u32> = Vec::new();
        for transaction in transactions {
            let node = self.between();
            self.list.push((node, self.node_of[transaction as usize], kind));
            if let Some(&before) = chain.last() {
                self.list.push((node, before, kind));
            }
            chain.push(node);
        }
        chain
    }

    /// The order of every process, and that of what returned before something was invoked.
    pub(crate) fn add_times(&mut self, read: &Transactions<'_>) {
        let mut last_of: FxHashMap<u32, u32> = FxHashMap::default();
        for node in 0..self.transactions.len() as u32 {
            let process = read.all[self.transactions[node as usize] as usize].process;
            if let Some(before) = last_of.insert(process, node) {
                self.list.push((before, node, kind::SESSION));
            }
        }
        let mut returns: Vec<(u64, u32)> = (0..)
            .zip(&self.transactions)
            .map(|(node, one)| (read.all[*one as usize].completed, node))
            .filter(|(completed, _)| *completed != u64::MAX)
            .collect();
        returns.sort_unstable();
        let (mut next, mut moment) = (0, None);
        for node in 0..self.transactions.len() as u32 {
            let invoked = read.all[self.transactions[node as usize] as usize].invoked;
            let returned = returns[next..].iter().take_while(|(at, _)| *at < invoked).count();
            if returned > 0 {
                let now = self.between();
                for &(_, who) in &returns[next..next + returned] {
                    self.list.push((who, now, kind::REAL_TIME));
                }
                if let Some(before) = moment.replace(now) {
                    self.list.push((before, now, kind::REAL_TIME));
                }
                next += returned;
            }
            if let Some(now) = moment {
                self.list.push((now, node, kind::REAL_TIME));
            }
        }
    }

    /// The graph.
    pub(crate) fn graph(self) -> Graph {
        let mut starts = vec![0_u32; self.nodes as usize + 1];
        for (from, ..) in &self.list {
            starts[*from as usize + 1] += 1;
        }
        for node in 0..self.nodes as usize {
            starts[node + 1] += starts[node];
        }
        let mut next = starts.clone();
        let mut targets = vec![0; self.list.len()];
        let mut kinds = vec![0; self.list.len()];
        for (from, to, kind) in self.list {
            let place = next[from as usize] as usize;
            next[from as usize] += 1;
            (targets[place], kinds[place]) = (to, kind);
        }
        Graph { transactions: self.transactions, starts, targets, kinds }
    }
}
