//! An order of nodes that follows given edges and, of each of many choices, one side.
//!
//! Papadimitriou 1979 calls it a polygraph; to find an order is NP-complete. Edges are put into an
//! order that is kept up with them, so that one which agrees with it costs nothing and another only
//! what lies between its ends: Pearce and Kelly, *A Dynamic Topological Sort Algorithm for Directed
//! Acyclic Graphs* (JEA 2006). Choices are made one after another, each as the order has it if that
//! fits. Where neither side fits, the cycles say which earlier choices are in the way, and the search
//! goes back to the last of those: conflict-directed backjumping, Prosser 1993. It starts again from
//! time to time, with the choices that were in the way made first.
//!
//! Choices can be added to a graph that is in order: it goes on from there.

use rustc_hash::FxHashSet;

use super::data::{Lists, NONE};
use crate::engines::{Cancellation, Stopped};

/// Edges of which all must be there.
pub(crate) type Side = Vec<(u32, u32)>;

/// One of the two sides must be there.
#[derive(Debug, Clone)]
pub(crate) struct Choice(pub(crate) [Side; 2]);

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Solved {
    /// The nodes are in an order.
    Ordered,
    /// There is none.
    Impossible,
    /// The budget was used up.
    Undecided,
}

/// How many conflicts there are before the search starts again for the first time; twice as many
/// before the second.
const CONFLICTS: usize = 32;

/// An edge that can be taken away again.
#[derive(Debug, Clone, Copy)]
struct Added {
    from: u32,
    to: u32,
}

/// A graph without cycles, and an order of its nodes that follows its edges.
struct Ordered {
    /// The place of every node in the order.
    place: Vec<u32>,
    /// The edges that stay, by where they leave and by where they lead.
    fixed: [Lists; 2],
    /// Where other edges lead, and the choices that they are of: [`NONE`] for one that is made for good.
    out: Vec<Vec<(u32, u32)>>,
    into: Vec<Vec<(u32, u32)>>,
    /// The edges of `out`, the last one added at the end.
    edges: Vec<Added>,
    /// Of every node the round in which it was reached, and over which edge: where it leaves, and its
    /// choice.
    reached: Vec<(u32, u32, u32)>,
    round: u32,
    /// How many nodes were looked at.
    work: usize,
}

impl Ordered {
    /// With these edges, all of which lead from left to right in `first`.
    fn new(first: &[u32], edges: impl Iterator<Item = (u32, u32)> + Clone) -> Self {
        let nodes = first.len();
        let mut place = vec![0; nodes];
        for (at, node) in (0..).zip(first) {
            place[*node as usize] = at;
        }
        let leads_right = |(from, to): (u32, u32)| place[from as usize] < place[to as usize];
        debug_assert!(edges.clone().all(leads_right), "the first order follows the edges");
        let back = edges.clone().map(|(from, to)| (to, from));
        Self {
            place,
            fixed: [Lists::new(nodes, edges), Lists::new(nodes, back)],
            out: vec![Vec::new(); nodes],
            into: vec![Vec::new(); nodes],
            edges: Vec::new(),
            reached: vec![(0, NONE, NONE); nodes],
            round: 0,
            work: 0,
        }
    }

    /// Adds an edge of a choice unless it closes a cycle. Then the choices of the cycle's other edges are
    /// in its way.
    fn add(&mut self, edge: Added, choice: u32, in_the_way: &mut FxHashSet<u32>) -> bool {
        let Added { from, to } = edge;
        if from == to {
            return false;
        }
        self.work += 1;
        let (upper, lower) = (self.place[from as usize], self.place[to as usize]);
        if lower < upper {
            let mut after = self.reach(to, from, |place| place <= upper, true);
            if self.reached[from as usize].0 == self.round {
                self.blame(to, from, in_the_way);
                return false;
            }
            let mut before = self.reach(from, to, |place| place >= lower, false);
            // What comes before takes the first of all their places, what comes after the others.
            before.sort_unstable_by_key(|node| self.place[*node as usize]);
            after.sort_unstable_by_key(|node| self.place[*node as usize]);
            before.append(&mut after);
            let mut places: Vec<u32> =
                before.iter().map(|node| self.place[*node as usize]).collect();
            places.sort_unstable();
            for (node, place) in before.into_iter().zip(places) {
                self.place[node as usize] = place;
            }
        }
        self.out[from as usize].push((to, choice));
        self.into[to as usize].push((from, choice));
        self.edges.push(edge);
        true
    }

    /// The nodes that can be reached within those places, up to the goal.
    fn reach(
        &mut self,
        start: u32,
        goal: u32,
        within: impl Fn(u32) -> bool,
        forward: bool,
    ) -> Vec<u32> {
        self.round += 1;
        let mut found = vec![start];
        self.reached[start as usize] = (self.round, NONE, NONE);
        let mut next = 0;
        while let Some(&node) = found.get(next) {
            next += 1;
            let fixed = self.fixed[usize::from(!forward)].of(node).iter();
            let edges = if forward { &self.out } else { &self.into };
            let edges = edges[node as usize].iter().copied();
            for (other, choice) in fixed.map(|other| (*other, NONE)).chain(edges) {
                self.work += 1;
                let reached = &mut self.reached[other as usize];
                if reached.0 != self.round && within(self.place[other as usize]) {
                    *reached = (self.round, node, choice);
                    if other == goal {
                        return found;
                    }
                    found.push(other);
                }
            }
        }
        found
    }

    /// Notes the choices of the edges on the way that was found last.
    fn blame(&self, start: u32, goal: u32, in_the_way: &mut FxHashSet<u32>) {
        let mut at = goal;
        while at != start {
            let (_, before, choice) = self.reached[at as usize];
            if choice != NONE {
                in_the_way.insert(choice);
            }
            at = before;
        }
    }

    /// Adds all edges of a side or none.
    fn add_all(&mut self, side: &Side, choice: u32, in_the_way: &mut FxHashSet<u32>) -> bool {
        let known = self.edges.len();
        let fits = side.iter().all(|&(from, to)| self.add(Added { from, to }, choice, in_the_way));
        if !fits {
            self.back_to(known);
            in_the_way.remove(&choice);
        }
        fits
    }

    /// Forgets the last edges, until so many are left.
    fn back_to(&mut self, edges: usize) {
        while self.edges.len() > edges {
            if let Some(Added { from, to }) = self.edges.pop() {
                self.out[from as usize].pop();
                self.into[to as usize].pop();
            }
        }
    }
}

/// Looks for an order of nodes.
pub(crate) struct Polygraph<'a> {
    graph: Ordered,
    choices: Vec<Choice>,
    /// The choices that are not made for good, in the order in which they are tried.
    open: Vec<u32>,
    /// How many edges there are for good.
    ground: usize,
    budget: usize,
    cancellation: &'a Cancellation<'a>,
}

/// How a search ended.
enum Ended {
    Order,
    Impossible,
    /// After many conflicts, of which these choices had the last.
    Again(FxHashSet<u32>),
    OutOfBudget,
}

/// A choice that is made for now.
struct Made {
    choice: u32,
    /// How many edges there were before.
    known: usize,
    /// The side that is left to try.
    left: Option<usize>,
    /// The choices that were in the way of the side that was tried first.
    in_the_way: FxHashSet<u32>,
}

impl<'a> Polygraph<'a> {
    /// One without choices, whose nodes are in an order that follows these edges. `budget` is how many
    /// nodes may be looked at.
    pub(crate) fn new(
        first: &[u32],
        edges: impl Iterator<Item = (u32, u32)> + Clone,
        budget: usize,
        cancellation: &'a Cancellation<'a>,
    ) -> Self {
        let graph = Ordered::new(first, edges);
        Self { graph, choices: Vec::new(), open: Vec::new(), ground: 0, budget, cancellation }
    }

    /// Adds a choice.
    pub(crate) fn add(&mut self, choice: Choice) {
        self.open.push(self.choices.len() as u32);
        self.choices.push(choice);
    }

    /// The place of a node in the order.
    pub(crate) fn place(&self, node: u32) -> u32 {
        self.graph.place[node as usize]
    }

    /// The nodes in their order.
    pub(crate) fn order(&self) -> Vec<u32> {
        let mut order = vec![0; self.graph.place.len()];
        for (node, place) in (0..).zip(&self.graph.place) {
            order[*place as usize] = node;
        }
        order
    }

    /// Puts the nodes into an order that all choices agree with.
    pub(crate) fn solve(&mut self) -> Result<Solved, Stopped> {
        let mut conflicts = CONFLICTS;
        loop {
            self.graph.back_to(self.ground);
            match self.search(conflicts)? {
                Ended::Order => return Ok(Solved::Ordered),
                Ended::Impossible => return Ok(Solved::Impossible),
                Ended::OutOfBudget => return Ok(Solved::Undecided),
                Ended::Again(first) => self.open.sort_by_key(|choice| !first.contains(choice)),
            }
            self.graph.back_to(self.ground);
            if !self.propagate()? {
                return Ok(Solved::Impossible);
            }
            conflicts = conflicts.saturating_mul(2);
        }
    }

    /// Makes the choices that have one side left, until there is none. False if one has none left.
    fn propagate(&mut self) -> Result<bool, Stopped> {
        let in_the_way = &mut FxHashSet::default();
        loop {
            let mut made = 0;
            let mut left = Vec::with_capacity(self.open.len());
            for choice in std::mem::take(&mut self.open) {
                self.cancellation.spend(16)?;
                let known = self.graph.edges.len();
                let sides = &self.choices[choice as usize].0;
                let fits = [0, 1].map(|side| {
                    let fits = self.graph.add_all(&sides[side], NONE, in_the_way);
                    self.graph.back_to(known);
                    fits
                });
                match fits {
                    [false, false] => return Ok(false),
                    [true, true] => left.push(choice),
                    [first, _] => {
                        self.graph.add_all(&sides[usize::from(!first)], NONE, in_the_way);
                        made += 1;
                    }
                }
            }
            self.open = left;
            self.ground = self.graph.edges.len();
            if made == 0 || self.graph.work > self.budget {
                return Ok(true);
            }
        }
    }

    /// Makes all open choices, until there were so many conflicts.
    fn search(&mut self, mut conflicts: usize) -> Result<Ended, Stopped> {
        let mut made: Vec<Made> = Vec::with_capacity(self.open.len());
        while made.len() < self.open.len() {
            self.cancellation.step()?;
            if self.graph.work > self.budget {
                return Ok(Ended::OutOfBudget);
            }
            let choice = self.open[made.len()];
            let known = self.graph.edges.len();
            let [one, other] = self.sides(choice);
            let mut in_the_way = FxHashSet::default();
            if self.make(choice, one, &mut in_the_way) {
                made.push(Made { choice, known, left: Some(other), in_the_way });
            } else if self.make(choice, other, &mut in_the_way) {
                made.push(Made { choice, known, left: None, in_the_way });
            } else if in_the_way.is_empty() {
                return Ok(Ended::Impossible);
            } else if conflicts == 0 {
                in_the_way.insert(choice);
                return Ok(Ended::Again(in_the_way));
            } else if !self.go_back(&mut made, in_the_way) {
                return Ok(Ended::Impossible);
            } else {
                conflicts -= 1;
            }
        }
        Ok(Ended::Order)
    }

    /// Adds a side of a choice if it fits.
    fn make(&mut self, choice: u32, side: usize, in_the_way: &mut FxHashSet<u32>) -> bool {
        self.graph.add_all(&self.choices[choice as usize].0[side], choice, in_the_way)
    }

    /// Takes the other side of the last choice in the way that has one left. False if none has.
    fn go_back(&mut self, made: &mut Vec<Made>, mut in_the_way: FxHashSet<u32>) -> bool {
        while let Some(last) = made.pop() {
            self.graph.back_to(last.known);
            if !in_the_way.remove(&last.choice) {
                continue;
            }
            // Without this choice, what was in the way of both of its sides is.
            in_the_way.extend(last.in_the_way);
            if let Some(side) = last.left
                && self.make(last.choice, side, &mut in_the_way)
            {
                let Made { choice, known, .. } = last;
                made.push(Made { choice, known, left: None, in_the_way });
                return true;
            }
        }
        false
    }

    /// The sides of a choice, the one first that agrees with the order.
    fn sides(&self, choice: u32) -> [usize; 2] {
        let agrees =
            |side: &Side| side.iter().all(|(from, to)| self.place(*from) < self.place(*to));
        if agrees(&self.choices[choice as usize].0[1]) { [1, 0] } else { [0, 1] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transactions::graph::Edges;
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};

    fn fits(order: &[u32], edges: &[(u32, u32)]) -> bool {
        let place = |node: u32| order.iter().position(|one| *one == node);
        edges.iter().all(|(from, to)| place(*from) < place(*to))
    }

    /// An order that follows the edges, if there is one.
    fn sorted(nodes: u32, edges: &[(u32, u32)]) -> Option<Vec<u32>> {
        let mut graph = Edges::of_nodes((0..nodes).collect(), nodes);
        edges.iter().for_each(|(from, to)| graph.push(*from, *to, 1));
        graph.graph().sorted(1)
    }

    /// Whether any way to make all choices leaves the graph without a cycle.
    fn possible(nodes: u32, edges: &[(u32, u32)], choices: &[Choice]) -> bool {
        (0..1_u32 << choices.len()).any(|sides| {
            let chosen = choices.iter().enumerate();
            let chosen = chosen.flat_map(|(at, one)| one.0[(sides >> at & 1) as usize].iter());
            let all: Vec<_> = edges.iter().chain(chosen).copied().collect();
            sorted(nodes, &all).is_some()
        })
    }

    #[test]
    fn an_order_is_found_exactly_if_there_is_one() {
        let random = &mut ChaCha8Rng::seed_from_u64(7);
        let cancellation = Cancellation::never();
        let mut impossible = 0;
        for _ in 0..4_000 {
            let nodes = random.random_range(2..8_u32);
            let mut edge = || (random.random_range(0..nodes), random.random_range(0..nodes));
            let edges: Vec<_> = (0..2).map(|_| edge()).filter(|(a, b)| a != b).collect();
            let choices: Vec<Choice> =
                (0..7).map(|_| Choice([vec![edge(), edge()], vec![edge()]])).collect();
            let Some(first) = sorted(nodes, &edges) else { continue };
            let mut graph =
                Polygraph::new(&first, edges.iter().copied(), usize::MAX, &cancellation);
            // As they come, some at a time.
            for (at, choice) in choices.iter().enumerate() {
                graph.add(choice.clone());
                if at % 3 != 0 {
                    continue;
                }
                let given = &choices[..=at];
                let solved = graph.solve().unwrap();
                assert_eq!(solved == Solved::Ordered, possible(nodes, &edges, given));
                if solved != Solved::Ordered {
                    impossible += 1;
                    break;
                }
                let order = graph.order();
                assert!(fits(&order, &edges));
                let made = |one: &Choice| one.0.iter().any(|side| fits(&order, side));
                assert!(given.iter().all(made));
            }
        }
        assert!((400..3_600).contains(&impossible), "{impossible}");
    }
}
