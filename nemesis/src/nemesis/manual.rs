//! Injects faults one by one, each until it is told to heal: what a test does by hand.
//!
//! Every fault takes the way that one of a schedule takes; it only has no end of its own. A thread of
//! its own sees it through.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use tokio::runtime;
use tokio::sync::watch;

use super::resource_locks::ResourceLocks;
use super::{Moment, Nemesis, Roles, Stage, Stop};
use crate::cluster::Cluster;
use crate::fault::link::overlay::Overlays;
use crate::fault::membership::Turn;
use crate::fault::site::InjectContext;
use crate::fault::{Fault, Target};
use crate::record::FaultRecord;
use crate::schedule::{PlannedFault, Schedule};

/// For how long a fault is planned that is to be healed by hand, in milliseconds: a day.
const LASTING_MS: u64 = 24 * 60 * 60 * 1_000;

/// A cluster of which it is not known which node leads.
#[derive(Debug)]
struct Leaderless;

impl Roles for Leaderless {
    async fn leader(&self) -> Option<String> {
        None
    }
}

/// The faults of a cluster that lasts as long as the program.
#[derive(Debug)]
pub(crate) struct Manual {
    cluster: &'static Cluster,
    overlays: Overlays<'static>,
    locks: ResourceLocks,
    turn: Turn,
    /// How many faults there were.
    count: AtomicU32,
    began: Instant,
}

/// A fault in force.
#[derive(Debug)]
pub(crate) struct Held {
    stop: watch::Sender<Option<Stop>>,
    thread: JoinHandle<Option<FaultRecord>>,
}

impl Held {
    /// Heals it and waits until that is done; its record.
    pub(crate) fn heal(self) -> Option<FaultRecord> {
        // The thread may be through already.
        let _ = self.stop.send(Some(Stop::Heal));
        self.thread.join().ok().flatten()
    }
}

impl Manual {
    pub(crate) fn new(cluster: &'static Cluster) -> Manual {
        Manual {
            cluster,
            overlays: Overlays::new(cluster.lab().network()),
            locks: ResourceLocks::default(),
            turn: Turn::default(),
            count: AtomicU32::new(0),
            began: Instant::now(),
        }
    }

    /// Injects a fault and waits until it is in force.
    ///
    /// # Errors
    ///
    /// If the cluster cannot have it, or it could not be injected; why.
    pub(crate) fn inject(&'static self, fault: Fault, target: Target) -> Result<Held, String> {
        let id = self.count.fetch_add(1, Ordering::Relaxed);
        let planned =
            PlannedFault { id, at_ms: 0, trigger: None, duration_ms: LASTING_MS, fault, target };
        let (stop, stopping) = watch::channel(None);
        let (begun, answer) = mpsc::channel();
        let name = format!("fault {id}");
        let spawned = thread::Builder::new()
            .name(name)
            .spawn(move || self.see_through(planned, stopping, &begun));
        let thread = spawned.map_err(|error| error.to_string())?;
        let held = Held { stop, thread };
        match begun_with(&answer) {
            None => Ok(held),
            Some(error) => {
                held.heal();
                Err(error)
            }
        }
    }

    /// Injects a fault, waits until it is to be healed, and heals it.
    fn see_through(
        &'static self,
        planned: PlannedFault,
        stopping: watch::Receiver<Option<Stop>>,
        begun: &mpsc::Sender<Option<String>>,
    ) -> Option<FaultRecord> {
        let clock = || u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let nemesis = Nemesis::new(self.cluster, &Leaderless, clock);
        let schedule = Schedule { seed: 0, faults: vec![planned], read_only: Vec::new() };
        let refused = schedule
            .check(self.cluster.names())
            .and_then(|()| schedule.check_tier(self.cluster.lab().backend()))
            .and_then(|()| nemesis.check_administration(&schedule));
        if let Err(error) = refused {
            let _ = begun.send(Some(error.to_string()));
            return None;
        }
        let mut last = None;
        let stage = Stage {
            origin_ns: clock(),
            ground: InjectContext {
                cluster: self.cluster,
                overlays: &self.overlays,
                roles: &Leaderless,
                administration: None,
                turn: &self.turn,
                seed: u64::from(schedule.faults[0].id),
            },
            locks: &self.locks,
            record: Mutex::new(|moment, record: &FaultRecord| {
                if moment != Moment::Coming {
                    // Only the first counts, and no other is waited for.
                    let _ = begun.send(record.error.clone());
                }
                last = Some(record.clone());
            }),
        };
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => {
                runtime.block_on(nemesis.play_one(&schedule.faults[0], &stage, stopping));
            }
            Err(error) => drop(begun.send(Some(error.to_string()))),
        }
        last
    }
}

/// What kept a fault from being injected, if anything did.
fn begun_with(answer: &Receiver<Option<String>>) -> Option<String> {
    answer.recv().unwrap_or_else(|_| Some("its thread ended before it was in force".to_owned()))
}
