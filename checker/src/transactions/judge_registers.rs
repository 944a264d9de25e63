//! Decides levels of registers, whose versions have no certain order.
//!
//! First it is looked whether what is certain has a cycle; then whether one likely order of all versions
//! has none; and then, of every two versions of a key, either is tried as the older one
//! ([`polygraph`]).

use super::blocks::{self, Block, Older};
use super::data::{Lists, NONE, Transactions};
use super::found::{Found, Proof, named_cycle, transactions_of};
use super::graph::{Graph, kind};
use super::judge::Judge;
use super::order::Order;
use super::polygraph::{self, Choice, Solved};
use super::registers::Registers;
use super::saturate::{Saturated, Saturation};
use super::{dependencies, snapshot};
use crate::engines::Stopped;
use crate::isolation::{IsolationLevel, Keeps};

/// The most versions of a key of which every two are compared.
const MOST_VERSIONS: usize = 2_000;

/// The most pairs of versions of which either is tried as the older one.
const MOST_CHOICES: usize = 2_000_000;

/// How many nodes a search may look at.
const BUDGET: usize = 400_000_000;

/// What was inferred of registers.
pub(super) struct KnownRegisters<'a, 'h> {
    pub(super) read: &'a Transactions<'h>,
    pub(super) registers: &'a Registers,
    pub(super) blocks: Vec<Vec<Block>>,
    /// A likely order of versions.
    pub(super) guess: Order,
}

impl<'a, 'h> KnownRegisters<'a, 'h> {
    pub(super) fn new(read: &'a Transactions<'h>, registers: &'a Registers) -> Self {
        let keys = 0..read.keys.len() as u32;
        let mut blocks: Vec<Vec<Block>> =
            keys.map(|key| blocks::of_key(read, registers, key)).collect();
        let mut position = vec![NONE; read.versions.len()];
        let mut pairs = Vec::new();
        for (key, of_key) in (0..).zip(&mut blocks) {
            for (place, version) in (0..).zip(blocks::guess(registers, of_key)) {
                position[version as usize] = place;
                pairs.push((key, version));
            }
        }
        let observed = Lists::new(read.keys.len(), pairs.iter().copied());
        let effective = registers.effective.clone();
        let unseen = Lists::new(read.keys.len(), std::iter::empty());
        Self { read, registers, blocks, guess: Order { position, observed, unseen, effective } }
    }

    fn older(&self, keeps: Keeps) -> Vec<Older> {
        let blocks = self.blocks.iter();
        blocks
            .flat_map(|of_key| {
                let keeps = if of_key.len() > MOST_VERSIONS { Keeps::Nothing } else { keeps };
                blocks::certain(self.read, self.registers, of_key, keeps)
            })
            .collect()
    }

    /// Every two versions of a key of which it is not certain which is the older; nothing if there are
    /// too many.
    fn uncertain(&self, older: &[Older]) -> Option<Vec<[u32; 2]>> {
        let known: rustc_hash::FxHashSet<Older> = older.iter().copied().collect();
        let mut pairs = Vec::new();
        for of_key in &self.blocks {
            if of_key.len() > MOST_VERSIONS {
                return None;
            }
            for (at, one) in of_key.iter().enumerate() {
                for other in &of_key[at + 1..] {
                    let pair = (one.version, other.version);
                    if !known.contains(&pair) && !known.contains(&(pair.1, pair.0)) {
                        pairs.push([pair.0, pair.1]);
                    }
                }
            }
            if pairs.len() > MOST_CHOICES {
                return None;
            }
        }
        Some(pairs)
    }

    /// The nodes that must have an order if the first version is older: its writer and readers, and
    /// the other's writer.
    fn side(&self, graph: &Graph, [first, second]: [u32; 2]) -> Vec<(u32, u32, u8)> {
        let node = |transaction: u32| {
            graph.transactions.binary_search(&transaction).ok().map(|node| node as u32)
        };
        let writer = |version: u32| node(self.read.versions[version as usize].transaction);
        let (Some(one), Some(other)) = (writer(first), writer(second)) else { return Vec::new() };
        let readers = self.registers.readers.of(first).iter().filter_map(|reader| node(*reader));
        let readers = readers.filter(|reader| *reader != other);
        let edges = readers.map(|reader| (reader, other, kind::RW));
        std::iter::once((one, other, kind::WW)).chain(edges).collect()
    }
}

impl<'h> Judge<'_, 'h> {
    /// Decides all levels of registers.
    pub(super) fn decide_registers(
        &self,
        known: &KnownRegisters<'_, 'h>,
        found: &mut Found,
    ) -> Result<(), Stopped> {
        use IsolationLevel::{
            Serializable, SnapshotIsolation, StrictSerializable, StrongSessionSerializable,
            StrongSessionSnapshotIsolation,
        };
        let likely = dependencies::graph(known.read, &known.guess, self.patience)?;
        for (level, besides) in [
            (StrictSerializable, kind::REAL_TIME),
            (StrongSessionSerializable, kind::SESSION),
            (Serializable, 0),
        ] {
            self.patience.ask()?;
            if found.ladder.of(level).is_some() {
                continue;
            }
            if let Some(order) = likely.sorted(kind::DEPENDENCIES | besides) {
                found.hold(level, transactions_of(&likely, &order));
                continue;
            }
            let older = known.older(level.keeps());
            let certain = blocks::graph(known.read, known.registers, &older, self.patience)?;
            match certain.sorted(kind::DEPENDENCIES | besides) {
                None => found.violate(level, named_cycle(&certain, besides).map(Proof::Cycle)),
                Some(first) => {
                    self.search(known, (&certain, &first), (level, &older, besides), found)?;
                }
            }
        }
        for level in [StrongSessionSnapshotIsolation, SnapshotIsolation] {
            if found.ladder.of(level).is_none() {
                self.snapshots_of_registers(known, &likely, level, found)?;
            }
        }
        self.visible_of_registers(known, found)
    }

    /// Looks for an order of versions, and of transactions or of their starts and commits.
    fn search(
        &self,
        known: &KnownRegisters<'_, 'h>,
        (certain, first): (&Graph, &[u32]),
        (level, older, besides): (IsolationLevel, &[Older], u8),
        found: &mut Found,
    ) -> Result<(), Stopped> {
        let Some(pairs) = known.uncertain(older) else {
            found.reasons.push(format!(
                "{level}: one key has more than {MOST_VERSIONS} versions, or so many versions have \
                 no certain order that they were not compared"
            ));
            return Ok(());
        };
        let kinds = kind::DEPENDENCIES | besides;
        let is_snapshots = matches!(
            level,
            IsolationLevel::SnapshotIsolation | IsolationLevel::StrongSessionSnapshotIsolation
        );
        let place = |node: u32, kind: u8, is_from: bool| match (is_snapshots, kind) {
            (false, _) => node,
            (true, kind::RW) => 2 * node + u32::from(!is_from),
            (true, _) => 2 * node + u32::from(is_from),
        };
        let events =
            if is_snapshots { snapshot::graph(certain, kinds, &[]) } else { Graph::default() };
        let graph = if is_snapshots { &events } else { certain };
        let given = if is_snapshots { u8::MAX } else { kinds };
        let mut edges = Vec::new();
        for node in 0..graph.len() as u32 {
            let leaving = graph.edges(node).filter(|(_, kind)| kind & given != 0);
            edges.extend(leaving.map(|(to, _)| (node, to)));
        }
        let side = |pair: [u32; 2]| {
            let side = known.side(certain, pair).into_iter();
            side.map(|(from, to, kind)| (place(from, kind, true), place(to, kind, false))).collect()
        };
        let choices: Vec<Choice> =
            pairs.iter().map(|&[a, b]| Choice([side([a, b]), side([b, a])])).collect();
        match polygraph::solve(first, &edges, &choices, BUDGET, self.patience)? {
            Solved::Order(order) => {
                let transaction = |node: u32| graph.transactions.get(node as usize).copied();
                found.hold(level, order.into_iter().filter_map(transaction).collect());
            }
            Solved::Impossible => {
                found.violate(level, Some(Proof::Tried(self.contested(known, &pairs))));
            }
            Solved::Undecided { made, of } => {
                let all = of + older.len();
                found.reasons.push(format!(
                    "{level}: the search used up its budget; of {all} pairs of versions the order of \
                     {} was recovered",
                    made + older.len()
                ));
            }
        }
        Ok(())
    }

    /// The transactions that wrote versions of no certain order.
    fn contested(&self, known: &KnownRegisters<'_, 'h>, pairs: &[[u32; 2]]) -> Vec<u32> {
        let versions = pairs.iter().flatten();
        let mut writers: Vec<u32> =
            versions.map(|one| known.read.versions[*one as usize].transaction).collect();
        writers.sort_unstable();
        writers.dedup();
        writers
    }

    fn snapshots_of_registers(
        &self,
        known: &KnownRegisters<'_, 'h>,
        likely: &Graph,
        level: IsolationLevel,
        found: &mut Found,
    ) -> Result<(), Stopped> {
        let besides = if level.keeps() == Keeps::Sessions { kind::SESSION } else { 0 };
        let kinds = kind::DEPENDENCIES | besides;
        if let Some(order) = snapshot::graph(likely, kinds, &[]).sorted(u8::MAX) {
            let events = order
                .into_iter()
                .filter_map(|event| likely.transactions.get(event as usize / 2).copied());
            found.hold(level, events.collect());
            return Ok(());
        }
        let older = known.older(level.keeps());
        let certain = blocks::graph(known.read, known.registers, &older, self.patience)?;
        let events = snapshot::graph(&certain, kinds, &[]);
        match events.sorted(u8::MAX) {
            None => found.violate(level, snapshot::cycle(&events).map(Proof::Cycle)),
            Some(first) => {
                self.search(known, (&certain, &first), (level, &older, besides), found)?;
            }
        }
        Ok(())
    }

    /// The levels that say what must be seen.
    fn visible_of_registers(
        &self,
        known: &KnownRegisters<'_, 'h>,
        found: &mut Found,
    ) -> Result<(), Stopped> {
        let levels = [
            IsolationLevel::Causal,
            IsolationLevel::ReadAtomic,
            IsolationLevel::MonotonicAtomicView,
            IsolationLevel::ReadCommitted,
        ];
        if levels.iter().all(|level| found.ladder.of(*level).is_some()) {
            return Ok(());
        }
        let certain = blocks::graph(known.read, known.registers, &[], self.patience)?;
        let (read, registers) = (known.read, known.registers);
        let saturation = Saturation { read, registers, graph: &certain, patience: self.patience };
        for level in levels {
            if found.ladder.of(level).is_some() {
                continue;
            }
            match saturation.decide(level, self.options.memory)? {
                Saturated::Kept(order) => found.hold(level, transactions_of(&certain, &order)),
                Saturated::Broken(links, inferred) => {
                    found.violate(level, Some(Proof::Commits(links, inferred)));
                }
                Saturated::TooLarge => found.reasons.push(format!(
                    "{level}: the clocks of all processes need more than {} MiB",
                    self.options.memory >> 20
                )),
            }
        }
        Ok(())
    }
}
