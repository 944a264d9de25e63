//! Follows what nodes write, line by line, while they write it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::exit_excerpt;
use super::folder::RunFolder;

/// The most that is read of one file in one look, in bytes.
const MOST: u64 = 8 << 20;
/// The longest that a line may be, in bytes; longer ones are taken in pieces.
const LONGEST_LINE: usize = 64 << 10;

/// The files of all nodes, and how far they were read.
#[derive(Debug)]
pub struct NodeLines {
    files: Vec<Followed>,
}

#[derive(Debug)]
struct Followed {
    node: String,
    path: PathBuf,
    read: u64,
    /// The beginning of a line whose end is not there yet.
    begun: Vec<u8>,
    /// Bytes that came faster than they are read.
    missed: u64,
}

impl NodeLines {
    /// Of these nodes, from the beginning of their files.
    pub fn of(folder: &RunFolder, nodes: &[String]) -> Self {
        let followed = |node: &String| {
            exit_excerpt::files(node, folder).map(|path| Followed {
                node: node.clone(),
                path,
                read: 0,
                begun: Vec::new(),
                missed: 0,
            })
        };
        Self { files: nodes.iter().flat_map(followed).collect() }
    }

    /// Hands over every line that was finished since the last look, with its node and file. A file that
    /// cannot be read now is read later.
    pub fn look(&mut self, mut take: impl FnMut(&str, &Path, &str)) {
        for file in &mut self.files {
            let Followed { node, path, .. } = file;
            let (node, path) = (node.clone(), path.clone());
            if let Ok(bytes) = file.read_on() {
                file.lines(&bytes, |line| take(&node, &path, line));
            }
        }
    }

    /// How many bytes were not looked at, since they came too fast.
    pub fn missed(&self) -> u64 {
        self.files.iter().map(|file| file.missed).sum()
    }
}

impl Followed {
    fn read_on(&mut self) -> io::Result<Vec<u8>> {
        let length = std::fs::metadata(&self.path)?.len();
        if length <= self.read {
            return Ok(Vec::new());
        }
        let from = self.read.max(length.saturating_sub(MOST));
        if from > self.read {
            self.missed += from - self.read;
            self.begun.clear();
        }
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(length - from).read_to_end(&mut bytes)?;
        self.read = from + bytes.len() as u64;
        Ok(bytes)
    }

    fn lines(&mut self, bytes: &[u8], mut take: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.begun.len() >= LONGEST_LINE {
                take(String::from_utf8_lossy(&self.begun).trim_end());
                self.begun.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_line_is_handed_over_once_and_only_when_it_is_whole() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = RunFolder::made(place.path().to_path_buf());
        std::fs::create_dir_all(folder.node("n1")).expect("made");
        let mut lines = NodeLines::of(&folder, &["n1".to_owned()]);
        let mut seen = Vec::new();
        let [stderr, _] = exit_excerpt::files("n1", &folder);
        let open = || std::fs::OpenOptions::new().create(true).append(true).open(&stderr);
        let mut file = open().expect("opened");
        for part in ["one\ntw", "o\n", "", "three\n"] {
            file.write_all(part.as_bytes()).expect("written");
            lines.look(|node, _, line| seen.push(format!("{node} {line}")));
        }
        assert_eq!(seen, ["n1 one", "n1 two", "n1 three"]);
        assert_eq!(lines.missed(), 0);
    }
}
