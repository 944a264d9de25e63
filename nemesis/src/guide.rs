//! Draws the faults of the next run from what earlier ones came to.
//!
//! Every run is sampled from outside twice a second ([`Sample`]), and each sample comes to a state. A *round*
//! of faults in whose time a state was seen for the first time is kept. The next run's schedule is a hunt some
//! of whose rounds are kept ones with a few changes: a fault begins earlier or later, lasts longer or shorter,
//! hits somebody else, is left out or added, or another round is laid over it. Rounds that led to what is
//! seldom seen are chosen more often (the power schedules of AFLFast: Böhme, Pham & Roychoudhury, CCS 2016),
//! and less each time they are; of what a round led to the rarest counts, not the sum, and some moments that
//! many bugs need count besides ([`Waypoint`]; Borgarelli et al., Reward Augmentation, OOPSLA 2024).
//!
//! Nothing here plays a run: samples come in, schedules go out, and all chance comes from one seed. What a run
//! is like besides its faults, its profile, stays the seed's to draw.

mod sample;
mod vary;

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::fault::FaultKind;
use crate::fault::clock::ClockRate;
use crate::hunt::{Hunt, HuntContext, Round, is_hunt};
use crate::random::stream;
use crate::schedule::Schedule;

pub use sample::{Sample, SampledNode, Waypoint};

/// The share of rounds that are kept ones with changes.
const SHARE_OF_KEPT: f64 = 0.5;
/// How many rounds are kept.
const MOST_KEPT: usize = 256;
/// How many changes a round has, at most.
const MOST_CHANGES: u32 = 3;
/// How often a round is chosen again whose changes cannot be played here.
const TRIES: u32 = 4;

/// What guides a row of runs.
#[derive(Debug)]
pub struct FeedbackScheduler {
    rng: ChaCha8Rng,
    kept: Vec<CorpusEntry>,
    /// How often each state was seen.
    states: BTreeMap<u64, u32>,
    waypoints: BTreeMap<Waypoint, u32>,
}

/// A round that led to something new.
#[derive(Debug)]
struct CorpusEntry {
    round: Round,
    states: BTreeSet<u64>,
    waypoints: BTreeSet<Waypoint>,
    /// How often it was chosen.
    chosen: u32,
}

/// What one run added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CoverageGain {
    /// States that had not been seen before.
    pub new_states: usize,
    /// Rounds that were kept.
    pub kept: usize,
    /// States that have been seen so far.
    pub states: usize,
}

impl FeedbackScheduler {
    /// One that knows nothing yet.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: stream(seed, "guide"),
            kept: Vec::new(),
            states: BTreeMap::new(),
            waypoints: BTreeMap::new(),
        }
    }

    /// The faults of the next run: those that its seed draws as long as nothing is known, or where the set is no
    /// hunt.
    pub fn propose(&mut self, ground: HuntContext<'_>) -> Schedule {
        if self.kept.is_empty() || !is_hunt(&ground.set.to_string()) {
            return Schedule::for_hunt(ground);
        }
        let schedule = Hunt::new(ground).draw_with(|hunt| {
            let varied = self.rng.random_bool(SHARE_OF_KEPT).then(|| self.varied(hunt, ground));
            varied.flatten().or_else(|| hunt.round())
        });
        // Rounds that can be played may not be playable together, as where several destroy data.
        let can_be_played = !schedule.faults.is_empty() && schedule.check(ground.nodes).is_ok();
        if can_be_played { schedule } else { Schedule::for_hunt(ground) }
    }

    /// Learns what a run with these faults was like.
    pub fn learn(&mut self, schedule: &Schedule, samples: &[Sample]) -> CoverageGain {
        let before = std::iter::once(None).chain(samples.iter().map(Some));
        let seen: Vec<_> = samples
            .iter()
            .zip(before)
            .map(|(now, before)| (now.at_ms, now.state(before), now.waypoints(before)))
            .collect();
        let known: BTreeSet<u64> = self.states.keys().copied().collect();
        for (_, state, waypoints) in &seen {
            *self.states.entry(*state).or_default() += 1;
            for waypoint in waypoints {
                *self.waypoints.entry(*waypoint).or_default() += 1;
            }
        }
        let rounds = schedule.rounds();
        let ends = rounds.iter().skip(1).map(|(at, _)| *at).chain([u64::MAX]);
        let mut kept = 0;
        for ((begin, round), end) in rounds.iter().zip(ends) {
            let own = seen.iter().filter(|(at, ..)| *begin < *at && *at <= end);
            let (mut states, mut waypoints) = (BTreeSet::new(), BTreeSet::new());
            for (_, state, of_it) in own {
                states.insert(*state);
                waypoints.extend(of_it.iter().copied());
            }
            let round = without_rates(round.clone());
            if states.is_subset(&known) || round.faults.is_empty() {
                continue;
            }
            self.kept.push(CorpusEntry { round, states, waypoints, chosen: 0 });
            kept += 1;
        }
        self.forget();
        CoverageGain {
            new_states: self.states.len() - known.len(),
            kept,
            states: self.states.len(),
        }
    }

    /// Keeps the rounds of most energy.
    fn forget(&mut self) {
        let mut ordered: Vec<(f64, CorpusEntry)> =
            std::mem::take(&mut self.kept).into_iter().map(|it| (self.energy(&it), it)).collect();
        ordered.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        ordered.truncate(MOST_KEPT);
        self.kept = ordered.into_iter().map(|(_, kept)| kept).collect();
    }

    /// How much a round deserves to be chosen.
    fn energy(&self, kept: &CorpusEntry) -> f64 {
        let rarity = |count: Option<&u32>| 1.0 / f64::from(*count.unwrap_or(&1)).max(1.0);
        let states = kept.states.iter().map(|state| rarity(self.states.get(state)));
        let waypoints =
            kept.waypoints.iter().map(|waypoint| rarity(self.waypoints.get(waypoint)).sqrt());
        let rarest = states.chain(waypoints).fold(0.0, f64::max);
        rarest / f64::from(1 + kept.chosen)
    }

    /// A kept round with changes; none if those that were tried cannot be played here.
    fn varied(&mut self, hunt: &mut Hunt<'_>, ground: HuntContext<'_>) -> Option<Round> {
        for _ in 0..TRIES {
            let place = self.choose()?;
            self.kept[place].chosen += 1;
            let mut round = self.kept[place].round.clone();
            for _ in 0..self.rng.random_range(1..=MOST_CHANGES) {
                let other = self.choose().map(|it| self.kept[it].round.clone());
                vary::change(&mut round, other.as_ref(), hunt, &mut self.rng);
            }
            if can_be_played(&round, ground) {
                return Some(round);
            }
        }
        None
    }

    /// The place of a kept round, by energy.
    fn choose(&mut self) -> Option<usize> {
        let energies: Vec<f64> = self.kept.iter().map(|kept| self.energy(kept)).collect();
        let total: f64 = energies.iter().sum();
        let mut left = self.rng.random_range(0.0..total.max(f64::MIN_POSITIVE));
        for (place, energy) in energies.iter().enumerate() {
            left -= energy;
            if left < 0.0 {
                return Some(place);
            }
        }
        self.kept.len().checked_sub(1)
    }
}

/// A round without faults of clocks' rates: how far clocks may run apart depends on how nodes are started, which
/// another run does in another way.
fn without_rates(mut round: Round) -> Round {
    round.faults.retain(|planned| planned.fault.kind() != ClockRate::KIND);
    round
}

fn can_be_played(round: &Round, ground: HuntContext<'_>) -> bool {
    let may_happen = |kind: FaultKind| {
        ground.set.contains(kind) && ground.nodes.len() >= kind.description().needs.nodes
    };
    let mut alone = Schedule { seed: ground.seed, faults: Vec::new(), read_only: Vec::new() };
    alone.add(round.clone(), 0);
    !round.faults.is_empty()
        && round.faults.iter().all(|planned| may_happen(planned.fault.kind()))
        && alone.check(ground.nodes).is_ok()
}

#[cfg(test)]
mod tests;
