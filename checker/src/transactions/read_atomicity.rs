//! Levels below snapshots: what a transaction that has seen another must not miss.
//!
//! Biswas and Enea (*On the Complexity of Checking Transactional Consistency*, OOPSLA 2019) say these
//! levels so: where a transaction reads a key from one writer, every other writer of the key that is
//! in its past must have committed before that one. What is in its past differs: the writers of
//! reads before this one, of all its reads, or all that happened before. Where the order of versions
//! is known, what remains to be seen is whether the newest version in the past is newer than the one
//! that was read.

use super::cycles::DependencyEdge;
use super::data::{INITIAL, NONE, OperationKind, Transactions};
use super::graph::{Graph, kind};
use super::order::Order;
use crate::engines::{Cancellation, Stopped};

/// What is in the past of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CausalPast {
    /// The writers of what its transaction read before.
    EarlierReads,
    /// The writers of all that its transaction reads.
    AllReads,
}

/// How new the newest version of a key is in a past: the number of versions up to it.
#[derive(Clone, Copy)]
struct Newest {
    reader: u32,
    versions: u32,
    writer: u32,
}

/// What decides whether reads miss something.
pub(crate) struct ReadAtomicityCheck<'a, 'h> {
    pub(crate) read: &'a Transactions<'h>,
    pub(crate) order: &'a Order,
    pub(crate) graph: &'a Graph,
}

impl ReadAtomicityCheck<'_, '_> {
    /// How many versions there are up to that one; more than any other has if it was never seen.
    fn age(&self, version: u32) -> u32 {
        match version {
            INITIAL => 0,
            version => self.order.position[version as usize].saturating_add(1),
        }
    }

    fn writer(&self, version: u32) -> u32 {
        self.read.versions[version as usize].transaction
    }

    /// What the transaction read of others: keys and versions, in order.
    fn reads(&self, reader: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let reads = self.read.of(reader).iter();
        let reads = reads.filter(|one| one.act == OperationKind::Read && one.version != NONE);
        reads.map(|one| (one.key, one.version))
    }

    /// A transaction that misses something of its past: a cycle of what it read from and what it
    /// missed.
    pub(crate) fn missed(
        &self,
        past: CausalPast,
        cancellation: &Cancellation<'_>,
    ) -> Result<Option<Vec<DependencyEdge>>, Stopped> {
        let mut newest =
            vec![Newest { reader: NONE, versions: 0, writer: NONE }; self.read.keys.len()];
        for &reader in &self.graph.transactions {
            if past == CausalPast::AllReads {
                for (_, version) in self.reads(reader).filter(|(_, version)| *version != INITIAL) {
                    self.see(self.writer(version), reader, &mut newest, cancellation)?;
                }
            }
            for (key, version) in self.reads(reader) {
                cancellation.step()?;
                let known = newest[key as usize];
                if known.reader == reader && known.versions > self.age(version) {
                    return Ok(Some(vec![
                        DependencyEdge { from: known.writer, to: reader, kind: kind::WR },
                        DependencyEdge { from: reader, to: known.writer, kind: kind::RW },
                    ]));
                }
                if version != INITIAL {
                    self.see(self.writer(version), reader, &mut newest, cancellation)?;
                }
            }
        }
        Ok(None)
    }

    /// The reader has seen what the writer wrote.
    fn see(
        &self,
        writer: u32,
        reader: u32,
        newest: &mut [Newest],
        cancellation: &Cancellation<'_>,
    ) -> Result<(), Stopped> {
        if writer == reader {
            return Ok(());
        }
        for one in self.read.of(writer).iter().filter(|one| one.act == OperationKind::Write) {
            cancellation.step()?;
            let known = &mut newest[one.key as usize];
            let versions = self.age(one.version);
            if known.reader != reader || known.versions < versions {
                *known = Newest { reader, versions, writer };
            }
        }
        Ok(())
    }
}
