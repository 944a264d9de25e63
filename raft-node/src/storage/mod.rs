//! Keeps what a server must not forget: terms, votes, entries, in one write-ahead log.
//!
//! # The file
//!
//! `raft.wal` begins with a [header](mod@format): a magic number, the server's id, and a mark of how
//! far the file is known to be synced. Batches follow. A batch is everything that was persisted
//! between two syncs, under one CRC32C over its length, its place in the file and its content: it
//! counts as a whole or not at all.
//!
//! # Promises
//!
//! * [`Storage::commit`] returns only after `fdatasync`; one sync serves everything that waits.
//! * After a failed write or sync nothing more is promised: the kernel may have dropped the pages,
//!   and a second sync would claim success for nothing. The storage is poisoned for good; the
//!   server stops, and what a restart finds on the disk is the truth.
//! * At restart a torn tail, a last batch cut short by a power loss before its sync returned, is
//!   removed: nothing in it was promised to anyone. Damage anywhere else is refused with the place
//!   named, and the file is left as it is: a server that dropped synced entries and voted could
//!   lose writes that clients were told are safe.
//! * The file is created under another name, synced, renamed, and its directory synced, as is the
//!   data directory's own parent.
//!
//! How damage is told from a torn tail: the header's mark follows each sync without a sync of its
//! own, so that it never claims too much; a bad batch that begins below it was once whole. Above
//! it, a whole batch after the bad one tells the same, since a batch is written only after the one
//! before it was synced. What cannot be told is damage to the very last batch in a file whose mark
//! was lost with the power: it is taken for torn.
//!
//! # What is left out
//!
//! Compaction (the file only grows), several segments, and preallocation.

pub mod format;
mod recovery;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::codec::encode_record;
use crate::core::units::{Boot, NodeId};
use crate::core::{Record, Restored};

/// The log's name in the data directory.
pub const FILE_NAME: &str = "raft.wal";

/// Why the disk cannot be relied on.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The operating system refused.
    #[error("{}: {action}: {source}", path.display())]
    Io {
        /// What it was about.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// Another process uses the data directory.
    #[error("{}: in use by another process", path.display())]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// The file was made by another server.
    #[error("{}: belongs to server {found}, not to server {expected}", path.display())]
    OtherServer {
        /// The log.
        path: PathBuf,
        /// The id in its header.
        found: NodeId,
        /// This server's id.
        expected: NodeId,
    },
    /// Something that was once written whole no longer is.
    #[error(
        "{}: damaged at byte {offset}: {reason}. Entries from there on may have been \
         acknowledged, so this server must not go on without them. Restore the file from a copy \
         made after the server last ran. Do not cut it short and do not start the server empty \
         under the same id: either can lose acknowledged writes",
        path.display()
    )]
    Damaged {
        /// The log.
        path: PathBuf,
        /// Where the damaged part begins, in bytes.
        offset: u64,
        /// What was found there.
        reason: String,
    },
    /// An earlier write or sync did not succeed.
    #[error("{}: an earlier write or sync did not succeed", path.display())]
    Poisoned {
        /// The log.
        path: PathBuf,
    },
}

/// The open write-ahead log of one server.
#[derive(Debug)]
pub struct Storage {
    path: PathBuf,
    file: File,
    /// Where the next batch goes.
    end: u64,
    /// The records of the next batch, encoded.
    pending: Vec<u8>,
    poisoned: bool,
    /// Held for its lock.
    _lock: File,
}

/// What opening the storage found.
#[derive(Debug)]
pub struct Opened {
    /// The log, ready to be written to.
    pub storage: Storage,
    /// What the server remembers; its boot number is new and durable.
    pub restored: Restored,
    /// How many bytes of a torn tail were removed.
    pub torn_bytes: u64,
}

impl Storage {
    /// Opens a server's data directory, creating it if need be, and begins a new life.
    ///
    /// # Errors
    ///
    /// When the directory is in use, belongs to another server, or is damaged, or the disk fails.
    pub fn open(directory: &Path, id: NodeId) -> Result<Opened, StorageError> {
        create_directory(directory)?;
        let lock = lock(directory)?;
        let path = directory.join(FILE_NAME);
        let exists = path.try_exists().map_err(|source| io_error(&path, "stat", source))?;
        if !exists {
            create_file(directory, &path, id)?;
        }
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let file = opened.map_err(|source| io_error(&path, "open", source))?;
        let recovered = recovery::recover(&path, &file, id)?;
        let mut restored = recovered.restored;
        if recovered.torn_bytes > 0 {
            let cut = file.set_len(recovered.end).and_then(|()| file.sync_all());
            cut.map_err(|source| io_error(&path, "remove the torn tail", source))?;
        }
        let mut storage = Self {
            path,
            file,
            end: recovered.end,
            pending: Vec::new(),
            poisoned: false,
            _lock: lock,
        };
        restored.boot = Boot(restored.boot.0 + 1);
        storage.append(&Record::Boot(restored.boot));
        storage.commit()?;
        Ok(Opened { storage, restored, torn_bytes: recovered.torn_bytes })
    }

    /// Adds a record to the next batch. Nothing is durable before [`Storage::commit`].
    pub fn append(&mut self, record: &Record) {
        format::put_record(&mut self.pending, |out| encode_record(record, out));
    }

    /// Makes all appended records durable, in one write and one sync.
    ///
    /// # Errors
    ///
    /// When the disk fails. The caller must then promise nothing more; every later call fails too.
    pub fn commit(&mut self) -> Result<(), StorageError> {
        if self.poisoned {
            return Err(StorageError::Poisoned { path: self.path.clone() });
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        self.poisoned = true;
        for batch in format::batches(&self.pending) {
            let framed = format::frame(self.end, batch);
            let written = self.file.write_all_at(&framed, self.end);
            written.map_err(|source| io_error(&self.path, "write", source))?;
            let synced = self.file.sync_data();
            synced.map_err(|source| io_error(&self.path, "sync", source))?;
            self.end += framed.len() as u64;
        }
        let mark = format::synced_mark(self.end);
        let marked = self.file.write_all_at(&mark, format::MARK_OFFSET);
        marked.map_err(|source| io_error(&self.path, "write", source))?;
        self.pending.clear();
        self.poisoned = false;
        Ok(())
    }
}

fn io_error(path: &Path, action: &'static str, source: io::Error) -> StorageError {
    StorageError::Io { path: path.to_owned(), action, source }
}

fn create_directory(directory: &Path) -> Result<(), StorageError> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory).map_err(|source| io_error(directory, "create", source))?;
    let absolute = std::path::absolute(directory);
    let absolute = absolute.map_err(|source| io_error(directory, "locate", source))?;
    match absolute.parent() {
        Some(parent) => sync_directory(parent),
        None => Ok(()),
    }
}

fn sync_directory(directory: &Path) -> Result<(), StorageError> {
    let synced = File::open(directory).and_then(|opened| opened.sync_all());
    synced.map_err(|source| io_error(directory, "sync", source))
}

fn lock(directory: &Path) -> Result<File, StorageError> {
    let path = directory.join("lock");
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = opened.map_err(|source| io_error(&path, "open", source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StorageError::InUse { path }),
        Err(TryLockError::Error(source)) => Err(io_error(&path, "lock", source)),
    }
}

fn create_file(directory: &Path, path: &Path, id: NodeId) -> Result<(), StorageError> {
    let temporary = path.with_extension("new");
    let created = File::create(&temporary).and_then(|file| {
        file.write_all_at(&format::header(id), 0)?;
        file.sync_all()
    });
    created.map_err(|source| io_error(&temporary, "create", source))?;
    fs::rename(&temporary, path).map_err(|source| io_error(path, "create", source))?;
    sync_directory(directory)
}
