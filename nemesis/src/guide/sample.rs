//! What a cluster looked like from outside: the lines of `samples.jsonl`, and the states that they come to.
//!
//! A state is a number that forgets what nodes are called and how many are alike, what time it is and how large
//! terms and indexes are, so that two moments which mean the same are the same. It is coarse on purpose: where
//! each sample is new, novelty says nothing. Of the samples of a default run on three to five nodes about six in
//! ten were new in the first run of a row, and two in ten in the eighth; with the names of all faults in it and
//! nodes told apart by number, it was seven in ten still.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::random::fnv1a;

/// A cluster at one moment, and what clients got since the last sample.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// When, in milliseconds since the schedule began.
    pub at_ms: u64,
    /// The nodes, in their order.
    pub nodes: Vec<SampledNode>,
    /// How many operations came back with an answer.
    pub ok: u64,
    /// How many certainly did not happen.
    pub fail: u64,
    /// How many may have happened.
    pub info: u64,
    /// How many are without an answer now.
    pub waiting: u64,
}

/// One node at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SampledNode {
    /// What it calls itself, or `down` or `silent`.
    pub role: String,
    /// Whether it says that it leads.
    pub leads: bool,
    /// The term that it is in, if it tells.
    pub term: Option<u64>,
    /// What it has applied, if it tells.
    pub applied: Option<u64>,
    /// The places of the nodes that do not hear it, from 0.
    pub unheard_by: Vec<usize>,
    /// The faults in force that have it among their victims, by name.
    pub faults: Vec<String>,
}

/// Something about a moment that many bugs need, whatever else is the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waypoint {
    /// Two nodes say that they lead.
    TwoLeaders,
    /// A node says that it leads which no majority hears, and clients wait for answers.
    CutOffLeader,
    /// A node is far behind while some links are cut: what it gets next may be a snapshot.
    FarBehind,
    /// A node is back that was down, and the term moved meanwhile.
    BackInNewTerm,
    /// Operations are answered while a disk is slow, fails, or loses what was not synced.
    AnsweredUnsynced,
}

impl Waypoint {
    const ALL: [Self; 5] = [
        Self::TwoLeaders,
        Self::CutOffLeader,
        Self::FarBehind,
        Self::BackInNewTerm,
        Self::AnsweredUnsynced,
    ];
}

/// How many entries behind is far.
const FAR: u64 = 200;

impl Sample {
    /// The state that the cluster was in, `before` being the sample before, if there is one: what kinds of nodes
    /// there were, how many led, and whether clients got answers and lost some.
    pub fn state(&self, before: Option<&Self>) -> u64 {
        let kinds: BTreeSet<u64> =
            (0..self.nodes.len()).map(|place| self.kind(place, before)).collect();
        let leads = self.nodes.iter().filter(|node| node.leads).count() as u64;
        let outcomes = [leads, u64::from(self.ok > 0), u64::from(self.info > 0)];
        hash(kinds.into_iter().chain(outcomes))
    }

    /// What kind of node one is. Of the faults on it only those count that its role and links do not show.
    fn kind(&self, place: usize, before: Option<&Self>) -> u64 {
        let node = &self.nodes[place];
        let moved = before.and_then(|before| before.nodes.get(place)).is_some_and(|before| {
            before.term.is_some() && node.term.is_some() && before.term != node.term
        });
        let lag = self.lag(place).map_or(2, |lag| u64::from(lag > FAR));
        let unheard = match node.unheard_by.len() {
            0 => 0,
            few if few * 2 < self.nodes.len() => 1,
            _ => 2,
        };
        let has = |word: &str| u64::from(node.faults.iter().any(|fault| fault.starts_with(word)));
        let role = fnv1a(node.role.as_bytes());
        hash([role, u64::from(moved), lag, unheard, has("disk"), has("clock")])
    }

    /// How far a node is behind the one that has applied most.
    fn lag(&self, place: usize) -> Option<u64> {
        let most = self.nodes.iter().filter_map(|node| node.applied).max()?;
        self.nodes[place].applied.map(|applied| most - applied)
    }

    /// What there is of this moment that many bugs need.
    pub fn waypoints(&self, before: Option<&Self>) -> BTreeSet<Waypoint> {
        let is_there = |waypoint: &Waypoint| match waypoint {
            Waypoint::TwoLeaders => self.nodes.iter().filter(|node| node.leads).count() > 1,
            Waypoint::CutOffLeader => {
                self.waiting > 0 && self.nodes.iter().any(|it| self.is_cut_off(it))
            }
            Waypoint::FarBehind => {
                self.nodes.iter().any(|node| !node.unheard_by.is_empty())
                    && (0..self.nodes.len())
                        .any(|place| self.lag(place).is_some_and(|lag| lag > FAR))
            }
            Waypoint::BackInNewTerm => {
                before.is_some_and(|before| self.is_back_in_new_term(before))
            }
            Waypoint::AnsweredUnsynced => {
                let is_disk =
                    |fault: &String| fault.starts_with("disk-") || fault.starts_with("power-loss");
                self.ok > 0 && self.nodes.iter().any(|node| node.faults.iter().any(is_disk))
            }
        };
        Waypoint::ALL.into_iter().filter(is_there).collect()
    }

    fn is_cut_off(&self, node: &SampledNode) -> bool {
        node.leads
            && (self.nodes.len() - node.unheard_by.len().min(self.nodes.len())) * 2
                <= self.nodes.len()
    }

    fn is_back_in_new_term(&self, before: &Self) -> bool {
        let highest = |sample: &Self| sample.nodes.iter().filter_map(|node| node.term).max();
        let is_back =
            |(now, then): (&SampledNode, &SampledNode)| then.role == "down" && now.role != "down";
        highest(self) > highest(before) && self.nodes.iter().zip(&before.nodes).any(is_back)
    }
}

fn hash(numbers: impl IntoIterator<Item = u64>) -> u64 {
    let bytes: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
    fnv1a(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(role: &str, term: u64, applied: u64) -> SampledNode {
        let leads = role == "leader";
        SampledNode {
            role: role.to_owned(),
            leads,
            term: Some(term),
            applied: Some(applied),
            ..SampledNode::default()
        }
    }

    fn sample() -> Sample {
        let nodes = vec![node("leader", 3, 90), node("follower", 3, 90), node("follower", 3, 85)];
        Sample { nodes, ok: 300, waiting: 2, ..Sample::default() }
    }

    #[test]
    fn a_state_forgets_names_and_sizes_and_nothing_else() {
        let mut isolated = sample();
        isolated.nodes[0].unheard_by = vec![1, 2];
        let mut renamed = isolated.clone();
        renamed.nodes.rotate_left(1);
        renamed.nodes[2].unheard_by = vec![0, 1];
        assert_eq!(renamed.state(None), isolated.state(None));
        let in_term = |term| move |it: &SampledNode| SampledNode { term: Some(term), ..it.clone() };
        let nodes = isolated.nodes.iter().map(in_term(8)).collect();
        let later = Sample { at_ms: 9_000, ok: 290, nodes, ..isolated.clone() };
        assert_eq!(later.state(None), isolated.state(None));
        assert_ne!(later.state(Some(&isolated)), isolated.state(None), "the term moved");
        let mut others = vec![sample(), isolated.clone()];
        let mut change = |change: &dyn Fn(&mut Sample)| {
            let mut other = isolated.clone();
            change(&mut other);
            others.push(other);
        };
        change(&|it| it.nodes[0].unheard_by = vec![1]);
        change(&|it| it.nodes[1].role = "down".to_owned());
        change(&|it| it.nodes[1].leads = true);
        change(&|it| it.nodes[0].applied = Some(1_000));
        change(&|it| it.nodes[1].faults = vec!["disk-slow".to_owned()]);
        change(&|it| it.nodes[0].faults = vec!["clock-step".to_owned()]);
        change(&|it| it.ok = 0);
        change(&|it| it.info = 3);
        let states: BTreeSet<u64> = others.iter().map(|it| it.state(None)).collect();
        assert_eq!(states.len(), others.len());
    }

    #[test]
    fn waypoints_are_seen_where_they_are_and_nowhere_else() {
        let before = sample();
        let of = |change: &dyn Fn(&mut Sample)| {
            let mut now = sample();
            change(&mut now);
            now.waypoints(Some(&before)).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(of(&|_| {}), []);
        assert_eq!(of(&|it| it.nodes[1].leads = true), [Waypoint::TwoLeaders]);
        assert_eq!(of(&|it| it.nodes[0].unheard_by = vec![1, 2]), [Waypoint::CutOffLeader]);
        assert_eq!(of(&|it| it.nodes[0].unheard_by = vec![1]), []);
        let behind = |it: &mut Sample| {
            it.nodes[0].applied = Some(900);
            it.nodes[1].unheard_by = vec![2];
        };
        assert_eq!(of(&behind), [Waypoint::FarBehind]);
        assert_eq!(
            of(&|it| it.nodes[0].faults = vec!["disk-slow".to_owned()]),
            [Waypoint::AnsweredUnsynced]
        );
        let mut down = sample();
        down.nodes[2] = SampledNode { role: "down".to_owned(), ..SampledNode::default() };
        let mut back = sample();
        back.nodes[1].term = Some(4);
        assert_eq!(back.waypoints(Some(&down)), BTreeSet::from([Waypoint::BackInNewTerm]));
        assert_eq!(sample().waypoints(Some(&down)), BTreeSet::new());
    }
}
