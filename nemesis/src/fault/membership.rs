//! Describes the faults of membership: who leads, who votes, who leaves and comes back.

use std::time::Duration;

use super::units::duration_in;
use super::{Description, Fault, ONE_TARGET, Parameter, Reach, TARGET, Target};
use crate::record::Family;

/// The name of the parameter that says how long a node is out before it is added.
pub(crate) const OUT: &str = "out";

/// How long a node is out before it is added.
pub(crate) fn out(text: &str) -> Option<Duration> {
    duration_in(text, Duration::ZERO..=Duration::from_secs(60))
}

/// Whether leadership can be handed to it: the leader has it already.
fn is_successor(text: &str) -> bool {
    match text.parse() {
        Ok(Target::Nodes(names)) => names.len() == 1,
        Ok(target) => target == Target::Follower,
        Err(_) => false,
    }
}

/// Their rows of [`super::FAULTS`], in its order.
pub(super) const ROWS: [Description; 4] = [
    Description {
        fault: Fault::TransferLeadership,
        name: "transfer-leadership",
        family: Family::Membership,
        summary: "have the leader hand over to another node; nothing is undone",
        reach: Reach::One,
        shortest_ms: 800,
        longest_ms: 1_500,
        parameters: &[Parameter {
            name: TARGET,
            summary: "who shall lead, looked up when the fault begins",
            unit: "follower or a node's name",
            default: "follower",
            accepts: is_successor,
        }],
    },
    row(
        Fault::AddNode,
        "add-node",
        "add one node to the members while clients write; one that is a member is removed before",
        &[
            ONE_TARGET,
            Parameter {
                name: OUT,
                summary: "how long it is out before it is added, if it had to be removed for that",
                unit: "a time from 0 to 60s",
                default: "500ms",
                accepts: |text| out(text).is_some(),
            },
        ],
    ),
    row(
        Fault::RemoveNode,
        "remove-node",
        "remove one node from the members, later add it again; its process runs all the time",
        &[ONE_TARGET],
    ),
    row(
        Fault::ReplaceNode,
        "replace-node",
        "remove one node from the members and kill it; later start it and add it again",
        &[ONE_TARGET],
    ),
];

const fn row(
    fault: Fault,
    name: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
) -> Description {
    Description {
        fault,
        name,
        family: Family::Membership,
        summary,
        reach: Reach::One,
        shortest_ms: 2_000,
        longest_ms: 4_000,
        parameters,
    }
}
