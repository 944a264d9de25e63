//! What nodes and the harness wrote while a run was on, laid on the run's clock.
//!
//! Nodes write to their files themselves. Beside `stdout.log` lies `stdout.times`, which tells when
//! how much of it was there, and the same of `stderr.log`; the run writes it as the output grows. A
//! line of it is
//!
//! ```text
//! 4096 5120345678
//! ```
//!
//! the number of bytes that the log had and the run's clock in nanoseconds when it was seen to have
//! them. Both grow from line to line; lines that begin with `#` say nothing. A byte was written after
//! the clock of the last line with a number that is not greater than its place, and before that of
//! the next. A line of a log is given the time at which its last byte was there.
//!
//! Everything here reads bounded pieces, whatever a node wrote: lines are cut at [`LONGEST_LINE`], and
//! the hole that a limit leaves in the log of a run that was killed is skipped.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use partita_checker::Nanoseconds;

/// How much of a line is kept, in bytes.
pub const LONGEST_LINE: usize = 8 << 10;

/// How far before a place its line may begin, in bytes.
const LOOK_BACK: u64 = 64 << 10;

/// One of the two streams that a process writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Both of them.
    pub const ALL: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

    /// The file in a node's folder that holds what was written to it: `stdout.log`.
    pub const fn log(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout.log",
            Stream::Stderr => "stderr.log",
        }
    }

    /// The file beside it that tells when it was written: `stdout.times`.
    pub const fn times(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout.times",
            Stream::Stderr => "stderr.times",
        }
    }
}

/// A line that a node wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLine {
    /// When its last byte was seen to be there, by the run's clock: at most some milliseconds after it
    /// was written, unless the controller stood still.
    pub at: Nanoseconds,
    /// Where it was written to.
    pub stream: Stream,
    /// What it says, without its end. What is no UTF-8 is replaced, control characters are not.
    pub text: String,
}

/// When how much of a log was there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Times {
    /// Numbers of bytes and nanoseconds; both ascend.
    entries: Vec<(u64, u64)>,
}

impl Times {
    /// Reads such a file. A last line that is not whole is left out: the run was killed.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or a line is not what it must be.
    pub fn read(path: &Path) -> io::Result<Times> {
        let text = std::fs::read_to_string(path)?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut entries: Vec<(u64, u64)> = Vec::new();
        for (number, line) in (1..).zip(whole.lines()) {
            if line.starts_with('#') {
                continue;
            }
            let entry = line.split_once(' ');
            let entry = entry.and_then(|(bytes, ns)| Some((bytes.parse().ok()?, ns.parse().ok()?)));
            let grows = |(bytes, ns): &(u64, u64)| {
                entries.last().is_none_or(|last| last.0 <= *bytes && last.1 <= *ns)
            };
            let Some(entry) = entry.filter(grows) else {
                let what = format!("{}:{number}: not a number of bytes and a time", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            };
            entries.push(entry);
        }
        Ok(Times { entries })
    }

    /// When the byte before this place was there; the last time that is known for what came later.
    pub fn at(&self, end: u64) -> Nanoseconds {
        let place = self.entries.partition_point(|(bytes, _)| *bytes < end);
        let entry = self.entries.get(place).or(self.entries.last());
        Nanoseconds(entry.map_or(0, |(_, ns)| *ns))
    }

    /// How many bytes were certainly there before that time.
    fn before(&self, at: Nanoseconds) -> u64 {
        let place = self.entries.partition_point(|(_, ns)| *ns < at.0);
        place.checked_sub(1).map_or(0, |last| self.entries[last].0)
    }
}

/// The lines that a node wrote between two times of the run's clock, both included, in their order.
/// Those of its two streams are merged by time.
///
/// # Errors
///
/// If a log or its times cannot be read. A run of a version that kept no times has none.
pub fn lines_between(
    folder: &Path,
    node: &str,
    from: Nanoseconds,
    to: Nanoseconds,
) -> io::Result<Vec<NodeLine>> {
    let mut lines = Vec::new();
    for stream in Stream::ALL {
        for line in NodeLines::open(folder, node, stream, from)? {
            let line = line?;
            if line.at > to {
                break;
            }
            lines.push(line);
        }
    }
    lines.sort_by_key(|line| line.at);
    Ok(lines)
}

/// Reads one stream of a node line by line, with times.
#[derive(Debug)]
pub struct NodeLines {
    reader: BufReader<File>,
    times: Times,
    stream: Stream,
    from: Nanoseconds,
    /// Where the next line begins.
    place: u64,
}

impl NodeLines {
    /// The lines of `node` in a run's folder that were there at `from` or later.
    ///
    /// # Errors
    ///
    /// If the log or its times cannot be read; the error names the file.
    pub fn open(
        folder: &Path,
        node: &str,
        stream: Stream,
        from: Nanoseconds,
    ) -> io::Result<NodeLines> {
        let home = folder.join("nodes").join(node);
        let named = |path: PathBuf| {
            move |error: io::Error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            }
        };
        let times = home.join(stream.times());
        let times = Times::read(&times).map_err(named(times))?;
        let path = home.join(stream.log());
        let mut file = File::open(&path).map_err(named(path.clone()))?;
        let place = line_start(&mut file, times.before(from)).map_err(named(path.clone()))?;
        file.seek(SeekFrom::Start(place)).map_err(named(path))?;
        Ok(NodeLines { reader: BufReader::new(file), times, stream, from, place })
    }

    /// The next line, whenever it was written.
    fn read_line(&mut self) -> io::Result<Option<NodeLine>> {
        let mut kept = Vec::new();
        let mut length = 0;
        loop {
            let there = self.reader.fill_buf()?;
            let end = there.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(there.len(), |end| end + 1);
            if taken == 0 {
                break;
            }
            // The bytes of a hole are zeros; nothing else in a log is.
            let said = there[..end.unwrap_or(taken)].iter().copied().filter(|byte| *byte != 0);
            kept.extend(said.take(LONGEST_LINE - kept.len()));
            self.reader.consume(taken);
            length += taken as u64;
            if end.is_some() {
                break;
            }
        }
        if length == 0 {
            return Ok(None);
        }
        self.place += length;
        let text = String::from_utf8_lossy(&kept).trim_end_matches('\r').to_owned();
        Ok(Some(NodeLine { at: self.times.at(self.place), stream: self.stream, text }))
    }
}

impl Iterator for NodeLines {
    type Item = io::Result<NodeLine>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.read_line().transpose()? {
                Ok(line) if line.at < self.from => {}
                line => return Some(line),
            }
        }
    }
}

/// Where the line begins that the byte before `place` belongs to, if it goes on there.
fn line_start(file: &mut File, place: u64) -> io::Result<u64> {
    let from = place.saturating_sub(LOOK_BACK);
    file.seek(SeekFrom::Start(from))?;
    let mut before = Vec::new();
    file.take(place - from).read_to_end(&mut before)?;
    let end = before.iter().rposition(|byte| *byte == b'\n');
    Ok(end.map_or(from, |end| from + end as u64 + 1))
}

/// A line of `harness.log`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HarnessLine {
    /// When it was written, by the run's clock. A line that has no time, since it was written before
    /// the clock began or by a process without it, has that of the line before it.
    pub at: Nanoseconds,
    /// Its level, phase, spans and message.
    pub text: String,
}

/// Reads the lines of a `harness.log`, whose form is that of `docs/logs.md`.
#[derive(Debug)]
pub struct HarnessLines {
    lines: io::Lines<BufReader<File>>,
    last: Nanoseconds,
}

impl HarnessLines {
    /// The lines of the run in `folder`.
    ///
    /// # Errors
    ///
    /// If there is no such file or it cannot be read.
    pub fn open(folder: &Path) -> io::Result<HarnessLines> {
        let file = File::open(folder.join("harness.log"))?;
        Ok(HarnessLines { lines: BufReader::new(file).lines(), last: Nanoseconds(0) })
    }
}

impl Iterator for HarnessLines {
    type Item = io::Result<HarnessLine>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = match self.lines.next()? {
            Ok(line) => line,
            Err(error) => return Some(Err(error)),
        };
        let mut parts = line.splitn(3, ' ');
        let (_wall, clock, rest) = (parts.next(), parts.next(), parts.next());
        let at = clock.and_then(nanoseconds);
        self.last = at.unwrap_or(self.last);
        // What does not have the form is told as it is.
        let has_form = at.is_some() || clock == Some("-");
        let text = rest.filter(|_| has_form).map_or_else(|| line.clone(), str::to_owned);
        Some(Ok(HarnessLine { at: self.last, text }))
    }
}

/// Reads `5.120345678`: seconds with nine digits.
fn nanoseconds(text: &str) -> Option<Nanoseconds> {
    let (seconds, rest) = text.split_once('.').filter(|(_, rest)| rest.len() == 9)?;
    let (seconds, rest): (u64, u64) = (seconds.parse().ok()?, rest.parse().ok()?);
    Some(Nanoseconds(seconds.checked_mul(1_000_000_000)?.checked_add(rest)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A run's folder whose node n1 wrote each text to a stream by that time, in milliseconds.
    fn run(written: &[(Stream, &str, u64)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().join("nodes/n1");
        std::fs::create_dir_all(&home).expect("made");
        for stream in Stream::ALL {
            let (mut log, mut times) = (String::new(), "# bytes, nanoseconds\n".to_owned());
            for (_, text, at_ms) in written.iter().filter(|(to, ..)| *to == stream) {
                log.push_str(text);
                times.push_str(&format!("{} {}\n", log.len(), at_ms * 1_000_000));
            }
            std::fs::write(home.join(stream.log()), log).expect("written");
            std::fs::write(home.join(stream.times()), times).expect("written");
        }
        folder
    }

    fn between(folder: &Path, from_ms: u64, to_ms: u64) -> Vec<(u64, String)> {
        let [from, to] = [from_ms, to_ms].map(|ms| Nanoseconds(ms * 1_000_000));
        let lines = lines_between(folder, "n1", from, to).expect("readable");
        lines.into_iter().map(|line| (line.at.0 / 1_000_000, line.text)).collect()
    }

    fn expected(lines: &[(u64, &str)]) -> Vec<(u64, String)> {
        lines.iter().map(|(at, text)| (*at, (*text).to_owned())).collect()
    }

    #[test]
    fn lines_of_both_streams_come_in_the_order_of_their_times() {
        let folder = run(&[
            (Stream::Stderr, "one\ntwo\n", 10),
            (Stream::Stdout, "three\n", 20),
            (Stream::Stderr, "four\n", 30),
            (Stream::Stdout, "five\n", 40),
        ]);
        let all = [(10, "one"), (10, "two"), (20, "three"), (30, "four"), (40, "five")];
        assert_eq!(between(folder.path(), 0, 100), expected(&all));
        assert_eq!(between(folder.path(), 20, 30), expected(&all[2..4]), "both ends count");
        assert_eq!(between(folder.path(), 21, 29), expected(&[]));
        assert_eq!(between(folder.path(), 41, 99), expected(&[]));
    }

    #[test]
    fn a_line_has_the_time_of_its_last_byte_and_is_never_torn() {
        let folder = run(&[
            (Stream::Stderr, "begun ", 10),
            (Stream::Stderr, "and ended\nnext", 20),
            (Stream::Stderr, " is last", 30),
        ]);
        let all = [(20, "begun and ended"), (30, "next is last")];
        assert_eq!(between(folder.path(), 0, 100), expected(&all));
        assert_eq!(between(folder.path(), 15, 100), expected(&all));
        assert_eq!(between(folder.path(), 25, 100), expected(&all[1..]));
        assert_eq!(between(folder.path(), 0, 15), expected(&[]));
    }

    #[test]
    fn what_a_killed_run_left_is_read_as_far_as_it_goes() {
        let folder = run(&[(Stream::Stderr, "one\n", 10)]);
        let home = folder.path().join("nodes/n1");
        std::fs::write(home.join("stderr.log"), "one\ntwo\n").expect("written");
        // Cut off in the midst of an entry.
        std::fs::write(home.join("stderr.times"), "4 10000000\n8 2").expect("written");
        // The second line came at some time after the last that is known.
        assert_eq!(between(folder.path(), 0, 100), expected(&[(10, "one"), (10, "two")]));
    }

    #[test]
    fn a_hole_and_a_line_without_end_are_bounded() {
        let folder = run(&[(Stream::Stdout, "x\n", 1)]);
        let home = folder.path().join("nodes/n1");
        let mut log = b"head\n".to_vec();
        log.extend(vec![0; 1 << 20]);
        log.extend(b"tail\n");
        log.extend(vec![b'y'; 1 << 20]);
        std::fs::write(home.join("stdout.log"), &log).expect("written");
        let times = format!("5 {SECOND}\n{} {}\n", log.len(), 2 * SECOND);
        std::fs::write(home.join("stdout.times"), times).expect("written");
        let lines = between(folder.path(), 0, 5_000);
        let texts: Vec<&str> = lines.iter().map(|(_, text)| &**text).collect();
        assert_eq!(texts[..2], ["head", "tail"]);
        assert_eq!(texts[2].len(), LONGEST_LINE);
    }

    #[test]
    fn a_run_without_times_is_refused_and_the_file_named() {
        let folder = run(&[(Stream::Stderr, "one\n", 10)]);
        std::fs::remove_file(folder.path().join("nodes/n1/stdout.times")).expect("removed");
        let refused = lines_between(folder.path(), "n1", Nanoseconds(0), Nanoseconds(SECOND));
        assert!(refused.expect_err("no times").to_string().contains("nodes/n1/stdout.times"));
        std::fs::write(folder.path().join("nodes/n1/stdout.times"), "5 7\n4 8\n").expect("written");
        let refused = lines_between(folder.path(), "n1", Nanoseconds(0), Nanoseconds(SECOND));
        assert!(refused.expect_err("they sink").to_string().contains("stdout.times:2"));
    }

    #[test]
    fn harness_lines_have_the_time_of_the_line_before_where_there_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = "2026-03-01T09:30:00.000001Z - INFO - entering the lab\n\
                    2026-03-01T09:30:00.000002Z 1.000000005 DEBUG faults x: killed node=n1\n\
                    2026-03-01T09:30:00.000003Z - INFO - the controller has ended\n\
                    not of this form at all\n";
        std::fs::write(folder.path().join("harness.log"), text).expect("written");
        let lines: Vec<HarnessLine> = HarnessLines::open(folder.path())
            .expect("there")
            .collect::<io::Result<_>>()
            .expect("readable");
        let told: Vec<(u64, &str)> = lines.iter().map(|line| (line.at.0, &*line.text)).collect();
        let expected = [
            (0, "INFO - entering the lab"),
            (SECOND + 5, "DEBUG faults x: killed node=n1"),
            (SECOND + 5, "INFO - the controller has ended"),
            (SECOND + 5, "not of this form at all"),
        ];
        assert_eq!(told, expected);
    }
}
