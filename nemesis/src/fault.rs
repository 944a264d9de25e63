//! Names every fault once: what it is called, what it breaks, what it can be given.
//!
//! [`FAULTS`] is the only table; listing, parsing menus, checking and drawing schedules all read
//! it. How a fault is done to a cluster is in [`crate::nemesis`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::parameters as clock;
use crate::disk::catalogue::ROWS as DISK;
use crate::record::Family;

/// What can befall a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// One node and its peers cannot hear each other.
    Isolate,
    /// A minority and the majority cannot hear each other.
    Halves,
    /// One node and its peers hear each other in one direction only.
    OneWay,
    /// A node stops in its tracks and later goes on.
    Pause,
    /// A node dies by SIGKILL and is started again.
    Kill,
    /// A node's realtime clock is set wrong.
    ClockStep,
    /// A node's realtime clock jumps there and back again.
    ClockStrobe,
    /// A node's clocks go too fast or too slowly.
    ClockRate,
    /// A node's machine loses power and is started again.
    PowerLoss,
    /// All nodes' machines lose power at once, and are started again at once.
    PowerLossAll,
    /// A node's disk fails writes or syncs.
    DiskError,
    /// A node's disk has no room.
    DiskFull,
    /// A node's disk takes long to sync.
    DiskSlow,
    /// A bit of a node's files is wrong.
    BitFlip,
    /// A file of a node is cut short.
    Truncate,
}

/// What a fault is, for people and for the code that draws and checks schedules.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// The fault.
    pub fault: Fault,
    /// Its name on the command line and in files.
    pub name: &'static str,
    /// What part of a machine it breaks.
    pub family: Family,
    /// What it does, in one line.
    pub summary: &'static str,
    /// The shortest time it is drawn for, in milliseconds.
    pub shortest_ms: u64,
    /// The longest time it is drawn for, in milliseconds.
    pub longest_ms: u64,
    /// What a planned fault can say about it beside its time and duration.
    pub parameters: &'static [Parameter],
}

/// One thing a fault can be given.
#[derive(Debug)]
pub struct Parameter {
    /// Its name in a schedule.
    pub name: &'static str,
    /// What it decides.
    pub summary: &'static str,
    /// The unit, or the words it accepts.
    pub unit: &'static str,
    /// What holds if a schedule does not say.
    pub default: &'static str,
}

/// The name of the parameter that chooses the victims.
pub const TARGET: &str = "target";
/// The name of the parameter that chooses the direction a one-way partition cuts.
pub const DIRECTION: &str = "direction";

pub(crate) const ONE_TARGET: Parameter = Parameter {
    name: TARGET,
    summary: "the victim, looked up when the fault begins",
    unit: "leader, follower, random or a node's name",
    default: "random",
};

/// Every fault there is, in the order in which they are listed.
pub const FAULTS: [Description; 15] = [
    Description {
        fault: Fault::Isolate,
        name: "isolate",
        family: Family::Partition,
        summary: "cut one node off from its peers; clients still reach it",
        // Long enough for the others to elect a leader and for both leaders to be asked.
        shortest_ms: 2_500,
        longest_ms: 4_000,
        parameters: &[ONE_TARGET],
    },
    Description {
        fault: Fault::Halves,
        name: "halves",
        family: Family::Partition,
        summary: "split the nodes into a minority and a majority; clients still reach both",
        shortest_ms: 2_500,
        longest_ms: 4_000,
        parameters: &[Parameter {
            name: TARGET,
            summary: "who is in the minority; a random choice fills it up",
            unit: "leader, follower, random or names of nodes",
            default: "random",
        }],
    },
    Description {
        fault: Fault::OneWay,
        name: "one-way",
        family: Family::Partition,
        summary: "let one node hear its peers but not be heard by them, or the reverse",
        shortest_ms: 2_500,
        longest_ms: 4_000,
        parameters: &[
            ONE_TARGET,
            Parameter {
                name: DIRECTION,
                summary: "what is cut: what the node hears (in) or what it says (out)",
                unit: "in or out",
                default: "out",
            },
        ],
    },
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
    Description {
        fault: Fault::ClockStep,
        name: "clock-step",
        family: Family::Clock,
        summary: "set one node's clock ahead or back, later right again",
        shortest_ms: 1_500,
        longest_ms: 3_500,
        parameters: &[
            ONE_TARGET,
            Parameter {
                name: clock::BY,
                summary: "how far realtime jumps",
                unit: "a time with a unit, up to 24h, with - for back",
                default: clock::DEFAULT_STEP,
            },
        ],
    },
    Description {
        fault: Fault::ClockStrobe,
        name: "clock-strobe",
        family: Family::Clock,
        summary: "let one node's clock jump there and back again and again",
        shortest_ms: 1_500,
        longest_ms: 3_500,
        parameters: &[
            ONE_TARGET,
            Parameter {
                name: clock::BY,
                summary: "how far realtime jumps",
                unit: "a time with a unit, up to 24h, with - for back",
                default: clock::DEFAULT_STROBE,
            },
            Parameter {
                name: clock::PERIOD,
                summary: "how long it stays before it jumps",
                unit: "a time from 1ms to 10s",
                default: clock::DEFAULT_PERIOD,
            },
        ],
    },
    Description {
        fault: Fault::ClockRate,
        name: "clock-rate",
        family: Family::Clock,
        summary: "let one node's clocks run too fast or too slowly",
        shortest_ms: 2_000,
        longest_ms: 4_000,
        parameters: &[
            ONE_TARGET,
            Parameter {
                name: clock::RATE,
                summary: "how many times as fast as the truth",
                unit: "a number from 0.5 to 2",
                default: clock::DEFAULT_RATE,
            },
            Parameter {
                name: clock::CLOCKS,
                summary: "which clocks; monotonic ones never go back, not even to heal",
                unit: "both, realtime or monotonic",
                default: clock::DEFAULT_CLOCKS,
            },
        ],
    },
    DISK[0],
    DISK[1],
    DISK[2],
    DISK[3],
    DISK[4],
    DISK[5],
    DISK[6],
];

impl Fault {
    /// Its row of [`FAULTS`].
    pub fn description(self) -> &'static Description {
        // The table lists the faults in the order of the enum; a test holds it to that.
        &FAULTS[self as usize]
    }

    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        self.description().name
    }

    /// What part of a machine it breaks.
    pub fn family(self) -> Family {
        self.description().family
    }

    /// The fault of that name.
    pub fn named(name: &str) -> Option<Fault> {
        FAULTS.iter().find(|row| row.name == name).map(|row| row.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a fault's victims are chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Target {
    /// Whoever leads when the fault begins.
    Leader,
    /// One that does not lead when the fault begins.
    Follower,
    /// Any node.
    Random,
    /// These nodes.
    Nodes(Vec<String>),
}

/// A target that names nobody.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("target {0:?} names no node: expected leader, follower, random or names like n1,n2")]
pub struct TargetError(String);

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Target, TargetError> {
        match text.trim() {
            "leader" => return Ok(Target::Leader),
            "follower" => return Ok(Target::Follower),
            "random" => return Ok(Target::Random),
            _ => {}
        }
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        if names.iter().any(String::is_empty) {
            return Err(TargetError(text.to_owned()));
        }
        Ok(Target::Nodes(names))
    }
}

impl TryFrom<String> for Target {
    type Error = TargetError;

    fn try_from(text: String) -> Result<Target, TargetError> {
        text.parse()
    }
}

impl From<Target> for String {
    fn from(target: Target) -> String {
        target.to_string()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Leader => f.write_str("leader"),
            Target::Follower => f.write_str("follower"),
            Target::Random => f.write_str("random"),
            Target::Nodes(names) => f.write_str(&names.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_the_row_of_its_own_name() {
        for row in &FAULTS {
            assert_eq!(row.fault.name(), row.name);
            assert_eq!(Fault::named(row.name), Some(row.fault));
            let in_files = serde_json::to_string(&row.fault).expect("a name serialises");
            assert_eq!(in_files, format!("\"{}\"", row.name));
            assert!(row.shortest_ms <= row.longest_ms);
        }
    }

    #[test]
    fn a_target_reads_back_as_it_was_written() {
        for text in ["leader", "follower", "random", "n1", "n1,n3"] {
            assert_eq!(text.parse::<Target>().map(|target| target.to_string()), Ok(text.into()));
        }
        assert!("n1,,n2".parse::<Target>().is_err());
        assert!("".parse::<Target>().is_err());
    }
}
