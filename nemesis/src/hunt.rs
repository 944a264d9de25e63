//! Draws the faults of a default run: many, short, overlapping, and chained.
//!
//! A hunt is a row of rounds with a breath of health between them. A round is a *scene*, a few faults one
//! of which prepares what another shows (`scenes`); a *storm* of short faults that begin at any moment, on
//! however many nodes; or, seldom, a round of a recipe. In some rounds clients only read for a while, so
//! that a new leader is not asked to write. Each seed plays some of the scenes only, since few things that
//! come often reach where a mix of everything does not (Groce et al., Swarm Testing, ISSTA 2012), and
//! each has a density of its own.
//!
//! Safety needs no majority: rounds take down as many nodes as they like, and the last ends a while before
//! the run does, so that the cluster is whole when it is asked what it has kept.

mod scenes;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use self::scenes::{EACH, SCENES, STORM, Scene, Step};
use crate::fault::clock::ClockRate;
use crate::fault::set::FaultSet;
use crate::fault::{FaultKind, Target};
use crate::random::stream;
use crate::recipes::{self, RECIPES};
use crate::schedule::{PlannedFault, ReadOnlyPhase, Schedule, Script, Trigger};

/// The name of the fault set that is hunted with, rounds of recipes among the others.
const NAME: &str = "default";
/// The name of the same without recipes.
const PLAIN: &str = "hunt";
/// The longest healthy lead-in, in milliseconds: an eighth of a run shorter than 12 s.
const LEAD_IN_MS: u64 = 1_500;
/// The longest time without faults at the end, in milliseconds: a twentieth of a run shorter than 20 s.
const REST_MS: u64 = 1_000;
/// The share of the scenes that a run plays.
const SHARE_OF_SCENES: f64 = 0.6;
/// The share of rounds that are of a recipe.
const SHARE_OF_RECIPES: f64 = 0.1;
/// The share of rounds in which clients only read for a while.
const SHARE_OF_READING: f64 = 0.3;
/// What a run's shares of storms can be.
const SHARES_OF_STORMS: [f64; 3] = [0.1, 0.2, 0.4];
/// What a run's breaths between rounds can be, in milliseconds: most runs are dense.
const BREATHS_MS: [(u64, u64); 4] = [(50, 300), (50, 300), (100, 700), (800, 2_000)];
/// For how long a fault waits that is aimed at a moment, in milliseconds.
const AIMED_WAIT_MS: (u64, u64) = (600, 1_500);
/// How much slower a clock may be of what clocks may run apart: others have rates, too.
const SHARE_OF_DRIFT: f64 = 0.8;

/// Whether the faults of a set of that name are drawn as a hunt.
pub fn is_hunt(set: &str) -> bool {
    [NAME, PLAIN].contains(&set)
}

/// What a hunt is drawn for.
#[derive(Debug, Clone, Copy)]
pub struct HuntContext<'a> {
    /// What may happen.
    pub set: &'a FaultSet,
    /// The nodes.
    pub nodes: &'a [String],
    /// How long the run is.
    pub time: Duration,
    /// Where everything random comes from.
    pub seed: u64,
    /// How far the store lets clocks run apart, as a share of their rate; none if it does not rely on their
    /// rates or does not say: then their rates are left alone.
    pub clock_drift: Option<f64>,
}

impl Schedule {
    /// Draws the faults of a run: those of a hunt if the set is `default` or `hunt`, else one after the other as
    /// [`Schedule::draw`] does.
    pub fn for_hunt(ground: HuntContext<'_>) -> Schedule {
        if is_hunt(&ground.set.to_string()) {
            let hunt = Hunt::new(ground).draw();
            if !hunt.faults.is_empty() {
                return hunt;
            }
        }
        Schedule::draw(ground.set, ground.nodes, ground.time, ground.seed)
    }
}

/// A round before it has a place in the run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Round {
    /// Times count from the round's beginning.
    pub(crate) faults: Vec<PlannedFault>,
    /// When clients only read.
    pub(crate) read_only: Vec<ReadOnlyPhase>,
}

impl Round {
    /// When its last fault has ended, in milliseconds since its beginning.
    pub(crate) fn ends_ms(&self) -> u64 {
        self.faults.iter().map(|it| it.at_ms + it.wait_ms() + it.duration_ms).max().unwrap_or(0)
    }
}

/// What draws the rounds of one run.
pub(crate) struct Hunt<'a> {
    ground: HuntContext<'a>,
    rng: ChaCha8Rng,
    /// The scenes of this seed, those that are still to come before any comes again, and storms.
    scenes: Vec<&'static Scene>,
    shuffled: VecDeque<&'static Scene>,
    storms: Vec<&'static Step>,
    share_of_storms: f64,
    breath_ms: (u64, u64),
}

impl<'a> Hunt<'a> {
    /// The hunt of that ground's seed.
    pub(crate) fn new(ground: HuntContext<'a>) -> Self {
        let mut rng = stream(ground.seed, "hunt");
        let possible = |step: &&Step| ground.can_have(step);
        let all: Vec<&Scene> = SCENES.iter().collect();
        let mut scenes: Vec<&Scene> =
            all.into_iter().filter(|scene| scene.steps.iter().all(|it| possible(&it))).collect();
        let kept = (scenes.len() as f64 * SHARE_OF_SCENES).ceil() as usize;
        scenes.shuffle(&mut rng);
        scenes.truncate(kept);
        let storms = STORM.steps.iter().filter(possible).collect();
        let share_of_storms = *SHARES_OF_STORMS.choose(&mut rng).expect("there are some");
        let breath_ms = *BREATHS_MS.choose(&mut rng).expect("there are some");
        let shuffled = VecDeque::new();
        Self { ground, rng, scenes, shuffled, storms, share_of_storms, breath_ms }
    }

    fn draw(self) -> Schedule {
        self.draw_with(Self::round)
    }

    /// A schedule of the rounds that `next` gives, as many as fit, until it gives none.
    pub(crate) fn draw_with(
        mut self,
        mut next: impl FnMut(&mut Self) -> Option<Round>,
    ) -> Schedule {
        let total_ms = u64::try_from(self.ground.time.as_millis()).unwrap_or(u64::MAX);
        let end_ms = total_ms - (total_ms / 20).min(REST_MS);
        let mut at_ms = (total_ms / 8).min(LEAD_IN_MS);
        let mut whole =
            Schedule { seed: self.ground.seed, faults: Vec::new(), read_only: Vec::new() };
        // A round that does not fit gives way to another, which may be shorter.
        let mut refused = 0;
        while refused < 8 && at_ms < end_ms {
            let Some(round) = next(&mut self) else { break };
            if at_ms + round.ends_ms() > end_ms {
                refused += 1;
                continue;
            }
            let ends_ms = at_ms + round.ends_ms();
            whole.add(round, at_ms);
            at_ms = ends_ms + self.between(self.breath_ms);
        }
        whole
    }

    /// The next round; none if nothing can happen here.
    pub(crate) fn round(&mut self) -> Option<Round> {
        let storms = !self.storms.is_empty();
        if storms && (self.scenes.is_empty() || self.rng.random_bool(self.share_of_storms)) {
            return Some(self.storm());
        }
        if self.rng.random_bool(SHARE_OF_RECIPES)
            && self.ground.set.to_string() == NAME
            && let Some(round) = self.recipe()
        {
            return Some(round);
        }
        if self.shuffled.is_empty() {
            let mut scenes = self.scenes.clone();
            scenes.shuffle(&mut self.rng);
            self.shuffled = scenes.into();
        }
        let scene = self.shuffled.pop_front()?;
        let mut round = Round::default();
        for step in scene.steps {
            self.play(step, &mut round);
        }
        if self.rng.random_bool(SHARE_OF_READING) {
            let at_ms = self.between((0, 400));
            let duration_ms = self.between((500, 2_200)).min(round.ends_ms().saturating_sub(at_ms));
            round.read_only.push(ReadOnlyPhase { at_ms, duration_ms: duration_ms.max(100) });
        }
        Some(round)
    }

    /// Several short faults at any moments of a short time.
    fn storm(&mut self) -> Round {
        let (faults, span_ms) = (self.between((3, 7)), self.between((800, 2_500)));
        let mut round = Round::default();
        for _ in 0..faults {
            let step = *self.storms.choose(&mut self.rng).expect("a storm has faults");
            let at_ms = self.between((0, span_ms));
            let from = round.faults.len();
            self.play(step, &mut round);
            round.faults[from..].iter_mut().for_each(|planned| planned.at_ms += at_ms);
        }
        round
    }

    /// One short fault, as a storm has them; none if there are no such faults here.
    pub(crate) fn short_fault(&mut self) -> Option<PlannedFault> {
        let step = *self.storms.choose(&mut self.rng)?;
        let mut round = Round::default();
        self.play(step, &mut round);
        round.faults.pop()
    }

    /// One round of a recipe, as far as it is about faults and about when clients only read.
    fn recipe(&mut self) -> Option<Round> {
        let (name, _) = RECIPES.choose(&mut self.rng)?;
        let script = recipes::find(name)?;
        if script.nodes.is_some_and(|nodes| nodes as usize > self.ground.nodes.len()) {
            return None;
        }
        let set = self.ground.set;
        let can_have = |kind: FaultKind| set.contains(kind) && kind != ClockRate::KIND;
        if !script.kinds().all(can_have) {
            return None;
        }
        let once = Script { every: None, ..script };
        let schedule = once.for_run(once.needs(), self.rng.random()).ok()?;
        schedule.check(self.ground.nodes).ok()?;
        Some(Round { faults: schedule.faults, read_only: schedule.read_only })
    }

    /// Adds what a step comes to.
    fn play(&mut self, step: &Step, round: &mut Round) {
        let at_ms = self.between(step.at);
        let duration_ms = self.between(step.lasts);
        let kind = step.kind().expect("a scene names faults");
        let mut words = BTreeMap::new();
        for (name, values) in step.parameters {
            let value = values.choose(&mut self.rng).expect("a parameter has values");
            words.insert((*name).to_owned(), (*value).to_owned());
        }
        if let Some(drift) = self.ground.clock_drift.filter(|_| kind == ClockRate::KIND) {
            let slowest = 1.0 / (1.0 + drift * SHARE_OF_DRIFT);
            let rate = self.rng.random_range(slowest..1.0_f64.min(slowest + 0.2));
            words.insert("rate".to_owned(), format!("{rate:.3}"));
        }
        let fault = kind.with_parameters(&words).expect("a scene's parameters are well written");
        let default = kind.description().victims.default_target();
        let targets: Vec<Target> = match step.targets.choose(&mut self.rng) {
            Some(&EACH) => {
                self.ground.nodes.iter().map(|name| Target::Nodes(vec![name.clone()])).collect()
            }
            Some(word) => vec![word.parse().expect("a scene's targets are well written")],
            None => vec![default.clone()],
        };
        let trigger = step.when.map(|when| Trigger {
            when: when.parse().expect("a scene's moments are well written"),
            wait_ms: self.between(AIMED_WAIT_MS),
        });
        for target in targets {
            // Numbers are given when the round has its place.
            round.faults.push(PlannedFault {
                id: 0,
                at_ms,
                trigger,
                duration_ms,
                fault: fault.clone(),
                target,
            });
        }
    }

    fn between(&mut self, (least, most): (u64, u64)) -> u64 {
        self.rng.random_range(least..=most)
    }
}

impl HuntContext<'_> {
    /// Whether the step's fault can be had.
    fn can_have(&self, step: &Step) -> bool {
        let Some(kind) = step.kind() else { return false };
        let has_drift = self.clock_drift.is_some_and(|drift| drift > 0.0);
        self.set.contains(kind)
            && self.nodes.len() >= kind.description().needs.nodes
            && (kind != ClockRate::KIND || has_drift)
    }
}

impl Step {
    fn kind(&self) -> Option<FaultKind> {
        FaultKind::named(self.fault)
    }
}

impl Schedule {
    /// Its rounds, each with the time at which it begins: faults that follow each other without a time between
    /// them in which none is in force are of one.
    pub(crate) fn rounds(&self) -> Vec<(u64, Round)> {
        let mut rounds: Vec<(u64, Round)> = Vec::new();
        for planned in &self.faults {
            let ended =
                rounds.last().is_none_or(|(at, round)| planned.at_ms > at + round.ends_ms());
            if ended {
                rounds.push((planned.at_ms, Round::default()));
            }
            if let Some((at, round)) = rounds.last_mut() {
                round.faults.push(PlannedFault { at_ms: planned.at_ms - *at, ..planned.clone() });
            }
        }
        for phase in &self.read_only {
            let of = rounds.iter_mut().rfind(|(at, _)| *at <= phase.at_ms);
            if let Some((at, round)) = of {
                round.read_only.push(ReadOnlyPhase { at_ms: phase.at_ms - *at, ..*phase });
            }
        }
        rounds
    }

    /// Adds a round that begins then, under numbers that are not taken.
    pub(crate) fn add(&mut self, round: Round, begin_ms: u64) {
        for mut planned in round.faults {
            planned.id = u32::try_from(self.faults.len()).unwrap_or(u32::MAX);
            planned.at_ms += begin_ms;
            self.faults.push(planned);
        }
        self.faults.sort_by_key(|planned| (planned.at_ms, planned.id));
        self.read_only.extend(round.read_only.into_iter().map(|mut phase| {
            phase.at_ms += begin_ms;
            phase
        }));
    }
}

#[cfg(test)]
mod tests;
