//! Schedules that come with the program, for what random faults do not reach.
//!
//! Each is a file in the language of [`Script`], as a person would write it.

use crate::schedule::Script;

macro_rules! recipes {
    ($($name:literal),+ $(,)?) => {
        /// The recipes: name and text.
        pub const RECIPES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!($name, ".toml")))),+];
    };
}

recipes![
    "changing-members",
    "cut-off-leaders",
    "cut-tails",
    "delayed-links",
    "doubled-votes",
    "expiring-keys",
    "failing-syncs",
    "failing-writes",
    "figure-8",
    "flipped-bit",
    "forgetful-voter",
    "handed-over",
    "held-leader",
    "killed-leaders",
    "lagging-candidate",
    "lagging-follower",
    "late-candidate",
    "leader-rotation",
    "learner-with-leader",
    "overlapping-isolations",
    "paused-leaders",
    "quorum-power-loss",
    "restarts-and-snapshots",
    "retries",
    "retries-and-snapshots",
    "shrinking-minority",
    "sleeping-successor",
    "slow-clock",
    "slow-leader-disk",
    "snapshots-and-power-loss",
    "soon-back",
    "torn-writes",
    "two-and-two",
    "unsynced-directories",
    "wall-clock-set-back",
];

/// The recipe of that name.
///
/// # Panics
///
/// Never: the tests read every recipe.
pub fn find(name: &str) -> Option<Script> {
    let (name, text) = RECIPES.iter().find(|(known, _)| *known == name)?;
    Some(Script::parse(name, text).expect("a recipe is well written"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_recipe_is_well_written_and_can_be_played() {
        for (name, _) in RECIPES {
            let script = find(name).expect("listed");
            assert!(!script.about.is_empty(), "{name} says what it is for");
            let nodes: Vec<String> =
                (1..=script.nodes.unwrap_or(3)).map(|number| format!("n{number}")).collect();
            for seed in 0..20 {
                let duration = script.needs().max(Duration::from_secs(20));
                let schedule = script.for_run(duration, seed).expect(name);
                assert!(!schedule.faults.is_empty(), "{name}");
                assert_eq!(schedule.check(&nodes), Ok(()), "{name}");
            }
        }
    }
}
