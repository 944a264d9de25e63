//! Checks a target's description against the store: starts one node, then several, performs every operation against
//! a known state, and provokes errors to see what each is taken for.
//!
//! It proves nothing of the store. It shows how the description reads the store, and names what contradicts itself.

mod diagnosis;
mod provoke;
mod steps;
mod tap;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use partita_nemesis::{Cluster, LabBackend};
use partita_reports::RunSpec;
use partita_reports::spec::{FaultsSpec, TargetSpec};
use partita_workloads::catalogue::WORKLOADS;
use partita_workloads::client::{Client, ClientOptions, Endpoint, Limits, Protocol, RetryPolicy};
use partita_workloads::operation::Kind;
use partita_workloads::{Completion, Invocation};
use serde::Serialize;
use tokio::time::sleep;

use super::client_programs;
use super::clock::RunClock;
use super::cluster_setup;
use super::events::Events;
use super::folder::RunFolder;
use super::plan::{self, Faults, Plan};
use super::poller::Poller;
use crate::exit::{Exit, Failure, FailureContext};
use crate::targets::Target;
use steps::{Step, in_words, read_as};
use tap::Tap;

/// How long a client waits: as long as one in a run, that provoked errors are those of runs.
const LIMITS: Limits =
    Limits { connect: Duration::from_millis(500), reply: Duration::from_secs(1) };

/// How often a step is tried of which nothing has happened.
const TRIES: u32 = 20;

/// Time before it is tried again.
const BEFORE_AGAIN: Duration = Duration::from_millis(150);

/// What a check came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TargetReport {
    /// Each operation: what was asked, said and understood.
    pub operations: Vec<Performed>,
    /// What provoked errors were taken for, and how often.
    pub errors: Vec<Provoked>,
    /// What a reader should know although it contradicts nothing.
    pub notes: Vec<String>,
    /// Where the description and the store contradict each other.
    pub contradictions: Vec<String>,
}

/// One operation on a healthy cluster.
#[derive(Debug, Clone, Serialize)]
pub struct Performed {
    /// How many nodes there were.
    pub nodes: u32,
    /// The node that was asked.
    pub node: String,
    /// The operation.
    pub operation: String,
    /// The request as it was sent.
    pub request: String,
    /// The reply as it came.
    pub reply: String,
    /// What it was read as.
    pub read_as: String,
}

/// What came of operations while something was provoked.
#[derive(Debug, Clone, Serialize)]
pub struct Provoked {
    /// What was provoked.
    #[serde(rename = "while")]
    pub while_: String,
    /// The kind of operation.
    pub operation: String,
    /// The node that was asked.
    pub node: String,
    /// What the answer was taken for.
    pub read_as: String,
    /// How often.
    pub count: u32,
}

impl TargetReport {
    /// What the command ends with.
    pub fn exit(&self) -> Exit {
        if self.contradictions.is_empty() { Exit::Valid } else { Exit::Finding }
    }
}

/// Where a check says what it does, a line at a time.
pub type Say<'a> = &'a mut dyn FnMut(String);

/// Checks the target in a lab of `backend`, inside of which this process is, with one node and then with so `many`; what
/// nodes write goes to `home`. One node is left out where the description names others by their addresses.
///
/// # Errors
///
/// [`Failure`] if a program cannot be run or a node ends; whatever else goes wrong is a contradiction.
pub fn check(
    spec: &TargetSpec,
    backend: LabBackend,
    many: u32,
    home: &std::path::Path,
    say: Say<'_>,
) -> Result<TargetReport, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .or_harness(|| "starting threads".to_owned())?;
    let mut report = TargetReport::default();
    let target = Target::of(spec).or_usage(|| "the target".to_owned())?;
    target.check_size(many).or_usage(|| "the target".to_owned())?;
    for nodes in BTreeSet::from([1, many]) {
        if let Err(error) = target.check_size(nodes) {
            report.notes.push(format!("not checked with one node: {error}"));
            continue;
        }
        let path = home.join(format!("nodes-{nodes}"));
        std::fs::create_dir_all(&path).or_harness(|| path.display().to_string())?;
        let plan = plan(spec, backend, nodes, path.clone())?;
        let folder = RunFolder::made(path);
        let stage = Stage { plan: &plan, folder: &folder, report: &mut report, say: &mut *say };
        runtime.block_on(stage.play())?;
        if !report.contradictions.is_empty() {
            break;
        }
    }
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(report)
}

/// The plan of a run without faults, of any workload.
fn plan(spec: &TargetSpec, backend: LabBackend, nodes: u32, out: PathBuf) -> Result<Plan, Failure> {
    let faults = FaultsSpec::Draw("none".to_owned());
    let lab = plan::lab(backend);
    let spec = RunSpec { target: spec.clone(), nodes, lab, faults, ..RunSpec::default() };
    let target = Target::of(&spec.target).or_usage(|| "the target".to_owned())?;
    let faults = Faults::of(&spec.faults, &target)?;
    let workload = &WORKLOADS[0];
    Ok(Plan { spec, target, lab: backend, workload, faults, out, command: String::new() })
}

/// A cluster that is up, and who is asked.
struct Stage<'a, 'b> {
    plan: &'a Plan,
    folder: &'a RunFolder,
    report: &'a mut TargetReport,
    say: Say<'b>,
}

impl Stage<'_, '_> {
    async fn play(mut self) -> Result<(), Failure> {
        let Self { plan, folder, .. } = self;
        client_programs::install(plan, folder)?;
        let schedule = plan.schedule().or_usage(|| "the schedule".to_owned())?;
        let (cluster, _) = cluster_setup::build(plan, &schedule, folder).await?;
        let (clock, events) = (RunClock::start(), Events::new(RunClock::start(), Vec::new()));
        let (poller, polling) = cluster_setup::poll(plan, &cluster, folder, clock, &events);
        let ready = cluster_setup::await_ready(plan, &cluster, folder, &poller).await;
        let played = match ready {
            Ok(()) => {
                self.tell_who_leads(&poller);
                self.perform(&cluster).await;
                if plan.spec.nodes > 1 && self.report.contradictions.is_empty() {
                    self.provoke(&cluster, &poller).await?;
                }
                Ok(())
            }
            Err(failure) => match diagnosis::of(plan, &cluster, &poller) {
                Some(problem) => {
                    self.contradiction(problem);
                    Ok(())
                }
                None => Err(failure),
            },
        };
        drop(polling);
        cluster_setup::shut_down(&cluster).await;
        played
    }

    fn tell_who_leads(&mut self, poller: &Poller) {
        let nodes = match self.plan.spec.nodes {
            1 => "one node".to_owned(),
            many => format!("{many} nodes"),
        };
        (self.say)(format!("{nodes}: {}", poller.describe()));
        if poller.leader().is_none() {
            let note = "no node tells a role: faults that are aimed at the leader fall on any node";
            if !self.report.notes.iter().any(|it| it == note) {
                self.report.notes.push(note.to_owned());
            }
        }
    }

    /// Performs every operation through the first node, and a read of what was written through each.
    async fn perform(&mut self, cluster: &Arc<Cluster>) {
        let protocol = Arc::clone(&self.plan.target.protocol);
        let prefix = format!("partita-check-{}", self.plan.spec.nodes);
        let groups = steps::groups(&prefix, |kind| protocol.supports(kind));
        let endpoints = cluster_setup::endpoints(self.plan, cluster);
        let Some(first) = endpoints.first() else { return };
        let mut asked = self.asked(cluster, first);
        for group in groups {
            for step in &group {
                if !self.take(&mut asked, step).await {
                    break;
                }
            }
        }
        let key = partita_checker::Value::text(format!("{prefix}-register"));
        if protocol.supports(Kind::Read) && protocol.supports(Kind::Write) {
            for endpoint in endpoints.iter().skip(1) {
                let mut asked = self.asked(cluster, endpoint);
                let read = Invocation::read(key.clone());
                self.ask(&mut asked, &read).await;
            }
        }
    }

    /// Takes a step; whether it came to what it must.
    async fn take(&mut self, asked: &mut Asked, step: &Step) -> bool {
        for attempt in 1.. {
            let (completion, violations) = asked.invoke(&step.invocation).await;
            if attempt < TRIES && violations.is_empty() && step.may_be_tried_again(&completion) {
                asked.tap.take();
                sleep(BEFORE_AGAIN).await;
                continue;
            }
            self.note(asked, &step.invocation, &completion);
            let mut problems: Vec<String> = violations;
            if problems.is_empty() {
                problems.extend(step.problem(&completion));
            }
            if let (Completion::Swapped, false) = (&completion, problems.is_empty()) {
                // Did it?
                let read = Invocation::read(step.invocation.key.clone());
                self.ask(asked, &read).await;
            }
            let is_right = problems.is_empty();
            problems.into_iter().for_each(|problem| self.contradiction(problem));
            return is_right;
        }
        false
    }

    /// Asks, and says what came of it.
    async fn ask(&mut self, asked: &mut Asked, invocation: &Invocation) -> Completion {
        let (completion, violations) = asked.invoke(invocation).await;
        self.note(asked, invocation, &completion);
        violations.into_iter().for_each(|violation| self.contradiction(violation));
        completion
    }

    fn note(&mut self, asked: &Asked, invocation: &Invocation, completion: &Completion) {
        let (request, reply) = asked.tap.take();
        let performed = Performed {
            nodes: self.plan.spec.nodes,
            node: asked.node.clone(),
            operation: in_words(invocation),
            request,
            reply,
            read_as: read_as(completion),
        };
        let Performed { node, operation, request, reply, read_as, .. } = &performed;
        (self.say)(format!("  {node}  {operation}: {read_as}"));
        (self.say)(format!("        -> {request}"));
        (self.say)(format!("        <- {reply}"));
        self.report.operations.push(performed);
    }

    fn contradiction(&mut self, problem: String) {
        (self.say)(format!("  contradiction: {problem}"));
        self.report.contradictions.push(problem);
    }

    /// A client of the node that is overheard.
    fn asked(&self, cluster: &Arc<Cluster>, endpoint: &Endpoint) -> Asked {
        let tap = Tap::default();
        let plain = cluster_setup::clients_dial(cluster);
        let dial = client_programs::for_clients(self.plan, cluster, self.folder, plain);
        let protocol: &dyn Protocol = self.plan.target.protocol.as_ref();
        let options = ClientOptions { limits: LIMITS, retry: RetryPolicy::Never };
        let client = protocol.client(endpoint, &tap.on(dial), options);
        Asked { node: endpoint.node.to_string(), client, tap }
    }
}

/// A client, and what it and its node say to each other.
struct Asked {
    node: String,
    client: Box<dyn Client>,
    tap: Tap,
}

impl Asked {
    /// What came of an operation, and what the node did against its protocol.
    async fn invoke(&mut self, invocation: &Invocation) -> (Completion, Vec<String>) {
        let completion = self.client.invoke(invocation).await;
        let violations = self.client.protocol_violations();
        let in_words = |it: partita_workloads::client::ProtocolViolation| {
            format!("{}: {}: `{}`", in_words(invocation), it.what, it.sample)
        };
        (completion, violations.into_iter().map(in_words).collect())
    }
}

/// Counts what is the same.
#[derive(Default)]
struct Counter(BTreeMap<(String, String, String, String), u32>);
