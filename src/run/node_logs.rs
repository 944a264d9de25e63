//! Gives what nodes write a time, and keeps it from filling the disk: the head and the tail of each
//! file stay.
//!
//! Nodes write to their files themselves, so that neither a slow nor a suspended controller ever
//! holds them up. A thread hears of each write by inotify(7), and notes when how long the files were
//! ([`Stamps`]), at most once a millisecond; where inotify cannot be had, it looks every 10 ms.
//!
//! Where a file has more than it may, the middle is
//! given back to the file system as a hole, and looked through first: what is searched for in output
//! is searched for in all of it. After the nodes have ended the hole is closed, with a line in its
//! place that says how much is missing. Between two looks a file may be longer than it may be.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::fcntl::{FallocateFlags, fallocate};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use partita_reports::logs::Stream;

use super::clock::RunClock;
use super::exit_excerpt;
use super::folder::RunFolder;
use super::stamps::{Gap, Stamps};
use crate::exit::{Failure, FailureContext};

/// Time between two looks at whether files are too long.
const STEP: Duration = Duration::from_millis(200);
/// Time between two looks at files that nobody tells of, in milliseconds.
const UNTOLD: u16 = 10;
/// The least time between two looks.
const REST: Duration = Duration::from_millis(1);
/// The part of a file's limit that its times may have.
const SHARE_OF_TIMES: u64 = 8;
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
    /// Ends the thread when it is dropped.
    stop: PipeWriter,
    thread: JoinHandle<Vec<NodeLog>>,
}

impl NodeLogs {
    /// Notes when each of `nodes` writes, and keeps each one's output within `limit` bytes, times
    /// included, from now on. Makes their files: begin before the nodes do.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the files or the thread cannot be made.
    pub fn keep(
        folder: &RunFolder,
        nodes: &[String],
        limit: u64,
        clock: RunClock,
    ) -> Result<Self, Failure> {
        Self::try_keep(folder, nodes, limit, clock)
            .or_harness(|| "watching what nodes write".to_owned())
    }

    fn try_keep(
        folder: &RunFolder,
        nodes: &[String],
        limit: u64,
        clock: RunClock,
    ) -> io::Result<Self> {
        let mut logs = Vec::new();
        for node in nodes {
            std::fs::create_dir_all(folder.node(node))?;
            for stream in Stream::ALL {
                logs.push(NodeLog::create(folder, node, stream, limit / 2)?);
            }
        }
        let alarm = alarm(&logs);
        if let Err(error) = &alarm {
            tracing::info!(%error, "inotify cannot be had: nodes' files are looked at every 10 ms");
        }
        let (stopped, stop) = io::pipe()?;
        let thread = thread::Builder::new().name("node logs".to_owned()).spawn(move || {
            watch(&mut logs, alarm.ok().as_ref(), &stopped, clock);
            logs
        })?;
        Ok(Self { stop, thread })
    }

    /// Closes the holes, now that no node writes any more. A sentence on every file that is not
    /// whole.
    pub fn finish(self) -> Vec<String> {
        drop(self.stop);
        let logs = self.thread.join().unwrap_or_default();
        logs.into_iter().flat_map(NodeLog::finish).collect()
    }
}

/// Tells of every write to the files.
fn alarm(logs: &[NodeLog]) -> nix::Result<Inotify> {
    let alarm = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    for log in logs {
        alarm.add_watch(&log.capped.path, AddWatchFlags::IN_MODIFY)?;
    }
    Ok(alarm)
}

/// Looks at the files whenever one was written to, until `stopped`, and once more then.
fn watch(logs: &mut [NodeLog], alarm: Option<&Inotify>, stopped: &PipeReader, clock: RunClock) {
    let mut looked = Instant::now();
    loop {
        let mut waiting = vec![PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
        waiting.extend(alarm.map(|alarm| PollFd::new(alarm.as_fd(), PollFlags::POLLIN)));
        let longest = alarm.map_or(UNTOLD, |_| STEP.as_millis() as u16);
        // Interrupted or not, what follows is right.
        let _ = poll(&mut waiting, PollTimeout::from(longest));
        let is_over = waiting[0].any() == Some(true);
        if let Some(alarm) = alarm {
            // Which file it was is seen from the lengths.
            while alarm.read_events().is_ok_and(|events| !events.is_empty()) {}
        }
        for log in logs.iter_mut() {
            log.stamp(clock);
        }
        if looked.elapsed() >= STEP {
            logs.iter_mut().for_each(NodeLog::look);
            looked = Instant::now();
        }
        if is_over {
            return;
        }
        thread::sleep(REST);
    }
}

/// One file and its times.
#[derive(Debug)]
struct NodeLog {
    capped: Capped,
    stamps: Stamps,
    /// Why there are no more times, if so.
    unstamped: Option<String>,
}

impl NodeLog {
    fn create(folder: &RunFolder, node: &str, stream: Stream, limit: u64) -> io::Result<Self> {
        let home = folder.node(node);
        let (name, path) = (format!("{node}/{}", stream.log()), home.join(stream.log()));
        OpenOptions::new().create(true).append(true).open(&path)?;
        let times = limit / SHARE_OF_TIMES;
        Ok(Self {
            capped: Capped::new(name, path, limit - times),
            // While it is written anew there are two of it.
            stamps: Stamps::create(home.join(stream.times()), times / 2)?,
            unstamped: None,
        })
    }

    /// Notes how long the file is.
    fn stamp(&mut self, clock: RunClock) {
        if self.unstamped.is_some() {
            return;
        }
        let noted = std::fs::metadata(&self.capped.path)
            .and_then(|data| self.stamps.note(data.len(), clock.now().0));
        self.unstamped = noted.err().map(|error| error.to_string());
    }

    fn look(&mut self) {
        let hole = self.capped.hole;
        self.capped.look();
        if let Some(tail) = self.capped.hole
            && hole != self.capped.hole
        {
            self.stamps.leave_out(Gap { head: self.capped.head, tail, moved_to: tail });
        }
    }

    /// Closes the hole; sentences on what is not whole.
    fn finish(mut self) -> Vec<String> {
        let name = self.capped.name.clone();
        let (said, gap) = self.capped.finish();
        if let Some(gap) = gap {
            self.stamps.leave_out(gap);
            let written = self.stamps.rewrite();
            self.unstamped = self.unstamped.or(written.err().map(|error| error.to_string()));
        }
        let unstamped =
            self.unstamped.map(|why| format!("the times of {name} are not complete: {why}"));
        said.into_iter().chain(unstamped).collect()
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
            if exit_excerpt::weight(&text) > 1 {
                self.telling = Some(text.trim().chars().take(300).collect());
            }
            line.clear();
        }
        Ok(())
    }

    /// Closes the hole, if there is one: what is to be said of it, and what became of places.
    fn finish(mut self) -> (Option<String>, Option<Gap>) {
        self.look();
        if let Some(problem) = self.problem {
            let said = format!("{} was not kept within --node-log-limit: {problem}", self.name);
            return (Some(said), None);
        }
        let Some(hole) = self.hole else { return (None, None) };
        let gap = match self.close(hole) {
            Ok(gap) => gap,
            Err(error) => {
                let said = format!(
                    "{} has a hole of {} bytes in its middle (--node-log-limit), which could not \
                     be closed: {error}",
                    self.name,
                    hole - self.head
                );
                return (Some(said), None);
            }
        };
        let left_out = gap.tail - gap.head;
        let telling = self.telling.as_ref().map_or_else(String::new, |line| {
            format!("; of what is missing, this says most: {line}")
        });
        let said = format!(
            "{} has its beginning and its end: {left_out} bytes between them were left out \
             (--node-log-limit){telling}",
            self.name
        );
        (Some(said), Some(gap))
    }

    /// Moves the tail up to the head, with a line between them.
    fn close(&self, hole: u64) -> io::Result<Gap> {
        let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        let length = file.metadata()?.len();
        let head = line_end(&file, self.head.saturating_sub(LONGEST_LINE), self.head, true)?;
        let tail = line_end(&file, hole, length.min(hole + LONGEST_LINE), false)?;
        let (head, tail) = (head.unwrap_or(self.head), tail.unwrap_or(hole));
        let left_out = tail - head;
        let line = format!("[partita: {left_out} bytes are left out here, by --node-log-limit]\n");
        file.write_all_at(line.as_bytes(), head)?;
        let moved_to = head + line.len() as u64;
        let (mut from, mut to) = (tail, moved_to);
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
        Ok(Gap { head, tail, moved_to })
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

    use partita_checker::Nanoseconds;

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

        let said = capped.finish().0.expect("something is missing");
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
        let said = capped.finish().0.expect("something is missing");
        assert!(said.contains("panicked at src/a.rs:1:1"), "{said}");
    }

    #[test]
    fn lines_have_times_before_and_after_what_was_left_out() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = RunFolder::made(parent.path().to_owned());
        let clock = RunClock::start();
        let nodes = ["n1".to_owned()];
        let logs = NodeLogs::keep(&folder, &nodes, LEAST, clock).expect("watched");
        let path = folder.node("n1").join("stderr.log");
        let mut file = OpenOptions::new().append(true).open(&path).expect("there already");
        let mut written = Vec::new();
        for part in 0..60 {
            let began = clock.now();
            file.write_all(self::written(part * 400..(part + 1) * 400).as_bytes())
                .expect("written");
            written.push((began, part * 400));
            // Long enough for the thread to look meanwhile, however late it is.
            thread::sleep(Duration::from_millis(10));
        }
        let notes = logs.finish();
        assert!(notes.iter().any(|note| note.contains("left out")), "{notes:?}");

        let to = Nanoseconds(u64::MAX);
        let lines = partita_reports::lines_between(folder.path(), "n1", Nanoseconds(0), to);
        let lines = lines.expect("readable");
        let number =
            |text: &str| text.strip_prefix("line ")?.split(' ').next()?.parse::<u32>().ok();
        let mut seen = 0;
        for line in &lines {
            let Some(number) = number(&line.text) else { continue };
            let (began, _) = written[number as usize / 400];
            assert!(line.at >= began, "line {number} at {:?}, written after {began:?}", line.at);
            seen += 1;
        }
        assert!(seen > 1_000, "{seen}");
        assert!(lines.iter().any(|line| line.text.contains("bytes are left out here")));
        assert_eq!(number(&lines.last().expect("lines").text), Some(60 * 400 - 1));
        let size =
            |name: &str| std::fs::metadata(folder.node("n1").join(name)).expect("there").len();
        assert!(size("stderr.log") + size("stderr.times") <= LEAST / 2);
    }

    #[test]
    fn a_short_file_stays_as_it_is() {
        let (folder, capped) = capped(&[written(0..1_000)]);
        assert_eq!(capped.finish(), (None, None));
        let kept = std::fs::read_to_string(folder.path().join("stderr.log")).expect("text");
        assert_eq!(kept, written(0..1_000));
    }
}
