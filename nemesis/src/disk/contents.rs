//! Remembers, of one file, what a loss of power would take back.
//!
//! The live file holds the newest bytes; what is kept here is only what differs from the disk: the
//! length that was synced last, and the old bytes of synced places that were written since. So an
//! append costs nothing, a sync costs nothing, and an overwrite costs a copy of what it replaces.
//! Whatever is missed counts as durable: a page that the kernel happened to write back early.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::mapped::Mapped;

/// What every disk writes whole or not at all, in bytes.
const SECTOR: u64 = 512;
/// The most that is kept of one file, in bytes. Past it, what was written counts as written back.
const MOST_SAVED: u64 = 128 << 20;

/// How much of what was not synced survives a loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnsyncedSurvival {
    /// Nothing.
    Nothing,
    /// A random part: overwritten places up to a random sector, appended ones too.
    Sector,
    /// A random part: overwritten places up to a random sector, appended ones up to a random byte.
    Byte,
}

/// What a file lost, in bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost {
    /// Taken back.
    pub(super) bytes: u64,
    /// Not synced, but kept.
    pub(super) survived: u64,
}

/// What is on the disk of one file, where that is not what it holds.
#[derive(Debug)]
pub(super) struct Contents {
    /// How long it was when it was synced.
    length: u64,
    /// Every write is durable when it returns.
    is_written_through: bool,
    /// It was made shorter since: its old and new blocks are not the same.
    was_cut: bool,
    /// Old bytes by place. Ranges do not overlap, and end before `length`.
    saved: BTreeMap<u64, Vec<u8>>,
    mapped: Option<Mapped>,
}

impl Contents {
    /// Of a file that is all on the disk and so long, or of a new one with nothing on the disk.
    pub(super) fn synced(length: u64) -> Contents {
        Contents {
            length,
            is_written_through: false,
            was_cut: false,
            saved: BTreeMap::new(),
            mapped: None,
        }
    }

    /// Everything in it, `length` bytes, is about to be on the disk.
    pub(super) fn sync(&mut self, length: u64) {
        self.length = length;
        self.was_cut = false;
        self.saved.clear();
        self.sync_mapped();
    }

    /// What is mapped is about to be on the disk.
    pub(super) fn sync_mapped(&mut self) {
        if self.mapped.as_mut().is_some_and(|mapped| mapped.refresh().is_err()) {
            // Without a true copy nothing of it can be taken back.
            self.mapped = None;
            self.is_written_through = true;
        }
    }

    /// From now on every write to it is on the disk when it returns.
    pub(super) fn write_through(&mut self) {
        self.is_written_through = true;
        self.saved.clear();
    }

    /// Blocks were moved or taken away since it was synced: its old ones come back whole.
    pub(super) fn forbid_tearing(&mut self) {
        self.was_cut = true;
    }

    /// Whether writing there replaces something that is on the disk and not saved.
    pub(super) fn replaces(&self, range: &Range<u64>) -> bool {
        !self.is_written_through
            && self.mapped.is_none()
            && range.start < self.length.min(range.end)
            && !self.gaps(range).is_empty()
    }

    /// `range` is about to be written: saves what stands there.
    pub(super) fn save(&mut self, file: &File, range: &Range<u64>) -> io::Result<()> {
        if !self.replaces(range) {
            return Ok(());
        }
        let gaps = self.gaps(range);
        let more: u64 = gaps.iter().map(|gap| gap.end - gap.start).sum();
        let held: u64 = self.saved.values().map(|bytes| bytes.len() as u64).sum();
        if held + more > MOST_SAVED {
            self.saved.clear();
            self.length = file.metadata()?.len();
            return Ok(());
        }
        for gap in gaps {
            let mut bytes = vec![0; (gap.end - gap.start) as usize];
            let read = read_up_to(file, &mut bytes, gap.start)?;
            bytes.truncate(read);
            if read > 0 {
                self.saved.insert(gap.start, bytes);
            }
        }
        Ok(())
    }

    /// It is about to be cut to `length`: saves what is beyond.
    pub(super) fn save_cut(&mut self, file: &File, length: u64) -> io::Result<()> {
        if length < self.length {
            self.save(file, &(length..u64::MAX))?;
            self.was_cut = true;
        }
        Ok(())
    }

    /// It is about to be mapped for writing: from now on, a copy stands for what is on the disk.
    pub(super) fn map(&mut self, file: File) -> io::Result<()> {
        if self.mapped.is_some() || self.is_written_through {
            return Ok(());
        }
        let mut mapped = Mapped::copy(file)?;
        if self.length < mapped.live().metadata()?.len() || !self.saved.is_empty() {
            self.put_back(mapped.durable(), UnsyncedSurvival::Nothing, None)?;
        }
        self.saved.clear();
        self.mapped = Some(mapped);
        Ok(())
    }

    /// The places within `range` and the synced length of which nothing is saved.
    fn gaps(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let end = range.end.min(self.length);
        let mut at = range.start;
        let mut gaps = Vec::new();
        let before = self.saved.range(..=at).next_back();
        for (start, bytes) in before.into_iter().chain(self.saved.range(at + 1..end.max(at + 1))) {
            if *start > at {
                gaps.push(at..*start);
            }
            at = at.max(start + bytes.len() as u64);
        }
        if at < end {
            gaps.push(at..end);
        }
        gaps
    }

    /// Makes the file what the disk holds of it, but for what `tear` lets survive.
    pub(super) fn lose(
        &mut self,
        file: &File,
        tear: UnsyncedSurvival,
        rng: &mut ChaCha8Rng,
    ) -> io::Result<Lost> {
        if self.is_written_through {
            return Ok(Lost::default());
        }
        match self.mapped.take() {
            Some(mut mapped) => Ok(Lost { bytes: mapped.put_back(file)?, survived: 0 }),
            None => self.put_back(file, tear, Some(rng)),
        }
    }

    fn put_back(
        &mut self,
        file: &File,
        tear: UnsyncedSurvival,
        mut rng: Option<&mut ChaCha8Rng>,
    ) -> io::Result<Lost> {
        let size = file.metadata()?.len();
        if size < self.length && !self.gaps(&(size..self.length)).is_empty() {
            // It was cut unseen: that counts as written back.
            self.length = size;
        }
        let mut lost = Lost::default();
        let mut draw = |most: u64| rng.as_mut().map_or(0, |rng| rng.random_range(0..=most));
        // A file that was cut has other blocks now: its old ones come back whole.
        let tear = if self.was_cut { UnsyncedSurvival::Nothing } else { tear };

        let overwritten: u64 = self.saved.values().map(|bytes| bytes.len() as u64).sum();
        let mut surviving = if tear == UnsyncedSurvival::Nothing { 0 } else { draw(overwritten) };
        for (start, old) in &self.saved {
            let end = start + old.len() as u64;
            let cut = match start + surviving.min(old.len() as u64) {
                cut if cut == end => end,
                cut => (cut / SECTOR * SECTOR).max(*start),
            };
            // What lies beyond the end of the file has not been overwritten.
            let cut = if end > size { *start } else { cut };
            surviving = surviving.saturating_sub(old.len() as u64);
            lost.survived += cut - start;
            let old = &old[(cut - start) as usize..];
            lost.bytes += differing(file, old, cut)?;
            file.write_all_at(old, cut)?;
        }

        let appended = size.saturating_sub(self.length);
        let kept = match tear {
            UnsyncedSurvival::Nothing => 0,
            UnsyncedSurvival::Byte => draw(appended),
            UnsyncedSurvival::Sector => match self.length + draw(appended) {
                end if end == size => appended,
                end => (end / SECTOR * SECTOR).saturating_sub(self.length),
            },
        };
        lost.bytes += appended - kept;
        lost.survived += kept;
        if size != self.length + kept {
            file.set_len(self.length + kept)?;
        }
        Ok(lost)
    }
}

/// How many bytes of the file at `offset` are not `old`.
fn differing(file: &File, old: &[u8], offset: u64) -> io::Result<u64> {
    let mut now = vec![0; old.len()];
    let read = read_up_to(file, &mut now, offset)?;
    let changed = now[..read].iter().zip(old).filter(|(now, old)| now != old).count();
    Ok((changed + old.len() - read) as u64)
}

/// Reads until the buffer is full or the file ends; how much.
pub(super) fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::stream;

    /// What a program does to its file.
    #[derive(Debug, Clone)]
    enum FileOperation {
        Write { at: u64, length: usize },
        Cut { length: u64 },
        Sync,
    }

    fn any_deed() -> impl Strategy<Value = FileOperation> {
        prop_oneof![
            4 => (0..3_000_u64, 1..900_usize).prop_map(|(at, length)| FileOperation::Write { at, length }),
            1 => (0..3_000_u64).prop_map(|length| FileOperation::Cut { length }),
            1 => Just(FileOperation::Sync),
        ]
    }

    /// A file after these deeds, what is known of it, and what it held when it was synced.
    fn perform(deeds: &[FileOperation]) -> (File, Contents, Vec<u8>) {
        let file = tempfile::tempfile().expect("a file");
        let mut contents = Contents::synced(0);
        let mut synced = Vec::new();
        for (number, deed) in (1..).zip(deeds) {
            match deed {
                FileOperation::Write { at, length } => {
                    let range = *at..at + *length as u64;
                    contents.save(&file, &range).expect("saved");
                    file.write_all_at(&vec![number; *length], *at).expect("written");
                }
                FileOperation::Cut { length } => {
                    contents.save_cut(&file, *length).expect("saved");
                    file.set_len(*length).expect("cut");
                }
                FileOperation::Sync => {
                    synced = read(&file);
                    contents.sync(synced.len() as u64);
                }
            }
        }
        (file, contents, synced)
    }

    fn read(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; file.metadata().expect("a length").len() as usize];
        read_up_to(file, &mut bytes, 0).expect("readable");
        bytes
    }

    proptest! {
        #[test]
        fn what_was_synced_is_what_is_left(
            deeds in proptest::collection::vec(any_deed(), 0..24)
        ) {
            let (file, mut contents, synced) = perform(&deeds);
            contents.lose(&file, UnsyncedSurvival::Nothing, &mut stream(1, "tear")).expect("lost");
            prop_assert_eq!(read(&file), synced);
        }

        #[test]
        fn every_byte_left_was_synced_or_written_last(
            deeds in proptest::collection::vec(any_deed(), 0..24), seed in any::<u64>()
        ) {
            let (file, mut contents, synced) = perform(&deeds);
            let latest = read(&file);
            contents.lose(&file, UnsyncedSurvival::Byte, &mut stream(seed, "tear")).expect("lost");
            let left = read(&file);
            prop_assert!(left.len() >= synced.len());
            prop_assert!(left.len() <= synced.len().max(latest.len()));
            for (place, byte) in left.iter().enumerate() {
                let legal = [synced.get(place), latest.get(place)];
                prop_assert!(legal.contains(&Some(byte)), "at {place}");
            }
        }

        #[test]
        fn what_a_mapping_hides_is_copied_as_it_was_synced(
            deeds in proptest::collection::vec(any_deed(), 0..12)
        ) {
            let (file, mut contents, synced) = perform(&deeds);
            contents.map(file.try_clone().expect("another")).expect("copied");
            file.write_all_at(b"stored through memory", 7).expect("written");
            contents.lose(&file, UnsyncedSurvival::Byte, &mut stream(1, "tear")).expect("lost");
            prop_assert_eq!(read(&file), synced);
        }
    }
}
