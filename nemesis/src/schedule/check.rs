//! Decides whether a schedule can be played on a cluster, and says which fault keeps it from that.

use std::collections::BTreeSet;

use super::{PlannedFault, Schedule, ScheduleError};
use crate::fault::disk::destructible;
use crate::fault::target::minority;
use crate::fault::{Aim, Clients, LinkChoice, Reach, SplitSize, Target};
use crate::lab::{CLIENTS, LabBackend};

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
        let changes = self.faults.iter().filter(|planned| planned.fault.kind().changes_members());
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

    /// Checks that a lab of this backend has every fault.
    ///
    /// # Errors
    ///
    /// The first that it does not have.
    pub fn check_tier(&self, backend: LabBackend) -> Result<(), ScheduleError> {
        match self.faults.iter().find(|planned| !planned.fault.kind().fits(backend)) {
            Some(PlannedFault { id, fault, .. }) => {
                let (id, fault) = (*id, fault.kind());
                Err(ScheduleError::NeedsLab { id, fault, needed: fault.needed_tier(), backend })
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
                let held = earlier.fault.kind().description().holds;
                let needed = later.fault.kind().description().holds;
                let what = needed.iter().find(|it| held.contains(it));
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
        let out =
            usize::from(self.faults.iter().any(|planned| planned.fault.kind().changes_members()));
        let most = nodes.len().saturating_sub(1 + out) / 2;
        let destroys = |it: &&PlannedFault| it.fault.kind().description().destroys_synced_data;
        for planned in self.faults.iter().filter(destroys) {
            match &planned.target {
                Target::Nodes(names) => victims.extend(names.iter().cloned()),
                _ => victims.extend(destructible(self.seed, nodes)),
            }
            if victims.len() > most || most == 0 {
                let (id, fault) = (planned.id, planned.fault.kind());
                return Err(ScheduleError::TooMuchDestroyed { id, fault, most });
            }
        }
        Ok(())
    }
}

impl PlannedFault {
    fn check(&self, nodes: &[String]) -> Result<(), ScheduleError> {
        let (id, fault) = (self.id, self.fault.kind());
        self.until_ms().ok_or(ScheduleError::TooLate { id })?;
        let aim = self.fault.aim();
        let least = self.least_nodes(&aim);
        if nodes.len() < least {
            return Err(ScheduleError::TooFewNodes { id, fault, least });
        }
        if let Target::Nodes(names) = &self.target {
            self.check_names(names, nodes)?;
        }
        let most = match fault.description().victims.reach() {
            Reach::One => 1,
            Reach::Minority => minority(nodes.len()),
            Reach::Half => (nodes.len() / 2).max(1),
            Reach::Any => nodes.len(),
        };
        let too_many = |most| {
            let target = self.target.clone();
            Err(ScheduleError::TooManyVictims { id, fault, target, most })
        };
        if self.target.size(nodes.len()) > most {
            return too_many(most);
        }
        match &aim {
            Aim::Split(SplitSize::Exactly(size)) if *size > minority(nodes.len()) => {
                too_many(minority(nodes.len()))
            }
            Aim::Links(links) => self.check_links(links, nodes),
            Aim::Nodes | Aim::Split(_) | Aim::Bridge | Aim::Ring => Ok(()),
        }
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

    /// The fewest nodes on which it does anything.
    fn least_nodes(&self, aim: &Aim) -> usize {
        let kind = self.fault.kind();
        match (aim, &self.target) {
            (Aim::Links(LinkChoice { named: Some(_), .. }), _) => 1,
            (Aim::Links(LinkChoice { clients: Clients::Too | Clients::Only, .. }), _) => 1,
            // A schedule that names a node takes into account what is left without it.
            (_, Target::Nodes(_)) if kind.changes_members() => 2,
            _ => kind.description().needs.nodes,
        }
    }

    fn check_links(&self, links: &LinkChoice, nodes: &[String]) -> Result<(), ScheduleError> {
        let id = self.id;
        let named = links.named.as_ref().map_or(&[][..], |named| named.links());
        let mut hosts = named.iter().flat_map(|link| [&link.from, &link.to]);
        if let Some(host) = hosts.clone().find(|it| *it != CLIENTS && !nodes.contains(it)) {
            let (host, known) = (host.clone(), nodes.join(", "));
            return Err(ScheduleError::UnknownHost { id, host, known });
        }
        let by_name = hosts.any(|host| host == CLIENTS);
        let by_target = links.named.is_none() && links.clients != Clients::No;
        if links.is_believed && (by_name || by_target) {
            return Err(ScheduleError::DamagesHistory { id, fault: self.fault.kind() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::clock::ClockStep;
    use crate::fault::disk::{BitFlip, PowerLoss};
    use crate::fault::link::Corrupt;
    use crate::fault::membership::{RemoveNode, ReplaceNode, TransferLeadership};
    use crate::fault::partition::{Cut, Halves, Isolate, MajoritiesRing, MajorityMinority};
    use crate::fault::process::{Kill, Pause};
    use crate::fault::{Fault, FaultKind};

    fn nodes() -> Vec<String> {
        ["n1", "n2", "n3"].map(String::from).to_vec()
    }

    fn planned(id: u32, at_ms: u64, kind: FaultKind, target: &str) -> PlannedFault {
        let target = target.parse().expect("a target");
        let fault = kind.with_defaults();
        PlannedFault { id, at_ms, trigger: None, duration_ms: 1_000, fault, target }
    }

    fn check(faults: Vec<PlannedFault>) -> Result<(), ScheduleError> {
        Schedule { seed: 1, faults, read_only: Vec::new() }.check(&nodes())
    }

    #[test]
    fn a_schedule_edited_by_hand_is_checked_fault_by_fault() {
        let ok = planned(0, 0, Kill::KIND, "n1");
        assert_eq!(check(vec![ok.clone(), planned(1, 1_000, Halves::KIND, "leader")]), Ok(()));
        let cases = [
            (vec![ok.clone(), planned(0, 5_000, Kill::KIND, "n1")], "occurs twice"),
            (vec![ok.clone(), planned(1, 999, Pause::KIND, "n1")], "holds until 1000 ms"),
            (vec![planned(1, 999, PowerLoss::KIND, "n1"), ok.clone()], "fault 1 needs the power"),
            (vec![planned(0, 0, Kill::KIND, "n9")], "the nodes are n1, n2, n3"),
            (vec![planned(0, 0, ClockStep::KIND, "n1,n2")], "targets n1,n2"),
            (vec![planned(0, 0, Halves::KIND, "majority")], "at most 1"),
            (vec![planned(0, 0, MajoritiesRing::KIND, "all")], "at least 4 nodes"),
            (vec![planned(0, 0, Halves::KIND, "n1,n1")], "twice"),
            (vec![planned(0, u64::MAX / 1_000, Kill::KIND, "n1")], "later than a clock"),
        ];
        for (faults, expected) in cases {
            let error = check(faults).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn faults_overlap_unless_they_need_the_same_of_a_node() {
        let overlapping = vec![
            planned(0, 0, Isolate::KIND, "n1"),
            planned(1, 500, Kill::KIND, "n1"),
            planned(2, 500, ClockStep::KIND, "n1"),
            planned(3, 500, Kill::KIND, "n2"),
            planned(4, 700, Kill::KIND, "random"),
            planned(5, 1_500, Kill::KIND, "n1"),
        ];
        assert_eq!(check(overlapping), Ok(()));
    }

    #[test]
    fn synced_data_is_destroyed_on_one_minority_only() {
        let flip = |id, at_ms, target| planned(id, at_ms, BitFlip::KIND, target);
        assert_eq!(check(vec![flip(0, 0, "n1"), flip(1, 2_000, "n1")]), Ok(()));
        assert_eq!(check(vec![flip(0, 0, "leader"), flip(1, 2_000, "random")]), Ok(()));
        let error = check(vec![flip(0, 0, "n1"), flip(1, 2_000, "n2")]).expect_err("two of three");
        assert_eq!(error, ScheduleError::TooMuchDestroyed { id: 1, fault: BitFlip::KIND, most: 1 });
        let pair = ["n1", "n2"].map(String::from);
        let faults = vec![flip(0, 0, "random")];
        let lone = Schedule { seed: 1, faults, read_only: Vec::new() };
        assert!(lone.check(&pair).is_err(), "there is no minority of two");
        let dark = planned(0, 0, PowerLoss::KIND, "n1,n2");
        assert_eq!(check(vec![dark]), Ok(()), "what was synced is not destroyed");
    }

    #[test]
    fn members_change_by_one_node_at_a_time_and_leave_three_voters() {
        let out = |id, at_ms, target| planned(id, at_ms, RemoveNode::KIND, target);
        assert_eq!(check(vec![out(0, 0, "n1"), out(1, 1_000, "n2")]), Ok(()));
        let error = check(vec![out(0, 0, "n1"), out(1, 999, "n2")]).expect_err("two at once");
        assert_eq!(
            error,
            ScheduleError::ChangesOverlap { id: 1, at_ms: 999, by: 0, until_ms: 1_000 }
        );
        let handed = planned(1, 500, TransferLeadership::KIND, "follower");
        assert_eq!(
            check(vec![out(0, 0, "n1"), handed]),
            Ok(()),
            "the leader is no member's matter"
        );
        let error = check(vec![out(0, 0, "leader")]).expect_err("of three").to_string();
        assert!(error.contains("at least 4 nodes"), "{error}");
        let error = check(vec![out(0, 0, "n1"), planned(1, 9_000, BitFlip::KIND, "n2")]);
        assert_eq!(
            error.expect_err("of two voters, none may be damaged"),
            ScheduleError::TooMuchDestroyed { id: 1, fault: BitFlip::KIND, most: 0 }
        );
        let kill = planned(1, 500, Kill::KIND, "n1");
        let error = check(vec![planned(0, 0, ReplaceNode::KIND, "n1"), kill]).expect_err("dead");
        assert!(error.to_string().contains("needs the process of n1"), "{error}");
    }

    #[test]
    fn damage_that_programs_see_never_reaches_a_client() {
        let corrupt = |words: &[(&str, &str)]| {
            let mut corrupt = planned(0, 0, Corrupt::KIND, "leader");
            corrupt.fault = Fault::read(Corrupt::KIND, words);
            check(vec![corrupt])
        };
        let refused = Err(ScheduleError::DamagesHistory { id: 0, fault: Corrupt::KIND });
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
        let with = |kind, name: &str, word: &str| {
            let mut it = planned(0, 0, kind, "random");
            it.fault = Fault::read(kind, &[(name, word)]);
            check(vec![it])
        };
        assert_eq!(with(Cut::KIND, "links", "n1>n3,clients>n2"), Ok(()));
        let error = with(Cut::KIND, "links", "n1>n9").expect_err("no such node").to_string();
        assert!(error.contains("\"n9\"; the hosts are n1, n2, n3 and clients"), "{error}");
        assert_eq!(with(MajorityMinority::KIND, "size", "1"), Ok(()));
        assert!(with(MajorityMinority::KIND, "size", "2").is_err());
    }
}
