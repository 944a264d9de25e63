//! Decides, fault by fault, by which measured effect its victims can have felt it, and by which
//! operations it can show anything.
//!
//! A fault that nobody can have felt tested nothing: a clock that was moved and never read, a link
//! that was cut and had nothing to carry, a loss of power on a disk that lost nothing under a node
//! that did not run. `docs/faults.md` has the table.

use crate::fault::Fault;
use crate::record::{Effect, Family, FaultRecord};

/// Which operations can show what a fault did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// Those that are answered while it is in force.
    Under,
    /// Those acknowledged before it together with those that observe the same keys after it: while
    /// it is in force, no majority may be there to answer.
    Across,
}

/// How it is told that the victims felt a fault.
struct Felt {
    /// Whether an effect of more than nothing tells so.
    by: fn(&Effect) -> bool,
    /// What is said where none does.
    or_else: &'static str,
}

const CUT: Felt = Felt { by: is_piece, or_else: "nothing was sent on the links that it cut" };
const CARRIED: Felt = Felt { by: is_piece, or_else: "nothing that these links carried was hit" };
const RESET: Felt =
    Felt { by: |it| it.unit == "connections", or_else: "there was no connection to reset" };
const STOPPED: Felt = Felt { by: |it| it.unit == "ms", or_else: "no victim was stopped" };
const ENDED: Felt = Felt { by: |it| it.unit == "processes", or_else: "no process ended by it" };
const READ: Felt = Felt {
    by: |it| it.unit == "readings",
    or_else: "no program of the victim read the clocks that were moved",
};
const POWER: Felt = Felt {
    by: |it| ["lost power", "bytes lost", "directory entries lost"].contains(&it.what.as_str()),
    or_else: "no victim ran, and no disk lost anything",
};
const CALLS: Felt = Felt { by: |it| it.unit == "calls", or_else: "no call of the victim met it" };
const DAMAGED: Felt = Felt { by: |it| it.what == "bytes damaged", or_else: "no byte was damaged" };
const CHANGED: Felt =
    Felt { by: |it| it.unit == "ms", or_else: "no change was seen to come about" };

fn is_piece(effect: &Effect) -> bool {
    ["frames", "chunks"].contains(&effect.unit.as_str())
}

const fn felt(fault: Fault) -> &'static Felt {
    match fault {
        Fault::Isolate
        | Fault::Halves
        | Fault::MajorityMinority
        | Fault::MajoritiesRing
        | Fault::Bridge
        | Fault::OneWay
        | Fault::LeaderFromFollowers
        | Fault::ClientsFromLeader
        | Fault::Flapping
        | Fault::Cut => &CUT,
        Fault::Delay
        | Fault::Loss
        | Fault::BurstLoss
        | Fault::Duplicate
        | Fault::Reorder
        | Fault::Corrupt
        | Fault::Rate
        | Fault::Hold => &CARRIED,
        Fault::Reset => &RESET,
        Fault::Pause | Fault::Stutter => &STOPPED,
        Fault::Kill
        | Fault::Terminate
        | Fault::KillAll
        | Fault::RollingRestart
        | Fault::RestartVoters => &ENDED,
        Fault::ClockStep | Fault::ClockStrobe | Fault::ClockRate => &READ,
        Fault::PowerLoss | Fault::PowerLossAll => &POWER,
        Fault::DiskError | Fault::DiskFull | Fault::DiskSlow => &CALLS,
        Fault::BitFlip | Fault::Truncate => &DAMAGED,
        Fault::TransferLeadership | Fault::RemoveNode | Fault::ReplaceNode | Fault::AddNode => {
            &CHANGED
        }
    }
}

impl FaultRecord {
    /// Whether its victims can have felt it: a fault without such an effect tested nothing. A fault
    /// that this version does not know is taken by any effect.
    pub fn had_effect(&self) -> bool {
        let by =
            Fault::named(&self.fault).map_or((|_| true) as fn(&Effect) -> bool, |it| felt(it).by);
        self.effects.iter().any(|effect| effect.amount > 0.0 && by(effect))
    }

    /// Why its victims cannot have felt it, in a few words, if they cannot.
    pub fn without_effect(&self) -> Option<&'static str> {
        let why = Fault::named(&self.fault).map_or("none was measured", |it| felt(it).or_else);
        (!self.had_effect()).then_some(why)
    }

    /// Which operations can show what it did to a cluster of so many nodes.
    pub fn shows(&self, nodes: usize) -> Shows {
        let Some(fault) = Fault::named(&self.fault) else { return Shows::Under };
        match fault {
            // Each takes every node, or one node after the other, down in its time.
            Fault::KillAll | Fault::PowerLossAll | Fault::RollingRestart | Fault::RestartVoters => {
                Shows::Across
            }
            // What was durable is what they destroy; the node may be down all the time.
            Fault::PowerLoss | Fault::BitFlip | Fault::Truncate => Shows::Across,
            _ => match fault.family() {
                Family::Partition | Family::Link | Family::Process | Family::Disk
                    if self.leaves_no_majority(fault, nodes) =>
                {
                    Shows::Across
                }
                _ => Shows::Under,
            },
        }
    }

    /// Whether the nodes that it leaves alone are too few to commit anything.
    fn leaves_no_majority(&self, fault: Fault, nodes: usize) -> bool {
        match fault {
            // These leave a majority whomever they name; or break links without cutting them.
            Fault::MajorityMinority | Fault::MajoritiesRing | Fault::Bridge | Fault::OneWay => {
                false
            }
            Fault::ClientsFromLeader | Fault::Cut | Fault::DiskSlow => false,
            _ => 2 * self.nodes.len() >= nodes && nodes > 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::fault::FAULTS;

    fn record(fault: Fault, nodes: &[&str], effects: &[(&str, f64, &str)]) -> FaultRecord {
        FaultRecord {
            id: 0,
            fault: fault.name().to_owned(),
            family: fault.family(),
            target: String::new(),
            nodes: nodes.iter().map(|it| (*it).to_owned()).collect(),
            parameters: BTreeMap::new(),
            began_ns: 0,
            ended_ns: Some(1),
            effects: effects
                .iter()
                .map(|(what, much, unit)| Effect::new(what, *much, unit))
                .collect(),
            error: None,
            unhealed: false,
        }
    }

    #[test]
    fn nothing_measured_is_no_effect_of_any_fault_and_each_says_why() {
        for fault in FAULTS.iter().map(|row| row.fault) {
            let nothing = record(fault, &["n1"], &[]);
            assert!(!nothing.had_effect(), "{fault}");
            assert!(nothing.without_effect().is_some_and(|why| !why.is_empty()), "{fault}");
        }
    }

    #[test]
    fn a_clock_that_nobody_read_had_no_effect_however_far_it_was_moved() {
        let moved = ("realtime moved", 2_000.0, "ms");
        let jumps = ("jumps of realtime", 501.0, "jumps");
        for fault in [Fault::ClockStep, Fault::ClockStrobe, Fault::ClockRate] {
            let unread = [moved, jumps, ("readings of moved clocks", 0.0, "readings")];
            assert!(!record(fault, &["n1"], &unread).had_effect(), "{fault}");
            let read = [moved, ("readings of moved clocks", 3.0, "readings")];
            assert_eq!(record(fault, &["n1"], &read).without_effect(), None, "{fault}");
        }
    }

    #[test]
    fn power_that_nobody_had_and_that_took_nothing_away_had_no_effect() {
        let idle = [
            ("lost power", 0.0, "processes"),
            ("bytes lost", 0.0, "bytes"),
            ("unsynced bytes kept", 812.0, "bytes"),
            ("directory entries lost", 0.0, "entries"),
            ("time down", 900.0, "ms"),
        ];
        for fault in [Fault::PowerLoss, Fault::PowerLossAll] {
            assert!(!record(fault, &["n1"], &idle).had_effect(), "{fault}");
            for felt in [0, 1, 3] {
                let mut effects = idle;
                effects[felt].1 = 1.0;
                assert!(record(fault, &["n1"], &effects).had_effect(), "{fault} {felt}");
            }
        }
    }

    #[test]
    fn a_disk_that_was_not_used_or_a_change_that_was_not_seen_had_no_effect() {
        let ended = [("ended by itself", 1.0, "processes")];
        assert!(!record(Fault::DiskError, &["n1"], &ended).had_effect(), "of something else");
        let delayed = [("syncs delayed", 1.0, "calls")];
        assert!(record(Fault::DiskSlow, &["n1"], &delayed).had_effect());
        let killed = [("killed by signal 9", 1.0, "processes")];
        assert!(!record(Fault::ReplaceNode, &["n1"], &killed).had_effect());
        let down = [("killed by signal 9", 0.0, "processes"), ("time down", 40.0, "ms")];
        assert!(!record(Fault::Kill, &["n1"], &down).had_effect());
        assert!(record(Fault::Kill, &["n1"], &killed).had_effect());
        let flaps = [("cut off", 4.0, "times"), ("chunks withheld", 0.0, "chunks")];
        assert!(!record(Fault::Flapping, &["n1"], &flaps).had_effect());
    }

    #[test]
    fn what_stops_a_majority_shows_across_and_what_does_not_shows_under() {
        let shows = |fault, nodes: &[&str], of| record(fault, nodes, &[]).shows(of);
        assert_eq!(shows(Fault::PowerLossAll, &["n1", "n2", "n3"], 3), Shows::Across);
        assert_eq!(shows(Fault::RollingRestart, &["n1"], 3), Shows::Across);
        assert_eq!(shows(Fault::Halves, &["n1", "n2"], 4), Shows::Across);
        assert_eq!(shows(Fault::Halves, &["n1"], 3), Shows::Under);
        assert_eq!(shows(Fault::Pause, &["n1", "n2"], 3), Shows::Across);
        assert_eq!(shows(Fault::Pause, &["n1"], 3), Shows::Under);
        assert_eq!(shows(Fault::ClockRate, &["n1"], 1), Shows::Under);
        assert_eq!(shows(Fault::ClientsFromLeader, &["n1"], 2), Shows::Under);
    }
}
