//! Puts every operation into a lane: of its client, of its node, of its key.
//!
//! A process whose operation got no answer never invokes another, and its client goes on as a new
//! process. A history does not say which clients there were: processes that follow one another share
//! a lane, as few lanes as hold them all.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use partita_checker::{History, KeyId, Operation, ProcessId};

use crate::text::operation::{name, value};

/// How many lanes of one kind there are, at most; the last takes all that would have none.
pub(crate) const MOST_LANES: usize = 400;

/// The lanes of one kind.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    /// Their names, in order.
    pub(crate) names: Vec<String>,
    /// The lane of each operation of the history.
    pub(crate) of: Vec<u32>,
}

/// A lane for each client, `at_most` so many.
pub(crate) fn clients(history: &History, at_most: usize) -> Lanes {
    let operations = history.operations();
    let mut spans: HashMap<ProcessId, (u64, u64)> = HashMap::new();
    for operation in operations {
        let began = operation.invoked.position;
        let ended = operation.completed().map_or(u64::MAX, |moment| moment.position);
        let span = spans.entry(operation.process).or_insert((began, ended));
        span.1 = span.1.max(ended);
    }
    let mut order: Vec<_> = spans.into_iter().collect();
    order.sort_unstable_by_key(|(process, (began, _))| (*began, process.0));
    let mut lane_of: HashMap<ProcessId, u32> = HashMap::new();
    let mut busy: BinaryHeap<Reverse<(u64, u32)>> = BinaryHeap::new();
    // The least process of each lane.
    let mut least: Vec<u32> = Vec::new();
    for (process, (began, ended)) in order {
        let lane = match busy.peek() {
            Some(&Reverse((until, lane))) if until < began => {
                busy.pop();
                lane
            }
            _ => {
                least.push(u32::MAX);
                least.len() as u32 - 1
            }
        };
        least[lane as usize] = least[lane as usize].min(process.0);
        busy.push(Reverse((ended, lane)));
        lane_of.insert(process, lane);
    }
    // Clients are numbered as their first processes are, whoever of them came first.
    let mut order: Vec<usize> = (0..least.len()).collect();
    order.sort_unstable_by_key(|lane| least[*lane]);
    let mut number_of = vec![0; order.len()];
    for (number, lane) in (0..).zip(&order) {
        number_of[*lane] = number;
    }
    let number = |operation: &Operation| number_of[lane_of[&operation.process] as usize];
    let of = operations.iter().map(number).collect();
    let count = least.len();
    bounded((1..=count).map(|number| format!("client {number}")).collect(), of, at_most)
}

/// A lane for each node, and one for operations of which it is not known.
pub(crate) fn nodes(history: &History) -> Lanes {
    let mut order: Vec<usize> = (0..history.nodes().len()).collect();
    order.sort_by_key(|place| &history.nodes()[*place]);
    let mut lane_of = vec![0; order.len()];
    for (lane, place) in order.iter().enumerate() {
        lane_of[*place] = lane as u32;
    }
    let mut names: Vec<String> = order.iter().map(|place| name(&history.nodes()[*place])).collect();
    let unknown = names.len() as u32;
    let lane =
        |operation: &Operation| operation.node.map_or(unknown, |node| lane_of[usize::from(node.0)]);
    let of: Vec<u32> = history.operations().iter().map(lane).collect();
    if of.contains(&unknown) {
        names.push("no node".to_owned());
    }
    bounded(names, of, MOST_LANES)
}

/// A lane for each key: those of findings first, then the busiest.
pub(crate) fn keys(history: &History, is_finding: impl Fn(KeyId) -> bool) -> Lanes {
    let mut operations = vec![0_u64; history.keys().len()];
    for operation in history.operations() {
        operations[operation.key.0 as usize] += 1;
    }
    let mut order: Vec<u32> = (0..operations.len() as u32).collect();
    let few = order.len() <= MOST_LANES;
    // As many as there are lanes for stay in the order in which they appeared.
    let rank = |place: &u32| if few { 0 } else { operations[*place as usize] };
    order.sort_by_key(|place| (!is_finding(KeyId(*place)), Reverse(rank(place))));
    let mut lane_of = vec![0; order.len()];
    for (lane, place) in order.iter().enumerate() {
        lane_of[*place as usize] = lane as u32;
    }
    let names = order.iter().take(MOST_LANES + 1).map(|place| {
        let key = &history.keys()[*place as usize];
        if key.is_null() { "the object".to_owned() } else { value(key) }
    });
    let of = history.operations().iter().map(|operation| lane_of[operation.key.0 as usize]);
    bounded(names.collect(), of.collect(), MOST_LANES)
}

/// The same with one lane for all beyond the most.
fn bounded(mut names: Vec<String>, mut of: Vec<u32>, at_most: usize) -> Lanes {
    if names.len() > at_most {
        names.truncate(at_most - 1);
        names.push("all others".to_owned());
        let last = at_most as u32 - 1;
        of.iter_mut().for_each(|lane| *lane = (*lane).min(last));
    }
    Lanes { names, of }
}

#[cfg(test)]
mod tests {
    use super::super::tests::history;
    use super::*;

    #[test]
    fn a_process_that_follows_a_lost_one_shares_its_lane() {
        // Process 0 is never answered, process 7 goes on after its client gave up.
        let history = history("0 w1 0..5 info\n1 w2 1..2 ok\n7 w3 6..8 ok\n1 w4 7..9 ok");
        let lanes = clients(&history, MOST_LANES);
        assert_eq!(lanes.names, ["client 1", "client 2"]);
        // By invocation: 0, 1, 7, 1. Process 1 was not over when 7 began.
        assert_eq!(lanes.of, [0, 1, 0, 1]);
    }

    #[test]
    fn clients_are_in_the_order_of_their_processes_not_of_their_first_operations() {
        let history = history("1 w1 0..1 ok\n0 w2 2..3 ok\n1 w3 4..5 ok\n0 w4 6..7 ok");
        assert_eq!(clients(&history, MOST_LANES).of, [1, 0, 1, 0]);
    }

    #[test]
    fn a_process_that_may_still_wait_shares_its_lane_with_nobody() {
        let history = history("0 w1 0..- open\n1 w2 1..2 ok");
        assert_eq!(clients(&history, MOST_LANES).names.len(), 2);
    }

    #[test]
    fn keys_of_findings_come_first() {
        let history = history("0 w1 0..1 ok a\n0 w2 2..3 ok b\n0 w3 4..5 ok c");
        let lanes = keys(&history, |key| key == KeyId(2));
        assert_eq!(lanes.names, ["c", "a", "b"]);
        assert_eq!(lanes.of, [1, 2, 0]);
    }

    #[test]
    fn what_has_no_lane_of_its_own_shares_the_last() {
        let names = (0..MOST_LANES + 50).map(|number| number.to_string()).collect();
        let lanes = bounded(names, vec![0, 398, 399, 449], MOST_LANES);
        assert_eq!(lanes.names.len(), MOST_LANES);
        assert_eq!(lanes.names[MOST_LANES - 1], "all others");
        assert_eq!(lanes.of, [0, 398, 399, 399]);
    }

    #[test]
    fn nodes_are_sorted_and_unknown_ones_come_last() {
        let history = history("0 w1 0..1 ok k n2\n0 w2 2..3 ok k n1\n0 w3 4..5 ok k");
        let lanes = nodes(&history);
        assert_eq!(lanes.names, ["n1", "n2", "no node"]);
        assert_eq!(lanes.of, [1, 0, 2]);
    }
}
