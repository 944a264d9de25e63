//! The simulator is deterministic, and the honest server passes every scenario.

use super::scenarios::{find, scenarios};
use super::{Wanted, run};
use crate::mutations::Mutations;

#[test]
fn same_seed_gives_the_same_trace_byte_for_byte() {
    for scenario in scenarios() {
        let play = |seed| run(scenario, seed, Mutations::default(), Wanted::Lines);
        let (first, second) = (play(7), play(7));
        assert_eq!(first.lines, second.lines, "{}", scenario.name);
        assert_eq!(first.trace_hash, second.trace_hash, "{}", scenario.name);
        assert_eq!(first.history, second.history, "{}", scenario.name);
    }
    let random = find("random")[0];
    let hash = |seed| run(random, seed, Mutations::default(), Wanted::Verdict).trace_hash;
    assert_ne!(hash(7), hash(8));
}

#[test]
fn honest_servers_pass_every_scenario() {
    for scenario in scenarios() {
        for seed in 0..2 {
            let run = run(scenario, seed, Mutations::default(), Wanted::Verdict);
            assert_eq!(run.failure, None, "{} with seed {seed}", scenario.name);
            assert!(run.events > 0);
        }
    }
}
