//! Draws faults with their victims in the order in which they come.

use std::collections::{BTreeSet, VecDeque};

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use super::SHORTEST_GAP_MS;
use crate::fault::partition::Isolate;
use crate::fault::set::FaultSet;
use crate::fault::{ExcludedNodes, Fault, FaultKind, Reach, Target, Victims};
use crate::random::stream;
use crate::record::Family;

/// A fault with its victim, before it has parameters and a time.
#[derive(Debug, Clone)]
pub(super) struct Draw {
    pub(super) kind: FaultKind,
    pub(super) target: Target,
}

impl Draw {
    /// Whether both at once leave a majority of `nodes` nodes whole.
    pub(super) fn leaves_room(&self, other: &Draw, nodes: usize) -> bool {
        let destroy = destroys(self.kind) || destroys(other.kind);
        // Two faults that need the same of a node find one each.
        nodes >= 3
            && !destroy
            && self.keeps(nodes) + other.keeps(nodes) <= nodes.saturating_sub(1) / 2
    }

    /// How many nodes it may keep from the others.
    fn keeps(&self, nodes: usize) -> usize {
        match self.kind.description().drawn.keeps {
            ExcludedNodes::Nobody => 0,
            ExcludedNodes::One => 1,
            ExcludedNodes::Victims => self.target.size(nodes),
            ExcludedNodes::All => nodes,
        }
    }
}

fn destroys(kind: FaultKind) -> bool {
    kind.description().destroys_synced_data
}

/// Draws faults.
pub(super) struct Sampler<'a> {
    nodes: &'a [String],
    kinds: Vec<FaultKind>,
    /// What is left of the faults that every run begins with.
    pending: VecDeque<Draw>,
    /// What is left of the last shuffle of all kinds.
    shuffled: VecDeque<Draw>,
    pub(super) rng: ChaCha8Rng,
}

impl<'a> Sampler<'a> {
    pub(super) fn new(set: &FaultSet, nodes: &'a [String], seed: u64) -> Sampler<'a> {
        let damages = set.faults().any(destroys);
        let possible = |fault: &FaultKind| {
            nodes.len() >= fault.description().needs.nodes
                && (nodes.len() >= 3 || !destroys(*fault))
                // With a node out, a minority's damage would be too much.
                && !(damages && fault.changes_members())
        };
        let all: Vec<FaultKind> = set.faults().filter(possible).collect();
        let optional: Vec<FaultKind> =
            all.iter().copied().filter(|fault| set.optional().contains(fault)).collect();
        let left = swarm(&optional, seed);
        let stays = |fault: &FaultKind| !optional.contains(fault) || left.contains(fault);
        let kinds = if nodes.is_empty() { Vec::new() } else { all };
        let kinds: Vec<FaultKind> = kinds.into_iter().filter(stays).collect();
        let (pending, shuffled) = (VecDeque::new(), VecDeque::new());
        let rng = stream(seed, "schedule");
        let mut sampler = Sampler { nodes, kinds, pending, shuffled, rng };
        sampler.pending = sampler.initial(&left);
        sampler
    }

    /// What every run begins with: one partition, each fault that was asked for by name and one of
    /// each other family. The first of them hits the leader: its isolation, if that is in the set.
    fn initial(&mut self, optional: &BTreeSet<FaultKind>) -> VecDeque<Draw> {
        let (partitions, others): (Vec<FaultKind>, Vec<FaultKind>) =
            self.kinds.iter().partition(|fault| fault.family() == Family::Partition);
        let mut faults: Vec<FaultKind> = if partitions.contains(&Isolate::KIND) {
            vec![Isolate::KIND]
        } else {
            partitions.choose(&mut self.rng).copied().into_iter().collect()
        };
        let (optional, meant): (Vec<FaultKind>, Vec<FaultKind>) =
            others.into_iter().partition(|fault| optional.contains(fault));
        faults.extend(meant);
        let families: BTreeSet<Family> = optional.iter().map(|fault| fault.family()).collect();
        for family in families {
            if !faults.iter().any(|fault| fault.family() == family) {
                let own: Vec<FaultKind> =
                    optional.iter().copied().filter(|fault| fault.family() == family).collect();
                faults.extend(own.choose(&mut self.rng));
            }
        }
        let mut draws: Vec<Draw> = faults.into_iter().map(|fault| self.draw(fault)).collect();
        if let Some(first) = draws.first_mut().filter(|first| chooses(first.kind)) {
            first.target = Target::Leader;
        }
        draws.shuffle(&mut self.rng);
        draws.into()
    }

    /// The next fault that fits into `room_ms`, or none if none of the set does.
    pub(super) fn next(&mut self, room_ms: u64) -> Option<Draw> {
        let fits = |fault: FaultKind| fault.description().drawn.shortest_ms <= room_ms;
        while let Some(draw) = self.pending.pop_front() {
            if fits(draw.kind) {
                return Some(draw);
            }
        }
        if !self.kinds.iter().any(|fault| fits(*fault)) {
            return None;
        }
        loop {
            if self.shuffled.is_empty() {
                self.shuffled = self.shuffle();
            }
            // Every refill holds every fault of the set, so one that fits turns up.
            if let Some(draw) = self.shuffled.pop_front().filter(|draw| fits(draw.kind)) {
                return Some(draw);
            }
        }
    }

    /// Whether all that the run begins with was drawn.
    pub(super) fn is_past_initial(&self) -> bool {
        self.pending.is_empty()
    }

    /// The least time that the rest of what the run begins with takes, with the gaps before it.
    pub(super) fn pending_ms(&self) -> u64 {
        let shortest = |draw: &Draw| draw.kind.description().drawn.shortest_ms + SHORTEST_GAP_MS;
        self.pending.iter().map(shortest).sum()
    }

    /// Every fault of the set in random order. If all are partitions, the leader's isolation comes
    /// after each of the others: it is what exposes a leader that serves without its followers.
    fn shuffle(&mut self) -> VecDeque<Draw> {
        let mut faults = self.kinds.clone();
        faults.shuffle(&mut self.rng);
        let only_partitions = faults.iter().all(|fault| fault.family() == Family::Partition);
        if !(only_partitions && faults.len() > 1 && faults.contains(&Isolate::KIND)) {
            return faults.into_iter().map(|fault| self.draw(fault)).collect();
        }
        faults.retain(|fault| *fault != Isolate::KIND);
        let leader = Draw { kind: Isolate::KIND, target: Target::Leader };
        faults.into_iter().flat_map(|fault| [self.draw(fault), leader.clone()]).collect()
    }

    fn draw(&mut self, kind: FaultKind) -> Draw {
        let role = match self.rng.random_range(0..6) {
            0..3 => Target::Leader,
            3 => Target::Follower,
            4 => Target::Random,
            _ => Target::Minority,
        };
        let victims = &kind.description().victims;
        let target = match role {
            _ if !chooses(kind) => victims.default_target().clone(),
            Target::Minority if victims.reach() == Reach::One => Target::Random,
            role => role,
        };
        Draw { kind, target }
    }

    /// The fault with parameters.
    pub(super) fn parameters(&mut self, kind: FaultKind) -> Fault {
        kind.draw(&mut self.rng, self.nodes)
    }
}

/// Whether the victims of a drawn fault are drawn as well.
fn chooses(kind: FaultKind) -> bool {
    matches!(kind.description().victims, Victims::Chosen { is_drawn: true, .. })
}

/// What is left of `optional` for this seed: two families of three, and of each every other fault,
/// but never none. What is of one family only is left whole.
fn swarm(optional: &[FaultKind], seed: u64) -> BTreeSet<FaultKind> {
    let families: BTreeSet<Family> = optional.iter().map(|fault| fault.family()).collect();
    if families.len() < 2 {
        return optional.iter().copied().collect();
    }
    let mut rng = stream(seed, "swarm");
    let mut on: Vec<Family> =
        families.iter().copied().filter(|_| rng.random_range(0..3) > 0).collect();
    if on.is_empty() {
        let all: Vec<Family> = families.into_iter().collect();
        on.extend(all.choose(&mut rng));
    }
    let mut left = BTreeSet::new();
    for family in on {
        let own: Vec<FaultKind> =
            optional.iter().copied().filter(|fault| fault.family() == family).collect();
        let mut kept: Vec<FaultKind> = own.iter().copied().filter(|_| rng.random()).collect();
        if kept.is_empty() {
            kept.extend(own.choose(&mut rng));
        }
        left.extend(kept);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::disk::BitFlip;
    use crate::fault::link::Delay;
    use crate::fault::process::{Kill, KillAll};

    const EVERY: [Family; 6] = [
        Family::Partition,
        Family::Link,
        Family::Process,
        Family::Clock,
        Family::Disk,
        Family::Membership,
    ];

    fn left(set: &str, seed: u64) -> BTreeSet<FaultKind> {
        let set: FaultSet = set.parse().expect(set);
        let optional: Vec<FaultKind> = set.optional().iter().copied().collect();
        swarm(&optional, seed)
    }

    fn families(faults: &BTreeSet<FaultKind>) -> BTreeSet<Family> {
        faults.iter().map(|fault| fault.family()).collect()
    }

    #[test]
    fn each_seed_leaves_other_families_and_faults_out() {
        let all = left("all", 0).union(&left("all", 1)).copied().collect::<BTreeSet<_>>();
        assert!(!all.is_empty());
        let mut off: BTreeSet<Family> = BTreeSet::new();
        let (mut ever, mut always) = (BTreeSet::new(), left("all", 0));
        for seed in 0..200 {
            let left = left("all", seed);
            assert!(!left.is_empty());
            let on = families(&left);
            off.extend(EVERY.iter().filter(|family| !on.contains(family)));
            always.retain(|fault| left.contains(fault));
            ever.extend(left);
        }
        assert_eq!(off.len(), EVERY.len(), "every family is off at some time");
        assert!(always.is_empty(), "no fault is in every run: {always:?}");
        assert_eq!(ever, "all".parse::<FaultSet>().expect("a set").faults().collect());
    }

    #[test]
    fn faults_of_single_nodes_overlap_as_long_as_a_majority_is_whole() {
        let draw = |kind, target| Draw { kind, target };
        let kill = draw(Kill::KIND, Target::Leader);
        let cut = draw(Isolate::KIND, Target::Random);
        let slow = draw(Delay::KIND, Target::Leader);
        assert!(!kill.leaves_room(&cut, 3) && kill.leaves_room(&cut, 5));
        assert!(kill.leaves_room(&slow, 3) && slow.leaves_room(&kill, 3));
        let pair = draw(Kill::KIND, Target::Nodes(vec!["n1".to_owned(), "n2".to_owned()]));
        assert!(!pair.leaves_room(&cut, 5) && pair.leaves_room(&cut, 7));
        let everyone = draw(KillAll::KIND, Target::All);
        assert!(!everyone.leaves_room(&slow, 9));
        assert!(
            !slow.leaves_room(&slow, 2) && !kill.leaves_room(&slow, 2),
            "there is no minority of two"
        );
        assert!(!draw(BitFlip::KIND, Target::Random).leaves_room(&slow, 9));
    }
}
