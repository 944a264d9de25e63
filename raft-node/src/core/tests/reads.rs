//! Facts about reads (thesis §6.4).

use super::super::message::{AppendOutcome, Body};
use super::super::operation::Reply;
use super::super::refusal::Refusal;
use super::super::units::{Index, Term};
use super::super::{Core, Input, Message, Output, Restored, Role};
use super::network::{Network, id, ms, read, set, value};
use super::scenarios;
use crate::mutations::Mutations;

#[test]
fn read_sees_the_last_acknowledged_write_from_every_server() {
    let mut network = Network::honest(3, 1);
    let leader = network.elect(None);
    for number in 0..20 {
        let text = number.to_string();
        assert_eq!(network.call(leader, set("x", &text)), Ok(Reply::Ok));
        for server in network.ids() {
            assert_eq!(network.call(server, read("x")), value(&text));
        }
    }
}

#[test]
fn leader_cut_off_serves_no_read() {
    for seed in 0..20 {
        let outcome = scenarios::read_at_deposed_leader(seed, Mutations::default());
        assert_eq!(outcome, Err(Refusal::ReadFailed), "seed {seed}");
    }
}

#[test]
fn read_does_not_enter_the_log() {
    let mut network = Network::honest(3, 1);
    let leader = network.elect(None);
    network.run(ms(500));
    let last = network.core(leader).log.last_index();
    assert_eq!(network.call(leader, read("x")), Ok(Reply::Nil));
    assert_eq!(network.core(leader).log.last_index(), last);
}

/// A leader of three whose messages are delivered by hand, not yet sure of its no-op.
fn fresh_leader() -> Core {
    let network = Network::honest(3, 1);
    let mut core = Core::new(network.core(id(1)).config.clone(), Restored::default(), ms(0));
    step(&mut core, Input::Now(ms(1000)));
    step(&mut core, Input::Tick);
    for pre in [true, false] {
        let message = Message { term: core.term, body: Body::Vote { pre, granted: true } };
        step(&mut core, Input::Receive { from: id(2), message });
    }
    step(&mut core, Input::Tick);
    assert!(matches!(core.role, Role::Leader(_)));
    core
}

fn step(core: &mut Core, input: Input) -> Vec<Output> {
    let mut out = Vec::new();
    core.step(input, &mut out);
    let issued = core.durability.issued();
    core.step(Input::Durable(issued), &mut out);
    out
}

fn confirm(core: &mut Core, request_term: Term, round: u64, matched: u64) -> Vec<Output> {
    let outcome = AppendOutcome::Accepted { matched: Index(matched) };
    let body = Body::Appended { request_term, round, outcome };
    step(core, Input::Receive { from: id(2), message: Message { term: core.term, body } })
}

fn request(core: &mut Core, number: u64) -> Vec<Output> {
    let request = super::super::units::RequestId(number);
    let mut out = step(core, Input::Request { request, operation: read("x") });
    out.extend(step(core, Input::Tick));
    out
}

fn answers(out: &[Output]) -> usize {
    out.iter().filter(|output| matches!(output, Output::Answer { .. })).count()
}

#[test]
fn new_leader_reads_only_after_committing_in_its_own_term() {
    let mut core = fresh_leader();
    let term = core.term;
    assert_eq!(answers(&request(&mut core, 1)), 0);
    // The round is confirmed, but the no-op is not on a majority yet.
    assert_eq!(answers(&confirm(&mut core, term, 1, 0)), 0);
    assert_eq!(answers(&confirm(&mut core, term, 1, 1)), 1);
}

#[test]
fn round_begun_before_the_read_does_not_confirm_it() {
    let mut core = fresh_leader();
    let term = core.term;
    request(&mut core, 1);
    assert_eq!(answers(&confirm(&mut core, term, 1, 1)), 1);
    // A late copy of the first round's confirmation says nothing about the second read.
    request(&mut core, 2);
    assert_eq!(answers(&confirm(&mut core, term, 1, 1)), 0);
    assert_eq!(answers(&confirm(&mut core, term, 2, 1)), 1);
}

#[test]
fn confirmation_of_an_older_term_does_not_count() {
    // A delayed Append of this leader's earlier term, answered in the present one, bears a round
    // number from the other term's count.
    let mut core = fresh_leader();
    request(&mut core, 1);
    assert_eq!(answers(&confirm(&mut core, Term(0), 900, 1)), 0);
    let term = core.term;
    assert_eq!(answers(&confirm(&mut core, term, 1, 1)), 1);
}

#[test]
fn waiting_reads_are_refused_when_no_quorum_is_heard() {
    // Check-quorum (thesis §6.2): the greatest election timeout, and a heartbeat.
    let mut network = Network::honest(3, 9);
    let leader = network.elect(None);
    network.isolate(leader);
    let ticket = network.submit(leader, read("x"));
    network.run(ms(600));
    assert_eq!(network.outcome(ticket), Some(Err(Refusal::ReadFailed)));
    assert!(!matches!(network.core(leader).role, Role::Leader(_)));
}
