//! Facts about snapshots (Raft §7, thesis §5).

use super::super::message::{AppendOutcome, Body, Chunk};
use super::super::operation::{Admin, Operation, Reply, Write};
use super::super::units::{Index, NodeId, SessionId, Term};
use super::super::{Compaction, Config, Core, Input, Message, Output, SnapshotId};
use super::network::{Network, append, append_command, id, ms, once, read, value};

fn small(config: &mut Config) {
    config.compaction = Compaction { log_bytes: 4000, keep_entries: 5, chunk_bytes: 700 };
}

fn write(network: &mut Network, leader: NodeId, count: u32) -> String {
    let tokens = (0..count).map(|number| format!("{number},"));
    let mut list = String::new();
    for token in tokens {
        network.call(leader, append(&token)).expect("a leader");
        list.push_str(&token);
    }
    list
}

#[test]
fn log_stays_short_and_nothing_is_lost_over_restarts() {
    let mut network = Network::configured(3, 1, small);
    network.disk_ms = 10;
    let leader = network.elect(None);
    let list = write(&mut network, leader, 400);
    for server in network.ids() {
        let status = network.core(server).status();
        assert!(status.last.0 - status.first.0 < 100, "{status:?}");
        assert!(status.snapshot.is_some_and(|snapshot| snapshot.index >= status.first));
    }
    network.ids().into_iter().for_each(|server| network.crash(server));
    network.ids().into_iter().for_each(|server| network.restart(server));
    let leader = network.elect(None);
    assert_eq!(network.call(leader, read("list")), value(&list));
}

#[test]
fn lagging_follower_gets_the_snapshot_although_chunks_are_lost() {
    for seed in 0..10 {
        let mut network = Network::configured(3, seed, small);
        let leader = network.elect(None);
        let lagging = network.ids().into_iter().find(|other| *other != leader).expect("three");
        network.isolate(lagging);
        let list = write(&mut network, leader, 1500);
        network.heal();
        network.loss = 0.2;
        network.run(ms(10_000));
        network.loss = 0.0;
        network.run(ms(1000));
        let (first, last) = (network.core(leader).status(), network.core(lagging).status());
        assert_eq!((first.applied, first.last), (last.applied, last.last), "seed {seed}");
        let machine = &network.core(lagging).machine;
        assert_eq!(machine.value(&"list".into()), Reply::Value(list.into()));
    }
}

#[test]
fn restarted_leader_can_send_its_old_snapshot() {
    let mut network = Network::configured(3, 2, small);
    let leader = network.elect(None);
    let lagging = network.ids().into_iter().find(|other| *other != leader).expect("three");
    network.crash(lagging);
    write(&mut network, leader, 200);
    for server in network.ids() {
        network.crash(server);
        network.restart(server);
    }
    network.run(ms(5000));
    let last = network.core(leader).status().last;
    assert!(network.ids().iter().all(|server| network.core(*server).status().applied == last));
}

#[test]
fn sessions_are_part_of_the_snapshot() {
    let mut network = Network::configured(3, 3, small);
    let leader = network.elect(None);
    let opened = network.call(leader, Operation::from(Write::OpenSession));
    let Ok(Reply::Integer(number)) = opened else { panic!("{opened:?}") };
    let session = SessionId(u64::try_from(number).expect("positive"));
    let command = || once(session, 1, append_command("a"));
    let answer = network.call(leader, command());
    let snapshot = Operation::Admin(Admin::Snapshot);
    for server in network.ids() {
        network.run(ms(200));
        assert_eq!(network.call(server, snapshot.clone()), Ok(Reply::Ok));
        network.crash(server);
        network.restart(server);
    }
    let leader = network.elect(None);
    assert_eq!(network.call(leader, command()), answer);
    assert_eq!(network.call(leader, read("list")), value("a"));
}

/// A follower that committed some entries, and a chunk of a snapshot for it.
fn follower() -> Core {
    let mut network = Network::honest(3, 4);
    let leader = network.elect(None);
    write(&mut network, leader, 5);
    network.run(ms(500));
    let config = network.core(id(2)).config.clone();
    Core::new(config, super::super::Restored::default(), ms(0))
}

fn chunk(core: &mut Core, index: u64, offset: u64, data: &'static str) -> Vec<Output> {
    let whole = "some bytes";
    let chunk = Chunk {
        snapshot: SnapshotId { index: Index(index), term: Term(1) },
        offset,
        total: whole.len() as u64,
        checksum: crc32c::crc32c(whole.as_bytes()),
        data: data.into(),
    };
    let message = Message { term: Term(1), body: Body::Install(chunk) };
    let mut out = Vec::new();
    core.step(Input::Receive { from: id(1), message }, &mut out);
    out
}

fn wanted(out: &[Output]) -> Option<u64> {
    out.iter().find_map(|output| match output {
        Output::Send { message: Message { body: Body::ChunkKept { offset, .. }, .. }, .. } => {
            Some(*offset)
        }
        _ => None,
    })
}

fn installs(out: &[Output]) -> bool {
    out.iter().any(|output| matches!(output, Output::InstallReceived { .. }))
}

#[test]
fn chunks_are_taken_in_order_and_only_whole() {
    let mut core = follower();
    assert_eq!(wanted(&chunk(&mut core, 9, 5, "bytes")), Some(0));
    assert_eq!(wanted(&chunk(&mut core, 9, 0, "some ")), Some(5));
    assert_eq!(wanted(&chunk(&mut core, 9, 0, "some ")), Some(5));
    assert_eq!(wanted(&chunk(&mut core, 9, 7, "tes")), Some(5));
    assert!(installs(&chunk(&mut core, 9, 5, "bytes")));
    // While it is made durable, a repeated chunk changes nothing.
    let again = chunk(&mut core, 9, 5, "bytes");
    assert_eq!((wanted(&again), installs(&again)), (Some(10), false));
}

#[test]
fn snapshot_with_a_wrong_checksum_is_asked_for_anew() {
    let mut core = follower();
    chunk(&mut core, 9, 0, "some ");
    let out = chunk(&mut core, 9, 5, "bites");
    assert_eq!((wanted(&out), installs(&out)), (Some(0), false));
}

#[test]
fn snapshot_of_what_is_committed_is_acknowledged_and_left() {
    let mut network = Network::honest(3, 4);
    let leader = network.elect(None);
    write(&mut network, leader, 5);
    network.run(ms(500));
    let follower = network.ids().into_iter().find(|other| *other != leader).expect("three");
    let (term, commit) = (network.core(leader).term, network.core(follower).commit);
    let snapshot = SnapshotId { index: commit, term };
    let chunk = Chunk { snapshot, offset: 0, total: 1, checksum: 0, data: "x".into() };
    let message = Message { term, body: Body::Install(chunk) };
    let mut out = Vec::new();
    network.core_mut(follower).step(Input::Receive { from: leader, message }, &mut out);
    let matched = out.iter().find_map(|output| match output {
        Output::Send { message: Message { body: Body::Appended { outcome, .. }, .. }, .. } => {
            Some(*outcome)
        }
        _ => None,
    });
    assert_eq!(matched, Some(AppendOutcome::Accepted { matched: commit }));
    assert!(!out.iter().any(|output| matches!(output, Output::KeepChunk { .. })));
}
