//! Facts about changing members and leaders (Raft §6, thesis §3.10, §4).

use super::super::operation::{Admin, Operation, Reply};
use super::super::refusal::Refusal;
use super::super::units::NodeId;
use super::super::{Config, Role};
use super::network::{Network, append, id, ms, read, set, value};

fn add(server: u32) -> Operation {
    Operation::Admin(Admin::Add { id: id(server), address: format!("host{server}").into() })
}

fn remove(server: NodeId) -> Operation {
    Operation::Admin(Admin::Remove { id: server })
}

fn transfer(to: Option<NodeId>) -> Operation {
    Operation::Admin(Admin::Transfer { to })
}

fn other_than(network: &Network, server: NodeId) -> NodeId {
    network.ids().into_iter().find(|other| *other != server).expect("several")
}

#[test]
fn added_server_catches_up_votes_and_is_known_by_address() {
    let mut network = Network::honest(3, 1);
    let leader = network.elect(None);
    for number in 0..3000 {
        network.submit(leader, append(&format!("{number},")));
    }
    network.start(id(4));
    assert_eq!(network.core(id(4)).status().role, "learner");
    let follower = other_than(&network, leader);
    assert_eq!(network.call(follower, add(4)), Ok(Reply::Ok));
    network.run(ms(500));
    for server in network.ids() {
        let members = network.core(server).configuration();
        assert_eq!(members.voters, [1, 2, 3, 4].map(NodeId).into());
        assert!(!members.is_joint() && members.learners.is_empty());
        assert_eq!(members.addresses.get(&id(4)), Some(&"host4".into()));
    }
    // Of four voters three decide.
    network.crash(other_than(&network, leader));
    assert_eq!(network.call(leader, set("x", "1")), Ok(Reply::Ok));
    assert_eq!(network.call(id(4), read("x")), value("1"));
}

#[test]
fn learner_that_is_not_there_counts_for_nothing() {
    let mut network = Network::honest(3, 2);
    let leader = network.elect(None);
    let pending = network.submit(leader, add(9));
    network.crash(other_than(&network, leader));
    assert_eq!(network.call(leader, set("x", "1")), Ok(Reply::Ok));
    network.run(ms(5000));
    assert_eq!(network.outcome(pending), Some(Err(Refusal::Uncertain)));
    assert!(network.core(leader).configuration().learners.contains(&id(9)));
    assert_eq!(network.call(leader, remove(id(9))), Ok(Reply::Ok));
    assert_eq!(network.core(leader).configuration().members().len(), 3);
}

#[test]
fn leader_that_removes_itself_leaves_a_successor() {
    let mut network = Network::honest(3, 3);
    let old = network.elect(None);
    assert_eq!(network.call(old, set("x", "1")), Ok(Reply::Ok));
    let ticket = network.submit(old, remove(old));
    let new = network.elect(Some(old));
    assert_eq!(network.outcome(ticket), Some(Ok(Reply::Ok)));
    assert_eq!(network.call(new, read("x")), value("1"));
    network.run(ms(2000));
    assert_eq!(network.core(old).status().role, "learner");
    // Two are left, and what is removed disturbs nobody.
    let term = network.core(new).term;
    network.run(ms(3000));
    assert_eq!((network.leader(), network.core(new).term), (Some(new), term));
    network.crash(old);
    assert_eq!(network.call(new, set("x", "2")), Ok(Reply::Ok));
}

#[test]
fn joint_configuration_needs_both_majorities() {
    // Thesis §4.3. The added server catches up, then one of two halves is cut off.
    let mut network = Network::honest(2, 4);
    let leader = network.elect(None);
    network.start(id(3));
    assert_eq!(network.call(leader, add(3)), Ok(Reply::Ok));
    let kept = network.ids().into_iter().find(|server| *server != leader).expect("three");
    network.isolate(kept);
    let gone = network.ids().into_iter().find(|s| *s != leader && *s != kept).expect("three");
    network.isolate(gone);
    let ticket = network.submit(leader, remove(gone));
    network.run(ms(200));
    assert!(network.core(leader).configuration().is_joint());
    assert_eq!(network.outcome(ticket), None);
}

#[test]
fn impossible_changes_are_refused_for_certain() {
    let mut network = Network::honest(3, 5);
    let leader = network.elect(None);
    for operation in [add(2), remove(id(7)), transfer(Some(id(7)))] {
        assert_eq!(network.call(leader, operation), Err(Refusal::NotPossible));
    }
    let mut single = Network::honest(1, 5);
    let leader = single.elect(None);
    assert_eq!(single.call(leader, remove(leader)), Err(Refusal::NotPossible));
}

#[test]
fn second_change_waits_for_the_first() {
    let mut network = Network::honest(3, 6);
    let leader = network.elect(None);
    network.submit(leader, add(4));
    assert_eq!(network.call(leader, add(5)), Err(Refusal::Changing));
}

#[test]
fn configuration_cut_from_the_log_is_taken_back() {
    let mut network = Network::honest(3, 7);
    let old = network.elect(None);
    network.isolate(old);
    network.submit(old, add(4));
    network.run(ms(50));
    assert!(network.core(old).configuration().learners.contains(&id(4)));
    let new = network.elect(Some(old));
    assert_eq!(network.call(new, set("x", "1")), Ok(Reply::Ok));
    network.heal();
    network.run(ms(1000));
    assert!(network.core(old).configuration().learners.is_empty());
}

#[test]
fn members_survive_restarts_and_snapshots() {
    let small = |config: &mut Config| config.compaction.log_bytes = 2000;
    let mut network = Network::configured(3, 8, small);
    let leader = network.elect(None);
    network.start(id(4));
    assert_eq!(network.call(leader, add(4)), Ok(Reply::Ok));
    for number in 0..100 {
        network.call(leader, append(&format!("{number},"))).expect("a leader");
    }
    network.run(ms(500));
    for server in network.ids() {
        network.crash(server);
        network.restart(server);
        assert_eq!(network.core(server).configuration().voters.len(), 4);
        assert!(network.core(server).status().snapshot.is_some());
    }
}

#[test]
fn leadership_goes_where_it_is_told() {
    let mut network = Network::honest(5, 9);
    let old = network.elect(None);
    let heir = other_than(&network, old);
    let began = network.now;
    assert_eq!(network.call(old, transfer(Some(heir))), Ok(Reply::Ok));
    assert_eq!(network.elect(Some(old)), heir);
    // Faster than any election timeout.
    assert!(network.now - began < ms(250), "{:?}", network.now - began);
    assert_eq!(network.call(old, transfer(None)), Ok(Reply::Ok));
    assert_ne!(network.elect(Some(heir)), heir);
}

#[test]
fn leader_goes_on_when_its_successor_is_not_there() {
    let mut network = Network::honest(3, 10);
    let leader = network.elect(None);
    let heir = other_than(&network, leader);
    network.crash(heir);
    network.submit(leader, append("a,"));
    let ticket = network.submit(leader, transfer(Some(heir)));
    assert_eq!(network.call(leader, append("b,")), Err(Refusal::Changing));
    network.run(ms(600));
    assert_eq!(network.outcome(ticket), Some(Err(Refusal::Uncertain)));
    assert_eq!(network.call(leader, append("c,")), Ok(Reply::Integer(4)));
}

#[test]
fn returning_server_deposes_nobody() {
    // Pre-vote (thesis §9.6).
    let mut network = Network::honest(3, 11);
    let leader = network.elect(None);
    let term = network.core(leader).term;
    let lonely = other_than(&network, leader);
    network.isolate(lonely);
    network.run(ms(5000));
    assert_eq!(network.core(lonely).term, term);
    assert!(matches!(network.core(lonely).role, Role::PreCandidate { .. }));
    network.heal();
    network.run(ms(2000));
    assert_eq!((network.leader(), network.core(leader).term), (Some(leader), term));
}

#[test]
fn leader_that_hears_nobody_steps_down_and_another_leads() {
    // Check-quorum (thesis §6.2): it still can send, so its followers would stay.
    let mut network = Network::honest(3, 12);
    let deaf = network.elect(None);
    for other in network.ids() {
        network.cut(other, deaf);
    }
    let new = network.elect(Some(deaf));
    assert_eq!(network.call(new, set("x", "1")), Ok(Reply::Ok));
}
