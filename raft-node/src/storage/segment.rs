//! Writes one segment of the log: the newest, the only one that is ever written to.

use super::disk::{Disk, DiskFile};
use super::error::{StorageError, io_error};
use super::format::{self, Header};
use crate::mutations::{Mutation, Mutations};

const SUFFIX: &str = ".wal";
/// What a file is called until it may count.
pub(super) const TEMPORARY: &str = ".new";

/// The name of the segment with this number.
pub(super) fn name(sequence: u64) -> String {
    format!("{sequence:020}{SUFFIX}")
}

/// The number of the segment with this name.
pub(super) fn sequence(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Active<F> {
    pub(super) file: F,
    pub(super) sequence: u64,
    /// Where the next batch goes.
    pub(super) end: u64,
    /// How long the file is: zeros follow the last batch, so that a sync need not also make a new
    /// length durable, which costs as much again.
    pub(super) allocated: u64,
}

impl<F: DiskFile> Active<F> {
    /// Creates a segment that is durable, name and all, before it is used.
    pub(super) fn create<D: Disk<File = F>>(
        disk: &D,
        header: Header,
        mutations: Mutations,
    ) -> Result<Self, StorageError> {
        let name = name(header.sequence);
        let temporary = format!("{name}{TEMPORARY}");
        let path = || disk.locate(&name);
        let file = disk.create(&temporary).map_err(io_error(path, "create"))?;
        let bytes = header.encode();
        file.write_at(&bytes, 0).map_err(io_error(path, "write"))?;
        file.sync().map_err(io_error(path, "sync"))?;
        disk.rename(&temporary, &name).map_err(io_error(path, "create"))?;
        if !mutations.has(Mutation::DirectoryNotSynced) {
            disk.sync().map_err(io_error(path, "sync the directory"))?;
        }
        let end = bytes.len() as u64;
        Ok(Self { file, sequence: header.sequence, end, allocated: end })
    }

    /// Writes a batch whose header is yet empty, and makes it durable.
    pub(super) fn write<D: Disk<File = F>>(
        &mut self,
        disk: &D,
        batch: &mut [u8],
        ahead: u64,
        mutations: Mutations,
    ) -> Result<(), StorageError> {
        format::seal(self.sequence, self.end, batch);
        let path = || disk.locate(&name(self.sequence));
        let end = self.end + batch.len() as u64;
        self.file.write_at(batch, self.end).map_err(io_error(path, "write"))?;
        if end > self.allocated {
            let zeros = vec![0; usize::try_from(ahead).expect("a small amount")];
            self.file.write_at(&zeros, end).map_err(io_error(path, "write"))?;
            self.allocated = end + ahead;
        }
        self.end = end;
        if mutations.has(Mutation::AckBeforeFsync) {
            return Ok(());
        }
        let synced = self.file.sync();
        if !mutations.has(Mutation::FsyncErrorIgnored) {
            synced.map_err(io_error(path, "sync"))?;
        }
        // Not synced of its own, so that it never claims too much.
        let mark = format::synced_mark(self.sequence, self.end);
        self.file.write_at(&mark, format::MARK_OFFSET).map_err(io_error(path, "write"))
    }
}
