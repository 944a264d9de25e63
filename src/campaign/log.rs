//! A file of JSON lines that is only ever appended to, each line synced before the next is begun.
//!
//! Whatever is killed, and whenever: a line is in the file whole or not at all. A last line that is torn is
//! cut off when the file is opened; what it was about is done again.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A log that is open for appending.
#[derive(Debug)]
pub struct Log {
    file: File,
    path: PathBuf,
    /// How many bytes of it are whole lines.
    length: u64,
}

/// Why a log cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A line is not one of this log.
    #[error("{path}:{line}: {source}")]
    Line {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What was expected.
        source: serde_json::Error,
    },
}

impl LogError {
    /// Whether there is no room left.
    pub fn is_full(&self) -> bool {
        let Self::File { source, .. } = self else { return false };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// Reads the whole lines of a log; none if there is no file.
///
/// # Errors
///
/// [`LogError`] if it cannot be read, or a line that is whole is not one of this log.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, LogError> {
    match std::fs::read(path) {
        Ok(bytes) => lines(path, whole(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(LogError::File { path: path.display().to_string(), source }),
    }
}

/// The part of a log that is whole lines.
fn whole(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    &bytes[..end]
}

fn lines<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<Vec<T>, LogError> {
    let line = |(number, line): (usize, &[u8])| {
        serde_json::from_slice(line).map_err(|source| LogError::Line {
            path: path.display().to_string(),
            line: number + 1,
            source,
        })
    };
    bytes.split_inclusive(|byte| *byte == b'\n').enumerate().map(line).collect()
}

impl Log {
    /// Opens a log, makes it if there is none, and gives the lines in it. A torn last line is cut off.
    ///
    /// # Errors
    ///
    /// [`LogError`] if it cannot be read or made, or a line that is whole is not one of this log.
    pub fn open<T: DeserializeOwned>(path: &Path) -> Result<(Self, Vec<T>), LogError> {
        let failed = |source| LogError::File { path: path.display().to_string(), source };
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        let bytes = std::fs::read(path).map_err(failed)?;
        let whole = whole(&bytes);
        let found = lines(path, whole)?;
        let length = whole.len() as u64;
        if length < bytes.len() as u64 {
            tracing::warn!(path = %path.display(), "the last line was torn and is cut off");
            file.set_len(length).and_then(|()| file.sync_data()).map_err(failed)?;
        }
        if let Some(folder) = path.parent() {
            // The name of a new file is a matter of its folder.
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        Ok((Self { file, path: path.to_owned(), length }, found))
    }

    /// Appends a line and waits until it is on the disk. If that fails, the file is as it was.
    ///
    /// # Errors
    ///
    /// [`LogError::File`].
    pub fn append(&mut self, line: &impl Serialize) -> Result<(), LogError> {
        let failed = |source| LogError::File { path: self.path.display().to_string(), source };
        let mut text = serde_json::to_vec(line).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        let written = self.file.write_all(&text).and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // A part of a line would be taken for a torn one, or be glued to the next.
            let _ = self.file.set_len(self.length);
            return Err(failed(source));
        }
        self.length += text.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_cut_off_wherever_it_is_torn() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log.jsonl");
        let whole = "[1,\"a\"]\n[2,\"b\"]\n";
        let last = "[3,\"ü\"]\n";
        for torn in 0..last.len() {
            let mut bytes = whole.as_bytes().to_vec();
            bytes.extend(&last.as_bytes()[..torn]);
            std::fs::write(&path, bytes).expect("written");
            let (mut log, lines): (_, Vec<(u32, String)>) = Log::open(&path).expect("open");
            assert_eq!(lines, [(1, "a".to_owned()), (2, "b".to_owned())], "torn at {torn}");
            log.append(&(4, "d")).expect("appended");
            let text = std::fs::read_to_string(&path).expect("text");
            assert_eq!(text, format!("{whole}[4,\"d\"]\n"), "torn at {torn}");
        }
    }

    #[test]
    fn a_whole_line_that_is_none_is_named_and_nothing_is_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log.jsonl");
        std::fs::write(&path, "[1,\"a\"]\nnonsense\n[2,\"b\"]\n").expect("written");
        let problem = Log::open::<(u32, String)>(&path).expect_err("refused").to_string();
        assert!(problem.contains("log.jsonl:2: "), "{problem}");
        assert!(std::fs::read_to_string(&path).expect("text").contains("nonsense"));
    }

    #[test]
    fn a_full_disk_leaves_the_log_as_it_was() {
        let path = Path::new("/dev/full");
        let file = OpenOptions::new().append(true).open(path).expect("Linux has it");
        let mut log = Log { file, path: path.to_owned(), length: 0 };
        let error = log.append(&[1, 2, 3]).expect_err("full");
        assert!(error.is_full(), "{error}");
    }
}
