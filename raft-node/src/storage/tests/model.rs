//! A script for a storage, and what it must remember at each moment of it.

use proptest::prelude::*;

use super::*;

/// Something that a server does to its storage.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Adds entries of some length.
    Add { count: u64, length: usize },
    /// Votes in a new term.
    Vote,
    /// Replaces the last entries by one of a new term.
    Overwrite { back: u64 },
    /// Takes a snapshot of some eighths of the log, and trims to a bit before it.
    Snapshot { eighths: u64, kept: u64 },
    /// Installs another server's snapshot that ends beyond this log, or contradicts its last entry.
    Install { beyond: u64 },
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..5u64, 0..300usize).prop_map(|(count, length)| Step::Add { count, length }),
        1 => Just(Step::Vote),
        1 => (1..4u64).prop_map(|back| Step::Overwrite { back }),
        2 => (0..9u64, 0..3u64).prop_map(|(eighths, kept)| Step::Snapshot { eighths, kept }),
        1 => (0..4u64).prop_map(|beyond| Step::Install { beyond }),
    ];
    proptest::collection::vec(step, 1..14)
}

/// What a server must remember: all of its log, though some of it only as part of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    term: u64,
    vote: Option<NodeId>,
    /// Nothing stands for what only the snapshot knows.
    log: Vec<Option<Entry>>,
    /// The newest snapshot.
    snapshot: Option<SnapshotId>,
}

impl Memory {
    fn last(&self) -> u64 {
        self.log.len() as u64
    }

    fn term_at(&self, index: u64) -> u64 {
        let entry = usize::try_from(index).ok().and_then(|at| self.log.get(at.checked_sub(1)?));
        match entry {
            Some(Some(entry)) => entry.term.0,
            _ => self.snapshot.filter(|id| id.index.0 == index).map_or(0, |id| id.term.0),
        }
    }

    fn record(&mut self, record: &Record) {
        match record {
            Record::HardState { term, vote } => (self.term, self.vote) = (term.0, *vote),
            Record::Append(entry) => self.log.push(Some(entry.clone())),
            Record::Truncate { from } => {
                self.log.truncate(usize::try_from(from.0 - 1).expect("small"));
            }
            Record::Trim { .. } | Record::Boot(_) => {}
        }
    }

    /// The same, with the snapshot that a restart found: it stands for what is committed, so that
    /// nothing below its end may be overwritten any more, whether or not the log was trimmed.
    pub(super) fn with_snapshot_of(mut self, restored: &Restored) -> Self {
        self.snapshot = restored.snapshot.as_ref().map(Snapshot::id);
        self
    }

    /// Checks that this is what a restart found.
    pub(super) fn check(&self, restored: &Restored) -> Result<(), String> {
        let vote = (restored.term.0, restored.vote);
        if vote != (self.term, self.vote) {
            return Err(format!("term and vote {vote:?}"));
        }
        let base = restored.base.0.0;
        let covered = restored.snapshot.as_ref().map_or(0, |snapshot| snapshot.id().index.0);
        if base > covered || restored.snapshot.as_ref().is_some_and(|it| !is_whole(it)) {
            return Err(format!("base {base}, snapshot {:?}", restored.snapshot));
        }
        if self.snapshot > restored.snapshot.as_ref().map(Snapshot::id) {
            return Err(format!("snapshot {:?}", restored.snapshot));
        }
        if restored.last().0 != self.last() {
            return Err(format!("last entry {}", restored.last()));
        }
        let mine = &self.log[usize::try_from(base).expect("small")..];
        for (entry, mine) in restored.entries.iter().zip(mine) {
            if mine.as_ref().is_some_and(|mine| mine != entry) {
                return Err(format!("entry {entry:?}"));
            }
        }
        Ok(())
    }
}

/// A server's storage while a script runs on it.
pub(super) struct Run<D: Disk> {
    storage: Storage<D>,
    snapshots: Snapshots<D>,
    /// What is to be remembered, by what was committed.
    pub(super) committed: Memory,
    /// What may be remembered, since it was under way.
    pub(super) attempted: Memory,
}

impl<D: Disk> Run<D> {
    pub(super) fn new(opened: Opened<D>, memory: Memory) -> Self {
        let Opened { storage, snapshots, .. } = opened;
        Self { storage, snapshots, committed: memory.clone(), attempted: memory }
    }

    fn commit(&mut self, records: &[Record]) -> Result<(), StorageError> {
        records.iter().for_each(|record| self.attempted.record(record));
        commit(&mut self.storage, records)?;
        self.committed = self.attempted.clone();
        Ok(())
    }

    pub(super) fn step(&mut self, step: Step) -> Result<(), StorageError> {
        let Memory { term, .. } = self.committed;
        let last = self.committed.last();
        let covered = self.committed.snapshot.map_or(0, |id| id.index.0);
        match step {
            Step::Add { count, length } => {
                let entries: Vec<Record> =
                    (1..=count).map(|more| entry(last + more, term, length)).collect();
                self.commit(&entries)
            }
            Step::Vote => self.commit(&[vote(term + 1)]),
            Step::Overwrite { back } => {
                let from = last.saturating_sub(back).max(covered) + 1;
                let truncate = Record::Truncate { from: Index(from) };
                self.commit(&[vote(term + 1), truncate, entry(from, term + 1, 40)])
            }
            Step::Snapshot { eighths, kept } => {
                let index = last * eighths / 8;
                if index <= covered {
                    return Ok(());
                }
                let id = snapshot_id(index, self.committed.term_at(index));
                self.snapshots.take(&snapshot(id, 2000))?;
                let to = index.saturating_sub(kept).max(covered);
                let trim = Record::Trim { to: Index(to), term: Term(self.committed.term_at(to)) };
                self.attempted.snapshot = Some(id);
                self.commit(&[trim])
            }
            Step::Install { beyond } => self.install(last.max(covered + 1) + beyond, term + 1),
        }
    }

    fn install(&mut self, index: u64, term: u64) -> Result<(), StorageError> {
        let id = snapshot_id(index, term);
        let received = snapshot(id, 70_000);
        let bytes: Vec<u8> = crate::codec::SnapshotPieces::new(&received).flatten().collect();
        // From the moment that it is durable, a restart takes it.
        let record = Record::HardState { term: Term(term), vote: None };
        self.attempted.record(&record);
        self.attempted.log = vec![None; usize::try_from(index).expect("small")];
        self.attempted.snapshot = Some(id);
        let mut writer = self.snapshots.receive(id)?;
        for chunk in bytes.chunks(5000) {
            writer.write(chunk)?;
        }
        assert!(is_whole(&writer.install(bytes.len() as u64)?));
        self.commit(&[record, Record::Trim { to: Index(index), term: Term(term) }])
    }
}
