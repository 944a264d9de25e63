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
use crate::lab::switch::UnknownLink;
use crate::record::Effect;
use crate::schedule::{Direction, PlannedFault};
use crate::together::all;

use super::alterations::{Alterations, Altered};

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
    #[error("{0} was given parameters that it does not understand")]
    Parameters(Fault),
    #[error("{node} is hit by fault {by} already")]
    Taken { node: String, by: u32 },
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
    Partition(Altered<'a>),
    Pause(Vec<Paused<'a>>),
    Kill(Vec<Killed<'a>>),
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
    links: &'a Alterations<'a>,
    planned: &PlannedFault,
    seed: u64,
    nodes: &[String],
) -> Result<InForce<'a>, InjectError> {
    let named =
        |name: &String| cluster.node(name).ok_or_else(|| InjectError::UnknownNode(name.clone()));
    let victims: Vec<&NodeProcess> = nodes.iter().map(named).collect::<Result<_, _>>()?;
    let first = *victims.first().ok_or(InjectError::NoVictim)?;
    let block = |cut: Vec<Link>| links.begin(cut, |policy| policy.block = true);
    match planned.fault {
        Fault::Isolate => {
            let cut = cluster.links_of_each(nodes, Direction::Out);
            let back = cluster.links_of_each(nodes, Direction::In);
            Ok(InForce::Partition(block(cut.into_iter().chain(back).collect())?))
        }
        Fault::Halves => {
            let out = cluster.links_out_of(nodes);
            let back = out.iter().map(|link| Link::new(&link.to, &link.from));
            Ok(InForce::Partition(block(back.chain(out.clone()).collect())?))
        }
        Fault::OneWay => {
            let cut = cluster.links_of_each(nodes, planned.direction());
            Ok(InForce::Partition(block(cut)?))
        }
        Fault::Pause => {
            let pauses = all(victims.into_iter().map(Paused::begin).collect()).await;
            Ok(InForce::Pause(pauses.into_iter().collect::<Result<_, _>>()?))
        }
        Fault::Kill => {
            let kills = all(victims.into_iter().map(Killed::begin).collect()).await;
            Ok(InForce::Kill(kills.into_iter().collect::<Result<_, _>>()?))
        }
        Fault::ClockStep | Fault::ClockStrobe | Fault::ClockRate => {
            let change = planned.clock_change().ok_or(InjectError::Parameters(planned.fault))?;
            Ok(InForce::Clock(Moved::begin(first, change).await?))
        }
        Fault::PowerLoss
        | Fault::PowerLossAll
        | Fault::DiskError
        | Fault::DiskFull
        | Fault::DiskSlow
        | Fault::BitFlip
        | Fault::Truncate => Ok(InForce::Disk(force::inject(planned, seed, victims).await?)),
    }
}

impl InForce<'_> {
    /// What it did up to now, as far as that can no longer change.
    pub(super) fn effects_so_far(&self) -> Vec<Effect> {
        match self {
            InForce::Partition(_) | InForce::Pause(_) | InForce::Clock(_) => Vec::new(),
            InForce::Kill(killed) => vec![Killed::effect(killed)],
            InForce::Disk(disk) => disk.effects_so_far(),
        }
    }

    /// Undoes it. A killed node stays dead if everything is about to be shut down.
    pub(super) async fn heal(self, shutting_down: bool, clock: &impl Fn() -> u64) -> Healed {
        let mut effects = self.effects_so_far();
        let (measured, error) = match self {
            InForce::Partition(mut cut) => {
                let frames = cut.end().and_then(|()| cut.grown(|counters| counters.blocked));
                let effect = |frames| Effect::new("frames dropped", frames as f64, "frames");
                result(frames.map(effect))
            }
            InForce::Pause(paused) => Paused::heal(paused),
            InForce::Kill(_) if shutting_down => (Vec::new(), None),
            InForce::Kill(killed) => return Killed::heal(killed, effects, clock).await,
            InForce::Clock(moved) => moved.heal(),
            InForce::Disk(disk) => {
                let (effects, error) = disk.heal(shutting_down).await;
                return Healed { ended_ns: clock(), effects, error };
            }
        };
        effects.extend(measured);
        Healed { ended_ns: clock(), effects, error }
    }
}

/// What was measured, or what went wrong.
fn result(measured: Result<Effect, impl std::fmt::Display>) -> (Vec<Effect>, Option<String>) {
    match measured {
        Ok(effect) => (vec![effect], None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    }
}

/// Several errors as one, if there are any.
fn joined(errors: &[String]) -> Option<String> {
    (!errors.is_empty()).then(|| errors.join("; "))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// A node that is stopped until this is dropped.
pub(super) struct Paused<'a> {
    node: &'a NodeProcess,
    is_paused: bool,
}

impl<'a> Paused<'a> {
    async fn begin(node: &'a NodeProcess) -> Result<Paused<'a>, SignalError> {
        node.pause().await?;
        Ok(Paused { node, is_paused: true })
    }

    /// Continues them; how long the one that was stopped least was stopped.
    fn heal(paused: Vec<Paused<'_>>) -> (Vec<Effect>, Option<String>) {
        let (mut least, mut errors) = (Duration::MAX, Vec::new());
        for mut paused in paused {
            paused.is_paused = false;
            match paused.node.resume() {
                Ok(stopped) => least = least.min(stopped),
                Err(error) => errors.push(error.to_string()),
            }
        }
        let stopped = if errors.is_empty() { milliseconds(least) } else { 0.0 };
        (vec![Effect::new("time stopped", stopped, "ms")], joined(&errors))
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

impl<'a> Killed<'a> {
    async fn begin(node: &'a NodeProcess) -> Result<Killed<'a>, SignalError> {
        let status = node.kill().await?;
        Ok(Killed { node, status, since: Instant::now() })
    }

    fn effect(killed: &[Killed<'_>]) -> Effect {
        let by_us = killed.iter().filter(|it| it.status.signal() == Some(libc::SIGKILL)).count();
        Effect::new("killed by signal 9", by_us as f64, "processes")
    }

    /// Starts them again, and sees whether they stay up.
    async fn heal(
        killed: Vec<Killed<'_>>,
        mut effects: Vec<Effect>,
        clock: &impl Fn() -> u64,
    ) -> Healed {
        let started: Vec<_> = killed.iter().map(|killed| killed.node.start()).collect();
        // The fault is over now; that the nodes stay up is only checked.
        let ended_ns = clock();
        let least = killed.iter().map(|killed| killed.since.elapsed()).min().unwrap_or_default();
        let lives = all(killed.iter().map(Killed::prove_life).collect()).await;
        let mut errors = Vec::new();
        for ((killed, started), lives) in killed.iter().zip(started).zip(lives) {
            let outcome = started.map_err(RestartError::from).and(lives);
            errors.extend(outcome.err().map(|error| format!("{}: {error}", killed.node.node())));
        }
        if errors.is_empty() {
            effects.push(Effect::new("time down", milliseconds(least), "ms"));
        }
        Healed { ended_ns, effects, error: joined(&errors) }
    }

    /// Waits to see whether the node that was started again stays up.
    async fn prove_life(&self) -> Result<(), RestartError> {
        match timeout(PROOF_OF_LIFE, self.node.ended()).await {
            Ok(Some(status)) => Err(RestartError::EndedAgain(status)),
            Ok(None) | Err(_) => Ok(()),
        }
    }
}
