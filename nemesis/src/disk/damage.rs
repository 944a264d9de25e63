//! Destroys what was promised to be durable, while the node is down, and mends it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// The most that is cut off a file, in bytes, so that it can be mended.
const MOST_CUT: u64 = 256 << 20;

/// Where a bit is flipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BitLocation {
    /// At a random byte of the first half.
    Random,
    /// At this byte.
    At(u64),
}

/// A file that was damaged, and how to mend it.
#[derive(Debug)]
pub(crate) struct Damage {
    /// The file.
    pub(crate) path: PathBuf,
    /// How long it is now.
    length: u64,
    offset: u64,
    /// What stood there.
    old: Vec<u8>,
}

impl Damage {
    /// Flips one random bit of the file.
    pub(crate) fn flip(
        path: PathBuf,
        spot: BitLocation,
        rng: &mut ChaCha8Rng,
    ) -> io::Result<Damage> {
        let file = open(&path)?;
        let length = file.metadata()?.len();
        let offset = match spot {
            _ if length == 0 => return Err(empty(&path)),
            BitLocation::Random => rng.random_range(0..length.div_ceil(2)),
            BitLocation::At(offset) if offset < length => offset,
            BitLocation::At(offset) => {
                let text = format!("{} has no byte {offset}, only {length}", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
        };
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset)?;
        file.write_all_at(&[byte[0] ^ (1 << rng.random_range(0..8))], offset)?;
        Ok(Damage { path, length, offset, old: byte.to_vec() })
    }

    /// Cuts the file to so many hundredths of its length.
    pub(crate) fn cut(path: PathBuf, keep_percent: u8) -> io::Result<Damage> {
        let file = open(&path)?;
        let before = file.metadata()?.len();
        if before == 0 {
            return Err(empty(&path));
        }
        let length = (before / 100 * u64::from(keep_percent)
            + before % 100 * u64::from(keep_percent) / 100)
            .max(before.saturating_sub(MOST_CUT));
        let mut old = vec![0; (before - length) as usize];
        file.read_exact_at(&mut old, length)?;
        file.set_len(length)?;
        Ok(Damage { path, length, offset: length, old })
    }

    /// How many bytes are gone or wrong.
    pub(crate) fn bytes(&self) -> u64 {
        self.old.len() as u64
    }

    /// Puts back what stood there, unless the file was changed meanwhile.
    pub(crate) fn mend(&self) -> io::Result<()> {
        let file = open(&self.path)?;
        if file.metadata()?.len() == self.length {
            file.write_all_at(&self.old, self.offset)?;
        }
        Ok(())
    }
}

/// The file of that name below `directory`, or the largest there is.
pub(crate) fn find(directory: &Path, name: Option<&str>) -> io::Result<PathBuf> {
    if let Some(name) = name {
        return Ok(directory.join(name));
    }
    let mut largest: Option<(u64, PathBuf)> = None;
    let mut left = vec![directory.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                left.push(entry.path());
            } else if metadata.is_file() {
                let found = Some((metadata.len(), entry.path()));
                largest = largest.max(found);
            }
        }
    }
    let none = || io::Error::new(io::ErrorKind::NotFound, "there is no file to damage");
    largest.map(|(_, path)| path).ok_or_else(none)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

fn empty(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{} is empty", path.display()))
}
