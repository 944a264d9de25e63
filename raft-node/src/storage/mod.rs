//! Keeps what a server must not forget: terms, votes, entries, snapshots.
//!
//! # The files
//!
//! The log is cut into segments, `00000000000000000001.wal` and so on. A segment begins with a
//! [header](mod@format): a magic number, the server's id, where the server stood when the segment
//! began, and a mark of how far the segment is known to be synced. Batches follow. A batch is
//! everything that was persisted between two syncs, under one CRC32C over its place, its length and
//! its content: it counts as a whole or not at all. Behind the last batch the file has zeros, up to
//! 1 MiB, written ahead because a sync that need not change the file's length takes two thirds of
//! the time. [Snapshots](mod@snapshot) lie beside the log, one, or two while the newer one takes
//! the older one's place. All of it is written against [`Disk`], so that a simulator runs this very
//! code.
//!
//! # Promises
//!
//! * [`Storage::commit`] returns only after `fdatasync`; one sync serves everything that waits. The
//!   caller may collect records from another thread meanwhile.
//! * After a failed write or sync nothing more is promised: the kernel may have dropped the pages,
//!   and a second sync would claim success for nothing (Rebello et al., *Can Applications Recover
//!   from fsync Failures?*, 2020). The storage closes the file and is poisoned for good; the server
//!   stops. A restart may read from memory what never reached the disk, so it writes everything
//!   that is not known to be synced once more before it believes it.
//! * At restart a torn tail, a last batch cut short by a power loss before its sync returned, is
//!   removed: nothing in it was promised to anyone. Damage anywhere else is refused with the place
//!   named, and the files are left as they are: a server that dropped synced entries and voted
//!   could lose writes that clients were told are safe.
//! * A segment is created under another name, synced, renamed, and its directory synced, before the
//!   first batch goes into it. A snapshot likewise, before a [`Record::Trim`] may name it; segments
//!   go once a durable `Trim` covers all their entries.
//!
//! How damage is told from a torn tail: the header's mark follows each sync without a sync of its
//! own, so that it never claims too much; a bad batch that begins below it was once whole. Above
//! it, a whole batch after the bad one tells the same, since a batch is written only after the one
//! before it was synced; and so does another segment. Segments say where the one before must end,
//! so that a missing or shortened one is noticed. What cannot be told is damage to the very last
//! batch in a log whose mark was lost with the power: it is taken for torn.
//!
//! # A crash at any moment
//!
//! Between a snapshot's rename and the `Trim`, a restart finds a snapshot newer than the log's
//! beginning. If the log has the snapshot's last entry, it stays, and goes on; if not, as when the
//! snapshot was another server's, the log ends before or contradicts what is committed, and a
//! `Trim` of the restart's own lets it go on after the snapshot (Raft §7, the rules of
//! InstallSnapshot). A log that begins after the newest snapshot ends is refused.
//!
//! # What is left out
//!
//! Repair from other servers (Alagappan et al., *Protocol-Aware Recovery for Consensus-Based
//! Storage*, 2018): a damaged server has to be replaced. Scrubbing: damage is found at a restart,
//! or when a snapshot is sent. Reuse of old segments, and compression.

mod disk;
mod error;
pub mod format;
mod position;
mod recovery;
mod segment;
pub mod simulated;
pub mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

pub use self::disk::{Directory, Disk, DiskFile};
pub use self::error::StorageError;
use self::error::io_error;
use self::format::{BATCH_HEADER_BYTES, Header};
use self::position::{Position, Tracker};
use self::recovery::Recovered;
use self::segment::Active;
pub use self::simulated::SimulatedDisk;
pub use self::snapshot::{SnapshotFile, SnapshotWriter, Snapshots};
use crate::codec::encode_record;
use crate::core::units::{Boot, Index, NodeId};
use crate::core::{Record, Restored, Snapshot, SnapshotId};
use crate::mutations::{Mutation, Mutations};

/// What earlier versions called their log.
const EARLIER_LOG: &str = "raft.wal";
/// The lock file's name.
const LOCK: &str = "lock";
/// The content of one batch, unless its last record makes it longer: more becomes several batches,
/// each synced before the next is written.
const BATCH_BYTES: usize = 16 << 20;

/// How the log is laid out, and what is wrong with it on purpose.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long a segment gets, in bytes, before another one is begun.
    pub segment_bytes: u64,
    /// How many zeros are written ahead, in bytes.
    pub ahead_bytes: u64,
    /// The planted bugs that are switched on.
    pub mutations: Mutations,
}

impl Default for Options {
    fn default() -> Self {
        let (segment_bytes, ahead_bytes) = (64 << 20, 1 << 20);
        Self { segment_bytes, ahead_bytes, mutations: Mutations::default() }
    }
}

/// The open log of one server.
#[derive(Debug)]
pub struct Storage<D: Disk = Directory> {
    disk: D,
    id: NodeId,
    options: Options,
    /// The segment that is written to; none after an error.
    active: Option<Active<D::File>>,
    /// The highest entry in it.
    highest: Index,
    /// The older segments, oldest first, each with the highest entry in it.
    closed: VecDeque<(u64, Index)>,
    /// Where the server stands after everything that is durable.
    durable: Position,
    /// Where it stands after the pending records as well.
    tracker: Tracker,
    pending: Pending,
    /// Held until the storage is dropped.
    _lock: D::Lock,
}

/// Records that wait for the next commit, encoded.
#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    /// Where in the bytes batches begin; the place of a batch's header is yet empty.
    starts: Vec<usize>,
    /// The highest entry among them.
    highest: Index,
}

impl Pending {
    fn push(&mut self, record: &Record) {
        let full = |start: &usize| self.bytes.len() - start > BATCH_BYTES;
        if self.starts.last().is_none_or(full) {
            self.starts.push(self.bytes.len());
            self.bytes.extend_from_slice(&[0; BATCH_HEADER_BYTES]);
        }
        format::put_record(&mut self.bytes, |out| encode_record(record, out));
        if let Record::Append(entry) = record {
            self.highest = self.highest.max(entry.index);
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
        self.highest = Index::ZERO;
    }
}

/// What opening the storage found.
#[derive(Debug)]
pub struct Opened<D: Disk = Directory> {
    /// The log, ready to be written to.
    pub storage: Storage<D>,
    /// The snapshots.
    pub snapshots: Snapshots<D>,
    /// What the server remembers; its boot number is new and durable.
    pub restored: Restored,
    /// How many bytes of a torn tail were removed.
    pub torn_bytes: u64,
}

impl<D: Disk> Storage<D> {
    /// Opens a server's data directory, creating it if need be, and begins a new life.
    ///
    /// # Errors
    ///
    /// When the directory is in use, belongs to another server or version, or is damaged, or the
    /// disk fails.
    pub fn open(disk: D, id: NodeId, options: Options) -> Result<Opened<D>, StorageError> {
        let path = || disk.locate("");
        disk.prepare().map_err(io_error(path, "create"))?;
        let lock = disk.lock(LOCK).map_err(io_error(|| disk.locate(LOCK), "lock"))?;
        let lock = lock.ok_or_else(|| StorageError::InUse { path: disk.locate(LOCK) })?;
        let names = disk.list().map_err(io_error(path, "list"))?;
        if names.iter().any(|name| name == EARLIER_LOG) {
            return Err(StorageError::OtherVersion { path: disk.locate(EARLIER_LOG) });
        }
        // What a crash left unsynced of the directory is synced before anything relies on it.
        disk.sync().map_err(io_error(path, "sync"))?;
        let snapshots = Snapshots::new(disk.clone(), options.mutations);
        let newest = names.iter().filter_map(|name| snapshot::id(name)).max();
        let snapshot = match newest.map(|id| snapshots.load(id)).transpose() {
            Err(_) if !snapshots.are_synced() => {
                newest.map_or(Ok(()), |id| snapshots.remove(id))?;
                None
            }
            loaded => loaded?,
        };
        let mut sequences = contiguous(&names);
        if sequences.is_empty() {
            if let Some(id) = newest {
                let reason = format!("the log that goes with snapshot {id} is missing");
                let path = disk.locate(&segment::name(1));
                return Err(StorageError::Damaged { path, offset: 0, reason });
            }
            let header = Header { sequence: 1, id, position: Position::default() };
            Active::create(&disk, header, options.mutations)?;
            sequences.push(1);
        }
        let mut recovered = recovery::recover(&disk, &sequences, id, options.mutations)?;
        let begins = recovered.restored.base.0;
        let ends = snapshot.as_ref().map_or(Index::ZERO, |snapshot| snapshot.id().index);
        if begins > ends {
            if snapshots.are_synced() {
                let path = disk.locate(&segment::name(sequences[0]));
                return Err(StorageError::Gap { path, begins, ends });
            }
            recovered = start_over(&disk, id, &recovered, options.mutations)?;
        }
        let torn_bytes = recovered.last.torn_bytes;
        let (storage, restored) = Self::begin(disk, (id, options), lock, recovered, snapshot)?;
        storage.tidy(&names, &snapshots, newest)?;
        Ok(Opened { storage, snapshots, restored, torn_bytes })
    }

    /// Makes what was read durable, whatever it was before, and begins a new life.
    fn begin(
        disk: D,
        (id, options): (NodeId, Options),
        lock: D::Lock,
        recovered: Recovered<D::File>,
        snapshot: Option<Snapshot>,
    ) -> Result<(Self, Restored), StorageError> {
        let Recovered { mut restored, tracker, mut segments, last } = recovered;
        let path = || disk.locate(&segment::name(last.sequence));
        let synced = usize::try_from(last.synced).unwrap_or(usize::MAX).min(last.bytes.len());
        let end = last.bytes.len() as u64;
        let rewritten = last.file.write_at(&last.bytes[synced..], synced as u64);
        rewritten.map_err(io_error(path, "write"))?;
        let mut allocated = last.length;
        if last.torn_bytes > 0 {
            last.file.truncate(end).map_err(io_error(path, "remove the torn tail"))?;
            allocated = end;
        }
        last.file.sync().map_err(io_error(path, "sync"))?;
        let (sequence, highest) = segments.pop().expect("the last segment");
        let mut storage = Self {
            id,
            options,
            active: Some(Active { file: last.file, sequence, end, allocated }),
            highest,
            closed: segments.into(),
            durable: tracker.position(),
            tracker,
            pending: Pending::default(),
            _lock: lock,
            disk,
        };
        for record in storage.first_records(&mut restored, snapshot) {
            storage.append(&record);
            restored.replay(record).expect("it follows what was read");
        }
        storage.commit()?;
        Ok((storage, restored))
    }

    /// What a new life adds to the log before anything else.
    fn first_records(&self, restored: &mut Restored, snapshot: Option<Snapshot>) -> Vec<Record> {
        let mut records = vec![Record::Boot(Boot(restored.boot.0 + 1))];
        let Some(snapshot) = snapshot else { return records };
        let SnapshotId { index, term } = snapshot.id();
        if term > restored.term {
            // It was received in a term whose record was not durable yet.
            records.push(Record::HardState { term, vote: None });
        }
        if self.tracker.term_at(index) != Some(term) {
            records.push(Record::Trim { to: index, term });
        }
        restored.snapshot = Some(snapshot);
        records
    }

    /// Removes files that a crash left behind and that nothing needs.
    fn tidy(
        &self,
        names: &[String],
        snapshots: &Snapshots<D>,
        newest: Option<SnapshotId>,
    ) -> Result<(), StorageError> {
        let active = self.active.as_ref().map_or(0, |active| active.sequence);
        let oldest = self.closed.front().map_or(active, |(sequence, _)| *sequence);
        let kept = oldest..=active;
        let stale = names.iter().filter(|name| {
            let number = segment::sequence(name);
            name.ends_with(segment::TEMPORARY) || number.is_some_and(|it| !kept.contains(&it))
        });
        for name in stale {
            // A segment that the first commit covered is gone already.
            match self.disk.remove(name) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                removed => removed.map_err(io_error(|| self.disk.locate(name), "remove"))?,
            }
        }
        newest.map_or(Ok(()), |newest| snapshots.remove_older(newest))
    }

    /// Adds a record to the next batch. Nothing is durable before [`Storage::commit`].
    pub fn append(&mut self, record: &Record) {
        self.pending.push(record);
        self.tracker.follow(record);
    }

    /// Makes all appended records durable, in one write and one sync, unless they are many. Removes
    /// segments that a [`Record::Trim`] covers.
    ///
    /// # Errors
    ///
    /// When the disk is full or fails. The caller must then promise nothing more; every later call
    /// fails too.
    pub fn commit(&mut self) -> Result<(), StorageError> {
        if self.pending.starts.is_empty() && self.active.is_some() {
            return Ok(());
        }
        // Put back only if all goes well: the file is closed, not trusted again, after an error.
        let active = self.active.take();
        let mut active =
            active.ok_or_else(|| StorageError::Poisoned { path: self.disk.locate("") })?;
        if active.end >= self.options.segment_bytes {
            let sequence = active.sequence + 1;
            let header = Header { sequence, id: self.id, position: self.durable };
            self.closed.push_back((active.sequence, self.highest));
            self.highest = self.durable.last_index;
            active = Active::create(&self.disk, header, self.options.mutations)?;
        }
        let ends = self.pending.starts.iter().copied().skip(1).chain([self.pending.bytes.len()]);
        for (start, end) in self.pending.starts.iter().copied().zip(ends) {
            let batch = &mut self.pending.bytes[start..end];
            let mutations = self.options.mutations;
            let written = active.write(&self.disk, batch, self.options.ahead_bytes, mutations);
            if written.is_err() && mutations.has(Mutation::DiskErrorIndexReuse) {
                self.pending.clear();
                self.active = Some(active);
                return written;
            }
            written?;
        }
        self.highest = self.highest.max(self.pending.highest);
        self.durable = self.tracker.position();
        self.pending.clear();
        self.remove_trimmed()?;
        self.active = Some(active);
        Ok(())
    }

    /// Whether an error ended the log's use for good; only a planted bug lets it go on after one.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.active.is_none()
    }

    fn remove_trimmed(&mut self) -> Result<(), StorageError> {
        let base = self.tracker.base();
        while let Some((sequence, _)) = self.closed.pop_front_if(|(_, highest)| *highest <= base) {
            let name = segment::name(sequence);
            let removed = self.disk.remove(&name);
            removed.map_err(io_error(|| self.disk.locate(&name), "remove"))?;
        }
        Ok(())
    }
}

/// The numbers of the newest segments that follow each other. Removals that were not synced may
/// leave older ones, which nothing needs: the log would not reach its snapshot otherwise.
fn contiguous(names: &[String]) -> Vec<u64> {
    let mut sequences: Vec<u64> = names.iter().filter_map(|name| segment::sequence(name)).collect();
    sequences.sort_unstable();
    let gap = sequences.windows(2).rposition(|pair| pair[0] + 1 != pair[1]);
    sequences.split_off(gap.map_or(0, |at| at + 1))
}

/// Begins an empty log: what a server that lost its snapshot must not do.
fn start_over<D: Disk>(
    disk: &D,
    id: NodeId,
    lost: &Recovered<D::File>,
    mutations: Mutations,
) -> Result<Recovered<D::File>, StorageError> {
    let Restored { boot, term, vote, .. } = lost.restored;
    let position = Position { boot, term, vote, ..Position::default() };
    // A number is left out, so that the old segments do not belong to the log.
    let sequence = lost.last.sequence + 2;
    Active::create(disk, Header { sequence, id, position }, mutations)?;
    recovery::recover(disk, &[sequence], id, mutations)
}
