//! What the page says of the moment of a violation, and that it says no more than is on record.

use partita_checker::{Nanoseconds, Relation};
use partita_nemesis::{Effect, Family};
use partita_reports::logs::Stream;
use partita_reports::{
    Finding as Found, FindingKind, LinkPeriod, LoggedLine, RoleChange, RunArtifacts, html,
    html_around,
};

use crate::support::{Finding, Fixture, Plan, fixture};

/// A stale read via `n3` of what a write via `n1` had replaced, with nothing else on record.
pub(crate) fn stale() -> Fixture {
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
pub(crate) fn moment(fixture: &Fixture) -> u64 {
    let found = fixture.analysis.counterexample.as_ref().expect("a violation");
    found.operations.last().expect("operations").invoked.0
}

pub(crate) const SECOND: u64 = 1_000_000_000;

/// A node's role from so long before the read on.
pub(crate) fn role(fixture: &mut Fixture, before: u64, node: &str, role: &str, term: u64) {
    let at_ns = Nanoseconds(moment(fixture) - before);
    let (node, role, term) = (node.into(), role.into(), Some(term));
    fixture.record.roles.push(RoleChange { at_ns, node, role, term });
}

pub(crate) fn section(fixture: &Fixture) -> String {
    let page = html(&fixture.run());
    told(&page)
}

/// The sentences of a page: the most telling stand in its head.
pub(crate) fn told(page: &str) -> String {
    let first = page.split("<p class=\"remark why\">").skip(1);
    let first: Vec<_> = first.filter_map(|rest| Some(rest.split_once("</p>")?.0)).collect();
    let (_, rest) = page.split_once("What is on record of that moment").expect("a section");
    let (section, _) = rest.split_once("</section>").expect("the section ends");
    let others = section.split_once("</ul>").map_or("", |(sentences, _)| sentences);
    format!("{}{others}", first.join("\n"))
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
    // The same term twice is not known to be a newer one: both are told all the same.
    let mut fixture = stale();
    role(&mut fixture, 6 * SECOND, "n3", "leader", 2);
    role(&mut fixture, SECOND, "n1", "leader", 2);
    let told = section(&fixture);
    assert!(
        !told.contains(
            "n3, which answered, said that it was leader of term 2 from 6.45 s on, while"
        )
    );
    assert!(told.contains("while n1 said that it was leader of term 2"), "{told}");
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
    let told = section(&fixture);
    assert!(
        told.contains("n3, which answered, said that it was follower of term 2 from"),
        "{told}"
    );
    assert!(!told.contains("; n1 said"), "{told}");
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
    assert!(told.contains("frames dropped: 99"), "{told}");
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
        assert!(!told.contains("n3 was under"), "{told}");
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
fn without_a_node_nothing_is_said() {
    let mut fixture = stale();
    role(&mut fixture, 6 * SECOND, "n3", "leader", 1);
    role(&mut fixture, SECOND, "n1", "leader", 2);
    let found = fixture.analysis.counterexample.as_mut().expect("a violation");
    found.operations.last_mut().expect("operations").node = None;
    assert_eq!(section(&fixture), "");
}

pub(crate) fn fixture_of(finding: Finding) -> Fixture {
    fixture(&Plan { finding, ..Plan::default() })
}

/// What a link did, so long before the read.
fn link(
    fixture: &Fixture,
    before: u64,
    ends: (&str, &str),
    arrived: u64,
    kept_off: u64,
) -> LinkPeriod {
    LinkPeriod {
        at_ns: Nanoseconds(moment(fixture) - before),
        from: ends.0.into(),
        to: ends.1.into(),
        forwarded: arrived,
        blocked: kept_off,
        ..LinkPeriod::default()
    }
}

pub(crate) fn section_with(fixture: &Fixture, surroundings: &RunArtifacts) -> String {
    told(&html_around(&fixture.run(), surroundings))
}

#[test]
fn nodes_that_did_not_reach_the_one_that_answered_are_named_with_what_was_kept_off() {
    let fixture = stale();
    let cut = |ends, before| link(&fixture, before, ends, 0, 7);
    let told = |links: Vec<LinkPeriod>| {
        section_with(&fixture, &RunArtifacts { links, ..RunArtifacts::default() })
    };
    let both = told(vec![cut(("n1", "n3"), SECOND), cut(("n2", "n3"), SECOND / 2)]);
    let wanted = "nothing that was sent by n1 (7 kept off) and n2 (7 kept off) reached n3";
    assert!(both.contains(wanted), "{both}");
    let one = told(vec![cut(("n1", "n3"), SECOND), cut(("n3", "n2"), SECOND)]);
    assert!(one.contains("nothing that was sent by n1 (7 kept off) reached n3"), "{one}");
    let silent = [
        Vec::new(),
        vec![cut(("n3", "n1"), SECOND)],
        vec![cut(("clients", "n3"), SECOND)],
        vec![cut(("n1", "n3"), SECOND), link(&fixture, SECOND / 2, ("n1", "n3"), 1, 0)],
        vec![link(&fixture, SECOND, ("n1", "n3"), 3, 0)],
    ];
    for links in silent {
        let told = told(links);
        assert!(!told.contains("kept off"), "{told}");
    }
}

fn line(fixture: &Fixture, before: i64, node: &str, text: &str) -> LoggedLine {
    let at = Nanoseconds(moment(fixture).checked_add_signed(-before).expect("a time"));
    LoggedLine { node: node.into(), at, stream: Stream::Stderr, text: text.into() }
}

#[test]
fn the_last_line_of_the_node_that_answered_is_told_and_no_later_one() {
    let fixture = stale();
    let lines = vec![
        line(&fixture, 900_000_000, "n3", "became leader"),
        line(&fixture, 800_000_000, "n3", "lease is valid <b>"),
        line(&fixture, 700_000_000, "n3", "  "),
        line(&fixture, 600_000_000, "n1", "term is 2"),
        line(&fixture, -200_000_000, "n3", "stepped down"),
    ];
    let surroundings = RunArtifacts { lines, ..RunArtifacts::default() };
    let told = section_with(&fixture, &surroundings);
    assert!(told.contains("The last line that n3 had written before"), "{told}");
    assert!(told.contains("lease is valid &#60;b&#62;"), "{told}");
    assert!(!told.contains("stepped down") && !told.contains("term is 2"), "{told}");
    assert!(!section(&fixture).contains("The last line"), "nothing was written");
    // All of them stand in the order in which they were written.
    let page = html_around(&fixture.run(), &surroundings);
    let (_, table) = page.split_once("in the order in which it happened").expect("a table");
    let places = ["became leader", "term is 2", "stepped down"].map(|text| table.find(text));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
    assert!(page.contains("partita logs ") && page.contains("--node n3 --from "), "a command");
}

#[test]
fn a_node_that_ended_is_named_with_its_last_role_and_last_line() {
    let mut fixture = fixture_of(Finding::Valid);
    fixture.record.roles.clear();
    let at = Nanoseconds(9 * SECOND);
    let crash = Found::new(FindingKind::Crash, "n2 panicked", "n2 panicked.");
    fixture.record.findings = vec![Found { at_ns: Some(at), node: Some("n2".into()), ..crash }];
    let change = |at: u64, role: &str| RoleChange {
        at_ns: Nanoseconds(at),
        node: "n2".into(),
        role: role.into(),
        term: Some(3),
    };
    fixture.record.roles = vec![change(5 * SECOND, "leader"), change(9 * SECOND, "down")];
    let text = "index out of bounds".to_owned();
    let written = Nanoseconds(9 * SECOND - 1_000_000);
    let lines = vec![LoggedLine { node: "n2".into(), at: written, stream: Stream::Stderr, text }];
    let told = section_with(&fixture, &RunArtifacts { lines, ..RunArtifacts::default() });
    assert!(
        told.contains("n2 had last said that it was leader of term 3, from 5.00 s on"),
        "{told}"
    );
    assert!(told.contains("index out of bounds"), "{told}");
    // The moment is marked in every chart over the run.
    let page = html(&fixture.run());
    assert!(page.matches("crash: n2 panicked at 9.00 s").count() >= 4, "marks");
    assert!(page.contains("partita replay --times 5 "), "what to do next");
    assert!(!page.contains("partita shrink "), "it is about violations");
    // Of a finding without a time or a node nothing is said.
    fixture.record.findings[0].node = None;
    assert!(!told_or_nothing(&fixture).contains("n2 had last said"));
    fixture.record.findings[0].at_ns = None;
    assert_eq!(told_or_nothing(&fixture), "");
}

/// The sentences, or nothing if there is no such section.
fn told_or_nothing(fixture: &Fixture) -> String {
    let page = html(&fixture.run());
    if page.contains("What is on record of that moment") { told(&page) } else { String::new() }
}

#[test]
fn links_are_drawn_over_the_run_and_around_the_moment_where_anything_was_kept_off() {
    let fixture = stale();
    let links =
        vec![link(&fixture, SECOND / 4, ("n1", "n3"), 2, 7), link(&fixture, 0, ("n2", "n1"), 5, 0)];
    let page = html_around(&fixture.run(), &RunArtifacts { links, ..RunArtifacts::default() });
    assert_eq!(page.matches("n1 → n3").count(), 2, "over the run, and around the moment");
    assert!(!page.contains("n2 → n1"), "nothing was kept off");
    assert!(page.contains("7 frames arrived, 7 were kept off, 0 were held"), "the sums");
    assert!(!html(&fixture.run()).contains("What links kept off"), "nothing is known of links");
}
