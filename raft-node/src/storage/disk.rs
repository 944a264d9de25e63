//! Says what the storage needs of a disk, and gives it a directory of the real one.
//!
//! The storage is written against [`Disk`] alone, so that a test or a simulator runs the very code
//! that a server runs, on a disk that forgets and fails on purpose
//! ([`SimulatedDisk`](super::SimulatedDisk)). Files lie flat in one directory and are named, not
//! pathed. What POSIX promises is all that may be relied on: data is durable after a sync of its
//! file, a name after a sync of the directory, and a rename happens wholly or not at all. Dispatch
//! is static: on the real disk each method is one or two system calls.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One directory of a disk. Clones are handles to the same directory.
pub trait Disk: Clone + fmt::Debug {
    /// An open file. It stays readable when its name is removed.
    type File: DiskFile + fmt::Debug;
    /// Keeps others out of the directory until it is dropped.
    type Lock: fmt::Debug;

    /// Where a file of this name is, for a person to read.
    fn locate(&self, name: &str) -> PathBuf;

    /// Makes sure that the directory exists, durably.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    fn prepare(&self) -> io::Result<()>;

    /// Claims the directory by a lock file; nothing if another process has it.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    fn lock(&self, name: &str) -> io::Result<Option<Self::Lock>>;

    /// The names of the files in the directory, sorted.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates an empty file, or empties it. Its name is durable after [`Disk::sync`].
    ///
    /// # Errors
    ///
    /// What the operating system says.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Renames a file, replacing what had the new name. Durable after [`Disk::sync`].
    ///
    /// # Errors
    ///
    /// What the operating system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file's name. Durable after [`Disk::sync`].
    ///
    /// # Errors
    ///
    /// What the operating system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the directory's names durable.
    ///
    /// # Errors
    ///
    /// What the operating system says; what is durable is then unknown.
    fn sync(&self) -> io::Result<()>;
}

/// An open file of a [`Disk`]. Offsets and lengths are in bytes.
pub trait DiskFile {
    /// How long the file is.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    fn length(&self) -> io::Result<u64>;

    /// Fills the buffer from an offset.
    ///
    /// # Errors
    ///
    /// When the file ends before the buffer is full, or the disk fails.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of the bytes at an offset. Durable after [`DiskFile::sync`].
    ///
    /// # Errors
    ///
    /// When the disk is full or fails; how much was written is then unknown.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file to a length. Durable after [`DiskFile::sync`].
    ///
    /// # Errors
    ///
    /// What the operating system says.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Makes the file's contents and length durable, as by `fdatasync`.
    ///
    /// # Errors
    ///
    /// What the operating system says. The kernel may have dropped what it could not write, so that
    /// a second sync that succeeds means nothing: the file must not be trusted again.
    fn sync(&self) -> io::Result<()>;
}

/// A directory of the real disk.
#[derive(Clone, Debug)]
pub struct Directory {
    path: Arc<Path>,
}

impl Directory {
    /// The directory at a path, which need not exist yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.into() }
    }
}

impl Disk for Directory {
    type File = File;
    type Lock = File;

    fn locate(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn prepare(&self) -> io::Result<()> {
        let absolute = std::path::absolute(&self.path)?;
        // The new directories' names are in their parents, from the deepest one that was there.
        let missing = absolute.ancestors().take_while(|directory| !directory.is_dir()).count();
        fs::create_dir_all(&absolute)?;
        absolute.ancestors().skip(1).take(missing).try_for_each(sync_directory)
    }

    fn lock(&self, name: &str) -> io::Result<Option<File>> {
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).open(self.locate(name))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that is no UTF-8 is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).read(true).write(true).open(self.locate(name))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.locate(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.locate(from), self.locate(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.locate(name))
    }

    fn sync(&self) -> io::Result<()> {
        sync_directory(&self.path)
    }
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

impl DiskFile for File {
    fn length(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
