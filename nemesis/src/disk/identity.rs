//! Tells files apart for as long as the disk exists, not only as long as they have a name.
//!
//! The number of a deleted file's inode is soon given to another; a file system counts these
//! generations and shows them in file handles (name_to_handle_at(2), no privilege needed). Where
//! it makes no handles (overlayfs), the time of birth stands in.

#![expect(unsafe_code, reason = "name_to_handle_at has no safe interface")]

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::random::fnv1a;

/// A file, directory or link of one file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    /// A hash of the file's handle, or its time of birth.
    generation: u64,
}

/// As `struct file_handle`, with room for every file system's handles.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    data: [u8; libc::MAX_HANDLE_SZ as usize],
}

impl Identity {
    /// Whose metadata `metadata` is, which was read from `path`; a link is itself unless `follow`.
    pub(super) fn of(path: &Path, metadata: &fs::Metadata, follow: bool) -> io::Result<Identity> {
        let generation = match handle(path, follow)? {
            Some(handle) => handle,
            None => born(metadata),
        };
        Ok(Identity { device: metadata.dev(), inode: metadata.ino(), generation })
    }

    /// Of what stands at `path`, be it a link.
    pub(super) fn at(path: &Path) -> io::Result<Identity> {
        Identity::of(path, &fs::symlink_metadata(path)?, false)
    }
}

fn born(metadata: &fs::Metadata) -> u64 {
    let since = metadata.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_nanos() as u64)
}

/// A hash of a file's handle, if its file system makes handles.
fn handle(path: &Path, follow: bool) -> io::Result<Option<u64>> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut handle = Handle {
        bytes: libc::MAX_HANDLE_SZ as u32,
        kind: 0,
        data: [0; libc::MAX_HANDLE_SZ as usize],
    };
    let mut mount = 0;
    let flags = if follow { libc::AT_SYMLINK_FOLLOW } else { 0 };
    // SAFETY: the handle says how much room it has, and everything outlives the call.
    let made = unsafe {
        libc::name_to_handle_at(
            libc::AT_FDCWD,
            path.as_ptr(),
            (&raw mut handle).cast(),
            &raw mut mount,
            flags,
        )
    };
    if made == 0 {
        let used = handle.data.get(..handle.bytes as usize).unwrap_or(&handle.data);
        return Ok(Some(fnv1a(used)));
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP | libc::EOVERFLOW | libc::ENOSYS | libc::EPERM) => Ok(None),
        _ => Err(error),
    }
}
