//! Decides levels of registers, whose versions have no certain order.
//!
//! First it is looked whether one likely order of all versions has no cycle; then whether what is certain
//! has one; and then pairs of versions of a key are tried either way ([`refine`](super::refine)).

use std::cell::OnceCell;

use super::blocks::{self, Block, Older};
use super::data::{Lists, NONE, Transactions};
use super::found::{Found, Proof, named_cycle, transactions_of};
use super::graph::{Graph, kind};
use super::judge::Judge;
use super::order::Order;
use super::refine::{Refined, Refinement};
use super::registers::Registers;
use super::saturate::{Saturated, Saturation};
use super::{dependencies, snapshot};
use crate::engines::{Cancellation, Stopped};
use crate::isolation::{IsolationLevel, OrderGuarantee};

/// What was inferred of registers.
pub(super) struct KnownRegisters<'a, 'h> {
    pub(super) read: &'a Transactions<'h>,
    pub(super) registers: &'a Registers,
    pub(super) blocks: Vec<Vec<Block>>,
    /// A likely order of versions.
    pub(super) guess: Order,
    timed: OnceCell<Graph>,
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
        let guess = Order { position, observed, unseen, effective };
        Self { read, registers, blocks, guess, timed: OnceCell::new() }
    }

    fn older(&self, keeps: OrderGuarantee) -> Vec<Older> {
        let blocks = self.blocks.iter();
        blocks
            .flat_map(|of_key| blocks::certain(self.read, self.registers, of_key, keeps))
            .collect()
    }

    /// What is certain if real time is kept.
    fn timed(&self, cancellation: &Cancellation<'_>) -> Result<&Graph, Stopped> {
        if let Some(graph) = self.timed.get() {
            return Ok(graph);
        }
        let older = self.older(OrderGuarantee::RealTime);
        let graph = blocks::graph(self.read, self.registers, &older, cancellation)?;
        Ok(self.timed.get_or_init(|| graph))
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
        let likely = dependencies::graph(known.read, &known.guess, self.cancellation)?;
        for (level, besides) in [
            (StrictSerializable, kind::REAL_TIME),
            (StrongSessionSerializable, kind::SESSION),
            (Serializable, 0),
        ] {
            self.cancellation.ask()?;
            if found.ladder.of(level).is_some() {
                continue;
            }
            if let Some(order) = likely.sorted(kind::DEPENDENCIES | besides) {
                found.hold(level, transactions_of(&likely, &order));
                continue;
            }
            let older = known.older(level.keeps());
            let certain = blocks::graph(known.read, known.registers, &older, self.cancellation)?;
            match certain.sorted(kind::DEPENDENCIES | besides) {
                None => found.violate(level, named_cycle(&certain, besides).map(Proof::Cycle)),
                Some(_) => {
                    let kinds = kind::DEPENDENCIES | besides;
                    self.search(known, (&certain, &likely, kinds), level, found)?;
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

    /// Looks for an order of versions, and of transactions or of their starts and commits. A level that
    /// does not keep real time is mostly kept by an order that follows it wherever that can be: so it
    /// is looked for first.
    fn search(
        &self,
        known: &KnownRegisters<'_, 'h>,
        (certain, likely, kinds): (&Graph, &Graph, u8),
        level: IsolationLevel,
        found: &mut Found,
    ) -> Result<(), Stopped> {
        if level.keeps() != OrderGuarantee::RealTime {
            let timed = known.timed(self.cancellation)?;
            let assumed = certain.with_all_that_fits(timed, kinds, kinds | kind::TIMES);
            let graphs = (&assumed, likely, kinds | kind::TIMES);
            if let Refined::Order(order) = self.refine(known, graphs, level)? {
                found.hold(level, order);
                return Ok(());
            }
        }
        match self.refine(known, (certain, likely, kinds), level)? {
            Refined::Order(order) => found.hold(level, order),
            Refined::Impossible(pairs) => {
                found.violate(level, Some(Proof::Tried(self.contested(known, &pairs))));
            }
            Refined::Undecided(doubtful) => {
                let pairs = |of_key: &Vec<Block>| of_key.len() * of_key.len().saturating_sub(1) / 2;
                let all: usize = known.blocks.iter().map(pairs).sum();
                found.reasons.push(format!(
                    "{level}: the search used up its budget; of {all} pairs of versions {doubtful} were \
                     in doubt"
                ));
            }
        }
        Ok(())
    }

    /// Looks for an order with those graphs of what is certain and what is likely, of transactions.
    fn refine(
        &self,
        known: &KnownRegisters<'_, 'h>,
        (certain, likely, kinds): (&Graph, &Graph, u8),
        level: IsolationLevel,
    ) -> Result<Refined, Stopped> {
        let cancellation = self.cancellation;
        let is_snapshots = matches!(
            level,
            IsolationLevel::SnapshotIsolation | IsolationLevel::StrongSessionSnapshotIsolation
        );
        let events =
            is_snapshots.then(|| [certain, likely].map(|graph| snapshot::graph(graph, kinds, &[])));
        let ([certain, likely], kinds) = match &events {
            Some([certain, likely]) => ([certain, likely], u8::MAX),
            None => ([certain, likely], kinds),
        };
        let refinement = Refinement { known, certain, likely, kinds, is_snapshots, cancellation };
        Ok(match refinement.run()? {
            Refined::Order(order) => Refined::Order(transactions_of(certain, &order)),
            other => other,
        })
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
        let besides = if level.keeps() == OrderGuarantee::Sessions { kind::SESSION } else { 0 };
        let kinds = kind::DEPENDENCIES | besides;
        let events = snapshot::graph(likely, kinds, &[]);
        if let Some(order) = events.sorted(u8::MAX) {
            found.hold(level, transactions_of(&events, &order));
            return Ok(());
        }
        drop(events);
        let older = known.older(level.keeps());
        let certain = blocks::graph(known.read, known.registers, &older, self.cancellation)?;
        let events = snapshot::graph(&certain, kinds, &[]);
        if events.sorted(u8::MAX).is_none() {
            found.violate(level, snapshot::cycle(&events).map(Proof::Cycle));
            return Ok(());
        }
        drop(events);
        self.search(known, (&certain, likely, kinds), level, found)
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
        let certain = blocks::graph(known.read, known.registers, &[], self.cancellation)?;
        let (read, registers) = (known.read, known.registers);
        let saturation =
            Saturation { read, registers, graph: &certain, cancellation: self.cancellation };
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
