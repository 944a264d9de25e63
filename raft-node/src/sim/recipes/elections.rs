//! Elections with several candidates, or with no possible winner.

use std::time::Duration;

use rand::RngExt;

use super::super::failure::Property;
use super::super::lab::{Done, ELECTION_LIMIT};
use super::super::moment::{ms, secs};
use super::super::network::NetworkConditions;
use super::super::server::Crash;
use super::super::world::{Setup, World};
use super::{KEYS, busy, texts};

/// Leaders go down; voters are restarted while their votes are in flight.
pub(super) fn contested(world: &mut World) -> Done {
    let (delay, straggling) = (ms(1)..=ms(12), 0.15);
    let long_delay = ms(10)..=ms(60);
    world.network.conditions = NetworkConditions {
        delay,
        straggling,
        long_delay,
        duplication: 0.1,
        ..NetworkConditions::fair()
    };
    world.start_load(busy());
    for _ in 0..30 {
        world.run(ms(150))?;
        if let Some(leader) = world.leader() {
            world.crash(leader, Crash::Process);
        }
        let (before, end) = (world.term(), world.now.plus(ms(600)));
        while world.now < end {
            world.run(Duration::from_micros(2_500))?;
            if world.term() > before && world.strikes(0.3) {
                let voter = world.faults.random_range(0..world.size());
                world.crash_and_restart(voter)?;
            }
        }
        for at in 0..world.size() {
            world.restart(at)?;
        }
    }
    world.settle(KEYS)
}

/// Two of five servers, which missed what the others agreed on, hear every vote twice.
pub(super) fn doubled_votes(world: &mut World) -> Done {
    world.network.conditions = NetworkConditions { duplication: 0.8, ..NetworkConditions::fair() };
    world.start_load(busy());
    for _ in 0..4 {
        let leader = world.elect(None)?;
        let alone = [(leader + 1) % 5, (leader + 2) % 5];
        let sides: Vec<bool> = (0..5).map(|at| alone.contains(&at)).collect();
        world.divide(&sides);
        world.run(secs(2))?;
        world.heal();
        world.run(ms(500))?;
    }
    world.settle(KEYS)
}

pub(super) fn lagging_candidate(world: &mut World) -> Done {
    world.start_load(busy());
    for _ in 0..8 {
        let leader = world.elect(None)?;
        let lags = super::another(world, leader);
        world.disconnect(lags);
        world.run(ms(300))?;
        world.disconnect(leader);
        world.connect(lags);
        world.stand(lags)?;
        world.run(ms(500))?;
        world.connect(leader);
        world.run(ms(300))?;
    }
    world.settle(KEYS)
}

pub(super) fn split_of_four(world: &mut World) -> Done {
    world.start_load(busy());
    for _ in 0..5 {
        let leader = world.elect(None)?;
        let with = super::another(world, leader);
        let sides: Vec<bool> = (0..4).map(|at| at == leader || at == with).collect();
        world.divide(&sides);
        world.run(secs(1))?;
        world.heal();
        world.run(ms(500))?;
    }
    world.settle(KEYS)
}

/// A follower that is cut off and joined again asks first, and leaves leader and term alone.
pub(super) fn flapping(world: &mut World) -> Done {
    let leader = world.elect(None)?;
    let term = world.term();
    let follower = super::another(world, leader);
    for _ in 0..10 {
        world.disconnect(follower);
        world.run(ms(900))?;
        world.connect(follower);
        world.run(ms(250))?;
    }
    let later = world.term();
    world.expect(Property::Liveness, later == term, || {
        format!("a follower that came and went raised the term from {term} to {later}")
    })
}

/// A leader that reaches all and receives nothing keeps others from leading unless it gives way.
pub(super) fn deaf_leader(world: &mut World) -> Done {
    let leader = world.elect(None)?;
    world.run(ms(300))?;
    for other in (0..world.size()).filter(|other| *other != leader) {
        world.network.block(other, leader);
    }
    world.start_load(busy());
    let before = world.invariants.committed();
    world.run_until(ELECTION_LIMIT, |world| world.invariants.committed() > before + 5)?;
    let after = world.invariants.committed();
    world.expect(Property::Liveness, after > before + 5, || {
        "nothing is agreed on while a leader hears nobody".to_owned()
    })?;
    world.settle(KEYS)
}

/// A cluster in which messages take the same time to all.
pub(super) fn tied(_seed: u64) -> Setup {
    texts(4)
}

pub(super) fn tied_timers(world: &mut World) -> Done {
    world.network.conditions.delay = ms(12)..=Duration::from_micros(12_100);
    for _ in 0..3 {
        let leader = world.elect(None)?;
        world.run(ms(500))?;
        world.crash(leader, Crash::Process);
        world.elect(Some(leader))?;
        world.restart(leader)?;
        world.run(ms(500))?;
    }
    Ok(())
}

/// A server that lacks entries and cannot win stands every 80 ms: another must still get to lead.
pub(super) fn spamming_candidate(world: &mut World) -> Done {
    for value in 0..5 {
        let leader = world.elect(None)?;
        let lags = super::another(world, leader);
        world.disconnect(lags);
        world.one(value, 2)?;
        world.crash(leader, Crash::Process);
        world.connect(lags);
        let end = world.now.plus(ELECTION_LIMIT);
        while world.leader().is_none() {
            if world.now >= end {
                let what = "a server that cannot win keeps others from leading".to_owned();
                return Err(world.fail(Property::Liveness, what));
            }
            world.stand(lags)?;
            world.run(ms(80))?;
        }
        world.restart(leader)?;
        world.run(ms(500))?;
    }
    Ok(())
}
