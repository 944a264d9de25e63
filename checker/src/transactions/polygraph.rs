//! An order of nodes that follows given edges and, of each of many choices, one side.
//!
//! Papadimitriou 1979 calls it a polygraph; to find an order is NP-complete. Edges are put into an
//! order that is kept up with them, so that one which agrees with it costs nothing and another only
//! what lies between its ends: Pearce and Kelly, *A Dynamic Topological Sort Algorithm for Directed
//! Acyclic Graphs* (JEA 2006). Choices that only one side is left of are made first. Then they are
//! tried one after another; one at which the search fails is tried earlier from then on.

use crate::engines::{Patience, Stopped};

/// Edges of which all must be there.
pub(crate) type Side = Vec<(u32, u32)>;

/// One of the two sides must be there.
#[derive(Debug, Clone)]
pub(crate) struct Choice(pub(crate) [Side; 2]);

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Solved {
    /// The nodes in an order.
    Order(Vec<u32>),
    /// There is none.
    Impossible,
    /// So many choices of all were made for good when it was given up.
    Undecided { made: usize, of: usize },
}

/// How often the search begins anew with the choice at which it failed.
const RESTARTS: usize = 256;

/// A graph without cycles, and an order of its nodes that follows its edges.
struct Ordered {
    /// The place of every node in the order.
    place: Vec<u32>,
    out: Vec<Vec<u32>>,
    into: Vec<Vec<u32>>,
    /// All edges, the last one added at the end.
    edges: Vec<(u32, u32)>,
    seen: Vec<u32>,
    round: u32,
    /// How many nodes were looked at.
    work: usize,
}

impl Ordered {
    fn new(nodes: usize) -> Self {
        Self {
            place: (0..nodes as u32).collect(),
            out: vec![Vec::new(); nodes],
            into: vec![Vec::new(); nodes],
            edges: Vec::new(),
            seen: vec![0; nodes],
            round: 0,
            work: 0,
        }
    }

    /// Adds an edge unless it closes a cycle.
    fn add(&mut self, from: u32, to: u32) -> bool {
        if from == to {
            return false;
        }
        self.work += 1;
        let (upper, lower) = (self.place[from as usize], self.place[to as usize]);
        if lower < upper {
            let Some(mut after) = self.reach(to, from, |place| place <= upper, true) else {
                return false;
            };
            let Some(mut before) = self.reach(from, to, |place| place >= lower, false) else {
                return false;
            };
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
        self.out[from as usize].push(to);
        self.into[to as usize].push(from);
        self.edges.push((from, to));
        true
    }

    /// The nodes that can be reached within those places; nothing if the goal is one of them.
    fn reach(
        &mut self,
        start: u32,
        goal: u32,
        within: impl Fn(u32) -> bool,
        forward: bool,
    ) -> Option<Vec<u32>> {
        self.round += 1;
        let mut found = vec![start];
        self.seen[start as usize] = self.round;
        let mut next = 0;
        while let Some(&node) = found.get(next) {
            next += 1;
            let edges = if forward { &self.out } else { &self.into };
            for &other in &edges[node as usize] {
                self.work += 1;
                if other == goal {
                    return None;
                }
                let is_new = self.seen[other as usize] != self.round;
                if is_new && within(self.place[other as usize]) {
                    self.seen[other as usize] = self.round;
                    found.push(other);
                }
            }
        }
        Some(found)
    }

    /// Adds all edges or none.
    fn add_all(&mut self, side: &Side) -> bool {
        let known = self.edges.len();
        let fits = side.iter().all(|(from, to)| self.add(*from, *to));
        if !fits {
            self.back_to(known);
        }
        fits
    }

    /// Forgets the last edges, until so many are left.
    fn back_to(&mut self, edges: usize) {
        while self.edges.len() > edges {
            if let Some((from, to)) = self.edges.pop() {
                self.out[from as usize].pop();
                self.into[to as usize].pop();
            }
        }
    }
}

/// Looks for an order of nodes, which begins as `first` says where edges leave it open.
pub(crate) fn solve(
    first: &[u32],
    edges: &[(u32, u32)],
    choices: &[Choice],
    budget: usize,
    patience: &Patience<'_>,
) -> Result<Solved, Stopped> {
    let mut graph = Ordered::new(first.len());
    for (place, node) in (0..).zip(first) {
        graph.place[*node as usize] = place;
    }
    for (from, to) in edges {
        patience.step()?;
        if !graph.add(*from, *to) {
            return Ok(Solved::Impossible);
        }
    }
    let mut solver =
        Solver { graph, choices, open: (0..choices.len()).collect(), budget, patience };
    solver.run()
}

struct Solver<'a> {
    graph: Ordered,
    choices: &'a [Choice],
    /// The choices that are not made for good, in the order in which they are tried.
    open: Vec<usize>,
    budget: usize,
    patience: &'a Patience<'a>,
}

/// How a search ended.
enum Ended {
    Order,
    Impossible,
    /// At the choice in that place of the open ones.
    Failed(usize),
    OutOfBudget,
}

impl Solver<'_> {
    fn run(&mut self) -> Result<Solved, Stopped> {
        for restart in 0..=RESTARTS {
            if !self.propagate()? {
                return Ok(Solved::Impossible);
            }
            match self.search(restart == RESTARTS)? {
                Ended::Order => return Ok(Solved::Order(self.order())),
                Ended::Impossible => return Ok(Solved::Impossible),
                Ended::OutOfBudget => break,
                Ended::Failed(at) => {
                    let failed = self.open.remove(at);
                    self.open.insert(0, failed);
                }
            }
        }
        let of = self.choices.len();
        Ok(Solved::Undecided { made: of - self.open.len(), of })
    }

    fn order(&self) -> Vec<u32> {
        let mut order = vec![0; self.graph.place.len()];
        for (node, place) in (0..).zip(&self.graph.place) {
            order[*place as usize] = node;
        }
        order
    }

    /// Makes the choices that have one side left, until there is none. False if one has none left.
    fn propagate(&mut self) -> Result<bool, Stopped> {
        loop {
            let mut made = 0;
            let mut left = Vec::with_capacity(self.open.len());
            for at in std::mem::take(&mut self.open) {
                self.patience.spend(16)?;
                let known = self.graph.edges.len();
                let fits = [0, 1].map(|side| {
                    let fits = self.graph.add_all(&self.choices[at].0[side]);
                    self.graph.back_to(known);
                    fits
                });
                match fits {
                    [false, false] => return Ok(false),
                    [true, true] => left.push(at),
                    [first, _] => {
                        self.graph.add_all(&self.choices[at].0[usize::from(!first)]);
                        made += 1;
                    }
                }
            }
            self.open = left;
            if made == 0 || self.graph.work > self.budget {
                return Ok(true);
            }
        }
    }

    /// Tries all open choices, going back from where none fits if it is to be `thorough`.
    fn search(&mut self, thorough: bool) -> Result<Ended, Stopped> {
        let ground = self.graph.edges.len();
        // How many edges there were before each choice, and the side that is left to try.
        let mut made: Vec<(usize, Option<usize>)> = Vec::with_capacity(self.open.len());
        while made.len() < self.open.len() {
            self.patience.step()?;
            if self.graph.work > self.budget {
                self.graph.back_to(ground);
                return Ok(Ended::OutOfBudget);
            }
            let at = made.len();
            let known = self.graph.edges.len();
            let [one, other] = self.sides(self.open[at]);
            let sides = &self.choices[self.open[at]].0;
            if self.graph.add_all(&sides[one]) {
                made.push((known, Some(other)));
            } else if self.graph.add_all(&sides[other]) {
                made.push((known, None));
            } else if !thorough {
                self.graph.back_to(ground);
                return Ok(if at == 0 { Ended::Impossible } else { Ended::Failed(at) });
            } else if !self.go_back(&mut made) {
                return Ok(Ended::Impossible);
            }
        }
        Ok(Ended::Order)
    }

    /// Takes the other side of the last choice that has one left. False if none has.
    fn go_back(&mut self, made: &mut Vec<(usize, Option<usize>)>) -> bool {
        while let Some((known, left)) = made.pop() {
            self.graph.back_to(known);
            let at = made.len();
            if let Some(side) = left
                && self.graph.add_all(&self.choices[self.open[at]].0[side])
            {
                made.push((known, None));
                return true;
            }
        }
        false
    }

    /// The sides of a choice, the one first that agrees with the order.
    fn sides(&self, choice: usize) -> [usize; 2] {
        let agrees = |side: &Side| {
            side.iter()
                .all(|(from, to)| self.graph.place[*from as usize] < self.graph.place[*to as usize])
        };
        if agrees(&self.choices[choice].0[1]) { [1, 0] } else { [0, 1] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};

    fn fits(order: &[u32], edges: &[(u32, u32)]) -> bool {
        let place = |node: u32| order.iter().position(|one| *one == node);
        edges.iter().all(|(from, to)| place(*from) < place(*to))
    }

    /// Whether any way to make all choices leaves the graph without a cycle.
    fn possible(nodes: usize, edges: &[(u32, u32)], choices: &[Choice]) -> bool {
        (0..1_u32 << choices.len()).any(|sides| {
            let mut graph = Ordered::new(nodes);
            let chosen = choices.iter().enumerate();
            let chosen = chosen.flat_map(|(at, one)| one.0[(sides >> at & 1) as usize].iter());
            edges.iter().chain(chosen).all(|(from, to)| graph.add(*from, *to))
        })
    }

    #[test]
    fn an_order_is_found_exactly_if_there_is_one() {
        let random = &mut ChaCha8Rng::seed_from_u64(7);
        let mut impossible = 0;
        for _ in 0..4_000 {
            let nodes = random.random_range(2..8_u32);
            let mut edge = || (random.random_range(0..nodes), random.random_range(0..nodes));
            let edges: Vec<_> = (0..2).map(|_| edge()).filter(|(a, b)| a != b).collect();
            let choices: Vec<Choice> =
                (0..7).map(|_| Choice([vec![edge(), edge()], vec![edge()]])).collect();
            let first: Vec<u32> = (0..nodes).rev().collect();
            let solved = solve(&first, &edges, &choices, usize::MAX, &Patience::endless());
            match solved.unwrap() {
                Solved::Order(order) => {
                    assert!(fits(&order, &edges));
                    let made = |one: &Choice| one.0.iter().any(|side| fits(&order, side));
                    assert!(choices.iter().all(made));
                }
                Solved::Impossible => {
                    impossible += 1;
                    assert!(!possible(nodes as usize, &edges, &choices));
                }
                Solved::Undecided { .. } => panic!("a small one"),
            }
        }
        assert!((400..3_600).contains(&impossible), "{impossible}");
    }
}
