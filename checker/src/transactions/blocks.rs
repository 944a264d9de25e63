//! What is certain of the order of versions of registers.

use rustc_hash::FxHashMap;

use super::data::{INITIAL, NONE, Transactions};
use super::graph::{Edges, Graph, kind};
use super::registers::Registers;
use crate::engines::{Cancellation, Stopped};
use crate::isolation::OrderGuarantee;

/// A version with its reads: when the first of them came back and the last was invoked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    pub(crate) version: u32,
    pub(crate) writer: u32,
    pub(crate) first_return: u64,
    pub(crate) last_invocation: u64,
}

/// Two writers of a key, by their versions, of which the first is the older.
pub(crate) type Older = (u32, u32);

/// The blocks of a key.
pub(crate) fn of_key(read: &Transactions<'_>, registers: &Registers, key: u32) -> Vec<Block> {
    let writers = registers.writers.of(key).iter();
    writers
        .map(|&version| {
            let writer = read.versions[version as usize].transaction;
            let own = &read.all[writer as usize];
            let mut block = Block {
                version,
                writer,
                first_return: own.completed,
                last_invocation: own.invoked,
            };
            for reader in registers.readers.of(version) {
                let reader = &read.all[*reader as usize];
                block.first_return = block.first_return.min(reader.completed);
                block.last_invocation = block.last_invocation.max(reader.invoked);
            }
            block
        })
        .collect()
}

/// The most versions of a key of which every pair is listed that is in order. Of more, those pairs are
/// left out that follow from others.
const MOST_LISTED: usize = 16;

/// The versions of a key of which the order is certain, if what is kept is kept: those that their
/// writers replaced, and those that real time or a process has in this order.
///
/// What is left out follows from what is there: if a version is older than a second one, and this than a
/// third, its writer and readers come before the second one's writer, and that before the third one's.
pub(crate) fn certain(
    read: &Transactions<'_>,
    registers: &Registers,
    blocks: &[Block],
    keeps: OrderGuarantee,
) -> Vec<Older> {
    let mut older = Vec::new();
    for block in blocks {
        let replaced = registers.replaced[block.version as usize];
        if replaced < INITIAL {
            older.push((replaced, block.version));
        }
    }
    match keeps {
        OrderGuarantee::Nothing => {}
        OrderGuarantee::Sessions => by_process(read, blocks, &mut older),
        OrderGuarantee::RealTime if blocks.len() <= MOST_LISTED => {
            for one in blocks {
                let others = blocks.iter().filter(|other| other.version != one.version);
                let newer = others.filter(|other| one.first_return < other.last_invocation);
                older.extend(newer.map(|other| (one.version, other.version)));
            }
        }
        OrderGuarantee::RealTime => by_time(blocks, &mut older),
    }
    older
}

/// Each version with the next one of the same process.
fn by_process(read: &Transactions<'_>, blocks: &[Block], older: &mut Vec<Older>) {
    let process = |block: &Block| {
        let writer = &read.all[block.writer as usize];
        (writer.process, writer.invoked, block.version)
    };
    let mut all: Vec<_> = blocks.iter().map(process).collect();
    all.sort_unstable();
    let next = all.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    older.extend(next.map(|pair| (pair[0].2, pair[1].2)));
}

/// Each version with those that came after it in time, without any that came after the one of these which
/// was the first to be there.
fn by_time(blocks: &[Block], older: &mut Vec<Older>) {
    let mut all: Vec<&Block> = blocks.iter().collect();
    all.sort_unstable_by_key(|block| (block.last_invocation, block.version));
    // Of every end of the list the two blocks that were there first.
    let mut firsts: Vec<[Option<&Block>; 2]> = vec![[None; 2]; all.len() + 1];
    for at in (0..all.len()).rev() {
        let [first, second] = firsts[at + 1];
        let is_before = |other: Option<&Block>| {
            other.is_none_or(|other| all[at].first_return < other.first_return)
        };
        firsts[at] = if is_before(first) {
            [Some(all[at]), first]
        } else if is_before(second) {
            [first, Some(all[at])]
        } else {
            [first, second]
        };
    }
    for one in blocks {
        let begin = all.partition_point(|other| other.last_invocation <= one.first_return);
        let mut next = firsts[begin].iter().flatten().filter(|next| next.version != one.version);
        let Some(next) = next.next() else { continue };
        older.push((one.version, next.version));
        for other in &all[begin..] {
            if other.last_invocation > next.first_return {
                break;
            }
            if other.version != one.version && other.version != next.version {
                older.push((one.version, other.version));
            }
        }
    }
}

/// Adds what follows from one version being older than another: its writer and its readers come
/// before the other's writer.
pub(crate) fn add_older(
    read: &Transactions<'_>,
    registers: &Registers,
    (first, second): Older,
    edges: &mut Edges,
) {
    let writer = |version: u32| read.versions[version as usize].transaction;
    edges.add(writer(first), writer(second), kind::WW);
    for &reader in registers.readers.of(first) {
        edges.add(reader, writer(second), kind::RW);
    }
}

/// The graph of what is certain: who read from whom, that initial versions are the first, those pairs
/// of versions, processes, and real time.
pub(crate) fn graph(
    read: &Transactions<'_>,
    registers: &Registers,
    older: &[Older],
    cancellation: &Cancellation<'_>,
) -> Result<Graph, Stopped> {
    let mut edges = Edges::new(&registers.effective, 2 * read.micro.len() + 4 * read.all.len());
    for version in 0..read.versions.len() as u32 {
        cancellation.step()?;
        let writer = read.versions[version as usize].transaction;
        for &reader in registers.readers.of(version) {
            edges.add(writer, reader, kind::WR);
        }
    }
    for key in 0..read.keys.len() as u32 {
        cancellation.step()?;
        let writers: Vec<u32> = registers
            .writers
            .of(key)
            .iter()
            .map(|version| read.versions[*version as usize].transaction)
            .collect();
        edges.add_all(registers.first_readers.of(key), &writers, kind::RW);
    }
    for &pair in older {
        cancellation.step()?;
        add_older(read, registers, pair, &mut edges);
    }
    edges.add_times(read);
    Ok(edges.graph())
}

/// A guess at the order of a key's versions: by when each was first known to be there, after the one
/// that its writer replaced.
pub(crate) fn guess(registers: &Registers, blocks: &mut [Block]) -> Vec<u32> {
    blocks.sort_unstable_by_key(|block| (block.first_return, block.last_invocation));
    let places: FxHashMap<u32, usize> = blocks.iter().map(|one| one.version).zip(0..).collect();
    let place = |version: u32| places.get(&version).copied();
    let mut next = vec![None; blocks.len()];
    let mut follows = vec![false; blocks.len()];
    for (at, block) in blocks.iter().enumerate() {
        let before = registers.replaced[block.version as usize];
        if before < INITIAL
            && before != NONE
            && let Some(before) = place(before)
            && next[before].is_none()
        {
            next[before] = Some(at);
            follows[at] = true;
        }
    }
    let mut order = Vec::with_capacity(blocks.len());
    let mut is_placed = vec![false; blocks.len()];
    // Those that replace each other in a circle have no beginning, and come last.
    let beginnings = (0..blocks.len()).filter(|at| !follows[*at]);
    for start in beginnings.chain(0..blocks.len()) {
        let mut at = Some(start);
        while let Some(place) = at.filter(|place| !is_placed[*place]) {
            is_placed[place] = true;
            order.push(blocks[place].version);
            at = next[place];
        }
    }
    order
}
