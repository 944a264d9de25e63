//! Explains a violation as a cycle: of operations each of which must come before the next.
//!
//! Builds the *constraint graph* of a counterexample: its nodes are operations, its edges say that
//! one must come before another. An operation that came back before another was invoked comes first
//! (real time). What else must be, is what all orders have in common in which the answers are
//! possible: first among all such orders, regardless of time; then among those that keep one
//! real-time edge. So an edge is never a guess, whatever the model, and no order obeys all edges of
//! a cycle. The cycle that takes the fewest and plainest steps is the explanation (Dijkstra from
//! every edge, in petgraph). Compare Biswas & Enea, *On the Complexity of Checking Transactional
//! Consistency*, 2019, §3, for registers and saturation.
//!
//! Where that finds no cycle, takes away real-time edges as long as the rest is contradictory. All
//! orders that keep the rest without one edge then have its ends the other way round: this edge and
//! that inference are a cycle. If the answers are impossible even regardless of time there is none,
//! and an [`LongestPrefix`] says how far any order gets.
//!
//! Goes through sets of operations that can come first, with the state that they leave: for a
//! handful of operations as a counterexample has. Leaves out larger ones.

mod orders;
mod staleness;

pub(crate) use staleness::stale;

use petgraph::algo::astar;
use petgraph::graph::{DiGraph, EdgeIndex, NodeIndex};
use petgraph::visit::EdgeRef;

use crate::engines::Span;
use crate::model::Model;
use crate::verdict::{Edge, LongestPrefix, Relation};
use orders::{ForcedOrder, LinearizationSpace};

/// Why some operations have no order.
#[derive(Debug, Clone)]
pub(crate) struct Explanation {
    /// The plainest cycle of what must come before what; empty if there is none.
    pub cycle: Vec<Edge>,
    /// How far any order gets, if the answers are impossible regardless of time.
    pub impasse: Option<LongestPrefix>,
}

/// Why one operation must come before another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Constraint {
    /// What kind of reason it is.
    pub relation: Relation,
    /// The real-time edges that it rests on, as pairs of places in the operations.
    pub given: Vec<[usize; 2]>,
}

/// What a cycle costs that leaves out the last operation.
const DETOUR: usize = 1_000;

impl Constraint {
    /// How hard it is to follow.
    const fn weight(&self) -> usize {
        match self.relation {
            Relation::RealTime | Relation::ReadsFrom => 4,
            Relation::OverwrittenBefore | Relation::VersionOrder | Relation::Session => 5,
            Relation::Inferred => 16,
        }
    }
}

/// Explains why the spans have no order. Nothing if they have one, or are too many to tell.
pub(crate) fn explain<M: Model>(model: &M, spans: &[Span]) -> Option<Explanation> {
    let orders = LinearizationSpace::new(model, spans)?;
    let mut explainer = Explainer { model, spans, orders, graph: DiGraph::new() };
    for place in 0..spans.len() {
        explainer.graph.add_node(place);
    }
    explainer.explain()
}

struct Explainer<'a, M: Model> {
    model: &'a M,
    spans: &'a [Span],
    orders: LinearizationSpace<'a, M>,
    graph: DiGraph<usize, Constraint>,
}

impl<M: Model> Explainer<'_, M> {
    fn explain(mut self) -> Option<Explanation> {
        let real_time = self.real_time();
        let common = match self.orders.common(&[])? {
            Ok(common) => common,
            Err(impasse) => {
                let impasse = Some(impasse);
                return Some(Explanation { cycle: Vec::new(), impasse });
            }
        };
        for &[from, to] in &real_time {
            let given = Vec::new();
            self.add(from, to, Constraint { relation: Relation::RealTime, given });
        }
        self.infer(&common, &[]);
        for &edge in &real_time {
            let [from, to] = edge;
            if common.is_forced(from, to) {
                continue;
            }
            // If there is no such order, the answers alone have it the other way round: that is in
            // the graph already.
            if let Ok(more) = self.orders.common(&[edge])? {
                self.infer(&more, &[edge]);
            }
        }
        let mut cycle = self.plainest_cycle();
        if cycle.is_empty() {
            self.contradict(real_time)?;
            cycle = self.plainest_cycle();
        }
        Some(Explanation { cycle, impasse: None })
    }

    /// All pairs of which the one came back before the other was invoked.
    fn real_time(&self) -> Vec<[usize; 2]> {
        let mut pairs = Vec::new();
        for (from, one) in self.spans.iter().enumerate() {
            for (to, other) in self.spans.iter().enumerate() {
                if one.returned < other.invoked {
                    pairs.push([from, to]);
                }
            }
        }
        pairs
    }

    fn add(&mut self, from: usize, to: usize, constraint: Constraint) {
        let (from, to) = (NodeIndex::new(from), NodeIndex::new(to));
        let is_plainer = |edge: EdgeIndex| self.graph[edge].weight() <= constraint.weight();
        if !self.graph.find_edge(from, to).is_some_and(is_plainer) {
            self.graph.update_edge(from, to, constraint);
        }
    }

    /// Adds what all orders have in common that keep the edges `given`.
    fn infer(&mut self, common: &ForcedOrder, given: &[[usize; 2]]) {
        for from in 0..self.spans.len() {
            for to in 0..self.spans.len() {
                if from != to && common.is_forced(from, to) && given != [[from, to]] {
                    let relation = self.relation(from, to);
                    self.add(from, to, Constraint { relation, given: given.to_vec() });
                }
            }
        }
    }

    fn relation(&self, from: usize, to: usize) -> Relation {
        let [from, to] = [from, to].map(|place| self.spans[place].call);
        let (model, observes) = (self.model, self.model.demands(from).is_some());
        if !model.is_pure(from) && model.relies_on(to, from) {
            Relation::ReadsFrom
        } else if !model.is_pure(to) && (model.is_pure(from) || observes) {
            Relation::OverwrittenBefore
        } else {
            Relation::Inferred
        }
    }

    /// Adds to the graph the cycle that there is if every edge of real time is needed.
    fn contradict(&mut self, mut real_time: Vec<[usize; 2]>) -> Option<()> {
        let mut place = 0;
        while place < real_time.len() {
            let mut fewer = real_time.clone();
            fewer.remove(place);
            match self.orders.common(&fewer)? {
                Ok(_) => place += 1,
                Err(_) => real_time = fewer,
            }
        }
        let [from, to] = real_time.pop()?;
        let common = self.orders.common(&real_time)?.ok()?;
        if common.is_forced(to, from) {
            let relation = Relation::Inferred;
            self.add(to, from, Constraint { relation, given: real_time });
        }
        Some(())
    }

    fn plainest_cycle(&self) -> Vec<Edge> {
        let graph = &self.graph;
        // Spans are in the order of their invocations: what was invoked last and came back is what
        // one looks at first.
        let last = self.spans.iter().rposition(Span::is_completed).unwrap_or(0);
        let last = NodeIndex::new(last);
        let cycles = graph.edge_references().filter_map(|edge| {
            let goal = edge.source();
            let (cost, path) = astar(
                graph,
                edge.target(),
                |node| node == goal,
                |edge| edge.weight().weight(),
                |_| 0,
            )?;
            let detour = if path.contains(&last) { 0 } else { DETOUR };
            Some((cost + edge.weight().weight() + detour, path))
        });
        let Some((_, path)) = cycles.min_by_key(|(cost, _)| *cost) else { return Vec::new() };
        let following = path.iter().cycle().skip(1);
        let edges = path.iter().zip(following).map(|(&from, &to)| {
            let edge = graph.find_edge(from, to).expect("the path takes edges");
            let Constraint { relation, given } = graph[edge].clone();
            Edge { from: from.index(), to: to.index(), relation, given }
        });
        edges.collect()
    }
}

#[cfg(test)]
mod tests;
