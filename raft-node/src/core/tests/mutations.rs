//! Each planted bug changes the outcome of a scenario that the honest core passes.

use super::super::message::{Append, Body, VoteKind};
use super::super::units::{Index, Term};
use super::super::{Core, Input, Message, Output, Restored};
use super::network::{Network, id, ms, value};
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

#[test]
fn vote_erased_same_term_votes_for_a_second_candidate() {
    let votes_for_the_second = |mutations: Mutations| {
        let config = Network::new(3, 1, mutations).core(id(2)).config.clone();
        let mut core = Core::new(config, Restored::default(), ms(0));
        let ask = Body::RequestVote {
            ballot: VoteKind::Vote,
            last_index: Index::ZERO,
            last_term: Term(0),
        };
        let heartbeat = Append {
            previous_index: Index::ZERO,
            previous_term: Term(0),
            entries: Vec::new(),
            commit: Index::ZERO,
            round: 0,
        };
        let mut out = Vec::new();
        for (from, body) in [(1, ask.clone()), (1, Body::Append(heartbeat)), (3, ask)] {
            let message = Message { term: Term(4), body };
            core.step(Input::Receive { from: id(from), message }, &mut out);
        }
        out.iter().any(|output| match output {
            Output::Send { to, message, .. } => {
                *to == id(3) && message.body == Body::Vote { pre: false, granted: true }
            }
            _ => false,
        })
    };
    assert!(!votes_for_the_second(Mutations::default()));
    assert!(votes_for_the_second(only(Mutation::VoteErasedSameTerm)));
}
