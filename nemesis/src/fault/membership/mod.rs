//! Faults of membership: who leads, who votes, who leaves and comes back.

mod add_node;
mod change;
mod remove_node;
mod replace_node;
mod transfer_leadership;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::description::{Drawn, Evidence, ExcludedNodes, Needs, ShownBy};
use crate::lab::LabBackend;

super::faults! {
    transfer_leadership::TransferLeadership,
    add_node::AddNode,
    remove_node::RemoveNode,
    replace_node::ReplaceNode,
}

/// What all changes of the members in one play share: the one that is under way. The next waits until
/// the one before has brought its node back.
pub(crate) type Turn = Arc<Mutex<()>>;

/// How long to wait before asking again.
const STEP: Duration = Duration::from_millis(25);
/// How long beyond its time a fault may take that did not come about in it, such as when no node led.
const GRACE: Duration = Duration::from_secs(5);

/// Of three voters, one may be lost beside the one that is out: of two, none.
const fn needs(nodes: usize, running: bool) -> Needs {
    Needs { lab: LabBackend::Signals, nodes, running, administrator: true }
}

const DRAWN: Drawn = Drawn { shortest_ms: 2_000, longest_ms: 4_000, keeps: ExcludedNodes::All };

const CHANGED: Evidence = Evidence {
    felt: |it| it.unit == "ms",
    or_else: "no change was seen to come about",
    shown: ShownBy::Under,
};
