//! Deals faults with their victims in the order in which they shall come.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use super::SHORTEST_GAP_MS;
use super::words::words;
use crate::disk::parameters::destroys;
use crate::fault::links::LINKS;
use crate::fault::{Fault, Reach, TARGET, Target};
use crate::menu::Menu;
use crate::random::stream;
use crate::record::Family;

/// A fault with its victim, before it has a time.
#[derive(Debug, Clone)]
pub(super) struct Card {
    pub(super) fault: Fault,
    pub(super) target: Target,
}

impl Card {
    /// Whether both at once leave a majority of `nodes` nodes whole.
    pub(super) fn leaves_room(&self, other: &Card, nodes: usize) -> bool {
        let destroy = destroys(self.fault) || destroys(other.fault);
        // Two faults that need the same of a node find one each.
        nodes >= 3
            && !destroy
            && self.takes(nodes) + other.takes(nodes) <= nodes.saturating_sub(1) / 2
    }

    /// How many nodes it may keep from the others: all if it is no fault of single nodes.
    fn takes(&self, nodes: usize) -> usize {
        match self.fault {
            Fault::Delay
            | Fault::Duplicate
            | Fault::Reorder
            | Fault::Corrupt
            | Fault::ClientsFromLeader
            | Fault::DiskSlow
            | Fault::ClockStep
            | Fault::ClockStrobe
            | Fault::ClockRate => 0,
            Fault::Cut => 1,
            Fault::Isolate
            | Fault::OneWay
            | Fault::LeaderFromFollowers
            | Fault::Flapping
            | Fault::Loss
            | Fault::BurstLoss
            | Fault::Rate
            | Fault::Hold
            | Fault::Reset
            | Fault::Pause
            | Fault::Stutter
            | Fault::Kill
            | Fault::Terminate
            | Fault::PowerLoss
            | Fault::DiskError
            | Fault::DiskFull => self.target.size(nodes),
            _ => nodes,
        }
    }
}

/// Deals faults.
pub(super) struct Dealer<'a> {
    nodes: &'a [String],
    menu: Vec<Fault>,
    /// The rest of the first hand.
    owed: VecDeque<Card>,
    deck: VecDeque<Card>,
    pub(super) rng: ChaCha8Rng,
}

impl<'a> Dealer<'a> {
    pub(super) fn new(menu: &Menu, nodes: &'a [String], seed: u64) -> Dealer<'a> {
        let damages = menu.faults().any(destroys);
        let possible = |fault: &Fault| {
            nodes.len() >= fault.least_nodes()
                && (nodes.len() >= 3 || !destroys(*fault))
                // With a node out, a minority's damage would be too much.
                && !(damages && fault.changes_members())
        };
        let all: Vec<Fault> = menu.faults().filter(possible).collect();
        let optional: Vec<Fault> =
            all.iter().copied().filter(|fault| menu.optional().contains(fault)).collect();
        let left = swarm(&optional, seed);
        let stays = |fault: &Fault| !optional.contains(fault) || left.contains(fault);
        let menu = if nodes.is_empty() { Vec::new() } else { all };
        let menu: Vec<Fault> = menu.into_iter().filter(stays).collect();
        let (owed, deck) = (VecDeque::new(), VecDeque::new());
        let mut dealer = Dealer { nodes, menu, owed, deck, rng: stream(seed, "schedule") };
        dealer.owed = dealer.first_hand(&left);
        dealer
    }

    /// One partition, each fault that was asked for by name and one of each other family; the first
    /// of them befalls the leader: by choice its isolation.
    fn first_hand(&mut self, optional: &BTreeSet<Fault>) -> VecDeque<Card> {
        let (partitions, others): (Vec<Fault>, Vec<Fault>) =
            self.menu.iter().partition(|fault| fault.family() == Family::Partition);
        let mut faults: Vec<Fault> = if partitions.contains(&Fault::Isolate) {
            vec![Fault::Isolate]
        } else {
            partitions.choose(&mut self.rng).copied().into_iter().collect()
        };
        let (optional, meant): (Vec<Fault>, Vec<Fault>) =
            others.into_iter().partition(|fault| optional.contains(fault));
        faults.extend(meant);
        let families: BTreeSet<Family> = optional.iter().map(|fault| fault.family()).collect();
        for family in families {
            if !faults.iter().any(|fault| fault.family() == family) {
                let own: Vec<Fault> =
                    optional.iter().copied().filter(|fault| fault.family() == family).collect();
                faults.extend(own.choose(&mut self.rng));
            }
        }
        let mut hand: Vec<Card> = faults.into_iter().map(|fault| self.card(fault)).collect();
        if let Some(first) = hand.first_mut().filter(|first| chooses(first.fault)) {
            first.target = Target::Leader;
        }
        hand.shuffle(&mut self.rng);
        hand.into()
    }

    /// The next fault that fits into `room_ms`, or none if none on the menu does.
    pub(super) fn deal(&mut self, room_ms: u64) -> Option<Card> {
        let fits = |fault: Fault| fault.description().shortest_ms <= room_ms;
        while let Some(card) = self.owed.pop_front() {
            if fits(card.fault) {
                return Some(card);
            }
        }
        if !self.menu.iter().any(|fault| fits(*fault)) {
            return None;
        }
        loop {
            if self.deck.is_empty() {
                self.deck = self.shuffled();
            }
            // Every refill holds every fault of the menu, so one that fits turns up.
            if let Some(card) = self.deck.pop_front().filter(|card| fits(card.fault)) {
                return Some(card);
            }
        }
    }

    /// Whether the first hand is dealt.
    pub(super) fn owes_nothing(&self) -> bool {
        self.owed.is_empty()
    }

    /// The least time that the rest of the first hand and the gaps before it take.
    pub(super) fn owed_ms(&self) -> u64 {
        let shortest = |card: &Card| card.fault.description().shortest_ms + SHORTEST_GAP_MS;
        self.owed.iter().map(shortest).sum()
    }

    /// Every fault of the menu in random order. If all are partitions, the leader's isolation comes
    /// after each of the others: it is what exposes a leader that serves without its followers.
    fn shuffled(&mut self) -> VecDeque<Card> {
        let mut faults = self.menu.clone();
        faults.shuffle(&mut self.rng);
        let only_partitions = faults.iter().all(|fault| fault.family() == Family::Partition);
        if !(only_partitions && faults.len() > 1 && faults.contains(&Fault::Isolate)) {
            return faults.into_iter().map(|fault| self.card(fault)).collect();
        }
        faults.retain(|fault| *fault != Fault::Isolate);
        let leader = Card { fault: Fault::Isolate, target: Target::Leader };
        faults.into_iter().flat_map(|fault| [self.card(fault), leader.clone()]).collect()
    }

    fn card(&mut self, fault: Fault) -> Card {
        let role = match self.rng.random_range(0..6) {
            0..3 => Target::Leader,
            3 => Target::Follower,
            4 => Target::Random,
            _ => Target::Minority,
        };
        let default = fault.description().default_target();
        let target = match role {
            _ if !chooses(fault) => default,
            Target::Minority if fault.description().reach == Reach::One => Target::Random,
            role => role,
        };
        Card { fault, target }
    }

    /// What else the fault is given.
    pub(super) fn parameters(&mut self, fault: Fault) -> BTreeMap<String, String> {
        if fault == Fault::Cut {
            return BTreeMap::from([(LINKS.to_owned(), self.star())]);
        }
        let mut draw = |(name, words): &(&str, &[&str])| {
            let word = words.choose(&mut self.rng).expect("words to choose from");
            ((*name).to_owned(), (*word).to_owned())
        };
        words(fault).iter().map(&mut draw).collect()
    }

    /// One direction of each link of one node: whoever leads, one of them would have carried
    /// something.
    fn star(&mut self) -> String {
        let centre = self.nodes.choose(&mut self.rng).expect("nodes");
        let others = self.nodes.iter().filter(|name| *name != centre);
        let mut links = Vec::new();
        for other in others {
            let is_out: bool = self.rng.random();
            links.push(if is_out {
                format!("{centre}>{other}")
            } else {
                format!("{other}>{centre}")
            });
        }
        links.join(",")
    }
}

/// Whether the victims of a drawn fault are drawn as well. All that are to be restarted are nobody in
/// particular, and a bridge between halves that do not speak to each other cuts nothing: it is a
/// follower, so that the leader is in a half. Nobody but a follower can be handed the leadership.
fn chooses(fault: Fault) -> bool {
    let has_target = fault.description().parameters.iter().any(|it| it.name == TARGET);
    let is_settled = matches!(
        fault,
        Fault::RollingRestart | Fault::RestartVoters | Fault::Bridge | Fault::TransferLeadership
    );
    has_target && !is_settled
}

/// What is left of `optional` for this seed: two families of three, and of each every other fault,
/// but never none. What is of one family only is left whole. Partitions and processes alone are
/// never without the leader's isolation.
fn swarm(optional: &[Fault], seed: u64) -> BTreeSet<Fault> {
    let families: BTreeSet<Family> = optional.iter().map(|fault| fault.family()).collect();
    if families.len() < 2 {
        return optional.iter().copied().collect();
    }
    let mut rng = stream(seed, "swarm");
    let is_default = families.iter().all(|it| matches!(it, Family::Partition | Family::Process));
    let mut on: Vec<Family> =
        families.iter().copied().filter(|_| rng.random_range(0..3) > 0).collect();
    if is_default && !on.contains(&Family::Partition) {
        on.push(Family::Partition);
    }
    if on.is_empty() {
        let all: Vec<Family> = families.into_iter().collect();
        on.extend(all.choose(&mut rng));
    }
    let mut left = BTreeSet::new();
    for family in on {
        let own: Vec<Fault> =
            optional.iter().copied().filter(|fault| fault.family() == family).collect();
        let mut kept: Vec<Fault> = own.iter().copied().filter(|_| rng.random()).collect();
        if kept.is_empty() {
            kept.extend(own.choose(&mut rng));
        }
        if is_default && family == Family::Partition {
            kept.extend(own.iter().filter(|fault| **fault == Fault::Isolate));
        }
        left.extend(kept);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: [Family; 6] = [
        Family::Partition,
        Family::Link,
        Family::Process,
        Family::Clock,
        Family::Disk,
        Family::Membership,
    ];

    fn left(menu: &str, seed: u64) -> BTreeSet<Fault> {
        let menu: Menu = menu.parse().expect(menu);
        let optional: Vec<Fault> = menu.optional().iter().copied().collect();
        swarm(&optional, seed)
    }

    fn families(faults: &BTreeSet<Fault>) -> BTreeSet<Family> {
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
        assert_eq!(ever, "all".parse::<Menu>().expect("a menu").faults().collect());
    }

    #[test]
    fn the_default_is_never_without_the_isolation_of_leaders() {
        for seed in 0..200 {
            assert!(left("default", seed).contains(&Fault::Isolate), "{seed}");
        }
    }

    #[test]
    fn faults_of_single_nodes_overlap_as_long_as_a_majority_is_whole() {
        let card = |fault, target| Card { fault, target };
        let kill = card(Fault::Kill, Target::Leader);
        let cut = card(Fault::Isolate, Target::Random);
        let slow = card(Fault::Delay, Target::Leader);
        assert!(!kill.leaves_room(&cut, 3) && kill.leaves_room(&cut, 5));
        assert!(kill.leaves_room(&slow, 3) && slow.leaves_room(&kill, 3));
        let pair = card(Fault::Kill, Target::Nodes(vec!["n1".to_owned(), "n2".to_owned()]));
        assert!(!pair.leaves_room(&cut, 5) && pair.leaves_room(&cut, 7));
        let everyone = card(Fault::KillAll, Target::All);
        assert!(!everyone.leaves_room(&slow, 9));
        assert!(
            !slow.leaves_room(&slow, 2) && !kill.leaves_room(&slow, 2),
            "there is no minority of two"
        );
        assert!(!card(Fault::BitFlip, Target::Random).leaves_room(&slow, 9));
    }
}
