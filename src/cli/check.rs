//! `partita check`: is this history linearizable?

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use partita_checker::formats::{DecidedBy, ReadHistory, Reading};
use partita_checker::objects::{Lease, ObjectOptions, with_expiries};
use partita_checker::{
    Analysis, Certificate, EngineChoice, History, KeyInitials, Level, ModelKind, Nanoseconds,
    Options, Progress, Verdict, check_level, hint, objects,
};

use partita_nemesis::FaultRecord;
use partita_reports::{CheckRecord, CheckedHistory, Groups, UnreadableFile};
use serde::{Serialize, Serializer};

use super::initial::Initial;
use super::input::{self, ReadingOptions};
use super::model_choice::{CheckedModel, PromisedLevel};
use super::read_as::{self, Assumed};
use super::{progress, run_folder, show};
use crate::exit::{Exit, Failure, FailureContext, FailureDocument};
use crate::judge::{self, unfinished};
use crate::{errln, names, outln, terminal};

/// Decides whether recorded histories are linearizable, and shows the evidence.
///
/// Reads JSON lines, EDN as Jepsen and Knossos write it, Jepsen's log lines, Porcupine's key/value
/// logs and fastlin's intervals, told apart by their content. Every file is checked, even if others fail. Exits with 1 if one holds a violation, else with 2 if one cannot be read or the
/// certificate or report cannot be written, else with 3 if one stays unknown, and with 0 if all are
/// valid.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  partita check partita-runs/latest/history.jsonl\n  \
                        partita check --explain etcd.log\n  \
                        partita check --json a.jsonl b.edn\n  \
                        partita check --certificate proof.json history.jsonl")]
pub struct Arguments {
    /// The histories.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// What the histories are about: register, append, counter, set, queue, stack, lock,
    /// multi-register, list-append, rw-register or another of `partita list models`; told by their
    /// operations if not given.
    #[arg(long, value_name = "NAME", value_parser = super::model_choice::subject)]
    model: Option<CheckedModel>,
    /// Minimum lifetime (TTL) of a register key after a write; it may expire after that.
    #[arg(long, value_name = "DURATION", value_parser = super::positive_duration)]
    lease: Option<Duration>,
    /// By how much the end of a lease may come early, since the store's clock is fast.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = super::duration)]
    lease_drift: Duration,
    /// What keys hold before the first operation: a JSON value for all, an object with a value for
    /// each key, as {"x":0,"y":0}, or unknown, which is any one value for each.
    #[arg(long, value_name = "JSON|unknown", default_value = "null",
          value_parser = super::initial::initial)]
    initial: Initial,
    /// What is promised. Of transactions the isolation level, as serializable; all levels are told in
    /// any case. Of other operations linearizable, sequential, session (all four session guarantees:
    /// causal), read-your-writes, monotonic-reads, monotonic-writes, writes-follow-reads, or stale reads
    /// beside linearizable changes: any (stale), by time (stale:500ms) or by versions
    /// (stale:3-versions). Sessions are processes. Operations with a level of their own keep it where
    /// this is linearizable or stale.
    #[arg(long, visible_alias = "consistency", value_name = "LEVEL",
          value_parser = super::model_choice::promise)]
    level: Option<PromisedLevel>,
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
    /// Print the analyses as JSON, one document a line, instead of text.
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
    if arguments.files.iter().filter(|file| *file == Path::new("-")).count() > 1 {
        let problem = "standard input (`-`) is named more than once, and can be read only once";
        return Err(Failure::usage(miette::miette!("{problem}")));
    }
    let mut sum = Sum::default();
    for (place, file) in (1..).zip(&arguments.files) {
        match arguments.judge(file) {
            Ok(judged) => {
                sum.count(judged.analysis.verdict);
                arguments.tell(&judged)?;
                sum.exit = sum.exit.worse(arguments.write_certificate(&judged));
                if arguments.report.is_some() {
                    sum.checked.push(judged.for_report(arguments));
                } else if place == arguments.files.len() {
                    // To free millions of values one by one takes a fifth of the time that all of this
                    // does, and the program ends now.
                    std::mem::forget(judged);
                }
            }
            Err(failure) => {
                if arguments.json {
                    let (file, error) = (file.display().to_string(), FailureDocument::of(&failure));
                    terminal::document(&UnreadableDocument { file, error })?;
                }
                terminal::failure(&failure);
                sum.exit = sum.exit.worse(failure.exit);
                let (file, error) = (file.display().to_string(), failure.messages().join(": "));
                sum.unreadable.push(UnreadableFile { file, error });
            }
        }
    }
    if arguments.files.len() > 1 {
        let line = sum.in_words();
        if arguments.json { errln!("{line}") } else { outln!("{line}") }
    }
    let exit = sum.exit;
    Ok(exit.worse(arguments.write_report(sum)))
}

/// What came of all files.
struct Sum {
    exit: Exit,
    /// How many files got each verdict: valid, violation, unknown.
    verdicts: [usize; 3],
    checked: Vec<CheckedHistory>,
    unreadable: Vec<UnreadableFile>,
}

impl Default for Sum {
    fn default() -> Self {
        let (checked, unreadable) = (Vec::new(), Vec::new());
        Self { exit: Exit::Valid, verdicts: [0; 3], checked, unreadable }
    }
}

/// In the order in which they are counted.
const VERDICTS: [Verdict; 3] = [Verdict::Valid, Verdict::Violation, Verdict::Unknown];

impl Sum {
    fn count(&mut self, verdict: Verdict) {
        self.exit = self.exit.worse(verdict.into());
        for (number, _) in self.verdicts.iter_mut().zip(VERDICTS).filter(|(_, it)| *it == verdict) {
            *number += 1;
        }
    }

    /// `5 files: 3 valid, 1 violation, 1 unreadable`.
    fn in_words(&self) -> String {
        let files = self.verdicts.iter().sum::<usize>() + self.unreadable.len();
        let verdicts = self.verdicts.iter().zip(VERDICTS.map(|verdict| verdict.to_string()));
        let unreadable = (&self.unreadable.len(), "unreadable".to_owned());
        let parts = verdicts.chain([unreadable]).filter(|(number, _)| **number > 0);
        let parts: Vec<String> = parts.map(|(number, what)| format!("{number} {what}")).collect();
        format!("{}: {}", show::counted(files, "file"), parts.join(", "))
    }
}

/// The form of the documents that `--json` prints.
const FORMAT: u32 = 1;

/// What `--json` prints for a file that cannot be read.
#[derive(Serialize)]
struct UnreadableDocument {
    file: String,
    #[serde(flatten)]
    error: FailureDocument,
}

/// What `--json` prints for one file.
#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    file: &'a str,
    #[serde(serialize_with = "by_name")]
    model: CheckedModel,
    level: Level,
    #[serde(flatten)]
    assumed: Assumed,
    reading: &'a Reading,
    #[serde(flatten)]
    analysis: &'a Analysis,
    /// The violating keys, counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    violations: Option<Groups>,
}

fn by_name<S: Serializer>(model: &CheckedModel, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(model)
}

/// A history and what was found.
struct Judged {
    file: String,
    /// What was done to the store meanwhile, if that is known.
    faults: Vec<FaultRecord>,
    model: CheckedModel,
    history: History,
    reading: Reading,
    analysis: Analysis,
    certificate: Option<Certificate>,
}

impl Arguments {
    /// What a verdict assumes besides what was read.
    fn assumed(&self, model: CheckedModel) -> Assumed {
        let initial = match &self.initial.by_key {
            KeyInitials::Unknown => "unknown".to_owned(),
            KeyInitials::Listed(_) => "one of its own for each key".to_owned(),
            _ => serde_json::to_string(&self.initial.value).unwrap_or_default(),
        };
        let model_by = if self.model.is_some() { DecidedBy::Option } else { DecidedBy::Content };
        Assumed { name: model.name(), model_by, initial }
    }

    /// Reads the file and checks it, in the time that both may take together.
    fn judge(&self, file: &Path) -> Result<Judged, Failure> {
        let deadline = Instant::now() + self.timeout;
        let unfinished = unfinished::history(file);
        if let Some(history) = unfinished.as_ref().filter(|history| unfinished::is_empty(history)) {
            return Ok(self.nothing_recorded(history));
        }
        let ReadHistory { history, reading } = match self.reading.read_until(
            file,
            self.model.and_then(CheckedModel::model),
            deadline,
        )? {
            Ok(read) => read,
            Err(line) => {
                let reason = format!("the time ran out while line {line} was read");
                let analysis = Analysis::unknown(vec![reason]);
                return Ok(Judged {
                    file: file.display().to_string(),
                    faults: Vec::new(),
                    model: self.model.unwrap_or_default(),
                    history: History::default(),
                    reading: Reading::default(),
                    analysis,
                    certificate: None,
                });
            }
        };
        let model = input::model(self.model, &history, file)?;
        let (mut analysis, certificate) = self.decide(model, &history, file, deadline)?;
        reading.weigh(&mut analysis);
        if unfinished.is_some() && reading.cut.is_none() {
            unfinished::withhold(&mut analysis, &history);
        }
        let certificate = certificate.filter(|_| analysis.verdict == Verdict::Valid);
        if let CheckedModel::Model(model) = model
            && PromisedLevel::both(self.level).0 == Level::Linearizable
            && !history.has_levels()
            && self.lease.is_none()
        {
            hint::add(&history, &self.options(model), &reading, &mut analysis);
        }
        let (file, faults) = (file.display().to_string(), run_folder::faults_of_history(file));
        Ok(Judged { file, faults, model, history, reading, analysis, certificate })
    }

    fn options(&self, model: ModelKind) -> Options {
        Options::of(model)
            .with_initial(self.initial.value.clone())
            .with_initial_by_key(self.initial.by_key.clone())
            .with_memory(self.max_memory)
            .with_engine(self.engine)
            .with_isolation(PromisedLevel::both(self.level).1)
    }

    /// Decides on a history until a deadline.
    fn decide(
        &self,
        subject: CheckedModel,
        history: &History,
        file: &Path,
        deadline: Instant,
    ) -> Result<(Analysis, Option<Certificate>), Failure> {
        let refuse = |problem: String| Err(Failure::usage(miette::miette!("{problem}")));
        let name = file.display().to_string();
        let model = match subject {
            CheckedModel::Model(model) => model,
            CheckedModel::Object(kind) => {
                if self.level.is_some() || self.lease.is_some() {
                    return refuse(format!("{name}: {kind} has neither levels nor leases here"));
                }
                let (initial, memory) = (self.initial.value.clone(), self.max_memory);
                let options = ObjectOptions { kind, initial, memory };
                return Ok(objects::check(history, &options, &|| Instant::now() >= deadline));
            }
        };
        if let Some(level) = self.level {
            let fits = matches!(level, PromisedLevel::Isolation(_)) == model.is_transactional();
            if !fits {
                let of = match level {
                    PromisedLevel::Isolation(_) => "transactions",
                    PromisedLevel::Single(_) => "operations on single keys",
                };
                return refuse(format!("{name}: --level {level} is for {of}; found {model}"));
            }
        }
        let level = PromisedLevel::both(self.level).0;
        let options = self.options(model);
        let stranger = || Some(format!("{name}: {}", self.initial.refusal(history)?));
        if let Some(problem) = options.refusal().or_else(stranger) {
            return refuse(problem);
        }
        let Some(time) = self.lease else {
            return Ok(judge_level(&name, history, (&options, level), deadline));
        };
        if model != ModelKind::Register || !history.has_clock() || !options.initial.is_null() {
            return refuse(format!(
                "{name}: --lease needs a register that begins without a value, and times of a clock"
            ));
        }
        let leased = with_expiries(history, lease(time, self.lease_drift));
        let (mut analysis, certificate) =
            judge_level(&name, &leased.history, (&options, level), deadline);
        let own = analysis.keys.iter_mut().filter_map(|key| key.counterexample.as_deref_mut());
        for witness in
            own.chain(&mut analysis.counterexample).flat_map(|found| &mut found.operations)
        {
            witness.index = leased.original(witness.index);
            witness.completed_index = witness.completed_index.map(|index| leased.original(index));
        }
        Ok((analysis, certificate))
    }

    /// What is said of a run that ended before its clients did anything.
    fn nothing_recorded(&self, history: &Path) -> Judged {
        let reasons = vec![unfinished::cut(&ReadHistory::default())];
        Judged {
            file: history.display().to_string(),
            faults: run_folder::faults_of_history(history),
            model: self.model.unwrap_or_default(),
            history: History::default(),
            reading: Reading::default(),
            analysis: Analysis::unknown(reasons),
            certificate: None,
        }
    }

    /// Prints the verdict.
    fn tell(&self, judged: &Judged) -> Result<(), Failure> {
        let Judged { file, faults, model, reading, analysis, .. } = judged;
        if self.json {
            let violations = Groups::of(analysis, faults);
            let (format, model) = (FORMAT, *model);
            return terminal::document(&Document {
                format,
                file,
                model,
                level: PromisedLevel::both(self.level).0,
                assumed: self.assumed(model),
                reading,
                analysis,
                violations,
            });
        }
        let keys = judged.history.keys().len();
        show::analysis(file, analysis, (PromisedLevel::both(self.level).0, keys), faults);
        read_as::print(reading, &self.assumed(*model));
        if let (true, Some(found)) = (self.explain, &analysis.counterexample) {
            show::cycle(found);
        }
        if self.keys {
            show::keys(analysis);
        }
        Ok(())
    }

    /// Writes the certificate, if there is one and it is wanted. A verdict stands whether or not that
    /// goes well.
    fn write_certificate(&self, judged: &Judged) -> Exit {
        let (Some(path), Some(certificate)) = (&self.certificate, &judged.certificate) else {
            return Exit::Valid;
        };
        let name = || path.display().to_string();
        let text = serde_json::to_string(certificate).or_harness(name);
        written(text.and_then(|text| std::fs::write(path, text).or_usage(name)))
    }

    /// Writes the page, if it is wanted.
    fn write_report(&self, sum: Sum) -> Exit {
        let Some(path) = &self.report else { return Exit::Valid };
        let check = CheckRecord {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            checked_at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            command: typed(std::env::args_os()),
            files: sum.checked,
            unreadable: sum.unreadable,
        };
        let page = partita_reports::check_html(&check);
        written(std::fs::write(path, page).or_usage(|| path.display().to_string()))
    }
}

/// How it ended to write a file; says why not.
fn written(done: Result<(), Failure>) -> Exit {
    let Err(failure) = done else { return Exit::Valid };
    terminal::failure(&failure);
    failure.exit
}

impl Judged {
    fn for_report(self, arguments: &Arguments) -> CheckedHistory {
        let written = arguments.certificate.as_ref().filter(|_| self.certificate.is_some());
        CheckedHistory {
            file: self.file,
            model: self.model.to_string(),
            read_as: read_as::read_as(&self.reading, &arguments.assumed(self.model)),
            history: self.history,
            analysis: self.analysis,
            faults: self.faults,
            certificate: written.map(|path| path.display().to_string()),
        }
    }
}

/// The command that was typed, for a POSIX shell.
fn typed(arguments: impl Iterator<Item = OsString>) -> String {
    let words = arguments.skip(1);
    let words = words.map(|word| partita_reports::quoted(&word.to_string_lossy()));
    std::iter::once("partita".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// A lease of so long, whose end may come so much early.
pub fn lease(time: Duration, drift: Duration) -> Lease {
    let nanoseconds =
        |time: Duration| Nanoseconds(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    Lease { time: nanoseconds(time), drift: nanoseconds(drift) }
}

/// Checks the history called `name` until `deadline`, and shows how far it has come if that takes
/// long. The checker verifies its own proofs.
fn judge_level(
    name: &str,
    history: &History,
    (options, level): (&Options, Level),
    deadline: Instant,
) -> (Analysis, Option<Certificate>) {
    let progress = Progress::default();
    progress::watch(name, &progress, deadline, || match level {
        Level::Linearizable => judge::judge(history, options, deadline, &progress),
        level => check_level(history, options, level, &|| Instant::now() >= deadline),
    })
}
