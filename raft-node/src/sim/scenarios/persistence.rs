//! The labs' part 2C: servers that crash, restart, and remember.

use std::time::Duration;

use rand::RngExt;

use super::super::lab::Done;
use super::super::load::LoadPlan;
use super::super::moment::{ms, secs};
use super::super::network::NetworkConditions;
use super::super::server::Crash;
use super::super::world::World;

pub(super) fn persist_1(world: &mut World) -> Done {
    world.one(11, 3)?;
    for at in 0..3 {
        world.crash(at, Crash::Process);
    }
    for at in 0..3 {
        world.restart(at)?;
    }
    world.one(12, 3)?;
    let first = world.one_leader()?;
    world.crash_and_restart(first)?;
    world.one(13, 3)?;
    let second = world.one_leader()?;
    world.crash(second, Crash::Power);
    world.one(14, 2)?;
    world.restart(second)?;
    world.one(15, 3)?;
    let third = (world.one_leader()? + 1) % 3;
    world.crash(third, Crash::Power);
    world.one(16, 2)?;
    world.restart(third)?;
    world.one(17, 3).map(|_| ())
}

pub(super) fn persist_2(world: &mut World) -> Done {
    let mut value = 10;
    for _ in 0..5 {
        world.one(value, 5)?;
        let leader = world.one_leader()?;
        let at = |offset: usize| (leader + offset) % 5;
        world.crash(at(1), Crash::Process);
        world.crash(at(2), Crash::Power);
        world.one(value + 1, 3)?;
        for offset in [0, 3, 4] {
            world.crash(at(offset), Crash::Power);
        }
        world.restart(at(1))?;
        world.restart(at(2))?;
        world.run(ms(1_000))?;
        world.restart(at(3))?;
        world.one(value + 2, 3)?;
        world.restart(at(4))?;
        world.restart(at(0))?;
        value += 3;
    }
    world.one(1_000, 5).map(|_| ())
}

pub(super) fn persist_3(world: &mut World) -> Done {
    world.one(101, 3)?;
    let leader = world.one_leader()?;
    let at = |offset: usize| (leader + offset) % 3;
    world.disconnect(at(2));
    world.one(102, 2)?;
    world.crash(at(0), Crash::Process);
    world.crash(at(1), Crash::Process);
    world.connect(at(2));
    world.restart(at(0))?;
    world.one(103, 2)?;
    world.restart(at(1))?;
    world.one(104, 3).map(|_| ())
}

/// Leaders crash soon after they took a command, as in Figure 8 of the paper, a thousand times.
pub(super) fn figure_8(world: &mut World) -> Done {
    world.one(1, 1)?;
    let mut up = 5;
    for value in 0..1_000 {
        let mut leader = None;
        for at in 0..5 {
            if world.start(at, 1_000 + value)?.is_some() {
                leader = Some(at);
            }
        }
        let short = world.faults.random_range(0..1_000) < 900;
        let wait = if short { world.faults.random_range(0..13) } else { 500 };
        world.run(ms(wait / 2))?;
        if let Some(leader) = leader {
            world.crash(leader, Crash::Power);
            up -= 1;
        }
        if up < 3 {
            let at = world.faults.random_range(0..5);
            if !world.servers[at].is_up() {
                world.restart(at)?;
                up += 1;
            }
        }
    }
    world.progress()
}

pub(super) fn unreliable_agree(world: &mut World) -> Done {
    world.network.conditions = NetworkConditions::unreliable();
    for round in 0..50 {
        for value in 0..4 {
            if let Some(leader) = world.leader() {
                world.start(leader, 100 * round + value)?;
            }
        }
        world.one(round, 1)?;
    }
    world.network.conditions = NetworkConditions::fair();
    world.one(100_000, 5).map(|_| ())
}

/// The same rotation without crashes, over a network in which messages overtake each other.
pub(in super::super) fn figure_8_unreliable(world: &mut World) -> Done {
    world.network.conditions = NetworkConditions::unreliable();
    let first = world.faults.random_range(1..10_000);
    world.one(first, 1)?;
    let mut joined = 5;
    for value in 0..1_000 {
        if value == 200 {
            world.network.conditions = NetworkConditions::long_reordering();
        }
        let mut leader = None;
        for at in 0..5 {
            if world.start(at, 10_000 + value)?.is_some() && world.connected[at] {
                leader = Some(at);
            }
        }
        let short = world.faults.random_range(0..1_000) < 900;
        let wait = if short { world.faults.random_range(0..13) } else { 500 };
        world.run(ms(wait / 2))?;
        let cut = world.strikes(0.5);
        if let Some(leader) = leader.filter(|_| cut) {
            world.disconnect(leader);
            joined -= 1;
        }
        if joined < 3 {
            let at = world.faults.random_range(0..5);
            if !world.connected[at] {
                world.connect(at);
                joined += 1;
            }
        }
    }
    world.progress()
}

pub(super) fn reliable_churn(world: &mut World) -> Done {
    churn(world)
}

pub(super) fn unreliable_churn(world: &mut World) -> Done {
    world.network.conditions = NetworkConditions::unreliable();
    churn(world)
}

/// Three clients write while servers are cut off, crash and restart.
fn churn(world: &mut World) -> Done {
    let gap = ms(1)..=ms(40);
    world.start_load(LoadPlan { clients: 3, keys: 2, gap, ..LoadPlan::default() });
    for _ in 0..20 {
        if world.strikes(0.2) {
            let at = world.faults.random_range(0..5);
            world.disconnect(at);
        }
        if world.strikes(0.5) {
            let at = world.faults.random_range(0..5);
            world.restart(at)?;
            world.connect(at);
        }
        if world.strikes(0.2) {
            let at = world.faults.random_range(0..5);
            world.crash(at, Crash::Power);
        }
        let election = Duration::from_millis(400);
        world.run(election * 7 / 10)?;
    }
    world.run(secs(1))?;
    world.settle(2)
}
