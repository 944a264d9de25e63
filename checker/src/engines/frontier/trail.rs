//! The steps that led to each configuration: a forest of parent pointers, kept as long as some
//! configuration hangs on them.

use crate::engines::{Cancellation, Stopped};

/// The trail of a configuration in which nothing was ordered yet.
pub(super) const ROOT: u32 = u32::MAX;

/// The number of nodes at which those in use are looked for the first time.
const FIRST_SWEEP: usize = 1 << 16;

/// A step: the span that was ordered, and at which return.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    parent: u32,
    /// What was ordered.
    pub span: u32,
    /// Which return, counted from 0, the step was made for.
    pub round: u32,
}

/// All steps. A node's parent comes before it, so that one walk backwards finds what is in use.
pub(super) struct Trail {
    nodes: Vec<Node>,
    sweep_at: usize,
}

impl Trail {
    pub(super) const fn new() -> Self {
        Self { nodes: Vec::new(), sweep_at: FIRST_SWEEP }
    }

    pub(super) fn push(&mut self, parent: u32, span: u32, round: u32) -> u32 {
        let number = u32::try_from(self.nodes.len()).ok().filter(|&number| number != ROOT);
        self.nodes.push(Node { parent, span, round });
        number.expect("memory ends before 2^32 steps")
    }

    /// Whether it is time to give up what no configuration hangs on.
    pub(super) const fn is_due(&self) -> bool {
        self.nodes.len() >= self.sweep_at
    }

    /// Gives up all nodes but those that `heads` hang on, which get new numbers.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the time is up; then the trail is of no more use.
    pub(super) fn reclaim<'a>(
        &mut self,
        heads: impl Iterator<Item = &'a mut u32>,
        cancellation: &Cancellation<'_>,
    ) -> Result<(), Stopped> {
        let heads: Vec<&mut u32> = heads.filter(|head| **head != ROOT).collect();
        let mut used = vec![false; self.nodes.len()];
        for head in &heads {
            used[**head as usize] = true;
        }
        for number in (0..self.nodes.len()).rev() {
            cancellation.step()?;
            let parent = self.nodes[number].parent;
            if used[number] && parent != ROOT {
                used[parent as usize] = true;
            }
        }
        let mut numbers = vec![ROOT; self.nodes.len()];
        let mut kept = 0;
        for number in 0..self.nodes.len() {
            cancellation.step()?;
            if used[number] {
                let mut node = self.nodes[number];
                if node.parent != ROOT {
                    node.parent = numbers[node.parent as usize];
                }
                self.nodes[kept] = node;
                numbers[number] = kept as u32;
                kept += 1;
            }
        }
        self.nodes.truncate(kept);
        self.sweep_at = FIRST_SWEEP.max(2 * kept);
        for head in heads {
            *head = numbers[*head as usize];
        }
        Ok(())
    }

    /// The steps that led to `head`, the first first.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the time is up.
    pub(super) fn steps(
        &self,
        head: u32,
        cancellation: &Cancellation<'_>,
    ) -> Result<Vec<Node>, Stopped> {
        let mut steps = Vec::new();
        let mut at = head;
        while at != ROOT {
            cancellation.step()?;
            let node = self.nodes[at as usize];
            steps.push(node);
            at = node.parent;
        }
        steps.reverse();
        Ok(steps)
    }

    /// Bytes; those that reclaiming needs for a moment included.
    pub(super) const fn bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>() + self.nodes.len() * (size_of::<u32>() + 1)
    }
}
