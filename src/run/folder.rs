//! A run's folder: `partita-runs/<UTC time>-<target>-<workload>-<seed>/`, and `latest` beside it.
//!
//! Runs that begin in the same second have `-2`, `-3` and so on after that name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use partita_nemesis::FaultRecord;
use partita_reports::{Finding, RunEvent, RunSpec, Stamped};
use serde::Serialize;

use crate::exit::{Failure, FailureContext};

/// The file of a run's specification.
pub const SPEC: &str = "spec.json";

/// How much room is kept for verdict and reports, in bytes.
const RESERVE: i64 = 4 << 20;

/// Where everything about one run is kept.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder of a run that begins now, and points `latest` at it. No other run has it,
    /// however many begin at once.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made; the message names it.
    pub fn create(parent: &Path, name: &str) -> Result<Self, Failure> {
        std::fs::create_dir_all(parent).or_usage(|| format!("{}", parent.display()))?;
        let mut number = 1;
        let (name, path) = loop {
            let name = if number == 1 { name.to_owned() } else { format!("{name}-{number}") };
            let path = parent.join(&name);
            match std::fs::create_dir(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                made => {
                    break made
                        .map(|()| (name, path.clone()))
                        .or_usage(|| path.display().to_string())?;
                }
            }
        };
        let path = path.canonicalize().or_usage(|| format!("{}", path.display()))?;
        let folder = Self { path };
        // A convenience: a file system without symbolic links is no reason not to run.
        let _ = point_latest(parent, &name);
        Ok(folder)
    }

    /// The folder that was made for this run already, at this absolute path.
    pub fn made(path: PathBuf) -> Self {
        Self { path }
    }

    /// The run's name: the name of its folder.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Keeps room for the verdict and the reports on a disk that may be full by then, until the
    /// result is dropped. The file has no name, so that nothing of it is left whatever happens.
    pub fn reserve(&self) -> Option<File> {
        let path = self.file(".reserve");
        let file = File::create_new(&path).ok()?;
        let removed = std::fs::remove_file(&path);
        let room = nix::fcntl::fallocate(&file, nix::fcntl::FallocateFlags::empty(), 0, RESERVE);
        (removed.is_ok() && room.is_ok()).then_some(file)
    }

    /// The folder, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file of the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder of a node: its output and its data.
    pub fn node(&self, name: &str) -> PathBuf {
        self.path.join("nodes").join(name)
    }

    /// What was asked of the run.
    ///
    /// # Errors
    ///
    /// If it cannot be read; the message names the file.
    pub fn spec(&self) -> Result<RunSpec, Failure> {
        let path = self.file(SPEC);
        let text = std::fs::read_to_string(&path).or_usage(|| path.display().to_string())?;
        RunSpec::parse(&text).or_usage(|| path.display().to_string())
    }

    /// Writes `content` as indented JSON.
    ///
    /// # Errors
    ///
    /// If it cannot be written; the message names the file.
    pub fn write_json(&self, name: &str, content: &impl Serialize) -> Result<(), Failure> {
        let path = self.file(name);
        let mut text =
            serde_json::to_string_pretty(content).or_harness(|| format!("{}", path.display()))?;
        text.push('\n');
        self.write(name, &text)
    }

    /// Writes a text.
    ///
    /// # Errors
    ///
    /// If it cannot be written; the message names the file.
    pub fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.file(name);
        std::fs::write(&path, text).or_harness(|| format!("{}", path.display()))
    }

    /// The faults that `schedule.jsonl` has, by number; its last line about each. What cannot be read
    /// is left out.
    pub fn faults(&self) -> Vec<FaultRecord> {
        let text = std::fs::read_to_string(self.file("schedule.jsonl")).unwrap_or_default();
        let records = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        let by_number: BTreeMap<u32, FaultRecord> =
            records.map(|record: FaultRecord| (record.id, record)).collect();
        by_number.into_values().collect()
    }

    /// What `events.jsonl` tells of what was found. What cannot be read is left out.
    pub fn findings(&self) -> Vec<Finding> {
        let text = std::fs::read_to_string(self.file("events.jsonl")).unwrap_or_default();
        let events = text.lines().filter_map(|line| serde_json::from_str::<Stamped>(line).ok());
        let found = events.filter_map(|stamped| match stamped.event {
            RunEvent::Found { finding } => Some(*finding),
            _ => None,
        });
        found.collect()
    }

    /// Removes what only a failed run needs: the nodes' data.
    ///
    /// # Errors
    ///
    /// If a folder cannot be removed; the message names it.
    pub fn drop_data<'a>(&self, nodes: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
        for node in nodes {
            let data = self.node(node).join("data");
            match std::fs::remove_dir_all(&data) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                done => done.or_harness(|| format!("{}", data.display()))?,
            }
        }
        Ok(())
    }
}

/// Replaces the link `latest` in one step, so that a concurrent reader never finds it dangling.
fn point_latest(parent: &Path, name: &str) -> std::io::Result<()> {
    // The name is this run's alone; a process's number is not, in namespaces.
    let fresh = parent.join(format!(".latest-{name}"));
    std::os::unix::fs::symlink(name, &fresh)?;
    std::fs::rename(&fresh, parent.join("latest"))
}

/// `schedule.jsonl`: a line just before a fault is injected, when it is in force and when it is over,
/// so that a controller that dies leaves behind what it was doing. A fault's last line counts.
pub struct ScheduleFile {
    path: PathBuf,
    file: std::fs::File,
}

impl ScheduleFile {
    /// Creates the file.
    ///
    /// # Errors
    ///
    /// If it cannot be made; the message names it.
    pub fn create(folder: &RunFolder) -> Result<Self, Failure> {
        let path = folder.file("schedule.jsonl");
        let file = std::fs::File::create(&path).or_harness(|| format!("{}", path.display()))?;
        Ok(Self { path, file })
    }

    /// Appends a line.
    ///
    /// # Errors
    ///
    /// If it cannot be written; the message names the file.
    pub fn append(&mut self, record: &FaultRecord) -> Result<(), Failure> {
        use std::io::Write;
        let name = || format!("{}", self.path.display());
        let mut line = serde_json::to_vec(record).or_harness(name)?;
        line.push(b'\n');
        self.file.write_all(&line).or_harness(|| format!("{}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn runs_that_begin_at_once_have_folders_of_their_own_and_latest_is_one_of_them() {
        let parent = tempfile::tempdir().expect("a folder");
        let begin = || {
            let folder = RunFolder::create(parent.path(), "20260101T000000Z-store-register-7");
            // A reader finds a folder also while the link is replaced.
            assert!(parent.path().join("latest").join(".").is_dir());
            folder.expect("a folder").name()
        };
        let names: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..24).map(|_| scope.spawn(begin)).collect();
            threads.into_iter().map(|thread| thread.join().expect("begun")).collect()
        });
        let distinct: BTreeSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), 24, "{names:?}");
        let latest = std::fs::read_link(parent.path().join("latest")).expect("a link");
        assert!(names.contains(&latest.to_string_lossy().into_owned()));
        let hidden = std::fs::read_dir(parent.path()).expect("read").flatten();
        assert!(hidden.into_iter().all(|it| !it.file_name().to_string_lossy().starts_with('.')));
    }

    #[test]
    fn the_room_that_is_kept_has_no_name() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = RunFolder::create(parent.path(), "run").expect("a folder");
        let _reserve = folder.reserve();
        assert_eq!(std::fs::read_dir(folder.path()).expect("read").count(), 0);
    }
}
