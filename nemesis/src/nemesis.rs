//! Plays a schedule on a cluster: looks the victims up, injects each fault, waits, heals, measures.
//!
//! Every fault has its own course from its time on, and faults may overlap: what they do to links is
//! put together (`alterations`), and what they need of a node's process, clock or disk they have to
//! themselves (`claims`). A record of a fault goes out just before it is injected, when it is in
//! force and again when it is healed, so that nothing is forgotten if the program ends in between.
//! A fault that does something again and again does so until it is healed. Whatever ends the play, a
//! fault in force is healed: partitions are lifted, paused processes continued, clocks set right and
//! disks mended even if the play's future is dropped; a killed node is started again unless
//! everything is about to be shut down. Time is the caller's clock, so that records and history can
//! be laid over each other.

mod alterations;
mod claims;
mod inject;
mod links;
#[cfg(feature = "testing")]
pub(crate) mod manual;
mod membership;
mod network;
mod processes;
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
use crate::record::{Family, FaultRecord};
use crate::schedule::{PlannedFault, Schedule, ScheduleError};
use crate::together::all;

use alterations::Alterations;
use claims::Claims;
use inject::{InForce, InjectError, Means, inject};
use membership::Turn;

/// What the nemesis must ask about the system under test.
pub trait Roles {
    /// The name of the node that leads now, if one is known to. May be slow: it is given a limit.
    fn leader(&self) -> impl Future<Output = Option<String>> + Send;
}

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

/// What the faults of one play share.
struct Stage<'a, R, F> {
    seed: u64,
    origin_ns: u64,
    means: Means<'a, R>,
    claims: &'a Claims,
    record: Mutex<F>,
}

impl<R, F: FnMut(Moment, &FaultRecord)> Stage<'_, R, F> {
    fn record(&self, moment: Moment, happened: &FaultRecord) {
        log(moment, happened);
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record(moment, happened);
    }
}

impl<'a, R: Roles, C: Fn() -> u64> Nemesis<'a, R, C> {
    /// The nemesis of `cluster`, which learns from `roles` who leads.
    pub fn new(cluster: &'a Cluster, roles: &'a R, clock: C) -> Self {
        Nemesis { cluster, roles, administration: None, clock }
    }

    /// The same, with somebody who can change the members and the leader.
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
        schedule.check_tier(self.cluster.lab().tier())?;
        self.check_administration(schedule)?;
        let alterations = Alterations::new(self.cluster.lab().medium());
        let turn = Turn::default();
        let stage = Stage {
            seed: schedule.seed,
            origin_ns: (self.clock)(),
            means: Means {
                cluster: self.cluster,
                alterations: &alterations,
                roles: self.roles,
                administration: self.administration,
                turn: &turn,
            },
            claims: &Claims::default(),
            record: Mutex::new(record),
        };
        let (stopper, stopping) = watch::channel(None);
        let courses = schedule.faults.iter();
        let courses = courses.map(|planned| {
            let span = tracing::error_span!("fault", id = planned.id, name = %planned.fault);
            self.befall(planned, &stage, stopping.clone()).instrument(span)
        });
        let mut played = std::pin::pin!(all(courses.collect()));
        let stop = tokio::select! {
            biased;
            stop = stop => stop,
            _ = &mut played => return Ok(Ending::Played),
        };
        // Every course has a receiver as long as it is under way.
        let _ = stopper.send(Some(stop));
        played.await;
        Ok(match stop {
            Stop::Heal => Ending::Stopped,
            Stop::ShutDown => Ending::ShutDown,
        })
    }

    /// Whether somebody can do what only an administrator can.
    fn check_administration(&self, schedule: &Schedule) -> Result<(), ScheduleError> {
        let is_of_members = |planned: &&PlannedFault| planned.fault.family() == Family::Membership;
        match schedule.faults.iter().find(is_of_members) {
            Some(PlannedFault { id, fault, .. }) if self.administration.is_none() => {
                Err(ScheduleError::NoAdministration { id: *id, fault: *fault })
            }
            _ => Ok(()),
        }
    }

    /// The course of one fault: waits for its time, injects it, waits until it is over and heals it.
    async fn befall<F: FnMut(Moment, &FaultRecord)>(
        &self,
        planned: &PlannedFault,
        stage: &Stage<'_, R, F>,
        mut stopping: watch::Receiver<Option<Stop>>,
    ) {
        let at_ns = stage.origin_ns.saturating_add(planned.at_ms * 1_000_000);
        let until_ns = at_ns.saturating_add(planned.duration_ms * 1_000_000);
        if self.wait(at_ns, &mut stopping).await.is_some() {
            return;
        }
        let is_free = |node: &str| stage.claims.is_free(planned.fault, node);
        let names = self.cluster.names();
        let victims = tokio::select! {
            biased;
            _ = stopped(&mut stopping) => return,
            victims = victims::choose(planned, stage.seed, names, self.roles, is_free) => victims,
        };
        let mut happened = FaultRecord {
            id: planned.id,
            fault: planned.fault.name().to_owned(),
            family: planned.fault.family(),
            target: victims.how,
            nodes: victims.nodes,
            parameters: parameters(planned),
            began_ns: (self.clock)(),
            ended_ns: None,
            effects: Vec::new(),
            error: None,
            unhealed: false,
        };
        let claim = stage.claims.take(planned.id, planned.fault, &happened.nodes);
        let injected = match &claim {
            Ok(_) => {
                stage.record(Moment::Coming, &happened);
                inject(&stage.means, planned, stage.seed, &happened.nodes).await
            }
            Err((node, by)) => Err(InjectError::Taken { node: node.clone(), by: *by }),
        };
        let mut in_force = match injected {
            Ok(in_force) => in_force,
            Err(error) => {
                happened.ended_ns = Some((self.clock)());
                happened.error = Some(error.to_string());
                stage.record(Moment::Over, &happened);
                return;
            }
        };
        happened.effects = in_force.effects_so_far();
        stage.record(Moment::Begun, &happened);
        let stop = tokio::select! {
            biased;
            stop = self.wait(until_ns, &mut stopping) => stop,
            never = in_force.act() => match never {},
        };
        self.heal(in_force, stop, &mut happened).await;
        stage.record(Moment::Over, &happened);
    }

    async fn heal(
        &self,
        in_force: InForce<'_, R>,
        stopped: Option<Stop>,
        happened: &mut FaultRecord,
    ) {
        let healed = in_force.heal(stopped == Some(Stop::ShutDown), &self.clock).await;
        happened.ended_ns = Some(healed.ended_ns);
        happened.effects = healed.effects;
        happened.unhealed = healed.unhealed;
        happened.error = healed.error;
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

/// What the fault was given, defaults included.
fn parameters(planned: &PlannedFault) -> BTreeMap<String, String> {
    let mut parameters = planned.fault.in_full(&planned.parameters);
    parameters.insert("duration".to_owned(), format!("{}ms", planned.duration_ms));
    parameters
}
