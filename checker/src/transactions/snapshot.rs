//! Snapshot isolation: an order of starts and commits.
//!
//! Every transaction starts before it commits; what it read or overwrote was committed before it
//! started; what it did not see was committed after it started. There is such an order exactly if
//! these have no cycle, which is a cycle of dependencies in which no two reads of what was
//! overwritten follow each other: Adya 1999, §4.3; Cerone and Gotsman, *Analysing Snapshot
//! Isolation* (PODC 2016).

use super::cycles::{self, DependencyEdge, Pattern};
use super::data::Lists;
use super::graph::{Edges, Graph, kind};
use crate::engines::{Cancellation, Stopped};

/// From the start of a transaction to its commit.
const WITHIN: u8 = 128;

/// The graph of starts and commits, the dependencies being those of `graph` that are of the `kinds`.
/// Node `2n` is the start of its transaction `n`, node `2n + 1` the commit.
pub(crate) fn graph(graph: &Graph, kinds: u8, more: &[(u32, u32)]) -> Graph {
    let count = graph.transactions.len() as u32;
    let mut edges = Edges::of_nodes(
        graph.transactions.iter().flat_map(|one| [*one, *one]).collect(),
        graph.len() as u32 + count,
    );
    let place = |node: u32, is_start: bool| {
        if node < count { 2 * node + u32::from(!is_start) } else { node + count }
    };
    for node in 0..count {
        edges.push(2 * node, 2 * node + 1, WITHIN);
    }
    for node in 0..graph.len() as u32 {
        for (to, kind) in graph.edges(node).filter(|(_, kind)| kind & kinds != 0) {
            let is_read = kind == kind::RW;
            edges.push(place(node, is_read), place(to, !is_read), kind);
        }
    }
    for &(first, second) in more {
        edges.push(place(first, false), place(second, true), kind::WW);
    }
    edges.graph()
}

/// A short cycle of starts and commits, as one of transactions.
pub(crate) fn cycle(events: &Graph) -> Option<Vec<DependencyEdge>> {
    let pattern = Pattern { first: u8::MAX, rest: u8::MAX };
    let links = cycles::shortest(events, pattern)?;
    Some(links.into_iter().filter(|link| link.kind != WITHIN).collect())
}

/// What came of the search for starts and commits.
pub(crate) enum Snapshots {
    /// The events in an order that proves it.
    Kept(Vec<u32>),
    /// A cycle that no order of unseen writes avoids, if it is known.
    Broken(Option<Vec<DependencyEdge>>),
    /// So many orders were tried.
    Undecided(usize),
}

/// How many orders of starts and commits are made, for each million of edges one less.
const TRIES: usize = 2_000;

/// Looks for an order of starts and commits. Of each key, `unseen` lists the transactions, by their
/// nodes, that wrote what nobody saw: they must not write at once, and nothing says which is first.
pub(crate) fn examine(
    graph: &Graph,
    unseen: &Lists,
    kinds: u8,
    cancellation: &Cancellation<'_>,
) -> Result<Snapshots, Stopped> {
    let tries = TRIES / (1 + graph.edges_count() / 100_000);
    let mut search = Search { graph, unseen, kinds, cancellation, tries, tried: 0 };
    let events = self::graph(graph, kinds, &[]);
    let Some(sorted) = events.sorted(u8::MAX) else {
        return Ok(Snapshots::Broken(cycle(&events)));
    };
    drop(events);
    // Mostly those that commit first in this order can do so before all others.
    let mut more = search.neighbours(&sorted);
    let at_once = self::graph(graph, kinds, &more).sorted(u8::MAX);
    if let Some(sorted) = at_once {
        return Ok(Snapshots::Kept(sorted));
    }
    more.clear();
    match search.go(&mut more)? {
        Some(sorted) => Ok(Snapshots::Kept(sorted)),
        None if search.tried > search.tries => Ok(Snapshots::Undecided(search.tried)),
        None => Ok(Snapshots::Broken(None)),
    }
}

struct Search<'a> {
    graph: &'a Graph,
    unseen: &'a Lists,
    kinds: u8,
    cancellation: &'a Cancellation<'a>,
    tries: usize,
    tried: usize,
}

impl Search<'_> {
    /// An order in which no two write a key at once, given those pairs of which the first is first.
    fn go(&mut self, more: &mut Vec<(u32, u32)>) -> Result<Option<Vec<u32>>, Stopped> {
        self.cancellation.ask()?;
        self.tried += 1;
        if self.tried > self.tries {
            return Ok(None);
        }
        let events = graph(self.graph, self.kinds, more);
        let Some(sorted) = events.sorted(u8::MAX) else { return Ok(None) };
        let Some((first, second)) = self.at_once(&sorted) else { return Ok(Some(sorted)) };
        for pair in [(first, second), (second, first)] {
            more.push(pair);
            let found = self.go(more)?;
            more.pop();
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The places of all starts and commits in an order.
    fn places(&self, sorted: &[u32]) -> Vec<u32> {
        let mut places = vec![0; 2 * self.graph.transactions.len()];
        for (at, event) in (0..).zip(sorted) {
            if let Some(place) = places.get_mut(*event as usize) {
                *place = at;
            }
        }
        places
    }

    /// Two that write one key at once.
    fn at_once(&self, sorted: &[u32]) -> Option<(u32, u32)> {
        let places = self.places(sorted);
        (0..self.unseen.len() as u32).find_map(|key| {
            let mut writers = self.unseen.of(key).to_vec();
            writers.sort_unstable_by_key(|node| places[2 * *node as usize + 1]);
            let is_at_once =
                |pair: &&[u32]| places[2 * pair[1] as usize] < places[2 * pair[0] as usize + 1];
            writers.windows(2).find(is_at_once).map(|pair| (pair[0], pair[1]))
        })
    }

    /// Pairs of those that follow each other in an order.
    fn neighbours(&self, sorted: &[u32]) -> Vec<(u32, u32)> {
        let places = self.places(sorted);
        let mut pairs = Vec::new();
        for key in 0..self.unseen.len() as u32 {
            let mut writers = self.unseen.of(key).to_vec();
            writers.sort_unstable_by_key(|node| places[2 * *node as usize + 1]);
            pairs.extend(writers.windows(2).map(|pair| (pair[0], pair[1])));
        }
        pairs
    }
}

/// The transactions that wrote a key that others wrote unseen as well.
pub(crate) fn contested(graph: &Graph, unseen: &Lists) -> Vec<u32> {
    let keys = (0..unseen.len() as u32).filter(|key| unseen.of(*key).len() > 1);
    let nodes = keys.flat_map(|key| unseen.of(key).iter());
    nodes.map(|node| graph.transactions[*node as usize]).collect()
}
