//! What hunts hold, for many seeds and clusters.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::lab::LabBackend;
use crate::record::Family;
use crate::schedule::When;

fn nodes(number: usize) -> Vec<String> {
    (1..=number).map(|i| format!("n{i}")).collect()
}

fn draw(number: usize, seconds: f64, seed: u64) -> Schedule {
    let (set, nodes) = (NAME.parse().expect("a set"), nodes(number));
    let time = Duration::from_secs_f64(seconds);
    Schedule::for_hunt(HuntContext { set: &set, nodes: &nodes, time, seed, clock_drift: Some(0.5) })
}

#[test]
fn every_scene_can_be_played() {
    let every = SCENES.iter().chain([&STORM]);
    for step in every.flat_map(|scene| scene.steps) {
        let kind = step.kind().unwrap_or_else(|| panic!("{step:?}"));
        for (name, values) in step.parameters {
            for value in *values {
                let words = BTreeMap::from([((*name).to_owned(), (*value).to_owned())]);
                assert!(kind.with_parameters(&words).is_ok(), "{step:?}");
            }
        }
        for word in step.targets.iter().filter(|word| **word != EACH) {
            let target: Target = word.parse().expect(word);
            assert!(kind.description().victims.accept(&target), "{step:?}");
        }
        assert!(step.when.is_none_or(|when| when.parse::<When>().is_ok()), "{step:?}");
        assert!(step.at.0 <= step.at.1 && step.lasts.0 <= step.lasts.1, "{step:?}");
    }
}

proptest! {
    #[test]
    fn one_seed_draws_one_schedule_that_can_be_played(
        n in 1_usize..8, s in 0.0..90.0, seed in any::<u64>()
    ) {
        let schedule = draw(n, s, seed);
        prop_assert_eq!(schedule.check(&nodes(n)), Ok(()));
        prop_assert_eq!(&schedule, &draw(n, s, seed));
        let total_ms = (s * 1_000.0) as u64;
        for planned in &schedule.faults {
            prop_assert!(planned.at_ms >= (total_ms / 8).min(LEAD_IN_MS));
        }
        prop_assert!(schedule.end().as_millis() as u64 + (total_ms / 20).min(REST_MS) <= total_ms);
        prop_assert!(schedule.faults.is_sorted_by_key(|planned| planned.at_ms));
    }

    #[test]
    fn a_minute_is_full_of_short_faults(n in 3_usize..6, seed in any::<u64>()) {
        let faults = draw(n, 60.0, seed).faults;
        prop_assert!(faults.len() >= 25, "{}", faults.len());
        let short = faults.iter().filter(|planned| planned.duration_ms <= 1_500).count();
        prop_assert!(short * 3 >= faults.len() * 2, "{} of {}", short, faults.len());
    }

    #[test]
    fn clocks_keep_the_rate_that_the_store_relies_on(seed in any::<u64>()) {
        for planned in draw(3, 90.0, seed).faults {
            if planned.fault.kind() == ClockRate::KIND {
                let rate: f64 = planned.fault.parameters()["rate"].parse().expect("a number");
                prop_assert!((1.0 / 1.5..1.0).contains(&rate), "{}", rate);
            }
        }
    }
}

#[test]
fn rates_of_clocks_are_left_alone_where_the_store_does_not_say_how_far_they_run_apart() {
    let (set, nodes) = (NAME.parse().expect("a set"), nodes(3));
    let time = Duration::from_secs(90);
    for seed in 0..40 {
        let ground = HuntContext { set: &set, nodes: &nodes, time, seed, clock_drift: None };
        let faults = Schedule::for_hunt(ground).faults;
        assert!(faults.iter().all(|planned| planned.fault.kind() != ClockRate::KIND));
    }
}

#[test]
fn seeds_differ_in_what_they_hold_and_together_hold_every_family() {
    let kinds = |seed| -> BTreeSet<FaultKind> {
        draw(5, 60.0, seed).faults.iter().map(|planned| planned.fault.kind()).collect()
    };
    let all: Vec<BTreeSet<FaultKind>> = (0..30).map(kinds).collect();
    assert!(all.iter().any(|other| *other != all[0]));
    let families: BTreeSet<Family> = all.iter().flatten().map(|kind| kind.family()).collect();
    assert_eq!(families.len(), 6, "{families:?}");
    let destroy = |kind: &&FaultKind| kind.description().destroys_synced_data;
    assert_eq!(all.iter().flatten().find(destroy), None);
}

#[test]
fn faults_overlap_past_the_majority_in_some_runs() {
    let most = |seed| {
        let faults = draw(3, 60.0, seed).faults;
        let down = |planned: &&PlannedFault| planned.fault.kind().description().explains_exit;
        let down: Vec<&PlannedFault> = faults.iter().filter(down).collect();
        let at = |ms| {
            let is_on = |it: &&&PlannedFault| it.at_ms <= ms && ms < it.at_ms + it.duration_ms;
            down.iter().filter(is_on).map(|it| it.target.size(3)).sum::<usize>()
        };
        down.iter().map(|planned| at(planned.at_ms)).max().unwrap_or(0)
    };
    assert!((0..20).any(|seed| most(seed) >= 2));
}

#[test]
fn a_lesser_lab_is_hunted_in_with_what_it_has() {
    let nodes = nodes(3);
    for backend in [LabBackend::Proxies, LabBackend::Signals] {
        let set =
            NAME.parse::<FaultSet>().expect("a set").fitted(backend).expect("something is left");
        for seed in 0..20 {
            let time = Duration::from_secs(60);
            let ground = HuntContext { set: &set, nodes: &nodes, time, seed, clock_drift: None };
            let schedule = Schedule::for_hunt(ground);
            assert_eq!(schedule.check_tier(backend), Ok(()));
            assert!(schedule.faults.len() > 15, "{backend}: {}", schedule.faults.len());
        }
    }
}

#[test]
fn other_sets_are_drawn_one_after_the_other() {
    let (set, nodes) = ("kill".parse().expect("a set"), nodes(3));
    let time = Duration::from_secs(60);
    let ground = HuntContext { set: &set, nodes: &nodes, time, seed: 5, clock_drift: None };
    assert_eq!(Schedule::for_hunt(ground), Schedule::draw(&set, &nodes, time, 5));
}
