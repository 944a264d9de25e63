//! Describes the faults of processes: who stops, and who dies.

use super::{Description, Fault, ONE_TARGET};
use crate::record::Family;

/// Their rows of [`super::FAULTS`], in its order.
pub(super) const ROWS: [Description; 2] = [
    Description {
        fault: Fault::Pause,
        name: "pause",
        family: Family::Process,
        summary: "stop one node's processes with SIGSTOP, later continue them",
        shortest_ms: 1_500,
        longest_ms: 3_500,
        parameters: &[ONE_TARGET],
    },
    Description {
        fault: Fault::Kill,
        name: "kill",
        family: Family::Process,
        summary: "kill one node's processes with SIGKILL, later start it again",
        shortest_ms: 1_500,
        longest_ms: 3_500,
        parameters: &[ONE_TARGET],
    },
];
