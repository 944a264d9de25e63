//! `partita verify`: does this certificate prove that history?

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use clap::Args;
use partita_checker::formats::certificate::read_certificate;
use partita_checker::{Expected, ModelKind, Value};

use super::input::{self, ReadingOptions};
use super::show::counted;
use crate::exit::{Exit, Failure, OrFail};
use crate::names;
use crate::say;

/// Re-checks that a certificate is a linearization of a history: every completed operation once,
/// the model accepts each step, and nothing is placed after what was invoked after its return.
///
/// Exits with 0 if it is, with 3 if it is not (the certificate proves nothing, which says nothing
/// of the history), and with 2 if a file cannot be read.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  partita verify partita-runs/latest/history.jsonl \\\n      \
                        partita-runs/latest/certificate.json")]
pub struct Arguments {
    /// The history.
    history: PathBuf,
    /// The certificate, as `run` and `check --certificate` write it.
    certificate: PathBuf,
    /// What the history is about: register, append, counter, set, queue, stack, lock or
    /// multi-register; told by its operations if not given. A certificate that assumes another
    /// object is rejected.
    #[arg(long, value_name = "NAME", value_parser = names::model)]
    model: Option<ModelKind>,
    /// The value of every key before the first operation, as JSON. A certificate that begins with
    /// another is rejected.
    #[arg(long, value_name = "JSON", default_value = "null", value_parser = super::value)]
    initial: Value,
    #[command(flatten)]
    reading: ReadingOptions,
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if a file cannot be read.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let history = arguments.reading.read(&arguments.history)?.history;
    let path = &arguments.certificate;
    let name = path.display().to_string();
    let file = File::open(path).or_usage(|| name.clone())?;
    let certificate = read_certificate(&name, BufReader::new(file))
        .map_err(|error| Failure::usage(miette::miette!("{error}")))?;
    let model = input::model(arguments.model, &history, &arguments.history)?;
    let expected = Expected { model, initial: arguments.initial.clone() };
    match partita_checker::verify(&history, &certificate, &expected) {
        Ok(()) => {
            let operations: usize = certificate.keys.iter().map(|key| key.order.len()).sum();
            say!(
                "accepted: an order of {} on {} explains the history",
                counted(operations, "operation"),
                counted(certificate.keys.len(), "key")
            );
            Ok(Exit::Valid)
        }
        Err(error) => {
            say!("rejected: {error}");
            Ok(Exit::Unknown)
        }
    }
}
