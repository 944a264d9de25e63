//! What simulated clients saw is linearizable with honest servers, and every planted bug shows.

use partita_checker::formats::jsonl::read_history;
use partita_checker::{ModelKind, Options, Verdict, check};
use partita_raft_node::mutations::Mutations;
use partita_raft_node::sim::scenarios::find;
use partita_raft_node::sim::{Object, Run, Scenario, Wanted, run};

fn play(scenario: &Scenario, seed: u64, mutations: Mutations) -> Run {
    run(scenario, seed, mutations, Wanted::Verdict)
}

/// The verdict on what the clients saw.
fn judge(run: &Run) -> Verdict {
    if run.history.events.is_empty() {
        return Verdict::Valid;
    }
    let lines = run.history.json_lines();
    let history = read_history("simulated", lines.as_bytes()).expect("a well-formed history");
    let model = match run.history.object {
        Object::Register => ModelKind::Register,
        Object::Text => ModelKind::Append,
    };
    check(&history, &Options::of(model), &|| false).0.verdict
}

/// Plays these seeds with honest servers, and returns how many operations clients completed.
fn assert_honest(name: &str, seeds: std::ops::Range<u64>) -> usize {
    let scenarios = find(name);
    assert!(!scenarios.is_empty(), "{name}");
    let mut events = 0;
    for seed in seeds {
        for scenario in &scenarios {
            let run = play(scenario, seed, Mutations::default());
            assert_eq!(run.failure, None, "{} with seed {seed}", scenario.name);
            assert_eq!(judge(&run), Verdict::Valid, "{} with seed {seed}", scenario.name);
            events += run.history.events.len();
        }
    }
    events / 2
}

#[test]
fn clients_of_the_service_see_a_linearizable_store() {
    assert!(assert_honest("3", 0..4) > 1_000);
}

#[test]
fn clients_under_random_faults_see_a_linearizable_store() {
    assert!(assert_honest("random", 0..100) > 1_000);
}

#[test]
fn honest_servers_pass_every_recipe() {
    assert!(assert_honest("recipes", 0..2) > 1_000);
}

#[cfg(feature = "mutations")]
mod planted {
    use partita_raft_node::mutations::{MutationInfo, table};
    use partita_raft_node::sim::recipes;

    use super::*;

    /// How many seeds a recipe gets, from the one that is known to expose its bug.
    const SEEDS: u64 = 600;

    /// The first seed, from the known one on, with which its recipe exposes a planted bug, and how
    /// it shows.
    fn exposed_with(info: &MutationInfo) -> Option<(u64, String)> {
        let mutations = Mutations::new(&[info.mutation]);
        let scenarios = recipes::of(info.mutation);
        let known = recipes::exposing_seed(info.mutation)?;
        (known..known + SEEDS).find_map(|seed| {
            scenarios.iter().find_map(|scenario| {
                let run = play(scenario, seed, mutations);
                let shown = run.failure.as_ref().map(ToString::to_string);
                let seen =
                    || (judge(&run) == Verdict::Violation).then(|| "not linearizable".to_owned());
                Some((seed, shown.or_else(seen)?))
            })
        })
    }

    #[test]
    fn planted_bugs_are_exposed_by_their_recipes_unless_equivalent() {
        // Assertions of the servers are findings, and not news.
        std::panic::set_hook(Box::new(|_| {}));
        let found: Vec<_> = table().iter().map(|info| (info, exposed_with(info))).collect();
        let _ = std::panic::take_hook();
        for (info, exposed) in found {
            let argument = recipes::equivalence(info.mutation);
            println!("{}: {exposed:?}", info.name);
            assert!(exposed.is_some() != argument.is_some(), "{}: {argument:?}", info.name);
        }
    }
}
