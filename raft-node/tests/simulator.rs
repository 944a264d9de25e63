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
    check(&history, &Options { model, ..Options::default() }, &|| false).0.verdict
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

    /// Seeds within which a recipe must find its bug here; the rarest need some hundreds.
    const SEEDS: u64 = 600;

    fn exposed(info: &MutationInfo) -> bool {
        let mutations = Mutations::new(&[info.mutation]);
        let scenarios = recipes::of(info.mutation);
        (1..=SEEDS).any(|seed| {
            scenarios.iter().any(|scenario| {
                let run = play(scenario, seed, mutations);
                run.failure.is_some() || judge(&run) == Verdict::Violation
            })
        })
    }

    #[test]
    fn planted_bugs_are_exposed_by_their_recipes() {
        // Assertions of the servers are findings, and not news.
        std::panic::set_hook(Box::new(|_| {}));
        let missed: Vec<&str> = table()
            .iter()
            .filter(|info| recipes::equivalence(info.mutation).is_none() && !exposed(info))
            .map(|info| info.name)
            .collect();
        let _ = std::panic::take_hook();
        assert!(missed.is_empty(), "not exposed: {missed:?}");
        assert!(table().len() >= 45);
    }
}
