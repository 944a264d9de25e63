//! Runs the program as the user `nobody`, who has no rights.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use nix::unistd::{User, chown, geteuid};
use tempfile::TempDir;

use crate::needs::Need;

/// What `nobody` may write to: a copy of the program, since the build may lie where nobody may look,
/// and a folder for its runs.
pub(crate) struct Nobody {
    user: User,
    place: TempDir,
}

impl Nobody {
    /// Nothing unless root runs the tests: another user cannot become `nobody`, and every other test
    /// then shows what is possible without rights.
    pub(crate) fn new() -> Option<Self> {
        if !Need::Root.met(geteuid().is_root()) {
            return None;
        }
        let user = User::from_name("nobody").expect("users").expect("a user nobody");
        let this = Self { user, place: tempfile::tempdir().expect("a temporary folder") };
        fs::copy(env!("CARGO_BIN_EXE_partita"), this.program()).expect("copied");
        fs::create_dir(this.out()).expect("created");
        for path in [this.place.path().to_owned(), this.program(), this.out()] {
            chown(&path, Some(this.user.uid), Some(this.user.gid)).expect("given away");
        }
        Some(this)
    }

    fn program(&self) -> PathBuf {
        self.place.path().join("partita")
    }

    fn out(&self) -> PathBuf {
        self.place.path().join("runs")
    }

    /// What `partita run` with these arguments did.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        Command::new(self.program())
            .arg("run")
            .args(arguments)
            .arg("--out")
            .arg(self.out())
            .current_dir(self.place.path())
            .uid(self.user.uid.as_raw())
            .gid(self.user.gid.as_raw())
            .stdin(Stdio::null())
            .output()
            .expect("partita starts")
    }

    /// A file of the latest run.
    pub(crate) fn latest(&self, name: &str) -> String {
        fs::read_to_string(self.out().join("latest").join(name)).expect("a file of the run")
    }
}
