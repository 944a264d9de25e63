//! Knows which names a journal would hold: those that stood at the latest sync of anything.
//!
//! ext4 and XFS write changes of names to their journal in order, and what an fsync must write comes
//! after all changes that were made before. So each sync commits all names; they are read anew only
//! if a directory was changed since. The kernel's time stamps are coarse: a directory that was
//! changed shortly before it was read is read again (as git does with its index).

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::identity::Identity;
use super::names::{self, Placed};

/// How coarse a time stamp may be, in nanoseconds: five ticks of the slowest kernel clock.
const COARSENESS_NS: i128 = 50_000_000;
/// How often names are read until they stand still.
const MOST_READS: usize = 16;

/// All names at the latest sync.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) names: HashMap<Identity, Placed>,
    read_at_ns: i128,
}

impl Journal {
    /// With the names that stand below `root` now.
    pub(super) fn read(root: &Path) -> io::Result<Journal> {
        // A file that is moved while directories are read may be seen in neither or in both.
        for _ in 0..MOST_READS {
            let read_at_ns = now_ns();
            let names = names::tree(root)?;
            if names::tree(root)? == names {
                return Ok(Journal { names, read_at_ns });
            }
        }
        Err(io::Error::other("the directory's names did not stand still"))
    }

    /// Whether all names are certain to be as they were read.
    pub(super) fn is_current(&self) -> bool {
        let settled_ns = self.read_at_ns - COARSENESS_NS;
        self.names.values().all(|placed| {
            let found = fs::symlink_metadata(&placed.path);
            let changed_ns = found.as_ref().map(names::changed_ns);
            changed_ns.is_ok_and(|at| at == placed.changed_ns && at < settled_ns)
        })
    }
}

fn now_ns() -> i128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or(i128::MAX)
}
