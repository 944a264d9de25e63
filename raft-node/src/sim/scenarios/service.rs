//! The labs' part 3: clients of the key/value service, whose history must be linearizable.

use rand::RngExt;

use super::super::failure::Property;
use super::super::lab::Done;
use super::super::load::LoadPlan;
use super::super::moment::{ms, secs};
use super::super::network::NetworkConditions;
use super::super::server::Crash;
use super::super::world::World;
use super::snapshots::logs_are_short;
use crate::core::Compaction;

const KEYS: u32 = 3;

fn load() -> LoadPlan {
    LoadPlan { clients: 5, keys: KEYS, gap: ms(1)..=ms(60), ..LoadPlan::default() }
}

pub(super) fn reliable(world: &mut World) -> Done {
    world.start_load(load());
    world.run(secs(5))?;
    world.settle(KEYS)
}

/// Writes are agreed on at once and not at the next heartbeat.
pub(super) fn speed(world: &mut World) -> Done {
    const WRITES: u64 = 1_000;
    world.one_leader()?;
    let gap = ms(0)..=ms(0);
    world.start_load(LoadPlan { clients: 1, keys: 1, reads: 0.0, gap, ..LoadPlan::default() });
    let limit = world.setup.heartbeat / 3 * WRITES as u32;
    let done = world.run_until(limit, |world| world.load.succeeded >= WRITES)?;
    let succeeded = world.load.succeeded;
    world.expect(Property::Limit, done, || {
        format!("{succeeded} writes in {limit:?}, which is a third of a heartbeat for each of 1000")
    })?;
    world.settle(1)
}

pub(super) fn unreliable(world: &mut World) -> Done {
    rain(world, load());
    world.run(secs(5))?;
    world.settle(KEYS)?;
    short_logs(world)
}

/// Where there are to be snapshots, there are, and they bound the logs.
fn short_logs(world: &mut World) -> Done {
    // What makes a snapshot due, even if most of it opens terms and sessions.
    const ENOUGH: usize = 60;
    if world.setup.compaction == Compaction::default() {
        return Ok(());
    }
    for at in 0..world.size() {
        let few = world.invariants.committed() < ENOUGH;
        let taken = few || world.status(at).is_some_and(|status| status.snapshot.is_some());
        world.expect(Property::Limit, taken, || format!("server {} took no snapshot", at + 1))?;
    }
    logs_are_short(world, None)
}

/// Loses a tenth of everything, between servers and between clients and servers.
fn rain(world: &mut World, load: LoadPlan) {
    world.network.conditions = NetworkConditions::unreliable();
    world.start_load(LoadPlan { loss: 0.1, duplication: 0.05, ..load });
}

pub(super) fn restarts(world: &mut World) -> Done {
    world.start_load(load());
    for _ in 0..4 {
        world.run(secs(1))?;
        restart_all(world)?;
    }
    world.run(secs(1))?;
    world.settle(KEYS)
}

fn restart_all(world: &mut World) -> Done {
    for at in 0..world.size() {
        world.crash(at, Crash::Power);
    }
    world.run(ms(100))?;
    for at in 0..world.size() {
        world.restart(at)?;
    }
    Ok(())
}

pub(super) fn partitions(world: &mut World) -> Done {
    world.start_load(load());
    for _ in 0..6 {
        split(world);
        world.run(ms(900))?;
    }
    world.settle(KEYS)
}

/// Puts each server on one side or the other.
fn split(world: &mut World) {
    let sides: Vec<bool> = (0..world.size()).map(|_| world.faults.random_bool(0.5)).collect();
    world.divide(&sides);
}

/// As many clients as the labs have here, and keys.
pub(super) fn everything(world: &mut World) -> Done {
    const MANY: u32 = 15;
    rain(world, LoadPlan { clients: MANY, keys: MANY, ..load() });
    for _ in 0..5 {
        split(world);
        world.run(ms(900))?;
        restart_all(world)?;
    }
    world.settle(MANY)?;
    short_logs(world)
}
