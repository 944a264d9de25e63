//! Names every fault once: what it is called, what it breaks, what it can be given.
//!
//! [`FAULTS`] is the only table; listing, parsing menus, checking and drawing schedules all read
//! it. Each family has its rows in a file of its own. How a fault is done to a cluster is in
//! [`crate::nemesis`].

mod clock;
mod disk;
pub(crate) mod link;
pub(crate) mod links;
pub(crate) mod membership;
pub(crate) mod partition;
pub(crate) mod process;
pub(crate) mod target;
pub(crate) mod units;

use std::collections::BTreeMap;
use std::fmt;

use crate::record::Family;

pub use links::Direction;
pub use target::{Target, TargetError};

/// What can befall a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// One node and its peers cannot hear each other.
    Isolate,
    /// Two halves of the nodes cannot hear each other.
    Halves,
    /// A minority and the majority cannot hear each other.
    MajorityMinority,
    /// Every node hears a majority, each another one.
    MajoritiesRing,
    /// Two halves cannot hear each other, but one node hears both.
    Bridge,
    /// One node and its peers hear each other in one direction only.
    OneWay,
    /// The leader and its followers cannot hear each other.
    LeaderFromFollowers,
    /// The clients and the leader cannot hear each other.
    ClientsFromLeader,
    /// One node and its peers cannot hear each other again and again.
    Flapping,
    /// Some links carry nothing.
    Cut,
    /// Links take long.
    Delay,
    /// Links lose frames.
    Loss,
    /// Links lose frames in bursts.
    BurstLoss,
    /// Links deliver frames twice.
    Duplicate,
    /// Links deliver frames out of order.
    Reorder,
    /// Links flip bits.
    Corrupt,
    /// Links carry little in a second.
    Rate,
    /// Links keep everything for a while.
    Hold,
    /// Connections are reset again and again.
    Reset,
    /// A node stops in its tracks and later goes on.
    Pause,
    /// A node stops and goes on again and again.
    Stutter,
    /// A node dies by SIGKILL and is started again.
    Kill,
    /// A node is asked to end and is started again.
    Terminate,
    /// All nodes die at once and are started again.
    KillAll,
    /// Nodes are restarted one after the other.
    RollingRestart,
    /// Nodes are restarted at moments within an election.
    RestartVoters,
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
    /// The leader hands over to another node.
    TransferLeadership,
    /// A node joins the members.
    AddNode,
    /// A node leaves the members, and comes back.
    RemoveNode,
    /// A node leaves the members and is taken down, and comes back.
    ReplaceNode,
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
    /// Half of the nodes, rounded down, but at least one.
    Half,
    /// Any number of nodes.
    Any,
}

/// One thing a fault can be given.
#[derive(Debug, Clone, Copy)]
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
/// The name of the parameter that chooses the direction in which links are hit.
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

/// The rows of each family, in the order of [`Fault`].
const FAMILIES: [&[Description]; 6] =
    [&partition::ROWS, &link::ROWS, &process::ROWS, &clock::ROWS, &disk::ROWS, &membership::ROWS];

const COUNT: usize = {
    let (mut count, mut family) = (0, 0);
    while family < FAMILIES.len() {
        count += FAMILIES[family].len();
        family += 1;
    }
    count
};

/// Every fault there is, in the order in which they are listed: family by family.
pub const FAULTS: [Description; COUNT] = {
    let mut rows = [FAMILIES[0][0]; COUNT];
    let (mut count, mut family) = (0, 0);
    while family < FAMILIES.len() {
        let mut place = 0;
        while place < FAMILIES[family].len() {
            rows[count] = FAMILIES[family][place];
            count += 1;
            place += 1;
        }
        family += 1;
    }
    rows
};

impl Description {
    /// Whether its victims can be chosen.
    pub(crate) fn has_target(&self) -> bool {
        self.parameters.iter().any(|it| it.name == TARGET)
    }

    /// Whom it befalls if nobody says, or if that cannot be said at all.
    pub(crate) fn default_target(&self) -> Target {
        let named = self.parameters.iter().find(|it| it.name == TARGET);
        let default = named.map(|it| it.default.parse().expect("a default is a target"));
        default.or_else(|| self.fault.fixed_target()).unwrap_or(Target::All)
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

    /// Whom it befalls whatever a schedule says, if it is such a fault.
    pub(crate) fn fixed_target(self) -> Option<Target> {
        match self {
            Fault::LeaderFromFollowers | Fault::ClientsFromLeader => Some(Target::Leader),
            Fault::MajoritiesRing | Fault::KillAll | Fault::PowerLossAll => Some(Target::All),
            _ => None,
        }
    }

    /// The fewest nodes that it makes sense for, its parameters being the defaults.
    pub(crate) fn least_nodes(self) -> usize {
        match (self, self.family()) {
            (Fault::MajoritiesRing, _) => 4,
            (Fault::Bridge, _) => 3,
            (Fault::ClientsFromLeader, _) => 1,
            (_, Family::Partition | Family::Link) | (Fault::TransferLeadership, _) => 2,
            // Of three voters, one may be lost beside the one that is out: of two, none.
            (_, Family::Membership) => 4,
            _ => 1,
        }
    }

    /// Whether a node is no member for a while.
    pub fn changes_members(self) -> bool {
        matches!(self, Fault::AddNode | Fault::RemoveNode | Fault::ReplaceNode)
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
        for (place, row) in FAULTS.iter().enumerate() {
            assert_eq!((row.fault as usize, row.fault.name()), (place, row.name));
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
