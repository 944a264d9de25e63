//! Follows blocks along compare-and-sets, and lays the chains out in time.
//!
//! The operations of a chain can only take effect block by block, the writer of each before its
//! readers, and with no foreign write in between. So a chain claims the register as a whole.

use super::blocks::{Block, Blocks, EarlyEnd, INITIAL, NONE, NoOrder};
use super::evidence::Finding;
use crate::engines::{Cancellation, Stopped};

/// When a chain holds the register.
#[derive(Debug, Clone, Copy)]
pub(super) struct Zone {
    /// The chain's first block.
    pub head: u32,
    /// The least return of the chain's operations; 0 for the chain of the initial value.
    pub first_return: u64,
    /// The greatest invocation of the chain's operations.
    pub last_invocation: u64,
}

impl Zone {
    /// Whether the chain surely holds the register from its first return to its last invocation.
    const fn is_forward(self) -> bool {
        self.first_return < self.last_invocation
    }

    fn low(self) -> u64 {
        self.first_return.min(self.last_invocation)
    }

    fn high(self) -> u64 {
        self.first_return.max(self.last_invocation)
    }
}

/// The zones by their lower ends, which is also an order in which the chains can take effect.
pub(super) fn zones(blocks: &Blocks<'_>) -> Result<Vec<Zone>, NoOrder> {
    let found = trace(blocks).and_then(|mut zones| {
        blocks.cancellation.sort_by_key(&mut zones, |zone| zone.low())?;
        sweep(&zones, blocks.cancellation).map(|()| zones)
    });
    found.map_err(|halt| blocks.refusal(halt))
}

/// Walks every chain from its head; checks that its operations can take effect block by block.
fn trace(blocks: &Blocks<'_>) -> Result<Vec<Zone>, EarlyEnd> {
    let mut zones = Vec::with_capacity(blocks.blocks.len());
    let mut traced = 0;
    for (head, block) in (INITIAL..).zip(&blocks.blocks) {
        blocks.cancellation.step()?;
        if block.kept && block.previous == NONE {
            let (zone, length) = walk(blocks, head)?;
            traced += length;
            // Nobody saw the initial value: it claims nothing.
            if zone.last_invocation > 0 {
                zones.push(zone);
            }
        }
    }
    // Every block has at most one predecessor, so one that no walk met lies on a circle.
    if traced < blocks.cancellation.count(&blocks.blocks, |block| block.kept)? {
        return Err(circle(blocks).into());
    }
    Ok(zones)
}

fn walk(blocks: &Blocks<'_>, head: u32) -> Result<(Zone, usize), EarlyEnd> {
    let mut zone = Zone { head, first_return: u64::MAX, last_invocation: 0 };
    let mut length = 0;
    let mut number = head;
    while number != NONE {
        blocks.cancellation.step()?;
        let block = blocks.block(number);
        // What an earlier block's operation was invoked after has returned too early.
        if block.first_return < zone.last_invocation {
            return Err(Finding::AgainstChain { block: number }.into());
        }
        zone.first_return = zone.first_return.min(block.first_return);
        zone.last_invocation = zone.last_invocation.max(block.last_invocation);
        length += 1;
        number = block.next;
    }
    Ok((zone, length))
}

fn circle(blocks: &Blocks<'_>) -> Finding {
    let mut met = vec![false; blocks.blocks.len()];
    let heads = |block: &Block| block.kept && block.previous == NONE;
    for (head, _) in (INITIAL..).zip(&blocks.blocks).filter(|(_, block)| heads(block)) {
        let mut number = head;
        while number != NONE {
            met[number as usize] = true;
            number = blocks.block(number).next;
        }
    }
    let start = (INITIAL..)
        .zip(&blocks.blocks)
        .find(|(number, block)| block.kept && !met[*number as usize])
        .map(|(number, _)| number)
        .expect("some block was not traced");
    let mut swaps = vec![blocks.block(start).writer];
    let mut number = blocks.block(start).next;
    // Going forward from a block on a circle comes back to it: no block has two predecessors.
    while number != start {
        swaps.push(blocks.block(number).writer);
        number = blocks.block(number).next;
    }
    Finding::Circle { swaps }
}

/// Looks for zones that exclude each other, in one pass by lower ends. Of several pairs reports the
/// one whose operations were all invoked earliest.
fn sweep(zones: &[Zone], cancellation: &Cancellation<'_>) -> Result<(), EarlyEnd> {
    let mut forward: Option<Zone> = None;
    let mut earliest: Option<(u64, Finding)> = None;
    for &zone in zones {
        cancellation.step()?;
        if let Some(last) = forward {
            let overlaps = zone.low() < last.high();
            if overlaps && (zone.is_forward() || zone.high() < last.high()) {
                let complete = last.last_invocation.max(zone.last_invocation);
                if earliest.as_ref().is_none_or(|(other, _)| complete < *other) {
                    earliest = Some((complete, Finding::Conflict { one: last, other: zone }));
                }
            }
        }
        if zone.is_forward() && forward.is_none_or(|last| last.high() < zone.high()) {
            forward = Some(zone);
        }
    }
    earliest.map_or(Ok(()), |(_, finding)| Err(finding.into()))
}

/// The order of all operations: chain by chain, block by block, each writer before its readers.
///
/// A chain with a forward zone fits inside it: every operation's interval meets the zone. Forward
/// zones are disjoint, which leaves gaps. A chain with a backward zone fits at any one point of it,
/// since all its operations overlap there: at its lower end if that is in a gap, otherwise just
/// after the forward zone in which that end lies. Sorted by lower ends, chains already stand in the
/// order of these places.
pub(super) fn layout(blocks: &Blocks<'_>, zones: &[Zone]) -> Result<Vec<u32>, Stopped> {
    let (starts, readers) = readers_by_block(blocks)?;
    let mut order = Vec::with_capacity(blocks.spans.len());
    for zone in zones {
        let mut number = zone.head;
        while number != NONE {
            blocks.cancellation.step()?;
            let block = blocks.block(number);
            if block.writer != NONE {
                order.push(block.writer);
            }
            let (from, to) = (starts[number as usize], starts[number as usize + 1]);
            order.extend_from_slice(&readers[from as usize..to as usize]);
            number = block.next;
        }
    }
    Ok(order)
}

/// The readers of block `b` in `readers[starts[b]..starts[b + 1]]`, by invocation: a counting sort.
fn readers_by_block(blocks: &Blocks<'_>) -> Result<(Vec<u32>, Vec<u32>), Stopped> {
    let reads = |span: u32| {
        let home = blocks.home[span as usize];
        (home != NONE && blocks.block(home).writer != span).then_some(home as usize)
    };
    let mut starts = vec![0_u32; blocks.blocks.len() + 2];
    for span in 0..blocks.spans.len() as u32 {
        blocks.cancellation.step()?;
        if let Some(home) = reads(span) {
            starts[home + 2] += 1;
        }
    }
    for place in 2..starts.len() {
        starts[place] += starts[place - 1];
    }
    let mut readers = vec![NONE; starts[starts.len() - 1] as usize];
    for span in 0..blocks.spans.len() as u32 {
        blocks.cancellation.step()?;
        if let Some(home) = reads(span) {
            readers[starts[home + 1] as usize] = span;
            starts[home + 1] += 1;
        }
    }
    Ok((starts, readers))
}
