//! Keeps what nodes write from filling the disk: the head and the tail of each file stay.
//!
//! Nodes write to their files themselves, so that neither a slow nor a suspended controller ever
//! holds them up. A thread looks at the files' lengths; where one has more than it may, the middle is
//! given back to the file system as a hole, and looked through first: what is searched for in output
//! is searched for in all of it. After the nodes have ended the hole is closed, with a line in its
//! place that says how much is missing. Between two looks a file may be longer than it may be.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::fcntl::{FallocateFlags, fallocate};

use super::folder::RunFolder;
use super::last_words;

/// Time between two looks.
const STEP: Duration = Duration::from_millis(200);
/// What the file system gives back at a time, in bytes.
const BLOCK: u64 = 4 << 10;
/// By how much a file must be too long before anything is done, in bytes.
const SLACK: u64 = 64 << 10;
/// How much of what is left out is searched in one look, in bytes: what a node writes faster than
/// some 80 MiB a second is not searched whole.
const SEARCHED: u64 = 16 << 20;
/// How much is moved at a time when the hole is closed.
const CHUNK: usize = 1 << 20;
/// How far a line's end is looked for.
const LONGEST_LINE: u64 = 64 << 10;

/// The least limit of a node: less is not worth a hole.
pub const LEAST: u64 = 512 << 10;

/// The files that nodes write to.
pub struct NodeLogs {
    stop: Sender<()>,
    thread: JoinHandle<Vec<Capped>>,
}

impl NodeLogs {
    /// Keeps the output of each of `nodes` within `limit` bytes from now on.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub fn keep(folder: &RunFolder, nodes: &[String], limit: u64) -> io::Result<Self> {
        let mut files: Vec<Capped> = nodes
            .iter()
            .flat_map(|node| ["stdout.log", "stderr.log"].map(|file| (node, file)))
            .map(|(node, file)| {
                let (name, path) = (format!("{node}/{file}"), folder.node(node).join(file));
                Capped::new(name, path, limit / 2)
            })
            .collect();
        let (stop, stopped) = channel();
        let thread = thread::Builder::new().name("node logs".to_owned()).spawn(move || {
            while stopped.recv_timeout(STEP) == Err(RecvTimeoutError::Timeout) {
                files.iter_mut().for_each(Capped::look);
            }
            files
        })?;
        Ok(Self { stop, thread })
    }

    /// Closes the holes, now that no node writes any more. A sentence on every file that is not
    /// whole.
    pub fn finish(self) -> Vec<String> {
        drop(self.stop);
        let files = self.thread.join().unwrap_or_default();
        files.into_iter().filter_map(Capped::finish).collect()
    }
}

/// One file.
#[derive(Debug)]
struct Capped {
    name: String,
    path: PathBuf,
    head: u64,
    tail: u64,
    /// Where the hole ends, if there is one: it begins at the head's end.
    hole: Option<u64>,
    /// What stood in the hole and says why something ended, the last one.
    telling: Option<String>,
    problem: Option<String>,
}

impl Capped {
    fn new(name: String, path: PathBuf, limit: u64) -> Self {
        let head = (limit / 2) / BLOCK * BLOCK;
        let tail = (limit / 2).saturating_sub(SLACK);
        Self { name, path, head, tail, hole: None, telling: None, problem: None }
    }

    fn look(&mut self) {
        if self.problem.is_none()
            && let Err(error) = self.try_look()
            && error.kind() != io::ErrorKind::NotFound
        {
            self.problem = Some(error.to_string());
        }
    }

    fn try_look(&mut self) -> io::Result<()> {
        let length = std::fs::metadata(&self.path)?.len();
        let from = self.hole.unwrap_or(self.head);
        let to = length.saturating_sub(self.tail) / BLOCK * BLOCK;
        if to < from + SLACK {
            return Ok(());
        }
        let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        self.search(&file, from, to)?;
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let signed = |bytes: u64| i64::try_from(bytes).map_err(io::Error::other);
        fallocate(&file, flags, signed(from)?, signed(to - from)?)?;
        if self.hole.is_none() {
            // For whoever finds the file of a run that was killed.
            file.write_all_at(b"\n[partita: here begins a hole: --node-log-limit]\n", self.head)?;
        }
        self.hole = Some(to);
        Ok(())
    }

    /// Looks for what says why something ended in what is about to be left out.
    fn search(&mut self, file: &File, from: u64, to: u64) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(CHUNK, file);
        reader.seek(SeekFrom::Start(from.max(to.saturating_sub(SEARCHED))))?;
        let mut reader = reader.take((to - from).min(SEARCHED));
        let mut line = Vec::new();
        while reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            if last_words::weight(&text) > 1 {
                self.telling = Some(text.trim().chars().take(300).collect());
            }
            line.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> Option<String> {
        self.look();
        if let Some(problem) = self.problem {
            return Some(format!("{} was not kept within --node-log-limit: {problem}", self.name));
        }
        let hole = self.hole?;
        let left_out = match self.close(hole) {
            Ok(left_out) => left_out,
            Err(error) => {
                return Some(format!(
                    "{} has a hole of {} bytes in its middle (--node-log-limit), which could not \
                     be closed: {error}",
                    self.name,
                    hole - self.head
                ));
            }
        };
        let telling = self.telling.as_ref().map_or_else(String::new, |line| {
            format!("; of what is missing, this says most: {line}")
        });
        Some(format!(
            "{} has its beginning and its end: {left_out} bytes between them were left out \
             (--node-log-limit){telling}",
            self.name
        ))
    }

    /// Moves the tail up to the head, with a line between them; how many bytes are missing.
    fn close(&self, hole: u64) -> io::Result<u64> {
        let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        let length = file.metadata()?.len();
        let head = line_end(&file, self.head.saturating_sub(LONGEST_LINE), self.head, true)?;
        let tail = line_end(&file, hole, length.min(hole + LONGEST_LINE), false)?;
        let (head, tail) = (head.unwrap_or(self.head), tail.unwrap_or(hole));
        let left_out = tail - head;
        let line = format!("[partita: {left_out} bytes are left out here, by --node-log-limit]\n");
        file.write_all_at(line.as_bytes(), head)?;
        let mut to = head + line.len() as u64;
        let mut from = tail;
        let mut chunk = vec![0; CHUNK];
        while from < length {
            let read = file.read_at(&mut chunk, from)?;
            if read == 0 {
                break;
            }
            file.write_all_at(&chunk[..read], to)?;
            (from, to) = (from + read as u64, to + read as u64);
        }
        file.set_len(to)?;
        Ok(left_out)
    }
}

/// Where a line ends between `from` and `to`: the last one, or the first.
fn line_end(file: &File, from: u64, to: u64, is_last: bool) -> io::Result<Option<u64>> {
    let mut bytes = vec![0; usize::try_from(to - from).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, from)?;
    let mut places = bytes.iter();
    let is_end = |byte: &u8| *byte == b'\n';
    let place = if is_last { places.rposition(is_end) } else { places.position(is_end) };
    Ok(place.map(|place| from + place as u64 + 1))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    const LIMIT: u64 = 256 << 10;

    fn written(lines: std::ops::Range<u32>) -> String {
        lines.map(|number| format!("line {number} of a node that talks\n")).collect()
    }

    /// A file to which a node appends, looked at after each part.
    fn capped(parts: &[String]) -> (tempfile::TempDir, Capped) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("stderr.log");
        let mut file = OpenOptions::new().create(true).append(true).open(&path).expect("made");
        let mut capped = Capped::new("n1/stderr.log".to_owned(), path, LIMIT);
        for part in parts {
            file.write_all(part.as_bytes()).expect("written");
            capped.look();
        }
        (folder, capped)
    }

    #[test]
    fn head_and_tail_stay_and_a_line_between_them_says_how_much_is_missing() {
        let parts: Vec<String> =
            (0..40).map(|part| written(part * 1_000..(part + 1) * 1_000)).collect();
        let whole = parts.concat();
        let (folder, capped) = capped(&parts);
        let path = folder.path().join("stderr.log");
        let meanwhile = std::fs::metadata(&path).expect("there");
        assert!(meanwhile.blocks() * 512 < LIMIT + (256 << 10), "{} blocks", meanwhile.blocks());

        let said = capped.finish().expect("something is missing");
        let kept = std::fs::read_to_string(&path).expect("text: no hole is left");
        assert!(kept.len() as u64 <= LIMIT, "{}", kept.len());
        let (head, rest) = kept.split_once("[partita: ").expect("a line between");
        let (missing, tail) = rest.split_once('\n').expect("a line");
        assert!(whole.starts_with(head) && head.ends_with('\n'));
        assert!(whole.ends_with(tail) && tail.starts_with("line "));
        let missing: usize = missing.split(' ').next().expect("a number").parse().expect("one");
        assert_eq!(head.len() + missing + tail.len(), whole.len());
        assert!(said.contains(&missing.to_string()), "{said}");
    }

    #[test]
    fn a_panic_in_the_middle_is_found_although_it_is_left_out() {
        let panic = "thread 'main' panicked at src/a.rs:1:1:\nboom\n".to_owned();
        let (_folder, capped) = capped(&[written(0..5_000), panic, written(5_000..40_000)]);
        let said = capped.finish().expect("something is missing");
        assert!(said.contains("panicked at src/a.rs:1:1"), "{said}");
    }

    #[test]
    fn a_short_file_stays_as_it_is() {
        let (folder, capped) = capped(&[written(0..1_000)]);
        assert_eq!(capped.finish(), None);
        let kept = std::fs::read_to_string(folder.path().join("stderr.log")).expect("text");
        assert_eq!(kept, written(0..1_000));
    }
}
