//! Lists the faults of one run with their times: the plan that the nemesis plays.
//!
//! A schedule is drawn from a seed ([`Schedule::draw`]) or comes from a [`Script`] that a person
//! wrote; either way it is written beside the run as a script without anything open but the victims
//! ([`Schedule::written`]), and can be edited and played again. Who leads and who is random is
//! settled by the cluster and by one random stream *per fault*, so that leaving one fault out does
//! not change the others. Faults may overlap; two that need one thing of one node may not, as far
//! as that can be told beforehand ([`Schedule::check`]).

mod draw;
mod scenes;
mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::parameters::{self as clock, Change};
use crate::disk::parameters::{destroys, destructible};
use crate::fault::links::{self, Clients};
use crate::fault::{DIRECTION, Direction, Fault, Reach, TARGET, Target, link, partition};
use crate::lab::{CLIENTS, Link, Tier};
use crate::record::Family;

pub use script::{PlannedCommand, Script, ScriptError};

/// The plan of one run's faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What victims are drawn from where the plan leaves them open.
    pub seed: u64,
    /// The faults, by time.
    pub faults: Vec<PlannedFault>,
    /// When clients only read, by time.
    pub lulls: Vec<Lull>,
}

/// A time in which clients write nothing: what a new leader does when nobody asks it to write, and
/// what readers see of entries that are nobody's any more, shows only then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lull {
    /// When it begins, in milliseconds since the schedule began.
    pub at_ms: u64,
    /// How long it lasts, in milliseconds.
    pub duration_ms: u64,
}

impl Lull {
    /// Whether it is on, so long after the schedule began.
    pub const fn is_on(&self, at_ms: u64) -> bool {
        self.at_ms <= at_ms && at_ms - self.at_ms < self.duration_ms
    }
}

/// One fault to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFault {
    /// Its number in the schedule; also names the random stream its victims are drawn from.
    pub id: u32,
    /// When it begins, in milliseconds since the schedule began.
    pub at_ms: u64,
    /// For how long it is in force, in milliseconds.
    pub duration_ms: u64,
    /// What it is.
    pub fault: Fault,
    /// How its victims are chosen.
    pub target: Target,
    /// What else it is given, by name. What is absent has the default of [`crate::fault::FAULTS`].
    pub parameters: BTreeMap<String, String>,
}

/// Why a schedule cannot be played.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ScheduleError {
    /// Two faults of one number would share a random stream and a record.
    #[error("fault {id} occurs twice: numbers must differ")]
    DuplicateId {
        /// The number.
        id: u32,
    },
    /// Two faults at one time that need the same thing of the same node.
    #[error(
        "fault {id} needs the {what} of {node} at {at_ms} ms, which fault {by} holds until \
         {until_ms} ms"
    )]
    Conflict {
        /// The later fault.
        id: u32,
        /// The node.
        node: String,
        /// What of it.
        what: Resource,
        /// When the later fault begins.
        at_ms: u64,
        /// The earlier fault.
        by: u32,
        /// When it ends.
        until_ms: u64,
    },
    /// Times past what a clock can say.
    #[error("fault {id} ends later than a clock can say")]
    TooLate {
        /// The fault.
        id: u32,
    },
    /// A victim that is no node of this cluster.
    #[error("fault {id} targets {node:?}; the nodes are {known}")]
    UnknownNode {
        /// The fault.
        id: u32,
        /// The name.
        node: String,
        /// The nodes' names, joined by commas.
        known: String,
    },
    /// A victim that is named more than once.
    #[error("fault {id} names {node:?} twice")]
    RepeatedNode {
        /// The fault.
        id: u32,
        /// The name.
        node: String,
    },
    /// Named victims, but no name.
    #[error("fault {id} names no node")]
    NoVictim {
        /// The fault.
        id: u32,
    },
    /// More victims than the fault can have.
    #[error("fault {id} ({fault}) targets {target}, but can have at most {most} here")]
    TooManyVictims {
        /// The fault.
        id: u32,
        /// Its name.
        fault: Fault,
        /// Whom it targets.
        target: Target,
        /// How many it may have.
        most: usize,
    },
    /// Synced data destroyed on so many nodes that no store could bear it.
    #[error(
        "fault {id} ({fault}) would destroy synced data on more nodes than a minority: over a \
         whole schedule, {most} can be destroyed here"
    )]
    TooMuchDestroyed {
        /// The fault.
        id: u32,
        /// Its name.
        fault: Fault,
        /// On how many nodes data may be destroyed.
        most: usize,
    },
    /// Two changes of the members at one time.
    #[error(
        "fault {id} changes the members at {at_ms} ms, but fault {by} does until {until_ms} ms: one \
         node is out at a time"
    )]
    ChangesOverlap {
        /// The later fault.
        id: u32,
        /// When it begins.
        at_ms: u64,
        /// The earlier fault.
        by: u32,
        /// When it ends.
        until_ms: u64,
    },
    /// Nobody who could change members or leaders.
    #[error("fault {id} ({fault}) needs an administrator of the store, and there is none")]
    NoAdministration {
        /// The fault.
        id: u32,
        /// Its name.
        fault: Fault,
    },
    /// A partition or a cluster of too few nodes.
    #[error("fault {id} ({fault}) needs at least {least} nodes")]
    TooFewNodes {
        /// The fault.
        id: u32,
        /// Its name.
        fault: Fault,
        /// How many it needs.
        least: usize,
    },
    /// A link of a host that this cluster does not have.
    #[error("fault {id} names a link of {host:?}; the hosts are {known} and {CLIENTS}")]
    UnknownHost {
        /// The fault.
        id: u32,
        /// The name.
        host: String,
        /// The nodes' names, joined by commas.
        known: String,
    },
    /// A fault that this lab cannot have.
    #[error(
        "fault {id} ({fault}) needs a lab of {needed}, and this one is of {tier}; `partita doctor` \
         says how to get one"
    )]
    NeedsLab {
        /// The fault.
        id: u32,
        /// Its name.
        fault: Fault,
        /// The least that has it.
        needed: Tier,
        /// What there is.
        tier: Tier,
    },
    /// Damage that would make clients report what no node has said.
    #[error(
        "fault {id} ({fault}) would reach the clients with mended checksums: their history would \
         say what no node has said"
    )]
    DamagesHistory {
        /// The fault.
        id: u32,
        /// Its name.
        fault: Fault,
    },
    /// A parameter that the fault does not have, or a value it cannot take.
    #[error("fault {id} ({fault}): {name} = {value:?} is not understood; expected {expected}")]
    Parameter {
        /// The fault.
        id: u32,
        /// Its name.
        fault: Fault,
        /// The parameter's name.
        name: String,
        /// What was given.
        value: String,
        /// What would be understood.
        expected: String,
    },
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

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Resource::Process => "process",
            Resource::Power => "power",
            Resource::Clock => "clock",
            Resource::Disk => "disk",
            Resource::Membership => "membership",
        })
    }
}

/// What `fault` has to itself of each of its victims. Links are shared: what several faults do to
/// one is put together.
pub(crate) fn holds(fault: Fault) -> &'static [Resource] {
    match fault.family() {
        Family::Partition | Family::Link => &[],
        Family::Process => &[Resource::Process, Resource::Power],
        Family::Clock => &[Resource::Clock],
        Family::Disk => disk_holds(fault),
        Family::Membership if fault == Fault::ReplaceNode => {
            &[Resource::Membership, Resource::Process, Resource::Power]
        }
        Family::Membership => &[Resource::Membership],
    }
}

/// Power may go while a disk is in trouble: what such a disk holds shows only then.
fn disk_holds(fault: Fault) -> &'static [Resource] {
    match fault {
        Fault::PowerLoss | Fault::PowerLossAll => &[Resource::Power],
        Fault::DiskSlow => &[Resource::Disk],
        // A node may end of what its disk says, and is started again.
        Fault::DiskError | Fault::DiskFull => &[Resource::Disk, Resource::Process],
        _ => &[Resource::Disk, Resource::Process, Resource::Power],
    }
}

impl Schedule {
    /// Checks that the schedule can be played on a cluster of these nodes.
    ///
    /// # Errors
    ///
    /// The first reason, in the order of the faults, why it cannot.
    pub fn check(&self, nodes: &[String]) -> Result<(), ScheduleError> {
        let mut seen = BTreeSet::new();
        for planned in &self.faults {
            let id = planned.id;
            if !seen.insert(id) {
                return Err(ScheduleError::DuplicateId { id });
            }
            planned.check(nodes)?;
        }
        self.check_conflicts()?;
        self.check_changes()?;
        self.check_destruction(nodes)
    }

    /// The members change by one node at a time.
    fn check_changes(&self) -> Result<(), ScheduleError> {
        let changes = self.faults.iter().filter(|planned| planned.fault.changes_members());
        let mut changes: Vec<&PlannedFault> = changes.collect();
        changes.sort_by_key(|planned| planned.at_ms);
        for pair in changes.windows(2) {
            let until_ms = pair[0].until_ms().unwrap_or(u64::MAX);
            if pair[1].at_ms < until_ms {
                let (id, at_ms, by) = (pair[1].id, pair[1].at_ms, pair[0].id);
                return Err(ScheduleError::ChangesOverlap { id, at_ms, by, until_ms });
            }
        }
        Ok(())
    }

    /// Checks that a lab of this tier has every fault.
    ///
    /// # Errors
    ///
    /// The first that it does not have.
    pub fn check_tier(&self, tier: Tier) -> Result<(), ScheduleError> {
        match self.faults.iter().find(|planned| !tier.has(planned.fault)) {
            Some(PlannedFault { id, fault, .. }) => {
                let needed = Tier::needed_for(*fault);
                Err(ScheduleError::NeedsLab { id: *id, fault: *fault, needed, tier })
            }
            None => Ok(()),
        }
    }

    /// No two faults with named victims need the same thing at one time. Where victims are drawn,
    /// those that are free are chosen.
    fn check_conflicts(&self) -> Result<(), ScheduleError> {
        let mut faults: Vec<&PlannedFault> = self.faults.iter().collect();
        faults.sort_by_key(|planned| planned.at_ms);
        for (place, later) in faults.iter().enumerate() {
            let Target::Nodes(names) = &later.target else { continue };
            for earlier in &faults[..place] {
                let until_ms = earlier.until_ms().unwrap_or(u64::MAX);
                let Target::Nodes(others) = &earlier.target else { continue };
                let what = holds(later.fault).iter().find(|it| holds(earlier.fault).contains(it));
                let node = names.iter().find(|name| others.contains(name));
                if let (Some(what), Some(node), true) = (what, node, later.at_ms < until_ms) {
                    return Err(ScheduleError::Conflict {
                        id: later.id,
                        node: node.clone(),
                        what: *what,
                        at_ms: later.at_ms,
                        by: earlier.id,
                        until_ms,
                    });
                }
            }
        }
        Ok(())
    }

    /// Synced data may be destroyed on a minority of the nodes only, all faults taken together: of
    /// those that vote while one is out, if one ever is.
    fn check_destruction(&self, nodes: &[String]) -> Result<(), ScheduleError> {
        let mut victims = BTreeSet::new();
        let out = usize::from(self.faults.iter().any(|planned| planned.fault.changes_members()));
        let most = nodes.len().saturating_sub(1 + out) / 2;
        for planned in self.faults.iter().filter(|planned| destroys(planned.fault)) {
            match &planned.target {
                Target::Nodes(names) => victims.extend(names.iter().cloned()),
                _ => victims.extend(destructible(self.seed, nodes)),
            }
            if victims.len() > most || most == 0 {
                let (id, fault) = (planned.id, planned.fault);
                return Err(ScheduleError::TooMuchDestroyed { id, fault, most });
            }
        }
        Ok(())
    }

    /// When the last fault has ended, from the schedule's beginning.
    pub fn end(&self) -> Duration {
        let last = self.faults.iter().filter_map(PlannedFault::until_ms).max();
        Duration::from_millis(last.unwrap_or(0))
    }

    /// Whether a fault of `family` is planned.
    pub fn has_any(&self, family: Family) -> bool {
        self.faults.iter().any(|planned| planned.fault.family() == family)
    }
}

impl PlannedFault {
    /// When it ends, in milliseconds since the schedule began, unless that overflows.
    fn until_ms(&self) -> Option<u64> {
        let until_ms = self.at_ms.checked_add(self.duration_ms)?;
        // Played times are nanoseconds.
        until_ms.checked_mul(1_000_000).map(|_| until_ms)
    }

    /// What it is given as the parameter `name`: as planned, or by default.
    pub(crate) fn word<'a>(&'a self, name: &str) -> &'a str {
        let parameters = self.fault.description().parameters;
        let default = || parameters.iter().find(|it| it.name == name).map_or("", |it| it.default);
        self.parameters.get(name).map_or_else(default, String::as_str)
    }

    /// In which direction it hits its victims' links: as planned, or by default.
    pub fn direction(&self) -> Direction {
        links::direction(self.word(DIRECTION)).unwrap_or(Direction::Both)
    }

    /// Whether it hits its victims' links to clients.
    pub(crate) fn clients(&self) -> Clients {
        links::clients(self.word(links::CLIENTS)).unwrap_or(Clients::No)
    }

    /// The links it hits, if it names them.
    pub(crate) fn links(&self) -> Option<Vec<Link>> {
        links::links(self.word(links::LINKS))
    }

    /// What a clock fault does, as planned, with defaults; none if this is another fault.
    pub fn clock_change(&self) -> Option<Change> {
        clock::read(self.fault, &self.fault.in_full(&self.parameters))
    }

    fn check_names(&self, names: &[String], nodes: &[String]) -> Result<(), ScheduleError> {
        let id = self.id;
        if names.is_empty() {
            return Err(ScheduleError::NoVictim { id });
        }
        for (place, node) in names.iter().enumerate() {
            let node = node.clone();
            if !nodes.contains(&node) {
                return Err(ScheduleError::UnknownNode { id, node, known: nodes.join(", ") });
            }
            if names[..place].contains(&node) {
                return Err(ScheduleError::RepeatedNode { id, node });
            }
        }
        Ok(())
    }

    fn check(&self, nodes: &[String]) -> Result<(), ScheduleError> {
        let (id, fault) = (self.id, self.fault);
        self.until_ms().ok_or(ScheduleError::TooLate { id })?;
        let least = self.least_nodes();
        if nodes.len() < least {
            return Err(ScheduleError::TooFewNodes { id, fault, least });
        }
        if let Target::Nodes(names) = &self.target {
            self.check_names(names, nodes)?;
        }
        let most = match fault.description().reach {
            Reach::One => 1,
            Reach::Minority => minority(nodes.len()),
            Reach::Half => (nodes.len() / 2).max(1),
            Reach::Any => nodes.len(),
        };
        if self.target.size(nodes.len()) > most {
            let target = self.target.clone();
            return Err(ScheduleError::TooManyVictims { id, fault, target, most });
        }
        for (name, value) in &self.parameters {
            self.check_parameter(name, value)?;
        }
        self.check_size(nodes.len())?;
        self.check_links(nodes)
    }

    /// The fewest nodes on which it does anything.
    fn least_nodes(&self) -> usize {
        let names_links = self.links().is_some();
        match (&self.target, self.fault.changes_members()) {
            _ if names_links || self.clients() != Clients::No => 1,
            // Who names a node knows what is left without it.
            (Target::Nodes(_), true) => 2,
            _ => self.fault.least_nodes(),
        }
    }

    fn check_size(&self, nodes: usize) -> Result<(), ScheduleError> {
        match partition::size(self.word(partition::SIZE)) {
            Some(partition::Size::Exactly(size)) if size > minority(nodes) => {
                Err(ScheduleError::TooManyVictims {
                    id: self.id,
                    fault: self.fault,
                    target: self.target.clone(),
                    most: minority(nodes),
                })
            }
            _ => Ok(()),
        }
    }

    fn check_links(&self, nodes: &[String]) -> Result<(), ScheduleError> {
        let id = self.id;
        let named = self.links().unwrap_or_default();
        for host in named.iter().flat_map(|link| [&link.from, &link.to]) {
            if host != CLIENTS && !nodes.contains(host) {
                let (host, known) = (host.clone(), nodes.join(", "));
                return Err(ScheduleError::UnknownHost { id, host, known });
            }
        }
        let by_name =
            named.iter().any(|link| [&link.from, &link.to].contains(&&CLIENTS.to_owned()));
        let by_target = named.is_empty() && self.clients() != Clients::No;
        if self.word(link::MEND) == "yes" && (by_name || by_target) {
            return Err(ScheduleError::DamagesHistory { id, fault: self.fault });
        }
        Ok(())
    }

    fn check_parameter(&self, name: &str, value: &str) -> Result<(), ScheduleError> {
        let (id, fault) = (self.id, self.fault);
        let parameters = fault.description().parameters;
        let parameter = parameters.iter().find(|it| it.name == name && it.name != TARGET);
        let expected = match parameter {
            Some(parameter) if (parameter.accepts)(value) => return Ok(()),
            Some(parameter) => parameter.unit.to_owned(),
            None => {
                let known = parameters.iter().map(|it| it.name).filter(|it| *it != TARGET);
                match known.collect::<Vec<_>>().join(", ") {
                    known if known.is_empty() => "no parameters".to_owned(),
                    known => format!("the parameters {known}"),
                }
            }
        };
        let (name, value) = (name.to_owned(), value.to_owned());
        Err(ScheduleError::Parameter { id, fault, name, value, expected })
    }
}

/// How many of `nodes` nodes are cut off when the rest keep a majority: the most there can be, but
/// at least one.
pub(crate) fn minority(nodes: usize) -> usize {
    (nodes.saturating_sub(1) / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes() -> Vec<String> {
        ["n1", "n2", "n3"].map(String::from).to_vec()
    }

    fn planned(id: u32, at_ms: u64, fault: Fault, target: &str) -> PlannedFault {
        let target = target.parse().expect("a target");
        PlannedFault { id, at_ms, duration_ms: 1_000, fault, target, parameters: BTreeMap::new() }
    }

    fn check(faults: Vec<PlannedFault>) -> Result<(), ScheduleError> {
        Schedule { seed: 1, faults, lulls: Vec::new() }.check(&nodes())
    }

    #[test]
    fn a_schedule_edited_by_hand_is_checked_fault_by_fault() {
        let ok = planned(0, 0, Fault::Kill, "n1");
        assert_eq!(check(vec![ok.clone(), planned(1, 1_000, Fault::Halves, "leader")]), Ok(()));
        let cases = [
            (vec![ok.clone(), planned(0, 5_000, Fault::Kill, "n1")], "occurs twice"),
            (vec![ok.clone(), planned(1, 999, Fault::Pause, "n1")], "holds until 1000 ms"),
            (vec![planned(1, 999, Fault::PowerLoss, "n1"), ok.clone()], "fault 1 needs the power"),
            (vec![planned(0, 0, Fault::Kill, "n9")], "the nodes are n1, n2, n3"),
            (vec![planned(0, 0, Fault::ClockStep, "n1,n2")], "targets n1,n2"),
            (vec![planned(0, 0, Fault::Halves, "majority")], "at most 1"),
            (vec![planned(0, 0, Fault::MajoritiesRing, "all")], "at least 4 nodes"),
            (vec![planned(0, 0, Fault::Halves, "n1,n1")], "twice"),
            (vec![planned(0, u64::MAX / 1_000, Fault::Kill, "n1")], "later than a clock"),
        ];
        for (faults, expected) in cases {
            let error = check(faults).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn faults_overlap_unless_they_need_the_same_of_a_node() {
        let overlapping = vec![
            planned(0, 0, Fault::Isolate, "n1"),
            planned(1, 500, Fault::Kill, "n1"),
            planned(2, 500, Fault::ClockStep, "n1"),
            planned(3, 500, Fault::Kill, "n2"),
            planned(4, 700, Fault::Kill, "random"),
            planned(5, 1_500, Fault::Kill, "n1"),
        ];
        assert_eq!(check(overlapping), Ok(()));
    }

    #[test]
    fn synced_data_is_destroyed_on_one_minority_only() {
        let flip = |id, at_ms, target| planned(id, at_ms, Fault::BitFlip, target);
        assert_eq!(check(vec![flip(0, 0, "n1"), flip(1, 2_000, "n1")]), Ok(()));
        assert_eq!(check(vec![flip(0, 0, "leader"), flip(1, 2_000, "random")]), Ok(()));
        let error = check(vec![flip(0, 0, "n1"), flip(1, 2_000, "n2")]).expect_err("two of three");
        assert_eq!(
            error,
            ScheduleError::TooMuchDestroyed { id: 1, fault: Fault::BitFlip, most: 1 }
        );
        let pair = ["n1", "n2"].map(String::from);
        let faults = vec![flip(0, 0, "random")];
        let lone = Schedule { seed: 1, faults, lulls: Vec::new() };
        assert!(lone.check(&pair).is_err(), "there is no minority of two");
        let dark = planned(0, 0, Fault::PowerLoss, "n1,n2");
        assert_eq!(check(vec![dark]), Ok(()), "what was synced is not destroyed");
    }

    #[test]
    fn members_change_by_one_node_at_a_time_and_leave_three_voters() {
        let out = |id, at_ms, target| planned(id, at_ms, Fault::RemoveNode, target);
        assert_eq!(check(vec![out(0, 0, "n1"), out(1, 1_000, "n2")]), Ok(()));
        let error = check(vec![out(0, 0, "n1"), out(1, 999, "n2")]).expect_err("two at once");
        assert_eq!(
            error,
            ScheduleError::ChangesOverlap { id: 1, at_ms: 999, by: 0, until_ms: 1_000 }
        );
        let handed = planned(1, 500, Fault::TransferLeadership, "follower");
        assert_eq!(
            check(vec![out(0, 0, "n1"), handed]),
            Ok(()),
            "the leader is no member's matter"
        );
        let error = check(vec![out(0, 0, "leader")]).expect_err("of three").to_string();
        assert!(error.contains("at least 4 nodes"), "{error}");
        let error = check(vec![out(0, 0, "n1"), planned(1, 9_000, Fault::BitFlip, "n2")]);
        assert_eq!(
            error.expect_err("of two voters, none may be damaged"),
            ScheduleError::TooMuchDestroyed { id: 1, fault: Fault::BitFlip, most: 0 }
        );
        let kill = planned(1, 500, Fault::Kill, "n1");
        let error = check(vec![planned(0, 0, Fault::ReplaceNode, "n1"), kill]).expect_err("dead");
        assert!(error.to_string().contains("needs the process of n1"), "{error}");
    }

    #[test]
    fn a_parameter_that_a_fault_does_not_have_is_refused() {
        let mut one_way = planned(0, 0, Fault::OneWay, "leader");
        one_way.parameters.insert("direction".into(), "in".into());
        assert_eq!(one_way.direction(), Direction::In);
        assert_eq!(check(vec![one_way.clone()]), Ok(()));
        one_way.parameters.insert("direction".into(), "both".into());
        assert!(check(vec![one_way.clone()]).is_err());
        one_way.fault = Fault::Kill;
        assert!(check(vec![one_way]).is_err());
    }

    #[test]
    fn damage_that_programs_see_never_reaches_a_client() {
        let corrupt = |words: &[(&str, &str)]| {
            let mut corrupt = planned(0, 0, Fault::Corrupt, "leader");
            let words = words.iter().map(|(name, word)| ((*name).to_owned(), (*word).to_owned()));
            corrupt.parameters = words.collect();
            check(vec![corrupt])
        };
        let refused = Err(ScheduleError::DamagesHistory { id: 0, fault: Fault::Corrupt });
        for links in ["n1>clients", "n1>n2,clients<>n2"] {
            assert_eq!(corrupt(&[("mend", "yes"), ("links", links)]), refused);
            assert_eq!(corrupt(&[("mend", "no"), ("links", links)]), Ok(()));
        }
        for clients in ["too", "only"] {
            assert_eq!(corrupt(&[("mend", "yes"), ("clients", clients)]), refused);
            assert_eq!(corrupt(&[("clients", clients)]), Ok(()));
        }
        assert_eq!(corrupt(&[("mend", "yes")]), Ok(()));
        assert_eq!(corrupt(&[("mend", "yes"), ("links", "n1<>n2"), ("clients", "too")]), Ok(()));
    }

    #[test]
    fn links_and_sizes_must_be_those_of_the_cluster() {
        let with = |fault, name: &str, word: &str| {
            let mut it = planned(0, 0, fault, "random");
            it.parameters.insert(name.to_owned(), word.to_owned());
            check(vec![it])
        };
        assert_eq!(with(Fault::Cut, "links", "n1>n3,clients>n2"), Ok(()));
        let error = with(Fault::Cut, "links", "n1>n9").expect_err("no such node").to_string();
        assert!(error.contains("\"n9\"; the hosts are n1, n2, n3 and clients"), "{error}");
        assert_eq!(with(Fault::MajorityMinority, "size", "1"), Ok(()));
        assert!(with(Fault::MajorityMinority, "size", "2").is_err());
    }

    #[test]
    fn the_larger_half_keeps_a_majority() {
        for nodes in 3..12 {
            assert!(nodes - minority(nodes) > nodes / 2);
            assert!(minority(nodes) >= 1);
        }
    }
}
