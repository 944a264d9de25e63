//! Keeps snapshots in files that count only when they are whole.
//!
//! A snapshot is written in pieces to a temporary file, synced, renamed to a name that says what it
//! covers, and the directory synced: from then on a restart finds it. Its bytes, which the codec
//! makes, are cut into blocks of 64 KiB, each followed by the CRC32C of the snapshot's name, the
//! block's number and the block, so that a piece can be read and checked alone; the header before
//! them, written last, has their length and the CRC32C of the whole, and one of its own. A damaged
//! snapshot is refused: the log that it stands for is gone.
//!
//! | offset | bytes | content |
//! | --- | --- | --- |
//! | 0 | 8 | the magic number, with the format's version in it |
//! | 8 | 8 | the index of the last entry covered |
//! | 16 | 8 | the term of that entry |
//! | 24 | 8 | how many bytes the snapshot has |
//! | 32 | 4 | their CRC32C |
//! | 36 | 4 | CRC32C of the 36 bytes before |
//! | 40 | | blocks, each with its checksum after it |

use bytes::Bytes;

use super::disk::{Disk, DiskFile};
use super::error::{StorageError, io_error};
use super::format::{u32_at, u64_at};
use super::segment::TEMPORARY;
use crate::codec::{SnapshotPieces, SnapshotReader};
use crate::core::units::{Index, Term};
use crate::core::{Snapshot, SnapshotId};
use crate::mutations::{Mutation, Mutations};

const FAMILY: [u8; 7] = *b"PRAFTSN";
const MAGIC: [u8; 8] = *b"PRAFTSN2";
const SUFFIX: &str = ".snapshot";
const HEADER_BYTES: usize = 40;
const BLOCK_BYTES: usize = 64 << 10;
/// Where a received snapshot is kept until it is complete.
const RECEIVED: &str = "received";
/// Where a snapshot of the server's own making is kept until it is complete.
const TAKEN: &str = "taken";

/// The name of the file of a snapshot.
pub(super) fn name(id: SnapshotId) -> String {
    format!("{:020}-{:020}{SUFFIX}", id.index.0, id.term.0)
}

/// The snapshot in the file of this name.
pub(super) fn id(name: &str) -> Option<SnapshotId> {
    let (index, term) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    let number = |digits: &str| (digits.len() == 20).then(|| digits.parse().ok()).flatten();
    Some(SnapshotId { index: Index(number(index)?), term: Term(number(term)?) })
}

/// What a durable snapshot's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// What it covers.
    pub id: SnapshotId,
    /// How many bytes it has.
    pub total: u64,
    /// Their CRC32C.
    pub checksum: u32,
}

/// The snapshots of one data directory. Clones are handles to the same, for use by other threads
/// than the one that writes the log.
#[derive(Clone, Debug)]
pub struct Snapshots<D> {
    disk: D,
    mutations: Mutations,
}

impl<D: Disk> Snapshots<D> {
    pub(super) fn new(disk: D, mutations: Mutations) -> Self {
        Self { disk, mutations }
    }

    /// Whether a snapshot is synced before anything relies on it. Where it is not, a restart has to
    /// make do with what the power left of it.
    pub(super) fn are_synced(&self) -> bool {
        !self.mutations.has(Mutation::SnapshotNotSynced)
    }

    /// Writes a snapshot of the server's own making. Takes as long as the disk takes: leave the
    /// log's thread alone with it.
    ///
    /// # Errors
    ///
    /// When the disk fails or is full. What there was before is still there; try again later.
    pub fn take(&self, snapshot: &Snapshot) -> Result<SnapshotFile, StorageError> {
        let mut writer = self.begin(snapshot.id())?;
        for piece in SnapshotPieces::new(snapshot) {
            writer.write(&piece)?;
        }
        writer.finish()
    }

    /// Begins to write a snapshot of the server's own making. One at a time.
    ///
    /// # Errors
    ///
    /// When the disk fails or is full.
    pub fn begin(&self, id: SnapshotId) -> Result<SnapshotWriter<D>, StorageError> {
        SnapshotWriter::create(self.clone(), id, TAKEN, None)
    }

    /// Begins to keep a snapshot that another server sends. One at a time.
    ///
    /// # Errors
    ///
    /// When the disk fails or is full.
    pub fn receive(&self, id: SnapshotId) -> Result<SnapshotWriter<D>, StorageError> {
        SnapshotWriter::create(self.clone(), id, RECEIVED, Some(SnapshotReader::default()))
    }

    /// Some bytes of a durable snapshot, checked: up to `length`, and fewer only at its end.
    /// Nothing if there is no such snapshot, as when a newer one has taken its place.
    ///
    /// # Errors
    ///
    /// When the disk fails or the bytes are damaged.
    pub fn read(
        &self,
        id: SnapshotId,
        offset: u64,
        length: usize,
    ) -> Result<Option<Bytes>, StorageError> {
        let Some(mut reader) = self.open(id)? else { return Ok(None) };
        let end = (offset + length as u64).min(reader.about.total);
        let mut bytes =
            Vec::with_capacity(usize::try_from(end.saturating_sub(offset)).unwrap_or(0));
        let mut at = offset;
        while at < end {
            let begins = usize::try_from(at % BLOCK_BYTES as u64).expect("below a block");
            let block = &reader.block(at / BLOCK_BYTES as u64)?[begins..];
            let take = block.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
            bytes.extend_from_slice(&block[..take]);
            at += take as u64;
        }
        Ok(Some(bytes.into()))
    }

    /// What the bytes of a durable snapshot are, by its header; nothing if there is no such
    /// snapshot.
    ///
    /// # Errors
    ///
    /// When the disk fails or the header is damaged.
    pub fn about(&self, id: SnapshotId) -> Result<Option<SnapshotFile>, StorageError> {
        Ok(self.open(id)?.map(|reader| reader.about))
    }

    /// Reads a durable snapshot and checks all of it.
    ///
    /// # Errors
    ///
    /// When it is not there, the disk fails, or it is damaged.
    pub fn load(&self, id: SnapshotId) -> Result<Snapshot, StorageError> {
        let Some(mut reader) = self.open(id)? else {
            let source = std::io::ErrorKind::NotFound.into();
            return Err(io_error(|| self.disk.locate(&name(id)), "open")(source));
        };
        let about = reader.about;
        let (mut decoder, mut checksum) = (SnapshotReader::default(), 0);
        for number in 0..about.total.div_ceil(BLOCK_BYTES as u64) {
            let at = HEADER_BYTES as u64 + number * (BLOCK_BYTES as u64 + 4);
            let block = reader.block(number)?;
            checksum = crc32c::crc32c_append(checksum, block);
            let pushed = decoder.push(block);
            pushed.map_err(|error| reader.damaged(at, format!("a piece {error}")))?;
        }
        if checksum != about.checksum {
            let reason = "the checksum of the whole does not match".to_owned();
            return Err(reader.damaged(0, reason));
        }
        let snapshot = decoder.finish();
        let end = HEADER_BYTES as u64 + about.total;
        let snapshot =
            snapshot.map_err(|error| reader.damaged(end, format!("the snapshot {error}")))?;
        if snapshot.id() != id {
            let reason = format!("the snapshot says that it is {}", snapshot.id());
            return Err(reader.damaged(0, reason));
        }
        Ok(snapshot)
    }

    fn open(&self, id: SnapshotId) -> Result<Option<Reader<D>>, StorageError> {
        let path = || self.disk.locate(&name(id));
        let file = match self.disk.open(&name(id)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(path, "open")(error)),
        };
        let length = file.length().map_err(io_error(path, "stat"))?;
        let mut header = [0; HEADER_BYTES];
        let short = length < HEADER_BYTES as u64;
        if !short {
            file.read_at(&mut header, 0).map_err(io_error(path, "read"))?;
        }
        if header.starts_with(&FAMILY) && !header.starts_with(&MAGIC) {
            return Err(StorageError::OtherVersion { path: path() });
        }
        let about = decode_header(&header).filter(|about| about.id == id);
        let damaged = |offset, reason: &str| {
            let (path, reason) = (path(), reason.to_owned());
            StorageError::Damaged { path, offset, reason }
        };
        let about = about.ok_or_else(|| damaged(0, "this is not the header of this snapshot"))?;
        let blocks = about.total.div_ceil(BLOCK_BYTES as u64);
        let expected = HEADER_BYTES as u64 + about.total + 4 * blocks;
        if length != expected {
            let reason = format!("the file has {length} bytes, but had {expected}");
            return Err(damaged(length.min(expected), &reason));
        }
        Ok(Some(Reader { disk: self.disk.clone(), file, about, buffer: Vec::new() }))
    }

    /// The newest durable snapshot.
    pub(super) fn newest(&self) -> Result<Option<SnapshotId>, StorageError> {
        let names = self.disk.list().map_err(io_error(|| self.disk.locate(""), "list"))?;
        Ok(names.iter().filter_map(|name| id(name)).max())
    }

    /// Removes snapshots older than this one, which is durable.
    pub(super) fn remove_older(&self, than: SnapshotId) -> Result<(), StorageError> {
        let names = self.disk.list().map_err(io_error(|| self.disk.locate(""), "list"))?;
        let ids = names.iter().filter_map(|name| id(name));
        ids.filter(|id| *id < than).try_for_each(|id| self.remove(id))
    }

    /// Removes a snapshot.
    pub(super) fn remove(&self, id: SnapshotId) -> Result<(), StorageError> {
        let name = name(id);
        self.disk.remove(&name).map_err(io_error(|| self.disk.locate(&name), "remove"))
    }
}

fn encode_header(about: &SnapshotFile) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    for number in [about.id.index.0, about.id.term.0, about.total] {
        header.extend_from_slice(&number.to_le_bytes());
    }
    header.extend_from_slice(&about.checksum.to_le_bytes());
    header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
    header
}

fn decode_header(header: &[u8; HEADER_BYTES]) -> Option<SnapshotFile> {
    if !header.starts_with(&MAGIC) || crc32c::crc32c(&header[..36]) != u32_at(header, 36) {
        return None;
    }
    let id = SnapshotId { index: Index(u64_at(header, 8)), term: Term(u64_at(header, 16)) };
    Some(SnapshotFile { id, total: u64_at(header, 24), checksum: u32_at(header, 32) })
}

fn block_checksum(id: SnapshotId, number: u64, block: &[u8]) -> u32 {
    let place = [id.index.0, id.term.0, number].map(u64::to_le_bytes).concat();
    crc32c::crc32c_append(crc32c::crc32c(&place), block)
}

/// A durable snapshot that is being read.
struct Reader<D: Disk> {
    disk: D,
    file: D::File,
    about: SnapshotFile,
    /// The block read last, and its checksum.
    buffer: Vec<u8>,
}

impl<D: Disk> Reader<D> {
    fn damaged(&self, offset: u64, reason: String) -> StorageError {
        let path = self.disk.locate(&name(self.about.id));
        StorageError::Damaged { path, offset, reason }
    }

    fn block(&mut self, number: u64) -> Result<&[u8], StorageError> {
        let rest = self.about.total - number * BLOCK_BYTES as u64;
        let size = usize::try_from(rest).unwrap_or(usize::MAX).min(BLOCK_BYTES);
        let at = HEADER_BYTES as u64 + number * (BLOCK_BYTES as u64 + 4);
        self.buffer.resize(size + 4, 0);
        let read = self.file.read_at(&mut self.buffer, at);
        read.map_err(io_error(|| self.disk.locate(&name(self.about.id)), "read"))?;
        let checksum = block_checksum(self.about.id, number, &self.buffer[..size]);
        if checksum != u32_at(&self.buffer, size) {
            return Err(self.damaged(at, "the block's checksum does not match".to_owned()));
        }
        Ok(&self.buffer[..size])
    }
}

/// A snapshot on its way to the disk. Dropped before [`SnapshotWriter::finish`], or after an error,
/// it leaves nothing but a temporary file, which the next one or a restart removes.
#[derive(Debug)]
pub struct SnapshotWriter<D: Disk> {
    snapshots: Snapshots<D>,
    temporary: String,
    file: D::File,
    about: SnapshotFile,
    /// What does not make a whole block yet.
    block: Vec<u8>,
    /// Whole blocks written.
    blocks: u64,
    /// What a received snapshot amounts to: it is read while it arrives.
    decoder: Option<SnapshotReader>,
}

impl<D: Disk> SnapshotWriter<D> {
    fn create(
        snapshots: Snapshots<D>,
        id: SnapshotId,
        whose: &str,
        decoder: Option<SnapshotReader>,
    ) -> Result<Self, StorageError> {
        let temporary = format!("{whose}{SUFFIX}{TEMPORARY}");
        let disk = &snapshots.disk;
        let file = disk.create(&temporary);
        let file = file.map_err(io_error(|| disk.locate(&temporary), "create"))?;
        let about = SnapshotFile { id, total: 0, checksum: 0 };
        let (block, blocks) = (Vec::new(), 0);
        Ok(Self { snapshots, temporary, file, about, block, blocks, decoder })
    }

    /// Which snapshot it is.
    #[must_use]
    pub fn id(&self) -> SnapshotId {
        self.about.id
    }

    /// How many bytes were written so far: where the next ones go.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.about.total
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    ///
    /// When the disk fails or is full, or what was received is no snapshot: give the writer up.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), StorageError> {
        if let Some(decoder) = &mut self.decoder {
            let pushed = decoder.push(bytes);
            pushed.map_err(|error| self.mismatch(format!("a piece {error}")))?;
        }
        self.about.total += bytes.len() as u64;
        self.about.checksum = crc32c::crc32c_append(self.about.checksum, bytes);
        while !bytes.is_empty() {
            let take = bytes.len().min(BLOCK_BYTES - self.block.len());
            let (now, later) = bytes.split_at(take);
            self.block.extend_from_slice(now);
            bytes = later;
            if self.block.len() == BLOCK_BYTES {
                self.write_block()?;
            }
        }
        Ok(())
    }

    fn write_block(&mut self) -> Result<(), StorageError> {
        let checksum = block_checksum(self.about.id, self.blocks, &self.block);
        self.block.extend_from_slice(&checksum.to_le_bytes());
        let at = HEADER_BYTES as u64 + self.blocks * (BLOCK_BYTES as u64 + 4);
        let written = self.file.write_at(&self.block, at);
        written.map_err(io_error(|| self.snapshots.disk.locate(&self.temporary), "write"))?;
        self.block.clear();
        self.blocks += 1;
        Ok(())
    }

    /// Makes the snapshot durable under its final name, and removes older ones.
    ///
    /// # Errors
    ///
    /// When the disk fails or is full. What there was before is still there, and a restart finds
    /// either that or this one, whole.
    pub fn finish(mut self) -> Result<SnapshotFile, StorageError> {
        if !self.block.is_empty() {
            self.write_block()?;
        }
        let disk = &self.snapshots.disk;
        let path = || disk.locate(&self.temporary);
        if self.snapshots.newest()?.is_some_and(|newest| newest > self.about.id) {
            return Err(StorageError::Superseded { path: path() });
        }
        let header = encode_header(&self.about);
        self.file.write_at(&header, 0).map_err(io_error(path, "write"))?;
        let synced = self.snapshots.are_synced();
        if synced {
            self.file.sync().map_err(io_error(path, "sync"))?;
        }
        let renamed = disk.rename(&self.temporary, &name(self.about.id));
        renamed.map_err(io_error(path, "rename"))?;
        if synced {
            disk.sync().map_err(io_error(|| disk.locate(""), "sync the directory"))?;
        }
        self.snapshots.remove_older(self.about.id)?;
        Ok(self.about)
    }

    /// Makes a received snapshot durable, if it is what was announced, and hands it out.
    ///
    /// # Errors
    ///
    /// When it is not what was announced, is no snapshot, or the disk fails. What there was before
    /// is still there.
    ///
    /// # Panics
    ///
    /// When the snapshot is one of the server's own making.
    pub fn install(mut self, total: u64) -> Result<Snapshot, StorageError> {
        if self.about.total != total {
            return Err(self.mismatch(format!("it has {} bytes, not {total}", self.about.total)));
        }
        let decoder = self.decoder.take().expect("the snapshot was received");
        let snapshot = decoder.finish();
        let snapshot = snapshot.map_err(|error| self.mismatch(format!("it {error}")))?;
        if snapshot.id() != self.about.id {
            return Err(self.mismatch(format!("it says that it is {}", snapshot.id())));
        }
        self.finish()?;
        Ok(snapshot)
    }

    fn mismatch(&self, reason: String) -> StorageError {
        let path = self.snapshots.disk.locate(&self.temporary);
        StorageError::Mismatch { path, reason }
    }
}
