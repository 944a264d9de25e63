//! Situations in which a planted bug shows, run with and without it.

use std::time::Duration;

use super::super::log::{Entry, Payload};
use super::super::operation::Reply;
use super::super::units::{Index, Term, Timestamp};
use super::network::{Network, Outcome, append, id, ms, read, set};
use crate::mutations::Mutations;

pub(super) fn noop(index: u64, term: u64) -> Entry {
    Entry { index: Index(index), term: Term(term), time: Timestamp(0), payload: Payload::Noop }
}

/// A leader is cut off from its followers, not from its clients; another one takes over and
/// writes; what does the first one answer to a read?
pub(super) fn read_at_deposed_leader(seed: u64, mutations: Mutations) -> Outcome {
    let mut network = Network::new(3, seed, mutations);
    let old = network.elect(None);
    assert_eq!(network.call(old, set("x", "old")), Ok(Reply::Ok));
    network.isolate(old);
    let new = network.elect(Some(old));
    assert_eq!(network.call(new, set("x", "new")), Ok(Reply::Ok));
    network.call(old, read("x"))
}

/// What a leader sends is held back, a client's write in it; another one takes over and writes; then
/// the first one's messages arrive. What is left of the second's write when all have restarted?
pub(super) fn resumed_leader(seed: u64, mutations: Mutations) -> Outcome {
    let mut network = Network::new(3, seed, mutations);
    let old = network.elect(None);
    assert_eq!(network.call(old, set("x", "old")), Ok(Reply::Ok));
    network.run(ms(300));
    network.hold(old);
    network.submit(old, set("x", "ghost"));
    let new = network.elect(Some(old));
    assert_eq!(network.call(new, set("x", "new")), Ok(Reply::Ok));
    network.run(ms(300));
    network.release();
    network.run(ms(30));
    for server in network.ids() {
        network.crash(server);
        network.restart(server);
    }
    let leader = network.elect(None);
    network.call(leader, read("x"))
}

/// A follower misses a write; then the leader is cut off. Is the write still there?
pub(super) fn write_missed_by_a_follower(seed: u64, mutations: Mutations) -> Outcome {
    let mut network = Network::new(3, seed, mutations);
    let leader = network.elect(None);
    let follower = network.ids().into_iter().find(|other| *other != leader).expect("three");
    network.isolate(follower);
    assert_eq!(network.call(leader, set("x", "kept")), Ok(Reply::Ok));
    network.heal();
    network.isolate(leader);
    network.stand(follower);
    let new = network.elect(Some(leader));
    network.call(new, read("x"))
}

/// What became of Figure 8's writes.
#[derive(Debug)]
pub(super) struct FigureEight {
    /// Acknowledged writes that the final read does not show.
    pub(super) lost: Vec<&'static str>,
    /// Whether the first leader's write was acknowledged.
    pub(super) acknowledged: bool,
}

/// Raft Figure 8: server 1 leads, then 5, then 1 again, then 5 again, each time with some of the
/// others.
pub(super) fn figure_eight(seed: u64, mutations: Mutations) -> FigureEight {
    let mut network = Network::new(5, seed, mutations);
    // (a) Server 1 leads and replicates an entry to server 2 only.
    lead(&mut network, 1, &[1, 2, 3, 4, 5]);
    network.run(ms(200));
    network.only_join(&[1, 2]);
    let first = network.submit(id(1), append("a,"));
    network.run(ms(150));
    // (b) Server 5 leads with the votes of 3 and 4, and accepts another entry, alone.
    lead(&mut network, 5, &[3, 4, 5]);
    network.only_join(&[]);
    let second = network.submit(id(5), append("b,"));
    network.run(ms(20));
    // (c) Server 1 leads again and replicates its old entry to server 3, a majority.
    lead(&mut network, 1, &[1, 2, 3]);
    network.run(ms(250));
    // (d) Server 5 leads again, if 2, 3 and 4 vote for it, and overwrites the entry.
    network.only_join(&[2, 3, 4, 5]);
    // The first time it only learns the present term.
    for _ in 0..8 {
        network.stand(id(5));
        network.run(ms(40));
    }
    network.heal();
    network.run(ms(2000));

    let leader = network.elect(None);
    let list = match network.call(leader, read("list")) {
        Ok(Reply::Value(list)) => String::from_utf8(list.to_vec()).expect("text"),
        _ => String::new(),
    };
    let acknowledged = |ticket| matches!(network.outcome(ticket), Some(Ok(_)));
    let writes = [(first, "a,"), (second, "b,")];
    let lost = writes.iter().filter(|(t, token)| acknowledged(*t) && !list.contains(token));
    FigureEight { lost: lost.map(|(_, token)| *token).collect(), acknowledged: acknowledged(first) }
}

/// Joins the group alone and has its `leader` stand until it leads; what it says as leader is not
/// heard yet.
fn lead(network: &mut Network, leader: u32, group: &[u32]) {
    network.only_join(group);
    for step in 0..2000 {
        if step % 200 == 0 {
            network.stand(id(leader));
        }
        if network.leader() == Some(id(leader)) {
            return;
        }
        network.run(Duration::from_micros(100));
    }
    panic!("server {leader} is not elected by {group:?}");
}
