//! A run's folder: `partita-runs/<UTC time>-<target>-<workload>-<seed>/`, and `latest` beside it.

use std::path::{Path, PathBuf};

use partita_nemesis::FaultRecord;
use serde::Serialize;

use crate::exit::{Failure, OrFail};

/// Where everything about one run is kept.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder of a run that begins now, and points `latest` at it.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made; the message names it.
    pub fn create(parent: &Path, name: &str) -> Result<Self, Failure> {
        let path = parent.join(name);
        std::fs::create_dir_all(parent).or_usage(|| format!("{}", parent.display()))?;
        std::fs::create_dir(&path).or_usage(|| format!("{}", path.display()))?;
        let path = path.canonicalize().or_usage(|| format!("{}", path.display()))?;
        let folder = Self { path };
        // A convenience: a file system without symbolic links is no reason not to run.
        let _ = folder.point_latest(parent, name);
        Ok(folder)
    }

    /// Replaces the link in one step, so that it never dangles for whoever reads it meanwhile.
    fn point_latest(&self, parent: &Path, name: &str) -> std::io::Result<()> {
        let fresh = parent.join(format!(".latest-{}", std::process::id()));
        let _ = std::fs::remove_file(&fresh);
        std::os::unix::fs::symlink(name, &fresh)?;
        std::fs::rename(&fresh, parent.join("latest"))
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
