//! Levels below snapshots for registers: orders of commits that reads demand.
//!
//! Where a transaction reads a key from one writer, every other writer of the key in its past
//! committed before that one (Biswas and Enea 2019). These edges, with who read from whom, have an
//! order exactly if the level holds. Of what happened before, the last writer of each process is
//! enough, since those before it come before it: Møldrup and Pavlogiannis, *AWDIT: An Optimal Weak
//! Database Isolation Tester* (PLDI 2025).

use rustc_hash::FxHashMap;

use super::causal::{Sessions, path};
use super::cycles::{self, DependencyEdge, Pattern};
use super::data::{INITIAL, NONE, OperationKind, Transactions};
use super::graph::{Edges, Graph, kind};
use super::registers::Registers;
use crate::engines::{Cancellation, Stopped};
use crate::isolation::IsolationLevel;

/// Why a transaction must have committed before another: a reader of the other has it in its past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inferred {
    pub(crate) before: u32,
    pub(crate) after: u32,
    pub(crate) reader: u32,
    pub(crate) key: u32,
}

/// One process's writers of a key: their places in the process, and who they are.
type Writes = Vec<(u32, u32)>;

/// What came of it.
pub(crate) enum Saturated {
    /// The commits in an order, as nodes.
    Kept(Vec<u32>),
    /// A cycle, with reasons for those of its links that are inferred.
    Broken(Vec<DependencyEdge>, Vec<Inferred>),
    /// The clocks need more memory than there is.
    TooLarge,
}

/// Looks for an order of commits.
pub(crate) struct Saturation<'a, 'h> {
    pub(crate) read: &'a Transactions<'h>,
    pub(crate) registers: &'a Registers,
    /// What is certain.
    pub(crate) graph: &'a Graph,
    pub(crate) cancellation: &'a Cancellation<'a>,
}

impl Saturation<'_, '_> {
    fn writer(&self, version: u32) -> u32 {
        self.read.versions[version as usize].transaction
    }

    /// What the transaction read of others: keys and versions, in order.
    fn reads(&self, reader: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let reads = self.read.of(reader).iter();
        let reads = reads.filter(|one| one.act == OperationKind::Read && one.version != NONE);
        reads.map(|one| (one.key, one.version))
    }

    /// Decides one of the levels that say what must be seen, or read committed.
    pub(crate) fn decide(
        &self,
        level: IsolationLevel,
        memory: usize,
    ) -> Result<Saturated, Stopped> {
        let causal = level == IsolationLevel::Causal;
        let given = if causal { kind::WR | kind::SESSION } else { kind::WR };
        let mut found: Vec<Inferred> = Vec::new();
        match level {
            IsolationLevel::MonotonicAtomicView | IsolationLevel::ReadAtomic => {
                if let Some(links) = self.by_reads(level, &mut found)? {
                    return Ok(Saturated::Broken(links, Vec::new()));
                }
            }
            IsolationLevel::Causal => {
                let Some(sorted) = self.graph.sorted(given) else {
                    let pattern = Pattern { first: given, rest: given };
                    let links = cycles::shortest(self.graph, pattern).unwrap_or_default();
                    return Ok(Saturated::Broken(links, Vec::new()));
                };
                let sessions = Sessions::new(self.read, self.graph);
                let size = sessions.count.saturating_mul(self.graph.transactions.len());
                if size.saturating_mul(size_of::<u32>()) > memory {
                    return Ok(Saturated::TooLarge);
                }
                if let Some(links) = self.by_past(&sorted, &sessions, &mut found)? {
                    return Ok(Saturated::Broken(links, Vec::new()));
                }
            }
            _ => {}
        }
        let commits = self.commits(given, &found);
        if let Some(sorted) = commits.sorted(given | kind::COMMIT) {
            return Ok(Saturated::Kept(sorted));
        }
        let all = given | kind::COMMIT;
        let links = cycles::shortest(&commits, Pattern { first: all, rest: all });
        let links = links.unwrap_or_default();
        found.retain(|one| {
            links.iter().any(|link| {
                link.kind == kind::COMMIT && (link.from, link.to) == (one.before, one.after)
            })
        });
        Ok(Saturated::Broken(links, found))
    }

    /// The graph of what is given and what is inferred.
    fn commits(&self, given: u8, found: &[Inferred]) -> Graph {
        let mut edges = Edges::new(&self.registers.effective, found.len());
        let transactions = &self.graph.transactions;
        for node in 0..transactions.len() as u32 {
            for (to, kind) in self.graph.edges(node).filter(|(_, kind)| kind & given != 0) {
                edges.push(node, to, kind);
            }
        }
        for one in found {
            edges.add(one.before, one.after, kind::COMMIT);
        }
        edges.graph()
    }

    /// Infers from what transactions read from. A read of an initial version that misses something is a
    /// cycle at once.
    fn by_reads(
        &self,
        level: IsolationLevel,
        found: &mut Vec<Inferred>,
    ) -> Result<Option<Vec<DependencyEdge>>, Stopped> {
        let mut seen: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for &reader in &self.graph.transactions {
            seen.clear();
            if level == IsolationLevel::ReadAtomic {
                for (_, version) in self.reads(reader) {
                    self.see(version, reader, &mut seen)?;
                }
            }
            for (key, version) in self.reads(reader) {
                for &before in seen.get(&key).into_iter().flatten() {
                    self.cancellation.step()?;
                    if version == INITIAL {
                        return Ok(Some(vec![
                            DependencyEdge { from: before, to: reader, kind: kind::WR },
                            DependencyEdge { from: reader, to: before, kind: kind::RW },
                        ]));
                    }
                    let after = self.writer(version);
                    if after != before {
                        found.push(Inferred { before, after, reader, key });
                    }
                }
                self.see(version, reader, &mut seen)?;
            }
        }
        Ok(None)
    }

    /// The reader has seen all that the version's writer wrote.
    fn see(
        &self,
        version: u32,
        reader: u32,
        seen: &mut FxHashMap<u32, Vec<u32>>,
    ) -> Result<(), Stopped> {
        if version == INITIAL || self.writer(version) == reader {
            return Ok(());
        }
        let writer = self.writer(version);
        for one in self.read.of(writer).iter().filter(|one| one.act == OperationKind::Write) {
            self.cancellation.step()?;
            let of_key = seen.entry(one.key).or_default();
            if !of_key.contains(&writer) {
                of_key.push(writer);
            }
        }
        Ok(())
    }

    /// Infers from what happened before, by processes and reads.
    fn by_past(
        &self,
        sorted: &[u32],
        sessions: &Sessions,
        found: &mut Vec<Inferred>,
    ) -> Result<Option<Vec<DependencyEdge>>, Stopped> {
        let transactions = &self.graph.transactions;
        let width = sessions.count;
        let written = self.written(sessions);
        let mut clocks = vec![0_u32; transactions.len() * width];
        for &node in sorted.iter().filter(|node| self.graph.is_transaction(**node)) {
            let span = node as usize * width..(node as usize + 1) * width;
            let reader = transactions[node as usize];
            let mut clock = clocks[span].to_vec();
            self.cancellation.spend(width)?;
            for (key, version) in self.reads(reader) {
                for (session, writes) in written.get(&key).into_iter().flatten() {
                    self.cancellation.step()?;
                    let known = writes.partition_point(|one| one.0 < clock[*session as usize]);
                    let Some(last) = known.checked_sub(1) else { continue };
                    let before = writes[last].1;
                    if version == INITIAL {
                        let start = transactions.binary_search(&before).unwrap_or(0) as u32;
                        let mut links = path(self.graph, start, node);
                        links.push(DependencyEdge { from: reader, to: before, kind: kind::RW });
                        return Ok(Some(links));
                    }
                    let after = self.writer(version);
                    if after != before {
                        found.push(Inferred { before, after, reader, key });
                    }
                }
            }
            clock[sessions.of[node as usize] as usize] = sessions.place[node as usize] + 1;
            for (to, kind) in self.graph.edges(node) {
                if kind & (kind::WR | kind::SESSION) != 0 {
                    self.cancellation.spend(width)?;
                    let later = &mut clocks[to as usize * width..(to as usize + 1) * width];
                    for (mine, other) in later.iter_mut().zip(&clock) {
                        *mine = (*mine).max(*other);
                    }
                }
            }
        }
        Ok(None)
    }

    /// Of every key the processes that wrote it, with the places of those who did.
    fn written(&self, sessions: &Sessions) -> FxHashMap<u32, Vec<(u32, Writes)>> {
        let mut written: FxHashMap<u32, Vec<(u32, Writes)>> = FxHashMap::default();
        let mut slots: FxHashMap<(u32, u32), usize> = FxHashMap::default();
        for (node, &writer) in self.graph.transactions.iter().enumerate() {
            let (session, place) = (sessions.of[node], sessions.place[node]);
            for one in self.read.of(writer).iter().filter(|one| one.act == OperationKind::Write) {
                let of_key = written.entry(one.key).or_default();
                let slot = *slots.entry((one.key, session)).or_insert_with(|| {
                    of_key.push((session, Vec::new()));
                    of_key.len() - 1
                });
                of_key[slot].1.push((place, writer));
            }
        }
        written
    }
}
