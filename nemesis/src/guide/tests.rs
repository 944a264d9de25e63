//! What a guide proposes, and what it learns.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::fault::Target;
use crate::fault::set::FaultSet;

fn nodes(number: usize) -> Vec<String> {
    (1..=number).map(|i| format!("n{i}")).collect()
}

/// A toy of a cluster: each fault in force shows as a node with a role of its own.
fn toy(schedule: &Schedule, seconds: u64) -> Vec<Sample> {
    (1..=seconds * 2)
        .map(|step| {
            let at_ms = step * 500;
            let is_on = |it: &&crate::schedule::PlannedFault| {
                it.at_ms <= at_ms && at_ms < it.at_ms + it.duration_ms
            };
            let faults = schedule.faults.iter().filter(is_on);
            let roles = faults.map(|it| format!("{} {}", it.fault, it.target));
            let node = |role| SampledNode { role, ..SampledNode::default() };
            Sample { at_ms, nodes: roles.map(node).collect(), ..Sample::default() }
        })
        .collect()
}

fn ground<'a>(set: &'a FaultSet, nodes: &'a [String], seed: u64) -> HuntContext<'a> {
    HuntContext { set, nodes, time: Duration::from_secs(20), seed, clock_drift: Some(0.5) }
}

/// How many states a row of runs comes to.
fn states(guided: bool, seed: u64, runs: u64) -> usize {
    let (set, nodes) = ("default".parse().expect("a set"), nodes(3));
    let mut guide = FeedbackScheduler::new(seed);
    let mut states = 0;
    for run in 0..runs {
        let ground = ground(&set, &nodes, seed * 1_000 + run);
        let schedule = if guided { guide.propose(ground) } else { Schedule::for_hunt(ground) };
        states = guide.learn(&schedule, &toy(&schedule, 20)).states;
    }
    states
}

#[test]
fn a_guide_that_knows_nothing_draws_what_the_seed_does() {
    let (set, nodes) = ("default".parse().expect("a set"), nodes(3));
    let ground = ground(&set, &nodes, 7);
    assert_eq!(FeedbackScheduler::new(1).propose(ground), Schedule::for_hunt(ground));
}

#[test]
fn guided_runs_reach_more_states_than_as_many_random_ones() {
    let total = |guided| (1..=8).map(|seed| states(guided, seed, 25)).sum::<usize>();
    let (guided, random) = (total(true), total(false));
    assert!(guided > random, "{guided} guided, {random} random");
}

#[test]
fn what_led_to_nothing_new_is_not_kept() {
    let (set, nodes) = ("default".parse().expect("a set"), nodes(3));
    let schedule = Schedule::for_hunt(ground(&set, &nodes, 7));
    let mut guide = FeedbackScheduler::new(1);
    let first = guide.learn(&schedule, &toy(&schedule, 20));
    assert!(
        first.kept > 2 && first.new_states > 5 && first.states == first.new_states,
        "{first:?}"
    );
    let again = guide.learn(&schedule, &toy(&schedule, 20));
    assert_eq!(again, CoverageGain { new_states: 0, kept: 0, states: first.states });
}

#[test]
fn rarely_seen_states_have_the_energy_and_chosen_rounds_lose_it() {
    let mut guide = FeedbackScheduler::new(1);
    guide.states = BTreeMap::from([(1, 1), (2, 100)]);
    let kept = |states: &[u64], chosen| CorpusEntry {
        round: Round::default(),
        states: states.iter().copied().collect(),
        waypoints: BTreeSet::new(),
        chosen,
    };
    let energy = |states: &[u64], chosen| guide.energy(&kept(states, chosen));
    assert!(energy(&[1], 0) > energy(&[2], 0));
    assert!((energy(&[1, 2], 0) - energy(&[1], 0)).abs() < 1e-9, "the rarest counts");
    assert!(energy(&[1], 9) < energy(&[1], 0));
}

proptest! {
    #[test]
    fn what_is_proposed_can_be_played_and_is_a_seeds(
        n in 1_usize..6, of in 1_usize..6, seed in any::<u64>()
    ) {
        let (set, before, after) = ("default".parse().expect("a set"), nodes(of), nodes(n));
        let propose = || {
            let mut guide = FeedbackScheduler::new(seed);
            for run in 0..3 {
                let schedule = guide.propose(ground(&set, &before, seed.wrapping_add(run)));
                guide.learn(&schedule, &toy(&schedule, 20));
            }
            // Without a drift that is declared, clocks keep their rates.
            guide.propose(HuntContext { clock_drift: None, ..ground(&set, &after, seed) })
        };
        let schedule = propose();
        prop_assert_eq!(schedule.check(&after), Ok(()));
        prop_assert_eq!(&schedule, &propose());
        prop_assert!(schedule.end() <= Duration::from_secs(19));
        prop_assert!(schedule.faults.iter().all(|it| it.fault.kind() != ClockRate::KIND));
        prop_assert!(schedule.faults.iter().all(|it| it.at_ms >= 1_500 && it.duration_ms > 0));
        let is_any = |it: &crate::schedule::PlannedFault| match &it.target {
            Target::Nodes(names) => names.iter().all(|name| after.contains(name)),
            _ => true,
        };
        prop_assert!(schedule.faults.iter().all(is_any));
    }
}
