//! What a fault may wait for before it begins: a moment that nodes come to by themselves.
//!
//! Moments are told by what nodes were last seen to be, which is a sample and some milliseconds old: a fault that
//! waits begins soon after the moment, not at it. Nothing here asks a node or looks at a clock.

use std::collections::BTreeSet;

use crate::fault::values::words;
use crate::roles::NodeSeen;

/// What a fault waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trigger {
    /// The moment.
    pub when: When,
    /// For how long it waits, in milliseconds; it begins then, even though the moment did not come.
    pub wait_ms: u64,
}

/// How long a fault waits unless it says so, in milliseconds.
pub const USUAL_WAIT_MS: u64 = 1_000;

/// A moment that nodes come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// An election is under way: a node stands, is in a term in which none leads yet, or none leads at all.
    Election,
    /// A node leads in a newer term than any did when the wait began: its first entry is about to be written.
    NewLeader,
    /// A node that did not answer, being down or paused, does again.
    Restart,
    /// A node is far behind in what it has applied: it catches up, be it by a snapshot.
    CatchingUp,
}

words!(When, "election, new-leader, restart or catching-up",
    "election" => When::Election,
    "new-leader" => When::NewLeader,
    "restart" => When::Restart,
    "catching-up" => When::CatchingUp,
);

/// How many entries behind is far.
const FAR: u64 = 200;

/// Tells when the moment has come, from one look at the nodes to the next.
#[derive(Debug)]
pub struct TriggerWatch {
    when: When,
    /// Who led in which term at the first look, if there was a look.
    first: Option<Option<Lead>>,
    were_down: BTreeSet<usize>,
}

/// A node that leads, by its place, and its term if it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lead {
    term: Option<u64>,
    place: usize,
}

impl TriggerWatch {
    /// One that has not looked yet.
    pub fn new(when: When) -> Self {
        Self { when, first: None, were_down: BTreeSet::new() }
    }

    /// Whether the moment has come, by what `nodes` are seen to be now, in their order.
    pub fn has_come(&mut self, nodes: &[NodeSeen]) -> bool {
        let lead = leader(nodes);
        let first = *self.first.get_or_insert(lead);
        match self.when {
            When::Election => {
                let term =
                    nodes.iter().filter(|node| node.is_up).filter_map(|node| node.term).max();
                let is_open = |lead: Lead| lead.term.is_some() && lead.term < term;
                nodes.iter().any(|node| node.stands) || lead.is_none_or(is_open)
            }
            When::NewLeader => {
                lead.is_some_and(|lead| first.is_none_or(|first| lead.is_after(first)))
            }
            When::Restart => {
                let is_back =
                    self.were_down.iter().any(|it| nodes.get(*it).is_some_and(|it| it.is_up));
                let down = nodes.iter().enumerate().filter(|(_, node)| !node.is_up);
                self.were_down.extend(down.map(|(place, _)| place));
                is_back
            }
            When::CatchingUp => {
                let applied =
                    nodes.iter().filter(|node| node.is_up).filter_map(|node| node.applied);
                applied
                    .clone()
                    .max()
                    .zip(applied.min())
                    .is_some_and(|(most, least)| most - least > FAR)
            }
        }
    }
}

impl Lead {
    fn is_after(self, earlier: Self) -> bool {
        match (self.term, earlier.term) {
            (Some(term), Some(earlier)) => term > earlier,
            _ => self.place != earlier.place,
        }
    }
}

/// The node that leads in the highest term.
fn leader(nodes: &[NodeSeen]) -> Option<Lead> {
    let leads = nodes.iter().enumerate().filter(|(_, node)| node.is_up && node.leads);
    leads.map(|(place, node)| Lead { term: node.term, place }).max_by_key(|lead| lead.term)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(term: u64, leads: bool) -> NodeSeen {
        NodeSeen { is_up: true, leads, term: Some(term), applied: Some(100), ..NodeSeen::default() }
    }

    fn led_by(place: usize, term: u64) -> Vec<NodeSeen> {
        (0..3).map(|it| node(term, it == place)).collect()
    }

    /// After how many looks the moment has come, if it has.
    fn comes(when: When, looks: &[Vec<NodeSeen>]) -> Option<usize> {
        let mut lookout = TriggerWatch::new(when);
        looks.iter().position(|nodes| lookout.has_come(nodes))
    }

    #[test]
    fn an_election_is_seen_while_it_is_under_way_and_not_before() {
        let steady = led_by(0, 3);
        assert_eq!(comes(When::Election, &[steady.clone(), steady.clone()]), None);
        let mut stands = steady.clone();
        stands[1].stands = true;
        assert_eq!(comes(When::Election, &[steady.clone(), stands]), Some(1));
        let mut moved = steady.clone();
        moved[2].term = Some(4);
        assert_eq!(
            comes(When::Election, &[steady.clone(), moved]),
            Some(1),
            "the old one still says it leads"
        );
        let none: Vec<NodeSeen> = (0..3).map(|_| node(3, false)).collect();
        assert_eq!(comes(When::Election, &[steady, none]), Some(1));
    }

    #[test]
    fn a_new_leader_is_one_of_a_newer_term_whoever_it_is() {
        let cases = [
            (vec![led_by(0, 3), led_by(0, 3)], None),
            (vec![led_by(0, 3), led_by(1, 4)], Some(1)),
            (vec![led_by(0, 3), led_by(0, 5)], Some(1)),
            // A leader that was cut off says that it leads, and is none of a newer term.
            (vec![led_by(0, 3), led_by(1, 2)], None),
            (vec![(0..3).map(|_| node(3, false)).collect(), led_by(1, 4)], Some(1)),
        ];
        for (looks, expected) in cases {
            assert_eq!(comes(When::NewLeader, &looks), expected, "{looks:?}");
        }
        let untold = |place| {
            let mut nodes = led_by(place, 0);
            nodes.iter_mut().for_each(|node| node.term = None);
            nodes
        };
        assert_eq!(comes(When::NewLeader, &[untold(0), untold(0), untold(2)]), Some(2));
    }

    #[test]
    fn a_restart_is_that_of_a_node_that_was_seen_down() {
        let mut down = led_by(0, 3);
        down[2] = NodeSeen::default();
        let up = led_by(0, 3);
        assert_eq!(comes(When::Restart, &[up.clone(), up.clone()]), None);
        assert_eq!(comes(When::Restart, &[up.clone(), down.clone(), down, up]), Some(3));
    }

    #[test]
    fn a_node_catches_up_that_is_far_behind() {
        let mut behind = led_by(0, 3);
        behind[0].applied = Some(300);
        assert_eq!(comes(When::CatchingUp, &[led_by(0, 3), behind.clone()]), None);
        behind[0].applied = Some(301);
        assert_eq!(comes(When::CatchingUp, &[behind.clone()]), Some(0));
        behind.iter_mut().for_each(|node| node.applied = None);
        assert_eq!(comes(When::CatchingUp, &[behind]), None, "no node tells");
    }
}
