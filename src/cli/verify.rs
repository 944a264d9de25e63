//! `partita verify`: does this certificate prove that history?

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use partita_checker::formats::certificate::read_certificate;
use partita_checker::formats::{ReadHistory, Reading};
use partita_checker::objects::{ObjectOptions, with_expiries};
use partita_checker::{Expected, History, Level, levels, objects};

use super::check::lease;
use super::initial::Initial;
use super::input::{self, ReadingOptions};
use super::model_choice::{CheckedModel, PromisedLevel};
use super::run_folder;
use super::show::counted;
use crate::exit::{Exit, Failure, FailureContext};
use crate::judge::unfinished;
use crate::outln;

/// Re-checks that a certificate is a linearization of a history: every completed operation once,
/// the model accepts each step, and nothing is placed after what was invoked after its return.
///
/// Of a run's folder, its history is checked against its own certificate. Exits with 0 if the
/// certificate proves the history, with 3 if it does not (which says nothing of the history) or
/// the history is cut off or was read too incompletely to be valid, and with 2 if a file cannot be read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  partita verify partita-runs/latest\n  \
                        partita verify history.jsonl certificate.json")]
pub struct Arguments {
    /// The history, or the folder of a run.
    #[arg(value_name = "HISTORY|RUN")]
    history: PathBuf,
    /// The certificate, as `run` and `check --certificate` write it; of a run's folder its own if not
    /// given.
    certificate: Option<PathBuf>,
    /// What the history is about: register, append, counter, set, queue, stack, lock,
    /// multi-register, list-append, rw-register or another of `partita list models`; told by its
    /// operations if not given. A certificate that assumes another object is rejected.
    #[arg(long, value_name = "NAME", value_parser = super::model_choice::subject)]
    model: Option<CheckedModel>,
    /// How long a key stays at least after it was written, as `check --lease` has it.
    #[arg(long, value_name = "DURATION", value_parser = super::positive_duration)]
    lease: Option<Duration>,
    /// By how much the end of a lease may come early.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = super::duration)]
    lease_drift: Duration,
    /// What keys hold before the first operation: a JSON value for all, an object with a value for
    /// each key, or unknown. A certificate that begins with another is rejected.
    #[arg(long, value_name = "JSON|unknown", default_value = "null",
          value_parser = super::initial::initial)]
    initial: Initial,
    /// What the history is to be proven to be, as `check --level` has it: linearizable, or of
    /// transactions strict-serializable, if not given.
    #[arg(long, value_name = "LEVEL", value_parser = super::model_choice::promise)]
    level: Option<PromisedLevel>,
    #[command(flatten)]
    reading: ReadingOptions,
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if a file cannot be read.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let Sources { history: history_path, certificate: path, model } = sources(arguments)?;
    let asked = model.and_then(CheckedModel::model);
    let ReadHistory { mut history, reading } = arguments.reading.read(&history_path, asked)?;
    let name = path.display().to_string();
    let file = File::open(&path).or_usage(|| name.clone())?;
    let certificate = read_certificate(&name, BufReader::new(file))
        .map_err(|error| Failure::usage(miette::miette!("{error}")))?;
    let model = input::model(model, &history, &history_path)?;
    if let Some(problem) = arguments.initial.refusal(&history) {
        return Err(Failure::usage(miette::miette!("{}: {problem}", history_path.display())));
    }
    let withheld = withheld(&history_path, &history, &reading);
    if let Some(time) = arguments.lease {
        history = with_expiries(&history, lease(time, arguments.lease_drift)).history;
    }
    let initials = &arguments.initial.by_key;
    let (level, isolation) = PromisedLevel::both(arguments.level);
    let initial = arguments.initial.value.clone();
    let verified = match model {
        CheckedModel::Object(kind) => {
            let options = ObjectOptions { kind, initial, memory: 0 };
            let verified = objects::verify(&history, &certificate, &options, &|| false);
            verified.map_err(|error| error.to_string())
        }
        CheckedModel::Model(model) if level == Level::Linearizable && !history.has_levels() => {
            let expected = Expected { model, initial, isolation };
            let begun =
                partita_checker::verify_begun(&history, &certificate, &expected, initials, &|| {
                    false
                });
            begun.map_err(|error| error.to_string())
        }
        CheckedModel::Model(model) => {
            let (expected, asked) = (Expected { model, initial, isolation }, (level, initials));
            let verified = levels::verify(&history, &certificate, &expected, asked, &|| false);
            verified.map_err(|error| error.to_string())
        }
    };
    match verified {
        Ok(()) if let Some(reason) = &withheld => {
            outln!("not accepted: {reason}");
            Ok(Exit::Unknown)
        }
        Ok(()) => {
            let operations: usize = certificate.keys.iter().map(|key| key.order.len()).sum();
            outln!(
                "accepted: an order of {} on {} explains the history{}",
                counted(operations, "operation"),
                counted(history.keys().len().min(certificate.keys.len()), "key"),
                if level == Level::Linearizable { String::new() } else { format!(" as {level}") }
            );
            Ok(Exit::Valid)
        }
        Err(error) => {
            outln!("rejected: {error}");
            Ok(Exit::Unknown)
        }
    }
}

/// Why a certificate of what was read of `history` does not prove the whole of it, if it does not.
fn withheld(path: &Path, history: &History, reading: &Reading) -> Option<String> {
    let is_unfinished = unfinished::history(path).is_some();
    let events = match &reading.cut {
        Some(cut) => cut.events,
        None if is_unfinished => unfinished::events(history) as u64,
        None => {
            let reason = reading.withholds_valid()?;
            return Some(format!(
                "the certificate explains what was read of the history, but {reason}"
            ));
        }
    };
    Some(format!(
        "the certificate explains the {}; the history is cut off at event {events}",
        counted(usize::try_from(events).unwrap_or(usize::MAX), "whole event"),
    ))
}

/// What is to be read, and the object that it is about, if that is known.
struct Sources {
    history: PathBuf,
    certificate: PathBuf,
    model: Option<CheckedModel>,
}

fn sources(arguments: &Arguments) -> Result<Sources, Failure> {
    let Arguments { history, certificate, model, .. } = arguments;
    if history.is_dir() {
        let (folder, own_history) = (history, history.join("history.jsonl"));
        // Folders of others have their histories in other files.
        let history = if own_history.exists() { own_history } else { folder.clone() };
        let own = folder.join("certificate.json");
        let model = model.or_else(|| run_folder::judged(folder).map(CheckedModel::from));
        if certificate.is_none() && !own.exists() {
            return Err(Failure::usage(miette::miette!(
                "{}: there is no certificate.json in it, which only a run with a linearizable \
                 history leaves; `partita check` judges its history",
                folder.display()
            )));
        }
        let certificate = certificate.clone().unwrap_or(own);
        return Ok(Sources { history, certificate, model });
    }
    match certificate.clone() {
        Some(certificate) => Ok(Sources { history: history.clone(), certificate, model: *model }),
        None => Err(Failure::usage(miette::miette!(
            "{}: expected a certificate after the history, or the folder of a run alone",
            history.display()
        ))),
    }
}
