//! Writes a run's reports into its folder.

use std::io;
use std::path::{Path, PathBuf};

use crate::run::Run;
use crate::{html, junit, summary};

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct WriteReportsError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// Writes `report.html`, `junit.xml` and `summary.md` into `folder`, which must exist. Files of
/// these names are replaced.
///
/// # Errors
///
/// [`WriteReportsError`] names the first file that could not be written; earlier ones stay.
pub fn write_all(folder: &Path, run: &Run<'_>) -> Result<(), WriteReportsError> {
    let reports =
        [("report.html", html(run)), ("junit.xml", junit(run)), ("summary.md", summary(run))];
    for (name, text) in reports {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|source| WriteReportsError { path, source })?;
    }
    Ok(())
}
