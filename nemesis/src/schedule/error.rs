//! Why a schedule cannot be played on a cluster.

use crate::fault::{FaultKind, Resource, Target};
use crate::lab::{CLIENTS, LabBackend};

/// Why a schedule cannot be played.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ScheduleError {
    /// Two faults of one number would share a random stream and a record.
    #[error("fault {id} occurs twice: numbers must differ")]
    DuplicateId {
        /// The number.
        id: u32,
    },
    /// Two faults at one time that need the same thing of the same node.
    #[error(
        "fault {id} needs the {what} of {node} at {at_ms} ms, which fault {by} holds until \
         {until_ms} ms"
    )]
    Conflict {
        /// The later fault.
        id: u32,
        /// The node.
        node: String,
        /// What of it.
        what: Resource,
        /// When the later fault begins.
        at_ms: u64,
        /// The earlier fault.
        by: u32,
        /// When it ends.
        until_ms: u64,
    },
    /// Times past what a clock can say.
    #[error("fault {id} ends later than a clock can say")]
    TooLate {
        /// The fault.
        id: u32,
    },
    /// A victim that is no node of this cluster.
    #[error("fault {id} targets {node:?}; the nodes are {known}")]
    UnknownNode {
        /// The fault.
        id: u32,
        /// The name.
        node: String,
        /// The nodes' names, joined by commas.
        known: String,
    },
    /// A victim that is named more than once.
    #[error("fault {id} names {node:?} twice")]
    RepeatedNode {
        /// The fault.
        id: u32,
        /// The name.
        node: String,
    },
    /// Named victims, but no name.
    #[error("fault {id} names no node")]
    NoVictim {
        /// The fault.
        id: u32,
    },
    /// More victims than the fault can have.
    #[error("fault {id} ({fault}) targets {target}, but can have at most {most} here")]
    TooManyVictims {
        /// The fault.
        id: u32,
        /// Its name.
        fault: FaultKind,
        /// Whom it targets.
        target: Target,
        /// How many it may have.
        most: usize,
    },
    /// Synced data destroyed on more nodes than any store survives.
    #[error(
        "fault {id} ({fault}) would destroy synced data on more nodes than a minority: over a \
         whole schedule, {most} can be destroyed here"
    )]
    TooMuchDestroyed {
        /// The fault.
        id: u32,
        /// Its name.
        fault: FaultKind,
        /// On how many nodes data may be destroyed.
        most: usize,
    },
    /// Two changes of the members at one time.
    #[error(
        "fault {id} changes the members at {at_ms} ms, but fault {by} does until {until_ms} ms: one \
         node is out at a time"
    )]
    ChangesOverlap {
        /// The later fault.
        id: u32,
        /// When it begins.
        at_ms: u64,
        /// The earlier fault.
        by: u32,
        /// When it ends.
        until_ms: u64,
    },
    /// Nothing that could change members or leaders.
    #[error("fault {id} ({fault}) needs an administrator of the store, and there is none")]
    NoAdministration {
        /// The fault.
        id: u32,
        /// Its name.
        fault: FaultKind,
    },
    /// A partition or a cluster of too few nodes.
    #[error("fault {id} ({fault}) needs at least {least} nodes")]
    TooFewNodes {
        /// The fault.
        id: u32,
        /// Its name.
        fault: FaultKind,
        /// How many it needs.
        least: usize,
    },
    /// A link of a host that this cluster does not have.
    #[error("fault {id} names a link of {host:?}; the hosts are {known} and {CLIENTS}")]
    UnknownHost {
        /// The fault.
        id: u32,
        /// The name.
        host: String,
        /// The nodes' names, joined by commas.
        known: String,
    },
    /// A fault that this lab cannot have.
    #[error(
        "fault {id} ({fault}) needs a lab of {needed}, and this one is of {backend}; `partita doctor` \
         says how to get one"
    )]
    NeedsLab {
        /// The fault.
        id: u32,
        /// Its name.
        fault: FaultKind,
        /// The least that has it.
        needed: LabBackend,
        /// What there is.
        backend: LabBackend,
    },
    /// Damage that would make clients report what no node has sent.
    #[error(
        "fault {id} ({fault}) would reach the clients with mended checksums: their history would \
         say what no node has sent"
    )]
    DamagesHistory {
        /// The fault.
        id: u32,
        /// Its name.
        fault: FaultKind,
    },
}
