//! Plays a schedule on a cluster: looks the victims up, injects each fault, waits, heals, measures.
//!
//! Every fault has a future of its own from its time on, and faults may overlap: what they do to links
//! is laid over each other (`fault::link::overlay`), and what they need of a node's process, clock or
//! disk they have to themselves (`resource_locks`). A record of a fault goes out just before it is injected, when it is in
//! force and again when it is healed, so that nothing is forgotten if the program ends in between.
//! A fault that does something again and again does so until it is healed. Whatever ends the play, a
//! fault in force is healed: partitions are lifted, paused processes continued, clocks set right and
//! disks mended even if the play's future is dropped; a killed node is started again unless
//! everything is about to be shut down. Time is the caller's clock, so that records and history can
//! be laid over each other.

mod links;
#[cfg(feature = "testing")]
pub(crate) mod manual;
mod resource_locks;
mod victims;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{Instrument, info};

use crate::administration::Administration;
use crate::cluster::Cluster;
use crate::fault::link::overlay::Overlays;
use crate::fault::membership::Turn;
use crate::fault::site::InjectContext;
use crate::fault::{Active, InjectError, Site, Target};
use crate::join_all::all;
use crate::lab::process::NodeProcess;
use crate::record::FaultRecord;
use crate::record::WAITED;
use crate::schedule::{PlannedFault, Schedule, ScheduleError, TriggerWatch};

use resource_locks::ResourceLocks;

pub use crate::roles::Roles;

/// What a play comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The schedule was played to its end.
    Played,
    /// It was stopped, and the cluster goes on: killed nodes were started again.
    Stopped,
    /// It was stopped, and the cluster is about to be: killed nodes were left dead.
    ShutDown,
}

/// How to stop a play before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Heal everything; the cluster goes on.
    Heal,
    /// Heal what would keep the cluster from being shut down.
    ShutDown,
}

/// At which point of a fault's course a record of it goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Its victims are chosen, and it is about to be injected.
    Coming,
    /// It is in force.
    Begun,
    /// It is over, or could not be injected.
    Over,
}

/// A cluster's nemesis. `clock` yields nanoseconds since the run began.
#[derive(Debug)]
pub struct Nemesis<'a, R, C> {
    cluster: &'a Cluster,
    roles: &'a R,
    administration: Option<&'a dyn Administration>,
    clock: C,
}

/// Time between two looks at whether the moment has come that a fault waits for.
const LOOK_NS: u64 = 5_000_000;

/// How a fault's wait came out.
#[derive(Debug, Clone, Copy)]
struct Waited {
    ms: u64,
    has_come: bool,
}

/// What the faults of one play share.
struct Stage<'a, F> {
    origin_ns: u64,
    ground: InjectContext<'a>,
    locks: &'a ResourceLocks,
    record: Mutex<F>,
}

impl<F: FnMut(Moment, &FaultRecord)> Stage<'_, F> {
    fn record(&self, moment: Moment, happened: &FaultRecord) {
        log(moment, happened);
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record(moment, happened);
    }
}

impl<'a, R: Roles, C: Fn() -> u64 + Send + Sync> Nemesis<'a, R, C> {
    /// The nemesis of `cluster`, which learns from `roles` who leads.
    pub fn new(cluster: &'a Cluster, roles: &'a R, clock: C) -> Self {
        Nemesis { cluster, roles, administration: None, clock }
    }

    /// The same, with an administrator of the members and the leader.
    #[must_use]
    pub fn administered_by(self, administration: &'a dyn Administration) -> Self {
        Nemesis { administration: Some(administration), ..self }
    }

    /// Plays `schedule`, whose time begins now, until its end or until `stop` is ready. `record` is
    /// given every fault just before it is injected, when it is in force and when it is over.
    /// Returns once nothing is in force any more.
    ///
    /// # Errors
    ///
    /// If the schedule does not fit the cluster; then nothing was done.
    pub async fn play(
        &self,
        schedule: &Schedule,
        stop: impl Future<Output = Stop>,
        record: impl FnMut(Moment, &FaultRecord),
    ) -> Result<Ending, ScheduleError> {
        schedule.check(self.cluster.names())?;
        schedule.check_tier(self.cluster.lab().backend())?;
        self.check_administration(schedule)?;
        let overlays = Overlays::new(self.cluster.lab().network());
        let turn = Turn::default();
        let stage = Stage {
            origin_ns: (self.clock)(),
            ground: InjectContext {
                cluster: self.cluster,
                overlays: &overlays,
                roles: self.roles,
                administration: self.administration,
                turn: &turn,
                seed: schedule.seed,
            },
            locks: &ResourceLocks::default(),
            record: Mutex::new(record),
        };
        let (stopper, stopping) = watch::channel(None);
        let faults = schedule.faults.iter();
        let faults = faults.map(|planned| {
            let span = tracing::error_span!("fault", id = planned.id, name = %planned.fault);
            self.play_one(planned, &stage, stopping.clone()).instrument(span)
        });
        let mut played = std::pin::pin!(all(faults.collect()));
        let stop = tokio::select! {
            biased;
            stop = stop => stop,
            _ = &mut played => return Ok(Ending::Played),
        };
        // Every fault has a receiver until it is over.
        let _ = stopper.send(Some(stop));
        played.await;
        Ok(match stop {
            Stop::Heal => Ending::Stopped,
            Stop::ShutDown => Ending::ShutDown,
        })
    }

    /// Whether there is an administrator, if a fault needs one.
    fn check_administration(&self, schedule: &Schedule) -> Result<(), ScheduleError> {
        let needs_one = |it: &&PlannedFault| it.fault.kind().description().needs.administrator;
        match schedule.faults.iter().find(needs_one) {
            Some(PlannedFault { id, fault, .. }) if self.administration.is_none() => {
                Err(ScheduleError::NoAdministration { id: *id, fault: fault.kind() })
            }
            _ => Ok(()),
        }
    }

    /// Plays one fault: waits for its time, injects it, waits until it is over and heals it.
    async fn play_one<F: FnMut(Moment, &FaultRecord)>(
        &self,
        planned: &PlannedFault,
        stage: &Stage<'_, F>,
        mut stopping: watch::Receiver<Option<Stop>>,
    ) {
        let at_ns = stage.origin_ns.saturating_add(planned.at_ms * 1_000_000);
        if self.wait(at_ns, &mut stopping).await.is_some() {
            return;
        }
        let Some(waited) = self.await_moment(planned, at_ns, &mut stopping).await else { return };
        let begins_ns = if waited.is_some() { (self.clock)() } else { at_ns };
        let until_ns = begins_ns.saturating_add(planned.duration_ms * 1_000_000);
        let kind = planned.fault.kind();
        let is_free = |node: &str| stage.locks.is_free(kind, node);
        let (names, seed) = (self.cluster.names(), stage.ground.seed);
        let victims = tokio::select! {
            biased;
            _ = stopped(&mut stopping) => return,
            victims = victims::choose(planned, seed, names, self.roles, is_free) => victims,
        };
        let mut happened = FaultRecord {
            id: planned.id,
            fault: kind.name().to_owned(),
            family: kind.family(),
            target: victims.how,
            nodes: victims.nodes,
            parameters: parameters(planned, waited),
            began_ns: (self.clock)(),
            ended_ns: None,
            effects: Vec::new(),
            error: None,
            unhealed: false,
        };
        let lock = stage.locks.take(planned.id, kind, &happened.nodes);
        let injected = match &lock {
            Ok(_) => {
                stage.record(Moment::Coming, &happened);
                inject(planned, stage.ground, &happened.nodes).await
            }
            Err((node, what, by)) => {
                Err(InjectError::Taken { node: node.clone(), what: *what, by: *by })
            }
        };
        let mut active = match injected {
            Ok(active) => active,
            Err(error) => {
                happened.ended_ns = Some((self.clock)());
                happened.error = Some(error.to_string());
                stage.record(Moment::Over, &happened);
                return;
            }
        };
        happened.effects = active.effects_so_far();
        stage.record(Moment::Begun, &happened);
        let stop = tokio::select! {
            biased;
            stop = self.wait(until_ns, &mut stopping) => stop,
            never = active.act() => match never {},
        };
        let healed = active.heal(stop == Some(Stop::ShutDown), &self.clock).await;
        happened.ended_ns = Some(healed.ended_ns);
        happened.effects = healed.effects;
        happened.unhealed = healed.unhealed;
        happened.error = healed.error;
        stage.record(Moment::Over, &happened);
    }

    /// Waits for the moment that the fault waits for, if it waits: how it came out, or nothing if stopped.
    async fn await_moment(
        &self,
        planned: &PlannedFault,
        at_ns: u64,
        stopping: &mut watch::Receiver<Option<Stop>>,
    ) -> Option<Option<Waited>> {
        let Some(trigger) = planned.trigger else { return Some(None) };
        let until_ns = at_ns.saturating_add(trigger.wait_ms * 1_000_000);
        let mut lookout = TriggerWatch::new(trigger.when);
        loop {
            let has_come = lookout.has_come(&self.roles.seen());
            let now_ns = (self.clock)();
            if has_come || now_ns >= until_ns {
                let ms = now_ns.saturating_sub(at_ns) / 1_000_000;
                return Some(Some(Waited { ms, has_come }));
            }
            let next_ns = now_ns.saturating_add(LOOK_NS).min(until_ns);
            if self.wait(next_ns, stopping).await.is_some() {
                return None;
            }
        }
    }

    /// Waits until `until_ns` by the clock, or until stopped.
    async fn wait(
        &self,
        until_ns: u64,
        stopping: &mut watch::Receiver<Option<Stop>>,
    ) -> Option<Stop> {
        loop {
            let left_ns = until_ns.saturating_sub((self.clock)());
            if left_ns == 0 {
                return *stopping.borrow();
            }
            tokio::select! {
                biased;
                stop = stopped(stopping) => return Some(stop),
                () = sleep(Duration::from_nanos(left_ns)) => {}
            }
        }
    }
}

/// Waits until the play is stopped, and says how.
async fn stopped(stopping: &mut watch::Receiver<Option<Stop>>) -> Stop {
    loop {
        let stop = *stopping.borrow_and_update();
        match stop {
            Some(stop) => return stop,
            None if stopping.changed().await.is_ok() => {}
            // The play is being dropped, and this with it.
            None => std::future::pending().await,
        }
    }
}

/// Puts a moment of a fault into the log.
fn log(moment: Moment, FaultRecord { nodes, parameters, effects, error, .. }: &FaultRecord) {
    let measured = || {
        let words = effects.iter().map(|it| format!("{} {:.0} {}", it.what, it.amount, it.unit));
        words.collect::<Vec<_>>().join(", ")
    };
    match (moment, error) {
        (Moment::Coming, _) => info!(?nodes, ?parameters, "injecting"),
        (Moment::Begun, _) => info!("injected"),
        (Moment::Over, None) => info!(effects = measured(), "healed"),
        (Moment::Over, Some(error)) => info!(error, effects = measured(), "over"),
    }
}

/// Injects `planned` into `nodes`.
async fn inject<'a>(
    planned: &'a PlannedFault,
    ground: InjectContext<'a>,
    nodes: &[String],
) -> Result<Box<dyn Active + 'a>, InjectError> {
    let cluster = ground.cluster;
    let named =
        |name: &String| cluster.node(name).ok_or_else(|| InjectError::UnknownNode(name.clone()));
    let links = links::hit(planned, ground.seed, cluster.names(), nodes);
    let nodes: Vec<&NodeProcess> = nodes.iter().map(named).collect::<Result<_, _>>()?;
    if nodes.is_empty() {
        return Err(InjectError::NoVictim);
    }
    let are_named = matches!(planned.target, Target::Nodes(_));
    planned.fault.inject(Site { ground, id: planned.id, nodes, are_named, links }).await
}

/// What the fault was given, defaults included, and how it waited.
fn parameters(planned: &PlannedFault, waited: Option<Waited>) -> BTreeMap<String, String> {
    let mut parameters = planned.fault.parameters();
    parameters.insert("duration".to_owned(), format!("{}ms", planned.duration_ms));
    if let Some((trigger, waited)) = planned.trigger.zip(waited) {
        let came = if waited.has_come { "came" } else { "did not come" };
        parameters.insert("when".to_owned(), format!("{} ({came})", trigger.when));
        parameters.insert(WAITED.to_owned(), format!("{}ms", waited.ms));
    }
    parameters
}
