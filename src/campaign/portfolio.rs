//! What a campaign tries that was told nothing but its target.

use partita_nemesis::recipes::RECIPES;
use partita_nemesis::{FAULT_SETS, Tier};
use partita_reports::spec::{Milliseconds, defaults};

use super::file::{Choice, Make, Subject, fitted};
use super::plan::Configuration;
use crate::exit::Failure;

/// All workloads that fit the target with every fault set, and every recipe with the workload that it is
/// meant for, as far as the lab and the target can have them. Each run is of that `time`, if it is given, or
/// as long as a recipe needs.
///
/// # Errors
///
/// [`Failure`] if there is no such target.
pub fn portfolio(
    target: &str,
    tier: Tier,
    time: Option<Milliseconds>,
) -> Result<Vec<Configuration>, Failure> {
    let subject = Subject::find(target)?;
    let make = Make { time, ..Make::default() };
    let mut made = Vec::new();
    for set in FAULT_SETS.iter().filter(|set| set.name != "none") {
        let choice = Choice::set(set.name);
        for workload in subject.workloads() {
            // What cannot be had here was not asked for by name.
            made.extend(fitted(subject.configuration(&choice, workload, make), tier).ok());
        }
    }
    for (recipe, _) in RECIPES {
        let choice = Choice::schedule(recipe)?;
        let workload = choice.workload().unwrap_or(defaults::WORKLOAD).to_owned();
        made.extend(fitted(subject.configuration(&choice, &workload, make), tier).ok());
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portfolio_has_what_fits_the_target_and_the_lab() {
        let names = |target: &str, tier| -> Vec<String> {
            let all = portfolio(target, tier, None).expect("a portfolio");
            all.into_iter().map(|it| it.name).collect()
        };
        let all = names("raft-node", Tier::Namespaces);
        for wanted in
            ["raft-node/register/default", "raft-node/lock/link", "raft-node/retry/retries"]
        {
            assert!(all.iter().any(|name| name == wanted), "{wanted}: {all:?}");
        }
        let few = names("raft-node", Tier::Signals);
        assert!(few.contains(&"raft-node/register/process".to_owned()));
        assert!(!few.iter().any(|name| name.ends_with("/partition")), "{few:?}");
        let etcd = names("etcd", Tier::Namespaces);
        assert!(etcd.len() < all.len() && etcd.contains(&"etcd/register/default".to_owned()));
    }
}
