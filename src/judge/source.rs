//! Where a history comes from: a file, a pipe, standard input, or a folder that has one.
//!
//! A pipe whose writer is slow, or never comes, is waited for until a deadline and not longer: a
//! pipe in the file system is opened without waiting for its writer, and whatever may block is
//! asked first whether it has something.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use partita_checker::formats::holds_operations;

use crate::exit::{Failure, FailureContext};

/// What a folder may have its history in, by preference: what says most comes first. Runs of ours
/// have `history.jsonl`, Jepsen's store has the others; each may be packed.
const HISTORIES: [&str; 5] =
    ["history.edn", "history.jsonl", "history.json", "jepsen.log", "history.txt"];

/// The endings of files that are packed.
const ENDINGS: [&str; 3] = ["", ".gz", ".zst"];

/// A history's bytes, and what its file is called.
#[derive(Debug)]
pub struct Source {
    /// The name for people; `-` is standard input.
    pub name: String,
    /// The file that was chosen, if a folder was named.
    pub chosen: Option<String>,
    input: File,
    /// Whether reading may have to wait.
    may_block: bool,
    deadline: Option<Instant>,
}

impl Source {
    /// Opens what `path` names; reading from it fails with [`ErrorKind::TimedOut`] once `deadline`
    /// has passed.
    ///
    /// # Errors
    ///
    /// [`Failure`] if there is no such file, or the folder has no history.
    pub fn open(path: &Path, deadline: Option<Instant>) -> Result<Self, Failure> {
        if path == Path::new("-") {
            let input = io::stdin().as_fd().try_clone_to_owned().or_usage(|| "-".to_owned())?;
            let input = File::from(input);
            return Ok(Self {
                name: "-".to_owned(),
                chosen: None,
                input,
                may_block: true,
                deadline,
            });
        }
        let (path, chosen) =
            if path.is_dir() { in_folder(path, deadline)? } else { (path.into(), None) };
        let name = path.display().to_string();
        // Without a writer, a pipe would be waited for here.
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
        let input = options.open(&path).or_usage(|| name.clone())?;
        let kind = input.metadata().or_usage(|| name.clone())?.file_type();
        if kind.is_socket() || kind.is_dir() {
            let problem = miette::miette!("{name}: expected a file, a pipe or a folder");
            return Err(Failure::usage(problem));
        }
        Ok(Self { name, chosen, input, may_block: !kind.is_file(), deadline })
    }

    /// Waits until there is something to read, or nothing will come any more.
    fn wait(&self) -> io::Result<()> {
        loop {
            let timeout = match self.deadline {
                None => PollTimeout::NONE,
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(ErrorKind::TimedOut.into());
                    }
                    // Rounded up, so that it does not spin through the last millisecond.
                    let milliseconds = left.as_millis().saturating_add(1).min(60_000);
                    PollTimeout::try_from(milliseconds as i32).unwrap_or(PollTimeout::MAX)
                }
            };
            let mut asked = [PollFd::new(self.input.as_fd(), PollFlags::POLLIN)];
            match poll(&mut asked, timeout) {
                Ok(0) | Err(nix::errno::Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(ErrorKind::TimedOut.into());
            }
            if self.may_block {
                self.wait()?;
            }
            match self.input.read(buffer) {
                // Another reader took what was there.
                Err(error) if error.kind() == ErrorKind::WouldBlock && self.may_block => {}
                read => return read,
            }
        }
    }
}

/// The history in a folder, and its name there. Of several files it is the first that holds
/// operations: Jepsen's own log need not have them.
fn in_folder(
    folder: &Path,
    deadline: Option<Instant>,
) -> Result<(PathBuf, Option<String>), Failure> {
    let names = HISTORIES.iter().flat_map(|name| ENDINGS.map(|ending| format!("{name}{ending}")));
    let is_file = |name: &String| {
        let path = folder.join(name);
        path.exists() && !path.is_dir()
    };
    let names: Vec<String> = names.filter(is_file).collect();
    let is_empty = |name: &String| names.len() > 1 && is_empty(&folder.join(name), deadline);
    let skipped: Vec<&str> =
        names.iter().take_while(|name| is_empty(name)).map(String::as_str).collect();
    match names.get(skipped.len()) {
        Some(name) if skipped.is_empty() => Ok((folder.join(name), Some(name.clone()))),
        Some(name) => {
            let said = format!("{name} (no operations in {})", skipped.join(", "));
            Ok((folder.join(name), Some(said)))
        }
        // None of them has any, which the first is as good as any to say.
        None if !names.is_empty() => Ok((folder.join(&names[0]), Some(names[0].clone()))),
        None => Err(Failure::usage(miette::miette!(
            "{}: expected a folder with a history: there is none of {} in it, nor one of these \
             packed as .gz or .zst",
            folder.display(),
            HISTORIES.join(", ")
        ))),
    }
}

/// Whether the file is one that can be read twice and has no operations. One that cannot be read is
/// not: why, its reader says.
fn is_empty(path: &Path, deadline: Option<Instant>) -> bool {
    let Ok(source) = Source::open(path, deadline) else { return false };
    !source.may_block && holds_operations(BufReader::new(source)).is_ok_and(|holds| !holds)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(path: &Path) -> String {
        let mut text = String::new();
        Source::open(path, None).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn folder_gives_the_history_that_says_most() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = Source::open(folder.path(), None).unwrap_err().report.to_string();
        assert!(refusal.contains("history.jsonl") && refusal.contains("jepsen.log"), "{refusal}");
        for name in ["history.txt", "jepsen.log", "history.jsonl.gz", "history.edn"] {
            std::fs::write(folder.path().join(name), row(name)).unwrap();
            let source = Source::open(folder.path(), None).unwrap();
            assert_eq!(source.chosen.as_deref(), Some(name));
            assert_eq!(read(folder.path()), row(name));
        }
        let link = folder.path().join("latest");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        assert_eq!(read(&link), row("history.edn"));
    }

    /// An operation that says in which file it stands.
    fn row(name: &str) -> String {
        format!("0 :invoke :write \"{name}\"")
    }

    #[test]
    fn file_without_operations_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let log = "2024-01-01 INFO [main] jepsen.cli - :type of test: lin\n\
                   INFO jepsen.util - 5 nodes are up\nINFO jepsen.util - :nemesis :info :start\n";
        std::fs::write(folder.path().join("jepsen.log"), log).unwrap();
        let chosen = || Source::open(folder.path(), None).unwrap().chosen.unwrap();
        assert_eq!(chosen(), "jepsen.log");
        std::fs::write(folder.path().join("history.txt"), row("history.txt")).unwrap();
        assert_eq!(chosen(), "history.txt (no operations in jepsen.log)");
        std::fs::write(folder.path().join("history.edn"), "; none\n[]\n").unwrap();
        assert_eq!(chosen(), "history.txt (no operations in history.edn, jepsen.log)");
        std::fs::write(folder.path().join("history.edn"), "[{:type :invoke}]").unwrap();
        assert_eq!(chosen(), "history.edn");
    }

    #[test]
    fn pipe_without_a_writer_is_waited_for_until_the_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let deadline = Instant::now() + Duration::from_millis(50);
        let mut source = Source::open(&path, Some(deadline)).unwrap();
        let error = source.read(&mut [0; 10]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn pipe_is_read_to_the_end_of_what_slow_writers_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let name = path.clone();
        let writer = std::thread::spawn(move || {
            use std::io::Write;
            let mut pipe = OpenOptions::new().write(true).open(name).unwrap();
            for part in ["one", "two"] {
                pipe.write_all(part.as_bytes()).unwrap();
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        assert_eq!(read(&path), "onetwo");
        writer.join().unwrap();
    }

    #[test]
    fn folder_in_place_of_a_history_is_none() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("history.edn")).unwrap();
        assert!(Source::open(folder.path(), None).is_err());
    }
}
