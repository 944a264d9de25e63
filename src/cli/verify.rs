//! `partita verify`: does this certificate prove that history?

use std::path::PathBuf;

use clap::Args;

use crate::exit::{Exit, Failure, OrFail};

/// Re-checks that a certificate is a linearization of a history: every completed operation once,
/// the model accepts each step, and nothing is placed after what was invoked after its return.
///
/// Exits with 0 if it is, with 3 if it is not (the certificate proves nothing, which says nothing
/// of the history), and with 2 if a file cannot be read.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  partita verify partita-runs/latest/history.jsonl \\\n      \
                        partita-runs/latest/certificate.json")]
pub struct Arguments {
    /// The history, JSON lines.
    history: PathBuf,
    /// The certificate, as `run` and `check --certificate` write it.
    certificate: PathBuf,
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if a file cannot be read.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let history = super::check::read_history(&arguments.history)?;
    let path = &arguments.certificate;
    let text = std::fs::read_to_string(path).or_usage(|| format!("{}", path.display()))?;
    let certificate: partita_checker::Certificate = serde_json::from_str(&text)
        .or_usage(|| format!("{}: not a certificate", path.display()))?;
    match partita_checker::verify(&history, &certificate) {
        Ok(()) => {
            let operations: usize = certificate.keys.iter().map(|key| key.order.len()).sum();
            println!(
                "accepted: an order of {operations} operations on {} keys explains the history",
                certificate.keys.len()
            );
            Ok(Exit::Valid)
        }
        Err(error) => {
            println!("rejected: {error}");
            Ok(Exit::Unknown)
        }
    }
}
