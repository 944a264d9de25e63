//! Carries one run through its phases: lab, nodes, clients, faults, heal, final reads, verdict.
//!
//! A run follows from its [`Plan`], tells what happens by [`events`], and leaves its files and a
//! [`Concluded`] behind. It prints nothing and knows nothing of the command line.

pub mod admin_client;
mod aftermath;
pub mod arrivals;
pub mod client_programs;
pub mod clients;
pub mod clock;
pub mod closing;
pub mod cluster_setup;
pub mod conclude;
pub mod elections;
pub mod events;
pub mod evidence;
pub mod exit_excerpt;
pub mod fault_log;
pub mod findings;
pub mod folder;
pub mod lab_access;
pub mod leaders;
pub mod limits;
pub mod monitor;
pub mod node_lines;
pub mod node_logs;
pub mod node_samples;
pub mod outcomes;
mod own_faults;
pub mod phases;
pub mod plan;
pub mod poller;
pub mod preparation;
pub mod profile;
pub mod recorder;
pub mod recovery;
pub mod replicas;
pub mod samples;
pub mod sidecars;
pub mod stacks;
mod stage;
pub mod stalls;
pub mod stamps;
pub mod stop_reason;
pub mod supervisor;
pub mod target_check;
pub mod traffic;
pub mod vacuity;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use partita_checker::Verdict;
use partita_nemesis::{LabKind, Script};
use partita_reports::event::{self, RunEvent, Started};

pub use self::conclude::Concluded;
pub use self::plan::{Faults, Plan};
use crate::exit::{Exit, Failure, FailureContext};
use crate::telemetry;
use clock::RunClock;
use events::{Events, EventsFile, Sink};
use folder::RunFolder;
use phases::Lifecycle;
use profile::Profile;
use stalls::Stalls;

/// Threads for clients, nemesis and poller. They wait most of the time; the nodes and the switch
/// need the cores more.
const THREADS: usize = 2;

/// How long what still runs after a run may take to end.
const END_LIMIT: Duration = Duration::from_secs(2);

/// Makes the folder of a run that begins now, and writes down what was asked.
///
/// # Errors
///
/// [`Failure`] if it cannot be made.
pub fn begin(plan: &Plan) -> Result<RunFolder, Failure> {
    let schedule = plan.schedule().or_usage(|| "the schedule".to_owned())?;
    let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let name = format!("{stamp}-{}-{}-{}", plan.target.name, plan.workload.name, plan.spec.seed);
    let folder = RunFolder::create(&plan.out, &name)?;
    // Before anything is started: a run whose controller dies can be judged and played again.
    folder.write_json(folder::SPEC, &plan.spec)?;
    let commands = Script::commands_written(&plan.target.name, &plan.commands());
    client_programs::install(plan, &folder)?;
    folder.write("schedule.toml", &(schedule.written(&plan.command) + &commands))?;
    Ok(folder)
}

/// Does what `plan` says, inside a lab of `kind`, tells `sinks` what happens, and returns how it ended.
/// Whatever goes wrong on the way, what was recorded until then is judged, and the run's files say what
/// went wrong.
///
/// # Errors
///
/// [`Failure`] if the run was refused before it began, or its files cannot be written.
pub fn run(
    plan: &Plan,
    folder: &RunFolder,
    kind: LabKind,
    mut sinks: Vec<Box<dyn Sink>>,
) -> Result<Concluded, Failure> {
    let started = now();
    let reserve = folder.reserve();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .or_harness(|| "starting threads".to_owned())?;
    // First, so that whatever was shown of a run that is killed stands in the file.
    let file = EventsFile::create(folder).or_harness(|| "events.jsonl".to_owned())?;
    sinks.insert(0, Box::new(file));
    let clock = RunClock::start();
    telemetry::stamp_by(move || clock.now().0);
    let events = Events::new(clock, sinks);
    events.tell(RunEvent::Started(started_event(plan, folder, &kind.to_string())));
    let drawn = Profile::in_words(&plan.spec, &plan.target);
    drawn.iter().for_each(|drawn| events.remark(drawn.clone()));
    let stalls = Stalls::watch(clock, plan.spec.reply_timeout.duration())
        .or_harness(|| "a thread".to_owned())?;
    let carried = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(phases::carry_out(plan, folder, kind, clock, &events, &stalls))
    }));
    let mut lifecycle = match carried {
        Ok(Ok(lifecycle)) => {
            // Whatever still waits belongs to the run that is over.
            runtime.shutdown_background();
            lifecycle
        }
        Ok(Err(failure)) if failure.exit == Exit::Harness => {
            runtime.shutdown_timeout(END_LIMIT);
            let what = in_words(&failure);
            tracing::error!(target: telemetry::SHOWN, "{what}");
            Lifecycle::broken(plan, folder, kind.to_string(), what)
        }
        Ok(Err(failure)) => {
            refused(&events, &failure);
            return Err(failure);
        }
        Err(panic) => {
            // Clients that still record would change what is judged.
            runtime.shutdown_timeout(END_LIMIT);
            let what = format!("the controller panicked: {}", message(panic.as_ref()));
            tracing::error!(target: telemetry::SHOWN, "{what}");
            Lifecycle::broken(plan, folder, kind.to_string(), what)
        }
    };
    lifecycle.started_at = started;
    lifecycle.notes.splice(0..0, drawn);
    lifecycle.stalls = stalls.all();
    drop(reserve);
    conclude::conclude(plan, folder, &lifecycle, &events)
}

/// Judges what a controller left behind that ended with `code`, which is none of its own: killed, or
/// worse.
///
/// # Errors
///
/// [`Failure`] if the run's files cannot be written.
pub fn conclude_for(plan: &Plan, folder: &RunFolder, code: u8) -> Result<Concluded, Failure> {
    let what = match code.checked_sub(128) {
        Some(signal) => format!("the controller was ended by signal {signal}"),
        None => format!("the controller ended with code {code}"),
    };
    conclude_broken(plan, folder, what)
}

/// Says in the run's files why there was no lab.
///
/// # Errors
///
/// [`Failure`] if they cannot be written.
pub fn conclude_without_lab(
    plan: &Plan,
    folder: &RunFolder,
    failure: &Failure,
) -> Result<Concluded, Failure> {
    conclude_broken(plan, folder, in_words(failure))
}

/// Concludes a run of which this process knows no more than the folder.
fn conclude_broken(plan: &Plan, folder: &RunFolder, what: String) -> Result<Concluded, Failure> {
    // The lab's PID namespace has ended, and a process that made one can start no thread then: the
    // checker has this one only. It fails if the checker has threads already, which is as well.
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
    let _ = alone.build_global();
    let events = resumed(plan, folder);
    let mut lifecycle = Lifecycle::broken(plan, folder, plan.lab.to_string(), what);
    lifecycle.started_at = now();
    conclude::conclude_alone(plan, folder, &lifecycle, &events)
}

/// The events of a run that another process carried out, after the last that it told.
fn resumed(plan: &Plan, folder: &RunFolder) -> Events {
    let clock = RunClock::start();
    match EventsFile::resume(folder) {
        Ok(Some((file, began))) => Events::resumed(clock, began, vec![Box::new(file)]),
        // It came to nothing at all.
        Ok(None) => {
            let file = EventsFile::create(folder).into_iter();
            let events = Events::new(clock, file.map(|file| Box::new(file) as _).collect());
            events.tell(RunEvent::Started(started_event(plan, folder, plan.lab.name())));
            events
        }
        // What is there is left as it is.
        Err(_) => Events::new(clock, Vec::new()),
    }
}

fn started_event(plan: &Plan, folder: &RunFolder, lab: &str) -> Started {
    Started {
        format: event::FORMAT,
        partita: env!("CARGO_PKG_VERSION").to_owned(),
        run: folder.name(),
        target: plan.target.name.clone(),
        workload: plan.workload.name.to_owned(),
        seed: plan.spec.seed,
        lab: lab.to_owned(),
        nodes: plan.names(),
    }
}

/// Tells that a run ends that came to no result.
fn refused(events: &Events, failure: &Failure) {
    let failed = Some(in_words(failure));
    events.tell(RunEvent::Finished {
        verdict: Verdict::Unknown,
        exit: failure.exit,
        failure: failed,
    });
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What went wrong and its causes, on one line.
fn in_words(failure: &Failure) -> String {
    failure.messages().join(": ")
}

/// The message of a panic.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}
