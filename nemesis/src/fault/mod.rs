//! Names every fault once: what it is called, what it breaks, what it can be given.
//!
//! [`FAULTS`] is the only table; listing, parsing menus, checking and drawing schedules all read
//! it. Each family has its rows in a file of its own. How a fault is done to a cluster is in
//! [`crate::nemesis`].

mod clock;
mod disk;
mod partition;
mod process;
pub(crate) mod target;
pub(crate) mod units;

use std::collections::BTreeMap;
use std::fmt;

use crate::record::Family;

pub use target::{Target, TargetError};

/// What can befall a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    /// How many victims it can have.
    pub reach: Reach,
    /// The shortest time it is drawn for, in milliseconds.
    pub shortest_ms: u64,
    /// The longest time it is drawn for, in milliseconds.
    pub longest_ms: u64,
    /// What a planned fault can say about it beside its time and duration.
    pub parameters: &'static [Parameter],
}

/// How many victims a fault can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// One node.
    One,
    /// Fewer nodes than would keep the others from a majority.
    Minority,
    /// Any number of nodes.
    Any,
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
    /// Whether it can have a value. Victims are read as a [`Target`] instead.
    pub(crate) accepts: fn(&str) -> bool,
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
    accepts: is_target,
};

pub(crate) const ANY_TARGET: Parameter = Parameter {
    name: TARGET,
    summary: "the victims, looked up when the fault begins",
    unit: "leader, follower, followers, random, minority, majority, all or names of nodes",
    default: "random",
    accepts: is_target,
};

/// Whether a text names victims.
pub(crate) fn is_target(text: &str) -> bool {
    text.parse::<Target>().is_ok()
}

/// Every fault there is, in the order in which they are listed.
pub const FAULTS: [Description; 15] = [
    partition::ROWS[0],
    partition::ROWS[1],
    partition::ROWS[2],
    process::ROWS[0],
    process::ROWS[1],
    clock::ROWS[0],
    clock::ROWS[1],
    clock::ROWS[2],
    disk::ROWS[0],
    disk::ROWS[1],
    disk::ROWS[2],
    disk::ROWS[3],
    disk::ROWS[4],
    disk::ROWS[5],
    disk::ROWS[6],
];

impl Description {
    /// Whether its victims can be chosen.
    pub(crate) fn has_target(&self) -> bool {
        self.parameters.iter().any(|it| it.name == TARGET)
    }

    /// Whom it befalls if nobody says: all nodes if that cannot be said at all.
    pub(crate) fn default_target(&self) -> Target {
        let target = self.parameters.iter().find(|it| it.name == TARGET);
        target.map_or(Target::All, |it| it.default.parse().expect("a default is a target"))
    }
}

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

    /// What it is given if a schedule says `given`: that, and the defaults of all else but the
    /// victims.
    pub(crate) fn in_full(self, given: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let named = self.description().parameters.iter().filter(|it| it.name != TARGET);
        let defaults = named.map(|it| (it.name.to_owned(), it.default.to_owned()));
        defaults.chain(given.clone()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_the_row_of_its_own_name() {
        for row in &FAULTS {
            assert_eq!(row.fault.name(), row.name);
            assert_eq!(Fault::named(row.name), Some(row.fault));
            assert!(row.shortest_ms <= row.longest_ms);
        }
    }

    #[test]
    fn every_parameter_accepts_its_own_default_and_not_everything() {
        for row in &FAULTS {
            for parameter in row.parameters {
                let accepts = parameter.accepts;
                assert!(accepts(parameter.default), "{}: {}", row.name, parameter.name);
                assert!(!accepts(""), "{}: {}", row.name, parameter.name);
            }
        }
    }
}
