//! History files as commands take them: where they are, and how they are to be read.

use std::io::{BufReader, ErrorKind};
use std::path::Path;
use std::time::Instant;

use clap::{Args, ValueEnum};
use partita_checker::formats::{
    self, DecidedBy, Decision, Format, ReadError, ReadHistory, ReadOptions, ReadProblem,
};
use partita_checker::{History, ModelKind};
use partita_reports::text::visible::escaped;

use super::model_choice::CheckedModel;
use crate::exit::Failure;
use crate::judge::source::Source;
use crate::names;

/// How a history is to be read.
#[derive(Debug, Clone, Default, Args)]
pub struct ReadingOptions {
    /// The format of the histories; told by the content if not given.
    #[arg(long, value_name = "FORMAT", value_parser = names::format)]
    format: Option<Format>,
    /// How to interpret a compare-and-set that is recorded as failed and names no error; as usual in the
    /// format if not given.
    #[arg(long, value_name = "MEANING")]
    failed_cas: Option<FailedCas>,
    /// What a read means that answered nil; as usual in the format if not given.
    #[arg(long, value_name = "MEANING")]
    nil_read: Option<NilRead>,
    /// Whether values are `[key value]`, as Jepsen's `independent` writes them; told by the values if
    /// not given.
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true,
          default_missing_value = "yes")]
    independent: Option<Answer>,
    /// Put events in the order of their times first, as the logs of several clients need it that were
    /// put one after another.
    #[arg(long)]
    sort_by_time: bool,
    /// Refuse histories that can be read with warnings only.
    #[arg(long)]
    strict: bool,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Answer {
    /// Yes.
    Yes,
    /// No.
    No,
}

/// The choices of `--nil-read`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum NilRead {
    /// There was no value, which is an answer.
    Value,
    /// The result is unknown: the read is left out.
    Unknown,
}

/// The choices of `--failed-cas`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FailedCas {
    /// The value was not the expected one.
    Mismatch,
    /// It did not happen, for whatever reason.
    Ignore,
}

/// The object that `history`, read from `path`, is to be checked as: the one `asked` for, or what
/// its operations tell.
///
/// # Errors
///
/// [`Failure`] if they fit more than one object, or none.
pub fn model(
    asked: Option<CheckedModel>,
    history: &History,
    path: &Path,
) -> Result<CheckedModel, Failure> {
    asked.or_else(|| CheckedModel::told_by(history)).ok_or_else(|| {
        let known = CheckedModel::names().join(", ");
        Failure::usage(miette::miette!(
            "{}: {}; expected --model with one of {known}",
            path.display(),
            ModelKind::untold(history)
        ))
    })
}

impl ReadingOptions {
    /// Reads the history in the file at `path`, which is about `model` if that is known.
    ///
    /// # Errors
    ///
    /// [`Failure`] names the file, the line, and what was expected there.
    pub fn read(&self, path: &Path, model: Option<ModelKind>) -> Result<ReadHistory, Failure> {
        let source = Source::open(path, None)?;
        self.parse(source, model).map_err(|error| Failure::usage(miette::miette!("{error}")))
    }

    /// As [`Self::read`], but gives up at `deadline`; then only the line is known that it had come
    /// to.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn read_until(
        &self,
        path: &Path,
        model: Option<ModelKind>,
        deadline: Instant,
    ) -> Result<Result<ReadHistory, u64>, Failure> {
        match self.parse(Source::open(path, Some(deadline))?, model) {
            Ok(read) => Ok(Ok(read)),
            Err(ReadError { line, problem: ReadProblem::Io(error), .. })
                if error.kind() == ErrorKind::TimedOut && Instant::now() >= deadline =>
            {
                Ok(Err(line))
            }
            Err(error) => Err(Failure::usage(miette::miette!("{error}"))),
        }
    }

    fn parse(&self, source: Source, model: Option<ModelKind>) -> Result<ReadHistory, ReadError> {
        let options = ReadOptions {
            format: self.format,
            failed_cas: self.failed_cas.map(|meaning| match meaning {
                FailedCas::Mismatch => formats::FailedCas::Mismatch,
                FailedCas::Ignore => formats::FailedCas::Ignore,
            }),
            nil_read: self.nil_read.map(|meaning| match meaning {
                NilRead::Value => formats::NilRead::Value,
                NilRead::Unknown => formats::NilRead::Unknown,
            }),
            independent: self.independent.map(|answer| answer == Answer::Yes),
            model,
            sort_by_time: self.sort_by_time,
            strict: self.strict,
        };
        let (name, chosen) = (source.name.clone(), source.chosen.clone());
        let input = BufReader::with_capacity(256 * 1024, source);
        let mut read = formats::read(&escaped(&name), input, &options)?;
        if let Some(chosen) = chosen {
            let (subject, by) = ("file".to_owned(), DecidedBy::Content);
            let chosen = format!("{chosen} of the folder");
            read.reading.decisions.insert(0, Decision { subject, chosen, by, operations: 0 });
        }
        Ok(read)
    }
}
