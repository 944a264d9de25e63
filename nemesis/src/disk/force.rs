//! Does disk faults to nodes, undoes them, and measures what they did.

use std::time::{Duration, Instant};

use rand::rngs::ChaCha8Rng;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::damage::{self, Damage};
use super::parameters;
use super::{Disk, DiskError, Loss, NameModel, Tally, Tear, Troubled};
use crate::fault::Fault;
use crate::lab::process::{NodeProcess, SignalError, StartError};
use crate::random::stream;
use crate::record::Effect;
use crate::schedule::PlannedFault;
use crate::together::all;

/// How long a node that was started again must stay up to count as running.
const PROOF_OF_LIFE: Duration = Duration::from_millis(250);

/// Why a disk fault could not be injected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForceError {
    /// The node was started without a watched disk.
    #[error("the disk of {0} is not watched: no disk fault was expected when it was started")]
    Unwatched(String),
    /// A parameter that a checked schedule does not have.
    #[error("{0} was given parameters that it does not understand")]
    Parameters(Fault),
    /// The file could not be damaged.
    #[error("damaging a file of {node}: {source}")]
    Damage {
        /// The node.
        node: String,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The node.
    #[error(transparent)]
    Signal(#[from] SignalError),
    /// The node, again.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// A disk fault in force.
#[derive(Debug)]
pub(crate) enum InForce<'a> {
    /// Nodes without power.
    Dark { nodes: Vec<&'a NodeProcess>, effects: Vec<Effect>, since: Instant },
    /// A disk that fails, is full or is slow.
    Troubled { node: &'a NodeProcess, troubled: Troubled },
    /// A file that was damaged under a node that was started again.
    Damaged { node: &'a NodeProcess, damage: Damage },
}

/// Does `planned` to `nodes`.
pub(crate) async fn inject<'a>(
    planned: &PlannedFault,
    seed: u64,
    nodes: Vec<&'a NodeProcess>,
) -> Result<InForce<'a>, ForceError> {
    let fault = planned.fault;
    let word = |name| planned.word(name);
    let unknown = || ForceError::Parameters(fault);
    let rng =
        |node: &NodeProcess| stream(seed, &format!("disk of {}: {}", node.node(), planned.id));
    for node in &nodes {
        disk(node)?;
    }
    match fault {
        Fault::PowerLoss | Fault::PowerLossAll => {
            let tear = parameters::tear(word(parameters::TEAR)).ok_or_else(unknown)?;
            let rngs = nodes.iter().map(|node| rng(node)).collect();
            let model = parameters::name_model(word(parameters::NAMES)).ok_or_else(unknown)?;
            let mut dark = darken(nodes, model, tear, rngs).await?;
            // Were all of them down all the time, nobody could do anything under this fault.
            if fault == Fault::PowerLossAll {
                dark.power_up()?;
            }
            Ok(dark)
        }
        Fault::BitFlip | Fault::Truncate => {
            let node = nodes[0];
            let disk = disk(node)?.clone();
            kill(node).await?;
            let failed = |source| ForceError::Damage { node: node.node().to_owned(), source };
            let path = damage::find(disk.directory(), parameters::file(word(parameters::FILE)))
                .map_err(failed)?;
            let damaged = if fault == Fault::BitFlip {
                Damage::flip(
                    path,
                    parameters::spot(word(parameters::PLACE)).ok_or_else(unknown)?,
                    &mut rng(node),
                )
            } else {
                Damage::cut(
                    path,
                    parameters::keep_percent(word(parameters::KEEP)).ok_or_else(unknown)?,
                )
            };
            let damage = damaged.map_err(failed)?;
            disk.settle()?;
            node.start()?;
            Ok(InForce::Damaged { node, damage })
        }
        _ => {
            let node = nodes[0];
            let trouble = parameters::trouble(planned).ok_or_else(unknown)?;
            let troubled = disk(node)?.trouble(trouble, rng(node));
            Ok(InForce::Troubled { node, troubled })
        }
    }
}

/// Kills all nodes at once, and takes back what their disks do not hold.
async fn darken(
    nodes: Vec<&NodeProcess>,
    model: NameModel,
    tear: Tear,
    rngs: Vec<ChaCha8Rng>,
) -> Result<InForce<'_>, ForceError> {
    let since = Instant::now();
    let mut killed = 0.0;
    for outcome in all(nodes.iter().map(|node| kill(node)).collect()).await {
        killed += f64::from(u8::from(outcome?));
    }
    let mut lost = Loss::default();
    for (node, mut rng) in nodes.iter().zip(rngs) {
        let disk = disk(node)?.clone();
        let losing = spawn_blocking(move || disk.lose_power(model, tear, &mut rng));
        let loss =
            losing.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        lost.bytes += loss.bytes;
        lost.survived += loss.survived;
        lost.names += loss.names;
    }
    let effects = vec![
        Effect::new("lost power", killed, "processes"),
        Effect::new("bytes lost", lost.bytes as f64, "bytes"),
        Effect::new("unsynced bytes kept", lost.survived as f64, "bytes"),
        Effect::new("directory entries lost", lost.names as f64, "entries"),
    ];
    Ok(InForce::Dark { nodes, effects, since })
}

impl InForce<'_> {
    /// Starts the nodes that have no power.
    fn power_up(&mut self) -> Result<(), ForceError> {
        if let InForce::Dark { nodes, effects, since } = self {
            for node in nodes.iter() {
                node.start()?;
            }
            let down = since.elapsed().as_secs_f64() * 1_000.0;
            effects.push(Effect::new("time down", down, "ms"));
        }
        Ok(())
    }

    /// What it did up to now, as far as that can no longer change.
    pub(crate) fn effects_so_far(&self) -> Vec<Effect> {
        match self {
            InForce::Dark { effects, .. } => effects.clone(),
            InForce::Troubled { .. } => Vec::new(),
            InForce::Damaged { damage, .. } => {
                vec![Effect::new("bytes damaged", damage.bytes() as f64, "bytes")]
            }
        }
    }

    /// Undoes it. Nodes that are down stay down if everything is about to be shut down. What it did
    /// and what went wrong.
    pub(crate) async fn heal(self, shutting_down: bool) -> (Vec<Effect>, Option<String>) {
        let mut effects = self.effects_so_far();
        let down: Vec<&NodeProcess> = match &self {
            InForce::Dark { nodes, .. } => nodes.clone(),
            // Nobody ends of that; what is down is so by another fault.
            InForce::Troubled { troubled, .. } if troubled.is_slowness() => Vec::new(),
            InForce::Troubled { node, .. } | InForce::Damaged { node, .. } => vec![*node],
        };
        match &self {
            InForce::Dark { .. } => {}
            InForce::Troubled { node, troubled } => {
                effects.extend(counted(troubled.tally()));
                let ended = f64::from(u8::from(!node.is_running()));
                effects.push(Effect::new("ended by itself", ended, "processes"));
            }
            InForce::Damaged { node, damage } if !node.is_running() => {
                effects.push(Effect::new("refused to run", 1.0, "processes"));
                if let Err(error) = mend(node, damage) {
                    return (effects, Some(format!("{}: mending: {error}", node.node())));
                }
            }
            InForce::Damaged { .. } => {}
        }
        let dark_since = match &self {
            InForce::Dark { since, .. } if down.iter().all(|node| !node.is_running()) => {
                Some(*since)
            }
            _ => None,
        };
        // A disk in trouble is whole again before anything is started on it.
        drop(self);
        if shutting_down {
            return (effects, None);
        }
        let outcomes = all(down.into_iter().map(start_again).collect()).await;
        let errors: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
        if let Some(since) = dark_since.filter(|_| errors.is_empty()) {
            let down = (since.elapsed().saturating_sub(PROOF_OF_LIFE)).as_secs_f64() * 1_000.0;
            effects.push(Effect::new("time down", down, "ms"));
        }
        (effects, (!errors.is_empty()).then(|| errors.join("; ")))
    }
}

fn mend(node: &NodeProcess, damage: &Damage) -> Result<(), ForceError> {
    let failed = |source| ForceError::Damage { node: node.node().to_owned(), source };
    damage.mend().map_err(failed)?;
    Ok(disk(node)?.settle()?)
}

fn disk(node: &NodeProcess) -> Result<&Disk, ForceError> {
    node.disk().ok_or_else(|| ForceError::Unwatched(node.node().to_owned()))
}

/// Kills a node if it runs; whether it did.
async fn kill(node: &NodeProcess) -> Result<bool, SignalError> {
    match node.kill().await {
        Ok(_) => Ok(true),
        Err(SignalError::NotRunning { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Starts a node that is down and sees whether it stays up.
async fn start_again(node: &NodeProcess) -> Result<(), String> {
    if node.is_running() {
        return Ok(());
    }
    node.start().map_err(|error| format!("starting it again: {error}"))?;
    match timeout(PROOF_OF_LIFE, node.ended()).await {
        Ok(Some(status)) => Err(format!(
            "{}: it ended within {PROOF_OF_LIFE:?} of being started again: {status}",
            node.node()
        )),
        Ok(None) | Err(_) => Ok(()),
    }
}

fn counted(tally: Tally) -> Vec<Effect> {
    let added = tally.added.as_secs_f64() * 1_000.0;
    let all = [
        Effect::new("calls failed", tally.failed as f64, "calls"),
        Effect::new("syncs delayed", tally.delayed as f64, "calls"),
        Effect::new("delay added", added, "ms"),
    ];
    all.into_iter().filter(|effect| effect.amount > 0.0).collect()
}
