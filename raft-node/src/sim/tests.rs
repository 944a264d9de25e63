//! The simulator is deterministic, and the honest server passes every scenario.

use super::scenarios::{find, scenarios};
use super::world::{Setup, World};
use super::{Kind, Wanted, run};
use crate::core::{Admin, Operation};
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

#[test]
fn bits_flip_only_in_logs_of_servers_that_were_just_killed() {
    let random = find("random")[0];
    let mut flips = 0;
    // In the first of these runs the bit is drawn for a server that lost its power: a flip in its
    // last batch would pass for a torn write.
    for seed in 5_004_249..5_004_289 {
        let run = run(random, seed, Mutations::default(), Wanted::Lines);
        assert_eq!(run.failure, None, "seed {seed}");
        let lines = run.lines.expect("they were wanted");
        let lines: Vec<&str> = lines.lines().collect();
        for pair in lines.windows(2) {
            let Some((_, server)) = pair[1].rsplit_once(" of server ") else { continue };
            let Some(server) = server.strip_suffix(" flips") else { continue };
            let killed = pair[0].contains(&format!("[server {server}, "))
                && pair[0].ends_with("goes down: Process");
            assert!(killed, "seed {seed}: {} before {}", pair[0], pair[1]);
            flips += 1;
        }
    }
    assert!(flips > 0, "some of the runs flip a bit");
}

#[test]
fn last_reads_are_answered_though_the_leader_hands_over() {
    let mut world = World::new(Setup::of(3), 1, Mutations::default(), false);
    world.start_all().expect("an honest start");
    let leader = world.elect(None).expect("an honest election");
    let heir = world.servers[(leader + 1) % 3].id();
    let handover = Operation::Admin(Admin::Transfer { to: Some(heir) });
    world.submit(leader, handover).expect("an honest turn");
    world.read_everywhere(1).expect("honest reads");
    let kinds = |server: u32| {
        let events = world.history.events.iter();
        events.filter(move |event| event.server == server).map(|event| event.kind)
    };
    let mut all = (1..=3).flat_map(kinds);
    assert!(all.any(|kind| kind == Kind::Fail), "the handover refuses a read");
    for server in 1..=3 {
        let answered = kinds(server).any(|kind| kind == Kind::Ok);
        assert!(answered, "server {server}: {:?}", world.history.events);
    }
}
