//! `partita export`: a history for other people's checkers.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use partita_checker::Event;
use partita_checker::formats::{Keys, jsonl, write_edn};

use super::input::ReadingOptions;
use crate::exit::{Exit, Failure, OrFail};
use crate::terminal;

/// Writes a history in another format, so that other checkers can judge ours.
///
/// Reads any format that `check` reads; writes to standard output. Exits with 2 if the history
/// cannot be read.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  partita export partita-runs/latest/history.jsonl > history.edn\n  \
                        partita export --to jsonl knossos.edn > history.jsonl"
)]
pub struct Arguments {
    /// The history.
    file: PathBuf,
    /// The format to write.
    #[arg(long, value_name = "FORMAT", default_value = "edn")]
    to: To,
    /// Write values as `[key value]`, for Jepsen's `independent`, instead of a field `:key`.
    #[arg(long)]
    tuples: bool,
    #[command(flatten)]
    reading: ReadingOptions,
}

/// The formats that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum To {
    /// EDN maps, as Jepsen and Knossos read them.
    Edn,
    /// JSON lines, our own.
    Jsonl,
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if the history cannot be read or the output cannot be written.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let history = arguments.reading.read(&arguments.file, None)?.history;
    let mut output = BufWriter::new(terminal::data());
    let written = match arguments.to {
        To::Edn => {
            let keys = if arguments.tuples { Keys::Tuple } else { Keys::Field };
            write_edn(&mut output, history.events(), keys)
        }
        To::Jsonl => {
            history.events().try_for_each(|event: Event| jsonl::write_event(&mut output, &event))
        }
    };
    written.and_then(|()| output.flush()).or_usage(|| "standard output".to_owned())?;
    Ok(Exit::Valid)
}
