//! The phases of a run, in order, each with its limit.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use partita_checker::Nanoseconds;
use partita_nemesis::{FaultRecord, LabKind, Nemesis, Roles, Schedule, Stop};
use partita_reports::{NodeRecord, Outcomes, Phase, RoleChange, Stall};
use partita_workloads::client::{ClientOptions, Endpoint, Limits};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::admin_client::AdminClient;
use super::clients::{self, Load};
use super::clock::RunClock;
use super::closing;
use super::cluster_setup;
use super::fault_log::FaultLog;
use super::folder::{RunFolder, ScheduleFile};
use super::in_words;
use super::node_logs::NodeLogs;
use super::plan::Plan;
use super::poller::Poller;
use super::recorder::Recorder;
use super::stalls::Stalls;
use super::status::{REFRESH, StatusLine};
use super::stop_reason::{Interrupts, Trouble, Watch};
use super::traffic::Traffic;
use crate::exit::{Failure, OrFail};
use crate::telemetry;

/// How long clients go on after the last fault was healed: what a fault broke may show only then.
const AFTER_HEAL: Duration = Duration::from_secs(1);

/// How long the nodes may take to agree after clients have stopped.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);

/// How long a client may take to connect.
const CONNECT_LIMIT: Duration = Duration::from_millis(500);

/// What happened in a run, besides its history.
#[derive(Debug, Clone)]
pub struct Course {
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
    /// What failed of the harness or the target, if anything did.
    pub failure: Option<String>,
}

impl Course {
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
            failure: Some(what),
        }
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
    status: &StatusLine,
    stalls: &Stalls,
) -> Result<Course, Failure> {
    let mut interrupts = Interrupts::install()?;
    let mut phases = Phases::new(clock, "start");
    let schedule = plan.schedule().or_usage(|| "--schedule".to_owned())?;
    schedule.check(&plan.names()).or_usage(|| plan.faults.name())?;
    schedule.check_tier(plan.lab).or_usage(|| plan.faults.name())?;
    let logs = NodeLogs::keep(folder, &plan.names(), plan.node_log_limit, clock)?;
    let cluster = cluster_setup::build(plan, &schedule, folder)?;
    let traffic = Traffic::begin(&cluster, folder, plan.pcap)?;
    let inside = cluster_setup::inside_nodes(plan, &cluster);
    let (poller, polling) = Poller::start(plan.target.protocol.as_ref(), inside, clock);
    tokio::select! {
        ready = cluster_setup::await_ready(&cluster, folder, &poller) => ready?,
        () = interrupts.next() => {
            return Err(Failure::harness(miette::miette!("interrupted before clients began")));
        }
    }
    let leader = poller.leader().map_or(String::new(), |leader| format!(", {leader} leads"));
    status.say(&format!("{} nodes are up{leader}", plan.nodes));

    let history = folder.file("history.jsonl");
    let (recorder, writer) =
        Recorder::create(&history, clock, plan.stop_on_violation.then(|| plan.options()))
            .or_harness(|| history.display().to_string())?;
    let faults = FaultLog::new(ScheduleFile::create(folder)?);
    let watch = Watch {
        cluster: Arc::clone(&cluster),
        faults: faults.clone(),
        recorder: Arc::clone(&recorder),
        folder: folder.clone(),
    };
    let load = load(plan, &schedule, &cluster, recorder);
    let stage =
        Stage { plan, schedule: &schedule, watch, poller, faults, load, clock, status, stalls };
    let trouble = stage.play(&mut phases, &mut interrupts).await;

    let Stage { watch, poller, faults, load, .. } = stage;
    drop(polling);
    // Whoever asks again is not made to wait: the lab ends with this process.
    let ending = tokio::spawn(async move {
        interrupts.next().await;
        std::process::exit(130);
    });
    let mut course = Course {
        started_at: String::new(),
        lab: kind.to_string(),
        nodes: nodes(&load),
        phases: phases.finish(),
        faults: faults.all(),
        roles: poller.changes(),
        outcomes: load.recorder.outcomes().outcomes(),
        remarks: trouble.remarks,
        notes: Vec::new(),
        stalls: Vec::new(),
        failure: trouble.failure,
    };
    drop((watch, load));
    cluster_setup::shut_down(&cluster).await;
    // What cannot be written any more takes nothing from what was.
    if let Err(failure) = traffic.finish(folder, clock, status) {
        course.failure.get_or_insert(in_words(&failure));
    }
    drop(cluster);
    course.notes.extend(logs.finish());
    if let Some(failure) = faults.failure() {
        let remark = format!("schedule.jsonl is incomplete: {}", in_words(&failure));
        course.remarks.push(remark);
    }
    if let Err(error) = writer.finish() {
        course.failure.get_or_insert(format!("{}: {error}", history.display()));
    }
    ending.abort();
    Ok(course)
}

fn load(
    plan: &Plan,
    schedule: &Schedule,
    cluster: &Arc<partita_nemesis::Cluster>,
    recorder: Arc<Recorder>,
) -> Arc<Load> {
    Arc::new(Load {
        generator: Mutex::new(plan.workload.generator(plan.seed)),
        lulls: schedule.lulls.clone(),
        began: Instant::now(),
        recorder,
        endpoints: cluster_setup::endpoints(plan, cluster),
        protocol: Arc::clone(&plan.target.protocol),
        dial: cluster_setup::clients_dial(cluster),
        options: ClientOptions {
            limits: Limits { connect: CONNECT_LIMIT, reply: plan.reply_timeout },
            retry: plan.workload.retry,
        },
        clients: plan.clients,
        all_processes: plan.clients + plan.nodes,
        rate: plan.rate,
        seed: plan.seed,
    })
}

fn nodes(load: &Load) -> Vec<NodeRecord> {
    let record = |endpoint: &Endpoint| NodeRecord {
        name: endpoint.node.to_string(),
        address: endpoint.address.ip().to_string(),
    };
    load.endpoints.iter().map(record).collect()
}

/// What went wrong on the way, as the verdict needs it.
#[derive(Default)]
struct Troubles {
    remarks: Vec<String>,
    failure: Option<String>,
}

impl Troubles {
    fn add(&mut self, trouble: Trouble, clock: RunClock) {
        let when = clock.now().as_seconds();
        match trouble {
            Trouble::Violation => {
                let remark = format!("stopped at the first violation, after {when:.1} s");
                self.remarks.push(remark);
            }
            Trouble::Interrupted => self.remarks.push(format!("interrupted after {when:.1} s")),
            Trouble::Failed(what) => self.failure = Some(format!("after {when:.1} s {what}")),
        }
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
    status: &'a StatusLine,
    stalls: &'a Stalls,
}

impl Roles for Poller {
    async fn leader(&self) -> Option<String> {
        Self::leader(self)
    }
}

impl Stage<'_> {
    /// Load, faults, heal, settle, final reads. Ends early on trouble, with everything healed.
    async fn play(&self, phases: &mut Phases, interrupts: &mut Interrupts) -> Troubles {
        let mut troubles = Troubles::default();
        let (stop_clients, stopped) = watch::channel(false);
        let clients = clients::start(&self.load, &stopped);
        let trouble = self.under_load(phases, interrupts).await;
        // The receivers are gone if every client has ended, which is what is wanted.
        let _ = stop_clients.send(true);
        clients.join_all().await;
        if let Some(trouble) = trouble {
            troubles.add(trouble, self.clock);
            return troubles;
        }
        tokio::select! {
            remarks = self.aftermath(phases) => troubles.remarks = remarks,
            trouble = self.watch.trouble(interrupts) => troubles.add(trouble, self.clock),
        }
        troubles
    }

    /// Everything during which clients are at work.
    async fn under_load(
        &self,
        phases: &mut Phases,
        interrupts: &mut Interrupts,
    ) -> Option<Trouble> {
        phases.begin("lead-in");
        if let Some(trouble) = self.under_faults(phases, interrupts).await {
            return Some(trouble);
        }
        phases.begin("heal");
        self.status.say("all faults are healed, clients go on");
        self.sleep_until(Instant::now() + AFTER_HEAL, interrupts).await
    }

    /// Plays the schedule, and waits out the planned time.
    async fn under_faults(
        &self,
        phases: &mut Phases,
        interrupts: &mut Interrupts,
    ) -> Option<Trouble> {
        let plan = self.plan;
        let until = Instant::now() + plan.time;
        let admin = self.admin_client();
        let nemesis = Nemesis::new(&self.watch.cluster, &self.poller, || self.clock.now().0)
            .administered_by(&admin);
        let (stop, stopping) = tokio::sync::oneshot::channel();
        let stopping = async { stopping.await.unwrap_or(Stop::ShutDown) };
        let play = nemesis.play(self.schedule, stopping, |moment, record| {
            phases.begin_once("faults");
            self.faults.take(moment, record, self.status);
        });
        let mut play = std::pin::pin!(play);
        let commands = plan.commands();
        let sending = admin.send_all(&commands);
        tokio::select! {
            // Whoever has trouble does not wait for commands to come.
            ended = async { tokio::join!(&mut play, sending).0 } => match ended {
                Ok(_) => self.sleep_until(until, interrupts).await,
                Err(error) => Some(Trouble::Failed(error.to_string())),
            },
            trouble = self.trouble_or_refresh(until, interrupts) => {
                // The play heals what is in force before it ends.
                let _ = stop.send(Stop::ShutDown);
                let _ = play.await;
                trouble
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

    /// Sleeps, unless there is trouble first.
    async fn sleep_until(&self, until: Instant, interrupts: &mut Interrupts) -> Option<Trouble> {
        tokio::select! {
            () = sleep_until(until) => None,
            trouble = self.trouble_or_refresh(until, interrupts) => trouble,
        }
    }

    /// Keeps the live line live; returns on trouble only.
    async fn trouble_or_refresh(
        &self,
        until: Instant,
        interrupts: &mut Interrupts,
    ) -> Option<Trouble> {
        let refresh = async {
            loop {
                let left = until.saturating_duration_since(Instant::now());
                let leader = self.poller.leader();
                let tally = self.load.recorder.tally();
                self.status.refresh(tally, left, leader.as_deref(), &self.faults.in_force());
                sleep(REFRESH).await;
            }
        };
        tokio::select! {
            trouble = self.watch.trouble(interrupts) => Some(trouble),
            never = refresh => never,
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
        self.status.say(&format!("{} final operations through every node", closing.len()));
        closing::perform_all(&self.load, closing).await
    }
}

/// The phases as they pass.
struct Phases {
    clock: RunClock,
    past: Vec<Phase>,
    name: &'static str,
    began: Nanoseconds,
}

impl Phases {
    fn new(clock: RunClock, name: &'static str) -> Self {
        telemetry::phase(name);
        Self { clock, past: Vec::new(), name, began: Nanoseconds::default() }
    }

    /// Ends the phase that is on and begins the next.
    fn begin(&mut self, name: &'static str) {
        let now = self.clock.now();
        let past = Phase { name: self.name.to_owned(), began_ns: self.began, ended_ns: now };
        self.past.push(past);
        self.name = name;
        self.began = now;
        telemetry::phase(name);
    }

    /// Begins a phase unless it is on already.
    fn begin_once(&mut self, name: &'static str) {
        if self.name != name {
            self.begin(name);
        }
    }

    fn finish(mut self) -> Vec<Phase> {
        self.begin("over");
        self.past
    }
}
