//! Reads the log at restart, and tells a torn tail from damage.

use super::disk::{Disk, DiskFile};
use super::error::{StorageError, io_error};
use super::format::{self, Header};
use super::position::{Position, Tracker};
use super::segment;
use crate::codec::decode_record;
use crate::core::units::{Index, NodeId, Term};
use crate::core::{Record, Restored};
use crate::mutations::{Mutation, Mutations};

/// What the segments hold.
#[derive(Debug)]
pub(super) struct Recovered<F> {
    pub(super) restored: Restored,
    pub(super) tracker: Tracker,
    /// All segments, oldest first, each with the highest entry in it.
    pub(super) segments: Vec<(u64, Index)>,
    pub(super) last: Last<F>,
}

/// The segment that is to be written to next.
#[derive(Debug)]
pub(super) struct Last<F> {
    pub(super) file: F,
    pub(super) sequence: u64,
    /// What it holds up to its last whole batch.
    pub(super) bytes: Vec<u8>,
    /// Up to where it is known to be synced, at least.
    pub(super) synced: u64,
    /// How long the file is.
    pub(super) length: u64,
    /// How much of the file is the torn tail; what follows it is zeros.
    pub(super) torn_bytes: u64,
}

/// Replays the segments with these numbers, which follow each other. Changes nothing.
pub(super) fn recover<D: Disk>(
    disk: &D,
    sequences: &[u64],
    id: NodeId,
    mutations: Mutations,
) -> Result<Recovered<D::File>, StorageError> {
    let tracker = Tracker::new(Position::default());
    let mut replay = Replay { restored: Restored::default(), tracker, highest: Index::ZERO };
    let mut segments = Vec::new();
    let mut last = None;
    for (place, sequence) in sequences.iter().enumerate() {
        let reader = Reader { disk, sequence: *sequence, id, mutations };
        let mut is_last = place + 1 == sequences.len();
        let found = reader.read(&mut replay, place == 0, &mut is_last)?;
        segments.push((*sequence, replay.highest));
        last = Some(found);
        if is_last {
            break;
        }
    }
    let last = last.expect("there is a segment");
    Ok(Recovered { restored: replay.restored, tracker: replay.tracker, segments, last })
}

/// What the records read so far amount to.
struct Replay {
    restored: Restored,
    tracker: Tracker,
    /// The highest entry of the present segment.
    highest: Index,
}

impl Replay {
    /// Begins the log in the middle, as the oldest segment says.
    fn begin(&mut self, position: Position) {
        let Position { boot, term, vote, last_index, last_term } = position;
        let base = (last_index, last_term);
        self.restored = Restored { boot, term, vote, base, ..Restored::default() };
        self.tracker = Tracker::new(position);
    }

    /// Whether the records so far lead to this position.
    fn is_at(&self, mut position: Position) -> bool {
        let found = self.tracker.position();
        if found.last_term == Term(0) {
            // The last entry's segment is gone: nobody knows its term.
            position.last_term = Term(0);
        }
        found == position
    }

    fn record(&mut self, record: Record) -> Result<(), String> {
        self.tracker.follow(&record);
        if let Record::Append(entry) = &record {
            self.highest = self.highest.max(entry.index);
        }
        if let Record::Truncate { from } = &record
            && *from <= self.restored.base.0
        {
            // It reaches into segments that are gone: a `Trim` that covers them follows.
            self.restored.entries.clear();
            self.restored.base = (from.previous(), Term(0));
        }
        self.restored.replay(record).map_err(|error| error.to_string())
    }

    /// Replays a batch whose checksum is right: what is wrong now was written wrong.
    fn batch(&mut self, content: &[u8]) -> Result<(), String> {
        for record in format::records(content) {
            let bytes = record.ok_or("the records do not fill the batch")?;
            let record = decode_record(bytes).map_err(|error| format!("a record {error}"))?;
            self.record(record)?;
        }
        Ok(())
    }

    /// Replays what can be read of a batch whose checksum is wrong; says how long that is.
    fn unchecked(&mut self, content: &[u8]) -> usize {
        let mut taken = 0;
        for bytes in format::records(content).map_while(|record| record) {
            let Ok(record) = decode_record(bytes) else { break };
            let before = self.tracker.clone();
            if self.record(record).is_err() {
                self.tracker = before;
                break;
            }
            taken += bytes.len() + 4;
        }
        taken
    }
}

/// Reads one segment.
struct Reader<'a, D> {
    disk: &'a D,
    sequence: u64,
    id: NodeId,
    mutations: Mutations,
}

impl<D: Disk> Reader<'_, D> {
    fn damaged(&self, offset: usize, reason: String) -> StorageError {
        let path = self.disk.locate(&segment::name(self.sequence));
        StorageError::Damaged { path, offset: offset as u64, reason }
    }

    /// Replays the segment. Only the last one may end in a torn tail; a planted bug makes a damaged
    /// one the last.
    fn read(
        &self,
        replay: &mut Replay,
        is_first: bool,
        is_last: &mut bool,
    ) -> Result<Last<D::File>, StorageError> {
        let name = segment::name(self.sequence);
        let path = || self.disk.locate(&name);
        let file = self.disk.open(&name).map_err(io_error(path, "open"))?;
        let length = file.length().map_err(io_error(path, "stat"))?;
        let mut bytes = vec![0; usize::try_from(length).expect("a segment fits into memory")];
        file.read_at(&mut bytes, 0).map_err(io_error(path, "read"))?;
        let header = self.header(&bytes)?;
        if is_first {
            replay.begin(header.position);
        } else if !replay.is_at(header.position) {
            let (last, before) = (header.position.last_index, replay.tracker.position().last_index);
            let reason = format!(
                "the segment goes on after entry {last}, but the one before it ends at entry \
                 {before}, or in another term or life"
            );
            return Err(self.damaged(0, reason));
        }
        replay.highest = header.position.last_index;
        // Without a mark, only the batches themselves tell what was synced.
        let known = format::known_synced(self.sequence, &bytes);
        let synced = known.unwrap_or(format::HEADER_BYTES as u64);
        let end = self.batches(replay, &mut bytes, synced, is_last)?;
        let rest = &bytes[end..];
        let tail = if format::is_zero(rest) { None } else { rest.iter().rposition(|it| *it != 0) };
        let tail = tail.map_or(0, |at| at + 1);
        bytes.truncate(end);
        let (sequence, torn_bytes) = (self.sequence, tail as u64);
        Ok(Last { file, sequence, bytes, synced, length, torn_bytes })
    }

    fn header(&self, bytes: &[u8]) -> Result<Header, StorageError> {
        let path = || self.disk.locate(&segment::name(self.sequence));
        if format::is_other_version(bytes) {
            return Err(StorageError::OtherVersion { path: path() });
        }
        let header = Header::decode(bytes).filter(|header| header.sequence == self.sequence);
        let Some(header) = header else {
            return Err(self.damaged(0, "this is not the header of this segment".to_owned()));
        };
        if header.id != self.id {
            let (found, expected) = (header.id, self.id);
            return Err(StorageError::OtherServer { path: path(), found, expected });
        }
        Ok(header)
    }

    /// Replays the batches; says where the last whole one ends.
    fn batches(
        &self,
        replay: &mut Replay,
        bytes: &mut [u8],
        synced: u64,
        is_last: &mut bool,
    ) -> Result<usize, StorageError> {
        let mut offset = format::HEADER_BYTES;
        while offset < bytes.len() {
            let broken = match format::unseal(self.sequence, bytes, offset) {
                Ok(content) => {
                    let length = content.len();
                    replay.batch(content).map_err(|reason| self.damaged(offset, reason))?;
                    offset += format::BATCH_HEADER_BYTES + length;
                    continue;
                }
                Err(broken) => broken,
            };
            if let Some(reason) = self.damage(bytes, offset, synced, broken.reason, *is_last) {
                if self.mutations.has(Mutation::CorruptionTruncatesThenVotes) {
                    *is_last = true;
                    return Ok(offset);
                }
                return Err(self.damaged(offset, reason));
            }
            if self.mutations.has(Mutation::TornTailAccepted) {
                let length = replay.unchecked(broken.content);
                let end = offset + format::BATCH_HEADER_BYTES + length;
                if length > 0 {
                    format::seal(self.sequence, offset as u64, &mut bytes[offset..end]);
                    return Ok(end);
                }
            }
            return Ok(offset);
        }
        if (offset as u64) < synced {
            let reason = format!("the file ends here, but was synced to {synced}");
            return Err(self.damaged(offset, reason));
        }
        Ok(offset)
    }

    /// Why what is at a place is damage, unless it is the end of the log.
    fn damage(
        &self,
        bytes: &[u8],
        offset: usize,
        synced: u64,
        reason: &str,
        is_last: bool,
    ) -> Option<String> {
        if (offset as u64) < synced {
            return Some(format!("{reason}, and it was synced once"));
        }
        // As most logs end: nothing was written here.
        if format::is_zero(&bytes[offset..]) {
            return None;
        }
        if let Some(next) = format::find_batch(self.sequence, bytes, offset + 1) {
            return Some(format!("{reason}, and a whole batch follows at byte {next}"));
        }
        (!is_last).then(|| format!("{reason}, and another segment follows"))
    }
}
