//! Reads directories: which name stands for what.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::identity::Identity;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) identity: Identity,
    pub(super) kind: Kind,
    /// Who may do what with it.
    pub(super) mode: u32,
}

/// What kind of thing it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    /// A symbolic link to there.
    Link(PathBuf),
    /// A socket or a pipe: nothing of it is on the disk but its name.
    Other,
}

/// A directory's names.
pub(super) type Names = BTreeMap<OsString, Named>;

/// A directory where it is now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) path: PathBuf,
    /// When it was changed last before it was read, in nanoseconds since 1970.
    pub(super) changed_ns: i128,
    pub(super) names: Names,
}

/// Reads one directory. What vanishes while it is read is left out.
pub(super) fn read(path: &Path) -> io::Result<Names> {
    let mut names = Names::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        match describe(&entry.path()) {
            Ok(named) => drop(names.insert(entry.file_name(), named)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(names)
}

fn describe(path: &Path) -> io::Result<Named> {
    let metadata = fs::symlink_metadata(path)?;
    let kind = match metadata.file_type() {
        kind if kind.is_file() => Kind::File,
        kind if kind.is_dir() => Kind::Directory,
        kind if kind.is_symlink() => Kind::Link(fs::read_link(path)?),
        _ => Kind::Other,
    };
    let identity = Identity::of(path, &metadata, false)?;
    Ok(Named { identity, kind, mode: metadata.permissions().mode() & 0o7777 })
}

/// Which directory it is, when it was changed, and its names, read after that.
fn look(path: &Path) -> io::Result<(Identity, i128, Names)> {
    let changed_ns = changed_ns(&fs::symlink_metadata(path)?);
    Ok((Identity::at(path)?, changed_ns, read(path)?))
}

/// When something was changed last, in nanoseconds since 1970.
pub(super) fn changed_ns(metadata: &fs::Metadata) -> i128 {
    i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec())
}

/// Reads a directory and all below it.
pub(super) fn tree(root: &Path) -> io::Result<HashMap<Identity, Placed>> {
    let mut found = HashMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let (identity, changed_ns, names) = match look(&path) {
            Ok(seen) => seen,
            Err(error) if error.kind() == io::ErrorKind::NotFound && path != root => continue,
            Err(error) => return Err(error),
        };
        let below = names.iter().filter(|(_, named)| named.kind == Kind::Directory);
        left.extend(below.map(|(name, _)| path.join(name)));
        found.insert(identity, Placed { path, changed_ns, names });
    }
    Ok(found)
}
