//! A run from its lab to the end of its nodes, and the phases as they pass.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use partita_checker::Nanoseconds;
use partita_nemesis::{Cluster, FaultRecord, LabKind, Schedule};
use partita_reports::event::RunEvent;
use partita_reports::spec::LoadShape;
use partita_reports::{Arrivals, Finding, NodeRecord, Outcomes, Phase, RoleChange, Stall};
use partita_workloads::client::{ClientOptions, Endpoint, Limits};
use tokio::sync::watch;
use tokio::time::Instant;

use super::arrivals::OpenLoop;
use super::client_programs;
use super::clients::Load;
use super::clock::RunClock;
use super::cluster_setup;
use super::events::Events;
use super::fault_log::FaultLog;
use super::findings::Findings;
use super::folder::{RunFolder, ScheduleFile};
use super::in_words;
use super::lab_access;
use super::monitor::{Monitor, Watched};
use super::node_logs::NodeLogs;
use super::node_samples::NodeSamples;
use super::plan::{Faults, Plan};
use super::poller::Poller;
use super::recorder::{Recorder, Writer};
use super::recovery::Progress;
use super::stage::{Ended, Stage};
use super::stalls::Stalls;
use super::stop_reason::{Interrupts, Watch};
use super::supervisor::Supervisor;
use super::traffic::Traffic;
use crate::exit::{Failure, FailureContext};

/// The file of what clients do, in a run's folder.
const HISTORY: &str = "history.jsonl";

/// How long a client may take to connect.
const CONNECT_LIMIT: Duration = Duration::from_millis(500);

/// What happened in a run from its start to its end, besides its history.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    /// When the run began, UTC, RFC 3339.
    pub started_at: String,
    /// The kind of lab.
    pub lab: String,
    /// The nodes, in order.
    pub nodes: Vec<NodeRecord>,
    /// The phases, in order.
    pub phases: Vec<Phase>,
    /// The faults, by number.
    pub faults: Vec<FaultRecord>,
    /// Who was what when.
    pub roles: Vec<RoleChange>,
    /// What became of operations, by kind and error.
    pub outcomes: Outcomes,
    /// Why the run proves nothing, if so; one sentence each.
    pub remarks: Vec<String>,
    /// What a reader should know although it says nothing against the run; one sentence each.
    pub notes: Vec<String>,
    /// When the controller itself stood still.
    pub stalls: Vec<Stall>,
    /// What was found of the system under test before its history is judged.
    pub findings: Vec<Finding>,
    /// What was found that ended the run before its time, in a sentence.
    pub stopped: Option<String>,
    /// What failed of the harness, or why the target could not be started, if anything did.
    pub failure: Option<String>,
}

impl Lifecycle {
    /// Of a run that ended before its time by `what`: what its folder tells of it.
    pub fn broken(plan: &Plan, folder: &RunFolder, lab: String, what: String) -> Self {
        let node =
            |name: String| NodeRecord { name, address: String::new(), restarts: 0, version: None };
        Self {
            started_at: String::new(),
            lab,
            nodes: plan.names().into_iter().map(node).collect(),
            phases: Vec::new(),
            faults: folder.faults(),
            roles: Vec::new(),
            outcomes: Outcomes::default(),
            remarks: Vec::new(),
            notes: Vec::new(),
            stalls: Vec::new(),
            findings: folder.findings(),
            stopped: None,
            failure: Some(what),
        }
    }

    /// Whether it ended before its time by something that went wrong.
    pub fn is_cut_short(&self) -> bool {
        self.failure.is_some() || self.stopped.is_some()
    }
}

/// Carries the run out, up to the point where only its history is left to be judged.
///
/// # Errors
///
/// [`Failure`] if the run could not begin.
pub async fn carry_out(
    plan: &Plan,
    folder: &RunFolder,
    kind: LabKind,
    clock: RunClock,
    events: &Events,
    stalls: &Stalls,
) -> Result<Lifecycle, Failure> {
    let mut interrupts = Interrupts::install()?;
    let mut phases = Phases::new(clock, events.clone(), "start");
    let schedule = plan.schedule().or_usage(|| "the schedule".to_owned())?;
    schedule.check(&plan.names()).or_usage(|| plan.faults.name())?;
    schedule.check_tier(plan.lab).or_usage(|| plan.faults.name())?;
    let logs = NodeLogs::keep(folder, &plan.names(), plan.spec.node_log_limit.0, clock)?;
    let (cluster, versions) = tokio::select! {
        built = cluster_setup::build(plan, &schedule, folder) => built?,
        () = interrupts.next() => return Err(interrupted()),
    };
    let traffic = Traffic::begin(&cluster, folder, plan.spec.pcap)?;
    let (poller, polling) = cluster_setup::poll(plan, &cluster, folder, clock, events);
    tokio::select! {
        ready = cluster_setup::await_ready(plan, &cluster, folder, &poller) => ready?,
        () = interrupts.next() => return Err(interrupted()),
    }
    let samples = NodeSamples::start(&cluster, &poller, clock, folder)?;
    let left_out = Faults::left_out(&plan.spec.faults, &plan.target);
    left_out.iter().for_each(|sentence| events.remark(sentence));
    events.tell(RunEvent::ClusterUp { nodes: plan.spec.nodes, leader: poller.leader() });
    let surroundings =
        StageContext { plan, schedule: &schedule, folder, kind, clock, events, stalls };
    let (stage, writer) = surroundings.stage(&cluster, poller)?;
    let ended = stage.play(&mut phases, &mut interrupts).await;

    // A second signal ends the process at once, and the lab with it.
    let ending = tokio::spawn(async move {
        interrupts.next().await;
        std::process::exit(130);
    });
    let faults = stage.faults.clone();
    let mut lifecycle = over(stage, ended, kind, phases);
    for (node, version) in lifecycle.nodes.iter_mut().zip(versions) {
        node.version = version;
    }
    lifecycle.notes.extend(left_out);
    drop(polling);
    lifecycle.notes.extend(samples.finish());
    cluster_setup::shut_down(&cluster).await;
    // What cannot be written any more takes nothing from what was.
    let written = traffic.finish(folder, clock, events).map_err(|failure| in_words(&failure));
    drop(cluster);
    lifecycle.notes.extend(logs.finish());
    let incomplete = |failure| format!("schedule.jsonl is incomplete: {}", in_words(&failure));
    lifecycle.remarks.extend(faults.failure().map(incomplete));
    let recorded = writer.finish().map_err(|error| format!("{HISTORY}: {error}"));
    lifecycle.failure = lifecycle.failure.or(written.and(recorded).err());
    ending.abort();
    Ok(lifecycle)
}

/// What a stage is set up from.
struct StageContext<'a> {
    plan: &'a Plan,
    schedule: &'a Schedule,
    folder: &'a RunFolder,
    kind: LabKind,
    clock: RunClock,
    events: &'a Events,
    stalls: &'a Stalls,
}

impl<'a> StageContext<'a> {
    /// Everything that plays on `cluster` while clients are at work, and the writer of what they do.
    fn stage(self, cluster: &Arc<Cluster>, poller: Poller) -> Result<(Stage<'a>, Writer), Failure> {
        let Self { plan, schedule, folder, clock, events, stalls, .. } = self;
        let history = folder.file(HISTORY);
        let looks_for_violations = plan.spec.on_finding.stops();
        let (recorder, writer) = Recorder::create(
            &history,
            clock,
            looks_for_violations.then(|| plan.streaming()).flatten(),
        )
        .or_harness(|| history.display().to_string())?;
        let faults = FaultLog::new(ScheduleFile::create(folder)?);
        let load = load(plan, schedule, cluster, folder, (Arc::clone(&recorder), poller.clone()));
        let (stop_clients, stopped) = watch::channel(false);
        let watch = self.watch(cluster, &faults, &load, stop_clients);
        let monitor = Monitor::start(Watched {
            cluster: Arc::clone(cluster),
            faults: faults.clone(),
            recorder,
            poller: poller.clone(),
            stalls: stalls.log(),
            folder: folder.clone(),
            clock,
            findings: watch.findings.clone(),
            forms: plan.target.log.clone(),
            limits: plan.limits(),
            progress: match plan.workload.asks_nothing() {
                true => Progress::Leaders,
                false => Progress::Updates,
            },
            clients: plan.spec.clients,
            load_began: clock.now(),
            read_only: schedule.read_only.clone(),
            members_unknown: !plan.commands().is_empty(),
        })
        .or_harness(|| "a thread".to_owned())?;
        let stage = Stage {
            plan,
            schedule,
            watch,
            poller,
            faults,
            load,
            clock,
            events,
            stalls,
            monitor,
            stopped,
        };
        Ok((stage, writer))
    }

    fn watch(
        &self,
        cluster: &Arc<Cluster>,
        faults: &FaultLog,
        load: &Load,
        stop_clients: watch::Sender<bool>,
    ) -> Watch {
        Watch {
            cluster: Arc::clone(cluster),
            faults: faults.clone(),
            recorder: Arc::clone(&load.recorder),
            folder: self.folder.clone(),
            expected_exits: self.plan.target.expected_exits.clone(),
            supervisor: Supervisor::new(self.plan.target.restart),
            findings: Findings::new(self.events.clone()),
            on_finding: self.plan.spec.on_finding,
            reached_by: lab_access::commands(cluster, &load.endpoints, self.kind),
            stop_clients,
            clock: self.clock,
            events: self.events.clone(),
            told: Mutex::default(),
        }
    }
}

/// What is known once the phases are over, while nodes still run.
fn over(stage: Stage<'_>, ended: Ended, kind: LabKind, phases: Phases) -> Lifecycle {
    let Stage { watch, poller, faults, load, monitor, .. } = stage;
    let unjudged = monitor.finish();
    let restarts = watch.supervisor.counts();
    let arrivals = load.open.as_ref().map(|open| open.arrivals());
    let shed = arrivals.iter().map(Arrivals::sentence).collect();
    Lifecycle {
        started_at: String::new(),
        lab: kind.to_string(),
        nodes: nodes(&load, &restarts),
        phases: phases.finish(),
        faults: faults.all(),
        roles: poller.changes(),
        outcomes: Outcomes { arrivals, ..load.recorder.outcomes().outcomes() },
        remarks: ended.remarks,
        notes: [ended.notes, unjudged, restarted(&restarts), shed].concat(),
        stalls: Vec::new(),
        findings: watch.findings.all(),
        stopped: ended.stopped,
        failure: ended.failure,
    }
}

fn load(
    plan: &Plan,
    schedule: &Schedule,
    cluster: &Arc<partita_nemesis::Cluster>,
    folder: &RunFolder,
    (recorder, poller): (Arc<Recorder>, Poller),
) -> Arc<Load> {
    Arc::new(Load {
        generator: Mutex::new(plan.workload.generator(plan.spec.seed)),
        read_only: schedule.read_only.clone(),
        began: Instant::now(),
        recorder,
        endpoints: cluster_setup::endpoints(plan, cluster),
        talk_to: plan.target.talk_to,
        final_reads: plan.target.final_reads,
        poller,
        protocol: Arc::clone(&plan.target.protocol),
        dial: client_programs::for_clients(
            plan,
            cluster,
            folder,
            cluster_setup::clients_dial(cluster),
        ),
        options: ClientOptions {
            limits: Limits { connect: CONNECT_LIMIT, reply: plan.spec.reply_timeout.duration() },
            retry: plan.workload.retry,
        },
        clients: plan.spec.clients,
        all_processes: plan.spec.clients + plan.spec.nodes,
        rate: plan.spec.rate,
        seed: plan.spec.seed,
        open: (plan.spec.load == LoadShape::Open)
            .then(|| OpenLoop::new(plan.spec.nodes.min(plan.spec.clients) as usize)),
        pipeline: plan.spec.pipeline,
        shared: Mutex::default(),
    })
}

fn nodes(load: &Load, restarts: &BTreeMap<String, u32>) -> Vec<NodeRecord> {
    let record = |endpoint: &Endpoint| NodeRecord {
        name: endpoint.node.to_string(),
        address: endpoint.address.ip().to_string(),
        restarts: restarts.get(&*endpoint.node).copied().unwrap_or(0),
        version: None,
    };
    load.endpoints.iter().map(record).collect()
}

/// That a signal came too soon for anything to be judged.
fn interrupted() -> Failure {
    Failure::harness(miette::miette!("interrupted before clients began"))
}

/// A sentence on every node that was started again.
fn restarted(restarts: &BTreeMap<String, u32>) -> Vec<String> {
    let often = restarts.iter().filter(|(_, count)| **count > 0);
    often
        .map(|(node, count)| {
            let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
            format!("{node} ended on its own and was started again {times}")
        })
        .collect()
}

/// The phases as they pass.
pub(super) struct Phases {
    clock: RunClock,
    events: Events,
    past: Vec<Phase>,
    name: &'static str,
    began: Nanoseconds,
}

impl Phases {
    fn new(clock: RunClock, events: Events, name: &'static str) -> Self {
        events.tell(RunEvent::Phase { phase: name.to_owned() });
        Self { clock, events, past: Vec::new(), name, began: Nanoseconds::default() }
    }

    /// Ends the phase that is on and begins the next.
    pub(super) fn begin(&mut self, name: &'static str) {
        self.end();
        self.name = name;
        self.events.tell(RunEvent::Phase { phase: name.to_owned() });
    }

    /// Ends the phase that is on.
    fn end(&mut self) {
        let now = self.clock.now();
        let past = Phase { name: self.name.to_owned(), began_ns: self.began, ended_ns: now };
        self.past.push(past);
        self.began = now;
    }

    /// Begins a phase unless it is on already.
    pub(super) fn begin_once(&mut self, name: &'static str) {
        if self.name != name {
            self.begin(name);
        }
    }

    fn finish(mut self) -> Vec<Phase> {
        self.end();
        self.past
    }
}
