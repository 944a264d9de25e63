//! Orders and circles of what must come before what.

use std::collections::VecDeque;

use crate::engines::{Cancellation, Stopped};

/// Something that must come before another, and a tag that says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge<W> {
    pub to: u32,
    pub why: W,
}

/// What must come before what, by numbers.
#[derive(Debug)]
pub(super) struct Graph<W> {
    pub out: Vec<Vec<Edge<W>>>,
}

impl<W: Copy> Graph<W> {
    pub(super) fn new(size: usize) -> Self {
        Self { out: (0..size).map(|_| Vec::new()).collect() }
    }

    pub(super) fn add(&mut self, from: u32, to: u32, why: W) {
        self.out[from as usize].push(Edge { to, why });
    }

    /// An order in which everything comes before what it must come before, or what is left of it: the
    /// numbers that are in a circle or behind one.
    pub(super) fn sort(
        &self,
        cancellation: &Cancellation<'_>,
    ) -> Result<Result<Vec<u32>, Vec<u32>>, Stopped> {
        let size = self.out.len();
        let mut waits = vec![0_u32; size];
        for edges in &self.out {
            cancellation.spend(1 + edges.len())?;
            for edge in edges {
                waits[edge.to as usize] += 1;
            }
        }
        let mut order: Vec<u32> = (0..size as u32).filter(|&it| waits[it as usize] == 0).collect();
        let mut at = 0;
        while at < order.len() {
            let edges = &self.out[order[at] as usize];
            cancellation.spend(1 + edges.len())?;
            for edge in edges {
                waits[edge.to as usize] -= 1;
                if waits[edge.to as usize] == 0 {
                    order.push(edge.to);
                }
            }
            at += 1;
        }
        if order.len() == size {
            return Ok(Ok(order));
        }
        Ok(Err((0..size as u32).filter(|&it| waits[it as usize] > 0).collect()))
    }

    /// A shortest way from one number to another, at least one edge long, as the numbers it passes
    /// and the edges after each; the last edge leads to `to`.
    pub(super) fn way(
        &self,
        from: u32,
        to: u32,
        cancellation: &Cancellation<'_>,
    ) -> Result<Option<Vec<(u32, W)>>, Stopped> {
        let mut came: Vec<Option<(u32, W)>> = vec![None; self.out.len()];
        let mut queue = VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            let edges = &self.out[at as usize];
            cancellation.spend(1 + edges.len())?;
            for edge in edges {
                if came[edge.to as usize].is_some() {
                    continue;
                }
                came[edge.to as usize] = Some((at, edge.why));
                if edge.to == to {
                    let mut way = Vec::new();
                    let mut back = to;
                    loop {
                        let (before, why) = came[back as usize].expect("it was reached");
                        way.push((before, why));
                        back = before;
                        if back == from {
                            break;
                        }
                    }
                    way.reverse();
                    return Ok(Some(way));
                }
                queue.push_back(edge.to);
            }
        }
        Ok(None)
    }

    /// A short circle among `left`, what [`Self::sort`] left.
    pub(super) fn circle(
        &self,
        left: &[u32],
        cancellation: &Cancellation<'_>,
    ) -> Result<Vec<(u32, W)>, Stopped> {
        // Everything that is left has something left before it, so going back ends in a circle.
        let mut before = vec![u32::MAX; self.out.len()];
        let mut is_left = vec![false; self.out.len()];
        for &one in left {
            is_left[one as usize] = true;
        }
        for &one in left {
            cancellation.spend(1 + self.out[one as usize].len())?;
            for edge in self.out[one as usize].iter().filter(|edge| is_left[edge.to as usize]) {
                before[edge.to as usize] = one;
            }
        }
        let mut at = left[0];
        for _ in 0..left.len() {
            cancellation.step()?;
            at = before[at as usize];
        }
        // On the circle, a few starts are tried for a shorter one.
        let mut best: Option<Vec<(u32, W)>> = None;
        let mut start = at;
        for _ in 0..STARTS {
            let found = self.way(start, start, cancellation)?.expect("it is on a circle");
            if best.as_ref().is_none_or(|best| found.len() < best.len()) {
                best = Some(found);
            }
            start = before[start as usize];
            if start == at || best.as_ref().is_some_and(|best| best.len() == 2) {
                break;
            }
        }
        Ok(best.expect("one was found"))
    }
}

/// From how many places a short circle is looked for.
const STARTS: usize = 16;
