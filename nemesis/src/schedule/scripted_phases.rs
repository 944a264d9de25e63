//! Puts scripted phases before what is drawn by chance: what a default run of some length always
//! plays.
//!
//! Some mistakes were shipped by many products, and show only if several things happen to a cluster in
//! one order: leaders that are cut off in turn, each with writes that nobody else has (Figure 8 of
//! Raft), a voter that hears two candidates of one term who do not hear each other, or a loss of
//! power on all nodes at once. Faults that are drawn one by one come to that once in hours. A
//! scripted phase is a few rounds of a recipe, with its times drawn from the seed; it needs no more
//! than what any store must survive. Runs under [`LEAST_RUN`] and other fault sets than `default` have
//! none, so that scripted phases leave a good part of each run to chance.

use std::time::Duration;

use super::Schedule;
use crate::fault::set::FaultSet;
use crate::recipes;

/// The shortest run that has scripted phases.
const LEAST_RUN: Duration = Duration::from_secs(50);
/// How long clients are alone before the first of them, in milliseconds.
const LEAD_IN_MS: u64 = 2_000;
/// How long clients are alone between two of them, in milliseconds.
const GAP_MS: u64 = 700;
/// The fewest nodes of which a majority remains when one is cut off.
const FEWEST_NODES: usize = 3;

/// The scripted phases, in the order in which they are played: a recipe, and for how long it is.
const PHASES: [(&str, Duration); 3] = [
    ("figure-8", Duration::from_millis(19_200)),
    ("late-candidate", Duration::from_millis(6_400)),
    ("quorum-power-loss", Duration::from_secs(6)),
];

impl Schedule {
    /// Draws the faults of a run as [`Schedule::draw`] does, after the scripted phases if it has some.
    pub fn draw_with_scripted_phases(
        set: &FaultSet,
        nodes: &[String],
        duration: Duration,
        seed: u64,
    ) -> Schedule {
        if set.to_string() != "default" || duration < LEAST_RUN || nodes.len() < FEWEST_NODES {
            return Schedule::draw(set, nodes, duration, seed);
        }
        let mut whole = Schedule { seed, faults: Vec::new(), read_only: Vec::new() };
        let mut begin_ms = LEAD_IN_MS;
        for (name, length) in PHASES {
            let phase = recipes::find(name).and_then(|script| script.for_run(length, seed).ok());
            let phase = phase.expect("a scripted phase has room for its recipe");
            if phase.check_tier(set.tier()).is_err() {
                continue;
            }
            whole.play_at(begin_ms, phase);
            begin_ms +=
                u64::try_from(length.as_millis()).expect("a scripted phase is short") + GAP_MS;
        }
        // What is drawn begins with a lead-in of its own.
        begin_ms -= LEAD_IN_MS;
        let rest = duration - Duration::from_millis(begin_ms);
        whole.play_at(begin_ms, Schedule::draw(set, nodes, rest, seed));
        whole
    }

    /// Adds what `other` holds, so much later and under numbers that are not taken.
    fn play_at(&mut self, begin_ms: u64, other: Schedule) {
        let free = self.faults.iter().map(|planned| planned.id + 1).max().unwrap_or(0);
        self.faults.extend(other.faults.into_iter().map(|mut planned| {
            planned.id += free;
            planned.at_ms += begin_ms;
            planned
        }));
        self.read_only.extend(other.read_only.into_iter().map(|mut phase| {
            phase.at_ms += begin_ms;
            phase
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::disk::PowerLossAll;
    use crate::fault::partition::Isolate;
    use crate::lab::Tier;

    fn draw(set: &str, nodes: usize, seconds: u64, seed: u64) -> Schedule {
        let nodes: Vec<String> = (1..=nodes).map(|number| format!("n{number}")).collect();
        let set = set.parse().expect("a set");
        let schedule =
            Schedule::draw_with_scripted_phases(&set, &nodes, Duration::from_secs(seconds), seed);
        assert_eq!(schedule.check(&nodes), Ok(()));
        assert!(schedule.end() <= Duration::from_secs(seconds));
        schedule
    }

    #[test]
    fn a_long_default_run_has_every_scripted_phase_and_then_what_chance_brings() {
        for seed in 0..20 {
            for nodes in [3, 4, 5] {
                let schedule = draw("default", nodes, 60, seed);
                let first = &schedule.faults[0];
                assert_eq!((first.fault.kind(), first.at_ms), (Isolate::KIND, LEAD_IN_MS));
                let blackouts =
                    schedule.faults.iter().filter(|it| it.fault.kind() == PowerLossAll::KIND);
                assert!(blackouts.count() >= 2);
                assert!(schedule.faults.len() > 16, "{schedule:?}");
                assert!(!schedule.read_only.is_empty());
                assert!(
                    schedule.read_only.iter().all(|phase| phase.at_ms < 29_000),
                    "{schedule:?}"
                );
            }
        }
        assert_eq!(draw("default", 3, 60, 7), draw("default", 3, 60, 7));
    }

    #[test]
    fn a_lab_without_links_plays_no_scripted_phase_that_needs_them() {
        let names: Vec<String> = (1..=3).map(|number| format!("n{number}")).collect();
        let set: FaultSet = "default".parse().expect("a set");
        let set = set.fitted(Tier::Signals).expect("something is left");
        let schedule =
            Schedule::draw_with_scripted_phases(&set, &names, Duration::from_secs(60), 5);
        assert_eq!(schedule.check_tier(Tier::Signals), Ok(()));
        assert!(
            schedule.faults.iter().any(|it| it.fault.kind() == PowerLossAll::KIND),
            "the other one"
        );
        assert!(schedule.faults.len() > 8, "{schedule:?}");
    }

    #[test]
    fn short_runs_small_clusters_and_chosen_sets_have_no_scripted_phase() {
        for (set, nodes, seconds) in [("default", 3, 20), ("default", 2, 60), ("kill", 3, 60)] {
            let schedule = draw(set, nodes, seconds, 5);
            assert!(schedule.read_only.is_empty(), "{set} {nodes} {seconds}");
        }
    }
}
