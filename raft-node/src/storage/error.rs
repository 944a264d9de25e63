//! Says why the disk cannot be relied on, where, and what a person can do about it.

use std::io;
use std::path::PathBuf;

use crate::core::units::{Index, NodeId};

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
        /// The file.
        path: PathBuf,
        /// The id in its header.
        found: NodeId,
        /// This server's id.
        expected: NodeId,
    },
    /// The file was made by another version of this program.
    #[error(
        "{}: was written by another version of this program, in a format that this one does not \
         read. Run that version on this directory, or remove this server from the cluster and add \
         it again under a new id with an empty directory",
        path.display()
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
    },
    /// Something that was once written whole no longer is.
    #[error(
        "{}: damaged at byte {offset}: {reason}. What is lost there may have been acknowledged, so \
         this server must not go on without it. Restore the data directory from a copy made after \
         the server last ran, or remove this server from the cluster and add it again under a new \
         id with an empty directory. Do not cut the file short and do not start the server empty \
         under the same id: either can lose acknowledged writes",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damaged part begins, in bytes.
        offset: u64,
        /// What was found there.
        reason: String,
    },
    /// The log begins after the newest snapshot ends.
    #[error(
        "{}: the log begins after entry {begins}, but the newest snapshot ends at entry {ends}: a \
         file of the data directory is missing. Restore the directory from a copy made after the \
         server last ran, or remove this server from the cluster and add it again under a new id \
         with an empty directory",
        path.display()
    )]
    Gap {
        /// The first segment of the log.
        path: PathBuf,
        /// The last entry before the log.
        begins: Index,
        /// The last entry in the snapshot; 0 without one.
        ends: Index,
    },
    /// An earlier write or sync did not succeed.
    #[error("{}: an earlier write or sync did not succeed; nothing more is promised", path.display())]
    Poisoned {
        /// The data directory.
        path: PathBuf,
    },
    /// A snapshot is older than one that is durable already.
    #[error("{}: a newer snapshot is durable already", path.display())]
    Superseded {
        /// The file, which is of no use.
        path: PathBuf,
    },
    /// A received snapshot is not the one that was announced.
    #[error("{}: the received snapshot is not what was announced: {reason}", path.display())]
    Mismatch {
        /// The file, which is of no use.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
}

/// Adds to an error of the operating system what was tried, and on what. The path is made only
/// then: most of what is tried succeeds.
pub(super) fn io_error(
    path: impl FnOnce() -> PathBuf,
    action: &'static str,
) -> impl FnOnce(io::Error) -> StorageError {
    move |source| StorageError::Io { path: path(), action, source }
}
