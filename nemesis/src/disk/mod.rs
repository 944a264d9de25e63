//! Disks that lose power, fail, fill up, slow down and rot, without root and without FUSE.
//!
//! A node's data directory is its disk. A seccomp filter shows the node's writes, syncs and changes
//! of names to a supervisor in the controller (`filter`, `listener`, `supervisor`), which
//! knows at any time what a loss of power would take back (`image`) and takes it back when asked
//! (`restore`). The same notifications are where calls fail or wait (`trouble`). Nothing is
//! written beside the directory while the node runs: what was replaced and is not synced is kept in
//! memory, at most 128 MiB a file.
//!
//! Bytes are promised by an fsync of their file. Names are promised as the journals of ext4 and XFS
//! promise them, by any later fsync, or, if asked for, by an fsync of their directory only, which is
//! all that fsync(2) says. `docs/faults-disk.md` argues the model, says what it costs, and lists
//! what is not modelled.

mod call;
mod contents;
pub(crate) mod damage;
mod disk_fault;
mod identity;
mod image;
mod journal;
mod ledger;
mod mapped;
mod names;
mod restore;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::ChaCha8Rng;

use disk_fault::ActiveDiskFault;
use image::Image;

pub(crate) use disk_fault::CallOutcome;

pub use contents::UnsyncedSurvival;
pub use damage::BitLocation;
pub use disk_fault::{AllocationMode, DiskFault, FailingCalls, Tally};
pub use image::NameModel;
pub use restore::Loss;

/// A node's disk: a directory whose node is watched. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct Disk {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    image: Image,
    armed: Option<ActiveDiskFault>,
    syncs: Syncs,
    /// Why it is no longer known what the disk holds.
    problem: Option<String>,
}

/// What a node asked its disk to make durable. How long the kernel takes for it cannot be seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Syncs {
    /// How many times.
    pub calls: u64,
    /// How much longer the lab let them take, all together.
    pub added: Duration,
}

/// Why a disk could not be watched, or could not be broken.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The directory could not be read or changed.
    #[error("the disk at {directory}: {source}")]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A promise may have been missed, so that nothing may be taken back.
    #[error(
        "the disk at {directory} can no longer lose power legally: a call was not understood: {problem}"
    )]
    Unsure {
        /// The directory.
        directory: PathBuf,
        /// What went wrong.
        problem: String,
    },
}

impl Disk {
    /// The disk that `directory` is, which must exist. All that is in it is durable.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read.
    pub fn new(directory: &Path) -> Result<Disk, DiskError> {
        let failed = |source| DiskError::Directory { directory: directory.to_owned(), source };
        let directory = directory.canonicalize().map_err(failed)?;
        let image = Image::adopt(&directory).map_err(failed)?;
        let state = State { image, armed: None, syncs: Syncs::default(), problem: None };
        let state = Mutex::new(state);
        Ok(Disk { shared: Arc::new(Shared { directory, state }) })
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.shared.directory
    }

    /// What the node asked to be synced up to now.
    pub fn syncs(&self) -> Syncs {
        self.shared.state().syncs
    }

    /// Takes back everything that was not synced: names by `model`, bytes but for what `tear` lets survive. Nobody may have
    /// the directory's files open: kill the node first.
    ///
    /// # Errors
    ///
    /// If it is not known what the disk holds, or the directory cannot be changed.
    pub fn lose_power(
        &self,
        model: NameModel,
        tear: UnsyncedSurvival,
        rng: &mut ChaCha8Rng,
    ) -> Result<Loss, DiskError> {
        let directory = || self.shared.directory.clone();
        let mut state = self.shared.state();
        if let Some(problem) = state.problem.clone() {
            return Err(DiskError::Unsure { directory: directory(), problem });
        }
        restore::lose(&mut state.image, model, tear, rng)
            .map_err(|source| DiskError::Directory { directory: directory(), source })
    }

    /// Breaks the disk until the result is dropped. Only the latest trouble is in force.
    pub fn trouble(&self, trouble: DiskFault, rng: ChaCha8Rng) -> Troubled {
        self.shared.state().armed = Some(ActiveDiskFault::new(trouble, rng));
        Troubled { disk: self.clone() }
    }

    /// Takes everything in the directory for durable, after it was changed while the node is down.
    pub(crate) fn settle(&self) -> Result<(), DiskError> {
        let mut state = self.shared.state();
        state.image = Image::adopt(&self.shared.directory).map_err(|source| {
            DiskError::Directory { directory: self.shared.directory.clone(), source }
        })?;
        Ok(())
    }
}

impl Shared {
    /// Locks even after a panic elsewhere: a node must not be left waiting.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A broken disk. Dropping it mends the disk.
#[derive(Debug)]
pub struct Troubled {
    disk: Disk,
}

impl Troubled {
    /// What the trouble did up to now.
    pub fn tally(&self) -> Tally {
        self.disk.shared.state().armed.as_ref().map(|armed| armed.tally).unwrap_or_default()
    }
}

impl Drop for Troubled {
    fn drop(&mut self) {
        self.disk.shared.state().armed = None;
    }
}
