//! Who led in which term, as nodes say in their logs.
//!
//! Where the target's description says by which line a node tells that it was elected, its log tells of every
//! election. What nodes say in their status counts for nothing here: a store may put its status together from
//! parts of two moments, as etcd does, which is seen to name a new leader with the term before for a second.

use std::collections::BTreeMap;

use partita_checker::Nanoseconds;
use partita_reports::{Finding, FindingKind};

/// Terms that are remembered.
const MOST_TERMS: usize = 100_000;

/// The leaders of each term.
#[derive(Debug, Default)]
pub struct Leaders {
    terms: BTreeMap<u64, Vec<Claim>>,
}

/// That a node led in a term.
#[derive(Debug)]
struct Claim {
    node: String,
    at: Nanoseconds,
    /// The line in which it said so.
    line: String,
}

impl Leaders {
    /// Takes the line by which `node` said that it was elected in `term`. A finding if another was.
    pub fn wrote(&mut self, node: &str, term: u64, at: Nanoseconds, line: &str) -> Option<Finding> {
        self.take(term, Claim { node: node.to_owned(), at, line: line.to_owned() })
    }

    fn take(&mut self, term: u64, claim: Claim) -> Option<Finding> {
        if self.terms.len() >= MOST_TERMS && !self.terms.contains_key(&term) {
            self.terms.pop_first();
        }
        let claims = self.terms.entry(term).or_default();
        if claims.iter().any(|other| other.node == claim.node) {
            return None;
        }
        let found = claims.first().map(|other| finding(term, other, &claim));
        claims.push(claim);
        found
    }
}

fn finding(term: u64, one: &Claim, other: &Claim) -> Finding {
    let proof = |claim: &Claim| {
        format!("{} wrote by {:.2} s: {}", claim.node, claim.at.as_seconds(), claim.line)
    };
    let sentence = format!(
        "{} and {} both led in term {term}: {}; {}",
        one.node,
        other.node,
        proof(one),
        proof(other)
    );
    Finding {
        at_ns: Some(other.at),
        node: Some(other.node.clone()),
        ..Finding::new(FindingKind::TwoLeaders, "two leaders in one term", sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Nanoseconds = Nanoseconds(2_500_000_000);

    #[test]
    fn two_nodes_in_one_term_are_found_once_with_both_proofs() {
        let mut leaders = Leaders::default();
        assert_eq!(leaders.wrote("n1", 3, AT, "n1 became leader"), None);
        assert_eq!(leaders.wrote("n2", 4, AT, "n2 leads"), None, "another term");
        let found = leaders.wrote("n2", 3, AT, "n2 became leader").expect("found");
        for part in ["n1 and n2 both led in term 3", "n1 became leader", "n2 wrote by 2.50 s"] {
            assert!(found.sentence.contains(part), "{part}: {}", found.sentence);
        }
        assert_eq!((found.kind, found.at_ns), (FindingKind::TwoLeaders, Some(AT)));
        assert_eq!(leaders.wrote("n2", 3, AT, "again"), None, "told already");
    }
}
