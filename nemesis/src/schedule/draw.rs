//! Draws a schedule from a seed: a healthy lead-in, then one bounded fault after another.
//!
//! Nothing but the arguments decides the outcome. Faults are dealt from a shuffled deck, so that a
//! long run sees all of them; the first hand holds one of each kind, shortened as needed to fit.
//! Leaders are the likeliest victims, since most of what a replicated store can get wrong it gets
//! wrong around a change of leader.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use super::{PlannedFault, Schedule};
use crate::clock::parameters as clock;
use crate::disk::parameters::destroys;
use crate::fault::{DIRECTION, Fault, Target};
use crate::menu::Menu;
use crate::random::stream;
use crate::record::Family;

/// The longest healthy lead-in, in milliseconds.
const LEAD_IN_MS: u64 = 2_000;
/// The least time between two faults, in milliseconds.
const SHORTEST_GAP_MS: u64 = 500;
/// The most time between two faults, in milliseconds.
const LONGEST_GAP_MS: u64 = 1_500;

/// How far clocks are stepped: past every timeout, and past no more than a few of them.
const STEPS: [&str; 6] = ["-1h", "-10s", "-500ms", "500ms", "10s", "1h"];
/// How far clocks jump to and fro, and for how long they stay.
const STROBES: [&str; 4] = ["-2s", "-100ms", "100ms", "2s"];
const PERIODS: [&str; 3] = ["5ms", "50ms", "200ms"];
/// How fast clocks go.
const RATES: [&str; 4] = ["0.5", "0.8", "1.25", "2"];

/// A fault with its victim, before it has a time.
#[derive(Clone)]
struct Card {
    fault: Fault,
    target: Target,
}

impl Schedule {
    /// Draws the faults of a run of `duration` on `nodes` from `seed`.
    ///
    /// The first 2 s are without faults (a sixth of a run shorter than 12 s), and so are the last
    /// 500 ms (a twentieth of one shorter than 10 s). A run too short for any fault of the menu
    /// gets none; partitions are not drawn for fewer than two nodes.
    pub fn draw(menu: &Menu, nodes: &[String], duration: Duration, seed: u64) -> Schedule {
        let total_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let end_ms = total_ms - (total_ms / 20).min(SHORTEST_GAP_MS);
        let mut at_ms = (total_ms / 6).min(LEAD_IN_MS);

        let mut dealer = Dealer::new(menu, nodes.len(), stream(seed, "schedule"));
        let mut faults = Vec::new();
        while let Some(card) = dealer.deal(end_ms.saturating_sub(at_ms)) {
            let row = card.fault.description();
            // What the rest of the first hand needs comes off what this fault and its gap may take.
            let room_ms = (end_ms - at_ms).saturating_sub(dealer.owed_ms());
            let longest_ms = room_ms.clamp(row.shortest_ms, row.longest_ms);
            let duration_ms = dealer.rng.random_range(row.shortest_ms..=longest_ms);
            let slack_ms = SHORTEST_GAP_MS + room_ms.saturating_sub(duration_ms);
            let longest_gap_ms = if dealer.owed.is_empty() { LONGEST_GAP_MS } else { slack_ms };
            let longest_gap_ms = longest_gap_ms.min(LONGEST_GAP_MS);
            let gap_ms = dealer.rng.random_range(SHORTEST_GAP_MS..=longest_gap_ms);

            let id = u32::try_from(faults.len()).expect("a run holds fewer than 2^32 faults");
            let parameters = dealer.parameters(card.fault);
            let Card { fault, target } = card;
            faults.push(PlannedFault { id, at_ms, duration_ms, fault, target, parameters });
            at_ms += duration_ms + gap_ms;
        }
        Schedule { seed, faults, lulls: Vec::new() }
    }
}

/// Deals faults in the order in which they shall come.
struct Dealer {
    menu: Vec<Fault>,
    /// The rest of the first hand.
    owed: VecDeque<Card>,
    deck: VecDeque<Card>,
    rng: ChaCha8Rng,
}

impl Dealer {
    fn new(menu: &Menu, nodes: usize, rng: ChaCha8Rng) -> Dealer {
        let possible = |fault: &Fault| {
            (nodes >= 2 || fault.family() != Family::Partition) && (nodes >= 3 || !destroys(*fault))
        };
        let menu: Vec<Fault> = menu.faults().filter(possible).collect();
        let menu = if nodes == 0 { Vec::new() } else { menu };
        let mut dealer = Dealer { menu, owed: VecDeque::new(), deck: VecDeque::new(), rng };
        dealer.owed = dealer.first_hand();
        dealer
    }

    /// One partition and each process fault, as far as they are on the menu; one of them befalls
    /// the leader, by choice its isolation.
    fn first_hand(&mut self) -> VecDeque<Card> {
        let (partitions, others): (Vec<Fault>, Vec<Fault>) =
            self.menu.iter().partition(|fault| fault.family() == Family::Partition);
        let partition = if partitions.contains(&Fault::Isolate) {
            Some(Fault::Isolate)
        } else {
            partitions.choose(&mut self.rng).copied()
        };
        let mut hand: Vec<Card> =
            partition.into_iter().chain(others).map(|fault| self.card(fault)).collect();
        if let Some(first) = hand.first_mut() {
            first.target = Target::Leader;
        }
        hand.shuffle(&mut self.rng);
        hand.into()
    }

    /// The next fault that fits into `room_ms`, or none if none on the menu does.
    fn deal(&mut self, room_ms: u64) -> Option<Card> {
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

    /// The least time that the rest of the first hand and the gaps before it take.
    fn owed_ms(&self) -> u64 {
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
        let target = match self.rng.random_range(0..5) {
            0..3 => Target::Leader,
            3 => Target::Follower,
            _ => Target::Random,
        };
        Card { fault, target }
    }

    fn parameters(&mut self, fault: Fault) -> BTreeMap<String, String> {
        let words: &[(&str, &[&str])] = match fault {
            Fault::OneWay => &[(DIRECTION, &["in", "out"])],
            Fault::ClockStep => &[(clock::BY, &STEPS)],
            Fault::ClockStrobe => &[(clock::BY, &STROBES), (clock::PERIOD, &PERIODS)],
            Fault::ClockRate => &[(clock::RATE, &RATES)],
            _ => &[],
        };
        let mut draw = |(name, words): &(&str, &[&str])| {
            let word = words.choose(&mut self.rng).expect("words to choose from");
            ((*name).to_owned(), (*word).to_owned())
        };
        words.iter().map(&mut draw).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn nodes(number: usize) -> Vec<String> {
        (1..=number).map(|i| format!("n{i}")).collect()
    }

    fn draw(menu: &str, number: usize, seconds: f64, seed: u64) -> Schedule {
        let menu = menu.parse().expect(menu);
        Schedule::draw(&menu, &nodes(number), Duration::from_secs_f64(seconds), seed)
    }

    fn names(schedule: &Schedule) -> BTreeSet<&'static str> {
        schedule.faults.iter().map(|planned| planned.fault.name()).collect()
    }

    fn any_menu() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "default",
            "partition",
            "isolate",
            "halves",
            "one-way",
            "pause",
            "kill",
            "kill,halves",
            "clock",
            "all",
            "pause,one-way",
            "none",
        ])
    }

    proptest! {
        #[test]
        fn one_seed_draws_one_schedule(
            menu in any_menu(), n in 1_usize..8, s in 0.0..90.0, seed in any::<u64>()
        ) {
            prop_assert_eq!(draw(menu, n, s, seed), draw(menu, n, s, seed));
        }

        #[test]
        fn faults_keep_their_bounds_and_heal_before_the_end(
            menu in any_menu(), n in 1_usize..8, s in 0.0..90.0, seed in any::<u64>()
        ) {
            let schedule = draw(menu, n, s, seed);
            prop_assert_eq!(schedule.check(&nodes(n)), Ok(()));
            let total_ms = (s * 1_000.0) as u64;
            let mut free_from_ms = (total_ms / 6).min(LEAD_IN_MS);
            for planned in &schedule.faults {
                let row = planned.fault.description();
                prop_assert!(planned.at_ms >= free_from_ms);
                prop_assert!(planned.at_ms - free_from_ms <= LONGEST_GAP_MS);
                prop_assert!((row.shortest_ms..=row.longest_ms).contains(&planned.duration_ms));
                let until_ms = planned.at_ms + planned.duration_ms;
                prop_assert!(until_ms + (total_ms / 20).min(500) <= total_ms);
                free_from_ms = until_ms + SHORTEST_GAP_MS;
            }
        }

        #[test]
        fn fifteen_seconds_of_default_hold_every_kind_and_the_leader(
            n in 2_usize..8, s in 15.0..90.0, seed in any::<u64>()
        ) {
            let schedule = draw("default", n, s, seed);
            let families: BTreeSet<Family> =
                schedule.faults.iter().map(|planned| planned.fault.family()).collect();
            prop_assert!(families.contains(&Family::Partition));
            prop_assert!(names(&schedule).is_superset(&BTreeSet::from(["pause", "kill"])));
            let exposes = |planned: &PlannedFault| {
                planned.fault == Fault::Isolate && planned.target == Target::Leader
            };
            prop_assert!(schedule.faults.iter().any(exposes));
        }

        #[test]
        fn partitions_begin_with_the_leader_and_return_to_it(
            n in 2_usize..8, s in 15.0..90.0, seed in any::<u64>()
        ) {
            let schedule = draw("partition", n, s, seed);
            let exposes = |planned: &&PlannedFault| {
                planned.fault == Fault::Isolate && planned.target == Target::Leader
            };
            prop_assert!(schedule.faults.first().as_ref().is_some_and(exposes));
            let leaders = schedule.faults.iter().filter(exposes);
            prop_assert!(leaders.clone().all(|planned| planned.duration_ms >= 2_500));
            prop_assert!(leaders.count() * 2 >= schedule.faults.len());
        }
    }

    #[test]
    fn a_long_run_sees_every_fault_on_the_menu() {
        let schedule = draw("default", 5, 60.0, 1);
        assert_eq!(
            names(&schedule),
            BTreeSet::from(["halves", "isolate", "kill", "one-way", "pause"])
        );
    }

    #[test]
    fn different_seeds_draw_different_schedules() {
        let schedules: Vec<Schedule> = (0..8).map(|seed| draw("default", 3, 30.0, seed)).collect();
        for (i, schedule) in schedules.iter().enumerate() {
            assert!(schedules[..i].iter().all(|other| other.faults != schedule.faults));
        }
    }

    #[test]
    fn a_lone_node_has_nobody_to_be_cut_off_from() {
        assert_eq!(names(&draw("default", 1, 60.0, 3)), BTreeSet::from(["kill", "pause"]));
        assert!(draw("partition", 1, 60.0, 3).faults.is_empty());
    }

    #[test]
    fn none_draws_nothing() {
        assert!(draw("none", 5, 60.0, 1).faults.is_empty());
    }
}
