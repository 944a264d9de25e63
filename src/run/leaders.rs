//! Who led in which term, as nodes say in their status and in their logs.
//!
//! Of statuses, only what a node said twice in a row counts: a store may put its status together from
//! parts, and be elected or deposed between two of them. They are samples. A log tells of every election
//! where the target's description says by which line.

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
    /// The line in which it said so; a status if none.
    line: Option<String>,
}

impl Leaders {
    /// Takes that `node` said twice in a row that it leads in `term`. A finding if another does.
    pub fn told(&mut self, node: &str, term: u64, at: Nanoseconds) -> Option<Finding> {
        self.take(term, Claim { node: node.to_owned(), at, line: None })
    }

    /// Takes the line by which `node` said that it was elected in `term`. A finding if another was.
    pub fn wrote(&mut self, node: &str, term: u64, at: Nanoseconds, line: &str) -> Option<Finding> {
        self.take(term, Claim { node: node.to_owned(), at, line: Some(line.to_owned()) })
    }

    fn take(&mut self, term: u64, claim: Claim) -> Option<Finding> {
        if self.terms.len() >= MOST_TERMS && !self.terms.contains_key(&term) {
            self.terms.pop_first();
        }
        let claims = self.terms.entry(term).or_default();
        if let Some(same) = claims.iter_mut().find(|other| other.node == claim.node) {
            // A line is the better proof.
            if same.line.is_none() {
                same.line = claim.line;
            }
            return None;
        }
        let found = claims.first().map(|other| finding(term, other, &claim));
        claims.push(claim);
        found
    }
}

fn finding(term: u64, one: &Claim, other: &Claim) -> Finding {
    let proof = |claim: &Claim| match &claim.line {
        Some(line) => format!("{} wrote by {:.2} s: {line}", claim.node, claim.at.as_seconds()),
        None => {
            format!("{} said so in its status at {:.2} s", claim.node, claim.at.as_seconds())
        }
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
        assert_eq!(leaders.told("n1", 3, AT), None);
        assert_eq!(leaders.wrote("n1", 3, AT, "n1 became leader"), None);
        assert_eq!(leaders.told("n2", 4, AT), None, "another term");
        let found = leaders.wrote("n2", 3, AT, "n2 became leader").expect("found");
        for part in ["n1 and n2 both led in term 3", "n1 became leader", "n2 wrote by 2.50 s"] {
            assert!(found.sentence.contains(part), "{part}: {}", found.sentence);
        }
        assert_eq!((found.kind, found.at_ns), (FindingKind::TwoLeaders, Some(AT)));
        assert_eq!(leaders.told("n2", 3, AT), None, "told already");
    }
}
