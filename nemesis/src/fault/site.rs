//! What a fault is injected into, and what an injected fault can be asked.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;

use super::clock::MoveError;
use super::disk::DiskFaultError;
use super::link::overlay::Overlays;
use super::membership::Turn;
use crate::administration::{Administration, AdministrationError};
use crate::cluster::Cluster;
use crate::lab::process::{NodeProcess, SignalError};
use crate::lab::{Link, UnknownLink};
use crate::record::Effect;
use crate::roles::AnyRoles;

/// Something to wait for.
pub(crate) type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// A fault that is being injected.
pub(crate) type Injecting<'a> = Later<'a, Result<Box<dyn Active + 'a>, InjectError>>;
/// Tells the time in nanoseconds since the run began.
pub(crate) type Clock<'a> = &'a (dyn Fn() -> u64 + Send + Sync);

/// What all faults of a play are injected into.
#[derive(Clone, Copy)]
pub(crate) struct InjectContext<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) overlays: &'a Overlays<'a>,
    pub(crate) roles: &'a dyn AnyRoles,
    pub(crate) administration: Option<&'a dyn Administration>,
    pub(crate) turn: &'a Turn,
    /// What faults draw from while they are in force, each by a stream of its own.
    pub(crate) seed: u64,
}

/// What one fault is injected into.
pub(crate) struct Site<'a> {
    pub(crate) ground: InjectContext<'a>,
    /// The fault's number.
    pub(crate) id: u32,
    /// The victims, at least one.
    pub(crate) nodes: Vec<&'a NodeProcess>,
    /// Whether a schedule named them.
    pub(crate) are_named: bool,
    /// The links that it hits, if it is a fault of the network.
    pub(crate) links: Vec<Link>,
}

/// Why a fault could not be injected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InjectError {
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
    #[error("fault {by} holds the {what} of {node} already")]
    Taken { node: String, what: super::Resource, by: u32 },
    #[error(transparent)]
    Disk(#[from] DiskFaultError),
    #[error("nobody administers the cluster")]
    NoAdministration,
    #[error(transparent)]
    Described(AdministrationError),
}

/// A fault in force. Dropped, it is healed as far as that needs no waiting.
pub(crate) trait Active: Send {
    /// Does what the fault does again and again while it is in force, until this is dropped.
    fn act(&mut self) -> Later<'_, Infallible>;

    /// What it did up to now, as far as that can no longer change.
    fn effects_so_far(&self) -> Vec<Effect>;

    /// Heals it. A node that is down stays so if everything is about to be shut down.
    fn heal<'s>(self: Box<Self>, shutting_down: bool, clock: Clock<'s>) -> Later<'s, Healed>
    where
        Self: 's;
}

/// For faults that do nothing more once they are in force.
pub(crate) fn idle<'a>() -> Later<'a, Infallible> {
    Box::pin(pending())
}

/// What a fault did, and what went wrong when it was healed.
pub(crate) struct Healed {
    /// When it was over, by the caller's clock.
    pub(crate) ended_ns: u64,
    pub(crate) effects: Vec<Effect>,
    pub(crate) error: Option<String>,
    /// Whether the error left the cluster other than it was.
    pub(crate) unhealed: bool,
}

impl Healed {
    /// Over now; an error left the cluster other than it was.
    pub(crate) fn now(effects: Vec<Effect>, error: Option<String>, clock: Clock<'_>) -> Healed {
        Healed { ended_ns: clock(), effects, unhealed: error.is_some(), error }
    }
}

/// Several errors as one, if there are any.
pub(crate) fn joined(errors: &[String]) -> Option<String> {
    (!errors.is_empty()).then(|| errors.join("; "))
}
