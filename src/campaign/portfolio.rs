//! What a campaign tries that was told nothing but its target.

use partita_nemesis::LabBackend;
use partita_nemesis::recipes::RECIPES;
use partita_reports::spec::{Milliseconds, defaults};

use super::file::{Choice, Make, PROFILE_TIME, Subject, fitted};
use super::plan::Configuration;
use crate::exit::Failure;

/// How many profiles there are: enough for each workload to meet each size of a cluster and each variation.
const PROFILES: u64 = 24;

/// The share of the CPU time that all recipes together have.
const SHARE_OF_RECIPES: f64 = 0.25;

/// The profiles of the first seeds, whose runs hunt as default runs do, each again and again with other
/// seeds; and every recipe with the workload that it is meant for, for a share of the time. Left out is what
/// the lab and the target cannot have. Each run is of that `time`, if it is given, or as long as a recipe needs.
///
/// # Errors
///
/// [`Failure`] if there is no such target.
pub fn portfolio(
    target: &str,
    backend: LabBackend,
    time: Option<Milliseconds>,
) -> Result<Vec<Configuration>, Failure> {
    let subject = Subject::find(target)?;
    let mut made = Vec::new();
    for number in 1..=PROFILES {
        let configuration = subject.profile(number, time.unwrap_or(PROFILE_TIME));
        // What cannot be had here was not asked for by name.
        made.extend(fitted(configuration, backend).ok());
    }
    let (profiles, make) = (made.len() as f64, Make { time, ..Make::default() });
    for (recipe, _) in RECIPES {
        let choice = Choice::schedule(recipe)?;
        let workload = choice.workload().unwrap_or(defaults::WORKLOAD).to_owned();
        made.extend(fitted(subject.configuration(&choice, &workload, make), backend).ok());
    }
    let recipes = made.len() as f64 - profiles;
    let share = SHARE_OF_RECIPES / (1.0 - SHARE_OF_RECIPES);
    for recipe in made.iter_mut().skip(profiles as usize) {
        recipe.weight = share * profiles.max(1.0) / recipes;
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn made(target: &str, backend: LabBackend) -> Vec<Configuration> {
        portfolio(target, backend, None).expect("a portfolio")
    }

    #[test]
    fn a_portfolio_has_profiles_of_many_kinds_and_recipes_that_fit_the_lab() {
        let all = made("raft-node", LabBackend::Namespaces);
        let names: BTreeSet<&str> = all.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names.len(), all.len(), "no two have the same name");
        assert!(names.contains("raft-node/retry/retries"), "{names:?}");
        let profiles: Vec<&Configuration> =
            all.iter().filter(|it| it.faults == "default").collect();
        assert_eq!(profiles.len() as u64, PROFILES);
        let differ = |of: fn(&Configuration) -> String| {
            profiles.iter().map(|it| of(it)).collect::<BTreeSet<_>>().len()
        };
        assert!(differ(|it| it.spec.workload.clone()) >= 4);
        assert_eq!(differ(|it| it.spec.nodes.to_string()), 3);
        assert!(differ(|it| it.spec.node_arguments.join(" ")) >= 8);
        let few = made("raft-node", LabBackend::Signals);
        assert!(!few.iter().any(|it| it.name.ends_with("/figure-8")) && few.len() < all.len());
    }

    #[test]
    fn profiles_fit_the_target_and_recipes_have_their_share() {
        for configuration in made("etcd", LabBackend::Namespaces) {
            assert!(configuration.name.starts_with("etcd/"), "{}", configuration.name);
            assert!(configuration.spec.node_arguments.is_empty(), "it says no variations");
        }
        let all = made("raft-node", LabBackend::Namespaces);
        let weight = |is_recipe: bool| -> f64 {
            let those = all.iter().filter(|it| (it.faults != "default") == is_recipe);
            those.map(|it| it.weight).sum()
        };
        let share = weight(true) / (weight(true) + weight(false));
        assert!((share - SHARE_OF_RECIPES).abs() < 1e-9, "{share}");
    }
}
