//! From a finished run to its verdict, its files and what a person reads.
//!
//! The checker reads the history back from the file, so that what is judged here is exactly what
//! `partita check` judges later. So is what a run that failed in its midst left behind: a violation
//! in it stands, and *valid* becomes *unknown*, cut off at an event.

use std::time::Instant;

use indicatif::HumanCount;
use partita_checker::formats::ReadHistory;
use partita_checker::{
    Analysis, Certificate, EngineChoice, History, Options, Progress, Verdict, check_watched,
};
use partita_nemesis::FaultRecord;
use partita_reports::{HostRecord, Recovery, Run, RunRecord};
use serde::Serialize;

use super::folder::RunFolder;
use super::phases::Course;
use super::plan::{Faults, Plan};
use super::{evidence, stalls, vacuity};
use crate::cli::{check, show, unfinished};
use crate::exit::{Exit, Failure, OrFail};
use crate::{say, terminal};

/// How many notes are printed of what does not touch the verdict; the others are in `run.json`.
const NOTES_SHOWN: usize = 4;

/// Lines of errors at the end of a run that is valid, and of any other; `run.json` has all of them.
const ERRORS_SHOWN: (usize, usize) = (2, 8);

/// Judges the history of `course`, writes all files and prints the verdict.
///
/// # Errors
///
/// [`Failure`] if a file of a run that came to its end cannot be read back or written.
pub fn conclude(plan: &Plan, folder: &RunFolder, course: &Course) -> Result<Exit, Failure> {
    conclude_by(check::judge, plan, folder, course)
}

/// As [`conclude`], without starting a thread.
///
/// # Errors
///
/// As [`conclude`].
pub fn conclude_alone(plan: &Plan, folder: &RunFolder, course: &Course) -> Result<Exit, Failure> {
    conclude_by(judge_alone, plan, folder, course)
}

fn judge_alone(
    _name: &str,
    history: &History,
    options: &Options,
    deadline: Instant,
) -> (Analysis, Option<Certificate>) {
    let check = |engine| {
        let options = Options { engine, ..options.clone() };
        check_watched(history, &options, &|| Instant::now() >= deadline, &Progress::default())
    };
    // `auto` races engines on threads: here each has its turn.
    let engines = [EngineChoice::Monitor, EngineChoice::Zones, EngineChoice::Frontier];
    let mut judged = engines.into_iter().map(check);
    let first = judged.find(|(analysis, _)| analysis.verdict != Verdict::Unknown);
    first.unwrap_or_else(|| check(EngineChoice::Wgl))
}

/// Judges a history of that name until a deadline.
type Judge = fn(&str, &History, &Options, Instant) -> (Analysis, Option<Certificate>);

fn conclude_by(
    judge: Judge,
    plan: &Plan,
    folder: &RunFolder,
    course: &Course,
) -> Result<Exit, Failure> {
    let deadline = Instant::now() + plan.check_timeout;
    let failed = course.failure.is_some();
    let read = match unfinished::read(&folder.file("history.jsonl")) {
        // There may be nothing yet.
        Err(_) if failed => ReadHistory::default(),
        read => read?,
    };
    let (mut analysis, certificate) =
        judge("history.jsonl", &read.history, &plan.options(), deadline);
    // A disk that is full cuts the history off.
    read.reading.weigh(&mut analysis);
    let certificate = certificate.filter(|_| analysis.verdict == Verdict::Valid);
    let is_told = read.reading.withholds_valid().is_some();
    let cut = (failed && !is_told).then(|| unfinished::cut(&read));
    let history = read.history;
    let record = record(plan, folder, course, &history, &analysis, cut);
    let written = write(folder, &record, &history, course, &analysis, certificate.as_ref());
    if let Err(failure) = written {
        // A verdict does not need its files.
        if !failed && record.verdict != Verdict::Violation {
            return Err(failure);
        }
        terminal::failure(&failure);
    }
    if record.verdict == Verdict::Valid && !plan.keep_data {
        folder.drop_data(record.nodes.iter().map(|node| node.name.as_str()))?;
    }
    if plan.json {
        terminal::document(&Document { format: FORMAT, run: &record })?;
    } else {
        print(&record, &analysis, &course.faults);
    }
    Ok(match record.verdict {
        Verdict::Violation => Exit::Violation,
        _ if failed => Exit::Harness,
        verdict => verdict.into(),
    })
}

/// What `--json` prints: the content of `run.json`, with the number of its form.
#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    #[serde(flatten)]
    run: &'a RunRecord,
}

/// The form of [`Document`].
const FORMAT: u32 = 1;

fn record(
    plan: &Plan,
    folder: &RunFolder,
    course: &Course,
    history: &History,
    analysis: &Analysis,
    cut: Option<String>,
) -> RunRecord {
    let counts = vacuity::count(history, &course.faults);
    let wants_faults = match &plan.faults {
        Faults::Drawn(menu) => menu.faults().next().is_some(),
        Faults::Written(script) => !script.faults.is_empty(),
    };
    let nodes = course.nodes.len();
    let weighed = evidence::weigh(history, &course.faults, nodes, wants_faults, &course.stalls);
    let mut notes = course.notes.clone();
    notes.extend(stalls::sentence(&course.stalls, history));
    notes.extend(weighed.notes);
    let mut remarks = course.remarks.clone();
    remarks.extend(course.failure.clone());
    remarks.extend(course.outcomes.objections());
    remarks.extend(cut);
    remarks.extend(vacuity::reasons(history, &course.outcomes, plan.workload.needs));
    remarks.extend(weighed.reasons);
    remarks.extend(analysis.reasons.iter().cloned());
    // A violation is one whatever else went wrong; valid needs that nothing did.
    let verdict = match analysis.verdict {
        Verdict::Valid if !remarks.is_empty() => Verdict::Unknown,
        verdict => verdict,
    };
    let name = folder.name();
    RunRecord {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        folder: plan.out.join(&name).display().to_string(),
        name,
        started_at: course.started_at.clone(),
        command: plan.command(),
        seed: plan.seed,
        target: plan.target.name.clone(),
        workload: plan.workload.name.to_owned(),
        nemesis: plan.faults.name(),
        mutation: (!plan.mutations.is_empty()).then(|| plan.mutations.join(", ")),
        clients: plan.clients,
        rate: plan.rate,
        rate_reached: vacuity::rate(history, &course.phases),
        duration_s: plan.time.as_secs_f64(),
        host: HostRecord {
            kernel: kernel_release(),
            cores: std::thread::available_parallelism()
                .map_or(0, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX)),
            lab: course.lab.clone(),
        },
        nodes: course.nodes.clone(),
        phases: course.phases.clone(),
        counts,
        outcomes: course.outcomes.clone(),
        roles: course.roles.clone(),
        verdict,
        remarks,
        notes,
        faults_counted: weighed.counted,
        recovery: Recovery::of(history, &course.faults, &course.roles),
        stalls: course.stalls.clone(),
        failure: course.failure.clone(),
    }
}

fn kernel_release() -> String {
    nix::sys::utsname::uname()
        .map(|names| names.release().to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn write(
    folder: &RunFolder,
    record: &RunRecord,
    history: &History,
    course: &Course,
    analysis: &Analysis,
    certificate: Option<&Certificate>,
) -> Result<(), Failure> {
    let run = Run { record, history, faults: &course.faults, analysis, certificate };
    let certificate = || {
        let Some(certificate) = certificate else { return Ok(()) };
        let path = folder.file("certificate.json");
        let text = serde_json::to_string(certificate).or_harness(|| path.display().to_string())?;
        std::fs::write(&path, text).or_harness(|| path.display().to_string())
    };
    // Each is tried, whatever became of the others, and what matters most goes first.
    let written = [
        folder.write_json("run.json", record),
        folder.write_json("verdict.json", analysis),
        partita_reports::write_all(folder.path(), &run)
            .or_harness(|| format!("{}: the report", folder.path().display())),
        certificate(),
    ];
    written.into_iter().collect()
}

/// What was reached of the rate asked for, and the errors that were met most.
fn print_outcomes(record: &RunRecord) {
    if let Some(reached) = record.rate_reached {
        say!("  rate: {reached:.0} op/s of {} asked for", record.rate);
    }
    let (if_valid, otherwise) = ERRORS_SHOWN;
    let at_most = if record.verdict == Verdict::Valid { if_valid } else { otherwise };
    let errors = &record.outcomes.errors;
    for error in errors.iter().take(at_most) {
        say!("  errors: {}", error.sentence());
    }
    if errors.len() > at_most {
        let more = errors[at_most..].iter().map(|error| error.count).sum();
        say!("  errors: {} more operations, see run.json", HumanCount(more));
    }
}

fn print(record: &RunRecord, analysis: &Analysis, faults: &[FaultRecord]) {
    let counts = &record.counts;
    match record.verdict {
        Verdict::Valid => say!(
            "valid: {}, linearizable, and the certificate proves it",
            show::counted(analysis.keys.len(), "key")
        ),
        Verdict::Violation => {
            let found = analysis.counterexample.as_ref();
            say!("violation: {}", found.map_or("", |found| found.anomaly.title()));
            show::violations(analysis, faults);
        }
        Verdict::Unknown if record.failure.is_some() => {
            say!("unknown: the run failed before its end");
        }
        Verdict::Unknown => say!("unknown: the run proved nothing"),
    }
    for remark in record.remarks.iter().chain(record.notes.iter().take(NOTES_SHOWN)) {
        say!("  note: {remark}");
    }
    if record.notes.len() > NOTES_SHOWN {
        say!("  note: {} more of this kind, see run.json", record.notes.len() - NOTES_SHOWN);
    }
    say!(
        "  {} operations: {} ok ({} under faults), {} fail, {} unknown",
        HumanCount(counts.invoked),
        HumanCount(counts.ok),
        HumanCount(counts.ok_during_faults),
        HumanCount(counts.fail),
        HumanCount(counts.info)
    );
    print_outcomes(record);
    say!("  report: {}", std::path::Path::new(&record.folder).join("report.html").display());
    say!("  again:  {}", record.command);
}
