//! Draws a schedule from a seed: a healthy lead-in, then bounded faults, some of which overlap.
//!
//! Nothing but the arguments decides the outcome. A fault set that names its faults gets them all; of
//! one that holds several families without naming them, each seed leaves some families and some faults
//! out altogether, since faults hide each other's bugs, and many different narrow runs find more than
//! as many broad ones (Groce et al., Swarm Testing, ISSTA 2012). All kinds that
//! are left are drawn before any is drawn again; a run begins with one of each family, shortened as
//! needed to fit. Leaders are the likeliest victims, since most of what a replicated
//! store can get wrong it gets wrong around a change of leader.
//!
//! A fault overlaps one neighbour at most, and only as long as both together leave a majority whole:
//! operations that nobody answers test nothing. Each has two thirds of its time to itself, so that
//! what it does can be measured whatever the other did to its victims.

mod sampler;

use std::time::Duration;

use rand::RngExt;

use super::{PlannedFault, Schedule};
use crate::fault::set::FaultSet;
use sampler::{Draw, Sampler};

/// The longest healthy lead-in, in milliseconds.
const LEAD_IN_MS: u64 = 2_000;
/// The least time between two faults that do not overlap, in milliseconds.
const SHORTEST_GAP_MS: u64 = 500;
/// The most time between two faults, in milliseconds.
const LONGEST_GAP_MS: u64 = 1_500;
/// The least time that two faults overlap if they do, in milliseconds.
const SHORTEST_OVERLAP_MS: u64 = 200;

impl Schedule {
    /// Draws the faults of a run of `duration` on `nodes` from `seed`.
    ///
    /// The first 2 s are without faults (a sixth of a run shorter than 12 s), and so are the last
    /// 500 ms (a twentieth of one shorter than 10 s). A run too short for any fault of the set
    /// gets none; partitions are not drawn for fewer than two nodes.
    pub fn draw(set: &FaultSet, nodes: &[String], duration: Duration, seed: u64) -> Schedule {
        let total_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let end_ms = total_ms - (total_ms / 20).min(SHORTEST_GAP_MS);
        let mut at_ms = (total_ms / 6).min(LEAD_IN_MS);

        let mut sampler = Sampler::new(set, nodes, seed);
        let mut faults: Vec<PlannedFault> = Vec::new();
        let mut latest: Option<Draw> = None;
        while let Some(draw) = sampler.next(end_ms.saturating_sub(at_ms)) {
            let row = &draw.kind.description().drawn;
            // What the rest of what the run begins with needs comes off what this fault and its gap may take.
            let room_ms = (end_ms - at_ms).saturating_sub(sampler.pending_ms());
            let longest_ms = room_ms.clamp(row.shortest_ms, row.longest_ms);
            let duration_ms = sampler.rng.random_range(row.shortest_ms..=longest_ms);
            let slack_ms = SHORTEST_GAP_MS + room_ms.saturating_sub(duration_ms);
            let longest_gap_ms = if sampler.is_past_initial() {
                LONGEST_GAP_MS
            } else {
                slack_ms.min(LONGEST_GAP_MS)
            };
            let gap_ms = sampler.rng.random_range(SHORTEST_GAP_MS..=longest_gap_ms);

            let may_overlap =
                latest.take().is_some_and(|latest| latest.leaves_room(&draw, nodes.len()));
            if may_overlap && sampler.rng.random_range(0..2) == 0 {
                let before = faults.last().expect("the one that it may overlap");
                let most_ms = before.duration_ms.min(duration_ms) / 3;
                let overlap_ms = sampler.rng.random_range(SHORTEST_OVERLAP_MS..=most_ms);
                at_ms = before.at_ms + before.duration_ms - overlap_ms;
            } else {
                latest = Some(draw.clone());
            }
            let id = u32::try_from(faults.len()).expect("a run holds fewer than 2^32 faults");
            let fault = sampler.parameters(draw.kind);
            faults.push(PlannedFault {
                id,
                at_ms,
                trigger: None,
                duration_ms,
                fault,
                target: draw.target,
            });
            at_ms += duration_ms + gap_ms;
        }
        Schedule { seed, faults, read_only: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::fault::partition::Isolate;
    use crate::fault::{FaultKind, Target};
    use crate::random::fnv1a;
    use crate::record::Family;

    fn nodes(number: usize) -> Vec<String> {
        (1..=number).map(|i| format!("n{i}")).collect()
    }

    fn draw(set: &str, number: usize, seconds: f64, seed: u64) -> Schedule {
        let set = set.parse().expect(set);
        Schedule::draw(&set, &nodes(number), Duration::from_secs_f64(seconds), seed)
    }

    fn names(schedule: &Schedule) -> BTreeSet<&'static str> {
        schedule.faults.iter().map(|planned| planned.fault.kind().name()).collect()
    }

    fn any_set() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "partition",
            "isolate",
            "halves",
            "one-way",
            "pause",
            "kill",
            "kill,halves",
            "clock",
            "link",
            "process",
            "disk",
            "membership",
            "membership,bit-flip",
            "all",
            "pause,one-way",
            "none",
        ])
    }

    proptest! {
        #[test]
        fn one_seed_draws_one_schedule(
            set in any_set(), n in 1_usize..8, s in 0.0..90.0, seed in any::<u64>()
        ) {
            prop_assert_eq!(draw(set, n, s, seed), draw(set, n, s, seed));
        }

        #[test]
        fn faults_keep_their_bounds_and_heal_before_the_end(
            set in any_set(), n in 1_usize..8, s in 0.0..90.0, seed in any::<u64>()
        ) {
            let schedule = draw(set, n, s, seed);
            prop_assert_eq!(schedule.check(&nodes(n)), Ok(()));
            let total_ms = (s * 1_000.0) as u64;
            let until_ms = |planned: &PlannedFault| planned.at_ms + planned.duration_ms;
            let mut free_from_ms = (total_ms / 6).min(LEAD_IN_MS);
            for (place, planned) in schedule.faults.iter().enumerate() {
                let row = &planned.fault.kind().description().drawn;
                prop_assert!((row.shortest_ms..=row.longest_ms).contains(&planned.duration_ms));
                prop_assert!(until_ms(planned) + (total_ms / 20).min(500) <= total_ms);
                let earlier = &schedule.faults[..place];
                let overlapped: Vec<&PlannedFault> =
                    earlier.iter().filter(|it| until_ms(it) > planned.at_ms).collect();
                if let [before] = overlapped[..] {
                    let overlap_ms = until_ms(before) - planned.at_ms;
                    prop_assert!(overlap_ms <= planned.duration_ms.min(before.duration_ms) / 3);
                    prop_assert!(n >= 3, "no majority of two is left by two faults");
                } else {
                    prop_assert!(overlapped.is_empty(), "two at most: {:?}", schedule);
                    prop_assert!(planned.at_ms >= free_from_ms);
                    prop_assert!(planned.at_ms - free_from_ms <= LONGEST_GAP_MS);
                }
                free_from_ms = until_ms(planned) + SHORTEST_GAP_MS;
            }
        }

        #[test]
        fn nobody_overlaps_two_others(
            set in any_set(), n in 3_usize..8, seed in any::<u64>()
        ) {
            let faults = draw(set, n, 90.0, seed).faults;
            let overlaps = |pair: &[PlannedFault]| {
                pair[0].at_ms + pair[0].duration_ms > pair[1].at_ms
            };
            for three in faults.windows(3) {
                prop_assert!(!(overlaps(&three[..2]) && overlaps(&three[1..])), "{:?}", three);
            }
        }

        #[test]
        fn thirty_seconds_hold_what_was_asked_for_by_name(
            n in 3_usize..8, seed in any::<u64>()
        ) {
            let schedule = draw("all,kill,clock", n, 30.0, seed);
            let wanted = ["kill", "clock-step", "clock-strobe", "clock-rate"];
            prop_assert!(names(&schedule).is_superset(&BTreeSet::from(wanted)), "{:?}", schedule);
        }

        #[test]
        fn partitions_begin_with_the_leader_and_return_to_it(
            n in 2_usize..8, s in 15.0..90.0, seed in any::<u64>()
        ) {
            let schedule = draw("partition", n, s, seed);
            let exposes = |planned: &&PlannedFault| {
                planned.fault.kind() == Isolate::KIND && planned.target == Target::Leader
            };
            prop_assert!(schedule.faults.first().as_ref().is_some_and(exposes));
            let leaders = schedule.faults.iter().filter(exposes);
            prop_assert!(leaders.clone().all(|planned| planned.duration_ms >= 2_500));
            prop_assert!(leaders.count() * 2 >= schedule.faults.len());
        }
    }

    #[test]
    fn a_long_run_sees_every_fault_that_was_asked_for() {
        let schedule = draw("process,halves,cut", 5, 60.0, 1);
        let families: BTreeSet<Family> =
            schedule.faults.iter().map(|planned| planned.fault.kind().family()).collect();
        assert_eq!(families.len(), 2);
        assert_eq!(names(&schedule).len(), 9, "{schedule:?}");
    }

    #[test]
    fn faults_overlap_in_some_runs_of_three_nodes_and_of_five() {
        for nodes in [3, 5] {
            let overlap = (0..10).flat_map(|seed| {
                let faults = draw("all", nodes, 60.0, seed).faults;
                let pairs: Vec<(FaultKind, FaultKind)> = faults
                    .windows(2)
                    .filter(|pair| pair[0].at_ms + pair[0].duration_ms > pair[1].at_ms)
                    .map(|pair| (pair[0].fault.kind(), pair[1].fault.kind()))
                    .collect();
                pairs
            });
            let families: BTreeSet<BTreeSet<Family>> =
                overlap.map(|(a, b)| BTreeSet::from([a.family(), b.family()])).collect();
            assert!(families.len() >= 3, "{nodes}: {families:?}");
        }
    }

    #[test]
    fn different_seeds_draw_different_schedules() {
        let schedules: Vec<Schedule> = (0..8).map(|seed| draw("all", 3, 30.0, seed)).collect();
        for (i, schedule) in schedules.iter().enumerate() {
            assert!(schedules[..i].iter().all(|other| other.faults != schedule.faults));
        }
    }

    #[test]
    fn a_lone_node_has_nobody_to_be_cut_off_from() {
        assert_eq!(names(&draw("kill,pause,loss", 1, 60.0, 3)), BTreeSet::from(["kill", "pause"]));
        assert!(draw("isolate,halves", 1, 60.0, 3).faults.is_empty());
    }

    #[test]
    fn members_change_where_three_voters_are_left_and_nothing_is_destroyed() {
        let transfer = BTreeSet::from(["transfer-leadership"]);
        let change = BTreeSet::from(["add-node", "remove-node", "replace-node"]);
        for seed in 0..10 {
            let few = draw("membership", 3, 30.0, seed);
            assert_eq!(names(&few), transfer, "{few:?}");
            assert!(few.faults.iter().all(|planned| planned.target == Target::Follower));
            for nodes in [4, 5] {
                let enough = draw("membership", nodes, 40.0, seed);
                assert_eq!(names(&enough), &transfer | &change, "{enough:?}");
                let alone = enough.faults.windows(2);
                let mut alone = alone.map(|it| it[0].at_ms + it[0].duration_ms < it[1].at_ms);
                assert!(alone.all(|alone| alone), "{enough:?}");
            }
            let damaged = names(&draw("membership,bit-flip", 5, 40.0, seed));
            assert_eq!(damaged, &transfer | &BTreeSet::from(["bit-flip"]));
        }
        assert!(draw("membership", 1, 30.0, 1).faults.is_empty());
    }

    #[test]
    fn none_draws_nothing() {
        assert!(draw("none", 5, 60.0, 1).faults.is_empty());
    }

    /// What a planned fault comes to, defaults included.
    fn in_full(planned: &PlannedFault) -> String {
        let PlannedFault { id, at_ms, duration_ms, fault, target, .. } = planned;
        let parameters = fault.parameters();
        format!("{id} {at_ms} {duration_ms} {fault} {target} {parameters:?}\n")
    }

    /// A hash of what is drawn for some clusters, durations and seeds.
    fn drawn(set: &str) -> u64 {
        let mut text = String::new();
        for (number, seconds) in [(1, 30), (2, 20), (3, 60), (4, 40), (5, 90)] {
            for seed in 0..6 {
                let set = set.parse().expect(set);
                let duration = Duration::from_secs(seconds);
                let nodes = nodes(number);
                let schedule = Schedule::draw(&set, &nodes, duration, seed);
                text.extend(schedule.faults.iter().map(in_full));
            }
        }
        fnv1a(text.as_bytes())
    }

    #[test]
    fn a_seed_draws_what_it_drew_in_every_earlier_version() {
        let golden = [
            ("all", 0x2dfd_2072_5681_9bf6),
            ("partition", 0x7390_80f5_a3ad_c403),
            ("link", 0xe7b1_730b_c96c_5119),
            ("process", 0x2de2_0fc2_4731_9146),
            ("clock", 0xa6aa_b779_497c_d198),
            ("disk", 0x8641_b203_98fa_8dab),
            ("membership", 0xf70b_7c9c_1b84_3062),
            ("bit-flip,truncate", 0xaed2_149c_c1b0_77ae),
            ("kill,halves", 0x53e3_2bae_aeff_0c45),
            ("cut,delay", 0xe767_3d1d_bbb5_9d67),
        ];
        let now = golden.map(|(set, _)| (set, drawn(set)));
        assert_eq!(now, golden, "{now:#x?}");
    }

    #[test]
    fn a_seed_settles_recipes_as_it_did_in_every_earlier_version() {
        let mut text = String::new();
        for (name, _) in crate::recipes::RECIPES {
            let script = crate::recipes::find(name).expect("listed");
            let duration = script.needs().max(Duration::from_secs(20));
            let schedule = script.for_run(duration, 7).expect("fits");
            text.extend(schedule.faults.iter().map(in_full));
            text.extend(schedule.read_only.iter().map(|phase| format!("{phase:?}\n")));
        }
        // Another only when the text of a recipe is changed.
        let hash = fnv1a(text.as_bytes());
        assert_eq!(hash, 0x601c_cabc_722d_44c8, "{hash:#x}");
    }
}
