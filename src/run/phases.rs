//! The phases of a run, in order, each with its limit.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use partita_checker::Nanoseconds;
use partita_nemesis::{FaultRecord, LabKind, Nemesis, Roles, Schedule, Stop};
use partita_reports::event::{RunEvent, Tally};
use partita_reports::{Finding, NodeRecord, Outcomes, Phase, RoleChange, Stall};
use partita_workloads::client::{ClientOptions, Endpoint, Limits};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::admin_client::AdminClient;
use super::clients::{self, Load};
use super::clock::RunClock;
use super::closing;
use super::cluster_setup;
use super::events::Events;
use super::fault_log::FaultLog;
use super::folder::{RunFolder, ScheduleFile};
use super::in_words;
use super::node_logs::NodeLogs;
use super::plan::Plan;
use super::poller::Poller;
use super::recorder::Recorder;
use super::stalls::Stalls;
use super::stop_reason::{Interruption, Interrupts, Watch};
use super::traffic::Traffic;
use crate::exit::{Failure, OrFail};

/// How long clients go on after the last fault was healed: what a fault broke may show only then.
const AFTER_HEAL: Duration = Duration::from_secs(1);

/// How long the nodes may take to agree after clients have stopped.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);

/// Time between two tallies.
const TALLY_STEP: Duration = Duration::from_millis(250);

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
    /// What failed of the harness, or why the target could not be started, if anything did.
    pub failure: Option<String>,
}

impl Lifecycle {
    /// Of a run that ended before its time by `what`: what its folder tells of it.
    pub fn broken(plan: &Plan, folder: &RunFolder, lab: String, what: String) -> Self {
        let node = |name: String| NodeRecord { name, address: String::new() };
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
            findings: Vec::new(),
            failure: Some(what),
        }
    }

    /// Whether it ended before its time by something that went wrong.
    pub fn is_cut_short(&self) -> bool {
        self.failure.is_some() || !self.findings.is_empty()
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
    let cluster = cluster_setup::build(plan, &schedule, folder)?;
    let traffic = Traffic::begin(&cluster, folder, plan.spec.pcap)?;
    let (poller, polling) = cluster_setup::poll(plan, &cluster, clock, events);
    tokio::select! {
        ready = cluster_setup::await_ready(&cluster, folder, &poller) => ready?,
        () = interrupts.next() => {
            return Err(Failure::harness(miette::miette!("interrupted before clients began")));
        }
    }
    events.tell(RunEvent::ClusterUp { nodes: plan.spec.nodes, leader: poller.leader() });

    let history = folder.file("history.jsonl");
    let (recorder, writer) =
        Recorder::create(&history, clock, plan.spec.stop_on_violation.then(|| plan.options()))
            .or_harness(|| history.display().to_string())?;
    let faults = FaultLog::new(ScheduleFile::create(folder)?);
    let watch = Watch {
        cluster: Arc::clone(&cluster),
        faults: faults.clone(),
        recorder: Arc::clone(&recorder),
        folder: folder.clone(),
        expected_exits: plan.target.expected_exits.clone(),
        clock,
        events: events.clone(),
        told: Mutex::default(),
    };
    let load = load(plan, &schedule, &cluster, recorder);
    let stage =
        Stage { plan, schedule: &schedule, watch, poller, faults, load, clock, events, stalls };
    let ended = stage.play(&mut phases, &mut interrupts).await;

    let Stage { watch, poller, faults, load, .. } = stage;
    drop(polling);
    // A second signal ends the process at once, and the lab with it.
    let ending = tokio::spawn(async move {
        interrupts.next().await;
        std::process::exit(130);
    });
    let mut lifecycle = Lifecycle {
        started_at: String::new(),
        lab: kind.to_string(),
        nodes: nodes(&load),
        phases: phases.finish(),
        faults: faults.all(),
        roles: poller.changes(),
        outcomes: load.recorder.outcomes().outcomes(),
        remarks: ended.remarks,
        notes: Vec::new(),
        stalls: Vec::new(),
        findings: ended.findings,
        failure: ended.failure,
    };
    drop((watch, load));
    cluster_setup::shut_down(&cluster).await;
    // What cannot be written any more takes nothing from what was.
    let written = traffic.finish(folder, clock, events).map_err(|failure| in_words(&failure));
    drop(cluster);
    lifecycle.notes.extend(logs.finish());
    let incomplete = |failure| format!("schedule.jsonl is incomplete: {}", in_words(&failure));
    lifecycle.remarks.extend(faults.failure().map(incomplete));
    let recorded = writer.finish().map_err(|error| format!("{}: {error}", history.display()));
    lifecycle.failure = lifecycle.failure.or(written.and(recorded).err());
    ending.abort();
    Ok(lifecycle)
}

fn load(
    plan: &Plan,
    schedule: &Schedule,
    cluster: &Arc<partita_nemesis::Cluster>,
    recorder: Arc<Recorder>,
) -> Arc<Load> {
    Arc::new(Load {
        generator: Mutex::new(plan.workload.generator(plan.spec.seed)),
        read_only: schedule.read_only.clone(),
        began: Instant::now(),
        recorder,
        endpoints: cluster_setup::endpoints(plan, cluster),
        protocol: Arc::clone(&plan.target.protocol),
        dial: cluster_setup::clients_dial(cluster),
        options: ClientOptions {
            limits: Limits { connect: CONNECT_LIMIT, reply: plan.spec.reply_timeout.duration() },
            retry: plan.workload.retry,
        },
        clients: plan.spec.clients,
        all_processes: plan.spec.clients + plan.spec.nodes,
        rate: plan.spec.rate,
        seed: plan.spec.seed,
    })
}

fn nodes(load: &Load) -> Vec<NodeRecord> {
    let record = |endpoint: &Endpoint| NodeRecord {
        name: endpoint.node.to_string(),
        address: endpoint.address.ip().to_string(),
    };
    load.endpoints.iter().map(record).collect()
}

/// How the phases ended, as the verdict needs it.
#[derive(Default)]
struct Ended {
    remarks: Vec<String>,
    findings: Vec<Finding>,
    failure: Option<String>,
}

impl Ended {
    /// Before their time.
    fn early(interruption: Interruption, clock: RunClock, events: &Events) -> Self {
        let (when, reason) = (clock.now().as_seconds(), interruption.reason());
        let mut ended = Self::default();
        let text = match interruption {
            Interruption::Violation => {
                ended.remark(format!("stopped at the first violation, after {when:.1} s"))
            }
            Interruption::Signal => ended.remark(format!("interrupted after {when:.1} s")),
            Interruption::Crash(finding) => {
                let sentence = finding.sentence.clone();
                ended.findings.push(*finding);
                sentence
            }
            Interruption::Failed(what) => {
                ended.failure.insert(format!("after {when:.1} s {what}")).clone()
            }
        };
        events.tell(RunEvent::Stopping { reason, text });
        ended
    }

    fn remark(&mut self, text: String) -> String {
        self.remarks.push(text.clone());
        text
    }
}

/// Everything that the phases under load work with.
struct Stage<'a> {
    plan: &'a Plan,
    schedule: &'a Schedule,
    watch: Watch,
    poller: Poller,
    faults: FaultLog,
    load: Arc<Load>,
    clock: RunClock,
    events: &'a Events,
    stalls: &'a Stalls,
}

impl Roles for Poller {
    async fn leader(&self) -> Option<String> {
        Self::leader(self)
    }
}

impl Stage<'_> {
    /// Load, faults, heal, settle, final reads. Ends early if it is interrupted, with everything healed.
    async fn play(&self, phases: &mut Phases, interrupts: &mut Interrupts) -> Ended {
        let early = |interruption| Ended::early(interruption, self.clock, self.events);
        let (stop_clients, stopped) = watch::channel(false);
        let clients = clients::start(&self.load, &stopped);
        let interruption = self.under_load(phases, interrupts).await;
        // The receivers are gone if every client has ended, which is what is wanted.
        let _ = stop_clients.send(true);
        clients.join_all().await;
        if let Some(interruption) = interruption {
            return early(interruption);
        }
        tokio::select! {
            remarks = self.aftermath(phases) => Ended { remarks, ..Ended::default() },
            interruption = self.watch.interruption(interrupts) => early(interruption),
        }
    }

    /// Everything during which clients are at work.
    async fn under_load(
        &self,
        phases: &mut Phases,
        interrupts: &mut Interrupts,
    ) -> Option<Interruption> {
        phases.begin("lead-in");
        if let Some(interruption) = self.under_faults(phases, interrupts).await {
            return Some(interruption);
        }
        phases.begin("heal");
        self.sleep_until(Instant::now() + AFTER_HEAL, interrupts).await
    }

    /// Plays the schedule, and waits out the planned time.
    async fn under_faults(
        &self,
        phases: &mut Phases,
        interrupts: &mut Interrupts,
    ) -> Option<Interruption> {
        let plan = self.plan;
        let until = Instant::now() + plan.spec.time.duration();
        let admin = self.admin_client();
        let nemesis = Nemesis::new(&self.watch.cluster, &self.poller, || self.clock.now().0)
            .administered_by(&admin);
        let (stop, stopping) = tokio::sync::oneshot::channel();
        let stopping = async { stopping.await.unwrap_or(Stop::ShutDown) };
        let play = nemesis.play(self.schedule, stopping, |moment, record| {
            phases.begin_once("faults");
            self.faults.take(moment, record, self.events);
        });
        let mut play = std::pin::pin!(play);
        let commands = plan.commands();
        let sending = admin.send_all(&commands);
        tokio::select! {
            // A run that is interrupted does not wait for commands to come.
            ended = async { tokio::join!(&mut play, sending).0 } => match ended {
                Ok(_) => self.sleep_until(until, interrupts).await,
                Err(error) => Some(Interruption::Failed(error.to_string())),
            },
            interruption = self.tally_until_interrupted(until, interrupts) => {
                // The play heals what is in force before it ends.
                let _ = stop.send(Stop::ShutDown);
                let _ = play.await;
                Some(interruption)
            }
        }
    }

    fn admin_client(&self) -> AdminClient {
        let Self { plan, watch, poller, .. } = self;
        let nodes = cluster_setup::inside_nodes(plan, &watch.cluster);
        let members = cluster_setup::members(plan, &watch.cluster);
        let protocol = plan.target.protocol.as_ref();
        AdminClient::new(protocol, nodes, members, poller.clone(), watch.folder.clone())
    }

    /// Sleeps, unless it is interrupted first.
    async fn sleep_until(
        &self,
        until: Instant,
        interrupts: &mut Interrupts,
    ) -> Option<Interruption> {
        tokio::select! {
            () = sleep_until(until) => None,
            interruption = self.tally_until_interrupted(until, interrupts) => Some(interruption),
        }
    }

    /// Tells the tally, over and over, until something interrupts the run.
    async fn tally_until_interrupted(
        &self,
        until: Instant,
        interrupts: &mut Interrupts,
    ) -> Interruption {
        let telling = async {
            let (mut answered, mut last) =
                (self.load.recorder.tally().ok.load(Relaxed), Instant::now());
            loop {
                sleep(TALLY_STEP).await;
                let seconds = last.elapsed().as_secs_f64();
                let tally = self.tally(until, answered, seconds);
                (answered, last) = (tally.ok, Instant::now());
                self.events.tell(RunEvent::Tally(tally));
            }
        };
        tokio::select! {
            interruption = self.watch.interruption(interrupts) => interruption,
            never = telling => never,
        }
    }

    /// The operations so far; so many had been `answered` so many seconds ago.
    fn tally(&self, until: Instant, answered: u64, seconds: f64) -> Tally {
        let counted = self.load.recorder.tally();
        let ok = counted.ok.load(Relaxed);
        let left = until.saturating_duration_since(Instant::now());
        Tally {
            invoked: counted.invoked.load(Relaxed),
            ok,
            fail: counted.fail.load(Relaxed),
            info: counted.info.load(Relaxed),
            ok_per_s: (ok - answered) as f64 / seconds,
            left_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            leader: self.poller.leader(),
            in_force: self.faults.in_force(),
        }
    }

    /// Settle and final reads; sentences on what did not come about.
    async fn aftermath(&self, phases: &mut Phases) -> Vec<String> {
        phases.begin("settle");
        let (limit, stood_still) = (Instant::now() + SETTLE_LIMIT, self.stalls.total());
        while !self.poller.is_settled() {
            // Nodes are not to blame for what the controller missed.
            if Instant::now() >= limit + (self.stalls.total() - stood_still) {
                return vec![format!(
                    "the nodes did not agree within {} s of the heal: {}",
                    SETTLE_LIMIT.as_secs(),
                    self.poller.describe()
                )];
            }
            sleep(Duration::from_millis(10)).await;
        }
        phases.begin("final reads");
        let closing = {
            let generator = self.load.generator.lock();
            generator.unwrap_or_else(std::sync::PoisonError::into_inner).closing()
        };
        self.events.remark(format!("{} final operations through every node", closing.len()));
        closing::perform_all(&self.load, closing).await
    }
}

/// The phases as they pass.
struct Phases {
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
    fn begin(&mut self, name: &'static str) {
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
    fn begin_once(&mut self, name: &'static str) {
        if self.name != name {
            self.begin(name);
        }
    }

    fn finish(mut self) -> Vec<Phase> {
        self.end();
        self.past
    }
}
