//! What happened to the system under test: the lines of `schedule.jsonl`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units;

/// What part of a machine a fault breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Who can talk to whom.
    Partition,
    /// How well a link carries.
    Link,
    /// Whether a process runs.
    Process,
    /// What time a node believes it is.
    Clock,
    /// What a node's disk keeps.
    Disk,
    /// Who is a member of the cluster.
    Membership,
    /// What the store's description says.
    Described,
}

/// One fault as it happened, from injection to heal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// Its number in the schedule, from 0.
    pub id: u32,
    /// Its name on the command line: `isolate`, `kill`.
    pub fault: String,
    /// What part of a machine it breaks.
    pub family: Family,
    /// How the victims were chosen: `leader`, `a follower`, `n2`.
    pub target: String,
    /// The victims, as looked up when the fault began. A one-way partition or a link fault names
    /// the nodes whose links it breaks; where links were named, all nodes that have one of them.
    pub nodes: Vec<String>,
    /// What it was given, by name, with units: `delay` → `50ms`.
    pub parameters: BTreeMap<String, String>,
    /// When it was injected, in nanoseconds since the run began.
    pub began_ns: u64,
    /// When it was healed, in nanoseconds since the run began. Absent while it is in force.
    pub ended_ns: Option<u64>,
    /// What it measurably did.
    pub effects: Vec<Effect>,
    /// Why it could not be injected, seen or healed, if so.
    pub error: Option<String>,
    /// Whether the error left the cluster other than it was: a node that does not run again, a
    /// member that is not back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unhealed: bool,
}

/// The parameter of a record that says for how long the fault waited, if it waited for something.
pub(crate) const WAITED: &str = "waited";

impl FaultRecord {
    /// For how long it waited for what it was to wait for.
    pub fn waited(&self) -> Option<Duration> {
        self.parameters.get(WAITED).and_then(|text| units::duration(text))
    }
}

/// One measured consequence of a fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// What was counted: `frames dropped`, `time stopped`.
    pub what: String,
    /// How much of it; greater than zero if there was any effect.
    pub amount: f64,
    /// The unit: `frames`, `ms`, `processes`.
    pub unit: String,
}

impl Effect {
    pub(crate) fn new(what: &str, amount: f64, unit: &str) -> Effect {
        Effect { what: what.to_owned(), amount, unit: unit.to_owned() }
    }
}
