//! Facts about leases (thesis §6.4.1) and about what waits for the disk (§10.2.1).

use std::time::Duration;

use super::super::operation::{Admin, Operation, Reply};
use super::super::refusal::Refusal;
use super::super::units::RequestId;
use super::super::{Config, Input, Lease, Output};
use super::network::{Network, append, id, ms, read, set, value};

fn leased(config: &mut Config) {
    config.lease = Some(Lease::ORDINARY);
}

#[test]
fn read_under_a_lease_is_answered_without_a_message() {
    let mut network = Network::configured(3, 1, leased);
    let leader = network.elect(None);
    assert_eq!(network.call(leader, set("x", "1")), Ok(Reply::Ok));
    network.run(ms(300));
    let began = network.now;
    assert_eq!(network.call(leader, read("x")), value("1"));
    assert_eq!(network.now, began);
}

#[test]
fn lease_ends_before_another_can_lead() {
    for seed in 0..20 {
        let mut network = Network::configured(3, seed, leased);
        let old = network.elect(None);
        assert_eq!(network.call(old, set("x", "old")), Ok(Reply::Ok));
        network.run(ms(300));
        network.isolate(old);
        let new = network.elect(Some(old));
        assert_eq!(network.call(new, set("x", "new")), Ok(Reply::Ok));
        let refused = [Err(Refusal::ReadFailed), Err(Refusal::NoLeader)];
        let outcome = network.call(old, read("x"));
        assert!(refused.contains(&outcome), "seed {seed}: {outcome:?}");
    }
}

#[test]
fn lease_is_looked_at_when_the_read_is_served() {
    let mut network = Network::configured(3, 2, leased);
    let leader = network.elect(None);
    network.run(ms(300));
    let now = network.now;
    let core = network.core_mut(leader);
    let mut out = Vec::new();
    core.step(Input::Request { request: RequestId(99), operation: read("x") }, &mut out);
    // The server is paused between two steps of a turn.
    core.step(Input::Now(now + Duration::from_secs(9)), &mut out);
    core.step(Input::Tick, &mut out);
    assert!(!out.iter().any(|output| matches!(output, Output::Answer { result: Ok(_), .. })));
}

#[test]
fn leader_gives_its_lease_up_when_it_names_a_successor() {
    let mut network = Network::configured(3, 3, leased);
    let leader = network.elect(None);
    network.run(ms(300));
    assert!(network.core(leader).holds_lease());
    network.hold(leader);
    network.submit(leader, Operation::Admin(Admin::Transfer { to: None }));
    assert!(!network.core(leader).holds_lease());
}

#[test]
fn leader_commits_by_its_followers_disks_while_its_own_is_slow() {
    // Thesis §10.2.1: its own copy counts only once it is durable.
    let mut network = Network::honest(3, 4);
    let leader = network.elect(None);
    network.run(ms(300));
    network.disk_ms = 0;
    let operation = append("a");
    let mut out = Vec::new();
    let core = network.core_mut(leader);
    let before = core.commit;
    core.step(Input::Request { request: RequestId(99), operation }, &mut out);
    core.step(Input::Tick, &mut out);
    let sent = out.iter().position(|output| matches!(output, Output::Send { .. }));
    let written = out.iter().position(|output| matches!(output, Output::Persist(_)));
    assert!(sent.is_some() && sent < written, "{out:?}");
    assert_eq!(core.commit, before);
    assert!(core.durability.log() < core.log.last_index());
}

#[test]
fn keys_expire_though_nobody_writes() {
    let mut network = Network::honest(3, 5);
    let leader = network.elect(None);
    assert_eq!(network.call(leader, set("x", "1")), Ok(Reply::Ok));
    let life = ms(1000);
    let expire = super::super::operation::Command::Expire { key: "x".into(), life };
    let write = super::super::operation::Write::Plain(expire);
    assert_eq!(network.call(leader, Operation::from(write)), Ok(Reply::Integer(1)));
    network.run(ms(800));
    assert_eq!(network.call(leader, read("x")), value("1"));
    network.run(ms(500));
    for server in network.ids() {
        assert_eq!(network.call(server, read("x")), Ok(Reply::Nil));
    }
    assert!(network.is_up(id(1)));
}
