//! A file of records that is synced before anything relies on it.
//!
//! A record is its length and the CRC-32 of its payload, four bytes each in little endian, and its payload. Each is written and
//! synced before the next, so that a loss of power tears the last one at most: it was never relied on, and is cut off.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const HEADER: usize = 8;

/// An open journal.
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes of whole records.
    length: u64,
}

impl Journal {
    /// Opens the journal at `path`, or makes an empty one, with the payloads that it holds.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or synced, or if a record is damaged that is followed by a whole one: no loss of power does
    /// that.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<Vec<u8>>)> {
        let is_new = !path.exists();
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        if is_new {
            file.sync_all()?;
            sync_folder(path)?;
        }
        let bytes = fs::read(path)?;
        let mut payloads = Vec::new();
        let mut rest = &bytes[..];
        while let Some((payload, after)) = next(rest) {
            payloads.push(payload.to_vec());
            rest = after;
        }
        if (1..rest.len()).any(|skipped| next(&rest[skipped..]).is_some()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a record before the last is damaged",
            ));
        }
        let length = (bytes.len() - rest.len()) as u64;
        if !rest.is_empty() {
            eprintln!("{} bytes of a torn record are cut off", rest.len());
            file.set_len(length)?;
        }
        // What a process wrote that was killed before its sync is read here, and relied on from now on.
        file.sync_all()?;
        let path = path.to_owned();
        Ok((Self { path, file, length }, payloads))
    }

    /// Appends a record. It is on disk when this returns.
    pub fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        let record = record(payload);
        self.file.write_all(&record)?;
        self.file.sync_data()?;
        self.length += record.len() as u64;
        Ok(())
    }

    /// Puts `payloads` in the place of all records, all at once.
    pub fn rewrite(&mut self, payloads: &[Vec<u8>]) -> io::Result<()> {
        let records: Vec<u8> = payloads.iter().flat_map(|payload| record(payload)).collect();
        replace(&self.path, &records)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.length = records.len() as u64;
        Ok(())
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }
}

/// A payload as a record.
pub fn record(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("records are smaller than 4 GiB");
    let header = [length.to_le_bytes(), crc32fast::hash(payload).to_le_bytes()];
    [&header.concat(), payload].concat()
}

/// The payload at the beginning of `bytes` and what follows it, if there is a whole record.
pub fn next(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, rest) = bytes.split_at_checked(HEADER)?;
    let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
    let (payload, after) = rest.split_at_checked(number(0) as usize)?;
    // No record is empty; zeros are what a file was extended by.
    (!payload.is_empty() && crc32fast::hash(payload) == number(4)).then_some((payload, after))
}

/// Puts `bytes` in the place of a file, all or nothing even if power is lost.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let next = path.with_extension("new");
    let mut file = File::create(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    sync_folder(path)
}

/// A name is durable when its folder is synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().expect("a file in a folder"))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("openraft-kv-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        folder.join("journal")
    }

    #[test]
    fn a_torn_record_is_cut_off_wherever_it_was_torn() {
        let path = folder("torn");
        let whole = record(b"one");
        let torn = record(b"two");
        for kept in 0..torn.len() {
            fs::write(&path, [&whole[..], &torn[..kept]].concat()).expect("written");
            let (mut journal, payloads) = Journal::open(&path).expect("it opens");
            assert_eq!(payloads, [b"one"], "{kept} bytes of the second record");
            journal.append(b"three").expect("written");
            let (_, payloads) = Journal::open(&path).expect("it opens");
            assert_eq!(payloads, [&b"one"[..], b"three"]);
        }
    }

    #[test]
    fn damage_before_the_last_record_is_refused() {
        let path = folder("damaged");
        let mut bytes = [record(b"one"), record(b"two")].concat();
        bytes[HEADER] ^= 1;
        fs::write(&path, bytes).expect("written");
        assert!(Journal::open(&path).is_err());
    }
}
