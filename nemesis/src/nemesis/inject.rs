//! Does each fault to a cluster, undoes it, and measures what it did.

use std::convert::Infallible;
use std::future::pending;

use crate::administration::Administration;
use crate::clock::in_force::{MoveError, Moved};
use crate::cluster::Cluster;
use crate::disk::force::{self, ForceError};
use crate::fault::Fault;
use crate::lab::UnknownLink;
use crate::lab::process::{NodeProcess, SignalError};
use crate::record::{Effect, Family};
use crate::schedule::PlannedFault;

use super::Roles;
use super::alterations::Alterations;
use super::links;
use super::membership::{Membership, Turn};
use super::network::Network;
use super::processes::Processes;

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
    #[error("nobody administers the cluster")]
    NoAdministration,
}

/// What faults are done to, and with.
pub(super) struct Means<'a, R> {
    pub(super) cluster: &'a Cluster,
    pub(super) alterations: &'a Alterations<'a>,
    pub(super) roles: &'a R,
    pub(super) administration: Option<&'a dyn Administration>,
    pub(super) turn: &'a Turn,
}

/// A fault that was injected and is not healed yet.
pub(super) enum InForce<'a, R> {
    Network(Network<'a>),
    Processes(Processes<'a>),
    Clock(Moved),
    Disk(force::InForce<'a>),
    Membership(Membership<'a, R>),
}

/// What a fault did, and what went wrong when it was healed.
pub(super) struct Healed {
    /// When it was over, by the caller's clock.
    pub(super) ended_ns: u64,
    pub(super) effects: Vec<Effect>,
    pub(super) error: Option<String>,
    /// Whether the error left the cluster other than it was.
    pub(super) unhealed: bool,
}

/// Does `planned` to `nodes`.
pub(super) async fn inject<'a, R: Roles>(
    means: &Means<'a, R>,
    planned: &PlannedFault,
    seed: u64,
    nodes: &[String],
) -> Result<InForce<'a, R>, InjectError> {
    let Means { cluster, alterations, .. } = *means;
    let named =
        |name: &String| cluster.node(name).ok_or_else(|| InjectError::UnknownNode(name.clone()));
    let victims: Vec<&NodeProcess> = nodes.iter().map(named).collect::<Result<_, _>>()?;
    let first = *victims.first().ok_or(InjectError::NoVictim)?;
    match planned.fault.family() {
        Family::Partition | Family::Link => {
            let links = links::concerned(planned, seed, cluster.names(), nodes);
            Ok(InForce::Network(Network::begin(planned, alterations, links)?))
        }
        Family::Process => Ok(InForce::Processes(Processes::begin(planned, seed, victims).await?)),
        Family::Clock => {
            let change = planned.clock_change().ok_or(InjectError::Parameters(planned.fault))?;
            Ok(InForce::Clock(Moved::begin(first, change).await?))
        }
        Family::Disk => Ok(InForce::Disk(force::inject(planned, seed, victims).await?)),
        Family::Membership => {
            let administration = means.administration.ok_or(InjectError::NoAdministration)?;
            let (roles, turn) = (means.roles, means.turn);
            Ok(InForce::Membership(Membership::begin(planned, first, administration, roles, turn)?))
        }
    }
}

impl<R: Roles> InForce<'_, R> {
    /// Does what the fault does again and again while it is in force, until this is dropped.
    pub(super) async fn act(&mut self) -> Infallible {
        match self {
            InForce::Network(network) => network.act().await,
            InForce::Processes(processes) => processes.act().await,
            InForce::Membership(membership) => membership.act().await,
            InForce::Clock(_) | InForce::Disk(_) => pending().await,
        }
    }

    /// What it did up to now, as far as that can no longer change.
    pub(super) fn effects_so_far(&self) -> Vec<Effect> {
        match self {
            InForce::Network(_) | InForce::Clock(_) | InForce::Membership(_) => Vec::new(),
            InForce::Processes(processes) => processes.effects_so_far(),
            InForce::Disk(disk) => disk.effects_so_far(),
        }
    }

    /// Undoes it. A node that is down stays so if everything is about to be shut down.
    pub(super) async fn heal(self, shutting_down: bool, clock: &impl Fn() -> u64) -> Healed {
        // A clock is right again whatever kept a program from seeing it wrong.
        let can_stay_broken = !matches!(self, InForce::Clock(_));
        let (effects, error) = match self {
            InForce::Network(network) => network.heal(),
            InForce::Processes(processes) => return processes.heal(shutting_down, clock).await,
            InForce::Membership(membership) => return membership.heal(shutting_down, clock).await,
            InForce::Clock(moved) => moved.heal(),
            InForce::Disk(disk) => disk.heal(shutting_down).await,
        };
        let unhealed = can_stay_broken && error.is_some();
        Healed { ended_ns: clock(), effects, error, unhealed }
    }
}

/// What was measured, or what went wrong.
pub(super) fn result(
    measured: Result<Vec<Effect>, impl std::fmt::Display>,
) -> (Vec<Effect>, Option<String>) {
    match measured {
        Ok(effects) => (effects, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    }
}
