//! Each planted bug changes the outcome of a scenario that the honest core passes.

use super::network::value;
use super::scenarios;
use crate::mutations::{Mutation, Mutations};

fn only(mutation: Mutation) -> Mutations {
    Mutations::new(&[mutation])
}

#[test]
fn leader_local_read_serves_a_stale_value() {
    let outcome = scenarios::read_at_deposed_leader(1, only(Mutation::LeaderLocalRead));
    assert_eq!(outcome, value("old"));
}

#[test]
fn stale_append_accepted_loses_an_acknowledged_write() {
    let lost = (0..20).filter(|seed| {
        let outcome = scenarios::resumed_leader(*seed, only(Mutation::StaleAppendAccepted));
        outcome != value("new")
    });
    assert!(lost.count() > 0);
}

#[test]
fn no_log_check_loses_an_acknowledged_write() {
    let lost = (0..20).filter(|seed| {
        let outcome = scenarios::write_missed_by_a_follower(*seed, only(Mutation::NoLogCheck));
        outcome != value("kept")
    });
    assert!(lost.count() > 0);
}

#[test]
fn commit_prior_term_loses_an_acknowledged_write() {
    let lost = (0..20).filter(|seed| {
        let outcome = scenarios::figure_eight(*seed, only(Mutation::CommitPriorTerm));
        outcome.acknowledged && !outcome.lost.is_empty()
    });
    assert!(lost.count() > 0);
}
