//! Lists the faults of one run with their times: the plan that the nemesis plays.
//!
//! A schedule is drawn from a seed ([`Schedule::draw`]), written beside the run, and can be edited
//! and played again: everything still open in it (who leads, who is random) is settled by the
//! cluster and by one random stream *per fault*, so that leaving one fault out does not change the
//! others. Faults come one after another; overlapping ones are refused ([`Schedule::check`]).

mod draw;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::parameters::{self as clock, Change};
use crate::disk::parameters::{destroys, destructible, misunderstood};
use crate::fault::{DIRECTION, Fault, Target};

/// The plan of one run's faults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// What victims are drawn from where the plan leaves them open.
    pub seed: u64,
    /// The faults, by time.
    pub faults: Vec<PlannedFault>,
}

/// One fault to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// Which of a node's directions a one-way partition cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The node does not hear its peers.
    In,
    /// The node is not heard by its peers.
    Out,
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
    /// A fault that would begin while another is in force.
    #[error(
        "fault {id} begins at {at_ms} ms, before the fault listed ahead of it ends at {until_ms} ms"
    )]
    Overlap {
        /// The later fault.
        id: u32,
        /// When it begins.
        at_ms: u64,
        /// When the earlier one ends.
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
    #[error("fault {id} ({fault}) names {named} nodes, but can have {most} here")]
    TooManyVictims {
        /// The fault.
        id: u32,
        /// Its name.
        fault: Fault,
        /// How many it names.
        named: usize,
        /// How many it may name.
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
    /// A partition of a cluster of one.
    #[error("fault {id} ({fault}) needs at least two nodes")]
    TooFewNodes {
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

impl Schedule {
    /// Checks that the schedule can be played on a cluster of these nodes.
    ///
    /// # Errors
    ///
    /// The first reason, in the order of the faults, why it cannot.
    pub fn check(&self, nodes: &[String]) -> Result<(), ScheduleError> {
        let mut seen = std::collections::BTreeSet::new();
        let mut until_ms = 0;
        for planned in &self.faults {
            let (id, at_ms) = (planned.id, planned.at_ms);
            if !seen.insert(id) {
                return Err(ScheduleError::DuplicateId { id });
            }
            if at_ms < until_ms {
                return Err(ScheduleError::Overlap { id, at_ms, until_ms });
            }
            planned.check(nodes)?;
            until_ms = planned.until_ms().ok_or(ScheduleError::TooLate { id })?;
        }
        self.check_destruction(nodes)
    }

    /// Synced data may be destroyed on a minority of the nodes only, all faults taken together.
    fn check_destruction(&self, nodes: &[String]) -> Result<(), ScheduleError> {
        let mut victims = std::collections::BTreeSet::new();
        let most = nodes.len().saturating_sub(1) / 2;
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
}

impl PlannedFault {
    /// When it ends, in milliseconds since the schedule began, unless that overflows.
    fn until_ms(&self) -> Option<u64> {
        let until_ms = self.at_ms.checked_add(self.duration_ms)?;
        // Played times are nanoseconds.
        until_ms.checked_mul(1_000_000).map(|_| until_ms)
    }

    /// What a one-way partition cuts: as planned, or the default.
    pub fn direction(&self) -> Direction {
        match self.parameters.get(DIRECTION).map(String::as_str) {
            Some("in") => Direction::In,
            _ => Direction::Out,
        }
    }

    /// What a clock fault does, as planned, with defaults.
    ///
    /// # Errors
    ///
    /// If a parameter is not understood, or this is no clock fault.
    pub fn clock_change(&self) -> Result<Change, ScheduleError> {
        let (id, fault) = (self.id, self.fault);
        let error = |clock::Misunderstood { name, value, expected }| ScheduleError::Parameter {
            id,
            fault,
            name,
            value,
            expected: expected.to_owned(),
        };
        clock::read(fault, &self.parameters).map_err(error)
    }

    fn check_names(&self, names: &[String], nodes: &[String]) -> Result<(), ScheduleError> {
        let (id, fault) = (self.id, self.fault);
        let most = match fault {
            Fault::Halves => minority(nodes.len()),
            Fault::PowerLoss | Fault::PowerLossAll => nodes.len(),
            _ => 1,
        };
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
        if names.len() > most {
            return Err(ScheduleError::TooManyVictims { id, fault, named: names.len(), most });
        }
        Ok(())
    }

    fn check(&self, nodes: &[String]) -> Result<(), ScheduleError> {
        let (id, fault) = (self.id, self.fault);
        let is_partition = fault.family() == crate::record::Family::Partition;
        if is_partition && nodes.len() < 2 {
            return Err(ScheduleError::TooFewNodes { id, fault });
        }
        if let Target::Nodes(names) = &self.target {
            self.check_names(names, nodes)?;
        }
        if fault.family() == crate::record::Family::Clock {
            return self.clock_change().map(drop);
        }
        for (name, value) in &self.parameters {
            if fault.family() == crate::record::Family::Disk {
                let Some(expected) = misunderstood(fault, name, value) else { continue };
                let (name, value) = (name.clone(), value.clone());
                return Err(ScheduleError::Parameter { id, fault, name, value, expected });
            }
            let expected = match (fault, name.as_str(), value.as_str()) {
                (Fault::OneWay, DIRECTION, "in" | "out") => continue,
                (Fault::OneWay, DIRECTION, _) => "in or out".to_owned(),
                (Fault::OneWay, _, _) => format!("the parameter {DIRECTION}"),
                _ => "no parameters".to_owned(),
            };
            let (name, value) = (name.clone(), value.clone());
            return Err(ScheduleError::Parameter { id, fault, name, value, expected });
        }
        Ok(())
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
        Schedule { seed: 1, faults }.check(&nodes())
    }

    #[test]
    fn a_schedule_edited_by_hand_is_checked_fault_by_fault() {
        let ok = planned(0, 0, Fault::Kill, "n1");
        assert_eq!(check(vec![ok.clone(), planned(1, 1_000, Fault::Halves, "leader")]), Ok(()));
        let cases = [
            (vec![ok.clone(), planned(0, 5_000, Fault::Kill, "n1")], "occurs twice"),
            (vec![ok.clone(), planned(1, 999, Fault::Kill, "n1")], "ends at 1000 ms"),
            (vec![planned(0, 0, Fault::Kill, "n9")], "the nodes are n1, n2, n3"),
            (vec![planned(0, 0, Fault::Isolate, "n1,n2")], "names 2 nodes"),
            (vec![planned(0, 0, Fault::Halves, "n1,n1")], "twice"),
            (vec![planned(0, u64::MAX / 1_000, Fault::Kill, "n1")], "later than a clock"),
        ];
        for (faults, expected) in cases {
            let error = check(faults).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
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
        let lone = Schedule { seed: 1, faults: vec![flip(0, 0, "random")] };
        assert!(lone.check(&pair).is_err(), "there is no minority of two");
        let dark = planned(0, 0, Fault::PowerLoss, "n1,n2");
        assert_eq!(check(vec![dark]), Ok(()), "what was synced is not destroyed");
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
    fn a_misspelt_field_is_refused() {
        let text = r#"{"seed":9,"faults":[{"id":0,"at_ms":1,"duration":3,"fault":"kill",
            "target":"n1"}]}"#;
        let error = serde_json::from_str::<Schedule>(text).expect_err("no such field");
        assert!(error.to_string().contains("duration_ms"), "{error}");
    }

    #[test]
    fn the_larger_half_keeps_a_majority() {
        for nodes in 3..12 {
            assert!(nodes - minority(nodes) > nodes / 2);
            assert!(minority(nodes) >= 1);
        }
    }

    #[test]
    fn a_schedule_reads_back_as_it_was_written() {
        let text = r#"{"seed":9,"faults":[{"id":0,"at_ms":2500,"duration_ms":3000,
            "fault":"one-way","target":"leader","parameters":{"direction":"in"}}]}"#;
        let schedule: Schedule = serde_json::from_str(text).expect("a schedule");
        let written = serde_json::to_string(&schedule).expect("serialises");
        assert_eq!(serde_json::from_str::<Schedule>(&written).expect("reads back"), schedule);
        assert_eq!(schedule.end(), Duration::from_millis(5_500));
    }
}
