//! Facts about elections (Raft §5.2, §5.4.1).

use super::super::message::{Body, VoteKind};
use super::super::operation::Reply;
use super::super::units::{Index, RecordId, Term};
use super::super::{Core, Input, Message, Output, Record, Role};
use super::network::{Network, id, ms, set, value};
use super::scenarios;
use crate::mutations::Mutations;

#[test]
fn cluster_elects_one_leader_and_keeps_it() {
    for size in [1, 2, 3, 5] {
        let mut network = Network::honest(size, 7);
        let leader = network.elect(None);
        let term = network.core(leader).term;
        network.run(ms(5000));
        assert_eq!(network.leader(), Some(leader));
        assert_eq!(network.core(leader).term, term);
    }
}

#[test]
fn crashed_leader_is_replaced() {
    let mut network = Network::honest(3, 1);
    let first = network.elect(None);
    network.crash(first);
    let second = network.elect(Some(first));
    assert_ne!(first, second);
    network.restart(first);
    network.run(ms(1000));
    assert_eq!(network.leader(), Some(second));
}

#[test]
fn minority_elects_nobody() {
    let mut network = Network::honest(5, 3);
    network.elect(None);
    network.only_join(&[1, 2]);
    for lonely in [3, 4, 5] {
        network.crash(id(lonely));
    }
    let before = network.leader().map(|leader| network.core(leader).term);
    network.run(ms(5000));
    assert_eq!(network.leader().map(|leader| network.core(leader).term), before);
}

#[test]
fn candidate_with_an_older_log_never_wins() {
    // Raft §5.4.1: server 3 misses a write, and stands with the greatest term.
    let mut network = Network::honest(3, 5);
    network.only_join(&[1, 2]);
    let leader = network.elect(None);
    assert_eq!(network.call(leader, set("x", "1")), Ok(Reply::Ok));
    network.run(ms(3000));
    network.heal();
    for _ in 0..5 {
        network.stand(id(3));
        network.run(ms(20));
        assert!(!matches!(network.core(id(3)).role, Role::Leader(_)));
    }
}

#[test]
fn leader_holds_every_committed_entry() {
    // Leader Completeness (Raft §5.4.3), by the voters' comparison of logs.
    for seed in 0..20 {
        let outcome = scenarios::write_missed_by_a_follower(seed, Mutations::default());
        assert_eq!(outcome, value("kept"), "seed {seed}");
    }
}

#[test]
fn vote_is_durable_before_it_is_given() {
    let mut network = Network::honest(3, 2);
    network.run(ms(10));
    let mut core =
        Core::new(network.core(id(2)).config.clone(), super::super::Restored::default(), ms(0));
    let mut out = Vec::new();
    let body =
        Body::RequestVote { ballot: VoteKind::Vote, last_index: Index(0), last_term: Term(0) };
    let message = Message { term: Term(4), body };
    core.step(Input::Receive { from: id(1), message: message.clone() }, &mut out);
    let vote = Record::HardState { term: Term(4), vote: Some(id(1)) };
    // Two records, the new term and the vote: the message waits for the second.
    let persisted = out.iter().position(|output| *output == Output::Persist(vote.clone()));
    let granted = Message { term: Term(4), body: Body::Vote { pre: false, granted: true } };
    let sent = out.iter().position(|o| {
        *o == Output::Send { to: id(1), message: granted.clone(), after: RecordId(2) }
    });
    assert!(persisted.is_some() && persisted < sent, "{out:?}");

    // The same term's other candidate is refused; the first may ask again (Raft Figure 2).
    out.clear();
    core.step(Input::Receive { from: id(3), message: message.clone() }, &mut out);
    let refused = Message { term: Term(4), body: Body::Vote { pre: false, granted: false } };
    assert_eq!(out, [Output::Send { to: id(3), message: refused, after: RecordId(2) }]);
    out.clear();
    core.step(Input::Receive { from: id(1), message }, &mut out);
    assert_eq!(out, [Output::Send { to: id(1), message: granted, after: RecordId(2) }]);
}

#[test]
fn vote_survives_a_restart() {
    let mut network = Network::honest(3, 4);
    let leader = network.elect(None);
    let voter = network
        .ids()
        .into_iter()
        .find(|other| *other != leader && network.core(*other).vote == Some(leader));
    let voter = voter.expect("a majority voted for the leader");
    let (term, vote) = (network.core(voter).term, network.core(voter).vote);
    network.crash(voter);
    network.restart(voter);
    assert_eq!((network.core(voter).term, network.core(voter).vote), (term, vote));
}

#[test]
fn vote_counted_twice_is_one_vote() {
    let network = Network::honest(5, 6);
    let mut core = network.core(id(1)).config.clone();
    core.seed += 1;
    let mut core = Core::new(core, super::super::Restored::default(), ms(0));
    let mut out = Vec::new();
    core.step(Input::Now(ms(1000)), &mut out);
    core.step(Input::Tick, &mut out);
    let grant = |core: &mut Core, from: u32, pre: bool| {
        let message = Message { term: core.term, body: Body::Vote { pre, granted: true } };
        core.step(Input::Receive { from: id(from), message }, &mut Vec::new());
        core.step(Input::Durable(core.durability.issued()), &mut Vec::new());
    };
    (0..5).for_each(|_| grant(&mut core, 2, true));
    assert!(matches!(core.role, Role::PreCandidate { .. }));
    grant(&mut core, 3, true);
    (0..5).for_each(|_| grant(&mut core, 2, false));
    assert!(matches!(core.role, Role::Candidate { .. }));
    grant(&mut core, 3, false);
    assert!(matches!(core.role, Role::Leader(_)));
}

/// A lone server's core that was never answered, at a time at which it stands for election.
fn asking() -> (Core, Vec<Output>) {
    let config = Network::honest(3, 6).core(id(1)).config.clone();
    let mut core = Core::new(config, super::super::Restored::default(), ms(0));
    let mut out = Vec::new();
    core.step(Input::Now(ms(400)), &mut out);
    core.step(Input::Tick, &mut out);
    (core, out)
}

/// Who is asked for what kind of vote.
fn asked(out: &[Output]) -> Vec<(u32, VoteKind)> {
    let asks = |output: &Output| match output {
        Output::Send {
            to,
            message: Message { body: Body::RequestVote { ballot, .. }, .. },
            ..
        } => Some((to.0, *ballot)),
        _ => None,
    };
    out.iter().filter_map(asks).collect()
}

#[test]
fn candidate_asks_again_whoever_has_not_answered() {
    // Raft §5.1, last paragraph.
    let (mut core, out) = asking();
    assert_eq!(asked(&out), [(2, VoteKind::Pre), (3, VoteKind::Pre)]);
    let until_heartbeat = [(450, vec![]), (500, vec![(2, VoteKind::Pre), (3, VoteKind::Pre)])];
    for (now, expected) in until_heartbeat {
        let mut out = Vec::new();
        core.step(Input::Now(ms(now)), &mut out);
        core.step(Input::Tick, &mut out);
        assert_eq!(asked(&out), expected, "at {now} ms");
        assert!(core.next_due() <= ms(600));
    }
    let answer = |core: &mut Core, from, pre, granted| {
        let message = Message { term: core.term, body: Body::Vote { pre, granted } };
        let mut out = Vec::new();
        core.step(Input::Receive { from: id(from), message }, &mut out);
        out
    };
    let out = answer(&mut core, 2, true, true);
    assert_eq!(asked(&out), [(2, VoteKind::Vote), (3, VoteKind::Vote)], "a new election asks anew");
    answer(&mut core, 2, false, false);
    let mut out = Vec::new();
    core.step(Input::Now(ms(600)), &mut out);
    core.step(Input::Tick, &mut out);
    assert_eq!(asked(&out), [(3, VoteKind::Vote)], "a vote that was refused stays refused");
}
