//! Picks from a violation the handful of operations that prove it.
//!
//! Leaving operations out is sound as long as no observer loses its writer: what is left of a
//! linearizable history is then linearizable. So evidence is closed under *writer of what it
//! observed*. A long chain of compare-and-sets would drag itself in whole that way; it is cut by
//! listing the last one as the plain write that it also is, which only relaxes what is asked of an
//! order. A write of unknown outcome comes with an observer, without which it might not have been.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use super::blocks::{Block, Blocks, NONE};
use super::chains::Zone;
use crate::verdict::Relation;

/// How many compare-and-sets before the first one that matters are listed as they are.
const PREFIX: usize = 8;

/// A violation as the passes over the history find it. Numbers are places of spans.
#[derive(Debug)]
pub(super) enum Finding {
    /// A compare-and-set did not match although it saw what it expected.
    RefusedItsOwn { cas: u32 },
    /// It observed a value that was never written.
    FromNowhere { observer: u32 },
    /// Two compare-and-sets replaced the same value.
    SwappedTwice { first: u32, second: u32 },
    /// It came back with a value whose writer was invoked later.
    BeforeItsWriter { writer: u32, observer: u32 },
    /// An operation of the block came back before one of an earlier block of its chain was invoked.
    AgainstChain { block: u32 },
    /// Each compare-and-set waits for the one before, the first for the last.
    Circle { swaps: Vec<u32> },
    /// Of each chain an operation came back before one of the other was invoked.
    Conflict { one: Zone, other: Zone },
}

/// Why it is a violation. Numbers are places of spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Explanation {
    RefusedItsOwn {
        cas: u32,
    },
    FromNowhere {
        observer: u32,
    },
    SwappedTwice {
        first: u32,
        second: u32,
    },
    Circle {
        swaps: Vec<u32>,
    },
    /// `observer` came back before `writer`, whose value it saw or built on, was invoked.
    Future {
        writer: u32,
        observer: u32,
    },
    /// `reader` saw a value after `newer`, which wrote or saw the one that replaced it.
    Stale {
        reader: u32,
        newer: u32,
    },
    /// `reader` saw the value that `write` had replaced, and what it wrote was never observed.
    Lost {
        reader: u32,
        write: u32,
    },
    /// One saw a value of one chain before one of the other, one the other way round.
    Contradiction {
        one: [u32; 2],
        other: [u32; 2],
    },
}

/// The operations that prove a violation, and what is to be said about them.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// The operations by invocation, as places of spans.
    pub members: Vec<Member>,
    /// A cycle of what must come before what, as places of spans.
    pub(super) edges: Vec<(u32, u32, Relation)>,
    pub(super) explanation: Explanation,
    /// For what is stale: by how many values.
    pub(super) versions: Option<u64>,
}

/// One operation of the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its place in the spans.
    pub span: u32,
    /// Whether it is a compare-and-set of which only what it wrote matters.
    pub as_write: bool,
}

/// One block of a chain, while two chains are compared.
struct Row {
    block: u32,
    first_return: u64,
    last_invocation: u64,
}

/// The operations by which one chain contradicts another, and the blocks that they lie in.
struct Side {
    /// Came back before the other chain's `late` was invoked; absent for the initial value's
    /// writer.
    early: Option<u32>,
    /// Was invoked after the other chain's `early` came back.
    late: u32,
    /// The blocks from that of the one to that of the other.
    blocks: Vec<u32>,
}

impl Blocks<'_> {
    pub(super) fn evidence(&self, finding: &Finding) -> Evidence {
        let mut evidence = self.prove_finding(finding);
        if let Explanation::Stale { reader, .. } | Explanation::Lost { reader, .. } =
            evidence.explanation
        {
            evidence.versions = Some(self.newer_versions(reader));
        }
        evidence
    }

    /// How many values had surely come after the one that `reader` saw, and been there, when it was
    /// invoked.
    fn newer_versions(&self, reader: u32) -> u64 {
        let seen = self.observed(reader).and_then(|value| self.block_of(value));
        let seen = self.block(seen.unwrap_or(self.home[reader as usize]));
        let invoked = self.span(reader).invoked;
        let is_newer = |block: &&Block| {
            block.kept
                && block.writer != NONE
                && self.span(block.writer).invoked > seen.first_return
                && block.first_return < invoked
        };
        // The proof shows one.
        (self.blocks.iter().filter(is_newer).count() as u64).max(1)
    }

    fn prove_finding(&self, finding: &Finding) -> Evidence {
        match finding {
            &Finding::RefusedItsOwn { cas } => Evidence {
                members: vec![Member { span: cas, as_write: false }],
                edges: Vec::new(),
                explanation: Explanation::RefusedItsOwn { cas },
                versions: None,
            },
            &Finding::FromNowhere { observer } => {
                self.prove(vec![observer], Vec::new(), Explanation::FromNowhere { observer })
            }
            &Finding::SwappedTwice { first, second } => {
                let edges = vec![
                    (first, second, Relation::OverwrittenBefore),
                    (second, first, Relation::OverwrittenBefore),
                ];
                self.prove(vec![first, second], edges, Explanation::SwappedTwice { first, second })
            }
            Finding::Circle { swaps } => {
                let following = swaps.iter().cycle().skip(1);
                let edges = swaps.iter().zip(following);
                let edges = edges.map(|(&a, &b)| (a, b, Relation::ReadsFrom)).collect();
                self.prove(swaps.clone(), edges, Explanation::Circle { swaps: swaps.clone() })
            }
            &Finding::BeforeItsWriter { writer, observer } => {
                self.future(writer, observer, Vec::new())
            }
            &Finding::AgainstChain { block } => self.against_chain(block),
            &Finding::Conflict { one, other } => self.conflict(one, other),
        }
    }

    /// `links` are the compare-and-sets that lead from the value of `writer` to the one that
    /// `observer` saw.
    fn future(&self, writer: u32, observer: u32, links: Vec<u32>) -> Evidence {
        let mut path = vec![writer];
        path.extend(links);
        if path.last() != Some(&observer) {
            path.push(observer);
        }
        let mut edges: Vec<_> =
            path.windows(2).map(|pair| (pair[0], pair[1], Relation::ReadsFrom)).collect();
        edges.push((observer, writer, Relation::RealTime));
        self.prove(path.split_off(1), edges, Explanation::Future { writer, observer })
    }

    /// Some operation of `number` came back before one of an earlier block was invoked: takes the
    /// nearest such block.
    fn against_chain(&self, number: u32) -> Evidence {
        let early = self.earliest_return(number, 0).expect("a block that returned");
        let returned = self.span(early).returned;
        let mut links = vec![self.block(number).writer];
        let mut earlier = self.block(number).previous;
        while self.block(earlier).last_invocation < returned {
            links.push(self.block(earlier).writer);
            earlier = self.block(earlier).previous;
        }
        links.reverse();
        let late = self.earliest_return(earlier, returned).expect("a block with a late invocation");
        if self.is_writer(late) {
            return self.future(late, early, links);
        }
        let newer = self.block(number).writer;
        let mut edges = vec![(late, newer, Relation::OverwrittenBefore)];
        if newer != early {
            edges.push((newer, early, Relation::ReadsFrom));
        }
        edges.push((early, late, Relation::RealTime));
        let mut core = links;
        core.extend([late, early]);
        self.prove(core, edges, Explanation::Stale { reader: late, newer: early })
    }

    fn conflict(&self, one: Zone, other: Zone) -> Evidence {
        let (rows, other_rows) = (self.rows(one), self.rows(other));
        let new = self.side(&other_rows, one.last_invocation, one.first_return);
        let early = new.early.map_or(0, |span| self.span(span).returned);
        let old = self.side(&rows, self.span(new.late).invoked, early);
        // The chain whose last operation was invoked last is the one that should have been gone by
        // then. The initial value was there first, whatever its chain did later.
        let swap = match (old.early, new.early) {
            (None, _) => false,
            (_, None) => true,
            _ => self.span(old.late).invoked < self.span(new.late).invoked,
        };
        let (old, new) = if swap { (new, old) } else { (old, new) };
        self.explain_conflict(&old, &new)
    }

    fn explain_conflict(&self, old: &Side, new: &Side) -> Evidence {
        let (reader, newer) = (old.late, new.early.expect("the newer chain was written"));
        let writer = self.block(self.home[newer as usize]).writer;
        let mut edges = vec![(reader, writer, Relation::OverwrittenBefore)];
        if writer != newer {
            edges.push((writer, newer, Relation::ReadsFrom));
        }
        edges.push((newer, reader, Relation::RealTime));

        let mut core: Vec<u32> = [Some(old.late), old.early, Some(new.late), new.early]
            .into_iter()
            .flatten()
            .filter(|&span| !self.is_writer(span))
            .collect();
        for side in [old, new] {
            core.extend(side.blocks.iter().skip(1).map(|&block| self.block(block).writer));
            // Alone in its block, the first writer matters for what it wrote; it may be cut off
            // from what it replaced.
            core.extend(side.blocks.first().map(|&block| self.block(block).writer));
        }
        let first_writers = [old, new].map(|side| self.block(side.blocks[0]).writer);
        core.retain(|&span| span != NONE);
        let explanation = self.conflict_explanation(old, new, reader, newer, writer);
        self.prove_from(core, &first_writers, edges, explanation)
    }

    fn conflict_explanation(
        &self,
        old: &Side,
        new: &Side,
        reader: u32,
        newer: u32,
        writer: u32,
    ) -> Explanation {
        // Had the newer chain begun only after the older one was there?
        let seen_old = old.early.map_or(0, |span| self.span(span).returned);
        let began = [newer, writer].into_iter().chain([self.block(new.blocks[0]).writer]);
        let replaced =
            began.filter(|&span| span != NONE).any(|span| self.span(span).invoked > seen_old);
        let home = self.block(self.home[newer as usize]);
        match old.early {
            Some(early) if !replaced => {
                Explanation::Contradiction { one: [early, new.late], other: [newer, reader] }
            }
            _ if newer == writer && home.seen_by == NONE => {
                Explanation::Lost { reader, write: writer }
            }
            _ => Explanation::Stale { reader, newer },
        }
    }

    /// The two operations of a chain, in blocks as near to each other as can be, of which one came
    /// back before `before` and one was invoked after `after`. Prefers the writer of the first of
    /// these blocks, which will be part of the evidence anyway.
    fn side(&self, rows: &[Row], before: u64, after: u64) -> Side {
        let (early_row, late_row) =
            nearest(rows, |row| row.first_return < before, |row| row.last_invocation > after);
        let mut blocks: Vec<u32> = rows[early_row.min(late_row)..=early_row.max(late_row)]
            .iter()
            .map(|row| row.block)
            .collect();
        let writer = self.block(blocks[0]).writer;
        let (early, late) = (rows[early_row].block, rows[late_row].block);
        let early = if writer == NONE && early == blocks[0] {
            None
        } else if writer != NONE && self.span(writer).returned < before {
            Some(writer)
        } else {
            self.earliest_return(early, 0)
        };
        let late = if writer != NONE && self.span(writer).invoked > after {
            writer
        } else {
            self.earliest_return(late, after).expect("a row with a late invocation")
        };
        let far = |span: u32| blocks.iter().position(|&block| block == self.home[span as usize]);
        let reach = early.and_then(far).max(far(late)).unwrap_or(0);
        blocks.truncate(reach + 1);
        Side { early, late, blocks }
    }

    fn rows(&self, zone: Zone) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut number = zone.head;
        while number != NONE {
            let &Block { first_return, last_invocation, next, .. } = self.block(number);
            rows.push(Row { block: number, first_return, last_invocation });
            number = next;
        }
        rows
    }

    /// Of the block's operations invoked after `after`, the one that came back first.
    fn earliest_return(&self, block: u32, after: u64) -> Option<u32> {
        (0_u32..)
            .zip(self.spans.iter().zip(&self.home))
            .filter(|(_, (span, home))| **home == block && span.invoked > after)
            .min_by_key(|(_, (span, _))| span.returned)
            .map(|(place, _)| place)
    }

    fn prove(
        &self,
        core: Vec<u32>,
        edges: Vec<(u32, u32, Relation)>,
        explanation: Explanation,
    ) -> Evidence {
        self.prove_from(core, &[], edges, explanation)
    }

    /// Closes `core` as the module describes. Of the `cuttable` among it only what they wrote
    /// matters.
    fn prove_from(
        &self,
        mut core: Vec<u32>,
        cuttable: &[u32],
        edges: Vec<(u32, u32, Relation)>,
        explanation: Explanation,
    ) -> Evidence {
        let boundary: Vec<u32> =
            core.iter().copied().filter(|span| cuttable.contains(span)).collect();
        core.retain(|span| !boundary.contains(span));
        let mut members: BTreeMap<u32, bool> = core.iter().map(|&span| (span, false)).collect();
        for span in boundary {
            self.add_writer(span, &mut members);
        }
        let mut pending = core;
        while let Some(span) = pending.pop() {
            let writer = self.observed(span).and_then(|value| self.block_of(value));
            if let Some(writer) = writer.map(|block| self.block(block).writer)
                && writer != NONE
                && !members.contains_key(&writer)
            {
                self.add_writer(writer, &mut members);
            }
            if pending.is_empty() {
                pending = self.missing_observers(&members);
                members.extend(pending.iter().map(|&observer| (observer, false)));
            }
        }
        let members = members.into_iter().map(|(span, as_write)| Member { span, as_write });
        Evidence { members: members.collect(), edges, explanation, versions: None }
    }

    /// Adds a writer with the compare-and-sets that lead to it, or without if these are many.
    fn add_writer(&self, writer: u32, members: &mut BTreeMap<u32, bool>) {
        let mut prefix = vec![writer];
        let mut last = writer;
        while let Some(expected) = self.observed(last) {
            let Some(block) = self.block_of(expected) else { break };
            last = self.block(block).writer;
            if last == NONE || members.get(&last) == Some(&false) {
                break;
            }
            if prefix.len() > PREFIX || prefix.contains(&last) {
                members.entry(writer).or_insert(true);
                return;
            }
            prefix.push(last);
        }
        members.extend(prefix.into_iter().map(|span| (span, false)));
    }

    /// Observers of the members of unknown outcome that may as well not have happened: of those to
    /// which no line of observations leads from a member that completed.
    fn missing_observers(&self, members: &BTreeMap<u32, bool>) -> Vec<u32> {
        let mut grounded = FxHashSet::default();
        let completed = members.keys().copied().filter(|&span| self.span(span).is_completed());
        let mut pending: Vec<u32> = completed.collect();
        while let Some(observer) = pending.pop() {
            if members.get(&observer) != Some(&false) {
                continue;
            }
            let block = self.observed(observer).and_then(|value| self.block_of(value));
            let Some(writer) = block.map(|block| self.block(block).writer) else { continue };
            if writer != NONE && !self.span(writer).is_completed() && grounded.insert(writer) {
                pending.push(writer);
            }
        }
        members
            .keys()
            .filter(|span| !self.span(**span).is_completed() && !grounded.contains(span))
            .map(|&span| self.block(self.home[span as usize]).seen_by)
            .filter(|seen| members.get(seen) != Some(&false))
            .collect()
    }
}

/// The pair of an `early` and a `late` row that is nearest to each other; the first of several.
fn nearest(
    rows: &[Row],
    early: impl Fn(&Row) -> bool,
    late: impl Fn(&Row) -> bool,
) -> (usize, usize) {
    let (mut last_early, mut last_late) = (None, None);
    let mut best: Option<(usize, usize)> = None;
    for (place, row) in rows.iter().enumerate() {
        if early(row) {
            last_early = Some(place);
        }
        if late(row) {
            last_late = Some(place);
        }
        if let (Some(early), Some(late)) = (last_early, last_late)
            && best.is_none_or(|(e, l): (usize, usize)| early.abs_diff(late) < e.abs_diff(l))
        {
            best = Some((early, late));
        }
    }
    best.expect("zones that conflict have both")
}
