//! Keeps when how much of a file was there, so that every line of it has a time.
//!
//! The form of the file that this writes is documented where it is read, in `reports/src/logs.rs`. It is
//! appended to as the log grows, so that a run that is killed leaves it behind, and written anew when
//! part of the log is given back as a hole or when it gets too long itself: then the times of lines
//! that came soon after each other become one time, a few milliseconds apart at first.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

/// The length of an entry with numbers of usual size, in bytes.
const ENTRY: u64 = 32;

/// The most that one file may have in any case, in entries: they are kept in memory as well.
const MOST: usize = 1 << 18;

/// The least time between entries that are told apart once there are too many, in nanoseconds.
const FIRST_STEP: u64 = 2_000_000;

/// What was left out of a log, and where what follows has moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Where the missing part begins.
    pub head: u64,
    /// Where it ended.
    pub tail: u64,
    /// Where the byte at `tail` is now.
    pub moved_to: u64,
}

/// When how much of one log was there.
#[derive(Debug)]
pub struct Stamps {
    path: PathBuf,
    file: File,
    /// Numbers of bytes and nanoseconds of the run's clock; both ascend.
    entries: Vec<(u64, u64)>,
    /// How many entries the file may have.
    most: usize,
    /// How many it has, those included that count no more.
    written: usize,
}

impl Stamps {
    /// Begins the file at `path`, which may have about that many bytes.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn create(path: PathBuf, limit: u64) -> io::Result<Self> {
        let most = usize::try_from(limit / ENTRY).unwrap_or(MOST).clamp(16, MOST);
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        file.write_all(HEADER)?;
        Ok(Self { path, file, entries: Vec::new(), most, written: 0 })
    }

    /// Notes that the log has that many bytes at that time.
    ///
    /// # Errors
    ///
    /// If it cannot be written down.
    pub fn note(&mut self, bytes: u64, ns: u64) -> io::Result<()> {
        if bytes <= self.entries.last().map_or(0, |last| last.0) {
            return Ok(());
        }
        self.entries.push((bytes, ns));
        self.written += 1;
        if self.entries.len() > self.most {
            thin(&mut self.entries, self.most / 2);
            return self.rewrite();
        }
        // Entries that count no more are left in the file until it has as many again.
        if self.written > 2 * self.most {
            return self.rewrite();
        }
        self.file.write_all(format!("{bytes} {ns}\n").as_bytes())
    }

    /// Leaves out what tells of the missing part of the log.
    pub fn leave_out(&mut self, gap: Gap) {
        let mut kept: Vec<(u64, u64)> = Vec::with_capacity(self.entries.len());
        for (bytes, ns) in self.entries.drain(..) {
            let place = match bytes {
                bytes if bytes <= gap.head => bytes,
                // What stands before the gap came by then.
                bytes if bytes <= gap.tail => gap.head,
                bytes => bytes - gap.tail + gap.moved_to,
            };
            if kept.last().is_none_or(|last| last.0 < place) {
                kept.push((place, ns));
            }
        }
        self.entries = kept;
    }

    /// Writes the file anew, in one step.
    ///
    /// # Errors
    ///
    /// If it cannot be written; the old one stays then.
    pub fn rewrite(&mut self) -> io::Result<()> {
        let mut text = HEADER.to_vec();
        for (bytes, ns) in &self.entries {
            writeln!(text, "{bytes} {ns}")?;
        }
        let fresh = self.path.with_extension("times.new");
        std::fs::write(&fresh, &text)?;
        std::fs::rename(&fresh, &self.path)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.written = self.entries.len();
        Ok(())
    }
}

/// The first line.
const HEADER: &[u8] = b"# bytes of the log, nanoseconds of the run's clock when it had them\n";

/// Leaves out entries that are soon followed by another, until at most `most` are left. What they told
/// of then has the time of that other.
fn thin(entries: &mut Vec<(u64, u64)>, most: usize) {
    let mut step = FIRST_STEP;
    while entries.len() > most {
        let mut kept: Vec<(u64, u64)> = Vec::with_capacity(entries.len());
        // From the last, which always stays: an entry stays that is far enough before the next.
        for entry in entries.iter().rev() {
            if kept.last().is_none_or(|next| next.1 - entry.1 >= step) {
                kept.push(*entry);
            }
        }
        kept.reverse();
        *entries = kept;
        step = step.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use partita_checker::Nanoseconds;
    use partita_reports::logs::Times;

    use super::*;

    const MS: u64 = 1_000_000;

    fn stamps(limit: u64) -> (tempfile::TempDir, Stamps) {
        let folder = tempfile::tempdir().expect("a folder");
        let stamps = Stamps::create(folder.path().join("stderr.times"), limit).expect("made");
        (folder, stamps)
    }

    fn at(folder: &tempfile::TempDir, end: u64) -> Nanoseconds {
        Times::read(&folder.path().join("stderr.times")).expect("well-formed").at(end)
    }

    #[test]
    fn every_byte_has_the_time_by_which_it_was_there() {
        let (folder, mut stamps) = stamps(1 << 20);
        for (bytes, ns) in [(10, MS), (10, 2 * MS), (25, 3 * MS)] {
            stamps.note(bytes, ns).expect("written");
        }
        let times = [(1, 1), (10, 1), (11, 3), (25, 3), (26, 3)];
        for (end, ms) in times {
            assert_eq!(at(&folder, end), Nanoseconds(ms * MS), "{end}");
        }
        stamps.rewrite().expect("written");
        assert_eq!(at(&folder, 11), Nanoseconds(3 * MS));
        stamps.note(40, 9 * MS).expect("appended to the new file");
        assert_eq!(at(&folder, 26), Nanoseconds(9 * MS));
    }

    #[test]
    fn a_log_with_a_gap_has_the_same_times_before_and_after_it() {
        let (folder, mut stamps) = stamps(1 << 20);
        for step in 1..=100 {
            stamps.note(step * 10, step * MS).expect("written");
        }
        // Bytes 205 to 900 are missing, and a line of 50 bytes is in their place.
        stamps.leave_out(Gap { head: 205, tail: 900, moved_to: 255 });
        stamps.rewrite().expect("written");
        assert_eq!(at(&folder, 200), Nanoseconds(20 * MS));
        assert_eq!(at(&folder, 205), Nanoseconds(21 * MS), "what stands before came by then");
        assert_eq!(at(&folder, 256), Nanoseconds(91 * MS), "byte 901 is now byte 256");
        assert_eq!(at(&folder, 355), Nanoseconds(100 * MS));
    }

    #[test]
    fn times_stay_short_and_late_by_little_however_much_is_written() {
        let (folder, mut stamps) = stamps(1_000 * ENTRY);
        // A millisecond apart, but for a minute of silence in the midst.
        let when = |step: u64| step * MS + if step > 5_000 { 60_000 * MS } else { 0 };
        for step in 1..=10_000 {
            stamps.note(step * 100, when(step)).expect("written");
        }
        let length = std::fs::metadata(folder.path().join("stderr.times")).expect("there").len();
        assert!(length <= 2 * 1_000 * ENTRY, "{length} bytes");
        for step in 1..=10_000 {
            let late = at(&folder, step * 100).0 - when(step);
            assert!(late <= 128 * MS, "step {step} is {} ms late", late / MS);
        }
    }
}
