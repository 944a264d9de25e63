//! Facts about log replication (Raft §5.3, §5.4.2).

use super::super::message::{Append, AppendOutcome, Body};
use super::super::operation::Reply;
use super::super::refusal::Refusal;
use super::super::units::{Index, NodeId, Term};
use super::super::{Core, Input, Message, Output, Restored};
use super::network::{Network, append, id, ms, read, set, value};
use super::scenarios;
use crate::mutations::Mutations;

#[test]
fn acknowledged_write_survives_every_restart() {
    let mut network = Network::honest(3, 1);
    let leader = network.elect(None);
    assert_eq!(network.call(leader, set("x", "1")), Ok(Reply::Ok));
    for server in network.ids() {
        network.crash(server);
    }
    for server in network.ids() {
        network.restart(server);
    }
    let leader = network.elect(None);
    assert_eq!(network.call(leader, read("x")), value("1"));
}

#[test]
fn majority_goes_on_without_a_follower_which_then_catches_up() {
    let mut network = Network::honest(3, 2);
    let leader = network.elect(None);
    let follower = network.ids().into_iter().find(|other| *other != leader).expect("three");
    network.isolate(follower);
    for number in 0..2500 {
        network.submit(leader, append(&format!("{number},")));
    }
    assert_eq!(network.call(leader, append("end")).map(|_| ()), Ok(()));
    network.heal();
    network.run(ms(3000));
    let leader = network.elect(None);
    let last = network.core(leader).log.last_index();
    assert_eq!(network.core(follower).log.last_index(), last);
    assert_eq!(network.core(follower).commit, last);
}

#[test]
fn minority_commits_nothing_and_its_entries_give_way() {
    let mut network = Network::honest(5, 3);
    let old = network.elect(None);
    let companion = network.ids().into_iter().find(|other| *other != old).expect("five");
    network.only_join(&[old.0, companion.0]);
    let others: Vec<NodeId> =
        network.ids().into_iter().filter(|other| *other != old && *other != companion).collect();
    let lost: Vec<_> = (0..40).map(|n| network.submit(old, append(&format!("lost{n},")))).collect();
    network.run(ms(200));
    assert!(lost.iter().all(|ticket| network.outcome(*ticket).is_none()));

    // The majority side elects a leader and writes; both sides cannot hear each other.
    for a in &others {
        for b in &others {
            network.heal_link(*a, *b);
        }
    }
    let new = network.elect(Some(old));
    assert!(others.contains(&new));
    assert_eq!(network.call(new, append("kept,")), Ok(Reply::Integer(5)));
    network.heal();
    network.run(ms(1000));
    // Their places in the log went to others, for good: index and term tell (see `Refusal`).
    let refused = lost.iter().filter(|t| network.outcome(**t) == Some(Err(Refusal::Dropped)));
    assert!(refused.count() > 0);
    assert!(lost.iter().all(|ticket| !matches!(network.outcome(*ticket), Some(Ok(_)))));
    let leader = network.elect(None);
    assert_eq!(network.call(leader, read("list")), value("kept,"));
}

#[test]
fn leader_commits_only_entries_of_its_own_term() {
    // Raft §5.4.2, Figure 8.
    let mut acknowledged = 0;
    for seed in 0..20 {
        let outcome = scenarios::figure_eight(seed, Mutations::default());
        assert!(outcome.lost.is_empty(), "seed {seed}: {outcome:?}");
        acknowledged += usize::from(outcome.acknowledged);
    }
    assert!(acknowledged > 0, "the old entry is committed along with the new term's first");
}

#[test]
fn stale_leader_cannot_overwrite_what_a_newer_one_committed() {
    // Raft §5.1: requests with an old term are refused.
    for seed in 0..20 {
        let outcome = scenarios::resumed_leader(seed, Mutations::default());
        assert_eq!(outcome, value("new"), "seed {seed}");
    }
}

fn follower(terms: &[u64]) -> Core {
    let network = Network::honest(3, 1);
    let mut core = Core::new(network.core(id(2)).config.clone(), Restored::default(), ms(0));
    let entries = terms.iter().zip(1..).map(|(term, index)| scenarios::noop(index, *term));
    let append = Append {
        previous_index: Index(0),
        previous_term: Term(0),
        entries: entries.collect(),
        commit: Index(0),
        round: 0,
    };
    let term = Term(terms.last().copied().unwrap_or(0));
    let body = Body::Append(append);
    core.step(Input::Receive { from: id(1), message: Message { term, body } }, &mut Vec::new());
    assert_eq!(core.log.last_index().0, terms.len() as u64);
    core
}

fn send(core: &mut Core, term: u64, previous: (u64, u64), terms: &[u64]) -> AppendOutcome {
    let first = previous.0 + 1;
    let entries = terms.iter().zip(first..).map(|(term, index)| scenarios::noop(index, *term));
    let append = Append {
        previous_index: Index(previous.0),
        previous_term: Term(previous.1),
        entries: entries.collect(),
        commit: Index(99),
        round: 0,
    };
    let message = Message { term: Term(term), body: Body::Append(append) };
    let mut out = Vec::new();
    core.step(Input::Receive { from: id(1), message }, &mut out);
    let reply = out.into_iter().rev().find_map(|output| match output {
        Output::Send { message: Message { body: Body::Appended { outcome, .. }, .. }, .. } => {
            Some(outcome)
        }
        _ => None,
    });
    reply.expect("every Append is answered")
}

#[test]
fn older_append_does_not_shorten_the_log() {
    let mut core = follower(&[1, 1, 1, 1]);
    let outcome = send(&mut core, 1, (1, 1), &[1]);
    assert_eq!(outcome, AppendOutcome::Accepted { matched: Index(2) });
    assert_eq!(core.log.last_index(), Index(4));
}

#[test]
fn commit_stops_at_the_last_entry_the_message_vouches_for() {
    // Raft Figure 2, AppendEntries rule 5: "index of last new entry".
    let mut core = follower(&[1, 1, 1, 1]);
    send(&mut core, 2, (2, 1), &[]);
    assert_eq!(core.commit, Index(2));
}

#[test]
fn conflicting_entry_removes_all_that_follows() {
    let mut core = follower(&[1, 1, 2, 2, 2]);
    let outcome = send(&mut core, 3, (2, 1), &[3]);
    assert_eq!(outcome, AppendOutcome::Accepted { matched: Index(3) });
    assert_eq!(core.log.last_index(), Index(3));
    assert_eq!(core.log.last_term(), Term(3));
}

#[test]
fn rejection_names_the_conflicting_term_and_where_it_begins() {
    // Raft §5.3: "one AppendEntries RPC per conflicting term, rather than per entry".
    let mut core = follower(&[1, 1, 2, 2, 2]);
    let outcome = send(&mut core, 4, (5, 3), &[4]);
    let expected = AppendOutcome::Rejected {
        previous_index: Index(5),
        conflict_term: Some(Term(2)),
        first_index: Index(3),
    };
    assert_eq!(outcome, expected);
    let outcome = send(&mut core, 4, (9, 3), &[4]);
    let expected = AppendOutcome::Rejected {
        previous_index: Index(9),
        conflict_term: None,
        first_index: Index(6),
    };
    assert_eq!(outcome, expected);
}

#[test]
fn divergent_terms_cost_one_round_trip_each() {
    // Eight terms of 200 entries each must go; backing up by entry would take over a minute.
    let mut network = Network::honest(3, 8);
    network.elect(None);
    for _ in 0..8 {
        let leader = network.elect(None);
        network.isolate(leader);
        for number in 0..200 {
            network.submit(leader, append(&format!("{number},")));
        }
        network.run(ms(500));
        network.heal();
        network.run(ms(500));
    }
    network.heal();
    network.run(ms(1000));
    let leader = network.elect(None);
    let last = network.core(leader).log.last_index();
    assert!(network.ids().iter().all(|server| network.core(*server).log.last_index() == last));
}
