//! Keeps a copy of a file whose pages a node writes through memory, where no call shows it.
//!
//! The copy is what the disk holds; `msync` and `fsync` bring it up to date by comparing both
//! files, which costs a read of each. It has no name, so that it ends with the controller.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::contents::read_up_to;

/// How much is compared at once, in bytes.
const CHUNK: usize = 1 << 20;
/// The largest file that is copied, in bytes. Larger ones lose nothing.
const LARGEST: u64 = 1 << 30;

/// A mapped file and what the disk holds of it.
#[derive(Debug)]
pub(super) struct Mapped {
    live: File,
    durable: File,
}

impl Mapped {
    /// Copies `live` as it is now.
    pub(super) fn copy(live: File) -> io::Result<Mapped> {
        if live.metadata()?.len() > LARGEST {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "too large to be copied"));
        }
        let nameless = |folder: &Path| {
            OpenOptions::new().read(true).write(true).custom_flags(libc::O_TMPFILE).open(folder)
        };
        let mut mapped = Mapped { live, durable: nameless(&std::env::temp_dir())? };
        mapped.refresh()?;
        Ok(mapped)
    }

    pub(super) fn live(&self) -> &File {
        &self.live
    }

    pub(super) fn durable(&mut self) -> &File {
        &self.durable
    }

    /// Everything in the live file is on the disk now.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        make_equal(&self.live, &self.durable).map(drop)
    }

    /// Makes `file`, which is the live one, what the disk holds; how many bytes that changed.
    pub(super) fn put_back(&mut self, file: &File) -> io::Result<u64> {
        make_equal(&self.durable, file)
    }
}

/// Makes `to` equal to `from`, writing only what differs; how many bytes did.
fn make_equal(from: &File, to: &File) -> io::Result<u64> {
    let length = from.metadata()?.len();
    let before = to.metadata()?.len();
    to.set_len(length)?;
    let (mut wanted, mut found) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut changed = length.abs_diff(before);
    let mut at = 0;
    while at < length {
        let read = read_up_to(from, &mut wanted, at)?;
        let there = read_up_to(to, &mut found[..read], at)?;
        if read == 0 {
            break;
        }
        if wanted[..read] != found[..there] {
            changed += wanted[..read].iter().zip(&found).filter(|(a, b)| a != b).count() as u64;
            to.write_all_at(&wanted[..read], at)?;
        }
        at += read as u64;
    }
    Ok(changed)
}
