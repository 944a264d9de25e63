//! `partita report`: makes the reports of a run again from its folder.

use std::path::PathBuf;

use clap::Args;

use super::stored::StoredRun;
use crate::exit::{Exit, Failure, FailureContext};
use crate::outln;

/// Makes report.html, junit.xml and summary.md of a run again, from the files in its folder.
///
/// Judges nothing: the verdict is the one on record. Exits with 2 if the folder cannot be read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  partita report partita-runs/latest\n  \
                        partita report partita-runs/latest --out /tmp/page")]
pub struct Arguments {
    /// The run's folder.
    run: PathBuf,
    /// The folder to write to; the run's own if not given.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if the run cannot be read or a report cannot be written.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let stored = StoredRun::read(&arguments.run)?;
    let out = arguments.out.as_ref().unwrap_or(&arguments.run);
    let name = || out.display().to_string();
    std::fs::create_dir_all(out).or_usage(name)?;
    partita_reports::write_all_to(out, &arguments.run, &stored.run()).or_usage(name)?;
    outln!("{}", out.join("report.html").display());
    Ok(Exit::Valid)
}
