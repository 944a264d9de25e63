//! Facts about clients' requests: forwarding, limits, outcomes, sessions (thesis §6.3).

use super::super::operation::{Failure, Operation, Reply, Write};
use super::super::refusal::Refusal;
use super::super::units::SessionId;
use super::network::{Network, append, append_command, id, ms, once, read, set, value};

#[test]
fn every_server_serves_reads_and_writes() {
    let mut network = Network::honest(3, 1);
    network.elect(None);
    network.run(ms(200));
    for server in network.ids() {
        let text = server.to_string();
        assert_eq!(network.call(server, set("x", &text)), Ok(Reply::Ok));
        assert_eq!(network.call(server, read("x")), value(&text));
    }
}

#[test]
fn without_a_leader_requests_are_refused_for_certain() {
    let mut network = Network::honest(3, 2);
    network.isolate(id(1));
    network.isolate(id(2));
    assert_eq!(network.call(id(1), append("a")), Err(Refusal::NoLeader));
    network.heal();
    let leader = network.elect(None);
    assert_eq!(network.call(leader, read("list")), Ok(Reply::Nil));
}

#[test]
fn write_at_a_leader_cut_off_is_uncertain() {
    let mut network = Network::honest(3, 3);
    let leader = network.elect(None);
    network.isolate(leader);
    assert_eq!(network.call(leader, append("a")), Err(Refusal::Uncertain));
}

#[test]
fn forwarded_write_is_uncertain_once_its_leader_is_gone() {
    let mut network = Network::honest(3, 4);
    let leader = network.elect(None);
    network.run(ms(200));
    let follower = network.ids().into_iter().find(|other| *other != leader).expect("three");
    network.pause(leader);
    let ticket = network.submit(follower, append("a"));
    network.run(ms(1000));
    assert_eq!(network.outcome(ticket), Some(Err(Refusal::Uncertain)));
}

#[test]
fn unknown_write_may_take_effect_late() {
    // The client is told "uncertain" by the leader cut off; a quorum holds the entry.
    let mut network = Network::honest(3, 5);
    let leader = network.elect(None);
    for other in network.ids() {
        network.cut(other, leader);
    }
    let ticket = network.submit(leader, append("late"));
    network.run(ms(4100));
    assert_eq!(network.outcome(ticket), Some(Err(Refusal::Uncertain)));
    network.heal();
    network.run(ms(2000));
    let leader = network.elect(None);
    assert_eq!(network.call(leader, read("list")), value("late"));
}

#[test]
fn doubled_forward_is_carried_out_once() {
    let mut network = Network::honest(3, 6);
    network.elect(None);
    network.run(ms(200));
    network.duplication = 1.0;
    network.delay_ms = 50;
    for number in 1..=30 {
        for server in network.ids() {
            network.submit(server, append(&format!("{server}:{number},")));
        }
        network.run(ms(20));
    }
    network.run(ms(3000));
    network.duplication = 0.0;
    let leader = network.elect(None);
    let Ok(Reply::Value(list)) = network.call(leader, read("list")) else { panic!("a list") };
    let list = String::from_utf8(list.to_vec()).expect("text");
    let mut tokens: Vec<_> = list.split_terminator(',').collect();
    let count = tokens.len();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), count);
    assert!(count > 30, "some writes of every server get through: {count}");
}

#[test]
fn retry_through_another_leader_is_applied_once() {
    let mut network = Network::honest(3, 7);
    let first = network.elect(None);
    let opened = network.call(first, Operation::from(Write::OpenSession));
    let Ok(Reply::Integer(number)) = opened else { panic!("{opened:?}") };
    let session = SessionId(u64::try_from(number).expect("positive"));
    // The entry reaches the others, the acknowledgement does not reach the client.
    for other in network.ids() {
        network.cut(other, first);
    }
    let ticket = network.submit(first, once(session, 1, append_command("a")));
    network.run(ms(50));
    network.crash(first);
    assert_eq!(network.outcome(ticket), None);
    network.heal();
    let second = network.elect(Some(first));
    let retried = network.call(second, once(session, 1, append_command("a")));
    assert_eq!(retried, Ok(Reply::Integer(1)));
    assert_eq!(network.call(second, read("list")), value("a"));
}

#[test]
fn unknown_session_is_refused() {
    let mut network = Network::honest(1, 8);
    let leader = network.elect(None);
    let refused = network.call(leader, once(SessionId(77), 1, append_command("a")));
    assert_eq!(refused, Ok(Reply::Failure(Failure::NoSession)));
    assert_eq!(network.call(leader, read("list")), Ok(Reply::Nil));
}

#[test]
fn too_many_requests_are_refused_for_certain() {
    let mut network = Network::honest(3, 9);
    let mut busy = 0;
    for _ in 0..=super::super::requests::MAX_REQUESTS {
        let ticket = network.submit(id(1), read("x"));
        busy += usize::from(network.outcome(ticket) == Some(Err(Refusal::Busy)));
    }
    assert_eq!(busy, 1);
}
