//! Describes the faults of the network: who cannot hear whom.

use super::{ANY_TARGET, DIRECTION, Description, Fault, Parameter, Reach, TARGET, is_target};
use crate::record::Family;

/// Their rows of [`super::FAULTS`], in its order.
pub(super) const ROWS: [Description; 3] = [
    Description {
        fault: Fault::Isolate,
        name: "isolate",
        family: Family::Partition,
        summary: "cut one node off from its peers; clients still reach it",
        reach: Reach::Any,
        // Long enough for the others to elect a leader and for both leaders to be asked.
        shortest_ms: 2_500,
        longest_ms: 4_000,
        parameters: &[ANY_TARGET],
    },
    Description {
        fault: Fault::Halves,
        name: "halves",
        family: Family::Partition,
        summary: "split the nodes into a minority and a majority; clients still reach both",
        reach: Reach::Minority,
        shortest_ms: 2_500,
        longest_ms: 4_000,
        parameters: &[Parameter {
            name: TARGET,
            summary: "who is in the minority; a random choice fills it up",
            unit: "leader, follower, random, minority or names of nodes",
            default: "random",
            accepts: is_target,
        }],
    },
    Description {
        fault: Fault::OneWay,
        name: "one-way",
        family: Family::Partition,
        summary: "let one node hear its peers but not be heard by them, or the reverse",
        reach: Reach::Any,
        shortest_ms: 2_500,
        longest_ms: 4_000,
        parameters: &[
            ANY_TARGET,
            Parameter {
                name: DIRECTION,
                summary: "what is cut: what the node hears (in) or what it says (out)",
                unit: "in or out",
                default: "out",
                accepts: |text| matches!(text, "in" | "out"),
            },
        ],
    },
];
