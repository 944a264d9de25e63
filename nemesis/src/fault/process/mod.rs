//! Faults of processes: who stops, who dies, and who comes back when.
//!
//! Whatever moment a fault is healed at, in the middle of a restart as well, every node that it ended
//! is started again and seen to stay up, unless everything is about to be shut down.

mod down;
mod kill;
mod kill_all;
mod pause;
mod pause_loop;
mod paused;
mod restart_voters;
mod restarts;
mod rolling_restart;
mod terminate;

use std::process::ExitStatus;
use std::time::Duration;

use tokio::time::timeout;

use super::description::{
    Drawn, Evidence, ExcludedNodes, Needs, Reach, Resource, ShownBy, Victims,
};
use super::{Target, values};
use crate::lab::LabBackend;
use crate::lab::process::{NodeProcess, SignalError, StartError};

pub use rolling_restart::RestartMethod;

super::faults! {
    pause::Pause,
    pause_loop::PauseLoop,
    kill::Kill,
    terminate::Terminate,
    kill_all::KillAll,
    rolling_restart::RollingRestart,
    restart_voters::RestartVoters,
}

/// RestartMethod long a node that was started again must stay up to count as running.
pub(super) const PROOF_OF_LIFE: Duration = Duration::from_millis(250);

/// A time that a process is down, or that is waited between two.
type Spell = values::Time<0, 60_000>;

/// Why a node does not run again.
#[derive(Debug, thiserror::Error)]
pub(super) enum RestartError {
    #[error("starting it again: {0}")]
    Start(#[from] StartError),
    #[error("it ended within {PROOF_OF_LIFE:?} of being started again: {0}")]
    EndedAgain(ExitStatus),
    #[error(transparent)]
    Signal(#[from] SignalError),
}

/// Waits to see whether a node that was started again stays up.
pub(super) async fn prove_life(node: &NodeProcess) -> Result<(), RestartError> {
    match timeout(PROOF_OF_LIFE, node.ended()).await {
        Ok(Some(status)) => Err(RestartError::EndedAgain(status)),
        Ok(None) | Err(_) => Ok(()),
    }
}

pub(super) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

pub(super) const HOLDS: &[Resource] = &[Resource::Process, Resource::Power];

const NEEDS: Needs =
    Needs { lab: LabBackend::Signals, nodes: 1, running: false, administrator: false };

/// All nodes, or those that a schedule chooses.
const ALL_OR_SOME: Victims = Victims::Chosen {
    default: Target::All,
    reach: Reach::Any,
    summary: "the victims, looked up when the fault begins; all are those that no other fault keeps \
              from running",
    unit: "leader, follower, followers, random, minority, majority, all or names of nodes",
    takes_any: true,
    // All that are restarted are no one in particular.
    is_drawn: false,
};

const fn drawn(keeps: ExcludedNodes) -> Drawn {
    Drawn { shortest_ms: 1_500, longest_ms: 3_500, keeps }
}

const STOPPED: Evidence = Evidence {
    felt: |it| it.unit == "ms",
    or_else: "no victim was stopped",
    shown: ShownBy::Majority,
};

const fn ended(shown: ShownBy) -> Evidence {
    Evidence { felt: |it| it.unit == "processes", or_else: "no process ended by it", shown }
}
