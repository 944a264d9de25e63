//! Decides levels of lists, whose versions have a certain order.

use super::causal::{self, CausalCheck};
use super::cycles::{self, Pattern};
use super::data::{Lists, Transactions};
use super::found::{Found, Proof, named_cycle, transactions_of};
use super::graph::{Graph, kind};
use super::judge::Judge;
use super::order::Order;
use super::read_atomicity::{self, ReadAtomicityCheck};
use super::snapshot::{self, Snapshots};
use crate::engines::Stopped;
use crate::isolation::IsolationLevel;

/// What was inferred.
pub(super) struct Known<'a, 'h> {
    pub(super) read: &'a Transactions<'h>,
    pub(super) order: &'a Order,
    pub(super) graph: &'a Graph,
    /// Of every key the nodes of those who wrote what nobody saw.
    pub(super) unseen: &'a Lists,
}

impl<'h> Judge<'_, 'h> {
    /// Decides levels by orders and cycles.
    pub(super) fn decide_lists(
        &self,
        known: &Known<'_, 'h>,
        found: &mut Found,
    ) -> Result<(), Stopped> {
        self.serial(known, found)?;
        for (level, kinds) in [
            (IsolationLevel::StrongSessionSnapshotIsolation, kind::SESSION),
            (IsolationLevel::SnapshotIsolation, 0),
        ] {
            if found.ladder.of(level).is_none() {
                self.snapshots(known, (level, kind::DEPENDENCIES | kinds), found)?;
            }
        }
        self.read_atomicity(known, found)
    }

    /// Serializability in all its forms: an order that all edges follow.
    fn serial(&self, known: &Known<'_, 'h>, found: &mut Found) -> Result<(), Stopped> {
        let tries = [
            (IsolationLevel::StrictSerializable, kind::REAL_TIME),
            (IsolationLevel::StrongSessionSerializable, kind::SESSION),
            (IsolationLevel::Serializable, 0),
        ];
        for (level, besides) in tries {
            self.cancellation.ask()?;
            if found.ladder.of(level) == Some(false) {
                continue;
            }
            if let Some(order) = known.graph.sorted(kind::DEPENDENCIES | besides) {
                found.hold(level, transactions_of(known.graph, &order));
                return Ok(());
            }
            found.violate(level, named_cycle(known.graph, besides).map(Proof::Cycle));
        }
        Ok(())
    }

    /// Snapshot isolation: an order of starts and commits.
    fn snapshots(
        &self,
        known: &Known<'_, 'h>,
        (level, kinds): (IsolationLevel, u8),
        found: &mut Found,
    ) -> Result<(), Stopped> {
        match snapshot::examine(known.graph, known.unseen, kinds, self.cancellation)? {
            Snapshots::Kept(order) => {
                let count = known.graph.transactions.len() as u32;
                let events = order.into_iter().filter(|event| *event < 2 * count);
                let events = events.map(|event| known.graph.transactions[event as usize / 2]);
                found.hold(level, events.collect());
            }
            Snapshots::Broken(Some(links)) => found.violate(level, Some(Proof::Cycle(links))),
            Snapshots::Broken(None) => {
                let shown = snapshot::contested(known.graph, known.unseen);
                found.violate(level, Some(Proof::Tried(shown)));
            }
            Snapshots::Undecided(tried) => found.reasons.push(format!(
                "{level}: of the orders in which writes that nobody saw can have happened, the                  {tried} that were tried do not fit"
            )),
        }
        Ok(())
    }

    /// The levels that say what must be seen.
    fn read_atomicity(&self, known: &Known<'_, 'h>, found: &mut Found) -> Result<(), Stopped> {
        let graph = known.graph;
        let wants = |found: &Found, level: IsolationLevel| found.ladder.of(level).is_none();
        if !IsolationLevel::all().any(|level| wants(found, level)) {
            return Ok(());
        }
        let visibility = ReadAtomicityCheck { read: known.read, order: known.order, graph };
        let Some(order) = self.acyclic(known, IsolationLevel::ReadCommitted, 0, found)? else {
            return Ok(());
        };
        for (level, past) in [
            (IsolationLevel::MonotonicAtomicView, read_atomicity::CausalPast::EarlierReads),
            (IsolationLevel::ReadAtomic, read_atomicity::CausalPast::AllReads),
        ] {
            if wants(found, level) {
                match visibility.missed(past, self.cancellation)? {
                    Some(links) => found.violate(level, Some(Proof::Cycle(links))),
                    None => found.hold(level, transactions_of(graph, &order)),
                }
            }
        }
        let causal = IsolationLevel::Causal;
        if !wants(found, causal) {
            return Ok(());
        }
        let Some(order) = self.acyclic(known, causal, kind::SESSION, found)? else {
            return Ok(());
        };
        let all = (known.read, known.order, graph);
        match causal::examine(all, &order, self.options.memory, self.cancellation)? {
            CausalCheck::Kept => found.hold(causal, transactions_of(graph, &order)),
            CausalCheck::Missed(links) => found.violate(causal, Some(Proof::Cycle(links))),
            CausalCheck::TooLarge => found.reasons.push(format!(
                "{causal}: the clocks of all processes need more than {} MiB",
                self.options.memory >> 20
            )),
        }
        Ok(())
    }

    /// An order that follows what was read and overwritten, which a level needs at least.
    fn acyclic(
        &self,
        known: &Known<'_, 'h>,
        level: IsolationLevel,
        besides: u8,
        found: &mut Found,
    ) -> Result<Option<Vec<u32>>, Stopped> {
        self.cancellation.ask()?;
        let kinds = kind::WW | kind::WR | besides;
        let order = known.graph.sorted(kinds);
        match &order {
            None => {
                let tries = [kind::WW | besides, kinds].map(|rest| Pattern { first: rest, rest });
                let links = tries.into_iter().find_map(|one| cycles::shortest(known.graph, one));
                found.violate(level, links.map(Proof::Cycle));
            }
            Some(order) if level == IsolationLevel::ReadCommitted => {
                found.hold(level, transactions_of(known.graph, order));
            }
            Some(_) => {}
        }
        Ok(order)
    }
}
