//! Says of a fault that happened what its kind says of it: by which measured effect its victims can
//! have felt it, which operations can show anything, and whether it explains that a node ended.
//!
//! A fault that cannot have been felt tested nothing: a clock that was moved and never read, a link
//! that was cut and had nothing to carry, a loss of power on a disk that lost nothing under a node
//! that did not run. `docs/faults.md` has the table.

use crate::fault::{FaultKind, ShownBy};
use crate::record::{Effect, FaultRecord};

pub use crate::fault::Shows;

impl FaultRecord {
    /// What kind of fault it is, if this version knows it.
    pub fn kind(&self) -> Option<FaultKind> {
        FaultKind::named(&self.fault)
    }

    /// Whether it accounts for a victim having no process while it is in force.
    pub fn explains_exit(&self) -> bool {
        self.kind().is_some_and(|kind| kind.description().explains_exit)
    }

    /// What was going on while it was in force: `n3 was cut off`.
    pub fn in_words(&self) -> String {
        let nodes = self.nodes.join(", ");
        let were = if self.nodes.len() == 1 { "was" } else { "were" };
        match self.kind() {
            Some(kind) => format!("{nodes} {were} {}", kind.description().was),
            None => format!("{nodes} {were} under {}", self.fault),
        }
    }

    /// Whether its victims can have felt it: a fault without such an effect tested nothing. A fault
    /// that this version does not know is taken by any effect.
    pub fn had_effect(&self) -> bool {
        let felt = |effect: &Effect| {
            self.kind().is_none_or(|kind| (kind.description().evidence.felt)(effect))
        };
        self.effects.iter().any(|effect| effect.amount > 0.0 && felt(effect))
    }

    /// Why its victims cannot have felt it, in a few words, if they cannot.
    pub fn without_effect(&self) -> Option<&'static str> {
        let why = self.kind().map_or("none was measured", |it| it.description().evidence.or_else);
        (!self.had_effect()).then_some(why)
    }

    /// Which operations can show what it did to a cluster of so many nodes.
    pub fn shows(&self, nodes: usize) -> Shows {
        match self.kind().map(|kind| kind.description().evidence.shown) {
            Some(ShownBy::Across) => Shows::Across,
            // The nodes that it leaves alone are too few to commit anything.
            Some(ShownBy::Majority) if 2 * self.nodes.len() >= nodes && nodes > 1 => Shows::Across,
            Some(ShownBy::Majority | ShownBy::Under) | None => Shows::Under,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::fault::FAULTS;
    use crate::fault::clock::{ClockRate, ClockStep, ClockStrobe};
    use crate::fault::disk::{DiskError, DiskSlow, PowerLoss, PowerLossAll};
    use crate::fault::membership::{RemoveNode, ReplaceNode};
    use crate::fault::partition::{ClientsFromLeader, Flapping, Halves, Isolate};
    use crate::fault::process::{Kill, Pause, PauseLoop, RollingRestart};

    fn record(kind: FaultKind, nodes: &[&str], effects: &[(&str, f64, &str)]) -> FaultRecord {
        FaultRecord {
            id: 0,
            fault: kind.name().to_owned(),
            family: kind.family(),
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
        for fault in FAULTS {
            let nothing = record(fault, &["n1"], &[]);
            assert!(!nothing.had_effect(), "{fault}");
            assert!(nothing.without_effect().is_some_and(|why| !why.is_empty()), "{fault}");
        }
    }

    #[test]
    fn a_clock_that_nobody_read_had_no_effect_however_far_it_was_moved() {
        let moved = ("realtime moved", 2_000.0, "ms");
        let jumps = ("jumps of realtime", 501.0, "jumps");
        for fault in [ClockStep::KIND, ClockStrobe::KIND, ClockRate::KIND] {
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
        for fault in [PowerLoss::KIND, PowerLossAll::KIND] {
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
        assert!(!record(DiskError::KIND, &["n1"], &ended).had_effect(), "of something else");
        let delayed = [("syncs delayed", 1.0, "calls")];
        assert!(record(DiskSlow::KIND, &["n1"], &delayed).had_effect());
        let killed = [("killed by signal 9", 1.0, "processes")];
        assert!(!record(ReplaceNode::KIND, &["n1"], &killed).had_effect());
        let down = [("killed by signal 9", 0.0, "processes"), ("time down", 40.0, "ms")];
        assert!(!record(Kill::KIND, &["n1"], &down).had_effect());
        assert!(record(Kill::KIND, &["n1"], &killed).had_effect());
        let flaps = [("cut off", 4.0, "times"), ("chunks withheld", 0.0, "chunks")];
        assert!(!record(Flapping::KIND, &["n1"], &flaps).had_effect());
    }

    #[test]
    fn what_stops_a_majority_shows_across_and_what_does_not_shows_under() {
        let shows = |fault, nodes: &[&str], of| record(fault, nodes, &[]).shows(of);
        assert_eq!(shows(PowerLossAll::KIND, &["n1", "n2", "n3"], 3), Shows::Across);
        assert_eq!(shows(RollingRestart::KIND, &["n1"], 3), Shows::Across);
        assert_eq!(shows(Halves::KIND, &["n1", "n2"], 4), Shows::Across);
        assert_eq!(shows(Halves::KIND, &["n1"], 3), Shows::Under);
        assert_eq!(shows(Pause::KIND, &["n1", "n2"], 3), Shows::Across);
        assert_eq!(shows(Pause::KIND, &["n1"], 3), Shows::Under);
        assert_eq!(shows(ClockRate::KIND, &["n1"], 1), Shows::Under);
        assert_eq!(shows(ClientsFromLeader::KIND, &["n1"], 2), Shows::Under);
    }

    #[test]
    fn a_fault_explains_exits_if_it_ends_processes_or_gives_them_a_reason_to_end() {
        let explains = |kind| record(kind, &["n1"], &[]).explains_exit();
        for kind in [Kill::KIND, RollingRestart::KIND, PowerLoss::KIND, ReplaceNode::KIND] {
            assert!(explains(kind), "{kind}");
        }
        assert!(explains(DiskError::KIND), "a failed sync may be a reason to end");
        for kind in [Pause::KIND, PauseLoop::KIND, Isolate::KIND, ClockStep::KIND] {
            assert!(!explains(kind), "{kind}");
        }
        assert!(!explains(DiskSlow::KIND), "a slow disk is no reason to end");
        assert!(!explains(RemoveNode::KIND), "its process runs all the time");
        let mut unknown = record(Kill::KIND, &["n1"], &[]);
        unknown.fault = "kil".to_owned();
        assert!(!unknown.explains_exit());
    }

    #[test]
    fn what_was_going_on_is_told_of_one_node_and_of_several() {
        let told = |kind, nodes: &[&str]| record(kind, nodes, &[]).in_words();
        assert_eq!(told(Isolate::KIND, &["n3"]), "n3 was cut off");
        assert_eq!(told(PauseLoop::KIND, &["n1", "n2"]), "n1, n2 were stopped again and again");
    }
}
