//! `partita compare`: two runs side by side.

use std::path::PathBuf;

use clap::Args;
use partita_reports::{Comparison, Difference};

use super::stored::StoredRun;
use crate::exit::{Exit, Failure};
use crate::outln;

/// Puts two runs side by side and says where they part first, in faults, leaders and answers.
///
/// Most telling are two runs of one schedule of which one passes. Exits with 0 whatever it finds, and
/// with 2 if a folder cannot be read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  partita compare partita-runs/good partita-runs/latest")]
pub struct Arguments {
    /// The folder of one run.
    first: PathBuf,
    /// The folder of the other.
    second: PathBuf,
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if a run cannot be read.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let first = StoredRun::read(&arguments.first)?;
    let second = StoredRun::read(&arguments.second)?;
    let comparison = Comparison::of(&first.run(), &second.run());
    for row in &comparison.rows {
        if row.first == row.second {
            outln!("{:<12}  both  {}", row.name, row.first);
        } else {
            outln!("{:<12}  A     {}", row.name, row.first);
            outln!("{:<12}  B     {}", "", row.second);
        }
    }
    for difference in &comparison.differences {
        tell(difference);
    }
    Ok(Exit::Valid)
}

fn tell(difference: &Difference) {
    let Difference { of, alike, parting } = difference;
    match parting {
        None => outln!("{of:<12}  both  the same, {alike} of them"),
        Some([first, second]) => {
            outln!("{of:<12}        {alike} alike, then");
            outln!("{:<12}  A     {first}", "");
            outln!("{:<12}  B     {second}", "");
        }
    }
}
