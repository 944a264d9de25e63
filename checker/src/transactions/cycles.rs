//! Short cycles, and what they are called.

use std::collections::VecDeque;

use super::data::NONE;
use super::graph::{Graph, kind};
use crate::verdict::Anomaly;

/// One step of a cycle: the first transaction must come before the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DependencyEdge {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) kind: u8,
}

/// How many edges may be looked at for a shorter cycle than the first one found.
const LOOKS: usize = 4_000_000;

/// Which edges a cycle may have: those of the first step, and those of all others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pattern {
    pub(crate) first: u8,
    pub(crate) rest: u8,
}

/// The numbers of strongly connected components under edges of those kinds, [`NONE`] for a node that
/// is one alone: Tarjan 1972, without recursion.
pub(crate) fn components(graph: &Graph, kinds: u8) -> Vec<u32> {
    let mut tarjan = Tarjan {
        graph,
        kinds,
        number: vec![NONE; graph.len()],
        low: vec![NONE; graph.len()],
        component: vec![NONE; graph.len()],
        stack: Vec::new(),
        path: Vec::new(),
        numbered: 0,
        components: 0,
    };
    for root in 0..graph.len() as u32 {
        if tarjan.number[root as usize] == NONE {
            tarjan.walk(root);
        }
    }
    // A component's number lies above all others while it stands on the stack.
    for component in &mut tarjan.component {
        if *component == ALONE {
            *component = NONE;
        }
    }
    tarjan.component
}

/// A node that is a component of its own.
const ALONE: u32 = NONE - 1;

struct Tarjan<'a> {
    graph: &'a Graph,
    kinds: u8,
    number: Vec<u32>,
    low: Vec<u32>,
    component: Vec<u32>,
    stack: Vec<u32>,
    /// The nodes on the way from the root, each with the number of its next edge.
    path: Vec<(u32, usize)>,
    numbered: u32,
    components: u32,
}

impl Tarjan<'_> {
    fn enter(&mut self, node: u32) {
        self.number[node as usize] = self.numbered;
        self.low[node as usize] = self.numbered;
        self.numbered += 1;
        self.stack.push(node);
        self.path.push((node, 0));
    }

    fn walk(&mut self, root: u32) {
        self.enter(root);
        while let Some((node, at)) = self.path.last_mut() {
            let node = *node;
            if *at == self.graph.degree(node) {
                self.path.pop();
                let low = self.low[node as usize];
                if let Some((parent, _)) = self.path.last() {
                    let parent = &mut self.low[*parent as usize];
                    *parent = (*parent).min(low);
                }
                if low == self.number[node as usize] {
                    self.close(node);
                }
                continue;
            }
            let (target, kind) = self.graph.edge(node, *at);
            *at += 1;
            if kind & self.kinds == 0 {
                continue;
            }
            if self.number[target as usize] == NONE {
                self.enter(target);
            } else if self.component[target as usize] == NONE {
                let low = &mut self.low[node as usize];
                *low = (*low).min(self.number[target as usize]);
            }
        }
    }

    /// The nodes on the stack from this one on are a component.
    fn close(&mut self, node: u32) {
        let from = self.stack.iter().rposition(|one| *one == node).unwrap_or(0);
        let is_alone = from + 1 == self.stack.len();
        let number = if is_alone { ALONE } else { self.components };
        for one in self.stack.drain(from..) {
            self.component[one as usize] = number;
        }
        self.components += u32::from(!is_alone);
    }
}

/// A shortest cycle of the pattern, if there is one; of a great graph, one that is short. Nodes that are no
/// transactions take any edge.
pub(crate) fn shortest(graph: &Graph, pattern: Pattern) -> Option<Vec<DependencyEdge>> {
    let component = components(graph, pattern.first | pattern.rest);
    let mut search = Search {
        graph,
        pattern,
        component: &component,
        came_from: vec![(NONE, 0, NONE); graph.len()],
        round: 0,
        looks: 0,
    };
    let mut best: Option<Vec<DependencyEdge>> = None;
    for start in 0..graph.transactions.len() as u32 {
        let begins = component[start as usize] != NONE
            && graph.edges(start).any(|(to, kind)| {
                kind & pattern.first != 0 && component[to as usize] == component[start as usize]
            });
        if !begins {
            continue;
        }
        let most = best.as_ref().map_or(usize::MAX, Vec::len);
        if let Some(found) = search.from(start, most) {
            best = Some(found);
        }
        let is_shortest = best.as_ref().is_some_and(|best| best.len() <= 2);
        if is_shortest || best.is_some() && search.looks > LOOKS || search.looks > 8 * LOOKS {
            break;
        }
    }
    best
}

struct Search<'a> {
    graph: &'a Graph,
    pattern: Pattern,
    component: &'a [u32],
    /// Of every node that was reached: from where, by which kind of edge, and in which round.
    came_from: Vec<(u32, u8, u32)>,
    round: u32,
    looks: usize,
}

impl Search<'_> {
    /// A shortest cycle from the start with fewer than `most` steps.
    fn from(&mut self, start: u32, most: usize) -> Option<Vec<DependencyEdge>> {
        self.round += 1;
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            let allowed = match node {
                _ if node == start => self.pattern.first,
                _ if !self.graph.is_transaction(node) => u8::MAX,
                _ => self.pattern.rest,
            };
            for (target, kind) in self.graph.edges(node) {
                self.looks += 1;
                let inside = self.component[target as usize] == self.component[start as usize];
                if kind & allowed == 0 || !inside {
                    continue;
                }
                if target == start {
                    let found = self.links(start, node, kind);
                    return (found.len() < most).then_some(found);
                }
                if self.came_from[target as usize].2 != self.round {
                    self.came_from[target as usize] = (node, kind, self.round);
                    queue.push_back(target);
                }
            }
        }
        None
    }

    /// The cycle whose last edge leads from `last` back to the start.
    fn links(&self, start: u32, last: u32, kind: u8) -> Vec<DependencyEdge> {
        let mut nodes = vec![(start, kind)];
        let mut at = last;
        while at != start {
            let (before, kind, _) = self.came_from[at as usize];
            nodes.push((at, kind));
            at = before;
        }
        nodes.push((start, 0));
        nodes.reverse();
        // What stands between transactions is left out: an edge has the kind by which it begins.
        let mut links = Vec::new();
        let mut open = (start, None);
        for (node, kind) in nodes.into_iter().skip(1) {
            let kind = open.1.unwrap_or(kind);
            if self.graph.is_transaction(node) {
                let transaction = |node: u32| self.graph.transactions[node as usize];
                links.push(DependencyEdge {
                    from: transaction(open.0),
                    to: transaction(node),
                    kind,
                });
                open = (node, None);
            } else {
                open.1 = Some(kind);
            }
        }
        links
    }
}

/// What a cycle is called.
pub(crate) fn name(links: &[DependencyEdge]) -> Anomaly {
    let has = |kind: u8| links.iter().any(|link| link.kind == kind);
    let readers = links.iter().filter(|link| link.kind == kind::RW).count();
    let adjacent = (0..links.len()).any(|at| {
        let next = links[(at + 1) % links.len()];
        links[at].kind == kind::RW && next.kind == kind::RW
    });
    let order = (has(kind::REAL_TIME), has(kind::SESSION));
    match (readers, order) {
        (0, (true, _)) if has(kind::WR) => Anomaly::G1cRealtime,
        (0, (_, true)) if has(kind::WR) => Anomaly::G1cProcess,
        (0, _) if has(kind::WR) => Anomaly::G1c,
        (0, (true, _)) => Anomaly::G0Realtime,
        (0, (_, true)) => Anomaly::G0Process,
        (0, _) => Anomaly::G0,
        (1, (true, _)) => Anomaly::GSingleRealtime,
        (1, (_, true)) => Anomaly::GSingleProcess,
        (1, _) => Anomaly::GSingle,
        (_, (true, _)) => Anomaly::G2ItemRealtime,
        (_, (_, true)) => Anomaly::G2ItemProcess,
        (_, _) if !adjacent => Anomaly::LongFork,
        (2, _) if links.len() == 2 => Anomaly::WriteSkew,
        _ => Anomaly::G2Item,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(kinds: &[u8]) -> Vec<DependencyEdge> {
        let count = kinds.len() as u32;
        let link =
            |(at, kind): (u32, &u8)| DependencyEdge { from: at, to: (at + 1) % count, kind: *kind };
        (0..).zip(kinds).map(link).collect()
    }

    #[test]
    fn cycles_have_the_names_of_the_field() {
        use kind::{REAL_TIME, RW, SESSION, WR, WW};
        for (kinds, expected) in [
            (&[WW, WW][..], Anomaly::G0),
            (&[WW, WR], Anomaly::G1c),
            (&[WR, WR], Anomaly::G1c),
            (&[RW, WR], Anomaly::GSingle),
            (&[RW, RW], Anomaly::WriteSkew),
            (&[RW, RW, WR], Anomaly::G2Item),
            (&[WR, RW, RW], Anomaly::G2Item),
            (&[WR, RW, WR, RW], Anomaly::LongFork),
            (&[RW, SESSION], Anomaly::GSingleProcess),
            (&[RW, REAL_TIME], Anomaly::GSingleRealtime),
            (&[WR, REAL_TIME], Anomaly::G1cRealtime),
            (&[WW, SESSION], Anomaly::G0Process),
            (&[RW, REAL_TIME, RW, WR], Anomaly::G2ItemRealtime),
        ] {
            assert_eq!(name(&links(kinds)), expected, "{kinds:?}");
        }
    }
}
