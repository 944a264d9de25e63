//! From a finished run to its verdict, its findings and its files.
//!
//! The checker reads the history back from the file, so that what is judged here is exactly what
//! `partita check` judges later. So is what a run that failed in its midst left behind: a violation
//! in it stands, and *valid* becomes *unknown*, cut off at an event.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use partita_checker::formats::ReadHistory;
use partita_checker::{Analysis, Certificate, History, Progress, Verdict};
use partita_nemesis::FaultRecord;
use partita_reports::event::{CheckProgress, RunEvent};
use partita_reports::spec::Measure;
use partita_reports::{Finding, FindingKind, HostRecord, Recovery, Run, RunRecord};
use partita_workloads::Judged;

use super::elections;
use super::events::Events;
use super::folder::RunFolder;
use super::monitor::RECOVERY_MS;
use super::phases::Lifecycle;
use super::plan::Plan;
use super::{evidence, limits, refused, stalls, vacuity};
use crate::exit::{Failure, FailureContext};
use crate::judge::{self, unfinished};

/// A check that is over by then did not take long.
const LONG_CHECK: Duration = Duration::from_secs(2);

/// Time between two events on how far a long check has come.
const CHECK_STEP: Duration = Duration::from_millis(200);

/// A run that is over.
#[derive(Debug)]
pub struct Concluded {
    /// What was asked and found.
    pub record: RunRecord,
    /// What the checker found.
    pub analysis: Analysis,
    /// The faults, by number.
    pub faults: Vec<FaultRecord>,
    /// Why some of its files could not be written, where the result stands all the same.
    pub problems: Vec<Failure>,
}

/// Judges the history of a run and writes all files.
///
/// # Errors
///
/// [`Failure`] if a file of a run that came to its end cannot be read back or written.
pub fn conclude(
    plan: &Plan,
    folder: &RunFolder,
    lifecycle: &Lifecycle,
    events: &Events,
) -> Result<Concluded, Failure> {
    let judge = |history: &History, judged: Judged, deadline| {
        judge_watched(history, judged, deadline, events)
    };
    conclude_by(&judge, plan, folder, lifecycle, events)
}

/// As [`conclude`], without starting a thread.
///
/// # Errors
///
/// As [`conclude`].
pub fn conclude_alone(
    plan: &Plan,
    folder: &RunFolder,
    lifecycle: &Lifecycle,
    events: &Events,
) -> Result<Concluded, Failure> {
    conclude_by(&judge::judge_workload_alone, plan, folder, lifecycle, events)
}

/// Judges a history, and tells how far that has come if it takes long.
fn judge_watched(
    history: &History,
    judged: Judged,
    deadline: Instant,
    events: &Events,
) -> (Analysis, Option<Certificate>) {
    let progress = Progress::default();
    let began = Instant::now();
    let budget = deadline.saturating_duration_since(began);
    // Dropped when the work is over, also if it panics.
    let (over, is_over) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let progress = &progress;
        scope.spawn(move || {
            let mut wait = LONG_CHECK;
            while is_over.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                let now = CheckProgress::of(progress.report(), began.elapsed(), budget);
                events.tell(RunEvent::Checking(now));
                wait = CHECK_STEP;
            }
        });
        let _over = over;
        judge::judge_workload(history, judged, deadline, progress)
    })
}

/// Judges a history until a deadline.
type Judge<'a> = &'a dyn Fn(&History, Judged, Instant) -> (Analysis, Option<Certificate>);

fn conclude_by(
    judge: Judge<'_>,
    plan: &Plan,
    folder: &RunFolder,
    lifecycle: &Lifecycle,
    events: &Events,
) -> Result<Concluded, Failure> {
    events.tell(RunEvent::Phase { phase: "judging".to_owned() });
    let concluded = judge_and_write(judge, plan, folder, lifecycle, events);
    match &concluded {
        Ok(Concluded { record, .. }) => events.tell(RunEvent::Finished {
            verdict: record.verdict,
            exit: record.exit(),
            failure: record.failure.clone(),
        }),
        Err(failure) => refused(events, failure),
    }
    concluded
}

fn judge_and_write(
    judge: Judge<'_>,
    plan: &Plan,
    folder: &RunFolder,
    lifecycle: &Lifecycle,
    events: &Events,
) -> Result<Concluded, Failure> {
    let deadline = Instant::now() + plan.spec.check_timeout.duration();
    let is_cut_short = lifecycle.is_cut_short();
    let read = match unfinished::read(&folder.file("history.jsonl")) {
        // There may be nothing yet.
        Err(_) if is_cut_short => ReadHistory::default(),
        read => read?,
    };
    let (mut analysis, certificate) = judge(&read.history, plan.workload.model, deadline);
    let elections = plan.workload.asks_nothing().then(|| elections(plan, lifecycle));
    if let Some(judged) = &elections {
        (analysis.verdict, analysis.reasons) = judged.verdict();
    }
    // A disk that is full cuts the history off.
    read.reading.weigh(&mut analysis);
    let proves = analysis.verdict == Verdict::Valid && !plan.workload.asks_nothing();
    let certificate = certificate.filter(|_| proves);
    let is_told = read.reading.withholds_valid().is_some();
    let cut = (is_cut_short && !is_told).then(|| unfinished::cut(&read));
    let history = read.history;
    tracing::info!(
        operations = history.operations().len(),
        keys = analysis.keys.len(),
        "the checker says: {:?}",
        analysis.verdict
    );
    let mut record = record(plan, folder, lifecycle, &history, (&analysis, elections), cut);
    let findings = record.findings.clone();
    events.tell(RunEvent::Judged { verdict: record.verdict, findings });
    record.notes.extend(events.failures());
    let written = write(folder, &record, &history, lifecycle, &analysis, certificate.as_ref());
    let mut problems = Vec::new();
    if let Err(failure) = written {
        // A finding does not need its files.
        if lifecycle.failure.is_none() && record.findings.is_empty() {
            return Err(failure);
        }
        problems.push(failure);
    }
    let is_clean = record.verdict == Verdict::Valid && record.findings.is_empty();
    if is_clean && !plan.spec.keep_data {
        folder.drop_data(record.nodes.iter().map(|node| node.name.as_str()))?;
    }
    Ok(Concluded { record, analysis, faults: lifecycle.faults.clone(), problems })
}

fn record(
    plan: &Plan,
    folder: &RunFolder,
    lifecycle: &Lifecycle,
    history: &History,
    (analysis, elections): (&Analysis, Option<elections::Judged>),
    cut: Option<String>,
) -> RunRecord {
    let counts = vacuity::count(history, &lifecycle.faults);
    let wants_faults = plan.faults.are_wanted();
    let nodes = lifecycle.nodes.len();
    let of_clients = (!plan.workload.asks_nothing()).then_some(history);
    let weighed =
        evidence::weigh(of_clients, &lifecycle.faults, nodes, wants_faults, &lifecycle.stalls);
    let mut notes = lifecycle.notes.clone();
    notes.extend(stalls::sentence(&lifecycle.stalls, history));
    notes.extend(weighed.notes);
    let mut remarks = lifecycle.remarks.clone();
    remarks.extend(lifecycle.stopped.clone());
    remarks.extend(lifecycle.failure.clone());
    remarks.extend(lifecycle.outcomes.objections());
    remarks.extend(cut);
    remarks.extend(vacuity::reasons(history, &lifecycle.outcomes, plan.workload.needs));
    remarks.extend(weighed.reasons);
    notes.extend(elections.iter().flat_map(|judged| judged.notes.clone()));
    remarks.extend(analysis.reasons.iter().cloned());
    // A violation is one whatever else went wrong; valid needs that nothing did.
    let verdict = match analysis.verdict {
        Verdict::Valid if !remarks.is_empty() => Verdict::Unknown,
        verdict => verdict,
    };
    let findings = Finding::violation(analysis)
        .into_iter()
        .chain(lifecycle.findings.clone())
        .chain(elections.iter().filter_map(|judged| judged.finding.clone()))
        .chain(limits::latencies(&plan.limits(), history, &lifecycle.faults));
    let name = folder.name();
    RunRecord {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        folder: plan.out.join(&name).display().to_string(),
        name,
        started_at: lifecycle.started_at.clone(),
        command: plan.command.clone(),
        seed: plan.spec.seed,
        target: plan.target.name.clone(),
        workload: plan.workload.name.to_owned(),
        nemesis: plan.faults.name(),
        mutation: (!plan.spec.mutations.is_empty()).then(|| plan.spec.mutations.join(", ")),
        clients: plan.spec.clients,
        rate: plan.spec.rate,
        rate_reached: vacuity::rate(history, &lifecycle.phases),
        duration_s: plan.spec.time.duration().as_secs_f64(),
        host: HostRecord {
            kernel: kernel_release(),
            cores: std::thread::available_parallelism()
                .map_or(0, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX)),
            lab: lifecycle.lab.clone(),
        },
        nodes: lifecycle.nodes.clone(),
        phases: lifecycle.phases.clone(),
        counts,
        outcomes: lifecycle.outcomes.clone(),
        roles: lifecycle.roles.clone(),
        findings: findings.collect(),
        verdict,
        remarks,
        notes,
        faults_counted: weighed.counted,
        recovery: Recovery::of(history, &lifecycle.faults, &lifecycle.roles),
        elections: elections.map(|judged| judged.elections),
        stalls: lifecycle.stalls.clone(),
        failure: lifecycle.failure.clone(),
    }
}

/// What elections came to, by status.
fn elections(plan: &Plan, lifecycle: &Lifecycle) -> elections::Judged {
    let limits = plan.limits();
    let limit = limits.iter().find(|limit| limit.measure == Measure::Recovery);
    let under_load = lifecycle.phases.iter().find(|phase| phase.name == "lead-in");
    // Two leaders that the nodes' lines told of are told with their proof.
    let is_told = lifecycle.findings.iter().any(|it| it.kind == FindingKind::TwoLeaders);
    let mut judged = elections::judge(
        &lifecycle.roles,
        &plan.names(),
        elections::Reading {
            is_coherent: plan.target.coherent_status,
            has_log: plan.target.log.tells_leaders(),
            began: under_load.map(|phase| phase.began_ns),
            wants_faults: plan.faults.are_wanted(),
            limit_ms: limit.map_or(RECOVERY_MS, |limit| limit.below),
        },
    );
    judged.finding = judged.finding.filter(|_| !is_told);
    judged
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
    lifecycle: &Lifecycle,
    analysis: &Analysis,
    certificate: Option<&Certificate>,
) -> Result<(), Failure> {
    let run = Run { record, history, faults: &lifecycle.faults, analysis, certificate };
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
