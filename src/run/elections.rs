//! Elections and terms by the nodes' status alone: what a run without clients is judged by.

use std::collections::{BTreeMap, BTreeSet};

use partita_checker::{Nanoseconds, Verdict};
use partita_reports::{Elections, Finding, FindingKind, RoleChange};
use partita_workloads::client::probe::LEADER;

/// What the statuses of a run come to.
#[derive(Debug, Default, PartialEq)]
pub struct Judged {
    /// What was judged.
    pub elections: Elections,
    /// Two leaders in one term, where the description says that a status is of one moment.
    pub finding: Option<Finding>,
    /// Why nothing was proved, one sentence each.
    pub reasons: Vec<String>,
    /// What should be known besides.
    pub notes: Vec<String>,
}

/// How statuses are to be taken.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// Whether the role and the term of a status are of one moment.
    pub is_coherent: bool,
    /// Whether the nodes' lines tell of every election, so that two leaders in a term are found there.
    pub has_log: bool,
    /// When clients would have begun, and faults did: elections after that are those that faults led to.
    pub began: Option<Nanoseconds>,
    /// Whether faults were asked for.
    pub wants_faults: bool,
    /// How soon there had to be a leader again, in milliseconds.
    pub limit_ms: u64,
}

/// Judges what `nodes` told of their roles.
pub fn judge(roles: &[RoleChange], nodes: &[String], reading: Reading) -> Judged {
    let mut judged = Judged::default();
    let led = |change: &&RoleChange| change.role == LEADER;
    let mut leaders: BTreeMap<u64, Vec<&RoleChange>> = BTreeMap::new();
    for change in roles.iter().filter(led) {
        let Some(term) = change.term else { continue };
        let of_term = leaders.entry(term).or_default();
        if !of_term.iter().any(|it| it.node == change.node) {
            of_term.push(change);
        }
    }
    let after_begin = |change: &&RoleChange| reading.began.is_some_and(|at| change.at_ns >= at);
    let all = || leaders.values().flatten().copied();
    judged.elections = Elections {
        observed: all().count() as u64,
        under_load: all().filter(after_begin).count() as u64,
        terms: leaders.keys().next().copied().zip(leaders.keys().next_back().copied()),
        limit_ms: reading.limit_ms,
    };
    let silent = silent(roles, nodes);
    if silent.len() == nodes.len() {
        let why = "no node told a role and a term in its status: elections cannot be judged";
        judged.reasons.push(why.to_owned());
        return judged;
    }
    if !silent.is_empty() {
        let names = silent.join(", ");
        judged.reasons.push(format!("never told a role and a term in its status: {names}"));
    }
    if judged.elections.observed == 0 {
        judged.reasons.push("no node was ever seen to lead in a term".to_owned());
    } else if reading.wants_faults && judged.elections.under_load == 0 {
        let why = "no election was seen under faults, only what the run began with";
        judged.reasons.push(why.to_owned());
    }
    if let Some((term, of_term)) = leaders.iter().find(|(_, of_term)| of_term.len() > 1) {
        judged.two_leaders(*term, of_term, reading);
    }
    judged
}

impl Judged {
    /// What they come to for the run, and why that is nothing.
    pub fn verdict(&self) -> (Verdict, Vec<String>) {
        match &self.reasons[..] {
            [] => (Verdict::Valid, Vec::new()),
            reasons => (Verdict::Unknown, reasons.to_vec()),
        }
    }

    fn two_leaders(&mut self, term: u64, leaders: &[&RoleChange], reading: Reading) {
        let said = |change: &RoleChange| {
            format!("{} said so at {:.2} s", change.node, change.at_ns.as_seconds())
        };
        let (one, other) = (leaders[0], leaders[1]);
        let sentence = format!(
            "{} and {} both led in term {term} by their status: {}; {}",
            one.node,
            other.node,
            said(one),
            said(other)
        );
        if reading.is_coherent {
            self.finding = Some(Finding {
                at_ns: Some(other.at_ns),
                node: Some(other.node.clone()),
                ..Finding::new(FindingKind::TwoLeaders, "two leaders in one term", sentence)
            });
        } else if reading.has_log {
            let why =
                "role and term of a status need not be of one moment, and the nodes' lines decide";
            self.notes.push(format!("{sentence}; {why}"));
        } else {
            let why =
                "the description does not say that both are of one moment (`coherent-status`)";
            self.reasons.push(format!("{sentence}; {why}"));
        }
    }
}

/// The nodes that never told both a role and a term.
fn silent<'a>(roles: &[RoleChange], nodes: &'a [String]) -> Vec<&'a str> {
    const NOT_TOLD: [&str; 3] = ["ready", "down", "silent"];
    let tells =
        |change: &&RoleChange| change.term.is_some() && !NOT_TOLD.contains(&change.role.as_str());
    let telling: BTreeSet<&str> =
        roles.iter().filter(tells).map(|change| change.node.as_str()).collect();
    nodes.iter().map(String::as_str).filter(|node| !telling.contains(node)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const READING: Reading = Reading {
        is_coherent: true,
        has_log: false,
        began: Some(Nanoseconds(1_000_000_000)),
        wants_faults: true,
        limit_ms: 10_000,
    };

    /// `n1 leader 3` at each second from 0 on.
    fn judged(lines: &[&str], reading: Reading) -> Judged {
        let change = |(second, line): (u64, &&str)| {
            let words: Vec<&str> = line.split(' ').collect();
            RoleChange {
                at_ns: Nanoseconds(second * 1_000_000_000),
                node: words[0].to_owned(),
                role: words[1].to_owned(),
                term: words.get(2).map(|term| term.parse().expect("a term")),
            }
        };
        let roles: Vec<RoleChange> = (0..).zip(lines).map(change).collect();
        judge(&roles, &["n1".to_owned(), "n2".to_owned()], reading)
    }

    #[test]
    fn elections_are_counted_by_node_and_term() {
        let lines = ["n1 leader 2", "n2 follower 2", "n1 down", "n2 leader 5", "n1 follower 5"];
        let found = judged(&[&lines[..], &["n1 leader 6", "n1 leader 6"]].concat(), READING);
        let Elections { observed, under_load, terms, .. } = found.elections;
        assert_eq!((observed, under_load, terms), (3, 2, Some((2, 6))));
        assert_eq!(found.verdict(), (Verdict::Valid, vec![]));
        assert_eq!((found.finding, found.notes), (None, vec![]));
    }

    #[test]
    fn two_leaders_in_a_term_are_a_finding_only_where_a_status_is_of_one_moment() {
        let lines = ["n2 follower 1", "n1 leader 2", "n2 leader 2"];
        let found = judged(&lines, READING).finding.expect("found");
        let expected = "n1 and n2 both led in term 2 by their status: n1 said so at 1.00 s; n2 said so at 2.00 s";
        assert_eq!((found.sentence.as_str(), found.kind), (expected, FindingKind::TwoLeaders));
        let not_coherent = judged(&lines, Reading { is_coherent: false, ..READING });
        assert_eq!(not_coherent.finding, None);
        assert!(not_coherent.reasons[0].contains("coherent-status"), "{:?}", not_coherent.reasons);
        let logged = judged(&lines, Reading { is_coherent: false, has_log: true, ..READING });
        assert_eq!((logged.finding, logged.reasons), (None, vec![]));
        assert!(logged.notes[0].contains("lines decide"), "{:?}", logged.notes);
    }

    #[test]
    fn nothing_is_proved_by_what_was_not_seen() {
        let nothing = ["n1 ready", "n2 ready", "n1 down 3"];
        let cases: [(&[&str], &str); 4] = [
            (&nothing, "no node told a role and a term"),
            (
                &["n1 leader 1", "n2 ready", "n1 leader 2"],
                "never told a role and a term in its status: n2",
            ),
            (&["n1 follower 1", "n2 follower 1"], "no node was ever seen to lead"),
            (&["n1 leader 1", "n2 follower 1"], "no election was seen under faults"),
        ];
        for (lines, why) in cases {
            let reasons = judged(lines, READING).reasons;
            assert_eq!(judged(lines, READING).verdict().0, Verdict::Unknown);
            assert!(reasons.len() == 1 && reasons[0].contains(why), "{why}: {reasons:?}");
        }
        let calm = Reading { wants_faults: false, ..READING };
        assert_eq!(judged(&["n1 leader 1", "n2 follower 1"], calm).reasons, Vec::<String>::new());
    }
}
