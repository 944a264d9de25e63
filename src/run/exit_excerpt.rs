//! Finds, in what a node wrote before it ended, the line that says why.
//!
//! That is seldom the last one: a panic is followed by its backtrace, a fatal error by hints.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use partita_checker::Nanoseconds;
use partita_reports::{Finding, FindingKind, SourcePlace};

use super::folder::RunFolder;

/// How much of a file's end is searched for a panic, in bytes: the stacks of all threads come after it.
const SEARCHED: u64 = 64 << 20;
/// How far apart panics are, in lines, that are no consequence of each other.
const APART: usize = 2_000;
/// How far a line's end is looked for.
const LONGEST_LINE: u64 = 64 << 10;
/// How much of a file's end is looked at in full, in bytes.
const READ: u64 = 256 << 10;
/// How many lines are looked at, from the end.
const LINES: usize = 2_000;
/// How many of the last lines are repeated.
const REPEATED: usize = 5;
/// How many lines after the one that says why may tell where in the source it was.
const FRAMES: usize = 30;
/// Endings of files of source.
const SOURCES: [&str; 17] = [
    ".rs", ".go", ".c", ".cc", ".cpp", ".cxx", ".h", ".hpp", ".java", ".kt", ".scala", ".cs",
    ".py", ".js", ".ts", ".zig", ".erl",
];
/// The longest that a line is shown, in characters.
const LONGEST: usize = 300;

/// The end of a node's output.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ExitExcerpt {
    /// The line that says why it ended, as far as one can tell.
    pub why: Option<String>,
    /// Where in its source it panicked, or an assertion failed, if that is told.
    pub place: Option<SourcePlace>,
    /// The last lines, in order.
    pub lines: Vec<String>,
}

impl ExitExcerpt {
    /// Of what stands from byte `since` on in the file at `path`; none if it cannot be read.
    pub fn of(path: &Path, since: u64) -> Self {
        Self::read(path, since).unwrap_or_default()
    }

    fn read(path: &Path, since: u64) -> std::io::Result<Self> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(since.max(length.saturating_sub(SEARCHED))))?;
        let panic = first_panic(BufReader::new(&file))?;
        file.seek(SeekFrom::Start(since.max(length.saturating_sub(READ))))?;
        let mut end = Vec::new();
        file.take(READ).read_to_end(&mut end)?;
        let words = Self::in_text(&String::from_utf8_lossy(&end));
        Ok(match panic {
            Some(panic) => Self { lines: words.lines, ..Self::in_text(&panic) },
            None => words,
        })
    }

    fn in_text(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let recent = &lines[lines.len().saturating_sub(LINES)..];
        // Of the lines that tell most, the last one; of panics the first, of which the others come.
        let telling = (0..recent.len()).max_by_key(|&place| match weight(recent[place]) {
            PANIC => (PANIC, recent.len() - place),
            weight => (weight, place),
        });
        let why = telling.filter(|&place| weight(recent[place]) > 0).map(|place| {
            let line = recent[place].trim();
            // Rust puts the message on the line below the place.
            match recent.get(place + 1).filter(|_| is_rust_panic(line) && line.ends_with(':')) {
                Some(message) => shown(&format!("{line} {}", message.trim())),
                None => shown(line),
            }
        });
        let place = telling.filter(|&place| weight(recent[place]) == PANIC).and_then(|place| {
            let frames = recent[place + 1..].iter().take(FRAMES);
            std::iter::once(&recent[place]).chain(frames).find_map(|line| source_place(line))
        });
        let last = &recent[recent.len().saturating_sub(REPEATED)..];
        Self { why, place, lines: last.iter().map(|line| shown(line)).collect() }
    }

    /// Both in a sentence's end: why, then the last lines unless that is all there is.
    pub fn in_words(&self) -> String {
        let last = self.lines.join("; ");
        match &self.why {
            None if self.lines.is_empty() => "it wrote nothing".to_owned(),
            None => format!("its last lines: {last}"),
            Some(why) if self.lines == [why.as_str()] => why.clone(),
            Some(why) => format!("{why}; its last lines: {last}"),
        }
    }

    /// That a program of a node ended on its own: `end` says which and how, this is what it wrote last,
    /// into the file at `path`.
    pub fn crash(
        self,
        node: &str,
        title: String,
        end: &str,
        path: &Path,
        at: Nanoseconds,
    ) -> Finding {
        let sentence = format!(
            "after {:.1} s {end}: {} (in {})",
            at.as_seconds(),
            self.in_words(),
            path.display()
        );
        Finding {
            at_ns: Some(at),
            node: Some(node.to_owned()),
            place: self.place,
            ..Finding::new(FindingKind::Crash, title, sentence)
        }
    }
}

/// The line of the panic that a program ended by, with those after it that may tell where it was: the
/// first of those that follow each other closely.
fn first_panic(mut reader: impl BufRead) -> std::io::Result<Option<String>> {
    let (mut found, mut after, mut last, mut number) = (None, 0, 0, 0_usize);
    let mut line = Vec::new();
    while reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? > 0 {
        number += 1;
        let text = String::from_utf8_lossy(&line);
        if weight(&text) == PANIC {
            if found.is_none() || number - last > APART {
                (found, after) = (Some(String::new()), FRAMES);
            }
            last = number;
        }
        if let Some(found) = found.as_mut().filter(|_| after > 0) {
            found.push_str(&text);
            after -= 1;
        }
        line.clear();
    }
    Ok(found)
}

/// The files that a node writes to, the one first where programs say why they end.
pub fn files(node: &str, folder: &RunFolder) -> [PathBuf; 2] {
    ["stderr.log", "stdout.log"].map(|name| folder.node(node).join(name))
}

/// The end of what a node wrote after these many bytes of its [`files`], and the file; of its standard
/// output if there is nothing on the other.
pub fn of_node(node: &str, folder: &RunFolder, since: [u64; 2]) -> (ExitExcerpt, PathBuf) {
    let [stderr, stdout] = files(node, folder);
    for (path, since) in [(&stderr, since[0]), (&stdout, since[1])] {
        let words = ExitExcerpt::of(path, since);
        if !words.lines.is_empty() {
            return (words, path.clone());
        }
    }
    (ExitExcerpt::default(), stderr)
}

/// How a node ended, with the end of what it wrote.
pub fn describe_end(node: &str, status: Option<ExitStatus>, folder: &RunFolder) -> String {
    let (words, path) = of_node(node, folder, [0; 2]);
    let how = status_in_words(status);
    format!("{node} ended on its own ({how}): {} (in {})", words.in_words(), path.display())
}

/// `exit status: 101`, `signal: 9 (SIGKILL)`.
pub fn status_in_words(status: Option<ExitStatus>) -> String {
    status.map_or_else(|| "it never ran".to_owned(), |status| status.to_string())
}

/// The place in a source that a line names: `src/log.rs:31` in `panicked at src/log.rs:31:9:`. Places
/// in what runs the program are left out.
pub fn source_place(line: &str) -> Option<SourcePlace> {
    let words = line.split([' ', '\t', '(', ')', ',', '"', '\'']);
    words.into_iter().find_map(|word| {
        let mut parts = word.split(':');
        let file = parts.next().filter(|file| SOURCES.iter().any(|it| file.ends_with(it)))?;
        let line = parts.next()?.parse().ok()?;
        let is_own = !file.contains("/runtime/") && !file.starts_with("/rustc/");
        is_own.then(|| SourcePlace { file: file.to_owned(), line })
    })
}

fn is_rust_panic(line: &str) -> bool {
    line.starts_with("thread '") && line.contains(" panicked at ")
}

/// The [`weight`] of a panic, a failed assertion, or what a sanitizer found.
const PANIC: u8 = 3;

/// What a sanitizer's first line has, in lower case.
const SANITIZERS: [&str; 6] = [
    "error: addresssanitizer",
    "error: leaksanitizer",
    "warning: threadsanitizer",
    "warning: memorysanitizer",
    ": runtime error: ",
    "warning: data race",
];

/// How much a line tells of why a program ended.
pub fn weight(line: &str) -> u8 {
    // Frames of a backtrace are indented in every language; so is miette's message, by its cross.
    let is_inner = line.starts_with([' ', '\t']);
    if is_inner && !line.trim_start().starts_with(['×', '✖']) {
        return 0;
    }
    let line = line.to_ascii_lowercase();
    let begins = |word: &str| line.starts_with(word);
    let has = |word: &str| line.contains(word);
    let ends_programs = ["panic:", "fatal error:", "exception in thread", "terminate called"];
    if ends_programs.iter().any(|word| begins(word))
        || has(" panicked at ")
        || (has("assertion") && has("failed"))
        || SANITIZERS.iter().any(|word| has(word))
        || is_inner
    {
        PANIC
    } else if ["panic", "fatal", "segmentation fault", "out of memory"].iter().any(|it| has(it)) {
        2
    } else {
        u8::from(["error", "exception", "cannot"].iter().any(|word| has(word)))
    }
}

fn shown(line: &str) -> String {
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        ExitExcerpt::in_text(text).why.expect("a line that says why")
    }

    #[test]
    fn a_panic_is_told_by_its_own_line_whatever_follows_it() {
        let frames: String = (0..60)
            .map(|n| format!("  {n}: core::panicking::panic_fmt\n     at lib.rs\n"))
            .collect();
        let text = format!(
            "[server 1] error: a peer went away\n\nthread 'engine' (7) panicked at src/a.rs:3:5:\n\
             the log is torn\nstack backtrace:\n{frames}note: Some details are omitted\n"
        );
        assert_eq!(why(&text), "thread 'engine' (7) panicked at src/a.rs:3:5: the log is torn");
        assert_eq!(ExitExcerpt::in_text(&text).lines.len(), REPEATED);

        let go = "goroutine 1 [running]:\nmain.main()\n\t/src/main.go:4 +0x18\nexit status 2\n";
        assert_eq!(why(&format!("panic: index out of range\n\n{go}")), "panic: index out of range");
        let java = "Exception in thread \"main\" E: boom\n\tat A.main(A.java:3)\n";
        assert_eq!(why(java), "Exception in thread \"main\" E: boom");
        let python = "Traceback (most recent call last):\n  File \"a.py\", line 1\nValueError: x\n";
        assert_eq!(why(python), "ValueError: x");
        assert_eq!(
            why("Error: \n  × 127.0.0.1:80 is taken\n  help: stop it\n"),
            "× 127.0.0.1:80 is taken"
        );
    }

    #[test]
    fn a_panic_or_a_failed_assertion_tells_its_place() {
        let place = |text: &str| ExitExcerpt::in_text(text).place.map(|place| place.to_string());
        let rust = "thread 'engine' (7) panicked at src/a.rs:3:5:\nthe log is torn\n";
        assert_eq!(place(rust).as_deref(), Some("src/a.rs:3"));
        let go = "panic: boom\n\ngoroutine 1 [running]:\npanic(0x1)\n\t/go/src/runtime/panic.go:7\n\
                  main.main()\n\t/src/main.go:4 +0x18\nexit status 2\n";
        assert_eq!(place(go).as_deref(), Some("/src/main.go:4"));
        let java = "Exception in thread \"main\" E: boom\n\tat A.main(A.java:3)\n";
        assert_eq!(place(java).as_deref(), Some("A.java:3"));
        let c = "store: wal.c:88: append: Assertion `end > begin' failed.\nAborted\n";
        assert_eq!(place(c).as_deref(), Some("wal.c:88"));
        for none in ["fatal error: 127.0.0.1:80 is taken\n", "error: see src/a.rs:3\n", ""] {
            assert_eq!(place(none), None, "{none}");
        }
    }

    #[test]
    fn where_no_line_says_why_the_last_ones_stand_alone() {
        let words = ExitExcerpt::in_text("ready\nserving\n");
        assert_eq!((words.why.as_deref(), words.lines.len()), (None, 2));
        assert_eq!(words.in_words(), "its last lines: ready; serving");
        assert_eq!(ExitExcerpt::default().in_words(), "it wrote nothing");
    }

    #[test]
    fn only_the_end_of_a_long_file_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("stderr.log");
        let noise = "all is well\n".repeat(50_000);
        std::fs::write(&path, format!("panic: long ago\n{noise}panic: now\n")).expect("written");
        assert_eq!(ExitExcerpt::of(&path, 0).why.as_deref(), Some("panic: now"));
    }

    #[test]
    fn the_first_of_several_panics_is_told_however_long_the_stacks_after_it_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("stderr.log");
        let before = "panic: of the process before\n";
        let stacks = "  12: tokio::runtime::task\n      at /cargo/registry/tokio/task.rs:9\n";
        let text = format!(
            "{before}ready\nthread 'engine' (7) panicked at src/log.rs:31:5:\nno such index\n{}\
             thread 'main' (1) panicked at src/main.rs:8:9:\nthe engine is gone\n{}",
            stacks.repeat(900),
            stacks.repeat(20_000)
        );
        std::fs::write(&path, &text).expect("written");
        let words = ExitExcerpt::of(&path, before.len() as u64);
        let why = "thread 'engine' (7) panicked at src/log.rs:31:5: no such index";
        assert_eq!(words.why.as_deref(), Some(why));
        assert_eq!(words.place.expect("a place").to_string(), "src/log.rs:31");
        assert_eq!(words.lines.len(), REPEATED);
    }

    #[test]
    fn what_a_sanitizer_found_says_why_and_where() {
        let text = "serving\n==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x1\n\
                    READ of size 8 at 0x1 thread T0\n    #0 0x5 in append /src/wal.c:88:3\n\
                    SUMMARY: AddressSanitizer: heap-use-after-free /src/wal.c:88:3 in append\n";
        let words = ExitExcerpt::in_text(text);
        assert!(words.why.is_some_and(|why| why.contains("ERROR: AddressSanitizer")));
        assert_eq!(words.place.expect("a place").to_string(), "/src/wal.c:88");
    }
}
