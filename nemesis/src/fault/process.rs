//! Describes the faults of processes: who stops, and who dies.

use super::{ANY_TARGET, Description, Fault, Reach};
use crate::record::Family;

/// Their rows of [`super::FAULTS`], in its order.
pub(super) const ROWS: [Description; 2] = [
    Description {
        fault: Fault::Pause,
        name: "pause",
        family: Family::Process,
        summary: "stop one node's processes with SIGSTOP, later continue them",
        reach: Reach::Any,
        shortest_ms: 1_500,
        longest_ms: 3_500,
        parameters: &[ANY_TARGET],
    },
    Description {
        fault: Fault::Kill,
        name: "kill",
        family: Family::Process,
        summary: "kill one node's processes with SIGKILL, later start it again",
        reach: Reach::Any,
        shortest_ms: 1_500,
        longest_ms: 3_500,
        parameters: &[ANY_TARGET],
    },
];
