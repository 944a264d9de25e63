//! Does each fault to a cluster, undoes it, and measures what it did.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::clock::in_force::{MoveError, Moved};
use crate::cluster::Cluster;
use crate::disk::force::{self, ForceError};
use crate::fault::Fault;
use crate::lab::Link;
use crate::lab::process::{NodeProcess, SignalError, StartError};
use crate::lab::switch::{Switch, UnknownLink};
use crate::record::Effect;
use crate::schedule::{Direction, PlannedFault, ScheduleError};

/// How long a node that was started again must stay up to count as running.
const PROOF_OF_LIFE: Duration = Duration::from_millis(250);

/// Why a fault could not be injected.
#[derive(Debug, thiserror::Error)]
pub(super) enum InjectError {
    #[error("no node was chosen")]
    NoVictim,
    #[error("no node is called {0:?}")]
    UnknownNode(String),
    #[error(transparent)]
    Link(#[from] UnknownLink),
    #[error(transparent)]
    Signal(#[from] SignalError),
    #[error(transparent)]
    Clock(#[from] MoveError),
    #[error(transparent)]
    Parameter(#[from] ScheduleError),
    #[error(transparent)]
    Disk(#[from] ForceError),
}

/// Why a killed node does not run again.
#[derive(Debug, thiserror::Error)]
enum RestartError {
    #[error("starting it again: {0}")]
    Start(#[from] StartError),
    #[error("it ended within {PROOF_OF_LIFE:?} of being started again: {0}")]
    EndedAgain(ExitStatus),
}

/// A fault that was injected and is not healed yet.
pub(super) enum InForce<'a> {
    Partition(Cut<'a>),
    Pause(Paused<'a>),
    Kill(Killed<'a>),
    Clock(Moved),
    Disk(force::InForce<'a>),
}

/// What a fault did, and what went wrong when it was healed.
pub(super) struct Healed {
    /// When it was over, by the caller's clock.
    pub(super) ended_ns: u64,
    pub(super) effects: Vec<Effect>,
    pub(super) error: Option<String>,
}

/// Does `planned` to `nodes`.
pub(super) async fn inject<'a>(
    cluster: &'a Cluster,
    planned: &PlannedFault,
    seed: u64,
    nodes: &[String],
) -> Result<InForce<'a>, InjectError> {
    let switch = cluster.lab().switch();
    let out = || cluster.links_out_of(nodes);
    let back = || out().into_iter().map(|link| Link::new(link.to, link.from));
    let victim = || {
        let name = nodes.first().ok_or(InjectError::NoVictim)?;
        cluster.node(name).ok_or_else(|| InjectError::UnknownNode(name.clone()))
    };
    match planned.fault {
        Fault::Isolate | Fault::Halves => {
            Ok(InForce::Partition(Cut::make(switch, out().into_iter().chain(back()).collect())?))
        }
        Fault::OneWay => {
            let links = match planned.direction() {
                Direction::In => back().collect(),
                Direction::Out => out(),
            };
            Ok(InForce::Partition(Cut::make(switch, links)?))
        }
        Fault::Pause => {
            let node = victim()?;
            node.pause().await?;
            Ok(InForce::Pause(Paused { node, is_paused: true }))
        }
        Fault::Kill => {
            let node = victim()?;
            let status = node.kill().await?;
            Ok(InForce::Kill(Killed { node, status, since: Instant::now() }))
        }
        Fault::ClockStep | Fault::ClockStrobe | Fault::ClockRate => {
            Ok(InForce::Clock(Moved::begin(victim()?, planned.clock_change()?).await?))
        }
        Fault::PowerLoss
        | Fault::PowerLossAll
        | Fault::DiskError
        | Fault::DiskFull
        | Fault::DiskSlow
        | Fault::BitFlip
        | Fault::Truncate => {
            victim()?;
            let nodes = nodes.iter().filter_map(|name| cluster.node(name)).collect();
            Ok(InForce::Disk(force::inject(planned, seed, nodes).await?))
        }
    }
}

impl InForce<'_> {
    /// What it did up to now, as far as that can no longer change.
    pub(super) fn effects_so_far(&self) -> Vec<Effect> {
        match self {
            InForce::Partition(_) | InForce::Pause(_) | InForce::Clock(_) => Vec::new(),
            InForce::Kill(killed) => vec![killed.effect()],
            InForce::Disk(disk) => disk.effects_so_far(),
        }
    }

    /// Undoes it. A killed node stays dead if everything is about to be shut down.
    pub(super) async fn heal(self, shutting_down: bool, clock: &impl Fn() -> u64) -> Healed {
        let mut effects = self.effects_so_far();
        let measured = match self {
            InForce::Partition(cut) => cut.heal().map_err(|error| error.to_string()),
            InForce::Pause(paused) => paused.heal().map_err(|error| error.to_string()),
            InForce::Kill(_) if shutting_down => {
                return Healed { ended_ns: clock(), effects, error: None };
            }
            InForce::Kill(killed) => return killed.heal(effects, clock).await,
            InForce::Clock(moved) => {
                let (seen, error) = moved.heal();
                effects.extend(seen);
                return Healed { ended_ns: clock(), effects, error };
            }
            InForce::Disk(disk) => {
                let (effects, error) = disk.heal(shutting_down).await;
                return Healed { ended_ns: clock(), effects, error };
            }
        };
        let (measured, error) = measured.map_or_else(|e| (None, Some(e)), |m| (Some(m), None));
        effects.extend(measured);
        Healed { ended_ns: clock(), effects, error }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// Links that carry nothing until this is dropped.
pub(super) struct Cut<'a> {
    switch: &'a Switch,
    links: Vec<Link>,
    /// What had been dropped on the links before.
    dropped_before: u64,
    is_cut: bool,
}

impl<'a> Cut<'a> {
    fn make(switch: &'a Switch, links: Vec<Link>) -> Result<Cut<'a>, UnknownLink> {
        let mut cut = Cut { switch, links, dropped_before: 0, is_cut: false };
        cut.dropped_before = cut.dropped()?;
        switch.change(&cut.links, |policy| policy.block = true)?;
        cut.is_cut = true;
        Ok(cut)
    }

    fn dropped(&self) -> Result<u64, UnknownLink> {
        let dropped = |link: &Link| {
            self.switch.counters(&link.from, &link.to).map(|counters| counters.blocked)
        };
        self.links.iter().map(dropped).sum()
    }

    fn lift(&mut self) -> Result<(), UnknownLink> {
        if self.is_cut {
            self.switch.change(&self.links, |policy| policy.block = false)?;
            self.is_cut = false;
        }
        Ok(())
    }

    fn heal(mut self) -> Result<Effect, UnknownLink> {
        self.lift()?;
        let frames = self.dropped()? - self.dropped_before;
        Ok(Effect::new("frames dropped", frames as f64, "frames"))
    }
}

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        // The links were known when they were cut.
        let _ = self.lift();
    }
}

/// A node that is stopped until this is dropped.
pub(super) struct Paused<'a> {
    node: &'a NodeProcess,
    is_paused: bool,
}

impl Paused<'_> {
    fn heal(mut self) -> Result<Effect, SignalError> {
        self.is_paused = false;
        Ok(Effect::new("time stopped", milliseconds(self.node.resume()?), "ms"))
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        if self.is_paused {
            // Fails only if the process has ended meanwhile.
            let _ = self.node.resume();
        }
    }
}

/// A node that was killed.
pub(super) struct Killed<'a> {
    node: &'a NodeProcess,
    status: ExitStatus,
    since: Instant,
}

impl Killed<'_> {
    fn effect(&self) -> Effect {
        let killed = self.status.signal() == Some(libc::SIGKILL);
        Effect::new("killed by signal 9", f64::from(u8::from(killed)), "processes")
    }

    async fn heal(self, mut effects: Vec<Effect>, clock: &impl Fn() -> u64) -> Healed {
        let started = self.node.start().map_err(RestartError::from);
        // The fault is over now; that the node stays up is only checked.
        let ended_ns = clock();
        let down = Effect::new("time down", milliseconds(self.since.elapsed()), "ms");
        let lives = match started {
            Ok(_) => self.prove_life().await,
            Err(error) => Err(error),
        };
        if lives.is_ok() {
            effects.push(down);
        }
        let error = lives.err().map(|error| format!("{}: {error}", self.node.node()));
        Healed { ended_ns, effects, error }
    }

    /// Waits to see whether the node that was started again stays up.
    async fn prove_life(&self) -> Result<(), RestartError> {
        match timeout(PROOF_OF_LIFE, self.node.ended()).await {
            Ok(Some(status)) => Err(RestartError::EndedAgain(status)),
            Ok(None) | Err(_) => Ok(()),
        }
    }
}
