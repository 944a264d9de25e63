//! From a finished run to its verdict, its files and what a person reads.
//!
//! The checker reads the history back from the file, so that what is judged here is exactly what
//! `partita check` judges later.

use std::time::Instant;

use indicatif::HumanCount;
use partita_checker::{Analysis, Certificate, History, Verdict};
use partita_nemesis::FaultRecord;
use partita_reports::{HostRecord, Run, RunRecord};
use serde::Serialize;

use super::course::Course;
use super::folder::RunFolder;
use super::plan::{Faults, Plan};
use super::vacuity;
use crate::cli::input::ReadingOptions;
use crate::cli::{check, show};
use crate::exit::{Exit, Failure, OrFail};
use crate::{say, terminal};

/// Lines of errors at the end of a run that is valid, and of any other; `run.json` has all of them.
const ERRORS_SHOWN: (usize, usize) = (2, 8);

/// Judges the history of `course`, writes all files and prints the verdict.
///
/// # Errors
///
/// [`Failure`] if the history cannot be read back or a file cannot be written.
pub fn conclude(plan: &Plan, folder: &RunFolder, course: &Course) -> Result<Exit, Failure> {
    let deadline = Instant::now() + plan.check_timeout;
    let read = ReadingOptions::default().read(&folder.file("history.jsonl"), None)?;
    let (history, reading) = (read.history, read.reading);
    let (mut analysis, certificate) =
        check::judge("history.jsonl", &history, &plan.options(), deadline);
    // A disk that is full cuts the history off.
    reading.weigh(&mut analysis);
    let certificate = certificate.filter(|_| analysis.verdict == Verdict::Valid);
    let failed = course.failure.is_some();
    let record = record(plan, folder, course, &history, &analysis);
    write(folder, &record, &history, course, &analysis, certificate.as_ref())?;
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
) -> RunRecord {
    let counts = vacuity::count(history, &course.faults);
    let wants_faults = match &plan.faults {
        Faults::Drawn(menu) => menu.faults().next().is_some(),
        Faults::Written(script) => !script.faults.is_empty(),
    };
    let mut remarks = course.remarks.clone();
    remarks.extend(course.failure.clone());
    remarks.extend(course.outcomes.objections());
    let outcomes = &course.outcomes;
    remarks.extend(vacuity::reasons(history, &course.faults, &counts, outcomes, wants_faults));
    remarks.extend(analysis.reasons.iter().cloned());
    // A violation is one whatever else went wrong; valid needs that nothing did.
    let verdict = match analysis.verdict {
        Verdict::Valid if !remarks.is_empty() => Verdict::Unknown,
        verdict => verdict,
    };
    let name = folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
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
        outcomes: outcomes.clone(),
        roles: course.roles.clone(),
        verdict,
        remarks,
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
    folder.write_json("run.json", record)?;
    folder.write_json("verdict.json", analysis)?;
    if let Some(certificate) = certificate {
        let path = folder.file("certificate.json");
        let text = serde_json::to_string(certificate).or_harness(|| path.display().to_string())?;
        std::fs::write(&path, text).or_harness(|| path.display().to_string())?;
    }
    let run = Run { record, history, faults: &course.faults, analysis };
    partita_reports::write_all(folder.path(), &run)
        .or_harness(|| format!("{}: the report", folder.path().display()))
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
        say!("  errors: those of {} more operations are in run.json", HumanCount(more));
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
        Verdict::Unknown => say!("unknown: the run proved nothing"),
    }
    for remark in &record.remarks {
        say!("  note: {remark}");
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
