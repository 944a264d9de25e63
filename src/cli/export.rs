//! `partita export`: a history for other people's checkers, a run for their viewers.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use partita_checker::Event;
use partita_checker::formats::{Keys, jsonl, write_edn};
use partita_reports::Trace;

use super::input::ReadingOptions;
use super::stored::StoredRun;
use crate::exit::{Exit, Failure, FailureContext};
use crate::terminal;

/// Writes a history in another format, so that other checkers can judge ours, or a run as a trace.
///
/// Reads any format that `check` reads, and the folder of a run, of which a trace has the faults and
/// roles as well; writes to standard output. Exits with 2 if it cannot be read.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  partita export partita-runs/latest/history.jsonl > history.edn\n  \
                        partita export --to jsonl knossos.edn > history.jsonl\n  \
                        partita export --to perfetto partita-runs/latest > trace.json"
)]
pub struct Arguments {
    /// The history, or the folder of a run.
    file: PathBuf,
    /// The format to write.
    #[arg(long, value_name = "FORMAT", default_value = "edn")]
    to: Output,
    /// Write values as `[key value]`, for Jepsen's `independent`, instead of a field `:key`.
    #[arg(long)]
    tuples: bool,
    #[command(flatten)]
    reading: ReadingOptions,
}

/// The formats that a history can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum To {
    /// EDN maps, as Jepsen and Knossos read them.
    Edn,
    /// JSON lines, our own.
    Jsonl,
}

/// The formats that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// EDN maps, as Jepsen and Knossos read them.
    Edn,
    /// JSON lines, our own.
    Jsonl,
    /// Trace events, as Perfetto and Chrome show them: lanes of clients, nodes and faults.
    Perfetto,
    /// OpenTelemetry spans, as collectors read them from files.
    OtlpJson,
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if the history cannot be read or the output cannot be written.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let to = match arguments.to {
        Output::Edn => To::Edn,
        Output::Jsonl => To::Jsonl,
        Output::Perfetto | Output::OtlpJson => return trace(arguments),
    };
    let history = arguments.reading.read(&arguments.file, None)?.history;
    let mut output = BufWriter::new(terminal::data());
    let written = match to {
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

/// Writes a trace: of a run with all that is known of it, of a history with its clients alone.
fn trace(arguments: &Arguments) -> Result<Exit, Failure> {
    if arguments.file.join("run.json").is_file() {
        let stored = StoredRun::read(&arguments.file)?;
        let started = stored.record.started_at.parse::<jiff::Timestamp>();
        let epoch_ns = started.map_or(0, |started| started.as_nanosecond().try_into().unwrap_or(0));
        return write_trace(
            arguments.to,
            &Trace {
                name: &stored.record.name,
                epoch_ns,
                history: &stored.history,
                faults: &stored.faults,
                roles: &stored.record.roles,
                analysis: Some(&stored.analysis),
            },
        );
    }
    let history = arguments.reading.read(&arguments.file, None)?.history;
    let name = arguments.file.display().to_string();
    let (name, epoch_ns, history) = (name.as_str(), 0, &history);
    let trace = Trace { name, epoch_ns, history, faults: &[], roles: &[], analysis: None };
    write_trace(arguments.to, &trace)
}

fn write_trace(to: Output, trace: &Trace<'_>) -> Result<Exit, Failure> {
    let mut output = BufWriter::new(terminal::data());
    let written = match to {
        Output::OtlpJson => trace.write_otlp(&mut output),
        Output::Edn | Output::Jsonl | Output::Perfetto => trace.write_perfetto(&mut output),
    };
    written.and_then(|()| output.flush()).or_usage(|| "standard output".to_owned())?;
    Ok(Exit::Valid)
}
