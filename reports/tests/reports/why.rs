//! What the page says of the moment of a violation, and that it says no more than is on record.

use partita_checker::{Nanoseconds, Relation};
use partita_nemesis::{Effect, Family};
use partita_reports::{RoleChange, html};

use crate::support::{Finding, Fixture, Plan, fixture};

/// A stale read via `n3` of what a write via `n1` had replaced, with nothing else on record.
fn stale() -> Fixture {
    let mut fixture = fixture(&Plan { finding: Finding::StaleRead, ..Plan::default() });
    fixture.record.roles.clear();
    fixture.faults.truncate(1);
    fixture.faults[0].error = None;
    fixture.faults[0].began_ns = 0;
    fixture.faults[0].ended_ns = Some(1);
    fixture.faults[0].family = Family::Partition;
    fixture.faults[0].effects =
        vec![Effect { what: "frames dropped".into(), amount: 99.0, unit: "frames".into() }];
    let found = fixture.analysis.counterexample.as_mut().expect("a violation");
    assert!(found.cycle.iter().any(|edge| edge.relation == Relation::OverwrittenBefore));
    for (witness, node) in found.operations.iter_mut().zip(["n1", "n1", "n3"]) {
        witness.node = Some(node.into());
    }
    fixture
}

/// When the stale read was invoked.
fn moment(fixture: &Fixture) -> u64 {
    let found = fixture.analysis.counterexample.as_ref().expect("a violation");
    found.operations.last().expect("operations").invoked.0
}

const SECOND: u64 = 1_000_000_000;

/// A node's role from so long before the read on.
fn role(fixture: &mut Fixture, before: u64, node: &str, role: &str, term: u64) {
    let at_ns = Nanoseconds(moment(fixture) - before);
    let (node, role, term) = (node.into(), role.into(), Some(term));
    fixture.record.roles.push(RoleChange { at_ns, node, role, term });
}

fn section(fixture: &Fixture) -> String {
    let page = html(&fixture.run());
    let Some((_, rest)) = page.split_once("What is on record of that moment") else {
        return String::new();
    };
    rest.split_once("</ul>").expect("the list ends").0.to_owned()
}

#[test]
fn an_old_leader_beside_a_new_one_is_named_with_both_terms() {
    let mut fixture = stale();
    role(&mut fixture, 6 * SECOND, "n3", "leader", 1);
    role(&mut fixture, SECOND, "n1", "leader", 2);
    let told = section(&fixture);
    assert!(told.contains("n3, which answered, said that it was leader of term 1"), "{told}");
    assert!(told.contains("n1 said that it was leader of term 2"), "{told}");
}

#[test]
fn a_leader_that_had_stepped_down_before_or_came_after_is_no_second_leader() {
    let mut fixture = stale();
    role(&mut fixture, 6 * SECOND, "n3", "leader", 1);
    role(&mut fixture, 3 * SECOND, "n1", "leader", 2);
    role(&mut fixture, SECOND, "n1", "follower", 3);
    assert!(!section(&fixture).contains("while"), "{}", section(&fixture));
    // The same term twice is not known to be a newer one.
    let mut fixture = stale();
    role(&mut fixture, 6 * SECOND, "n3", "leader", 2);
    role(&mut fixture, SECOND, "n1", "leader", 2);
    assert!(!section(&fixture).contains("while"), "{}", section(&fixture));
}

#[test]
fn a_follower_that_answered_is_named_beside_the_leader() {
    let mut fixture = stale();
    role(&mut fixture, 6 * SECOND, "n3", "follower", 2);
    role(&mut fixture, 5 * SECOND, "n1", "leader", 2);
    let told = section(&fixture);
    assert!(told.contains("n3, which answered, said that it was follower of term 2"), "{told}");
    // Without a leader on record there is nobody to be beside.
    let mut fixture = stale();
    role(&mut fixture, 6 * SECOND, "n3", "follower", 2);
    assert!(!section(&fixture).contains("which answered"));
}

#[test]
fn the_write_that_was_missed_is_named_with_its_node_if_that_was_another() {
    let mut fixture = stale();
    assert!(section(&fixture).contains("which it missed, had been answered by n1"));
    let found = fixture.analysis.counterexample.as_mut().expect("a violation");
    for witness in &mut found.operations {
        witness.node = Some("n3".into());
    }
    assert!(!section(&fixture).contains("which it missed"));
}

#[test]
fn a_fault_is_named_if_it_hit_the_node_meanwhile_with_an_effect() {
    let mut fixture = stale();
    let moment = moment(&fixture);
    let fault = &mut fixture.faults[0];
    (fault.began_ns, fault.ended_ns) = (moment - SECOND, Some(moment + SECOND));
    fault.nodes = vec!["n3".into()];
    let told = section(&fixture);
    assert!(told.contains("n3 was under fault #0 isolate from"), "{told}");
    assert!(told.contains("frames dropped: 99 frames"), "{told}");
    let without = |change: fn(&mut partita_nemesis::FaultRecord, u64)| {
        let mut fixture = fixture.clone();
        change(&mut fixture.faults[0], moment);
        section(&fixture)
    };
    let others = [
        without(|fault, _| fault.nodes = vec!["n1".into()]),
        without(|fault, _| fault.effects.clear()),
        without(|fault, moment| fault.ended_ns = Some(moment - 1)),
        without(|fault, moment| fault.began_ns = moment + 1),
    ];
    for told in others {
        assert!(!told.contains("fault #0"), "{told}");
    }
}

#[test]
fn a_kill_shortly_before_is_named_and_a_partition_or_one_long_ago_is_not() {
    let mut fixture = stale();
    let moment = moment(&fixture);
    let fault = &mut fixture.faults[0];
    (fault.began_ns, fault.ended_ns) = (moment - 3 * SECOND, Some(moment - SECOND));
    fault.nodes = vec!["n3".into()];
    assert!(!section(&fixture).contains("had been healed"), "a partition leaves nothing behind");
    fixture.faults[0].family = Family::Process;
    let told = section(&fixture);
    assert!(told.contains("of n3 had been healed 1 s before"), "{told}");
    fixture.faults[0].began_ns = 0;
    fixture.faults[0].ended_ns = Some(moment - 6 * SECOND);
    assert!(!section(&fixture).contains("had been healed"));
}

#[test]
fn without_a_node_or_a_culprit_nothing_is_said() {
    let mut fixture = stale();
    role(&mut fixture, 6 * SECOND, "n3", "leader", 1);
    role(&mut fixture, SECOND, "n1", "leader", 2);
    let found = fixture.analysis.counterexample.as_mut().expect("a violation");
    found.operations.last_mut().expect("operations").node = None;
    assert_eq!(section(&fixture), "");
    let contradiction = fixture_of(Finding::Contradiction);
    assert_eq!(section(&contradiction), "", "several operations contradict each other");
}

fn fixture_of(finding: Finding) -> Fixture {
    fixture(&Plan { finding, ..Plan::default() })
}
