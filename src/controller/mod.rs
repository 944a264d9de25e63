//! Carries one run through its phases: lab, nodes, clients, faults, heal, final reads, verdict.

pub mod administration;
pub mod clients;
pub mod clock;
pub mod conclude;
pub mod console;
pub mod course;
pub mod fault_log;
pub mod final_reads;
pub mod folder;
pub mod observer;
pub mod operator;
pub mod outcomes;
pub mod plan;
pub mod recorder;
pub mod status;
pub mod testbed;
pub mod traffic;
pub mod trouble;
pub mod vacuity;

use partita_nemesis::LabKind;

pub use self::plan::{Faults, Plan};
use crate::exit::{Exit, Failure, OrFail};
use clock::RunClock;
use folder::RunFolder;
use status::StatusLine;

/// Threads for clients, nemesis and observer. They wait most of the time; the nodes and the switch
/// need the cores more.
const THREADS: usize = 2;

/// Does what `plan` says, inside a lab of `kind`, and tells how it ended.
///
/// # Errors
///
/// [`Failure`] if the lab, the nodes or the run's files cannot be had. What went wrong later is part
/// of the verdict.
pub fn run(plan: &Plan, kind: LabKind) -> Result<Exit, Failure> {
    let started = jiff::Timestamp::now();
    let stamp = started.strftime("%Y%m%dT%H%M%SZ");
    let name = format!("{stamp}-{}-{}-{}", plan.target.name, plan.workload.name, plan.seed);
    let folder = RunFolder::create(&plan.out, &name)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .or_harness(|| "starting threads".to_owned())?;
    let clock = RunClock::start();
    let status = StatusLine::new(clock);
    status.say(&format!("run {name} in a lab of {kind}, again with --seed {}", plan.seed));
    let course = runtime.block_on(course::carry_out(plan, &folder, kind, clock, &status));
    // Whatever still waits belongs to the run that is over.
    runtime.shutdown_background();
    status.finish();
    let mut course = course?;
    course.started_at = started.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    conclude::conclude(plan, &folder, &course)
}
