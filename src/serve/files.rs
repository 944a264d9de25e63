//! Opens what lies below one folder, and nothing else.
//!
//! Every name of a path is opened by itself, relative to the folder before it and following no symbolic
//! link, so that whatever is moved or linked meanwhile, nothing outside is reached. Pipes and devices are
//! not waited for, and refused.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use partita_reports::site::FileRow;

use super::route::{Inside, is_plain};

/// The folder, held open.
#[derive(Debug)]
pub struct Root {
    folder: OwnedFd,
    path: PathBuf,
}

const FOLDER: OFlag =
    OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

const FILE: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_CLOEXEC);

impl Root {
    /// Opens the folder at `path`, which may itself be reached by a link.
    ///
    /// # Errors
    ///
    /// If there is no such folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        let folder = open(&path, FOLDER, Mode::empty())?;
        Ok(Self { folder, path })
    }

    /// Where it is, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where something in it is, for commands that a reader types.
    pub fn path_of(&self, inside: &Inside) -> PathBuf {
        self.path.join(inside.path())
    }

    /// Opens a folder in it.
    ///
    /// # Errors
    ///
    /// If there is no such folder, or a link is on the way.
    fn folder(&self, names: &[String]) -> io::Result<OwnedFd> {
        let mut folder = self.folder.try_clone()?;
        for name in names {
            folder = openat(folder.as_fd(), name.as_str(), FOLDER, Mode::empty())?;
        }
        Ok(folder)
    }

    /// Opens a regular file in it.
    ///
    /// # Errors
    ///
    /// If there is no such file, it is no regular one, or a link is on the way.
    pub fn file(&self, inside: &Inside) -> io::Result<(File, Metadata)> {
        let (name, folders) = inside.names().split_last().ok_or(io::ErrorKind::NotFound)?;
        let folder = self.folder(folders)?;
        let file = File::from(openat(folder.as_fd(), name.as_str(), FILE, Mode::empty())?);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok((file, metadata))
    }

    /// Whether this is a folder in it.
    pub fn is_folder(&self, inside: &Inside) -> bool {
        self.folder(inside.names()).is_ok()
    }

    /// The regular files and the folders of a folder in it, or of itself, at most `most` of them, by
    /// name; links, and names that are hidden or no UTF-8, are left out.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub fn list(&self, inside: Option<&Inside>, most: usize) -> io::Result<Vec<FileRow>> {
        let folder = self.folder(inside.map_or(&[][..], Inside::names))?;
        // What is open, whatever stands at its path by now.
        let entries = std::fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd()))?;
        let mut rows: Vec<FileRow> = Vec::new();
        for entry in entries.flatten() {
            let Some(name) =
                entry.file_name().to_str().filter(|it| is_plain(it)).map(str::to_owned)
            else {
                continue;
            };
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file() || metadata.is_dir() {
                rows.push(FileRow { name, bytes: metadata.is_file().then_some(metadata.len()) });
            }
            if rows.len() >= most {
                break;
            }
        }
        rows.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(rows)
    }

    /// The content of a file in it, at most `most` bytes from `from` on.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn read(&self, inside: &Inside, from: u64, most: u64) -> io::Result<Vec<u8>> {
        let (mut file, _) = self.file(inside)?;
        if from > 0 {
            file.seek(SeekFrom::Start(from))?;
        }
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn inside(path: &str) -> Inside {
        Inside::of(path).expect("plain")
    }

    #[test]
    fn links_lead_nowhere_at_any_place_of_a_path() {
        let outside = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(outside.path().join("run")).expect("made");
        std::fs::write(outside.path().join("run/secret"), "s").expect("written");
        let home = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(home.path().join("run/nodes")).expect("made");
        std::fs::write(home.path().join("run/own"), "o").expect("written");
        for (target, link) in [("run", "linked"), ("run/secret", "run/file")] {
            symlink(outside.path().join(target), home.path().join(link)).expect("linked");
        }
        symlink("/", home.path().join("run/nodes/root")).expect("linked");
        let root = Root::open(home.path()).expect("a root");
        assert_eq!(root.read(&inside("run/own"), 0, 10).expect("its own"), b"o");
        for path in ["linked/secret", "run/file", "run/nodes/root/etc/passwd", "run/nodes", "run"] {
            assert!(root.file(&inside(path)).is_err(), "{path}");
        }
        assert!(!root.is_folder(&inside("linked")) && root.is_folder(&inside("run/nodes")));
        let names = |path: &str| -> Vec<String> {
            let rows = root.list(Some(&inside(path)), 100).expect("a folder");
            rows.into_iter().map(|row| row.name).collect()
        };
        assert_eq!(names("run"), ["nodes", "own"]);
        assert_eq!(names("run/nodes"), [""; 0]);
    }

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let home = tempfile::tempdir().expect("a folder");
        let pipe = home.path().join("pipe");
        nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).expect("a pipe");
        let root = Root::open(home.path()).expect("a root");
        assert!(root.file(&inside("pipe")).is_err());
    }

    #[test]
    fn a_folder_is_the_one_that_was_opened() {
        let home = tempfile::tempdir().expect("a folder");
        let site = home.path().join("site");
        std::fs::create_dir(&site).expect("made");
        std::fs::write(site.join("a"), "first").expect("written");
        let root = Root::open(&site).expect("a root");
        std::fs::rename(&site, home.path().join("moved")).expect("moved");
        symlink("/etc", &site).expect("linked");
        assert_eq!(root.read(&inside("a"), 0, 10).expect("still there"), b"first");
        assert!(root.file(&inside("passwd")).is_err());
    }
}
