//! Works out which links a fault of the network hits.
//!
//! Links have two ends and are directed, so that the same words do for partitions and for bad links:
//! those of the victims to their peers, to clients, or both, in one direction or in both; or, where
//! a schedule names links, exactly these. Each link comes once, however many victims it joins.

use std::collections::BTreeSet;

use rand::seq::SliceRandom;

use crate::fault::{Aim, Clients, Direction};
use crate::lab::{CLIENTS, Link};
use crate::random::stream;
use crate::schedule::PlannedFault;

/// The links that `planned` hits in a cluster of the nodes `names`, its victims being `nodes`; none
/// if it is no fault of the network.
pub(super) fn hit(
    planned: &PlannedFault,
    seed: u64,
    names: &[String],
    nodes: &[String],
) -> Vec<Link> {
    match planned.fault.aim() {
        Aim::Nodes => Vec::new(),
        Aim::Links(links) => match planned.fault.named_links() {
            Some(named) => named,
            None => of_each(names, nodes, links.direction, links.clients),
        },
        Aim::Split(_) => {
            let others: Vec<String> =
                names.iter().filter(|name| !nodes.contains(name)).cloned().collect();
            between(nodes, &others)
        }
        Aim::Bridge => {
            let [one, other] = sides(seed, planned.id, names, nodes);
            between(&one, &other)
        }
        Aim::Ring => across_ring(nodes),
    }
}

/// The two sides that the bridge of fault `id` joins: the nodes that are not `bridge`, halved.
pub(super) fn sides(seed: u64, id: u32, names: &[String], bridge: &[String]) -> [Vec<String>; 2] {
    let mut others: Vec<String> =
        names.iter().filter(|name| !bridge.contains(name)).cloned().collect();
    others.shuffle(&mut stream(seed, &format!("sides of fault {id}")));
    let mut other = others.split_off(others.len() / 2);
    others.sort();
    other.sort();
    [others, other]
}

/// Both directions between each node of one side and each of the other.
fn between(one: &[String], other: &[String]) -> Vec<Link> {
    let pairs = one.iter().flat_map(|a| other.iter().map(move |b| (a, b)));
    pairs.flat_map(|(a, b)| [Link::new(a, b), Link::new(b, a)]).collect()
}

/// The links between nodes that are not neighbours in the ring, where a node's neighbours are as
/// many on either side as make up a majority with it.
fn across_ring(ring: &[String]) -> Vec<Link> {
    let (nodes, reach) = (ring.len(), (ring.len() / 2).div_ceil(2));
    let mut links = Vec::new();
    for (place, from) in ring.iter().enumerate() {
        let far = (reach + 1)..nodes.saturating_sub(reach);
        links.extend(far.map(|step| Link::new(from, &ring[(place + step) % nodes])));
    }
    links
}

/// The links of each of `nodes` to its peers and clients, in the direction that is hit.
fn of_each(
    names: &[String],
    nodes: &[String],
    direction: Direction,
    clients: Clients,
) -> Vec<Link> {
    let clients_host = CLIENTS.to_owned();
    let peers = names.iter().filter(|_| clients != Clients::Only);
    let others: Vec<&String> =
        peers.chain((clients != Clients::No).then_some(&clients_host)).collect();
    let mut links = BTreeSet::new();
    for node in nodes {
        for other in others.iter().filter(|other| **other != node) {
            if direction != Direction::In {
                links.insert(Link::new(node, *other));
            }
            if direction != Direction::Out {
                links.insert(Link::new(*other, node));
            }
        }
    }
    links.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::link::{Delay, Loss};
    use crate::fault::partition::{Bridge, ClientsFromLeader, Halves, Isolate, OneWay};
    use crate::fault::{Fault, FaultKind, Target};

    fn names(number: usize) -> Vec<String> {
        (1..=number).map(|i| format!("n{i}")).collect()
    }

    fn of(kind: FaultKind, words: &[(&str, &str)], number: usize, nodes: &[&str]) -> Vec<String> {
        let fault = Fault::read(kind, words);
        let planned = PlannedFault {
            id: 0,
            at_ms: 0,
            trigger: None,
            duration_ms: 1,
            fault,
            target: Target::Random,
        };
        let nodes: Vec<String> = nodes.iter().map(|name| (*name).to_owned()).collect();
        let links = hit(&planned, 1, &names(number), &nodes);
        let distinct: BTreeSet<&Link> = links.iter().collect();
        assert_eq!(distinct.len(), links.len(), "each link once: {links:?}");
        let mut all: Vec<String> = links.iter().map(|l| format!("{}>{}", l.from, l.to)).collect();
        all.sort();
        all
    }

    #[test]
    fn a_victims_links_lead_to_its_peers_in_the_direction_that_is_hit() {
        assert_eq!(of(Isolate::KIND, &[], 3, &["n1"]), ["n1>n2", "n1>n3", "n2>n1", "n3>n1"]);
        assert_eq!(of(OneWay::KIND, &[], 3, &["n1"]), ["n1>n2", "n1>n3"]);
        assert_eq!(of(Delay::KIND, &[("direction", "in")], 3, &["n1"]), ["n2>n1", "n3>n1"]);
        assert_eq!(of(Isolate::KIND, &[], 2, &["n1", "n2"]), ["n1>n2", "n2>n1"]);
    }

    #[test]
    fn clients_are_spared_or_hit_too_or_alone() {
        let isolated = |clients| of(Isolate::KIND, &[("clients", clients)], 2, &["n1"]);
        assert_eq!(isolated("no"), ["n1>n2", "n2>n1"]);
        assert_eq!(isolated("too"), ["clients>n1", "n1>clients", "n1>n2", "n2>n1"]);
        assert_eq!(isolated("only"), ["clients>n1", "n1>clients"]);
        let leader = of(ClientsFromLeader::KIND, &[("direction", "in")], 3, &["n2"]);
        assert_eq!(leader, ["clients>n2"]);
    }

    #[test]
    fn named_links_are_hit_and_no_other() {
        let named = [("links", "n2>n3,clients<>n1"), ("direction", "in")];
        assert_eq!(of(Loss::KIND, &named, 3, &["n1"]), ["clients>n1", "n1>clients", "n2>n3"]);
    }

    #[test]
    fn everyone_in_the_ring_hears_a_majority_and_no_two_the_same() {
        for number in 4..=9 {
            let ring = names(number);
            let cut = across_ring(&ring);
            let mut heard = BTreeSet::new();
            for node in &ring {
                let hears = |other: &&String| {
                    !cut.contains(&Link::new(*other, node))
                        && !cut.contains(&Link::new(node, *other))
                };
                let majority: Vec<&String> = ring.iter().filter(hears).collect();
                assert!(majority.len() > number / 2, "{number}: {majority:?}");
                assert!(majority.len() < number, "{number}: nothing is cut");
                heard.insert(majority);
            }
            assert_eq!(heard.len(), number);
            assert!(cut.iter().all(|link| cut.contains(&Link::new(&link.to, &link.from))));
        }
    }

    #[test]
    fn a_bridge_hears_both_halves_which_do_not_hear_each_other() {
        for number in 3..8 {
            let [one, other] = sides(7, 0, &names(number), &["n2".to_owned()]);
            assert_eq!(one.len() + other.len(), number - 1);
            assert!(other.len() - one.len() <= 1 && !one.is_empty());
            let cut = of(Bridge::KIND, &[], number, &["n2"]);
            assert_eq!(cut.len(), 2 * one.len() * other.len());
            assert!(cut.iter().all(|link| !link.contains("n2")), "{cut:?}");
        }
    }

    #[test]
    fn four_nodes_split_into_two_and_two() {
        let cut = of(Halves::KIND, &[], 4, &["n1", "n3"]);
        assert_eq!(cut.len(), 8);
        assert!(cut.contains(&"n2>n3".to_owned()) && !cut.contains(&"n1>n3".to_owned()));
    }
}
