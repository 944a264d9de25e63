//! `partita check`: is this history linearizable?

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use partita_checker::formats::{ReadHistory, Reading};
use partita_checker::{
    Analysis, Certificate, EngineChoice, History, ModelKind, Options, Progress, Value, Verdict,
    check_watched,
};

use partita_reports::{CheckRecord, CheckedHistory};
use serde::{Serialize, Serializer};

use super::input::{self, ReadingOptions};
use super::{progress, show};
use crate::exit::{Exit, Failure, OrFail};
use crate::say;

/// Decides whether recorded histories are linearizable, and shows the evidence.
///
/// Reads JSON lines, EDN as Jepsen and Knossos write it, Jepsen's log lines, Porcupine's key/value
/// logs and fastlin's intervals, told apart by their content. Exits with the worst verdict of all
/// files: 0 if every one is valid, 1 if one holds a violation, 3 if one stays unknown, 2 if one
/// cannot be read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  partita check partita-runs/latest/history.jsonl\n  \
                        partita check --explain etcd.log\n  \
                        partita check --json a.jsonl b.edn\n  \
                        partita check --certificate proof.json history.jsonl")]
pub struct Arguments {
    /// The histories.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// What the histories are about: register, append, counter, set, queue, stack, lock or
    /// multi-register; told by their operations if not given.
    #[arg(long, value_name = "NAME", value_parser = names::model)]
    model: Option<ModelKind>,
    /// The value of every key before the first operation, as JSON.
    #[arg(long, value_name = "JSON", default_value = "null", value_parser = super::value)]
    initial: Value,
    /// How long one history may take, from when it is opened to the verdict, reading included,
    /// before it is given up as unknown.
    #[arg(long, value_name = "DURATION", default_value = "60s",
          value_parser = super::positive_duration)]
    timeout: Duration,
    /// How much memory searches may use, besides the history itself; keys that are searched at once
    /// share it.
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = super::size)]
    max_memory: usize,
    /// Which engine is to decide: auto, monitor, zones, frontier or wgl. One that cannot leaves the
    /// verdict unknown.
    #[arg(long, value_name = "ENGINE", default_value_t, value_parser = names::engine)]
    engine: EngineChoice,
    /// Print why no order exists, step by step.
    #[arg(long)]
    explain: bool,
    /// Print the verdict on every key.
    #[arg(long)]
    keys: bool,
    /// Print the analyses as JSON, one document a line, instead of words.
    #[arg(long)]
    json: bool,
    /// Where to write the certificate of a valid history; needs a single file.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Where to write a page with the verdicts, the proofs and charts; one file, opens offline.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    #[command(flatten)]
    reading: ReadingOptions,
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if a file cannot be read or written.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    if arguments.certificate.is_some() && arguments.files.len() > 1 {
        let problem = "--certificate needs a single history; several were named";
        return Err(Failure::usage(miette::miette!("{problem}")));
    }
    let mut worst = Verdict::Valid;
    let mut checked = Vec::new();
    for file in &arguments.files {
        let Judged { model, history, reading, analysis, certificate } = arguments.judge(file)?;
        worst = worst.max(analysis.verdict);
        if arguments.json {
            let name = file.display().to_string();
            let document = Document { file: name, model, reading: &reading, analysis: &analysis };
            let text = serde_json::to_string(&document).or_harness(|| "verdict".to_owned())?;
            say!("{text}");
        } else {
            show::analysis(&file.display().to_string(), &analysis);
            if let (true, Some(found)) = (arguments.explain, &analysis.counterexample) {
                show::cycle(found);
            }
            if arguments.keys {
                show::keys(&analysis);
            }
        }
        if let (Some(path), Some(certificate)) = (&arguments.certificate, &certificate) {
            let name = || format!("{}", path.display());
            let text = serde_json::to_string(certificate).or_harness(name)?;
            std::fs::write(path, text).or_usage(name)?;
        }
        if arguments.report.is_some() {
            let written = arguments.certificate.as_ref().filter(|_| certificate.is_some());
            checked.push(CheckedHistory {
                file: file.display().to_string(),
                model: model.to_string(),
                history,
                analysis,
                certificate: written.map(|path| path.display().to_string()),
            });
        }
    }
    if let Some(path) = &arguments.report {
        let check = CheckRecord {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            checked_at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            command: typed(std::env::args()),
            files: checked,
        };
        std::fs::write(path, partita_reports::check_html(&check))
            .or_usage(|| path.display().to_string())?;
    }
    Ok(worst.into())
}

/// What `--json` prints for one file.
#[derive(Serialize)]
struct Document<'a> {
    file: String,
    #[serde(serialize_with = "by_name")]
    model: ModelKind,
    reading: &'a Reading,
    #[serde(flatten)]
    analysis: &'a Analysis,
}

fn by_name<S: Serializer>(model: &ModelKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(model)
}

/// A history and what was found.
struct Judged {
    model: ModelKind,
    history: History,
    reading: Reading,
    analysis: Analysis,
    certificate: Option<Certificate>,
}

impl Arguments {
    /// Reads the file and checks it, in the time that both may take together.
    fn judge(&self, file: &Path) -> Result<Judged, Failure> {
        let deadline = Instant::now() + self.timeout;
        let ReadHistory { history, reading } = match self.reading.read_until(file, deadline)? {
            Ok(read) => read,
            Err(line) => {
                let reason = format!("the time ran out while line {line} was read");
                let (verdict, reasons) = (Verdict::Unknown, vec![reason]);
                let analysis =
                    Analysis { verdict, keys: Vec::new(), counterexample: None, reasons };
                return Ok(Judged {
                    model: self.model.unwrap_or_default(),
                    history: History::default(),
                    reading: Reading::default(),
                    analysis,
                    certificate: None,
                });
            }
        };
        let model = input::model(self.model, &history, file)?;
        let options = Options {
            model,
            initial: self.initial.clone(),
            memory: self.max_memory,
            engine: self.engine,
        };
        let (analysis, certificate) =
            judge(&file.display().to_string(), &history, &options, deadline);
        Ok(Judged { model, history, reading, analysis, certificate })
    }
}

/// The command that was typed, for a POSIX shell.
fn typed(arguments: impl Iterator<Item = String>) -> String {
    let words = arguments.skip(1).map(|word| partita_reports::quoted(&word));
    std::iter::once("partita".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// Checks the history called `name` until `deadline`, and shows how far it has come if that takes
/// long. The checker verifies its own proofs.
pub fn judge(
    name: &str,
    history: &History,
    options: &Options,
    deadline: Instant,
) -> (Analysis, Option<Certificate>) {
    let progress = Progress::default();
    progress::watch(name, &progress, deadline, || {
        check_watched(history, options, &|| Instant::now() >= deadline, &progress)
    })
}
