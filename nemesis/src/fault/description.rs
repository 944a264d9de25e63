//! What a fault says of itself, as plain data.

use std::fmt;

use super::Target;
use super::values::Value;
use crate::lab::LabBackend;
use crate::record::{Effect, Family};

/// What a fault is, for people and for the code that draws, checks, plays and judges schedules.
#[derive(Debug)]
pub struct Description {
    /// Its name on the command line and in files.
    pub name: &'static str,
    /// What part of a machine it breaks.
    pub family: Family,
    /// What it does, in one line.
    pub summary: &'static str,
    /// What was going on while it was in force, after the victims' names and "was" or "were".
    pub was: &'static str,
    /// Who its victims can be.
    pub(crate) victims: Victims,
    /// What else a schedule can say of it beside its time and duration.
    pub parameters: &'static [Parameter],
    /// What it needs.
    pub(crate) needs: Needs,
    /// What it has to itself of each victim while it is in force. Links are shared.
    pub holds: &'static [Resource],
    /// Whether it accounts for a victim having no process while it is in force. A node that ends
    /// under a fault that does not has ended on its own.
    pub explains_exit: bool,
    /// Whether it destroys what was promised to be durable: no store survives that on a majority.
    pub destroys_synced_data: bool,
    /// Whether a node is no member for a while.
    pub changes_members: bool,
    /// How it is drawn.
    pub drawn: Drawn,
    /// How it is told that it tested anything.
    pub(crate) evidence: Evidence,
}

/// Who a fault's victims can be.
#[derive(Debug)]
pub(crate) enum Victims {
    /// A schedule has no say.
    Fixed(Target),
    /// A schedule may choose.
    Chosen {
        /// Who they are if it does not.
        default: Target,
        /// How many there can be.
        reach: Reach,
        /// What the choice decides.
        summary: &'static str,
        /// What can be chosen, in words.
        unit: &'static str,
        /// Whether the leader and everyone can be chosen; else one follower or one node by name.
        takes_any: bool,
        /// Whether a drawn schedule chooses; else they are the default.
        is_drawn: bool,
    },
}

/// The word for the victims in schedules.
pub(crate) const TARGET: &str = "target";

impl Victims {
    /// One node.
    pub(crate) const ONE: Victims = Victims::Chosen {
        default: Target::Random,
        reach: Reach::One,
        summary: "the victim, looked up when the fault begins",
        unit: "leader, follower, random or a node's name",
        takes_any: true,
        is_drawn: true,
    };

    /// Any nodes.
    pub(crate) const ANY: Victims = Victims::Chosen {
        default: Target::Random,
        reach: Reach::Any,
        summary: "the victims, looked up when the fault begins",
        unit: "leader, follower, followers, random, minority, majority, all or names of nodes",
        takes_any: true,
        is_drawn: true,
    };

    /// Who they are if a schedule does not say, or has no say.
    pub(crate) fn default_target(&self) -> &Target {
        match self {
            Victims::Fixed(target) | Victims::Chosen { default: target, .. } => target,
        }
    }

    /// Whether all are those that no other fault holds.
    pub(crate) fn all_are_free(&self) -> bool {
        matches!(self, Victims::Chosen { default: Target::All, .. })
    }

    /// How many there can be.
    pub(crate) fn reach(&self) -> Reach {
        match self {
            Victims::Fixed(_) => Reach::Any,
            Victims::Chosen { reach, .. } => *reach,
        }
    }

    /// Whether a schedule may choose these.
    pub(crate) fn accept(&self, target: &Target) -> bool {
        match self {
            Victims::Fixed(_) => false,
            Victims::Chosen { takes_any: true, .. } => true,
            Victims::Chosen { takes_any: false, .. } => match target {
                Target::Nodes(names) => names.len() == 1,
                target => *target == Target::Follower,
            },
        }
    }
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
    unit: fn() -> String,
}

impl Parameter {
    /// A parameter whose values are of the type `V`.
    pub(super) const fn of<V: Value>(name: &'static str, summary: &'static str) -> Parameter {
        Parameter { name, summary, unit: V::expected }
    }

    /// The unit and its bounds, or the words it accepts.
    pub(super) fn unit(&self) -> String {
        (self.unit)()
    }
}

/// What a fault needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// The least backend of a lab that can have it.
    pub(crate) lab: LabBackend,
    /// The fewest nodes that it makes sense for, its parameters being the defaults.
    pub(crate) nodes: usize,
    /// Whether its victims must run and keep running.
    pub(crate) running: bool,
    /// Whether the store must have an administrator.
    pub(crate) administrator: bool,
}

/// How a fault is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Drawn {
    /// The shortest time it is drawn for, in milliseconds.
    pub shortest_ms: u64,
    /// The longest time it is drawn for, in milliseconds.
    pub longest_ms: u64,
    /// How many nodes it keeps from the others, which decides what may overlap it.
    pub(crate) keeps: ExcludedNodes,
}

/// How many nodes a fault may keep from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExcludedNodes {
    /// None: all take part, if more slowly.
    Nobody,
    /// One node.
    One,
    /// Its victims.
    Victims,
    /// All: it is no fault of single nodes.
    All,
}

/// Which operations can show what a fault did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// Those that are answered while it is in force.
    Under,
    /// Those acknowledged before it together with those that observe the same keys after it: while
    /// it is in force, no majority may be there to answer.
    Across,
}

/// How it is told that a fault tested anything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence {
    /// Whether an effect of more than nothing tells that the victims felt it.
    pub(crate) felt: fn(&Effect) -> bool,
    /// What is said where none does.
    pub(crate) or_else: &'static str,
    /// Which operations can show what it did.
    pub(crate) shown: ShownBy,
}

/// Which operations can show what a fault did, by its victims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShownBy {
    /// Those under it, whoever its victims are.
    Under,
    /// Those before and after it, whoever its victims are.
    Across,
    /// Those under it, if those who are no victims make a majority.
    Majority,
}

/// What a fault has to itself of a node while it is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// Whether its process runs.
    Process,
    /// Whether it has power.
    Power,
    /// Its clocks.
    Clock,
    /// Its disk.
    Disk,
    /// Its place among the members.
    Membership,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Resource::Process => "process",
            Resource::Power => "power",
            Resource::Clock => "clock",
            Resource::Disk => "disk",
            Resource::Membership => "membership",
        })
    }
}
