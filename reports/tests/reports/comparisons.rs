//! Two runs side by side.

use partita_reports::{Comparison, Difference};

use crate::support::{Finding, Fixture, Plan, fixture};

fn difference<'a>(comparison: &'a Comparison, of: &str) -> &'a Difference {
    comparison.differences.iter().find(|it| it.of == of).expect("a difference")
}

fn compared(first: &Fixture, second: &Fixture) -> Comparison {
    Comparison::of(&first.run(), &second.run())
}

#[test]
fn a_run_is_like_itself() {
    let run = fixture(&Plan::default());
    let comparison = compared(&run, &run);
    assert!(comparison.rows.iter().all(|row| row.first == row.second));
    assert!(comparison.differences.iter().all(|difference| difference.parting.is_none()));
    let answers = difference(&comparison, "answers");
    assert_eq!(answers.alike, run.history.operations().len());
}

#[test]
fn what_a_read_saw_is_no_difference_and_the_verdict_is() {
    let plan = Plan::default();
    let good = fixture(&plan);
    let bad = fixture(&Plan { finding: Finding::StaleRead, ..plan });
    let comparison = compared(&good, &bad);
    let row = |name: &str| comparison.rows.iter().find(|row| row.name == name).expect("a row");
    assert_eq!(row("verdict").first, "Linearizable");
    assert_eq!(row("verdict").second, "Violation: stale read");
    assert_eq!(difference(&comparison, "answers").parting, None);
}

#[test]
fn the_first_other_fault_is_named_on_both_sides() {
    let first = fixture(&Plan::default());
    let mut second = first.clone();
    second.faults[1].nodes = vec!["n3".into()];
    // Times are never the same.
    second.faults[0].began_ns += 1_000_000;
    let comparison = compared(&first, &second);
    let faults = difference(&comparison, "faults");
    assert_eq!(faults.alike, 1);
    let [one, other] = faults.parting.as_ref().expect("they part");
    assert!(one.starts_with("#1 kill n1") && other.starts_with("#1 kill n3"), "{one}, {other}");
    second.faults.truncate(1);
    let comparison = compared(&first, &second);
    let [_, other] = difference(&comparison, "faults").parting.as_ref().expect("they part");
    assert_eq!(other, "nothing more");
}

#[test]
fn the_first_other_leader_is_named_and_candidates_are_not() {
    let first = fixture(&Plan::default());
    let mut second = first.clone();
    second.record.roles.retain(|change| change.role != "candidate");
    assert_eq!(difference(&compared(&first, &second), "roles").parting, None);
    let leader = second.record.roles.iter_mut().find(|change| change.role == "leader");
    leader.expect("a leader").term = Some(9);
    let comparison = compared(&first, &second);
    let [one, other] = difference(&comparison, "roles").parting.as_ref().expect("they part");
    assert!(one.contains("leader of term 1") && other.contains("leader of term 9"));
}
