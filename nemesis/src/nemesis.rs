//! Plays a schedule on a cluster: looks the victims up, injects each fault, waits, heals, measures.
//!
//! A record of a fault goes out when it is injected and again when it is healed, so that nothing is
//! forgotten if the program ends in between. Whatever ends the play, a fault in force is healed:
//! partitions are lifted, paused processes continued, clocks set right and disks mended even if the
//! play's future is dropped; a killed node is started again unless everything is about to be shut
//! down. Time is the caller's clock, so that records and history can be laid over each other.

mod inject;
mod victims;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::sleep;

use crate::cluster::Cluster;
use crate::record::FaultRecord;
use crate::schedule::{PlannedFault, Schedule, ScheduleError};

use inject::{InForce, inject};

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

/// A cluster's nemesis. `clock` yields nanoseconds since the run began.
#[derive(Debug)]
pub struct Nemesis<'a, R, C> {
    cluster: &'a Cluster,
    roles: &'a R,
    clock: C,
}

impl<'a, R: Roles, C: Fn() -> u64> Nemesis<'a, R, C> {
    /// The nemesis of `cluster`, which learns from `roles` who leads.
    pub fn new(cluster: &'a Cluster, roles: &'a R, clock: C) -> Self {
        Nemesis { cluster, roles, clock }
    }

    /// Plays `schedule`, whose time begins now, until its end or until `stop` is ready. `record` is
    /// given every fault when it is in force and again when it is healed; a fault that could not be
    /// injected is given once, with the reason. Returns once nothing is in force any more.
    ///
    /// # Errors
    ///
    /// If the schedule does not fit the cluster; then nothing was done.
    pub async fn play(
        &self,
        schedule: &Schedule,
        stop: impl Future<Output = Stop>,
        mut record: impl FnMut(&FaultRecord),
    ) -> Result<Ending, ScheduleError> {
        schedule.check(self.cluster.names())?;
        let origin_ns = (self.clock)();
        let mut stop = std::pin::pin!(stop);
        for planned in &schedule.faults {
            let at_ns = origin_ns.saturating_add(planned.at_ms * 1_000_000);
            if let Some(stop) = self.wait(at_ns, stop.as_mut()).await {
                return Ok(ending(stop));
            }
            let until_ns = at_ns.saturating_add(planned.duration_ms * 1_000_000);
            let seed = schedule.seed;
            let stopped = self.befall(planned, seed, until_ns, stop.as_mut(), &mut record).await;
            if let Some(stop) = stopped {
                return Ok(ending(stop));
            }
        }
        Ok(Ending::Played)
    }

    /// Injects one fault, waits until `until_ns` and heals it. How it was stopped, if it was.
    async fn befall(
        &self,
        planned: &PlannedFault,
        seed: u64,
        until_ns: u64,
        mut stop: Pin<&mut impl Future<Output = Stop>>,
        record: &mut impl FnMut(&FaultRecord),
    ) -> Option<Stop> {
        let victims = tokio::select! {
            biased;
            stop = stop.as_mut() => return Some(stop),
            victims = victims::choose(planned, seed, self.cluster.names(), self.roles) => victims,
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
        };
        let in_force = match inject(self.cluster, planned, seed, &happened.nodes).await {
            Ok(in_force) => in_force,
            Err(error) => {
                happened.ended_ns = Some((self.clock)());
                happened.error = Some(error.to_string());
                record(&happened);
                return None;
            }
        };
        happened.effects = in_force.effects_so_far();
        record(&happened);
        let stopped = self.wait(until_ns, stop).await;
        self.heal(in_force, stopped, &mut happened).await;
        record(&happened);
        stopped
    }

    async fn heal(&self, in_force: InForce<'_>, stopped: Option<Stop>, happened: &mut FaultRecord) {
        let healed = in_force.heal(stopped == Some(Stop::ShutDown), &self.clock).await;
        happened.ended_ns = Some(healed.ended_ns);
        happened.effects = healed.effects;
        happened.error = healed.error;
    }

    /// Waits until `until_ns` by the clock, or until stopped.
    async fn wait(
        &self,
        until_ns: u64,
        mut stop: Pin<&mut impl Future<Output = Stop>>,
    ) -> Option<Stop> {
        loop {
            let left_ns = until_ns.saturating_sub((self.clock)());
            if left_ns == 0 {
                return None;
            }
            tokio::select! {
                biased;
                stop = stop.as_mut() => return Some(stop),
                () = sleep(Duration::from_nanos(left_ns)) => {}
            }
        }
    }
}

fn ending(stop: Stop) -> Ending {
    match stop {
        Stop::Heal => Ending::Stopped,
        Stop::ShutDown => Ending::ShutDown,
    }
}

/// What the fault was given, defaults included.
fn parameters(planned: &PlannedFault) -> BTreeMap<String, String> {
    let mut parameters = planned.fault.in_full(&planned.parameters);
    parameters.insert("duration".to_owned(), format!("{}ms", planned.duration_ms));
    parameters
}
